//! The status page: all that an operator wants to know at a glance, on one page that asks for nothing else.

use std::sync::LazyLock;

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::Status;
use super::html::{Html, Mood};
use super::lines::{counted, credential, fault, identity, key, reload};
use super::table::Table;
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
    let more = (*left_out, "more identities are not shown.");
    IDENTITIES.write(&mut html, identities.iter(), |row, one| identity(row, one, *now), more);
    let papers = identities.iter().flat_map(|one| one.credentials.iter().map(|paper| (&one.name, paper)));
    CREDENTIALS.write(&mut html, papers, |row, (name, paper)| credential(row, name, paper, *now), (0, ""));
    let (first, keys) = census.as_ref().map_or((&[][..], 0), |census| (&census.first[..], census.keys));
    let more = (keys.saturating_sub(first.len()), "more keys are not shown: these end first.");
    KEYS.write(&mut html, first.iter(), |row, one| key(row, one, identities, *now), more);
    let reloads = [("configuration", &status.configuration), ("certificate", &status.certificate)];
    let reloads = reloads.into_iter().filter_map(|(what, last)| Some((what, last.as_deref()?)));
    RELOADS.write(&mut html, reloads, |row, (what, last)| reload(row, what, last, *now), (0, ""));
    FAULTS.write(&mut html, faults.iter(), |row, entry| fault(row, entry, identities, *now), (0, ""));
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
        .time(*at)
        .raw(REFRESHES)
        .raw("</header><main><dl>");
    html.raw("<div><dt>Identities</dt><dd>").number(identities.len() + left_out).raw("</dd><dd class=\"quiet\">");
    match failing {
        0 => html.raw("none is failing"),
        _ => html.badge(Mood::Bad, format_args!("{failing} failing")),
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
    id: "identities",
    title: "Identities",
    caption: "What each identity holds, or why not",
    columns: &["Identity", "State", "Tokens", "Held ready", "Tenants"],
    empty: "There is none.",
};
const CREDENTIALS: Table = Table {
    id: "credentials",
    title: "Credentials",
    caption: "What proves each identity, when it ends, and how it stands in the default tenant",
    columns: &["Identity", "Credential", "Ends", "Standing"],
    empty: "There is none: the host vouches for every identity.",
};
const KEYS: Table = Table {
    id: "keys",
    title: "Keys",
    caption: "What is cached, a hundred keys at most: those that end first stand first",
    columns: &["Asked for", "Identity", "State", "Age", "Remaining", "Next refresh"],
    empty: "Nobody has asked for a token yet.",
};
const RELOADS: Table = Table {
    id: "reloads",
    title: "Reloads",
    caption: "What became of the last time that the configuration, and the certificate of https listeners, was read again",
    columns: &["What", "When", "Outcome", "What was told"],
    empty: "What was read at the start was not read again.",
};
const FAULTS: Table = Table {
    id: "faults",
    title: "Recent faults",
    caption: "Exchanges that failed, the last one first",
    columns: &["When", "Identity", "Fault", "Whose turn, and what to do", "Times", "Since then"],
    empty: "None.",
};
