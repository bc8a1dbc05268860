//! What is asked for the first time: one key by a thousand at once, and ten thousand keys after a start.

use std::net::SocketAddr;

use bursar::clock::Stopwatch;

use super::generator::{self, told};
use super::request::Request;
use super::stage::Stage;
use super::verdict::{Limit, Report};

pub(super) fn run(report: &mut Report) {
    let stage = Stage::with_sts();
    let sts: SocketAddr = stage.authority.trim_start_matches("http://").parse().unwrap();
    one_key(&stage, sts, report);
    many_keys(&stage, report);
}

/// The authority takes so long that all of them come before it answers.
fn one_key(stage: &Stage, sts: SocketAddr, report: &mut Report) {
    let bursar = stage.bursar("").server;
    let slow = "[{\"match\": {\"path\": \"/oauth2/v2.0/token\"}, \"delay_ms\": 500}]";
    told(sts, "POST", "/_sts/faults", slow);
    let latencies = generator::round(bursar.address, &Request::of_keys(1), CALLERS, CALLERS);
    assert_eq!(latencies.len(), CALLERS, "each has its answer");
    let journal = told(sts, "GET", "/_sts/requests", "");
    told(sts, "DELETE", "/_sts/faults", "");
    let exchanges = journal.matches("/oauth2/v2.0/token\"").count();
    println!("\ncold: {CALLERS} callers at once ask for one key");
    report.judge("cold: exchanges for one key", exchanges as f64, Limit::Exactly(1.0), 0.0);
}

fn many_keys(stage: &Stage, report: &mut Report) {
    let bursar = stage.bursar("");
    let (address, before, watch) = (bursar.server.address, bursar.server.cpu_time(), Stopwatch::start());
    let authority_before = stage.authority_cpu_time();
    generator::fill(address, &Request::of_keys(KEYS), 0..KEYS, 64);
    let took = watch.elapsed();
    let each = |used: u64| used as f64 / f64::from(KEYS) / 1000.0;
    let [own, authority] = [bursar.server.cpu_time() - before, stage.authority_cpu_time() - authority_before];
    println!("\ncold: {KEYS} keys against the STS in {:.2} s", took.as_secs_f64());
    println!("  µs of processor time for each: {:.0}, and {:.0} of the STS", each(own), each(authority));
    let metrics = told(bursar.admin, "GET", "/metrics", "");
    let counted = metrics.lines().find_map(|line| line.strip_prefix("bursar_exchanges_total{")).unwrap();
    let exchanges: f64 = counted.rsplit(' ').next().unwrap().parse().unwrap();
    report.judge(format!("cold: exchanges for {KEYS} keys"), exchanges, Limit::Exactly(f64::from(KEYS)), 0.0);
}

const CALLERS: usize = 1000;
const KEYS: u32 = 10_000;
