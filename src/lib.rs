//! Bursar.
pub mod caller;
pub mod clock;
pub mod dialect;
pub mod fault;
pub mod freshness;
pub mod name;
pub mod policy;
pub mod secret;
pub mod token;
