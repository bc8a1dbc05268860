//! Minutes of mixed traffic at 70 % of what the server can do, while tokens are renewed, credentials change, and the
//! authority has its spells: no error but theirs, and no memory that grows. `soak` takes half an hour, `soak=120` two
//! minutes.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bursar::clock::{Clock, Stopwatch};
use tokio::time::sleep;

use super::generator::{Client, all, told};
use super::stage::{Bursar, Stage};
use super::verdict::{Limit, Report};

mod answer;
mod health;
mod spell;
mod traffic;

use answer::{Known, Outcome};
use health::{Memory, Waits};
use spell::Spell;
use traffic::{Ask, CALLERS, IDENTITIES};

/// Half an hour.
pub(super) const USUAL: Duration = Duration::from_mins(30);

pub(super) fn run(length: Duration, report: &mut Report) {
    let stage = Stage::with_sts_of(&sts_config());
    let directory = stage.directory().to_owned();
    let sts: SocketAddr = stage.authority.trim_start_matches("http://").parse().unwrap();
    write_secrets(&directory, SECRETS[0]);
    let bursar = stage.bursar_as(&config());
    let address = bursar.server.address;
    fill(address);
    let most = Trial { address, length: Duration::from_secs(4), rate: None }.run().rate();
    let rate = Some(most * 0.7);
    let mut quiet = Trial { address, length: Duration::from_secs(8), rate }.run();
    println!("\nsoak: {} s at {:.0} requests a second, 70 % of {most:.0}", length.as_secs(), most * 0.7);
    let watch = Stopwatch::start();
    let (mut soaked, memory) = std::thread::scope(|scope| {
        let process = &*bursar.server.process;
        let pid = process.0.id();
        let director = scope.spawn(move || direct(length, watch, sts, pid, &directory));
        let soaked = Trial { address, length, rate }.run();
        (soaked, director.join().unwrap())
    });
    judge(&mut quiet, &mut soaked, &memory, report);
    told_of_renewals(&bursar, length, report);
    told_of_reloads(sts, report);
}

/// Requests over some connections for a while: as many as possible, or so many a second.
#[derive(Clone, Copy)]
struct Trial {
    address: SocketAddr,
    length: Duration,
    rate: Option<f64>,
}

/// What came of one.
#[derive(Default)]
struct Tally {
    length: Duration,
    waits: Waits,
    excused: usize,
    wrong: Vec<String>,
    known: Known,
    asked: u64,
}

impl Trial {
    fn run(self) -> Tally {
        let (watch, tally) = (Stopwatch::start(), RefCell::new(Tally { length: self.length, ..Tally::default() }));
        all(CONNECTIONS, |number| self.connection(number, watch, &tally));
        tally.into_inner()
    }

    async fn connection(self, number: usize, watch: Stopwatch, tally: &RefCell<Tally>) {
        let mut client = Client::open(self.address).await;
        let pause = self.rate.map_or(0.0, |rate| CONNECTIONS as f64 / rate);
        let mut due = pause * number as f64 / CONNECTIONS as f64;
        while watch.elapsed() < self.length {
            sleep(Duration::from_secs_f64(due).saturating_sub(watch.elapsed())).await;
            due += pause;
            let ask = Ask::draw(tally.borrow().asked);
            let (asked, now) = (watch.elapsed(), Clock::System.now().as_secs());
            let answer = ask.send(&mut client).await;
            tally.borrow_mut().note(&ask, &answer, (asked, watch.elapsed()), now);
        }
    }
}

impl Tally {
    fn note(&mut self, ask: &Ask, answer: &(u16, Vec<u8>), times: (Duration, Duration), now: u64) {
        self.asked += 1;
        self.waits.note(times.1.saturating_sub(times.0));
        match self.known.judge(ask, answer, times, now) {
            Ok(Outcome::Right) => {}
            Ok(Outcome::Excused) => self.excused += 1,
            Err(wrong) => self.wrong.push(wrong),
        }
        if self.asked.is_multiple_of(100_000) {
            self.known.forget(now);
        }
    }

    fn rate(&self) -> f64 {
        self.waits.len() as f64 / self.length.as_secs_f64()
    }
}

/// Each key that is asked for again is there before anything is measured.
fn fill(address: SocketAddr) {
    let asks = Ask::every();
    let asks = &asks;
    all(CONNECTIONS, |number| async move {
        let mut client = Client::open(address).await;
        for ask in asks.iter().skip(number).step_by(CONNECTIONS) {
            let (status, body) = ask.send(&mut client).await;
            assert_eq!(status, 200, "{}", String::from_utf8_lossy(&body));
        }
    });
}

