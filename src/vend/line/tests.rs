//! Whose turn it is, of those who wait in one line and in several.

use super::super::sources::tests::source;
use super::*;

const LIMITS: Limits = Limits { beside: 2, flying: 3, waiting: 4 };

fn line() -> Arc<Line> {
    Arc::new(Line::new(LIMITS))
}

fn place(tenant: &str) -> Arc<Source> {
    Arc::new(source("https://login.corp", tenant))
}

fn boarded(line: &Arc<Line>, source: &Arc<Source>) -> Arc<Gate> {
    let gate = Gate::closed();
    gate.board(Some(line), source).unwrap();
    gate
}

/// The turn that a flight has by now, if it is under way.
async fn turn(gate: &Arc<Gate>) -> Option<Pass> {
    if gate.is_open() { gate.passed(Duration::ZERO).await.unwrap() } else { None }
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
    let mut turns = vec![turn(&first).await.unwrap(), turn(&boarded(&line, &here)).await.unwrap()];
    let (third, fourth) = (boarded(&line, &here), boarded(&line, &here));
    let elsewhere = boarded(&line, &there);
    let mut other_turns = vec![turn(&elsewhere).await.expect("another source is not in the way")];
    let late = boarded(&line, &there);
    assert!(turn(&late).await.is_none(), "so many connections, wherever to");
    assert!(turn(&third).await.is_none() && turn(&fourth).await.is_none());
    turns.pop();
    turns.push(turn(&third).await.expect("the first in line"));
    assert!(turn(&fourth).await.is_none());
    other_turns.pop();
    other_turns.push(turn(&late).await.expect("there is no room yet where the one before it goes"));
    turns.clear();
    assert!(turn(&fourth).await.is_some());
}

#[tokio::test]
async fn so_many_wait_and_no_more() {
    let (line, here) = (line(), place("a.example"));
    let turns = [boarded(&line, &here), boarded(&line, &here)];
    let waiting: Vec<_> = (0..4).map(|_| boarded(&line, &here)).collect();
    let fault = Gate::closed().board(Some(&line), &here).unwrap_err();
    assert_eq!((fault.status(), fault.retry_after()), (429, Some(Duration::from_secs(1))));
    assert!(line.check(&here).is_err() && waiting[3].board(Some(&line), &here).is_ok(), "who is aboard is aboard");
    let elsewhere = place("b.example");
    let may_go = line.check(&elsewhere).is_ok() && Gate::closed().board(Some(&line), &elsewhere).is_ok();
    assert!(may_go, "whoever need not wait may go");
    drop(turn(&turns[0]).await);
    assert!(line.check(&here).is_ok());
}

#[tokio::test]
async fn a_flight_of_two_goes_with_the_first_whose_turn_it_is() {
    let (a, b, here) = (line(), line(), place("a.example"));
    let (of_a, of_b) = (boarded(&a, &here), boarded(&b, &here));
    let (_also_a, _also_b) = (boarded(&a, &here), boarded(&b, &here));
    let (both, next_of_a) = (boarded(&a, &here), boarded(&a, &here));
    both.board(Some(&b), &here).unwrap();
    assert!(turn(&both).await.is_none());
    assert_eq!((waiting(&a), waiting(&b)), (2, 1));
    drop(turn(&of_b).await);
    let turn_of_b = turn(&both).await.expect("it is b's turn, though a asked first");
    assert_eq!((waiting(&a), waiting(&b)), (1, 0), "nobody waits for it any more");
    both.board(Some(&a), &here).unwrap();
    assert_eq!(waiting(&a), 1, "whoever comes later need not stand in line");
    drop(turn(&of_a).await);
    assert!(turn(&next_of_a).await.is_some(), "and it took nothing from a");
    let last_of_b = boarded(&b, &here);
    assert!(turn(&last_of_b).await.is_none());
    drop(turn_of_b);
    assert!(turn(&last_of_b).await.is_some(), "it was b's turn that it flew in");
}

#[tokio::test]
async fn a_flight_goes_at_once_when_somebody_boards_who_need_not_wait() {
    let (a, b, here) = (line(), line(), place("a.example"));
    let _under_way = [boarded(&a, &here), boarded(&a, &here)];
    let flight = boarded(&a, &here);
    flight.board(Some(&b), &here).unwrap();
    assert!(turn(&flight).await.is_some());
    let of_nobody = boarded(&a, &here);
    of_nobody.board(None, &here).unwrap();
    assert!(of_nobody.is_open() && turn(&of_nobody).await.is_none(), "it takes nobody's turn");
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
    assert!(turn(&third).await.is_some());
    drop(second);
    assert!(line.lock().flying.is_empty() && waiting(&line) == 0);
}

#[tokio::test]
async fn nobody_waits_for_ever() {
    let (line, here) = (line(), place("a.example"));
    let turns = [boarded(&line, &here), boarded(&line, &here)];
    let third = boarded(&line, &here);
    let Err(fault) = third.passed(Duration::from_millis(1)).await else { panic!("a turn") };
    assert_eq!((fault.status(), waiting(&line)), (429, 0));
    drop(turns);
    assert!(line.lock().flying.is_empty());
}
