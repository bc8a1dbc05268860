//! One key: who flies, who waits, what is served and what rests.

use super::super::line::{Limits, Line};
use super::super::sources::tests::source;
use super::*;
use crate::claims::ClaimsRequest;
use crate::clock::{Deadline, Reading};
use crate::name::{Resource, Scope, ScopeForm};
use crate::secret::Secret;
use crate::token::{Extension, Extras, Principal};

const START: Timestamp = Timestamp::from_secs(1_000_000);

fn slot() -> Arc<Slot> {
    let scope = Scope::of(&Resource::parse("r").unwrap(), ScopeForm::Default);
    let principal = Arc::new(Principal::of("app", "contoso.com"));
    Arc::new(Slot::new(TokenKey::new(principal, scope, &Extras::NONE, Extension::default()), None))
}

fn at(secs: u64) -> Moment<'static> {
    const WINDOWS: Windows =
        Windows { late: Duration::from_mins(5), last: Duration::from_secs(30), join: Duration::from_secs(1) };
    Moment { now: START + Duration::from_secs(secs), windows: &WINDOWS }
}

fn token(issued: u64) -> Token {
    let issued_at = at(issued).now;
    let secret = Secret::from(format!("token-{issued}"));
    Token::new(secret, Reading::at(issued_at), Duration::from_hours(1), None)
}

fn step(slot: &Arc<Slot>, secs: u64) -> Step {
    slot.step(at(secs), None, || true, |_| Ok(()))
}

fn departure(slot: &Arc<Slot>, secs: u64) -> Departure {
    match step(slot, secs) {
        Step::Wait(_, _, Some(departure)) => departure,
        Step::ServeAndRefresh(..) => slot.renew(|| true).unwrap(),
        other => panic!("no departure: {other:?}"),
    }
}

fn errand(challenge: &ClaimsRequest) -> Errand<'_> {
    Errand { challenge: Some(challenge), is_forced: false }
}

fn outage() -> Fault {
    Fault::new(Kind::Unavailable, "p", "r")
}

#[test]
fn one_departure_however_many_ask() {
    let slot = slot();
    let first = departure(&slot, 0);
    for _ in 0..10 {
        assert!(matches!(step(&slot, 0), Step::Wait(Patience::Whole, _, None)));
    }
    assert!(first.land(Ok(token(0)), at(1), 0.0).is_none());
    assert!(matches!(step(&slot, 1), Step::Serve(_)));
}

#[test]
fn a_lost_pilot_frees_the_slot() {
    let slot = slot();
    drop(departure(&slot, 0));
    assert!(departure(&slot, 0).land(Ok(token(0)), at(0), 0.0).is_none());
}

#[test]
fn a_failed_renewal_keeps_the_live_token() {
    let slot = slot();
    assert!(departure(&slot, 0).land(Ok(token(0)), at(0), 0.0).is_none());
    assert!(departure(&slot, 2700).land(Err(outage()), at(2700), 0.0).is_none());
    assert!(matches!(step(&slot, 2700), Step::Serve(_)));
    assert!(departure(&slot, 2701).land(Err(outage()), at(2701), 0.0).is_none());
    assert!(matches!(step(&slot, 2702), Step::Serve(_)), "the second failure cools for two seconds");
    assert!(departure(&slot, 3599).land(Err(outage()), at(3599), 0.0).is_none());
    assert!(slot.live(at(3599).now).is_some());
    assert!(matches!(step(&slot, 3600), Step::Refuse(_)));
}

#[test]
fn a_token_that_is_dead_on_arrival_displaces_no_live_one() {
    let slot = slot();
    assert!(departure(&slot, 0).land(Ok(token(0)), at(0), 0.0).is_none());
    let renewal = departure(&slot, 2700);
    let dead = Token::new(Secret::from("dead".to_owned()), Reading::at(at(2700).now), Duration::from_secs(1), None);
    assert!(renewal.land(Ok(dead), at(2702), 0.0).is_none());
    assert!(slot.live(at(2702).now).is_some());
    assert!(matches!(step(&slot, 2702), Step::Serve(_)), "the next renewal waits as after any failure");
    assert!(matches!(step(&slot, 2704), Step::ServeAndRefresh(..)));
    let dead = Token::new(Secret::from("dead".to_owned()), Reading::at(at(3600).now), Duration::from_secs(1), None);
    assert!(departure(&slot, 3600).land(Ok(dead), at(3601), 0.0).is_none());
    assert!(matches!(step(&slot, 3601), Step::Wait(..)), "nobody is kept from the next");
}

