use super::*;
use crate::fault::{Fault, Kind};
use crate::freshness::Windows;
use crate::name::{Resource, Scope, ScopeForm};
use crate::secret::Secret;
use crate::token::{Extension, Extras, Principal, Token};
use crate::vend::flight::Errand;
use crate::vend::holding::Holding;
use crate::vend::slot::{Moment, Step};

fn key(n: usize) -> TokenKey {
    key_of(&format!("r{n}"))
}

fn key_of(resource: &str) -> TokenKey {
    let scope = Scope::of(&Resource::parse(resource).unwrap(), ScopeForm::Default);
    TokenKey::new(Arc::new(Principal::of("app", "contoso.com")), scope, &Extras::NONE, Extension::default())
}

impl Cache {
    pub(in crate::vend) fn evict(&self, key: &TokenKey) {
        self.slots.remove(key);
    }

    /// How many keys there are.
    pub(in crate::vend) fn len(&self) -> usize {
        self.slots.len()
    }
}

fn find(cache: &Cache, n: usize) -> Arc<Slot> {
    cache.slot(&key(n), || Ok(None)).unwrap()
}

fn filled(bounds: Bounds, keys: usize) -> Cache {
    let cache = Cache::new(bounds);
    for n in 0..keys {
        find(&cache, n);
    }
    cache
}

#[test]
fn both_bounds_hold() {
    assert_eq!(filled(Bounds { entries: 10, bytes: 1 << 20 }, 100).len(), 9);
    let each = OVERHEAD + "r99".len() as u64;
    assert_eq!(filled(Bounds { entries: 1000, bytes: 10 * each }, 100).len(), 10);
}

#[test]
fn the_smallest_cache_holds_what_it_is_to_hold() {
    for entries in 1..6 {
        let bounds = Bounds { entries, bytes: 1 << 20 };
        let most = usize::try_from(entries).unwrap();
        let cache = filled(bounds, most);
        let is_there = cache.len();
        assert!((most - 1..=most).contains(&is_there), "{entries}: {is_there}");
        let latest = find(&cache, 100);
        assert!(Arc::ptr_eq(&latest, &find(&cache, 100)), "{entries}: whoever came last is there");
        assert!(cache.len() <= most, "{entries}");
    }
}

#[test]
fn a_long_key_weighs_more() {
    let cache = Cache::new(Bounds { entries: 1000, bytes: 10 * (OVERHEAD + 1000) });
    for n in 0..100 {
        cache.slot(&key_of(&format!("{n:0>1000}")), || Ok(None)).unwrap();
    }
    assert_eq!(cache.len(), 10);
}

#[test]
fn a_new_key_finds_room_in_a_full_cache() {
    let cache = filled(Bounds { entries: 10, bytes: 1 << 20 }, 100);
    let slot = find(&cache, 7);
    assert!(Arc::ptr_eq(&slot, &find(&cache, 7)));
}

#[test]
fn an_eviction_does_not_lose_a_flight() {
    let cache = Cache::new(Bounds { entries: 2, bytes: 1 << 20 });
    let slot = find(&cache, 0);
    let hold = cache.hold(&slot).unwrap();
    cache.evict(&key(0));
    assert!(Arc::ptr_eq(&slot, &find(&cache, 0)));
    cache.evict(&key(0));
    let next = cache.hold(&slot).unwrap();
    drop(hold);
    assert!(Arc::ptr_eq(&slot, &find(&cache, 0)), "the next flight holds it still");
    cache.evict(&key(0));
    drop(next);
    assert!(!Arc::ptr_eq(&slot, &find(&cache, 0)), "and lets it go");
}

