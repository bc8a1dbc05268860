//! Bursar.
pub mod clock;
pub mod fault;
pub mod name;
pub mod secret;
pub mod sts;
pub mod token;
