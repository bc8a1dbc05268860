//! The faults on demand that are in force.

use super::request::Request;
use super::rule::Rule;

/// The rules in the order they were posted.
#[derive(Default)]
pub(super) struct Rules(Vec<Counted>);

struct Counted {
    rule: Rule,
    matched: u64,
    applied: u64,
}

impl Rules {
    /// Adds rules behind those in force, and tells how many there are.
    pub(super) fn append(&mut self, rules: Vec<Rule>) -> usize {
        self.0.extend(rules.into_iter().map(|rule| Counted { rule, matched: 0, applied: 0 }));
        self.0.len()
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    /// The first rule for this request that has times left and whose share it falls into.
    pub(super) fn strike(&mut self, request: &Request) -> Option<Rule> {
        let mut matching = self.0.iter_mut().filter(|counted| counted.rule.matches(request));
        matching.find_map(Counted::strike)
    }
}

impl Counted {
    fn strike(&mut self) -> Option<Rule> {
        if self.rule.times.is_some_and(|times| self.applied >= times) {
            return None;
        }
        self.matched += 1;
        if !self.falls_into_share() {
            return None;
        }
        self.applied += 1;
        Some(self.rule.clone())
    }

    /// The share is kept without chance, so that tests repeat: the n-th match is struck when the n-th
    /// multiple of the share passes a whole number.
    fn falls_into_share(&self) -> bool {
        let share = self.rule.share.unwrap_or(1.0);
        due(self.matched, share) > due(self.matched - 1, share)
    }
}

#[expect(clippy::cast_precision_loss, reason = "nobody posts 2^52 requests")]
fn due(matched: u64, share: f64) -> f64 {
    (matched as f64 * share).floor()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::request::tests::post;
    use super::*;

    /// Which of ten requests are struck, by the delay of the rule that struck.
    fn struck(rules: &Value) -> Vec<u128> {
        let mut all = Rules::default();
        all.append(Rule::read(rules.to_string().as_bytes()).unwrap());
        let request = post("/t/oauth2/token", "");
        let strike = |_| all.strike(&request).map_or(0, |rule| rule.delay().as_millis());
        (0..10).map(strike).collect()
    }

    #[test]
    fn rules_apply_in_order_while_they_last() {
        let rules = json!([
            {"times": 2, "delay_ms": 1},
            {"match": {"path": "/keys"}, "delay_ms": 2},
            {"times": 1, "delay_ms": 3},
        ]);
        assert_eq!(struck(&rules), [1, 1, 3, 0, 0, 0, 0, 0, 0, 0]);
    }

    #[test]
    fn a_share_is_spread_evenly() {
        assert_eq!(struck(&json!([{"share": 0.3, "delay_ms": 1}])), [0, 0, 0, 1, 0, 0, 1, 0, 0, 1]);
        assert_eq!(
            struck(&json!([{"share": 0.5, "delay_ms": 1, "times": 2}, {"delay_ms": 2}])),
            [2, 1, 2, 1, 2, 2, 2, 2, 2, 2]
        );
        assert_eq!(struck(&json!([{"share": 0, "delay_ms": 1}])), [0; 10]);
        assert_eq!(struck(&json!([{"delay_ms": 1}])), [1; 10]);
    }
}
