//! Servers of our own that contestants are compared with. The benchmark starts itself as one of them, so that the
//! product knows nothing of them.

use std::net::SocketAddr;

mod actix;
mod authority;
mod http;
mod probe;
mod raw;
mod receiver;

pub(super) use authority::TOKEN;

/// The word behind which this program is told which server to be.
pub(super) const SERVE: &str = "serve-as";

/// Serves until it is killed.
pub(super) fn run(words: &[String]) {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let address = |text: &str| text.parse::<SocketAddr>().unwrap();
    let read = |file: &str| std::fs::read(file).unwrap();
    match words[..] {
        ["authority", listen] => authority::serve(address(listen)),
        ["actix", listen, answer] => actix::serve(address(listen), &read(answer)),
        ["probe", listen, answer, keys] => probe::serve(address(listen), &read(answer), keys.parse().unwrap()),
        ["receiver", listen] => receiver::serve(address(listen)),
        ["raw", listen, answer] => raw::serve(address(listen), &read(answer)),
        _ => panic!("no such server: {words:?}"),
    }
}
