//! The rows of the page's tables. What callers made up is text.

use super::html::{Html, Mood};
use super::table::Row;
use super::words::{distance, length, of_expiry, of_key, of_state, refresh, remaining};
use crate::clock::Timestamp;
use crate::fault::Turn;
use crate::fault::outline::Outline;
use crate::fault::recent::Entry;
use crate::name::{Name, Resource, TenantId};
use crate::server::reload::{Outcome, Reload};
use crate::vend::census::Key;
use crate::vend::inventory::{Credential, Identity, Tenant};
use crate::vend::warm::Warmth;

/// An identity: what it holds, and where.
pub(super) fn identity(row: &mut Row<'_>, one: &Identity, now: Timestamp) {
    row.head(|html| {
        html.text(&one.name);
    });
    row.cell(|html| {
        html.badge(of_state(one.state), one.state.as_str());
        if let Some(outline) = &one.fault {
            remedy(html, outline);
        }
    });
    row.cell(|html| counted(html, one.tokens));
    row.cell(|html| held_ready(html, &one.warm, now));
    row.cell(|html| {
        for (n, tenant) in one.tenants.iter().enumerate() {
            html.raw("<div>").text(&tenant.name);
            if let Some(id) = &tenant.id {
                html.raw(" <span class=\"quiet whole id\">").text(id).raw("</span>");
            }
            html.raw("</div>");
            // Tenants of one authority have it below the last of them.
            if one.tenants.get(n + 1).is_none_or(|next| next.authority != tenant.authority) {
                html.raw("<div class=\"quiet\">at ").text(&tenant.authority).raw("</div>");
            }
        }
        and_more(html, one.tenants_left_out);
        if one.takes_any_tenant {
            html.raw("<div class=\"quiet\">any that a caller names</div>");
        }
    });
}

fn held_ready(html: &mut Html, warm: &[(Resource, Warmth)], now: Timestamp) {
    if warm.is_empty() {
        html.raw("<span class=\"quiet\">nothing</span>");
    }
    for (resource, warmth) in warm.iter().take(MOST_WARM) {
        html.raw("<div class=\"long\">").text(resource.as_str()).raw(" ");
        match warmth {
            Warmth::Held(until) => html.badge(Mood::Good, length(until.since(now))),
            Warmth::Failing(outline) => html.badge(Mood::Bad, outline.code()),
            Warmth::Waiting => html.badge(Mood::Watch, "waiting"),
        };
        html.raw("</div>");
    }
    and_more(html, warm.len().saturating_sub(MOST_WARM));
}

/// A number that may not be known yet.
pub(super) fn counted(html: &mut Html, number: Option<usize>) {
    match number {
        Some(number) => html.number(number),
        None => html.raw("being counted"),
    };
}

fn and_more(html: &mut Html, left_out: usize) {
    if left_out > 0 {
        html.raw("<div class=\"quiet\">and ").number(left_out).raw(" more</div>");
    }
}

/// A reload: of what, and what became of it.
pub(super) fn reload(row: &mut Row<'_>, what: &'static str, last: &Reload, now: Timestamp) {
    row.head(|html| {
        html.raw(what);
    });
    row.cell(|html| {
        html.text(distance(last.at, now)).raw("<div class=\"quiet whole\">").time(last.at).raw("</div>");
    });
    let texts = match &last.outcome {
        Outcome::Taken { waiting } => {
            row.cell(|html| {
                html.badge(Mood::Good, "holds");
            });
            waiting
        }
        Outcome::Refused { mistakes } => {
            row.cell(|html| {
                html.badge(Mood::Bad, "refused").raw(" the one before holds");
            });
            mistakes
        }
    };
    row.cell(|html| {
        if !last.is_refused() && !texts.is_empty() {
            html.raw("<div>these keys wait for a restart:</div>");
        }
        for text in texts.iter().take(MOST_TEXTS) {
            html.raw("<div class=\"long\">").text(text).raw("</div>");
        }
        and_more(html, texts.len().saturating_sub(MOST_TEXTS));
    });
}

/// A credential: when it ends, and how it stands with the authority.
pub(super) fn credential(row: &mut Row<'_>, identity: &Name, one: &Credential, now: Timestamp) {
    row.head(|html| {
        html.text(identity);
    });
    row.cell(|html| {
        html.text(&one.label);
    });
    row.cell(|html| match &one.expiry {
        None => {
            html.raw("<span class=\"quiet\">not known</span>");
        }
        Some(expiry) => {
            let (mood, word) = of_expiry(expiry, now);
            html.badge(mood, word).raw(" ").text(distance(expiry.at, now));
            html.raw("<div class=\"quiet whole\">").time(expiry.at).raw("</div>");
        }
    });
    row.cell(|html| match (&one.barred, one.is_first) {
        (Some((until, outline)), _) => {
            html.badge(Mood::Bad, outline.code()).raw(" rests, and is tried again ").text(distance(*until, now));
            remedy(html, outline);
        }
        (None, true) => {
            html.badge(Mood::Good, "tried first");
        }
        (None, false) => {
            html.badge(Mood::Plain, "in reserve");
        }
    });
}

