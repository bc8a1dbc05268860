//! The dialects whose variables SDKs read, and what has to be known of those that are not for everybody.

use super::client::CLIENTS;
use crate::dialect::Dialect;

/// A dialect as a way to a service.
#[derive(Debug)]
pub struct Way {
    /// The dialect.
    pub name: &'static str,
    /// What it cannot do or what it takes, one line each; nothing of those that are printed unasked.
    pub catches: &'static [&'static str],
}

/// The best way to what is `served`; none where no variable leads there.
pub(super) fn best(served: &[&'static Dialect]) -> Option<&'static Dialect> {
    WAYS.iter().find_map(|way| served.iter().copied().find(|dialect| dialect.name == way.name))
}

/// What has to be known of a dialect, one line each, and who speaks it.
pub(super) fn catches(dialect: &Dialect) -> Vec<String> {
    let told = WAYS.iter().find(|way| way.name == dialect.name).map_or(&[][..], |way| way.catches);
    if told.is_empty() {
        return Vec::new();
    }
    let speaks = CLIENTS.iter().filter(|client| client.dialects.contains(&dialect.name)).map(|client| client.name);
    let who = format!("not every client speaks {}; these do: {}", dialect.name, speaks.collect::<Vec<_>>().join(", "));
    std::iter::once(who).chain(told.iter().map(|catch| (*catch).to_owned())).collect()
}

/// All of them, the best first.
pub const WAYS: &[Way] = &[
    Way { name: "app-service", catches: &[] },
    Way { name: "imds", catches: &[] },
    Way {
        name: "arc",
        catches: &[
            "a client has to be on this machine, and allowed to read the key files in /var/opt/azcmagent/tokens",
        ],
    },
    Way {
        name: "cloud-shell",
        catches: &["most clients get the default identity here, and refuse to ask for another"],
    },
    Way { name: "app-service-2017", catches: &["most clients can name another identity by its client id alone here"] },
    Way {
        name: "service-fabric",
        catches: &[
            "most clients get the default identity here, and refuse to ask for another",
            "clients for Node and Java do not go by the thumbprint, and have to be told to trust the certificate",
        ],
    },
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::table::DIALECTS;

    fn position(name: &str) -> Option<usize> {
        WAYS.iter().position(|way| way.name == name)
    }

    #[test]
    fn every_dialect_that_variables_lead_to_is_a_way() {
        for dialect in DIALECTS {
            assert_eq!(position(dialect.name).is_some(), !dialect.exports.is_empty(), "{}", dialect.name);
            let is_for_everybody = dialect.is_default || dialect.exports.is_empty();
            assert_eq!(catches(dialect).is_empty(), is_for_everybody, "{}", dialect.name);
            assert!(catches(dialect).iter().all(|line| !line.contains('\n')), "{}", dialect.name);
        }
    }

    #[test]
    fn every_client_prefers_the_same() {
        for client in CLIENTS {
            let places: Vec<_> = client.dialects.iter().map(|name| position(name).unwrap()).collect();
            assert!(places.is_sorted(), "{}: {:?}", client.name, client.dialects);
        }
    }

    #[test]
    fn the_best_that_is_served_is_chosen() {
        for (names, expected) in [
            (&["native"][..], None),
            (&["native", "service-fabric"], Some("service-fabric")),
            (&["app-service-2017", "cloud-shell", "arc"], Some("arc")),
            (&["service-fabric", "app-service-2017", "cloud-shell"], Some("cloud-shell")),
            (&["imds", "arc", "app-service"], Some("app-service")),
        ] {
            let served: Vec<_> = DIALECTS.iter().filter(|dialect| names.contains(&dialect.name)).collect();
            assert_eq!(best(&served).map(|dialect| dialect.name), expected);
        }
    }
}
