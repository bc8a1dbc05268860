//! Decodes what an authority answered into a token or a fault. Looks at the status and the body alone.

use std::time::{Duration, SystemTime};

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{Incoming, aadsts, unusable};
use crate::clock::Timestamp;
use crate::fault::{Fault, Kind};
use crate::secret::Secret;
use crate::token::Token;

/// Reads the answer of a token endpoint. `secrets` are what an authority, or whoever answers in its place,
/// could repeat; words that do are withheld even from the log.
///
/// # Errors
/// The fault that the answer describes, or that it is no answer at all.
pub fn token(incoming: &Incoming, now: Timestamp, secrets: &[&Secret]) -> Result<Token, Fault> {
    let body: TokenBody = success(incoming, now, secrets)?;
    if !body.token_type.as_deref().unwrap_or("Bearer").eq_ignore_ascii_case("bearer") {
        return Err(unusable("the authority issued a token that is no bearer token"));
    }
    if body.access_token.is_empty() || !body.access_token.bytes().all(|b| b.is_ascii_graphic()) {
        return Err(unusable("the authority issued a token that cannot be used"));
    }
    let life = life(&body, now).ok_or_else(|| unusable("the authority issued a token that has already expired"))?;
    Ok(Token {
        secret: Secret::from(body.access_token),
        issued_at: now,
        expires_at: now + life,
        refresh_in: seconds(&body.refresh_in),
    })
}

/// Reads any successful JSON answer, such as a discovery document.
///
/// # Errors
/// The fault that the answer describes, or that it is no answer at all.
pub fn success<T: DeserializeOwned>(incoming: &Incoming, now: Timestamp, secrets: &[&Secret]) -> Result<T, Fault> {
    match incoming.status {
        200 => serde_json::from_slice(&incoming.body).map_err(|error| {
            // The position only: serde's own words may quote the body.
            let at = format!("{:?} at line {} column {}", error.classify(), error.line(), error.column());
            unusable("the authority's answer is not what it should be").with_inward(at)
        }),
        300..400 => Err(unusable("the authority redirects, which is never followed")),
        _ => Err(fault(incoming, now, secrets)),
    }
}

/// Reads a failure: the status of an outage or of throttling first, then Entra's number, then the
/// OAuth error code. What is not JSON did not come from the authority.
fn fault(incoming: &Incoming, now: Timestamp, secrets: &[&Secret]) -> Fault {
    let body: Option<FaultBody> = serde_json::from_slice(&incoming.body).ok();
    let number = body.as_ref().and_then(FaultBody::number);
    let (kind, problem, remedy) = classify(incoming.status, body.as_ref(), number);
    let wish = incoming.retry_after.as_deref().and_then(|text| retry_after(text, now));
    let fault = Fault::new(kind, problem, remedy)
        .with_aadsts(number)
        .with_retry_after(wish)
        .with_correlation_id(body.as_ref().and_then(|body| body.correlation_id.as_str()));
    match body {
        Some(body) => fault.with_inward(body.describe(incoming.status, secrets)),
        None => fault.with_inward(format!("HTTP {} without a JSON body", incoming.status)),
    }
}

fn classify(status: u16, body: Option<&FaultBody>, number: Option<u32>) -> (Kind, &'static str, &'static str) {
    let patience = "ask again in a moment; nothing else has to be done unless it goes on for long";
    if status == 429 {
        return (Kind::Throttled, "the authority is throttling", patience);
    }
    let error = body.and_then(|body| body.error.as_str());
    if status >= 500 || status == 408 || error == Some("temporarily_unavailable") {
        return (Kind::Unavailable, "the authority has a failure of its own", patience);
    }
    if let Some((kind, remedy)) = number.and_then(aadsts::known) {
        return (kind, problem(kind), remedy);
    }
    match error {
        None => {
            let remedy = "ask again in a moment; if it stays so, the operator should check the authority's URL and what answers in its place";
            (Kind::Unavailable, "something that is not the authority answered", remedy)
        }
        // Without a number this is all that the authority tells, so that none of the causes can be left out.
        Some("invalid_client") => {
            let remedy = "compare with what the authority has registered: 'client_id', and the secret, or the certificate with its 'algorithm'; an assertion's audience is the token endpoint that discovery told";
            (Kind::RejectedCredential, problem(Kind::RejectedCredential), remedy)
        }
        Some("invalid_scope" | "invalid_resource" | "invalid_target") => {
            (Kind::InvalidRequest, problem(Kind::InvalidRequest), "ask for a resource that exists in the tenant")
        }
        Some("invalid_instance") => {
            let remedy = "check the authority's host, or set 'instance_discovery = false' if you trust it";
            (Kind::Misconfigured, "the authority's host is unknown", remedy)
        }
        Some(_) => (
            Kind::Misconfigured,
            problem(Kind::Misconfigured),
            "look the number up in the authority's documentation, and the correlation id in its sign-in log",
        ),
    }
}

