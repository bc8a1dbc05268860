//! What the admin listener tells of the process at one moment: as JSON for probes, and as a page for people.

use std::sync::Arc;

use super::Service;
use super::phase::Phase;
use super::reload::{Reload, Reloads};
use crate::vend::inventory::Inventory;

mod body;
mod html;
mod lines;
mod page;
mod table;
mod words;

pub use body::body;
pub use page::{POLICY, page};

/// All that is told. Whoever adds to it adds a field here, and says in [`body()`] and [`page()`] how it is shown.
#[derive(Clone, Debug)]
pub struct Status {
    /// Whether requests should be sent here.
    pub readiness: Readiness,
    /// What the core holds.
    pub inventory: Inventory,
    /// What became of the last reload of the configuration, if there was one.
    pub configuration: Option<Arc<Reload>>,
    /// The same of what https listeners show.
    pub certificate: Option<Arc<Reload>>,
}

/// Whether requests should be sent here, and why not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Readiness {
    /// Not any more: the process ends.
    Draining,
    /// They should.
    Ready,
    /// Not yet: the listeners open.
    Starting,
    /// Not yet: what is to be held ready is being fetched.
    Warming,
}

impl Status {
    /// What is so now.
    pub async fn of(service: &Service) -> Self {
        let vend = service.charter.load().vend.clone();
        let readiness = Readiness::of(&service.phase, vend.is_warmed_up());
        let Reloads { certificate, configuration } = &*service.reloads;
        let (certificate, configuration) = (certificate.load_full(), configuration.load_full());
        Self { readiness, inventory: vend.inventory().await, configuration, certificate }
    }
}

impl Readiness {
    fn of(phase: &Phase, is_warmed_up: bool) -> Self {
        match (phase.is_draining(), phase.is_serving(), is_warmed_up) {
            (true, _, _) => Self::Draining,
            (false, true, true) => Self::Ready,
            (false, true, false) => Self::Warming,
            (false, false, _) => Self::Starting,
        }
    }

    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Draining => "draining",
            Self::Ready => "ready",
            Self::Starting => "starting",
            Self::Warming => "warming",
        }
    }
}
