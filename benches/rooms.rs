//! What each room on the way of a request takes: `cargo bench --bench rooms`. The figures find what has become slow;
//! whether it is fast enough is said by `benches/load.rs`.
#![expect(clippy::unwrap_used, reason = "a benchmark fails by panicking")]

use std::collections::HashMap;
use std::hint::black_box;
use std::time::Duration;

use bursar::app::App;
use bursar::clock::{Clock, Deadline, Reading, Stopwatch, Timestamp};
use bursar::config::Config;
use bursar::credential::certificate::{Certificate, Files, Signing};
use bursar::credential::{Algorithm, Occasion};
use bursar::dialect::table::{DIALECTS, NATIVE};
use bursar::dialect::{Dialect, Headers, Request};
use bursar::freshness::{Entry, Times, Windows, decide};
use bursar::name::ClientId;
use bursar::secret::Secret;
use bursar::sts::{Settings, Sts};
use bursar::token::{Extras, Token};
use bursar::wire::{Incoming, answer};
use criterion::{Criterion, criterion_group, criterion_main};
use serde_json::json;
use url::Url;

mod pieces;

const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);
const LIFE: Duration = Duration::from_hours(1);

criterion_group!(rooms, freshness, read, key, hit, reply, decode, sign);
criterion_main!(rooms);

fn freshness(criterion: &mut Criterion) {
    let windows = Windows::default();
    let entry = Entry { times: Some(Times::of(&token(), &windows, 0.5)), cooling_until: None };
    criterion.bench_function("decide", |bencher| bencher.iter(|| decide(black_box(entry), NOW, &windows)));
}

fn read(criterion: &mut Criterion) {
    for (name, query) in [
        ("native", "resource=https://vault.azure.net"),
        ("imds", "api-version=2018-02-01&resource=https%3A%2F%2Fvault.azure.net&client_id=app"),
        ("app-service", "api-version=2019-08-01&resource=https%3A%2F%2Fvault.azure.net"),
    ] {
        let dialect = dialect(name);
        let headers = Headers { metadata: Some(b"true"), identity_header: Some(b"secret"), ..Headers::default() };
        let request = Request { query, form: b"", headers: &headers };
        criterion.bench_function(&format!("read/{name}"), |bencher| {
            bencher.iter(|| dialect.read(black_box(&request)).unwrap());
        });
    }
}

fn key(criterion: &mut Criterion) {
    let (source, ask) = (pieces::source("contoso.com"), pieces::ask("https://vault.azure.net", None));
    let extras = Extras::default();
    criterion.bench_function("key", |bencher| bencher.iter(|| source.key(black_box(&ask.resource), &extras)));
}

/// Policy, source, cache and slot, down to a token that is there.
fn hit(criterion: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let sts = runtime.block_on(Sts::start(Settings::default(), &[([127, 0, 0, 1], 0).into()], None, Clock::System));
    let sts = sts.unwrap();
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("secret"), "bursar-dev-secret").unwrap();
    let file = directory.path().join("bursar.toml");
    std::fs::write(&file, CONFIG.replace("@authority@", sts.url())).unwrap();
    let config = Config::read(Some(&file), HashMap::new(), NOW).unwrap();
    let app = App::build(config, Clock::System, runtime.handle().clone()).unwrap();
    let ask = pieces::ask("https://vault.azure.net", None);
    runtime.block_on(app.token(&ask, "warm")).unwrap();
    criterion.bench_function("hit", |bencher| {
        bencher.iter_custom(|times| {
            let watch = Stopwatch::start();
            runtime.block_on(async {
                for _ in 0..times {
                    black_box(app.token(black_box(&ask), "hit").await.unwrap());
                }
            });
            watch.elapsed()
        });
    });
    runtime.block_on(sts.stop());
}

fn reply(criterion: &mut Criterion) {
    let (ask, token) = (pieces::ask("https://vault.azure.net", None), token());
    let client_id = ClientId::parse(pieces::CLIENT_ID).unwrap();
    criterion.bench_function("reply", |bencher| {
        bencher.iter(|| NATIVE.reply(black_box(&ask), &client_id, &token, NOW));
    });
}

fn decode(criterion: &mut Criterion) {
    let body = json!({
        "token_type": "Bearer", "expires_in": 3599, "ext_expires_in": 3599, "access_token": "x".repeat(TOKEN),
    });
    let incoming = Incoming {
        status: 200,
        retry_after: None,
        content_type: Some("application/json; charset=utf-8".to_owned()),
        id: None,
        body: body.to_string().into(),
    };
    let secret = Secret::from("bursar-dev-secret".to_owned());
    criterion.bench_function("decode", |bencher| {
        bencher.iter(|| answer::token(black_box(&incoming), Reading::at(NOW), &[&secret]).unwrap());
    });
}

fn sign(criterion: &mut Criterion) {
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_RSA_SHA256).unwrap();
    let certificate = rcgen::CertificateParams::new(vec!["app".to_owned()]).unwrap().self_signed(&key).unwrap();
    let pem = key.serialize_pem() + &certificate.pem();
    let files = Files { file: pem.as_bytes(), key: None, passphrase: None };
    let certificate = Certificate::read(files, Signing::default(), NOW).unwrap();
    let client_id = ClientId::parse(pieces::CLIENT_ID).unwrap();
    let audience = Url::parse("https://login.microsoftonline.com/contoso.com/oauth2/v2.0/token").unwrap();
    let occasion = Occasion {
        client_id: &client_id,
        audience: &audience,
        now: NOW,
        jti: "b0b00000-0000-4000-8000-00000000000f",
        algorithm: Algorithm::Ps256,
        request_id: "sign",
        deadline: Deadline::after(LIFE),
        delegated: None,
    };
    criterion.bench_function("sign/PS256", |bencher| {
        bencher.iter(|| certificate.prove(black_box(&occasion)).unwrap());
    });
}

fn token() -> Token {
    Token::new(Secret::from("x".repeat(TOKEN)), Reading::at(NOW), LIFE, None)
}

fn dialect(name: &str) -> &'static Dialect {
    DIALECTS.iter().find(|dialect| dialect.name == name).unwrap()
}

/// As long as the tokens that the targets are about, in bytes.
const TOKEN: usize = 1700;
const CONFIG: &str = r#"
[tenants.one]
id = "b0b00000-0000-4000-8000-000000000001"
authority = "@authority@"
instance_discovery = false
[identities.app]
tenants = ["one"]
client_id = "b0b00000-0000-4000-8000-000000000002"
resources = ["*"]
credentials = [{ kind = "secret", file = "secret" }]
"#;
