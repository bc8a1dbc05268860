//! What is asked: by several callers, in several dialects, for a few keys most of the time, for any of many at times,
//! and now and then for one that nobody asked for before, or what must be refused.

use super::super::generator::Client;

/// Those who ask, by their header secrets, and what they may have.
pub(super) const CALLERS: &[Caller] = &[
    Caller { name: "billing", secret: "5c0a7f6e2f0d4b64a1c3e8d9b7f60a12", identity: 0 },
    Caller { name: "shop", secret: "91b8d5c07a4e4f0bb2d6c1e3f5a79840", identity: 1 },
    Caller { name: "audit", secret: "e7d24b8c6f1a4935ac0d9e8b71f35264", identity: 1 },
];

/// The names of the identities, and their client ids.
pub(super) const IDENTITIES: &[(&str, &str)] =
    &[("payroll", "b0b00000-0000-4000-8000-000000000011"), ("orders", "b0b00000-0000-4000-8000-000000000012")];

/// One of those who ask.
pub(super) struct Caller {
    pub(super) name: &'static str,
    pub(super) secret: &'static str,
    /// The one that it may use.
    pub(super) identity: usize,
}

/// A request, and what its answer has to be.
pub(super) struct Ask {
    pub(super) text: String,
    pub(super) client_id: &'static str,
    pub(super) resource: String,
    /// 200, or what it is refused with.
    pub(super) status: u16,
}

impl Ask {
    /// The next one; `number` is of no other request.
    pub(super) fn draw(number: u64) -> Self {
        let caller = &CALLERS[fastrand::usize(..CALLERS.len())];
        let resource = match fastrand::u32(..2000) {
            0 => format!("https://once-{number}.example"),
            1..=100 => format!("https://tail-{}.example", fastrand::u32(..TAIL)),
            _ => format!("https://hot-{}.example", fastrand::u32(..HOT)),
        };
        match fastrand::u32(..200) {
            0 => Self::of(caller, 1 - caller.identity, resource, 403),
            1 => Self::of(caller, caller.identity, "a%20blank".to_owned(), 400),
            _ => Self::of(caller, caller.identity, resource, 200),
        }
    }

    /// One for each key that is asked for again.
    pub(super) fn every() -> Vec<Self> {
        let hot = (0..HOT).map(|n| format!("https://hot-{n}.example"));
        let resources: Vec<String> = hot.chain((0..TAIL).map(|n| format!("https://tail-{n}.example"))).collect();
        let of = |resource: &String| [0, 1].map(|n| Self::of(&CALLERS[n], CALLERS[n].identity, resource.clone(), 200));
        resources.iter().flat_map(of).collect()
    }

    fn of(caller: &Caller, identity: usize, resource: String, status: u16) -> Self {
        let (secret, client_id) = (caller.secret, IDENTITIES[identity].1);
        let target = match fastrand::u8(..3) {
            0 => format!("/token?resource={resource}&client_id={client_id}"),
            1 => format!("/msi/token?api-version=2019-08-01&resource={resource}&client_id={client_id}"),
            _ => format!(
                "/metadata/identity/oauth2/token?api-version=2018-02-01&resource={resource}&client_id={client_id}"
            ),
        };
        let text = format!(
            "GET {target} HTTP/1.1\r\nHost: localhost\r\nMetadata: true\r\nX-IDENTITY-HEADER: {secret}\r\n\r\n"
        );
        Self { text, client_id, resource, status }
    }

    /// Sends it, and gives the status and the body of the answer.
    pub(super) async fn send(&self, client: &mut Client) -> (u16, Vec<u8>) {
        let answer = client.exchange(self.text.as_bytes()).await;
        let head = memchr::memmem::find(answer, b"\r\n\r\n").unwrap();
        let status = std::str::from_utf8(&answer[9..12]).unwrap().parse().unwrap();
        (status, answer[head + 4..].to_vec())
    }
}

const HOT: u32 = 40;
const TAIL: u32 = 300;
