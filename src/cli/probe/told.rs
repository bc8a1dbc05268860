//! What a service says of its readiness, in lines for people. Pure.

use serde_json::Value;

use crate::visible::Visible;

/// A line for the whole, and one for each identity and whatever it lacks; none if the body says nothing of the kind.
pub(super) fn told(body: &str) -> Option<String> {
    let body: Value = serde_json::from_str(body).ok()?;
    let mut lines = vec![shown(&body["status"])?];
    for identity in listed(&body["identities"]) {
        lines.push(of_identity(identity));
        lines.extend(listed(&identity["warm"]).filter_map(lack));
        lines.extend(of_fault(&identity["fault"]).map(|fault| format!("    {fault}")));
    }
    lines.extend(body["left_out"].as_u64().map(|more| format!("  and {more} more identities")));
    Some(lines.join("\n") + "\n")
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
    fn each_identity_has_a_line_and_what_it_lacks_others() {
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
        for other in ["", "no JSON", "[]", "{}", r#"{"status": 3}"#] {
            assert_eq!(told(other), None, "{other}");
        }
    }
}