/// A key: what it is for, and how old its token is.
pub(super) fn key(row: &mut Row<'_>, one: &Key, identities: &[Identity], now: Timestamp) {
    row.head(|html| {
        html.raw("<div class=\"long\">").text(&one.scope).raw("</div>");
        if let Some(path) = &one.fmi_path {
            html.raw("<div class=\"quiet long\">fmi_path ").text(path).raw("</div>");
        }
        if one.has_claims {
            html.raw("<div class=\"quiet\">with claims of its caller's</div>");
        }
    });
    row.cell(|html| {
        html.text(&one.identity);
        tenant_called(html, &one.identity, &one.tenant, identities);
    });
    row.cell(|html| {
        let (mood, word) = of_key(one, now);
        html.badge(mood, word);
        if one.is_warm {
            html.raw(" ").badge(Mood::Plain, "held ready");
        }
        if let Some(outline) = &one.failure {
            html.raw("<div class=\"quiet\">").text(outline.code()).raw("</div>");
        }
    });
    let Some(times) = &one.times else {
        let none = |html: &mut Html| {
            html.raw("&ndash;");
        };
        row.cell(none).cell(none).cell(none);
        return;
    };
    row.cell(|html| {
        html.text(length(now.since(times.issued_at)));
    });
    row.cell(|html| {
        html.raw("<span class=\"whole\"><meter min=\"0\" max=\"100\" low=\"10\" high=\"25\" optimum=\"100\" ");
        html.raw("aria-label=\"percent of its life\" value=\"").text(remaining(times, now)).raw("\"></meter> ");
        html.text(length(times.expires_at.since(now))).raw("</span>");
    });
    row.cell(|html| {
        html.text(refresh(times, one.is_flying, now));
    });
}

/// Failures that are alike.
pub(super) fn fault(row: &mut Row<'_>, entry: &Entry, identities: &[Identity], now: Timestamp) {
    row.cell(|html| {
        html.text(distance(entry.at, now));
    });
    row.head(|html| {
        html.text(&entry.spot.identity);
        if let Some(id) = &entry.spot.tenant {
            tenant_called(html, &entry.spot.identity, id, identities);
        }
    });
    row.cell(|html| {
        html.badge(if entry.is_over { Mood::Plain } else { Mood::Bad }, entry.outline.code());
        if let Some(number) = entry.outline.aadsts {
            html.raw("<div class=\"quiet\">AADSTS").text(number).raw("</div>");
        }
    });
    row.cell(|html| {
        remedy(html, &entry.outline);
        if let Some(id) = &entry.outline.correlation_id {
            html.raw("<div class=\"quiet\">correlation id ").text(id).raw("</div>");
        }
    });
    row.cell(|html| {
        html.number(usize::try_from(entry.count).unwrap_or(usize::MAX));
    });
    row.cell(|html| {
        html.raw(if entry.is_over { "a token came" } else { "no token came" });
    });
}

/// A tenant by the name that the configuration gives it, where that is shown.
fn tenant_called(html: &mut Html, identity: &Name, id: &TenantId, identities: &[Identity]) {
    let tenants = identities.iter().filter(|one| one.name == *identity).flat_map(|one| &one.tenants);
    let named = tenants.filter(|tenant| tenant.id.as_ref() == Some(id)).map(|tenant: &Tenant| &tenant.name).next();
    html.raw("<div class=\"quiet\">");
    match named {
        Some(name) => html.text(name),
        None => html.text(id),
    };
    html.raw("</div>");
}

/// What is wrong, whose turn it is, and what to do.
fn remedy(html: &mut Html, outline: &Outline) {
    html.raw("<div class=\"note\">")
        .text(&outline.problem)
        .raw(". <strong>")
        .raw(turn(outline.turn()))
        .raw(":</strong> ");
    html.text(&outline.remedy).raw(".</div>");
}

const fn turn(turn: Turn) -> &'static str {
    match turn {
        Turn::Authority => "The authority's turn",
        Turn::Caller => "The caller's turn",
        Turn::Operator => "The operator's turn",
        Turn::Us => "A bug of Bursar's",
    }
}

/// So much of what an identity has ready is shown.
const MOST_TEXTS: usize = 20;
const MOST_WARM: usize = 8;
