//! The ceiling: a head is parsed, and bytes that were there before are written.

use std::net::SocketAddr;

use super::http;

pub(super) fn serve(address: SocketAddr, answer: &[u8]) {
    let answer: std::rc::Rc<[u8]> = answer.into();
    http::serve(address, move |_, out| out.extend_from_slice(&answer));
}
