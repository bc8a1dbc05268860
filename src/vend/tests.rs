//! The core as a whole, before a host that counts what it is asked.

use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use url::Url;

use super::sources::Places;
use super::*;
use crate::clock::{ManualClock, Timestamp};
use crate::name::{Name, Resource};
use crate::source::allowance::Rate;
use crate::source::host::{Address, Contract, Endpoint, Parts as HostParts};
use crate::source::{Host, Source};
use crate::token::{Descent, Extras, TokenKey};
use crate::wire::{Reach, System, Trust, Wire, install_crypto_provider};

struct Stage {
    vend: Vend,
    source: Arc<Source>,
    hand: ManualClock,
    asked: Arc<AtomicUsize>,
}

impl Stage {
    /// A core with so much room for tokens of a host, each of which lives for an hour and comes after a moment.
    async fn with(bounds: Bounds) -> Self {
        install_crypto_provider();
        let hand = ManualClock::at(Timestamp::from_secs(1_800_000_000));
        let clock = Clock::Manual(hand.clone());
        let asked = Arc::new(AtomicUsize::new(0));
        let source = Arc::new(Source::Host(Box::new(Host::new(parts(host(&asked).await, clock.clone())))));
        let places = Places::new(vec![(crate::source::host::place(), Arc::clone(&source))], None);
        let sources = Sources::new([(source.identity().clone(), places)]);
        let vend = Vend::new(Settings {
            terms: Terms { sources, ..Terms::default() },
            bounds,
            clock,
            metrics: Arc::new(Metrics::new().unwrap()),
            sampling: None,
            runtime: Handle::current(),
        });
        Self { vend, source, hand, asked }
    }

    fn key(&self, resource: &str) -> TokenKey {
        self.source.key(&Resource::parse(resource).unwrap(), &Extras::default())
    }

    async fn slot(&self, resource: &str) -> Arc<Slot> {
        self.vend.0.cache.slot(&self.key(resource), || Ok(None)).unwrap()
    }

    async fn ask(&self, slot: Arc<Slot>) -> Landing {
        let mission = Mission { source: Arc::clone(&self.source), request_id: "1", stake: None, is_own: true };
        self.vend.obtain(&mission, slot, Demand::default()).await.map(|vended| vended.token)
    }

    /// How many keys there are, and how many of them are taken up for renewal.
    async fn kept(&self) -> (usize, usize) {
        (self.vend.0.cache.len(), self.vend.0.refresh.len())
    }
}

fn parts(url: Url, clock: Clock) -> HostParts {
    let trust = Trust {
        roots: System::default().or(None),
        connect_timeout: Duration::from_secs(1),
        proxy: None,
        loopback: true,
        reach: Reach::Authority,
    };
    let address = Address { url, contract: Contract::Imds };
    HostParts {
        descent: Descent::default(),
        whole: Descent::default(),
        identity: Name::parse("host").unwrap(),
        selector: None,
        endpoint: Arc::new(Endpoint { address, wire: Wire::new(trust).unwrap(), mark: "mark".into() }),
        timeout: Duration::from_secs(5),
        rate: Rate { of_all: std::num::NonZeroU32::MIN, share: None },
        floods: Arc::default(),
        clock,
    }
}

/// Where a host is that pays out another token each time.
async fn host(asked: &Arc<AtomicUsize>) -> Url {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let url = Url::parse(&format!("http://{}/token", listener.local_addr().unwrap())).unwrap();
    let asked = Arc::clone(asked);
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            tokio::spawn(pay_out(socket, asked.fetch_add(1, Ordering::SeqCst)));
        }
    });
    url
}

async fn pay_out(mut socket: TcpStream, number: usize) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(socket.read_u8().await.unwrap());
    }
    tokio::time::sleep(Duration::from_millis(50)).await;
    let body = format!(r#"{{"access_token": "{number}", "expires_in": 3600, "token_type": "Bearer"}}"#);
    let head = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        body.len()
    );
    socket.write_all(format!("{head}{body}").as_bytes()).await.unwrap();
}

