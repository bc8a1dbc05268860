//! From the start of a process to its first answer, beside static actix.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::Command;
use std::time::Duration;

use bursar::clock::Stopwatch;

use super::contest::{median, notch};
use super::contestant::Process;
use super::generator;
use super::stage::Stage;
use super::verdict::{Limit, Report};

pub(super) fn run(report: &mut Report) {
    let stage = Stage::new();
    let answer = generator::once(stage.bursar("").server.address, WITH_TOKEN);
    let of_actix = || {
        let (command, address) = stage.own_command("actix", &answer, &[]);
        first_answer(command, address, WITH_TOKEN)
    };
    let of_bursar = |request| {
        let (command, address, _) = stage.bursar_command("");
        first_answer(command, address, request)
    };
    let round = |_| [of_actix(), of_bursar(BARE), of_bursar(WITH_TOKEN), of_actix()].map(|took| took.as_secs_f64());
    let rounds: Vec<[f64; 4]> = (0..ROUNDS).map(round).collect();
    let of = |n: usize| median(rounds.iter().map(|took| took[n])) * 1000.0;
    println!("\nstart: {ROUNDS} rounds, wall-clock time to the first answer");
    println!(
        "  static actix {:.1} ms; bursar {:.1} ms, with a token that it has to fetch {:.1} ms",
        of(0),
        of(1),
        of(2)
    );
    let ratios = |one: usize, other: usize| rounds.iter().map(move |took| took[one] / took[other]);
    let noise = (median(ratios(3, 0)) - 1.0).abs() + notch(ratios(3, 0));
    for (n, what) in [(1, "first answer"), (2, "first token")] {
        let name = format!("start: to the {what}, beside static actix");
        report.judge(name, median(ratios(n, 0)), Limit::AtMost(2.0), noise);
    }
}

fn first_answer(mut command: Command, address: SocketAddr, request: &[u8]) -> Duration {
    let watch = Stopwatch::start();
    let _process = Process::start(&mut command);
    let mut socket = loop {
        match TcpStream::connect(address) {
            Ok(socket) => break socket,
            Err(_) => std::thread::sleep(Duration::from_micros(100)),
        }
    };
    socket.write_all(request).unwrap();
    let mut buffer = [0; 64];
    assert!(socket.read(&mut buffer).unwrap() > 0, "no answer");
    watch.elapsed()
}

const ROUNDS: usize = 21;
/// Lacks a resource, so that it is answered without an authority.
const BARE: &[u8] = b"GET /token HTTP/1.1\r\nHost: localhost\r\nMetadata: true\r\n\r\n";
const WITH_TOKEN: &[u8] =
    b"GET /token?resource=https://vault.azure.net HTTP/1.1\r\nHost: localhost\r\nMetadata: true\r\n\r\n";
