//! The rows of the page's tables.

use super::html::{Html, Mood};
use super::words::{distance, length, of_expiry, of_key, of_state, refresh, remaining};
use crate::clock::Timestamp;
use crate::fault::Turn;
use crate::fault::outline::Outline;
use crate::fault::recent::Entry;
use crate::name::{Name, Resource};
use crate::vend::census::Key;
use crate::vend::inventory::{Credential, Identity};
use crate::vend::warm::Warmth;

/// An identity: what it holds, and where.
pub(super) fn identity(html: &mut Html, one: &Identity, now: Timestamp) {
    html.raw("<tr><th scope=\"row\">").text(&one.name).raw("</th>");
    html.cell(|html| {
        html.badge(of_state(one.state), one.state.as_str());
        if let Some(outline) = &one.fault {
            html.raw("<div class=\"note\">");
            remedy(html, outline);
            html.raw("</div>");
        }
    });
    html.cell(|html| {
        counted(html, one.tokens);
    });
    html.cell(|html| held_ready(html, &one.warm, now));
    html.cell(|html| {
        for place in &one.places {
            html.raw("<div>").text(&place.name).raw(" <span class=\"quiet\">");
            if let Some(id) = &place.id {
                html.text(id).raw(" at ");
            }
            html.text(&place.authority).raw("</span></div>");
        }
        and_more(html, one.places_left_out);
    });
    html.raw("</tr>");
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

/// A credential: when it ends, and how it stands with the authority.
pub(super) fn credential(html: &mut Html, identity: &Name, one: &Credential, now: Timestamp) {
    html.raw("<tr><th scope=\"row\">").text(identity).raw("</th>").cell(|html| {
        html.text(&one.label);
    });
    html.cell(|html| match &one.expiry {
        None => {
            html.raw("<span class=\"quiet\">not known</span>");
        }
        Some(expiry) => {
            let (mood, word) = of_expiry(expiry, now);
            html.badge(mood, word).raw(" ").text(distance(expiry.at, now));
            html.raw(" <span class=\"quiet\">").text(expiry.at).raw("</span>");
        }
    });
    html.cell(|html| match (&one.barred, one.is_first) {
        (Some((until, outline)), _) => {
            html.badge(Mood::Bad, outline.code()).raw(" not used again before ").text(distance(*until, now));
            html.raw("<div class=\"note\">");
            remedy(html, outline);
            html.raw("</div>");
        }
        (None, true) => {
            html.badge(Mood::Good, "tried first");
        }
        (None, false) => {
            html.badge(Mood::Plain, "in reserve");
        }
    });
    html.raw("</tr>");
}

/// A key: what it is for, and how old its token is. What callers made up is text.
pub(super) fn key(html: &mut Html, one: &Key, now: Timestamp) {
    html.raw("<tr><th scope=\"row\" class=\"long\">").text(&one.scope);
    if let Some(path) = &one.fmi_path {
        html.raw("<div class=\"quiet\">fmi_path ").text(path).raw("</div>");
    }
    if one.has_claims {
        html.raw("<div class=\"quiet\">with claims of its caller's</div>");
    }
    html.raw("</th>").cell(|html| {
        html.text(&one.identity).raw("<div class=\"quiet\">").text(&one.tenant).raw("</div>");
    });
    html.cell(|html| {
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
        html.raw("<td>&ndash;</td><td>&ndash;</td><td>&ndash;</td></tr>");
        return;
    };
    html.cell(|html| {
        html.text(length(now.since(times.issued_at)));
    });
    html.cell(|html| {
        html.raw("<meter min=\"0\" max=\"100\" low=\"25\" high=\"50\" optimum=\"100\" aria-label=\"percent of its life\" value=\"");
        html.text(remaining(times, now)).raw("\"></meter> ").text(length(times.expires_at.since(now)));
    });
    html.cell(|html| {
        html.text(refresh(times, one.is_flying, now));
    });
    html.raw("</tr>");
}

/// Failures that are alike.
pub(super) fn fault(html: &mut Html, entry: &Entry, now: Timestamp) {
    html.raw("<tr>").cell(|html| {
        html.text(distance(entry.at, now));
    });
    html.raw("<th scope=\"row\">").text(&entry.origin.identity);
    if let Some(tenant) = &entry.origin.tenant {
        html.raw("<div class=\"quiet\">").text(tenant).raw("</div>");
    }
    html.raw("</th>").cell(|html| {
        html.badge(if entry.is_over { Mood::Plain } else { Mood::Bad }, entry.outline.code());
        if let Some(number) = entry.outline.aadsts {
            html.raw("<div class=\"quiet\">AADSTS").text(number).raw("</div>");
        }
    });
    html.cell(|html| {
        remedy(html, &entry.outline);
        if let Some(id) = &entry.outline.correlation_id {
            html.raw("<div class=\"quiet\">correlation id ").text(id).raw("</div>");
        }
    });
    html.cell(|html| {
        html.number(usize::try_from(entry.count).unwrap_or(usize::MAX));
    });
    html.raw("<td>").raw(if entry.is_over { "a token came" } else { "no token came" }).raw("</td></tr>");
}

/// What is wrong, whose turn it is, and what to do.
fn remedy(html: &mut Html, outline: &Outline) {
    html.text(&outline.problem).raw(". <strong>").raw(turn(outline.turn())).raw(":</strong> ");
    html.text(&outline.remedy).raw(".");
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
const MOST_WARM: usize = 8;
