//! A receiver of spans that takes what it is sent, keeps nothing, and tells whoever asks how often that was.

use std::cell::Cell;
use std::net::SocketAddr;

use super::http;

pub(super) fn serve(address: SocketAddr) {
    let came: &Cell<u64> = Box::leak(Box::default());
    http::serve(address, move |asked, out| {
        let is_asked = asked.method == "GET";
        came.set(came.get() + u64::from(!is_asked));
        let body = if is_asked { came.get().to_string() } else { String::new() };
        let length = body.len();
        out.extend_from_slice(format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n{body}").as_bytes());
    });
}
