//! Bursar holds an application's credentials and pays out access tokens to workloads, over the
//! managed-identity endpoints that every Azure SDK already speaks.
//!
//! This is the map of the house. A file may import what is listed above it, never what is listed below
//! (`tests/floors.rs` holds the same list). One request travels down it and back up by value:
//!
//! ```text
//! HttpRequest > dialect.read > Ask > caller.recognise > Caller > policy.admit > Permit
//!   > vend > cache: Slot > freshness.decide > Verdict
//!       Fetch: source.fetch > authority + credential.prove > wire > Token
//!   > dialect.reply > Reply > HttpResponse
//! ```

// Floor 0, words: no async, no I/O, no web framework.
pub mod claims;
pub mod clock;
pub mod fault;
pub mod name;
pub mod secret;
pub mod token;
pub mod trace;
pub mod visible;

// Floor 1, rules: pure functions; the time and randomness are arguments.
pub mod caller;
pub mod dialect;
pub mod flood;
pub mod freshness;
pub mod policy;

// Floor 2, south: what speaks with authorities, and with the cluster that callers are in.
pub mod authority;
pub mod cluster;
pub mod credential;
pub mod metrics;
pub mod source;
pub mod wire;

// Floor 3, core: one slot per key, one flight per slot; and the record of who got what.
pub mod audit;
pub mod vend;

// Floor 4, north: with `sts`, the only files that name the web framework.
pub mod server;

// Floor 5, assembly.
pub mod app;
pub mod config;
pub mod telemetry;

// Floor 6, command.
pub mod cli;

// Aside: the emulated authority. Only `cli::dev` and `cli::sts` may import it.
pub mod sts;
