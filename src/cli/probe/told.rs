//! What a service says of its readiness, in lines for people. Pure.

use serde_json::Value;

use crate::visible::Visible;

/// A line for the whole, one for a reload that was refused, and one for each identity and whatever it lacks; none if the body says nothing of the kind.
pub(super) fn told(body: &str) -> Option<String> {
    let body: Value = serde_json::from_str(body).ok()?;
    let mut lines = vec![shown(&body["status"])?];
    lines.extend(refused(&body["reload"]));
    for identity in listed(&body["identities"]) {
        lines.push(of_identity(identity));
        lines.extend(listed(&identity["warm"]).filter_map(lack));
        lines.extend(of_fault(&identity["fault"]).map(|fault| format!("    {fault}")));
    }
    lines.extend(body["left_out"].as_u64().map(|more| format!("  and {more} more identities")));
    Some(lines.join("\n") + "\n")
}

/// That the configuration which was read last does not hold, and what is wrong with it.
fn refused(reload: &Value) -> Vec<String> {
    if reload["outcome"] != "refused" {
        return Vec::new();
    }
    let at = shown(&reload["at"]).map(|at| format!(" at {at}")).unwrap_or_default();
    let first = format!("  the configuration that was read{at} was refused, and the one before it holds:");
    let mistakes = listed(&reload["mistakes"]).filter_map(shown).map(|mistake| format!("    {mistake}"));
    let more = reload["left_out"].as_u64().map(|more| format!("    and {more} more mistakes"));
    [first].into_iter().chain(mistakes).chain(more).collect()
}

fn of_identity(identity: &Value) -> String {
    let (name, state) = (shown(&identity["name"]), shown(&identity["state"]));
    let tokens = identity["tokens"].as_u64().map(|tokens| format!(", tokens: {tokens}"));
    format!("  {}: {}{}", name.unwrap_or_default(), state.unwrap_or_default(), tokens.unwrap_or_default())
}

/// What is to be held ready and is not.
fn lack(warm: &Value) -> Option<String> {
    let state = shown(&warm["state"]).filter(|state| state != "held")?;
    Some(format!("    {}: {state}", shown(&warm["resource"]).unwrap_or_default()))
}

fn of_fault(fault: &Value) -> Option<String> {
    let (problem, turn, remedy) = (shown(&fault["problem"])?, shown(&fault["turn"])?, shown(&fault["remedy"])?);
    Some(format!("{problem}. The turn of the {turn}: {remedy}."))
}

fn listed(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn shown(value: &Value) -> Option<String> {
    value.as_str().map(|text| Visible(text).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_there_has_a_line_each_and_what_is_wrong_others() {
        let body = r#"{ "status": "warming", "tokens": 2, "left_out": 3, "identities": [
            { "name": "payroll", "state": "failing", "tokens": 0,
              "warm": [{ "resource": "a", "state": "held", "remaining_seconds": 7 }, { "resource": "b\u202e", "state": "failing" }],
              "fault": { "code": "invalid_client", "turn": "operator", "problem": "it is wrong", "remedy": "mend it" } },
            { "name": "other", "state": "ready", "tokens": 2 }] }"#;
        let expected = "warming
  payroll: failing, tokens: 0
    b\\u{202e}: failing
    it is wrong. The turn of the operator: mend it.
  other: ready, tokens: 2
  and 3 more identities
";
        assert_eq!(told(body).as_deref(), Some(expected));
        let body = r#"{ "status": "ready", "identities": [], "reload": { "at": "2027-01-15T08:00:00Z", "outcome": "refused",
            "mistakes": ["tenants.one.id: it is wrong"], "left_out": 2 } }"#;
        let expected = "ready
  the configuration that was read at 2027-01-15T08:00:00Z was refused, and the one before it holds:
    tenants.one.id: it is wrong
    and 2 more mistakes
";
        assert_eq!(told(body).as_deref(), Some(expected));
        assert_eq!(told(&body.replace("refused", "taken")).as_deref(), Some("ready\n"));
        for other in ["", "no JSON", "[]", "{}", r#"{"status": 3}"#] {
            assert_eq!(told(other), None, "{other}");
        }
    }
}
