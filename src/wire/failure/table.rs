//! The rows: every way to fail that a service without a user can meet.
//!
//! `docs/failures.md` shows them, and `tests/failures.rs` has an authority produce every sign of each.

use std::time::Duration;

use super::Event::{Broken, Late, Unconfirmed, Unreachable, Untrusted, Unusable};
use super::Row;
use super::Sign::{self, Claims, Error, Event, NoConfiguration, NoError, Number, Otherwise, Status};
use crate::fault::Kind::{InvalidRequest, Misconfigured, RejectedCredential, Throttled, Unavailable};
use crate::fault::{Kind, Rest};

/// In the order of the documentation; the strength of their signs decides, not their order.
#[rustfmt::skip]
pub const ROWS: &[Row] = &[
    // What happens on the way, and what anybody may answer.
    row("unreachable", Unavailable, &[Event(Unreachable)], "no connection to the authority can be made",
        "ask again in a moment; if it stays so, the operator should check the network, the proxy and the trusted certificates"),
    row("untrusted", Misconfigured, &[Event(Untrusted)], "the certificate of the authority's host is not trusted",
        "set the tenant's 'ca_file' to a PEM file with the authority that signed its certificate, or install that on this machine"),
    row("broken", Unavailable, &[Event(Broken)], "the connection to the authority broke",
        "ask again in a moment; if it stays so, the operator should check the network, the proxy and the trusted certificates"),
    row("late", Unavailable, &[Event(Late)], "the authority did not answer in time",
        "ask again in a moment; if it stays so, the operator should check the network, or raise the tenant's 'timeout'"),
    row("unusable", Unavailable, &[Event(Unusable)], "the authority's answer is not what it should be",
        "ask again in a moment; if it stays so, the operator should check the authority's URL and what answers in its place"),
    row("stranger", Unavailable, &[NoError], "something that is not the authority answered",
        "ask again in a moment; if it stays so, the operator should check the authority's URL and what answers in its place"),
    row("unconfirmed", Unavailable, &[Event(Unconfirmed)],
        "whether the authority's host is one could not be found out, and nothing is sent to it before that",
        "ask again in a moment; if it stays so, the operator should check that the host which 'instance_discovery' asks can be reached"),
    // The authority itself.
    row("throttled", Throttled, &[Status(429, 429)], THROTTLING,
        PATIENCE),
    row("directory-limit", Throttled, &[Number(50_196), Number(90_055)], THROTTLING,
        "ask again in a moment; if it goes on, the operator should ask the directory's owner for its limits"),
    row("down", Unavailable, &[Status(408, 408), Status(500, 599), Error("temporarily_unavailable"), Error("server_error")],
        DOWN,
        PATIENCE),
    row("passing", Unavailable, &[Number(90_033), Number(90_012), Number(90_006), Number(50_000), Number(90_036)],
        DOWN,
        "ask again in a moment; the trouble is a passing one"),
    // The credential.
    row("secret-wrong", RejectedCredential, &[Number(7_000_215)], REJECTED,
        "the client secret is wrong: configure the value of a secret of this application, not the id of one"),
    row("secret-expired", RejectedCredential, &[Number(7_000_222)], REJECTED,
        "the client secret has expired: create a new one and configure it"),
    row("certificate-unknown", RejectedCredential, &[Number(700_027)], REJECTED,
        "the certificate's signature was not accepted: register this certificate with the application"),
    row("assertion-time", RejectedCredential, &[Number(700_024)], REJECTED,
        "the assertion is outside its time: check this machine's clock, and that the assertion file is renewed"),
    row("assertion-audience", RejectedCredential, &[Number(700_023)], REJECTED,
        "the assertion has the wrong audience: check the tenant's authority"),
    row("assertion-client", RejectedCredential, &[Number(700_021)], REJECTED,
        "the assertion speaks for another application: check client_id and the assertion file"),
    row("assertion-unreadable", RejectedCredential, &[Number(50_027)], REJECTED,
        "the assertion is no token that the authority can read: check the assertion file"),
    row("credential-missing", RejectedCredential, &[Number(7_000_218)], REJECTED,
        "the authority wants a credential: configure one for the identity"),
    row("federation-mismatch", RejectedCredential, &[Number(70_021), Number(700_211), Number(700_212), Number(700_213)],
        REJECTED,
        "no federated credential of the application matches the assertion: compare issuer, subject and audience; a new one takes some minutes to be known").resting(SPREADING),
    row("mtls-off", RejectedCredential, &[Number(51_000)], REJECTED,
        "the application may not use certificates of the connection (mTLS): enable it in the directory, or configure another credential"),
    row("mtls-mismatch", RejectedCredential, &[Number(500_181)], REJECTED,
        "the certificate of the connection is not the one that the token is bound to: configure the renewed certificate"),
    // Without a number this is all that is told, so that none of the causes can be left out.
    row("credential-rejected", RejectedCredential, &[Error("invalid_client")], REJECTED,
        "compare with what the authority has registered: 'client_id', and the secret, or the certificate with its 'algorithm'; an assertion's audience is the token endpoint that discovery told"),
    // The directory.
    row("app-unknown", Misconfigured, &[Number(700_016), Number(7_000_229)], REFUSED,
        "the application is not in this tenant: check client_id and tenant, and create its service principal; a new one takes some minutes to be known"),
    row("app-disabled", Misconfigured, &[Number(7_000_112)], REFUSED,
        "the application is disabled: enable it in the directory"),
    row("tenant-unknown", Misconfigured, &[Number(90_002), Number(900_023), Number(90_019), Number(50_059)], REFUSED,
        "the tenant does not exist: check the tenant's 'id'"),
    row("no-configuration", Misconfigured, &[NoConfiguration],
        "the authority has no OpenID configuration for this tenant",
        "check the tenant's 'authority', 'kind' and 'id', and that nothing else answers in its place"),
    row("host-unknown", Misconfigured, &[Number(50_049), Error("invalid_instance")],
        "the authority's host is unknown",
        "check the authority's host, or set 'instance_discovery = false' if you trust it"),
    // Policy and consent.
    row("consent-missing", Misconfigured, &[Number(65_001), Error("consent_required")], REFUSED,
        "grant the application the consent that it lacks"),
    row("assignment-missing", Misconfigured, &[Number(50_105)], REFUSED,
        "assign the application to the resource, which demands an assignment"),
    row("conditional-access", Misconfigured, &[Number(53_003)], REFUSED,
        "a conditional access policy blocks the application: adapt it, or ask from where it allows"),
    row("mfa-required", Misconfigured, &[Number(50_076), Number(50_079)], REFUSED,
        "a policy demands a second factor, which a service has not: exempt the application from it"),
    row("interaction-required", Misconfigured, &[Error("interaction_required"), Error("login_required"), Claims],
        REFUSED,
        "a policy demands more than a service can show: adapt it; where the answer has 'claims', a request that names them may pass"),
    row("unauthorized", Misconfigured, &[Error("unauthorized_client"), Error("access_denied")], REFUSED,
        "the application is not allowed to do this: check its permissions and its client_id in the directory"),
    // The request.
    row("resource-unknown", InvalidRequest, &[Number(500_011), Number(50_001), Error("invalid_resource"), Error("invalid_target")],
        INVALID,
        "ask for a resource whose application exists in the tenant"),
    row("scope-malformed", InvalidRequest, &[Number(70_011), Number(1_002_012), Error("invalid_scope")], INVALID,
        "ask for a resource by its App ID URI"),
    row("request-unfit", InvalidRequest, &[Number(900_144), Number(500_207)], INVALID,
        "ask for a resource that this kind of application can use"),
    // Whatever the authority comes to say.
    OTHERWISE,
];

/// The row that fits everything.
pub const OTHERWISE: Row = row(
    "refused",
    Misconfigured,
    &[Otherwise],
    REFUSED,
    "look the number up in the authority's documentation, and the correlation id in its sign-in log",
);

const fn row(
    name: &'static str,
    kind: Kind,
    signs: &'static [Sign],
    problem: &'static str,
    remedy: &'static str,
) -> Row {
    Row { name, signs, kind, problem, remedy, rest: None }
}

impl Row {
    const fn resting(mut self, rest: Rest) -> Self {
        self.rest = Some(rest);
        self
    }
}

const DOWN: &str = "the authority has a failure of its own";
const INVALID: &str = "the authority calls the request invalid";
const REFUSED: &str = "the authority refused the application";
const REJECTED: &str = "the authority rejected the credential";
const THROTTLING: &str = "the authority is throttling";
const PATIENCE: &str = "ask again in a moment; nothing else has to be done unless it goes on for long";
/// What was set up a moment ago may be known everywhere a moment later, so it is tried each minute.
const SPREADING: Rest = Rest::Doubling { first: Duration::from_secs(10), most: Duration::from_mins(1) };
