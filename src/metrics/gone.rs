//! Drops what is counted of identities and credentials that there are no more.

use std::collections::{HashMap, HashSet};

use prometheus::core::{Collector, MetricVec, MetricVecBuilder};

use super::Metrics;

/// Identities and credentials of which something is counted, by their labels.
#[derive(Debug, Default)]
pub struct Counted<'a> {
    /// The names of identities.
    pub identities: HashSet<&'a str>,
    /// The labels of credentials, each behind its identity's name.
    pub credentials: HashSet<(&'a str, &'a str)>,
}

impl Metrics {
    /// Drops the series of all identities and credentials but `those`. What is counted of others after that is there
    /// until the next time.
    pub fn keep(&self, those: &Counted<'_>) {
        those.keep_in(&self.exchanges);
        those.keep_in(&self.exchange_duration);
        those.keep_in(&self.refreshes);
        those.keep_in(&self.refresh_lag);
        those.keep_in(&self.token_remaining);
        those.keep_in(&self.credentials.expiry);
        those.keep_in(&self.credentials.rejections);
        those.keep_in(&self.credentials.preferences);
    }
}

impl Counted<'_> {
    fn keep_in<T: MetricVecBuilder>(&self, metric: &MetricVec<T>) {
        for family in metric.collect() {
            for series in family.get_metric() {
                let labels: HashMap<&str, &str> =
                    series.get_label().iter().map(|pair| (pair.name(), pair.value())).collect();
                if !self.have(&labels) {
                    // Nobody else removes any, so it is there.
                    metric.remove(&labels).ok();
                }
            }
        }
    }

    fn have(&self, labels: &HashMap<&str, &str>) -> bool {
        match (labels.get("identity"), labels.get("credential")) {
            (Some(identity), Some(credential)) => self.credentials.contains(&(identity, credential)),
            (Some(identity), None) => self.identities.contains(identity),
            (None, _) => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::clock::Timestamp;
    use crate::fault::{Fault, Kind};
    use crate::name::Name;

    #[test]
    fn what_is_gone_is_counted_no_more_and_all_else_goes_on() {
        let metrics = Metrics::new().unwrap();
        let names = ["stays", "goes"].map(|name| Name::parse(name).unwrap());
        for name in &names {
            metrics.exchanged(name, &Ok(()), Duration::ZERO);
            metrics.exchanged(name, &Err::<(), _>(Fault::new(Kind::Throttled, "p", "r")), Duration::ZERO);
            metrics.refreshed(name, &Ok(()), Duration::ZERO);
            metrics.handed(name, Duration::ZERO);
            for credential in ["secret", "secret#2"] {
                metrics.credential_ends(name, credential, Some(Timestamp::from_secs(1)));
                metrics.credential_rejected(name, credential);
            }
        }
        let page = || String::from_utf8(metrics.page(0, None)).unwrap();
        let lines = |page: &str, what: &str| page.lines().filter(|line| line.contains(what)).count();
        let before = page();
        let those = Counted { identities: HashSet::from(["stays"]), credentials: HashSet::from([("stays", "secret")]) };
        metrics.keep(&those);
        let after = page();
        assert_eq!((lines(&after, "\"goes\""), lines(&after, "\"secret#2\"")), (0, 0), "{after}");
        let of_both = |line: &&str| line.contains("\"stays\"") && !line.contains("secret#2");
        assert!(before.lines().filter(of_both).eq(after.lines().filter(of_both)), "{after}");
        metrics.exchanged(&names[1], &Ok(()), Duration::ZERO);
        assert!(lines(&page(), "\"goes\"") > 0, "what ends late is counted");
        metrics.keep(&those);
        assert_eq!(lines(&page(), "\"goes\""), 0);
    }
}
