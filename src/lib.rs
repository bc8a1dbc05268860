//! Bursar.
pub mod authority;
pub mod caller;
pub mod clock;
pub mod config;
pub mod credential;
pub mod dialect;
pub mod fault;
pub mod freshness;
pub mod metrics;
pub mod name;
pub mod policy;
pub mod secret;
pub mod server;
pub mod source;
pub mod token;
pub mod vend;
pub mod wire;
