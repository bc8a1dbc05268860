//! A cached token beside what the web framework costs by itself, and beside what any server costs: the same bytes and
//! headers from a handler that always gives them, and from a socket that they are written to.

use super::contest::Contest;
use super::contestant::Contestant;
use super::generator;
use super::request::Request;
use super::stage::Stage;
use super::verdict::{Limit, Report};

pub(super) fn run(report: &mut Report) {
    let stage = Stage::new();
    let request = Request::of(
        "GET /token?resource=https://vault.azure.net HTTP/1.1\r\nHost: localhost\r\nMetadata: true\r\n\r\n",
    );
    let contest = Contest { title: "static: a cached token", heats: 3, rounds: 11, requests: 8000 };
    let played = contest.play(|| {
        let bursar = stage.bursar("").server;
        let answer = generator::once(bursar.address, request.bytes());
        let own = |kind| stage.own(kind, &answer, &[]);
        vec![
            Contestant::new("static actix", &own("actix"), &request),
            Contestant::new("static actix, once more", &own("actix"), &request),
            Contestant::new("bursar", &bursar, &request),
            Contestant::new("ceiling (raw sockets)", &own("raw"), &request),
        ]
    });
    let noise = played.noise(0, 1);
    let capacity = |one, other| played.ratio(other, one);
    report.judge("static: bursar's capacity beside static actix", capacity(2, 0), Limit::AtLeast(0.95), noise);
    report.judge("static: bursar's capacity beside the ceiling", capacity(2, 3), Limit::AtLeast(0.75), noise);
    println!("  static actix has {:.3} of the ceiling", capacity(0, 3));
}
