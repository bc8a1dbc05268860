//! Many keys beside few: any of a hundred thousand, or of a million, beside ten of the same server; and beside a probe
//! that shows what as much memory costs whoever reads it.

use super::contest::Contest;
use super::contestant::Contestant;
use super::generator;
use super::request::Request;
use super::stage::Stage;
use super::verdict::{Limit, Report};

pub(super) fn hundred_thousand(report: &mut Report) {
    of(100_000, 0.80, report);
}

pub(super) fn million(report: &mut Report) {
    of(1_000_000, 0.72, report);
}

fn of(keys: u32, limit: f64, report: &mut Report) {
    let stage = Stage::new();
    let (few, many) = (Request::of_keys(10), Request::of_keys(keys));
    let title = format!("keys: {keys} beside ten");
    // Once, since filling takes longer than all rounds.
    let contest = Contest { title: &title, heats: 1, rounds: 15, requests: 8000 };
    let played = contest.play(|| {
        let bursar = stage.bursar(ROOM).server;
        generator::fill(bursar.address, &many, 0..keys, 32);
        let answer = generator::once(bursar.address, many.bytes());
        let probe = stage.own("probe", &answer, &[&keys.to_string()]);
        vec![
            Contestant::new("bursar, ten", &bursar, &few),
            Contestant::new("bursar, ten, once more", &bursar, &few),
            Contestant::new(format!("bursar, {keys}"), &bursar, &many),
            Contestant::new("probe, ten", &probe, &few),
            Contestant::new(format!("probe, {keys}"), &probe, &many),
        ]
    });
    let noise = played.noise(0, 1);
    let name = format!("keys: capacity with {keys}");
    report.judge(format!("{name} beside ten"), played.ratio(0, 2), Limit::AtLeast(limit), noise);
    report.judge(format!("{name} beside the probe's"), played.ratio(4, 2), Limit::AtLeast(0.95), noise);
    let [own, probes] = [played.ratio(0, 2), played.ratio(3, 4)];
    println!("  with {keys} the probe has {probes:.3} of its capacity with ten, and bursar {own:.3}");
}

/// Room for more than all of them.
const ROOM: &str = "[cache]\nentries = 2_000_000\nbytes = \"8GiB\"\n";