const fn problem(kind: Kind) -> &'static str {
    match kind {
        Kind::InvalidRequest => "the authority calls the request invalid",
        Kind::RejectedCredential => "the authority rejected the credential",
        Kind::Throttled => "the authority is throttling",
        Kind::Unavailable => "the authority has a failure of its own",
        _ => "the authority refused the application",
    }
}

/// `Retry-After` in either of its forms (RFC 9110 section 10.2.3).
fn retry_after(text: &str, now: Timestamp) -> Option<Duration> {
    let text = text.trim();
    if let Ok(secs) = text.parse::<u64>() {
        return Some(Duration::from_secs(secs));
    }
    let date: SystemTime = httpdate::parse_http_date(text).ok()?;
    Some(Timestamp::from(date).since(now))
}

/// `expires_in`, else the distance to `expires_on`, else MSAL's ten minutes when neither is there; never a
/// dead token, and never one of more than a year.
fn life(body: &TokenBody, now: Timestamp) -> Option<Duration> {
    let absent = body.expires_in.is_null() && body.expires_on.is_null();
    let expires_on = || Some(seconds(&body.expires_on)?.saturating_sub(Duration::from_secs(now.as_secs())));
    let life = seconds(&body.expires_in).or_else(expires_on).or(absent.then_some(UNNAMED_LIFE))?;
    (!life.is_zero()).then_some(life.min(MAX_LIFE))
}

/// A count of seconds, which authorities write as a number or as a string; a part of one is dropped.
fn seconds(value: &Value) -> Option<Duration> {
    let secs = match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    };
    let secs = secs.filter(|secs| secs.is_finite() && *secs >= 0.0)?;
    Some(Duration::try_from_secs_f64(secs.floor()).unwrap_or(Duration::MAX))
}

#[derive(Deserialize)]
struct TokenBody {
    access_token: String,
    token_type: Option<String>,
    #[serde(default)]
    expires_in: Value,
    #[serde(default)]
    expires_on: Value,
    #[serde(default)]
    refresh_in: Value,
}

/// Every field as it comes: one of an unexpected type must not hide the others.
#[derive(Deserialize)]
struct FaultBody {
    #[serde(default)]
    error: Value,
    #[serde(default)]
    error_description: Value,
    #[serde(default)]
    error_codes: Value,
    #[serde(default)]
    correlation_id: Value,
    #[serde(default)]
    trace_id: Value,
}

impl FaultBody {
    /// Entra's number, from the list or from the description.
    fn number(&self) -> Option<u32> {
        let listed = self.error_codes.get(0).unwrap_or(&self.error_codes).as_u64();
        let described = || {
            let digits = self.error_description.as_str()?.strip_prefix("AADSTS")?;
            digits[..digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len())].parse().ok()
        };
        listed.or_else(described).and_then(|number| u32::try_from(number).ok())
    }

    /// The authority's words, for the log: bounded, in one line, and withheld when they repeat a secret.
    fn describe(&self, status: u16, secrets: &[&Secret]) -> String {
        let words = [&self.error, &self.error_description, &self.trace_id].map(|said| said.as_str().unwrap_or("-"));
        if words.iter().any(|said| secrets.iter().any(|secret| secret.is_repeated_in(said))) {
            return format!("HTTP {status}; the words are withheld, since they repeat a credential");
        }
        let [error, description, trace_id] = words.map(one_line);
        format!("HTTP {status} {error}: {description} (trace id {trace_id})")
    }
}

/// Nothing that could end the line, colour it or turn its direction.
fn one_line(words: &str) -> String {
    let blank = |c: char| if c.is_control() || TURNING.contains(&c) { ' ' } else { c };
    words.chars().take(MAX_WORDS).map(blank).collect()
}

/// Line and paragraph separators, and what changes the direction of text.
const TURNING: [char; 11] = [
    '\u{2028}', '\u{2029}', '\u{202a}', '\u{202b}', '\u{202c}', '\u{202d}', '\u{202e}', '\u{2066}', '\u{2067}',
    '\u{2068}', '\u{2069}',
];
const UNNAMED_LIFE: Duration = Duration::from_mins(10);
const MAX_LIFE: Duration = Duration::from_hours(24 * 366);
const MAX_WORDS: usize = 600;

#[cfg(test)]
mod tests;
