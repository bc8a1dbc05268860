//! Tells what became of what was read again: in the log, on the metrics page, and to whoever asks the admin listener.

use std::path::Path;
use std::sync::Arc;

use super::ground::Ground;
use crate::clock::Clock;
use crate::fault::Fault;
use crate::metrics::{Metrics, Reloaded};
use crate::server::reload::{Outcome, Reload, Reloads};
use crate::server::tls::renewal::Change;

/// Who tells, and what was told last.
pub(super) struct Tidings {
    clock: Clock,
    metrics: Arc<Metrics>,
    pub(super) reloads: Arc<Reloads>,
}

impl Tidings {
    /// Nothing was read again yet.
    pub(super) fn new(ground: &Ground) -> Self {
        Self { clock: ground.clock.clone(), metrics: Arc::clone(&ground.metrics), reloads: Arc::default() }
    }

    /// Something was read for the first time.
    pub(super) fn loaded(&self, what: Reloaded) {
        self.metrics.loaded(what, self.clock.now());
    }

    /// Whether nothing came of the last reload of the configuration.
    pub(super) fn was_refused(&self) -> bool {
        self.reloads.configuration.load().as_ref().is_some_and(|last| last.is_refused())
    }

    /// The configuration holds, but for the keys that are `waiting` for a restart. It is in the file at `path`, if in one.
    pub(super) fn taken(&self, path: Option<&Path>, waiting: Vec<String>) {
        match path {
            Some(path) => tracing::info!(file = %path.display(), "the configuration was read again, and holds"),
            None => {
                tracing::info!("there is no configuration file: what the variables of the start name was read again");
            }
        }
        if !waiting.is_empty() {
            tracing::warn!(keys = waiting.join(", "), "these keys have changed and wait for a restart");
        }
        self.note(Reloaded::Configuration, Outcome::Taken { waiting });
    }

    /// Nothing came of the configuration in the file at `path`, if in one. What is just as wrong as it was is told when
    /// somebody asks or changes it.
    pub(super) fn refused(&self, path: Option<&Path>, mistakes: Vec<String>, is_new: bool) {
        let outcome = Outcome::Refused { mistakes };
        if !is_new && self.reloads.configuration.load().as_ref().is_some_and(|last| last.outcome == outcome) {
            return;
        }
        if let Outcome::Refused { mistakes } = &outcome {
            let count = mistakes.len();
            tracing::error!(mistakes = count, "the configuration was read again and has mistakes; nothing has changed");
            for mistake in mistakes.iter().take(MOST) {
                tracing::error!("{mistake}");
            }
            if let Some(more) = count.checked_sub(MOST).filter(|more| *more > 0) {
                let file = path.map(|path| format!(" --config {}", path.display())).unwrap_or_default();
                tracing::error!(more, command = format!("bursar check{file}"), "a command lists the other mistakes");
            }
        }
        self.note(Reloaded::Configuration, outcome);
    }

    /// What became of the listeners' certificate.
    pub(super) fn certificate(&self, looked: Result<Change, Fault>) {
        let mistakes = match looked {
            Ok(Change::None) => return,
            Ok(Change::New) => {
                tracing::info!("https listeners show a new certificate");
                None
            }
            Ok(Change::Back) => {
                tracing::info!("the listeners' certificate on disk is the one that they show again");
                None
            }
            Err(fault) => {
                tracing::error!(%fault, inward = fault.inward(), "https listeners show the old certificate");
                Some(vec![told(&fault)])
            }
        };
        let taken = Outcome::Taken { waiting: Vec::new() };
        self.note(Reloaded::Certificate, mistakes.map_or(taken, |mistakes| Outcome::Refused { mistakes }));
    }

    fn note(&self, what: Reloaded, outcome: Outcome) {
        let reload = Reload { at: self.clock.now(), outcome };
        let (is_good, at) = (!reload.is_refused(), reload.at);
        let last = match what {
            Reloaded::Certificate => &self.reloads.certificate,
            Reloaded::Configuration => &self.reloads.configuration,
        };
        last.store(Some(Arc::new(reload)));
        self.metrics.reloaded(what, is_good, at);
    }
}

/// All that an operator is told of a fault.
pub(super) fn told(fault: &Fault) -> String {
    format!("{fault} {}", fault.inward().unwrap_or_default())
}

/// So many mistakes are written to the log: a file of another kind may have thousands.
const MOST: usize = 20;
