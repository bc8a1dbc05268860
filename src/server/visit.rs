//! One request, as everything that has to do with it sees it.

use super::charter::Charter;
use super::{HttpRequest, Service};
use crate::dialect::Headers;

/// What was asked, and what it is served under.
#[derive(Clone, Copy)]
pub(super) struct Visit<'a> {
    pub(super) request: &'a HttpRequest,
    pub(super) headers: &'a Headers<'a>,
    pub(super) service: &'a Service,
    pub(super) charter: &'a Charter,
    /// The caller's own id of it, or a new one.
    pub(super) request_id: &'a str,
}
