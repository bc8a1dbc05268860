//! The status page: all that an operator wants to know at a glance, on one page that asks for nothing else.

use std::sync::LazyLock;

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::Status;
use super::html::Html;
use super::lines::{counted, credential, fault, identity, key};
use super::words::{length, of_readiness};
use crate::vend::inventory::{Inventory, State};

/// What a browser may do with the page: show it with its own style. It runs and fetches nothing, and stands in no frame.
pub static POLICY: LazyLock<String> = LazyLock::new(|| {
    let style = STANDARD.encode(digest(&SHA256, STYLE.as_bytes()));
    format!(
        "default-src 'none'; style-src 'sha256-{style}'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
});

/// The page, of a bounded size. Pure.
#[must_use]
pub fn page(status: &Status) -> String {
    let Inventory { at: now, identities, left_out, census, faults } = &status.inventory;
    let mut html = Html::default();
    html.raw(HEAD).raw(STYLE).raw(AFTER_STYLE);
    head(&mut html, status);
    section(&mut html, &IDENTITIES, identities.len(), |html| {
        identities.iter().for_each(|one| identity(html, one, *now));
    });
    more(&mut html, *left_out, "more identities are not shown.");
    let papers = || identities.iter().flat_map(|one| one.credentials.iter().map(|paper| (&one.name, paper)));
    section(&mut html, &CREDENTIALS, papers().count(), |html| {
        papers().for_each(|(name, paper)| credential(html, name, paper, *now));
    });
    let (first, keys) = census.as_ref().map_or((&[][..], 0), |census| (&census.first[..], census.keys));
    section(&mut html, &KEYS, first.len(), |html| first.iter().for_each(|one| key(html, one, *now)));
    more(&mut html, keys.saturating_sub(first.len()), "more keys are not shown: these end first.");
    section(&mut html, &FAULTS, faults.len(), |html| faults.iter().for_each(|entry| fault(html, entry, *now)));
    html.raw(END);
    html.end()
}

/// What is so as a whole.
fn head(html: &mut Html, status: &Status) {
    let Inventory { at, identities, left_out, census, .. } = &status.inventory;
    let failing = identities.iter().filter(|one| one.state == State::Failing).count();
    html.raw("<header><h1>Bursar</h1><p>").badge(of_readiness(status.readiness), status.readiness.as_str());
    html.raw("</p><p class=\"quiet\">")
        .text(VERSION)
        .raw(" &middot; ")
        .text(at)
        .raw(REFRESHES)
        .raw("</header><main><dl>");
    html.raw("<div><dt>Identities</dt><dd>").number(identities.len() + left_out).raw("</dd><dd class=\"quiet\">");
    match failing {
        0 => html.raw("none is failing"),
        _ => html.number(failing).raw(" failing"),
    };
    html.raw("</dd></div><div><dt>Live tokens</dt><dd>");
    counted(html, census.as_ref().map(|census| census.total()));
    html.raw("</dd><dd class=\"quiet\">keys: ");
    counted(html, census.as_ref().map(|census| census.keys));
    html.raw("</dd></div><div><dt>Cover</dt><dd>");
    match census.as_ref().and_then(|census| census.cover) {
        Some(cover) => html.text(length(cover)),
        None => html.raw("&ndash;"),
    };
    html.raw("</dd><dd class=\"quiet\">if no authority answered any more, all who asked lately are served for so long</dd></div></dl>");
}

/// A table, and what stands there when it has no rows.
struct Table {
    head: &'static str,
    empty: &'static str,
}

fn section(html: &mut Html, table: &Table, rows: usize, write: impl FnOnce(&mut Html)) {
    html.raw(table.head);
    if rows == 0 {
        html.raw("</tbody></table></div><p class=\"quiet\">").raw(table.empty).raw("</p></section>");
        return;
    }
    write(html);
    html.raw("</tbody></table></div></section>");
}

fn more(html: &mut Html, left_out: usize, what: &'static str) {
    if left_out > 0 {
        html.raw("<p class=\"quiet\">").number(left_out).raw(" ").raw(what).raw("</p>");
    }
}

const VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), " (", env!("BURSAR_COMMIT"), ")");
const STYLE: &str = include_str!("style.css");
const HEAD: &str = "<!doctype html>
<html lang=\"en\"><head><meta charset=\"utf-8\"><title>Bursar: status</title>
<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"><meta name=\"color-scheme\" content=\"light dark\">
<meta http-equiv=\"refresh\" content=\"10\">
<link rel=\"icon\" href=\"data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 8 8'%3E%3Ccircle cx='4' cy='4' r='3' fill='%232f6f5e'/%3E%3C/svg%3E\">
<style>";
const AFTER_STYLE: &str = "</style></head><body>";
const REFRESHES: &str = " &middot; refreshes itself every 10 seconds</p>";
const END: &str = "</main></body></html>\n";
const IDENTITIES: Table = Table {
    head: "<section aria-labelledby=\"identities\"><h2 id=\"identities\">Identities</h2><div class=\"wide\" role=\"region\" aria-labelledby=\"identities\" tabindex=\"0\"><table>
<caption>What each identity holds, or why not</caption><thead><tr><th scope=\"col\">Identity</th><th scope=\"col\">State</th><th scope=\"col\">Tokens</th><th scope=\"col\">Held ready</th><th scope=\"col\">Tenants</th></tr></thead><tbody>",
    empty: "There is none.",
};
const CREDENTIALS: Table = Table {
    head: "<section aria-labelledby=\"credentials\"><h2 id=\"credentials\">Credentials</h2><div class=\"wide\" role=\"region\" aria-labelledby=\"credentials\" tabindex=\"0\"><table>
<caption>What proves each identity in its default tenant, and when it ends</caption><thead><tr><th scope=\"col\">Identity</th><th scope=\"col\">Credential</th><th scope=\"col\">Ends</th><th scope=\"col\">Standing</th></tr></thead><tbody>",
    empty: "The host vouches for all of them.",
};
const KEYS: Table = Table {
    head: "<section aria-labelledby=\"keys\"><h2 id=\"keys\">Keys</h2><div class=\"wide\" role=\"region\" aria-labelledby=\"keys\" tabindex=\"0\"><table>
<caption>What is cached, the first hundred: those that end first stand first</caption><thead><tr><th scope=\"col\">Asked for</th><th scope=\"col\">Identity</th><th scope=\"col\">State</th><th scope=\"col\">Age</th><th scope=\"col\">Remaining</th><th scope=\"col\">Next refresh</th></tr></thead><tbody>",
    empty: "Nobody has asked for a token yet.",
};
const FAULTS: Table = Table {
    head: "<section aria-labelledby=\"faults\"><h2 id=\"faults\">Recent faults</h2><div class=\"wide\" role=\"region\" aria-labelledby=\"faults\" tabindex=\"0\"><table>
<caption>Exchanges that failed, the last one first</caption><thead><tr><th scope=\"col\">When</th><th scope=\"col\">Identity</th><th scope=\"col\">Fault</th><th scope=\"col\">Whose turn, and what to do</th><th scope=\"col\">Times</th><th scope=\"col\">Since then</th></tr></thead><tbody>",
    empty: "None.",
};
