//! Resident memory: of a server that does nothing, beside static actix, and of each token that it caches.

use super::generator;
use super::request::Request;
use super::servers::TOKEN;
use super::stage::Stage;
use super::verdict::{Limit, Report};

pub(super) fn run(report: &mut Report) {
    let stage = Stage::new();
    let request = Request::of_keys(FILLED);
    let bursar = stage.bursar("").server;
    // What nobody has asked anything has not touched much of itself.
    let answer = generator::once(bursar.address, request.bytes());
    let own = stage.own("actix", &answer, &[]);
    generator::once(own.address, request.bytes());
    let [idle, other] = [&bursar, &own].map(|server| server.process.resident() as f64);
    println!("\nmemory: {:.1} MiB idle, static actix {:.1} MiB", idle / MIB, other / MIB);
    report.judge("memory: idle, beside static actix", idle / other, Limit::AtMost(2.0), 0.0);
    // Buffers of connections and tables that come with the first keys are not a token's.
    generator::fill(bursar.address, &request, 0..WARM, 32);
    let before = bursar.process.resident() as f64;
    generator::fill(bursar.address, &request, WARM..FILLED, 32);
    let each = (bursar.process.resident() as f64 - before) / f64::from(FILLED - WARM);
    report.judge(format!("memory: bytes for a token of {TOKEN}"), each, Limit::AtMost((TOKEN + 500) as f64), 0.0);
}

const MIB: f64 = 1_048_576.0;
const WARM: u32 = 2000;
const FILLED: u32 = 52_000;