/// Brings the spells about, writes the credentials anew and looks at the memory, once a second.
fn direct(length: Duration, watch: Stopwatch, sts: SocketAddr, pid: u32, directory: &Path) -> Memory {
    let (mut memory, mut suffered) = (Memory::default(), None);
    for second in 0..length.as_secs() {
        std::thread::sleep(Duration::from_secs(second).saturating_sub(watch.elapsed()));
        memory.note(super::machine::resident(pid));
        let spell = Spell::at(Duration::from_secs(second));
        if spell != suffered {
            told(sts, "DELETE", "/_sts/faults", "");
            spell.map(|spell| told(sts, "POST", "/_sts/faults", spell.rules()));
            suffered = spell;
        }
        if second.is_multiple_of(RELOAD) {
            write_secrets(directory, SECRETS[(second / RELOAD % 2) as usize]);
        }
    }
    told(sts, "DELETE", "/_sts/faults", "");
    memory
}

fn judge(quiet: &mut Tally, soaked: &mut Tally, memory: &Memory, report: &mut Report) {
    for (name, tally) in [("quiet", &mut *quiet), ("soak", &mut *soaked)] {
        let [p50, p99, p999] = tally.waits.quantiles();
        println!("  {name:<6} {:>9} requests, p50 {p50} µs, p99 {p99}, p99.9 {p999}", tally.waits.len());
    }
    println!("  {} failed for a spell", soaked.excused);
    let wrong: Vec<&String> = quiet.wrong.iter().chain(&soaked.wrong).collect();
    wrong.iter().take(10).for_each(|wrong| println!("  wrong: {wrong}"));
    report.judge("soak: answers that nothing explains", wrong.len() as f64, Limit::Exactly(0.0), 0.0);
    let (second, last) = memory.quarters();
    println!("  memory: {:.1} MiB in the second quarter, {:.1} in the last", second / MIB, last / MIB);
    report.judge("soak: memory of the last quarter, beside the second's", last / second, Limit::AtMost(GROWTH), 0.0);
}

/// Without renewals it would be no soak, nor without reloads.
fn told_of_renewals(bursar: &Bursar, length: Duration, report: &mut Report) {
    let metrics = told(bursar.admin, "GET", "/metrics", "");
    let counted = metrics.lines().filter(|line| line.starts_with("bursar_refreshes_total{") && line.contains("\"ok\""));
    let renewed: f64 = counted.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum();
    report.judge("soak: renewals, at least one a second", renewed, Limit::AtLeast(length.as_secs_f64()), 0.0);
}

/// The authority has seen the secrets of before and after.
fn told_of_reloads(sts: SocketAddr, report: &mut Report) {
    const BEFORE: &str = "\"client_secret\":\"";
    let journal = told(sts, "GET", "/_sts/requests", "");
    let shown = journal.split(BEFORE).skip(1).filter_map(|rest| rest.split('"').next());
    let seen = shown.collect::<std::collections::HashSet<_>>().len();
    report.judge("soak: secrets that were shown", seen as f64, Limit::Exactly(SECRETS.len() as f64), 0.0);
}

/// As Kubernetes does: a new file in the place of the old one.
fn write_secrets(directory: &Path, secret: &str) {
    let write = |file: PathBuf, text: &str| {
        let new = file.with_extension("new");
        std::fs::write(&new, text).unwrap();
        std::fs::rename(new, file).unwrap();
    };
    write(directory.join("secret"), secret);
    CALLERS.iter().for_each(|caller| write(directory.join(caller.name), caller.secret));
}

fn sts_config() -> String {
    let app = |(_, client_id): &(&str, &str)| format!("[[apps]]\nclient_id = \"{client_id}\"\nsecrets = {SECRETS:?}\n");
    let apps: String = IDENTITIES.iter().map(app).collect();
    format!("token_lifetime = \"{LIFE}s\"\n{apps}")
}

fn config() -> String {
    let identity = |(name, client_id): &(&str, &str)| {
        format!(
            "[identities.{name}]\ntenants = [\"one\"]\nclient_id = \"{client_id}\"\nresources = [\"*\"]\n\
             credentials = [{{ kind = \"secret\", file = \"secret\" }}]\n"
        )
    };
    let caller = |caller: &traffic::Caller| {
        let (name, identity) = (caller.name, IDENTITIES[caller.identity].0);
        format!(
            "[callers.{name}]\nidentities = [\"{identity}\"]\nresources = [\"*\"]\n\
             proof = {{ kind = \"header-secret\", file = \"{name}\" }}\n"
        )
    };
    IDENTITIES.iter().map(identity).chain(CALLERS.iter().map(caller)).collect()
}

/// What the applications are known by at the authority, one as well as the other.
const SECRETS: [&str; 2] = ["the-first-secret-of-both", "the-second-secret-of-both"];
const CONNECTIONS: usize = 16;
/// The seconds that a token lives.
const LIFE: u32 = 30;
/// The seconds between two reloads.
const RELOAD: u64 = 5;
/// What memory may have grown by, of what is kept and what an allocator makes of it.
const GROWTH: f64 = 1.10;
const MIB: f64 = 1_048_576.0;
