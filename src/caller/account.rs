//! A workload of a Kubernetes cluster, and the rule by which the operator names it.

use super::glob::Glob;
use super::specificity::Specificity;
use crate::name::Malformed;

/// Whose token was verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceAccount {
    /// The namespace of the account and of its pods.
    pub namespace: String,
    /// The name of the account.
    pub name: String,
    /// The pod that the token is bound to, if it is bound to one.
    pub pod: Option<String>,
    /// The node that the pod, or the token itself, is bound to, if the cluster tells.
    pub node: Option<String>,
}

/// Which workloads are meant: those that fit whatever is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountRule {
    namespace: Option<Glob>,
    service_account: Option<Glob>,
    pod: Option<Glob>,
    node: Option<Glob>,
}

impl AccountRule {
    /// A rule of these conditions; what is none of them may be anything.
    ///
    /// # Errors
    /// It names neither a namespace nor a service account. Names of pods and nodes are no identity: whoever may
    /// make a pod chooses its name.
    pub fn new(
        namespace: Option<Glob>,
        service_account: Option<Glob>,
        pod: Option<Glob>,
        node: Option<Glob>,
    ) -> Result<Self, Malformed> {
        if namespace.is_none() && service_account.is_none() {
            return Err(Malformed("a service account is known by its namespace or its name at least"));
        }
        Ok(Self { namespace, service_account, pod, node })
    }

    /// Whether `account` is meant. One that is bound to no pod fits no rule about pods, and so for nodes.
    #[must_use]
    pub fn matches(&self, account: &ServiceAccount) -> bool {
        let fits = |rule: &Option<Glob>, name: Option<&str>| {
            rule.as_ref().is_none_or(|glob| name.is_some_and(|name| glob.matches(name)))
        };
        fits(&self.namespace, Some(&account.namespace))
            && fits(&self.service_account, Some(&account.name))
            && fits(&self.pod, account.pod.as_deref())
            && fits(&self.node, account.node.as_deref())
    }

    /// What it says, as the configuration writes it.
    #[must_use]
    pub fn conditions(&self) -> Vec<(&'static str, String)> {
        let Self { namespace, service_account, pod, node } = self;
        let named = [("namespace", namespace), ("service_account", service_account), ("pod", pod), ("node", node)];
        named.into_iter().filter_map(|(key, glob)| Some((key, glob.as_ref()?.to_string()))).collect()
    }

    /// How narrow it is.
    #[must_use]
    pub fn specificity(&self) -> Specificity {
        Specificity::of([&self.namespace, &self.service_account, &self.pod, &self.node])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A rule of namespace, service account, pod and node; `-` is no condition.
    fn rule(conditions: [&str; 4]) -> Result<AccountRule, Malformed> {
        let [namespace, account, pod, node] = conditions.map(|text| (text != "-").then(|| Glob::parse(text).unwrap()));
        AccountRule::new(namespace, account, pod, node)
    }

    fn account(pod: Option<&str>, node: Option<&str>) -> ServiceAccount {
        let (pod, node) = (pod.map(str::to_owned), node.map(str::to_owned));
        ServiceAccount { namespace: "pay".to_owned(), name: "roll".to_owned(), pod, node }
    }

    #[test]
    fn every_condition_must_fit() {
        let bound = account(Some("roll-7f"), Some("node-1"));
        for (conditions, expected) in [
            (["pay", "roll", "-", "-"], true),
            (["pay", "-", "-", "-"], true),
            (["-", "roll", "-", "-"], true),
            (["pay", "roll", "roll-7f", "node-1"], true),
            (["p*", "*", "roll-*", "node-*"], true),
            (["pay", "rol", "-", "-"], false),
            (["pa", "roll", "-", "-"], false),
            (["pay", "roll", "roll", "-"], false),
            (["pay", "roll", "-", "node-2"], false),
        ] {
            assert_eq!(rule(conditions).unwrap().matches(&bound), expected, "{conditions:?}");
        }
        for conditions in [["pay", "-", "*", "-"], ["pay", "-", "-", "*"]] {
            assert!(!rule(conditions).unwrap().matches(&account(None, None)), "{conditions:?}");
        }
    }

    #[test]
    fn a_rule_names_more_than_a_pod_or_a_node() {
        for conditions in [["-", "-", "-", "-"], ["-", "-", "roll-7f", "-"], ["-", "-", "x", "node-1"]] {
            assert!(rule(conditions).is_err(), "{conditions:?}");
        }
    }

    #[test]
    fn the_narrower_rule_is_the_greater() {
        let ascending = [
            ["*", "-", "-", "-"],
            ["pay-*", "-", "-", "-"],
            ["pay-roll-*", "-", "-", "-"],
            ["*", "*", "-", "-"],
            ["pay", "-", "-", "-"],
            ["pay", "*", "-", "-"],
            ["pay", "roll-*", "-", "-"],
            ["pay", "roll", "-", "-"],
            ["pay", "roll", "roll-*", "-"],
            ["pay", "roll", "roll-7f", "-"],
        ];
        assert!(ascending.map(|conditions| rule(conditions).unwrap().specificity()).is_sorted_by(|a, b| a < b));
        assert_eq!(
            rule(["pay", "-", "-", "-"]).unwrap().specificity(),
            rule(["-", "x", "-", "-"]).unwrap().specificity()
        );
    }
}
