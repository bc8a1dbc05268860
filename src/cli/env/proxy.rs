//! Which hosts no proxy may come between: one would add `X-Forwarded-For`, and could not reach this machine anyway.

use url::Url;

/// The value for `NO_PROXY`: this machine, instance metadata, where the service is, and what stood there before.
pub(super) fn exempt(base: Option<&str>, before: Option<&str>) -> String {
    let host = base.and_then(|base| Url::parse(base).ok()).and_then(|url| url.host_str().map(str::to_owned));
    let host = host.as_deref().map(|host| host.trim_matches(['[', ']']));
    let mut hosts: Vec<&str> = ALWAYS.to_vec();
    for other in host.into_iter().chain(before.unwrap_or_default().split(',').map(str::trim)) {
        if !other.is_empty() && !hosts.contains(&other) {
            hosts.push(other);
        }
    }
    hosts.join(",")
}

const ALWAYS: [&str; 3] = ["127.0.0.1", "localhost", "169.254.169.254"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stood_there_before_stays() {
        let always = "127.0.0.1,localhost,169.254.169.254";
        for (base, before, expected) in [
            (None, None, always.to_owned()),
            (Some("http://127.0.0.1:1"), None, always.to_owned()),
            (Some("http://10.0.0.7:1"), Some(""), format!("{always},10.0.0.7")),
            (Some("http://[::1]:1"), None, format!("{always},::1")),
            (None, Some(".corp, localhost"), format!("{always},.corp")),
        ] {
            let value = exempt(base, before);
            assert_eq!(value, expected);
            assert_eq!(exempt(base, Some(&value)), value, "a second time changes nothing");
        }
    }
}
