//! Flies: an exchange as a task of its own, from its gate to its end.

use std::cmp::max_by_key;
use std::sync::Arc;

use tracing::{Instrument, Span};
use uuid::Uuid;

use super::Vend;
use super::cache::Hold;
use super::mission::{Mission, Vouching};
use super::refresh::Due;
use super::slot::{Departure, Slot};
use crate::clock::Deadline;
use crate::fault::Fault;
use crate::fault::recent::Spot;
use crate::source::{Source, Wish};
use crate::token::Token;
use crate::trace;

impl Vend {
    /// Starts the flight of `departure`, for which somebody waits, when it is somebody's turn; and the one that has to
    /// follow it.
    pub(super) fn fly(&self, departure: Departure, hold: Hold, mission: &Mission<'_>) {
        let (vend, request_id) = (self.clone(), mission.request_id.to_owned());
        let (source, stake) = (Arc::clone(&mission.source), mission.stake.cloned());
        let slot: Arc<Slot> = Arc::clone(departure.slot());
        // What a caller was served from before it is not refused afterwards.
        let (span, may_go) = (departure.span().clone(), mission.is_own && slot.weight() == 0);
        let flight = async move {
            let mission = Mission { source, request_id: &request_id, stake: stake.as_ref(), is_own: false };
            let timeout = mission.source.timeout();
            let deadline = Deadline::after(timeout);
            if departure.may_go().await {
                // The turn lasts for as long as exchanges follow one another.
                let _turn = departure.gate().turn();
                // Whoever is aboard has waited for at most half of its time, and the other half is left.
                let deadline = max_by_key(deadline, Deadline::after(timeout / 2), Deadline::left);
                let mut next = vend.pilot(departure, &mission, deadline).await;
                while let Some(departure) = next {
                    let mission = Mission { request_id: &Uuid::new_v4().to_string(), ..mission.clone() };
                    next = vend.pilot(departure, &mission, Deadline::after(timeout)).await;
                }
            }
            vend.settle(slot, &mission, hold, may_go).await;
        };
        self.0.runtime.spawn(flight.instrument(span));
    }

    /// Starts a renewal, for which nobody waits yet.
    pub(super) fn renew(&self, due: Due) {
        let Due { slot, lane, passage } = due;
        let mut hold = None;
        let claim = || {
            hold = self.0.cache.hold(&slot);
            hold.is_some()
        };
        let due_at = slot.due_at();
        let span = self.sampled_renewal();
        let Some((departure, hold)) = span.in_scope(|| slot.renew(claim)).zip(hold) else { return };
        let vend = self.clone();
        let renewal = async move {
            let stake = vend.0.stakes.at(lane.owner);
            let request_id = &Uuid::new_v4().to_string();
            let mission = Mission { source: lane.source, request_id, stake, is_own: false };
            let deadline = Deadline::after(mission.source.timeout());
            let (identity, jitter) = (mission.source.identity(), fastrand::f64());
            let result = vend.exchange(&departure, &mission, deadline, jitter).await;
            let lag = due_at.map(|due_at| vend.0.clock.now().since(due_at));
            vend.0.metrics.refreshed(identity, &result, lag.unwrap_or_default());
            // It is no errand, and so keeps nobody waiting who would have to be flown for next.
            drop(departure.land(result, vend.moment(), jitter));
            vend.settle(slot, &mission, hold, false).await;
            drop(passage);
        };
        self.0.runtime.spawn(renewal.instrument(span));
    }

    fn sampled_renewal(&self) -> Span {
        let is_sampled = self.0.sampling.is_some_and(|sampling| sampling.samples(None, fastrand::u64(..)));
        if is_sampled { trace::renewal() } else { Span::none() }
    }

    /// Flies one flight, for which somebody waits, to its end. A renewal stands back for it.
    async fn pilot(&self, departure: Departure, mission: &Mission<'_>, deadline: Deadline) -> Option<Departure> {
        // Demands have a budget of their own, and take nothing from that of renewals.
        if departure.challenge().is_none() && !departure.is_forced() {
            mission.source.allowance().yield_one(self.0.clock.now());
        }
        let jitter = fastrand::f64();
        let result = self.exchange(&departure, mission, deadline, jitter).await;
        departure.land(result, self.moment(), jitter)
    }

    async fn exchange(
        &self,
        departure: &Departure,
        mission: &Mission<'_>,
        deadline: Deadline,
        jitter: f64,
    ) -> Result<Token, Fault> {
        let wish = Wish {
            scope: &departure.slot().key().scope,
            extras: departure.slot().key().extras(),
            challenge: departure.challenge(),
            is_forced: departure.is_forced(),
            request_id: mission.request_id,
            jitter,
            deadline,
            vouch: &Vouching { vend: self, mission },
        };
        let (span, key) = (departure.span(), departure.slot().key());
        trace::departed(span, mission.request_id, key);
        let result = mission.source.fetch(wish, &self.0.metrics).instrument(span.clone()).await;
        trace::landed(span, &result);
        self.remember(&mission.source, &result);
        result
    }

    /// Keeps in mind how an exchange ended, for whoever looks at the status page.
    fn remember(&self, source: &Source, result: &Result<Token, Fault>) {
        let is_listed = self.0.sources.lists(source);
        let spot = Spot { identity: source.identity().clone(), tenant: source.tenant().cloned(), is_listed };
        match result {
            Ok(_) => self.0.recent().succeed(&spot),
            Err(fault) => self.0.recent().fail(self.0.clock.now(), spot, fault),
        }
    }

    /// After a flight: the slot is weighed anew and taken up for its next renewal, and the key is free. It `may_go`
    /// where there is no room for what came.
    async fn settle(&self, slot: Arc<Slot>, mission: &Mission<'_>, hold: Hold, may_go: bool) {
        if let Some((at, ticket)) = slot.take_up(self.0.clock.now()) {
            self.0.refresh.put(at, mission.lane(&slot), &slot, ticket);
        }
        self.0.cache.weigh(&slot, may_go);
        drop(hold);
    }
}
