//! `bursar token`: one token, from a running service or directly from the authority.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, ValueEnum};
use reqwest::header::{HeaderMap, HeaderValue};
use serde_json::Value;
use tokio::runtime::Handle;
use uuid::Uuid;

use super::http::{Trust, get};
use super::named::{Endpoint, endpoint};
use super::{Failure, print, variables};
use crate::app::App;
use crate::clock::Clock;
use crate::config::Config;
use crate::dialect::table::NATIVE;
use crate::dialect::{Ask, Reply};
use crate::fault::{EX_NOPERM, EX_SOFTWARE, EX_UNAVAILABLE, EX_USAGE, Fault};
use crate::name::{Resource, Selector};
use crate::telemetry;
use crate::token::Extras;

/// Get one token, from a running service or directly
#[derive(Args, Debug)]
pub struct Token {
    /// What the token is for, an App ID URI
    #[arg(long, value_name = "R")]
    resource: String,
    /// Whose token, by its name in the configuration; the default identity otherwise
    #[arg(long, value_name = "N")]
    identity: Option<String>,
    /// In which tenant; the identity's first otherwise
    #[arg(long, value_name = "T")]
    tenant: Option<String>,
    /// The running service to ask, at a URL or at unix:PATH
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:4141", conflicts_with = "config", value_parser = endpoint)]
    endpoint: Endpoint,
    /// Ask the authority itself, with this configuration
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// What to print
    #[arg(short, long, value_enum, default_value = "json")]
    output: Output,
}

/// What to print.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Output {
    /// Authorization: Bearer ..., for curl -H @-
    Header,
    /// The whole answer.
    Json,
    /// The token alone.
    Raw,
}

impl Token {
    /// Prints the token.
    ///
    /// # Errors
    /// The fault of the service or of the authority.
    pub async fn run(self) -> Result<(), Failure> {
        let body = match &self.config {
            Some(path) => self.directly(path).await,
            None => self.ask_service().await,
        };
        let body = body.map_err(|failure| self.hinted(failure))?;
        let token = || -> Result<String, Failure> {
            let body: Value = serde_json::from_str(&body).unwrap_or_default();
            let token = body["access_token"].as_str().map(str::to_owned);
            token.ok_or_else(|| Failure::new(EX_SOFTWARE, "the answer has no access_token"))
        };
        match self.output {
            Output::Header => print(&format!("Authorization: Bearer {}\n", token()?)),
            Output::Json => print(&format!("{body}\n")),
            Output::Raw => print(&format!("{}\n", token()?)),
        }
    }

    async fn directly(&self, path: &Path) -> Result<String, Failure> {
        let config = Config::read(Some(path), variables(), Clock::System.now())?;
        self.check_identity(&config)?;
        let _log = telemetry::start(crate::config::Log { level: tracing::Level::ERROR, ..config.log }, None);
        let app = App::build(config, Clock::System, Handle::current())?;
        let resource = Resource::parse(&self.resource).map_err(Fault::from)?;
        let selector = self.identity.clone().map_or(Selector::None, Selector::Name);
        let ask = Ask {
            resource,
            selector,
            tenant: self.tenant.clone(),
            extras: Extras::default(),
            challenge: None,
            rejected: None,
        };
        let (client_id, token) = app.token(&ask, &Uuid::new_v4().to_string()).await?;
        let Reply { body, .. } = NATIVE.reply(&ask, &client_id, &token, Clock::System.now());
        Ok(String::from_utf8_lossy(&body).into_owned())
    }

    /// Whoever holds the configuration may be told the names in it, as callers may not.
    fn check_identity(&self, config: &Config) -> Result<(), Failure> {
        let rules = || config.identities.iter().map(|identity| &identity.rules);
        let problem = match &self.identity {
            Some(name) if rules().any(|rules| rules.name.as_str() == name) => return Ok(()),
            None if rules().count() == 1 || rules().any(|rules| rules.default) => return Ok(()),
            Some(_) => "Identity not found: the configuration has none of this name",
            None => "several identities exist and none is the default",
        };
        let names: Vec<&str> = rules().map(|rules| rules.name.as_str()).collect();
        Err(Failure::new(EX_USAGE, format!("{problem}. Name one with --identity: {}.", names.join(", "))))
    }

    /// `/.default` is what scopes end in, and SDKs take scopes.
    fn hinted(&self, mut failure: Failure) -> Failure {
        if self.resource.ends_with("/.default") {
            failure.text += " The resource ends in '/.default', which belongs to scopes: leave it out.";
        }
        failure
    }

    async fn ask_service(&self) -> Result<String, Failure> {
        let mut url = self.endpoint.url.clone();
        url.set_path(NATIVE.paths[0]);
        {
            let mut query = url.query_pairs_mut();
            query.append_pair("resource", &self.resource);
            for (name, value) in [("identity", &self.identity), ("tenant", &self.tenant)] {
                value.iter().for_each(|value| {
                    query.append_pair(name, value);
                });
            }
        }
        let mut headers = HeaderMap::new();
        headers.insert("metadata", HeaderValue::from_static("true"));
        match get(url, self.endpoint.socket.as_deref(), headers, Trust::System, PATIENCE).await? {
            (200, body) => Ok(body),
            (404, body) if body.contains("/readyz") => Err(Failure::new(EX_USAGE, ADMIN)),
            (404, body) if is_ours(&body) => Err(Failure::new(EX_USAGE, NOT_NATIVE)),
            (status, body) => Err(refusal(status, &body)),
        }
    }
}

/// Whether a body is that of Bursar where it serves nothing.
fn is_ours(body: &str) -> bool {
    serde_json::from_str::<Value>(body).is_ok_and(|body| body["error"] == "not_found")
}

fn refusal(status: u16, body: &str) -> Failure {
    let parsed: Value = serde_json::from_str(body).unwrap_or_default();
    let code = match status {
        400 | 404 | 405 => EX_USAGE,
        401 | 403 => EX_NOPERM,
        429 | 502..=504 => EX_UNAVAILABLE,
        _ => EX_SOFTWARE,
    };
    match parsed["error_description"].as_str() {
        Some(text) => Failure::new(code, text),
        None => Failure::new(code, format!("the service answered with HTTP {status}; is it Bursar?")),
    }
}

const ADMIN: &str = "the admin listener is there, and no tokens. Ask where 'listen' says, 127.0.0.1:4141 by default.";
const NOT_NATIVE: &str = "the service does not serve the native dialect, which this command speaks. Have the operator add \"native\" to 'server.dialects', ask as an SDK does with what 'bursar env' prints, or ask the authority itself with --config.";
/// Longer than a flight takes with the timeouts that are the default.
const PATIENCE: Duration = Duration::from_secs(45);
