//! Whether an answer is the right one.

use std::collections::HashMap;
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;

use super::spell::Spell;
use super::traffic::Ask;

/// The tokens that were looked into, by what they were asked for, and when they end.
#[derive(Default)]
pub(super) struct Known(HashMap<(&'static str, String), (Vec<u8>, u64)>);

/// How the answer to a request went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Right,
    /// It failed, and a spell is why.
    Excused,
}

impl Known {
    /// Judges an answer. `times` are when it was asked for and when it came, since the start; `now` is the time of day at which it
    /// was asked for, since an answer may travel while its token ends.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) fn judge(
        &mut self,
        ask: &Ask,
        (status, body): &(u16, Vec<u8>),
        times: (Duration, Duration),
        now: u64,
    ) -> Result<Outcome, String> {
        if *status == 200 && ask.status == 200 {
            return self.check(ask, body, now).map(|()| Outcome::Right);
        }
        let is_outage = ask.status == 200 && matches!(status, 429 | 503);
        match *status == ask.status {
            true => Ok(Outcome::Right),
            false if is_outage && Spell::explains(times.0, times.1) => Ok(Outcome::Excused),
            false => Err(format!(
                "{status} for {} after {:.1} s: {}",
                ask.text.lines().next().unwrap_or_default(),
                times.0.as_secs_f64(),
                String::from_utf8_lossy(body)
            )),
        }
    }

    fn check(&mut self, ask: &Ask, body: &[u8], now: u64) -> Result<(), String> {
        let token = token(body).ok_or("no token in the answer")?;
        let key = (ask.client_id, ask.resource.clone());
        // Most were seen before, and looking into one costs more than asking for it.
        let end = match self.0.get(&key) {
            Some((seen, end)) if seen == token => *end,
            _ => {
                let end = end_of(token, ask)?;
                self.0.insert(key, (token.to_vec(), end));
                end
            }
        };
        (now < end).then_some(()).ok_or_else(|| format!("a token for {} that ended at {end}, at {now}", ask.resource))
    }

    /// Forgets what has ended.
    pub(super) fn forget(&mut self, now: u64) {
        self.0.retain(|_, (_, end)| now < *end);
    }
}

fn token(body: &[u8]) -> Option<&[u8]> {
    const BEFORE: &[u8] = b"\"access_token\":\"";
    let rest = &body[memchr::memmem::find(body, BEFORE)? + BEFORE.len()..];
    Some(&rest[..memchr::memchr(b'"', rest)?])
}

/// When a token ends, if it is the one that was asked for.
fn end_of(token: &[u8], ask: &Ask) -> Result<u64, String> {
    let payload = token.split(|byte| *byte == b'.').nth(1).ok_or("this is no JWT")?;
    let payload = BASE64_URL_SAFE_NO_PAD.decode(payload).map_err(|error| error.to_string())?;
    let claims: serde_json::Value = serde_json::from_slice(&payload).map_err(|error| error.to_string())?;
    if claims["appid"] != ask.client_id || claims["aud"] != *ask.resource {
        return Err(format!("asked for {} of {}, and got {claims}", ask.resource, ask.client_id));
    }
    claims["exp"].as_u64().ok_or_else(|| "it never ends".to_owned())
}
