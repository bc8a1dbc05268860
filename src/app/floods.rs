//! Tells the log how many lines of a flood it has not.

use std::sync::Arc;
use std::time::Duration;

use crate::clock::{Clock, Timestamp};
use crate::flood::{Concern, Floods};
use crate::name::Name;

/// Tells each minute of the floods that are over, for as long as anybody may bring one about.
pub(super) fn settle_forever(floods: &Arc<Floods<Concern>>, clock: Clock) {
    let floods = Arc::downgrade(floods);
    tokio::spawn(async move {
        loop {
            tokio::time::sleep(MINUTE).await;
            let Some(floods) = floods.upgrade() else { return };
            settle(&floods, clock.now());
        }
    });
}

/// At the level of the lines that are missing.
fn settle(floods: &Floods<Concern>, now: Timestamp) {
    for (concern, suppressed) in floods.settle(now) {
        let (line, kind) = (concern.event.as_str(), concern.kind.code());
        let (caller, identity) =
            (concern.caller.as_ref().map(Name::as_str), concern.identity.as_ref().map(Name::as_str));
        if concern.is_usual() {
            tracing::info!(line, kind, caller, identity, suppressed, "lines of a flood were not written");
        } else {
            tracing::warn!(line, kind, caller, identity, suppressed, "lines of a flood were not written");
        }
    }
}

const MINUTE: Duration = Duration::from_mins(1);
