//! An authority that signs nothing: for filling caches, where the time of a signature would be all there is to wait for.

use std::cell::Cell;
use std::net::SocketAddr;

use serde_json::json;

use super::http::{self, Asked};

/// The length of its tokens, in bytes.
pub(in super::super) const TOKEN: usize = 1700;

pub(super) fn serve(address: SocketAddr) {
    let issued: &Cell<u64> = Box::leak(Box::default());
    http::serve(address, move |asked, out| {
        issued.set(issued.get() + 1);
        let body = if asked.method == "POST" { token(issued.get()) } else { configuration(address, asked) }.to_string();
        let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length";
        out.extend_from_slice(format!("{head}: {}\r\n\r\n{body}", body.len()).as_bytes());
    });
}

/// A token like no other.
fn token(number: u64) -> serde_json::Value {
    let token = format!("eyJ{number:012}{}", "x".repeat(TOKEN - 15));
    json!({ "token_type": "Bearer", "expires_in": 86_399, "access_token": token })
}

/// The OpenID configuration of whatever tenant is asked for.
fn configuration(address: SocketAddr, asked: &Asked<'_>) -> serde_json::Value {
    let tenant = asked.path.split('/').nth(1).unwrap();
    let base = format!("http://{address}/{tenant}");
    json!({ "issuer": format!("{base}/v2.0"), "token_endpoint": format!("{base}/oauth2/v2.0/token") })
}