#[test]
fn a_refusal_says_how_long() {
    let slot = slot();
    let fault = outage().with_retry_after(Some(Duration::from_secs(17)));
    assert!(departure(&slot, 0).land(Err(fault), at(0), 0.0).is_none());
    match step(&slot, 7) {
        Step::Refuse(fault) => assert_eq!(fault.retry_after(), Some(Duration::from_secs(10))),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_clock_that_is_set_back_ends_the_cooling() {
    let slot = slot();
    assert!(departure(&slot, 5000).land(Err(outage()), at(5000), 0.0).is_none());
    assert!(matches!(step(&slot, 5000), Step::Refuse(_)));
    assert!(matches!(step(&slot, 4000), Step::Wait(..)));
}

#[test]
fn a_cooling_does_not_come_back_with_its_time() {
    let slot = slot();
    assert!(departure(&slot, 5000).land(Err(outage()), at(5000), 0.0).is_none());
    assert!(!slot.sweep(Reading::at(at(5000).now)), "it cools");
    let over = self::slot();
    assert!(departure(&over, 5000).land(Err(outage()), at(5000), 0.0).is_none());
    assert!(over.sweep(Reading::at(at(5060).now)));
    assert!(matches!(step(&over, 5000), Step::Wait(..)), "it does not come back with a clock that is set back to it");
    assert!(slot.sweep(Reading::at(at(4000).now)), "the clock was set back");
    assert!(matches!(step(&slot, 5000), Step::Wait(..)));
}

#[test]
fn a_token_ends_when_it_does_by_a_clock_that_was_set_back_a_little() {
    // Half an hour has passed, and the clock shows that it were ten minutes.
    let (half_an_hour, now) = (Reading::at(at(1800).now).uptime, at(600).now);
    let reading = Reading { now, uptime: half_an_hour };
    let by_sweep = |slot: &Slot| assert!(!slot.sweep(reading));
    let by_round = |slot: &Slot| {
        let (_, ticket) = slot.take_up(now).unwrap();
        assert_eq!(slot.renewal(ticket, reading, None), Renewal::Later(at(1500).now));
    };
    for look in [&by_sweep as &dyn Fn(&Slot), &by_round] {
        let slot = slot();
        assert!(departure(&slot, 0).land(Ok(token(0)), at(0), 0.0).is_none());
        look(&slot);
        assert_eq!(slot.due_at(), Some(at(1500).now));
        assert!(slot.live(at(2399).now).is_some() && slot.live(at(2400).now).is_none());
    }
}

#[test]
fn nobody_waits_for_the_time_of_a_token_that_lies_ahead() {
    let slot = slot();
    slot.keep_warm(at(5000).now);
    assert!(departure(&slot, 5000).land(Ok(token(5000)), at(5000), 0.0).is_none());
    assert!(slot.renew(|| true).unwrap().land(Err(outage()), at(3000), 0.0).is_none());
    let (again, ticket) = slot.take_up(at(3000).now).unwrap();
    let since = Reading { now: again, uptime: Reading::at(at(5001).now).uptime };
    assert_eq!((again, slot.renewal(ticket, since, None)), (at(3001).now, Renewal::Later(at(5700).now)));
}

#[test]
fn what_is_wrong_with_a_credential_cools_in_its_source_alone() {
    let slot = slot();
    for kind in [Kind::RejectedCredential, Kind::UnusableCredential] {
        let fault = Fault::new(kind, "p", "r");
        assert!(departure(&slot, 0).land(Err(fault.clone()), at(0), 0.0).is_none());
        let known = Some((at(9).now, fault));
        assert!(matches!(slot.step(at(1), known, || true, |_| Ok(())), Step::Refuse(fault) if fault.status() == 403));
        assert!(matches!(step(&slot, 1), Step::Wait(..)), "a reload that ends the rejection ends it at once");
    }
}

#[test]
fn an_ageing_token_is_served_and_its_renewal_taken_up_once() {
    let slot = slot();
    assert!(slot.take_up(at(0).now).is_none(), "there is nothing to renew");
    assert!(departure(&slot, 0).land(Ok(token(0)), at(0), 0.0).is_none());
    let (due, ticket) = slot.take_up(at(1).now).unwrap();
    assert_eq!((due, slot.take_up(at(2).now)), (at(2700).now, None));
    assert!(matches!(step(&slot, 2600), Step::Serve(_)));
    assert!(matches!(step(&slot, 2700), Step::ServeAndRefresh(_, None)), "it is overdue, which is all there is to say");
    assert_eq!(slot.renewal(ticket, Reading::at(due), None), Renewal::Due(at(3300).now));
    assert!(matches!(step(&slot, 2701), Step::Serve(_)), "it stands in line");
    let renewal = slot.renew(|| true).unwrap();
    assert!(matches!(step(&slot, 2702), Step::Serve(_)) && slot.renew(|| true).is_none(), "it flies");
    assert!(renewal.land(Err(outage()), at(2703), 0.0).is_none());
    let (again, ticket) = slot.take_up(at(2703).now).unwrap();
    assert_eq!(slot.renewal(ticket, Reading::at(again - Duration::from_millis(1)), None), Renewal::Later(again));
    assert!(matches!(step(&slot, 3300), Step::Wait(Patience::Brief(_), _, Some(_))), "callers wait for no budget");
}

#[test]
fn what_was_let_go_is_taken_up_by_whoever_asks() {
    let slot = slot();
    assert!(departure(&slot, 0).land(Ok(token(0)), at(0), 0.0).is_none());
    let (due, ticket) = slot.take_up(at(0).now).unwrap();
    let rests = Some(at(4000).now);
    assert_eq!(
        slot.renewal(ticket, Reading::at(due), rests),
        Renewal::LetGo,
        "the authority is to be left alone past the end"
    );
    let Step::ServeAndRefresh(_, Some(next)) = step(&slot, 2800) else { panic!("a new ticket") };
    assert_eq!(slot.renewal(ticket, Reading::at(at(2800).now), None), Renewal::LetGo, "the old one is void");
    assert_eq!(slot.renewal(next, Reading::at(at(2800).now), None), Renewal::Due(at(3300).now));
}

#[test]
fn what_is_held_ready_is_due_without_a_token_and_after_every_failure() {
    let slot = slot();
    assert!(slot.sweep(Reading::at(at(0).now)));
    let (now, ticket) = slot.keep_warm(at(0).now).unwrap();
    assert_eq!((now, slot.keep_warm(at(1).now)), (at(0).now, None), "it is seen to");
    assert!(!slot.sweep(Reading::at(at(0).now)), "it stays though it is empty");
    assert_eq!(slot.renewal(ticket, Reading::at(now), None), Renewal::Due(at(0).now));
    let first = slot.renew(|| true).unwrap();
    assert_eq!(slot.keep_warm(at(1).now), None, "the flight sees to it");
    assert!(first.land(Err(outage()), at(1), 0.0).is_none());
    assert_eq!(
        slot.regard().failure.map(|(outline, until)| (outline.code(), until)),
        Some(("service_unavailable", at(2).now))
    );
    let (again, ticket) = slot.take_up(at(1).now).unwrap();
    assert_eq!((again, slot.renewal(ticket, Reading::at(again), None)), (at(2).now, Renewal::Due(at(2).now)));
    assert!(slot.renew(|| true).unwrap().land(Ok(token(2)), at(2), 0.0).is_none());
    let (due, ticket) = slot.take_up(at(2).now).unwrap();
    assert_eq!(due, at(2702).now);
    assert_eq!(
        slot.renewal(ticket, Reading::at(at(90_000).now), None),
        Renewal::Due(at(90_000).now),
        "however long ago somebody asked"
    );
    let regard = slot.regard();
    assert!(regard.is_warm && regard.failure.is_none() && regard.live(at(9).now).is_some());
    assert!(regard.live(at(3602).now).is_none());
}

#[test]
fn a_key_that_has_moved_is_flown_by_its_new_slot() {
    let slot = slot();
    assert!(matches!(slot.step(at(0), None, || false, |_| Ok(())), Step::Moved));
    assert!(departure(&slot, 0).land(Ok(token(0)), at(0), 0.0).is_none());
    assert!(slot.renew(|| false).is_none());
    assert!(matches!(slot.step(at(3600), None, || false, |_| Ok(())), Step::Moved));
}

#[test]
fn a_rejected_token_is_not_the_answer_and_stays_for_the_others() {
    let slot = slot();
    assert!(departure(&slot, 0).land(Ok(token(0)), at(0), 0.0).is_none());
    let forced = Errand { challenge: None, is_forced: true };
    let answer = |may: bool| slot.answer(forced, at(1).now, None, || may, || true, |_| Ok(()));
    assert!(matches!(answer(false), Step::Refuse(fault) if fault.status() == 429));
    let Step::Wait(Patience::Whole, flight, Some(first)) = answer(true) else { panic!("a departure") };
    assert!(flight.is_forced() && first.is_forced());
    assert!(matches!(answer(false), Step::Wait(_, _, None)), "one flight for all who reject it");
    assert!(matches!(step(&slot, 1), Step::Serve(_)));
    assert!(first.land(Err(outage()), at(1), 0.0).is_none());
    assert!(matches!(step(&slot, 1), Step::Serve(_)));
    assert!(
        matches!(answer(true), Step::Refuse(fault) if fault.status() == 503),
        "while it cools there is nothing else"
    );
}

#[test]
fn whoever_waits_for_another_ones_challenge_is_flown_next() {
    let challenge = ClaimsRequest::parse(r#"{"a":1}"#).unwrap();
    let answer = |slot: &Arc<Slot>| match slot.answer(errand(&challenge), at(0).now, None, || true, || true, |_| Ok(()))
    {
        Step::Wait(_, _, departure) => departure,
        other => panic!("{other:?}"),
    };
    let refused = || Fault::new(Kind::Misconfigured, "p", "r");
    for (result, follows) in [(Err(refused()), true), (Err(outage()), false), (Ok(token(0)), false)] {
        let slot = slot();
        let first = answer(&slot).unwrap();
        assert!(matches!(step(&slot, 0), Step::Wait(Patience::Whole, _, None)));
        let next = first.land(result, at(0), 0.0);
        assert_eq!(next.is_some(), follows);
        if let Some(next) = next {
            assert!(answer(&slot).is_none(), "further challenges wait their turn");
            assert!(next.challenge().is_none() && next.land(Ok(token(0)), at(1), 0.0).is_none());
        }
    }
    let alone = slot();
    assert!(answer(&alone).unwrap().land(Err(refused()), at(0), 0.0).is_none(), "nobody waits");
}

#[test]
fn whoever_waits_to_fly_with_a_challenge_takes_from_the_budget_and_whoever_shares_a_flight_does_not() {
    let [first, other] = [r#"{"a":1}"#, r#"{"a":2}"#].map(|text| ClaimsRequest::parse(text).unwrap());
    let slot = slot();
    let answer = |challenge, may| slot.answer(errand(challenge), at(0).now, None, || may, || true, |_| Ok(()));
    let Step::Wait(_, _, Some(_flown)) = answer(&first, true) else { panic!("a departure") };
    assert!(matches!(answer(&first, false), Step::Wait(_, _, None)));
    assert!(matches!(answer(&other, true), Step::Wait(_, _, None)));
    assert!(matches!(answer(&other, false), Step::Refuse(fault) if fault.status() == 429));
}

#[test]
fn whoever_has_its_share_is_refused_and_nothing_is_torn() {
    let full = |_: &Arc<Gate>| Err(Fault::new(Kind::TooMany, "p", "r"));
    let slot = slot();
    assert!(matches!(slot.step(at(0), None, || true, full), Step::Refuse(fault) if fault.status() == 429));
    let challenge = ClaimsRequest::parse(r#"{"a":1}"#).unwrap();
    assert!(matches!(slot.answer(errand(&challenge), at(0).now, None, || true, || true, full), Step::Refuse(_)));
    let first = departure(&slot, 0);
    assert!(matches!(slot.step(at(0), None, || true, full), Step::Refuse(_)), "a flight in progress goes on");
    assert!(first.land(Ok(token(0)), at(0), 0.0).is_none());
    assert!(matches!(slot.step(at(3300), None, || true, full), Step::Serve(_)), "a live token is better than none");
    assert!(matches!(slot.step(at(3599), None, || true, full), Step::Serve(_)));
    assert!(matches!(slot.step(at(3600), None, || true, full), Step::Refuse(_)));
}

#[tokio::test]
async fn a_flight_that_nobody_waits_for_any_more_is_boarded_by_nobody_and_cools_nothing() {
    let slot = slot();
    let line = Arc::new(Line::new(Limits { beside: 1, flying: 1, waiting: 9 }));
    let source = Arc::new(source("https://login.corp", "a.example"));
    let under_way = Gate::closed();
    under_way.board(Some(&line), &source, Deadline::after(Duration::ZERO)).unwrap();
    let no_time = |gate: &Arc<Gate>| gate.board(Some(&line), &source, Deadline::after(Duration::ZERO));
    let challenge = ClaimsRequest::parse(r#"{"a":1}"#).unwrap();
    let Step::Wait(_, challenged, Some(first)) =
        slot.answer(errand(&challenge), at(0).now, None, || true, || true, no_time)
    else {
        panic!("a departure")
    };
    let Step::Wait(_, waiting, None) = slot.step(at(0), None, || true, no_time) else { panic!("a seat") };
    assert!(!first.may_go().await);
    let Step::Wait(_, flight, Some(second)) = step(&slot, 0) else { panic!("a flight of its own") };
    for (aboard, challenge) in [(challenged, Some(&challenge)), (waiting, None)] {
        let landing = aboard.clone().landed(Deadline::after(Duration::ZERO)).await;
        assert!(aboard.answers(challenge, &landing) && landing.is_err_and(|fault| fault.status() == 429));
    }
    drop(first);
    assert!(second.land(Ok(token(0)), at(0), 0.0).is_none(), "nobody waits for another one's challenge");
    assert!(flight.landed(Deadline::after(Duration::ZERO)).await.is_ok());
}

#[test]
fn a_slot_and_a_token_with_their_counts_fill_a_block_of_the_allocator_each() {
    let counts = size_of::<[usize; 2]>();
    assert!(size_of::<Slot>() + counts <= 160, "{}", size_of::<Slot>());
    assert!(size_of::<Token>() + counts <= 96, "{}", size_of::<Token>());
}
