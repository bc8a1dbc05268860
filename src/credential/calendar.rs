//! Keeps the ends of all credentials: on the metrics page, and as warnings in the log.

use std::collections::{HashMap, HashSet};

use super::expiry::{Expiry, Stage, due};
use crate::clock::Timestamp;
use crate::metrics::Metrics;
use crate::name::Name;

/// What is known of each credential of each identity.
#[derive(Debug, Default)]
pub struct Calendar {
    warned: HashMap<Entry, (Timestamp, Stage)>,
    /// Those that were noted in this round, and in the last one.
    noted: HashSet<Entry>,
    before: HashSet<Entry>,
}

/// An identity, and what a credential is called among its own.
type Entry = (Name, Box<str>);

impl Calendar {
    /// Notes when a credential ends, and warns when that is due. `label` is its name among those of the
    /// identity.
    pub fn note(&mut self, identity: &Name, label: &str, expiry: Option<Expiry>, now: Timestamp, metrics: &Metrics) {
        metrics.credential_ends(identity, label, expiry.map(|expiry| expiry.at));
        let key = (identity.clone(), Box::from(label));
        self.noted.insert(key.clone());
        let Some(expiry) = expiry else { return };
        if let Some(stage) = due(&expiry, now, self.warned.get(&key).copied()) {
            warn(identity, label, &expiry, stage, now);
            self.warned.insert(key, (expiry.at, stage));
        }
    }

    /// Each credential that there is, behind its identity.
    pub fn entries(&self) -> impl Iterator<Item = (&Name, &str)> {
        self.before.iter().map(|(identity, label)| (identity, &**label))
    }

    /// Every credential was noted that there is; those that were there before and are gone are forgotten.
    pub fn turn(&mut self, metrics: &Metrics) {
        for gone in self.before.difference(&self.noted) {
            metrics.credential_ends(&gone.0, &gone.1, None);
            self.warned.remove(gone);
        }
        self.before = std::mem::take(&mut self.noted);
    }
}

fn warn(identity: &Name, credential: &str, expiry: &Expiry, stage: Stage, now: Timestamp) {
    let (identity, expires_at, days_left) = (identity.as_str(), expiry.at, expiry.at.since(now).as_secs() / 86_400);
    match stage {
        Stage::Month | Stage::Week | Stage::Day => {
            tracing::warn!(identity, credential, %expires_at, days_left, "the credential expires soon: renew it");
        }
        Stage::Past => {
            tracing::warn!(identity, credential, %expires_at, "the credential has expired: renew it, or correct 'expires'");
        }
        Stage::Late => {
            tracing::warn!(
                identity,
                credential,
                %expires_at,
                "the assertion has expired or is about to: look why its file or URL is not renewed"
            );
        }
    }
}
