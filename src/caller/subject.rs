//! Whom a client certificate is for, and which of them a configured caller is.

use super::glob::Glob;
use super::specificity::Specificity;

/// The names in a certificate that a listener has verified.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Subject {
    /// The URIs among its alternative names. One that is a SPIFFE id must be the only one.
    pub uris: Vec<String>,
    /// The DNS names among them, in lower case.
    pub dns_names: Vec<String>,
    /// The distinguished name, as RFC 4514 writes it.
    pub distinguished_name: String,
}

impl Subject {
    /// The SPIFFE id, if there is exactly one URI and it is one
    /// (<https://spiffe.io/docs/latest/spiffe-specs/x509-svid/#2-spiffe-id>).
    #[must_use]
    pub fn spiffe_id(&self) -> Option<&str> {
        match &self.uris[..] {
            [only] if is_spiffe_id(only) => Some(only),
            _ => None,
        }
    }
}

/// Whether it has the form of one: a path that could be read in two ways is none.
fn is_spiffe_id(uri: &str) -> bool {
    let plain = |segment: &str| !matches!(segment, "" | "." | "..");
    uri.strip_prefix("spiffe://").is_some_and(|rest| rest.split('/').all(plain))
}

/// Whether it has the form of one: no pattern is to meet a blank or a null in it.
fn is_dns_name(name: &str) -> bool {
    name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._*".contains(&byte))
}

/// Which certificates are meant; what is none does not matter, and not all are.
#[derive(Clone, Debug, PartialEq)]
pub struct SubjectRule {
    /// The SPIFFE id.
    pub spiffe_id: Option<Glob>,
    /// One of the DNS names.
    pub dns_name: Option<Glob>,
    /// The whole distinguished name. It is no pattern: what is escaped in it could be taken for its structure.
    pub subject: Option<String>,
}

impl SubjectRule {
    /// Whether everything that it says is true of the certificate.
    #[must_use]
    pub fn matches(&self, subject: &Subject) -> bool {
        let is_met = |rule: &Option<Glob>, names: &[&str]| {
            rule.as_ref().is_none_or(|glob| names.iter().any(|name| glob.matches(name)))
        };
        let dns_names: Vec<&str> =
            subject.dns_names.iter().map(String::as_str).filter(|name| is_dns_name(name)).collect();
        is_met(&self.spiffe_id, subject.spiffe_id().as_slice())
            && is_met(&self.dns_name, &dns_names)
            && self.subject.as_ref().is_none_or(|whole| *whole == subject.distinguished_name)
    }

    /// What it says, as the configuration writes it.
    #[must_use]
    pub fn conditions(&self) -> Vec<(&'static str, String)> {
        let named = [("spiffe_id", &self.spiffe_id), ("dns_name", &self.dns_name)];
        let globs = named.into_iter().filter_map(|(key, glob)| Some((key, glob.as_ref()?.to_string())));
        globs.chain(self.subject.iter().map(|whole| ("subject", whole.clone()))).collect()
    }

    /// How much it says: one that says more is meant rather than one that says less.
    #[must_use]
    pub fn specificity(&self) -> Specificity {
        Specificity::of([&self.spiffe_id, &self.dns_name]).and_exact(usize::from(self.subject.is_some()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_that_a_rule_says_must_be_true() {
        let glob = |text: &str| Some(Glob::parse(text).unwrap());
        let workload = Subject {
            uris: vec!["spiffe://corp/ns/shop/sa/billing".to_owned()],
            dns_names: vec!["billing.shop.svc".to_owned()],
            distinguished_name: "CN=billing,O=corp".to_owned(),
        };
        let rule = |spiffe_id, dns_name, subject| SubjectRule { spiffe_id, dns_name, subject };
        for (rule, fits) in [
            (rule(glob("spiffe://corp/ns/shop/sa/billing"), None, None), true),
            (rule(glob("spiffe://corp/ns/shop/*"), None, None), true),
            (rule(glob("spiffe://corp/ns/shop"), None, None), false),
            (rule(None, glob("*.shop.svc"), None), true),
            (rule(None, glob("shop.svc"), None), false),
            (rule(None, None, Some("CN=billing,O=corp".to_owned())), true),
            (rule(None, None, Some("CN=billing".to_owned())), false),
            (rule(None, None, Some("CN=*,O=corp".to_owned())), false),
            (rule(glob("spiffe://corp/*"), glob("other.svc"), None), false),
        ] {
            assert_eq!(rule.matches(&workload), fits, "{rule:?}");
        }
        for odd in ["spiffe://corp/ns/shop/../pay", "spiffe://corp//pay", "spiffe://corp/pay/", "https://corp/pay"] {
            let odd = Subject { uris: vec![odd.to_owned()], ..Subject::default() };
            assert!(!rule(glob("*"), None, None).matches(&odd), "{odd:?}");
        }
        for odd in ["evil\0.shop.svc", "evil .shop.svc", "\u{e9}.shop.svc"] {
            let odd = Subject { dns_names: vec![odd.to_owned()], ..Subject::default() };
            assert!(!rule(None, glob("*.shop.svc"), None).matches(&odd), "{odd:?}");
        }
        let two = Subject { uris: vec!["spiffe://corp/a".to_owned(), "spiffe://corp/b".to_owned()], ..workload };
        assert!(!rule(glob("spiffe://corp/a"), None, None).matches(&two), "a certificate of two SPIFFE ids has none");
    }
}