#[test]
fn a_sweep_drops_what_is_dead_and_keeps_what_cools() {
    let cache = Cache::new(Bounds::default());
    let (now, windows) = (Timestamp::from_secs(1000), Windows::default());
    for n in 0..3 {
        let slot = find(&cache, n);
        let moment = Moment { now, windows: &windows };
        let Step::Wait(_, _, Some(departure)) = slot.step(moment, None, || true, |_| Ok(())) else {
            panic!("a departure")
        };
        let secret = Secret::from("t".to_owned());
        let token = |life| Token::new(secret, Reading::at(now), Duration::from_secs(life), None);
        let cooling = Fault::new(Kind::Throttled, "p", "r").with_retry_after(Some(Duration::from_secs(100)));
        let result = match n {
            0 => Ok(token(50)),
            1 => Ok(token(500)),
            _ => Err(cooling),
        };
        assert!(departure.land(result, moment, 0.0).is_none());
    }
    assert_eq!(cache.stock(now).tokens, 2);
    cache.sweep(Reading::at(now + Duration::from_secs(60)), |_| true);
    assert_eq!((cache.len(), cache.stock(now).tokens), (2, 1));
    cache.sweep(Reading::at(now + Duration::from_secs(60)), |asked| *asked != key(1));
    assert_eq!((cache.len(), cache.stock(now).tokens), (1, 0), "nobody can ask for a live token any more");
    cache.sweep(Reading::at(now + Duration::from_secs(1000)), |_| true);
    assert_eq!(cache.len(), 0);
}

#[test]
fn an_eviction_does_not_lose_what_is_held_ready() {
    let cache = Cache::new(Bounds { entries: 10, bytes: 1 << 20 });
    let kept = cache.keep(&key(0));
    assert_eq!(kept.keep_warm(Timestamp::from_secs(1000)), Some((Timestamp::from_secs(1000), 1)));
    for n in 1..100 {
        find(&cache, n);
    }
    cache.len();
    assert!(Arc::ptr_eq(&kept, &find(&cache, 0)) && Arc::ptr_eq(&kept, &cache.keep(&key(0))));
    cache.sweep(Reading::at(Timestamp::from_secs(2000)), |_| true);
    assert_eq!(cache.len(), 1, "it is kept though it is empty");
}

#[test]
fn a_caller_has_no_more_than_its_share_and_leaves_the_others_theirs() {
    let cache = Cache::new(Bounds { entries: 8, bytes: 8000 });
    let holding = Arc::new(Holding::new(2000));
    let mine = |n: usize| cache.slot(&key(n), || holding.lease(1000).map(Some));
    for n in [10, 11, 12] {
        find(&cache, n);
    }
    let first = mine(0).unwrap();
    mine(1).unwrap();
    for n in 20..1000 {
        assert_eq!(mine(n).unwrap_err().status(), 429);
    }
    assert!(mine(0).is_ok() && mine(10).is_ok(), "what is there is found, whoever had it made");
    assert_eq!(cache.len(), 5);
    first.charge(2000, false);
    cache.evict(&key(1));
    assert!(mine(1).is_err(), "a heavy token takes more than one place");
    drop(first);
    cache.sweep(Reading::at(Timestamp::from_secs(1000)), |_| true);
    assert!(mine(1).unwrap().charge(1000, false), "what is swept comes back");
    assert!(mine(2).is_ok());
}

#[test]
fn a_token_weighs_on_whoever_had_its_slot_made() {
    let cache = Cache::new(Bounds { entries: 8, bytes: 8000 });
    let holding = Arc::new(Holding::new(2240));
    let slot = cache.slot(&key(0), || holding.lease(1000).map(Some)).unwrap();
    land(&slot, 600);
    cache.weigh(&slot, true);
    let left = 2240 - weight(&slot);
    assert!(holding.lease(left + 1).is_err());
    assert!(holding.lease(left).is_ok());
}

#[test]
fn what_comes_at_once_and_is_more_than_a_share_pushes_nothing_of_others_out() {
    let cache = Cache::new(Bounds { entries: 80, bytes: 80_000 });
    let holding = Arc::new(Holding::new(20_000));
    (100..150).for_each(|n| _ = find(&cache, n));
    let slots: Vec<_> = (0..20).map(|n| cache.slot(&key(n), || holding.lease(1000).map(Some)).unwrap()).collect();
    for slot in slots {
        land(&slot, 9000);
        cache.weigh(&slot, true);
    }
    assert!((100..150).all(|n| cache.slots.contains_key(&key(n))));
    assert_eq!((0..20).filter(|n| cache.slots.contains_key(&key(*n))).count(), 2);
    assert_eq!(cache.slot(&key(50), || holding.lease(1000).map(Some)).unwrap_err().status(), 429);
    let vouches = cache.slot(&key(60), || Ok(Some(holding.charge(1000)))).unwrap();
    land(&vouches, 9000);
    cache.weigh(&vouches, false);
    assert!(cache.slots.contains_key(&key(60)), "without it nothing else would be fetched");
}

