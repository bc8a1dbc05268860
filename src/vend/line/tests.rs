//! Whose turn it is, of those who wait in one line and in several.

use tokio::time::timeout;

use super::super::sources::tests::source;
use super::*;
use crate::clock::Deadline;

const LIMITS: Limits = Limits { beside: 2, flying: 3, waiting: 4 };

fn line() -> Arc<Line> {
    Arc::new(Line::new(LIMITS))
}

fn place(tenant: &str) -> Arc<Source> {
    Arc::new(source("https://login.corp", tenant))
}

fn long() -> Deadline {
    Deadline::after(Duration::from_mins(1))
}

fn boarded(line: &Arc<Line>, source: &Arc<Source>) -> Arc<Gate> {
    let gate = Gate::closed();
    gate.board(Some(line), source, long()).unwrap();
    gate
}

fn waiting(line: &Line) -> usize {
    line.lock().waiting.len()
}

#[test]
fn a_share_of_lanes_connections_and_patience() {
    let limits = |part| Limits::of(Share::parse(part).unwrap());
    assert_eq!(limits(0.25), Limits { beside: 2, flying: 64, waiting: 256 });
    assert_eq!(limits(0.001), Limits { beside: 1, flying: 1, waiting: 1 });
    assert_eq!(limits(1.0), Limits { beside: 8, flying: 256, waiting: 1024 });
}

#[tokio::test]
async fn so_many_are_under_way_and_the_others_go_in_order() {
    let (line, here, there) = (line(), place("a.example"), place("b.example"));
    let first = boarded(&line, &here);
    let mut turns = vec![first.turn().unwrap(), boarded(&line, &here).turn().unwrap()];
    let (third, fourth) = (boarded(&line, &here), boarded(&line, &here));
    let elsewhere = boarded(&line, &there);
    let mut other_turns = vec![elsewhere.turn().expect("another source is not in the way")];
    let late = boarded(&line, &there);
    assert!(late.turn().is_none(), "so many connections, wherever to");
    assert!(third.turn().is_none() && fourth.turn().is_none());
    turns.pop();
    turns.push(third.turn().expect("the first in line"));
    assert!(fourth.turn().is_none());
    other_turns.pop();
    other_turns.push(late.turn().expect("there is no room yet where the one before it goes"));
    turns.clear();
    assert!(fourth.turn().is_some());
}

#[tokio::test]
async fn so_many_wait_and_no_more() {
    let (line, here) = (line(), place("a.example"));
    let turns = [boarded(&line, &here), boarded(&line, &here)];
    let waiting: Vec<_> = (0..4).map(|_| boarded(&line, &here)).collect();
    let fault = Gate::closed().board(Some(&line), &here, long()).unwrap_err();
    assert_eq!((fault.status(), fault.retry_after()), (429, Some(Duration::from_secs(1))));
    assert!(
        line.check(&here).is_err() && waiting[3].board(Some(&line), &here, long()).is_ok(),
        "who is aboard is aboard"
    );
    let elsewhere = place("b.example");
    let may_go = line.check(&elsewhere).is_ok() && Gate::closed().board(Some(&line), &elsewhere, long()).is_ok();
    assert!(may_go, "whoever need not wait may go");
    drop(turns[0].turn());
    assert!(line.check(&here).is_ok());
}

#[tokio::test]
async fn a_flight_of_two_goes_with_the_first_whose_turn_it_is() {
    let (a, b, here) = (line(), line(), place("a.example"));
    let (of_a, of_b) = (boarded(&a, &here), boarded(&b, &here));
    let (_also_a, _also_b) = (boarded(&a, &here), boarded(&b, &here));
    let (both, next_of_a) = (boarded(&a, &here), boarded(&a, &here));
    both.board(Some(&b), &here, long()).unwrap();
    assert!(both.turn().is_none());
    assert_eq!((waiting(&a), waiting(&b)), (2, 1));
    drop(of_b.turn());
    let turn_of_b = both.turn().expect("it is b's turn, though a asked first");
    assert_eq!((waiting(&a), waiting(&b)), (1, 0), "nobody waits for it any more");
    both.board(Some(&a), &here, long()).unwrap();
    assert_eq!(waiting(&a), 1, "whoever comes later need not stand in line");
    drop(of_a.turn());
    assert!(next_of_a.turn().is_some(), "and it took nothing from a");
    let last_of_b = boarded(&b, &here);
    assert!(last_of_b.turn().is_none());
    drop(turn_of_b);
    assert!(last_of_b.turn().is_some(), "it was b's turn that it flew in");
}

#[tokio::test]
async fn a_flight_goes_at_once_when_somebody_boards_who_need_not_wait() {
    let (a, b, here) = (line(), line(), place("a.example"));
    let _under_way = [boarded(&a, &here), boarded(&a, &here)];
    let flight = boarded(&a, &here);
    flight.board(Some(&b), &here, long()).unwrap();
    assert!(flight.turn().is_some());
    let of_nobody = boarded(&a, &here);
    of_nobody.board(None, &here, long()).unwrap();
    assert!(of_nobody.is_open() && of_nobody.turn().is_none(), "it takes nobody's turn");
    assert_eq!(waiting(&a), 0);
}

#[tokio::test]
async fn whoever_is_gone_holds_up_nobody() {
    let (line, here) = (line(), place("a.example"));
    let first = boarded(&line, &here);
    let second = boarded(&line, &here);
    drop((boarded(&line, &here), boarded(&line, &here)));
    let third = boarded(&line, &here);
    drop(first);
    assert!(third.turn().is_some());
    drop(second);
    assert!(line.lock().flying.is_empty() && waiting(&line) == 0);
}

#[tokio::test]
async fn each_waits_for_as_long_as_it_may_and_the_flight_for_the_last() {
    let (a, b, here) = (line(), line(), place("a.example"));
    let turns = [&a, &a, &b, &b].map(|line| boarded(line, &here).turn());
    let flight = Gate::closed();
    let soon = Deadline::after(Duration::from_millis(20));
    flight.board(Some(&a), &here, soon).unwrap();
    flight.board(Some(&b), &here, soon).unwrap();
    flight.board(Some(&b), &here, Deadline::after(Duration::from_millis(60))).unwrap();
    let opens = flight.opens();
    tokio::pin!(opens);
    assert!(timeout(Duration::from_millis(40), &mut opens).await.is_err());
    assert_eq!((waiting(&a), waiting(&b)), (0, 1), "the one who asked twice waits since it asked last");
    assert!(!opens.await && flight.is_deserted());
    assert_eq!(waiting(&b), 0);
    drop(turns);
    assert!(a.lock().flying.is_empty() && b.lock().flying.is_empty());
}

#[tokio::test]
async fn whoever_left_may_board_again_while_others_are_aboard() {
    let (a, b, here) = (line(), line(), place("a.example"));
    let mut turns = [&a, &a, &b, &b].map(|line| boarded(line, &here).turn());
    let flight = Gate::closed();
    flight.board(Some(&a), &here, Deadline::after(Duration::ZERO)).unwrap();
    flight.board(Some(&b), &here, long()).unwrap();
    assert!(timeout(Duration::from_millis(1), flight.opens()).await.is_err());
    assert_eq!(waiting(&a), 0);
    flight.board(Some(&a), &here, long()).unwrap();
    turns[0] = None;
    assert!(flight.opens().await && flight.turn().is_some_and(|turn| Arc::ptr_eq(&turn.line, &a)));
    assert_eq!((waiting(&a), waiting(&b)), (0, 0));
}
