//! The body of `/readyz`: what each identity holds, or why not.

use serde_json::{Map, Value, json};

use super::Status;
use crate::clock::Timestamp;
use crate::fault::outline::Outline;
use crate::name::Resource;
use crate::server::reload::{Outcome, Reload};
use crate::vend::inventory::{Identity, Inventory};
use crate::vend::warm::Warmth;
use crate::visible::Visible;

/// The body, of a bounded size. Pure.
#[must_use]
pub fn body(status: &Status) -> Value {
    let Inventory { at, identities, left_out, census, .. } = &status.inventory;
    let listed: Vec<Value> = identities.iter().take(MOST).map(|one| identity(one, *at)).collect();
    let mut body = Map::new();
    body.insert("status".to_owned(), status.readiness.as_str().into());
    if let Some(census) = census {
        body.insert("tokens".to_owned(), census.total().into());
    }
    if let Some(cover) = census.as_ref().and_then(|census| census.cover) {
        body.insert("cover_seconds".to_owned(), cover.as_secs().into());
    }
    for (name, last) in [("reload", &status.configuration), ("certificate", &status.certificate)] {
        body.extend(last.iter().map(|last| (name.to_owned(), reload(last))));
    }
    note_left_out(&mut body, left_out + identities.len().saturating_sub(MOST));
    body.insert("identities".to_owned(), listed.into());
    body.into()
}

fn reload(last: &Reload) -> Value {
    let mut told = Map::new();
    told.insert("at".to_owned(), last.at.to_string().into());
    let (outcome, name, texts) = match &last.outcome {
        Outcome::Taken { waiting } => ("taken", "waiting_for_restart", waiting),
        Outcome::Refused { mistakes } => ("refused", "mistakes", mistakes),
    };
    told.insert("outcome".to_owned(), outcome.into());
    if !texts.is_empty() {
        told.insert(name.to_owned(), texts.iter().take(MOST_TEXTS).map(|text| Visible(text).to_string()).collect());
        note_left_out(&mut told, texts.len().saturating_sub(MOST_TEXTS));
    }
    told.into()
}

fn identity(identity: &Identity, now: Timestamp) -> Value {
    let mut told = Map::new();
    told.insert("name".to_owned(), identity.name.as_str().into());
    told.insert("state".to_owned(), identity.state.as_str().into());
    if let Some(tokens) = identity.tokens {
        told.insert("tokens".to_owned(), tokens.into());
    }
    if !identity.warm.is_empty() {
        let shown = identity.warm.iter().take(MOST_WARM).map(|(resource, warmth)| warm(resource, warmth, now));
        told.insert("warm".to_owned(), shown.collect());
        note_left_out(&mut told, identity.warm.len().saturating_sub(MOST_WARM));
    }
    if let Some(outline) = &identity.fault {
        told.insert("fault".to_owned(), fault(outline));
    }
    told.into()
}

fn warm(resource: &Resource, warmth: &Warmth, now: Timestamp) -> Value {
    let resource = Visible(resource.as_str()).to_string();
    match warmth {
        Warmth::Held(until) => {
            json!({ "resource": resource, "state": "held", "remaining_seconds": until.since(now).as_secs() })
        }
        Warmth::Failing(outline) => json!({ "resource": resource, "state": "failing", "fault": fault(outline) }),
        Warmth::Waiting => json!({ "resource": resource, "state": "waiting" }),
    }
}

fn fault(outline: &Outline) -> Value {
    let mut told = json!({
        "code": outline.code(),
        "turn": outline.turn().as_str(),
        "problem": Visible(&outline.problem).to_string(),
        "remedy": Visible(&outline.remedy).to_string(),
    });
    if let Some(number) = outline.aadsts {
        told["aadsts"] = number.into();
    }
    if let Some(id) = &outline.correlation_id {
        told["correlation_id"] = id.as_str().into();
    }
    told
}

fn note_left_out(told: &mut Map<String, Value>, left_out: usize) {
    if left_out > 0 {
        told.insert("left_out".to_owned(), left_out.into());
    }
}

/// So many identities are told of.
const MOST: usize = 50;
/// So much of what each of them has ready.
const MOST_WARM: usize = 8;
/// So many mistakes of what was read again.
const MOST_TEXTS: usize = 20;
