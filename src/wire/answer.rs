//! Decodes what an authority answered into a token or a fault. Looks at the status, the body and its type alone.

use std::time::{Duration, SystemTime};

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::failure::{Evidence, Step, of_answer};
use super::{Incoming, unusable};
use crate::claims::ClaimsRequest;
use crate::clock::{Reading, Timestamp};
use crate::fault::Fault;
use crate::name::steers;
use crate::secret::Secret;
use crate::token::Token;

/// Reads the answer of a token endpoint to a request that was sent at `sent`. `secrets` are what an authority, or
/// whoever answers in its place, could repeat; words that do are withheld even from the log.
///
/// Authorities write whole seconds into a token, and count its life from the one in which they sign it. So it is counted
/// from the second in which the request was sent: that is never a later one, and what is kept never outlives its token.
///
/// # Errors
/// The fault that the answer describes, or that it is no answer at all.
pub fn token(incoming: &Incoming, sent: Reading, secrets: &[&Secret]) -> Result<Token, Fault> {
    let body: TokenBody = success(incoming, sent.now, secrets)?;
    if !body.token_type.as_deref().unwrap_or("Bearer").eq_ignore_ascii_case("bearer") {
        return Err(unusable("the authority issued a token that is no bearer token"));
    }
    if body.access_token.is_empty() || !body.access_token.bytes().all(|b| b.is_ascii_graphic()) {
        return Err(unusable("the authority issued a token that cannot be used"));
    }
    let life = life(&body, sent.now.whole());
    let life = life.ok_or_else(|| unusable("the authority issued a token without a time to live"))?;
    Ok(Token::new(Secret::from(body.access_token), sent, life, seconds(&body.refresh_in)))
}

/// Reads any successful JSON answer to a request that showed `secrets`.
///
/// # Errors
/// The fault that the answer describes, or that it is no answer at all.
pub fn success<T: DeserializeOwned>(incoming: &Incoming, now: Timestamp, secrets: &[&Secret]) -> Result<T, Fault> {
    read(incoming, now, secrets, Step::Token)
}

/// Reads a document of discovery, which is asked for without a credential.
///
/// # Errors
/// The fault that the answer describes, or that it is no answer at all.
pub fn document<T: DeserializeOwned>(incoming: &Incoming, now: Timestamp, step: Step) -> Result<T, Fault> {
    read(incoming, now, &[], step)
}

fn read<T: DeserializeOwned>(incoming: &Incoming, now: Timestamp, secrets: &[&Secret], step: Step) -> Result<T, Fault> {
    match incoming.status {
        200 if !may_be_json(&media_type(incoming)) => {
            Err(unusable("the authority's answer is of a type that is not JSON").with_inward(media_type(incoming)))
        }
        200 => serde_json::from_slice(&incoming.body).map_err(|error| {
            // The position only: serde's own words may quote the body.
            let at = format!("{:?} at line {} column {}", error.classify(), error.line(), error.column());
            unusable("the authority's answer is not what it should be").with_inward(at)
        }),
        300..400 => Err(unusable("the authority redirects, which is never followed")),
        _ => Err(fault(incoming, now, secrets, step)),
    }
}

/// The type of the body without its parameters; anything that has not the form of one is withheld.
fn media_type(incoming: &Incoming) -> String {
    let media = incoming.content_type.as_deref().unwrap_or_default().split(';').next().unwrap_or_default().trim();
    let fits = media.len() <= 64 && media.bytes().all(|b| b.is_ascii_alphanumeric() || b"/+-._".contains(&b));
    if fits { media.to_ascii_lowercase() } else { "withheld/odd".to_owned() }
}

/// Whether the body says of itself that it is JSON, or says nothing. The sign-in page of a network is an
/// answer with status 200 too.
fn may_be_json(media: &str) -> bool {
    media.is_empty() || media == "application/json" || media == "text/json" || media.ends_with("+json")
}

/// Reads a failure; the table says what it is. A body is looked at whatever its type, since throttling is
/// also told in plain text.
fn fault(incoming: &Incoming, now: Timestamp, secrets: &[&Secret], step: Step) -> Fault {
    let body: Option<FaultBody> = serde_json::from_slice(&incoming.body).ok();
    let told = body.as_ref();
    let (number, claims) = (told.and_then(FaultBody::number), told.and_then(|body| body.claims(secrets)));
    let error = told.and_then(|body| body.error.as_str());
    let row = of_answer(&Evidence { step, status: incoming.status, number, error, claims: claims.is_some() });
    let wish = patience(incoming, now);
    let inward = match told {
        Some(body) => body.describe(incoming.status, secrets),
        None => format!("HTTP {} without a JSON body", incoming.status),
    };
    let inward = match &incoming.id {
        Some(id) => format!("{inward} (authority_request_id {id})"),
        None => inward,
    };
    row.fault()
        .with_aadsts(number)
        .with_retry_after(wish)
        .with_correlation_id(told.and_then(|body| body.correlation_id.as_str()))
        .with_trace_id(told.and_then(|body| body.trace_id.as_str()))
        .with_claims(claims)
        .with_inward(inward)
}

/// How long whoever answered wants to be left alone.
#[must_use]
pub fn patience(incoming: &Incoming, now: Timestamp) -> Option<Duration> {
    retry_after(incoming.retry_after.as_deref()?, now)
}

/// `Retry-After` in either of its forms (RFC 9110 section 10.2.3). To be asked again at once is no wish: a failure that
/// is repeated is to wait longer each time.
fn retry_after(text: &str, now: Timestamp) -> Option<Duration> {
    let text = text.trim();
    let wish = if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) {
        Duration::from_secs(text.parse().unwrap_or(u64::MAX))
    } else {
        let date: SystemTime = httpdate::parse_http_date(text).ok()?;
        Timestamp::from(date).since(now)
    };
    Some(wish).filter(|wish| !wish.is_zero())
}

/// `expires_in`, else the distance to `expires_on`, else MSAL's ten minutes when neither is there; never a
/// dead token, and never one of more than a year.
fn life(body: &TokenBody, issued_at: Timestamp) -> Option<Duration> {
    let absent = body.expires_in.is_null() && body.expires_on.is_null();
    let expires_on = || Some(seconds(&body.expires_on)?.saturating_sub(Duration::from_secs(issued_at.as_secs())));
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
    #[serde(default)]
    claims: Value,
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

    /// The claims that are wanted, which Entra writes as JSON within a text. They go to callers as they are, so
    /// none that repeats a secret.
    fn claims(&self, secrets: &[&Secret]) -> Option<ClaimsRequest> {
        let claims = match &self.claims {
            Value::String(text) => ClaimsRequest::parse(text.trim()),
            other => ClaimsRequest::parse(&other.to_string()),
        };
        let repeats = |text: &str| secrets.iter().any(|secret| secret.is_repeated_in(text));
        claims.ok().filter(|claims| !repeats(claims.as_str()) && !claims.has_text(&repeats))
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
    let blank = |c: char| if steers(c) { ' ' } else { c };
    words.chars().take(MAX_WORDS).map(blank).collect()
}

const UNNAMED_LIFE: Duration = Duration::from_mins(10);
const MAX_LIFE: Duration = Duration::from_hours(24 * 366);
const MAX_WORDS: usize = 600;

#[cfg(test)]
mod tests;