#[tokio::test]
async fn whoever_has_a_slot_that_was_evicted_boards_the_flight_of_the_new_one() {
    for evicted_flies_first in [true, false] {
        let stage = Stage::with(Bounds::default()).await;
        let evicted = stage.slot("r").await;
        stage.vend.0.cache.evict(&stage.key("r"));
        let made = stage.slot("r").await;
        assert!(!Arc::ptr_eq(&evicted, &made));
        let (first, second) = if evicted_flies_first { (evicted, made) } else { (made, evicted) };
        let (first, second) = tokio::join!(stage.ask(first), stage.ask(second));
        assert_eq!(first.unwrap().secret.expose(), second.unwrap().secret.expose());
        assert_eq!(stage.asked.load(Ordering::SeqCst), 1, "one key, one exchange");
        let third = stage.ask(stage.slot("r").await).await;
        assert!(third.is_ok() && stage.asked.load(Ordering::SeqCst) == 1, "and what it brought is kept");
    }
}

#[tokio::test]
async fn a_flood_leaves_no_more_behind_than_the_bounds_and_what_died_nothing() {
    let stage = Stage::with(Bounds { entries: 20, bytes: 1 << 20 }).await;
    for n in 0..20 {
        let flood = (0..10).map(async |m| stage.ask(stage.slot(&format!("r{n}-{m}")).await).await);
        assert!(futures_util::future::join_all(flood).await.iter().all(Result::is_ok));
    }
    assert_eq!(stage.kept().await.1, 200, "each was taken up");
    stage.vend.sweep().await;
    let (keys, renewals) = stage.kept().await;
    assert!((15..=20).contains(&keys) && renewals == keys, "{keys} keys, {renewals} renewals");
    stage.hand.advance(Duration::from_mins(61));
    stage.vend.sweep().await;
    assert_eq!(stage.kept().await, (0, 0));
}

/// A core whose source is another one, as `change` says.
fn under(stage: &Stage, change: impl FnOnce(HostParts) -> HostParts) -> (Vend, Arc<Source>) {
    let Source::Host(before) = &*stage.source else { unreachable!("it is a host's") };
    let parts = change(parts(before.url().clone(), stage.vend.0.clock.clone()));
    let source = Arc::new(Source::Host(Box::new(Host::new(parts))));
    let places = Places::new(vec![(crate::source::host::place(), Arc::clone(&source))], None);
    let sources = Sources::new([(source.identity().clone(), places)]);
    (stage.vend.under(Terms { sources, ..Terms::default() }), source)
}

#[tokio::test]
async fn a_token_goes_on_at_the_source_that_comes_by_it_too_and_nothing_is_left_of_the_one_before() {
    let other = Descent::of([&b"other"[..]]);
    let stage = Stage::with(Bounds::default()).await;
    stage.ask(stage.slot("r").await).await.unwrap();
    let (second, source) = under(&stage, |parts| HostParts { whole: other, ..parts });
    second.sweep().await;
    assert_eq!(stage.kept().await, (1, 1), "the token is the same");
    assert!(second.0.refresh.sources().iter().all(|renewed| Arc::ptr_eq(renewed, &source)));
    let old = (Arc::downgrade(&stage.source), Arc::downgrade(&stage.vend.0));
    let Stage { vend, source: before, hand, asked } = stage;
    drop((vend, before));
    let stage = Stage { vend: second, source, hand, asked };
    assert!(old.0.upgrade().is_none() && old.1.upgrade().is_none());
    stage.ask(stage.slot("r").await).await.unwrap();
    assert_eq!(stage.asked.load(Ordering::SeqCst), 1);

    let (third, _) = under(&stage, |parts| HostParts { descent: other, whole: other, ..parts });
    third.sweep().await;
    assert_eq!(stage.kept().await, (0, 0), "nobody can ask for it any more");
}
