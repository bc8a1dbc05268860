//! A request as it goes over the wire, for one key or for one of many.

use std::ops::Range;

/// The bytes of a request, in which the number of a key may stand.
#[derive(Clone)]
pub(super) struct Request {
    bytes: Vec<u8>,
    keys: Option<Keys>,
}

/// Where the number stands, and how many there are.
#[derive(Clone)]
struct Keys {
    place: Range<usize>,
    count: u32,
}

impl Request {
    /// One that never changes.
    pub(super) fn of(text: &str) -> Self {
        Self { bytes: text.into(), keys: None }
    }

    /// A native one for a resource with a number, of which there are so many.
    pub(super) fn of_keys(count: u32) -> Self {
        let before = format!("GET /token?resource={KEY_BEFORE}");
        let after = format!("{KEY_AFTER} HTTP/1.1\r\nHost: localhost\r\nMetadata: true\r\n\r\n");
        let place = before.len()..before.len() + DIGITS;
        let bytes = format!("{before}{:0DIGITS$}{after}", 0).into();
        Self { bytes, keys: Some(Keys { place, count }) }
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Makes it one for the key of this number.
    pub(super) fn set(&mut self, key: u32) {
        if let Some(keys) = &self.keys {
            self.bytes[keys.place.clone()].copy_from_slice(format!("{key:0DIGITS$}").as_bytes());
        }
    }

    /// Makes it one for any of its keys.
    pub(super) fn draw(&mut self) {
        if let Some(keys) = &self.keys {
            let mut rest = fastrand::u32(..keys.count);
            // By hand, since the load generator must not be what is measured.
            for digit in self.bytes[keys.place.clone()].iter_mut().rev() {
                *digit = b'0' + (rest % 10) as u8;
                rest /= 10;
            }
        }
    }
}

/// The resource of this number.
pub(super) fn resource(key: u32) -> String {
    format!("{KEY_BEFORE}{key:0DIGITS$}{KEY_AFTER}")
}

const KEY_BEFORE: &str = "https://r";
const KEY_AFTER: &str = ".example";
const DIGITS: usize = 7;