/// Has a token of that many bytes fetched for it.
fn land(slot: &Arc<Slot>, bytes: usize) {
    let (now, windows) = (Timestamp::from_secs(1000), Windows::default());
    let moment = Moment { now, windows: &windows };
    let step = slot.step(moment, None, || true, |_| Ok(()));
    let Step::Wait(_, _, Some(departure)) = step else { panic!("a departure") };
    let token = Token::new(Secret::from("t".repeat(bytes)), Reading::at(now), Duration::from_secs(50), None);
    assert!(departure.land(Ok(token), moment, 0.0).is_none());
}

/// Asks for a key, and flies for it if nobody else does.
fn fly(cache: &Cache, n: usize) {
    let slot = find(cache, n);
    let (now, windows) = (Timestamp::from_secs(1000), Windows::default());
    let moment = Moment { now, windows: &windows };
    let mut hold = None;
    let claim = || {
        hold = cache.hold(&slot);
        hold.is_some()
    };
    let demand = Errand { challenge: None, is_forced: true };
    if let Step::Wait(_, _, Some(departure)) = slot.answer(demand, now, None, || true, claim, |_| Ok(())) {
        let token = Token::new(Secret::from("t".to_owned()), Reading::at(now), Duration::from_secs(500), None);
        drop(departure.land(Ok(token), moment, 0.0));
        cache.weigh(&slot, true);
    }
}

#[test]
fn nobody_waits_in_a_circle() {
    let cache = Arc::new(Cache::new(Bounds { entries: 1, bytes: 1 << 20 }));
    let (ended, ends) = std::sync::mpsc::channel();
    for thread in 0..4 {
        let (cache, ended) = (Arc::clone(&cache), ended.clone());
        std::thread::spawn(move || {
            for n in 0..20_000 {
                match (n + thread) % 50 {
                    0 => drop(cache.keep(&key(n % 3))),
                    1 => cache.release(|_| false),
                    2 => cache.sweep(Reading::at(Timestamp::from_secs(1000)), |asked| *asked != key(n % 3)),
                    3 => drop(cache.stock(Timestamp::from_secs(1000))),
                    _ => fly(&cache, n % 3),
                }
            }
            ended.send(()).unwrap();
        });
    }
    for _ in 0..4 {
        ends.recv_timeout(Duration::from_mins(1)).expect("each thread comes to its end");
    }
}

#[test]
fn what_is_held_ready_leaves_the_room_of_whoever_asked_for_it_first_and_is_counted_wherever_it_is() {
    let cache = Cache::new(Bounds { entries: 1, bytes: 1 << 20 });
    let holding = Arc::new(Holding::new(1000));
    let slot = cache.slot(&key(0), || holding.lease(1000).map(Some)).unwrap();
    assert!(holding.lease(1000).is_err());
    assert!(Arc::ptr_eq(&slot, &cache.keep(&key(0))));
    assert!(holding.lease(1000).is_ok());
    fly(&cache, 0);
    fly(&cache, 1);
    assert_eq!(cache.stock(Timestamp::from_secs(1000)).tokens, 2, "one in the table, and the one that is held ready");
}

#[test]
fn what_flies_is_the_one_that_is_held_ready() {
    let cache = Cache::new(Bounds { entries: 1, bytes: 1 << 20 });
    let slot = find(&cache, 0);
    let hold = cache.hold(&slot).unwrap();
    cache.evict(&key(0));
    assert!(Arc::ptr_eq(&slot, &cache.keep(&key(0))));
    drop(hold);
}
