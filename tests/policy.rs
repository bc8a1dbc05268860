//! Policy as a whole: what it admits by three configurations, cell by cell against tables that were written by
//! hand, and that no request over a socket gets more than that.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "policy/expected.rs"]
mod expected;
#[path = "policy/requests.rs"]
mod requests;
mod support;

use std::collections::{BTreeSet, HashMap, HashSet};

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use bursar::clock::Timestamp;
use bursar::config::Config;
use bursar::dialect::Ask;
use bursar::name::{FmiPath, Name, Resource, Selector};
use bursar::policy::{Admission, Policy, Reason, Refusal, Resources};
use bursar::token::Extras;
use expected::{Cell, EXAMPLES, Example, secret_of};
use proptest::test_runner::{Config as Runs, TestCaseError, TestRunner};
use requests::Request;
use serde_json::Value;
use support::{Reply, World};

fn read(example: &Example) -> Config {
    let directory = example.directory();
    let path = directory.path().join(example.file);
    Config::read(Some(&path), HashMap::new(), Timestamp::from_secs(1_800_000_000)).unwrap()
}

/// The sign of the table for what policy says.
fn sign(cell: &Cell, said: Result<Admission<'_>, Refusal>) -> char {
    let (sign, reason, rule) = match said {
        Ok(admission) => match admission.overruled() {
            None => {
                assert_eq!(admission.rule(), format!("callers.{}", cell.caller));
                return '+';
            }
            Some(overruled) => ('~', overruled.reason, admission.rule()),
        },
        Err(refusal) => (' ', refusal.reason, refusal.rule),
    };
    let (refused, section, key) = match reason {
        Reason::Identity => ('i', "callers", "identities"),
        Reason::Tenant => ('t', "callers", "tenants"),
        Reason::Resource => ('r', "callers", "resources"),
        Reason::FmiPath => ('f', "callers", "fmi_paths"),
        Reason::UnknownTenant => ('T', "identities", "tenants"),
        Reason::IdentityResource => ('R', "identities", "resources"),
        Reason::IdentityFmiPath => ('F', "identities", "fmi_paths"),
        other => panic!("{cell:?}: {other:?}"),
    };
    let name = if section == "callers" { cell.caller } else { cell.identity };
    assert_eq!(rule, format!("{section}.{name}.{key}"), "{cell:?}");
    if sign == ' ' { refused } else { sign }
}

#[test]
fn the_whole_product_is_admitted_and_refused_as_it_was_written_by_hand() {
    for example in EXAMPLES {
        let config = read(example);
        assert_whole(example, &config);
        let entitlements = config.callers.into_iter().map(|caller| caller.entitlement).collect();
        let policy = Policy::new(config.identities.into_iter().map(|identity| identity.rules).collect(), entitlements);
        for cell in example.cells() {
            let ask = Ask {
                resource: Resource::parse(Example::meant(example.resources, cell.resource)).unwrap(),
                selector: Selector::Name(cell.identity.to_owned()),
                tenant: Some(Example::meant(example.tenants, cell.tenant).to_owned()),
                extras: Extras {
                    fmi_path: cell.fmi_path.map(|path| FmiPath::parse(path).unwrap()),
                    client_claims: None,
                },
                challenge: None,
                rejected: None,
            };
            let said = policy.explain(Some(&Name::parse(cell.caller).unwrap()), &ask);
            assert_eq!(sign(&cell, said), cell.sign, "{}: {cell:?}", example.file);
        }
    }
}

/// The table leaves nothing out that the configuration names, and has each cell once.
fn assert_whole(example: &Example, config: &Config) {
    let cells = example.cells();
    let set = |of: fn(&Cell) -> &'static str| cells.iter().map(of).collect::<BTreeSet<_>>();
    let callers: BTreeSet<&str> = config.callers.iter().map(|caller| caller.entitlement.caller.as_str()).collect();
    let identities: BTreeSet<&str> = config.identities.iter().map(|identity| identity.rules.name.as_str()).collect();
    assert_eq!((set(|cell| cell.caller), set(|cell| cell.identity)), (callers, identities));
    let tenants: HashSet<&str> = example.tenants.iter().map(|(_, id)| *id).collect();
    let resources: HashSet<&str> = example.resources.iter().map(|(_, uri)| *uri).collect();
    let is_there = |listed: &Resources| match listed {
        Resources::Any => true,
        Resources::Listed(listed) => listed.iter().all(|resource| resources.contains(resource.as_str())),
    };
    for identity in &config.identities {
        assert!(identity.rules.tenants.listed().iter().all(|tenant| tenants.contains(tenant.id.as_str())));
        assert!(is_there(&identity.rules.resources));
        assert!(identity.rules.fmi_paths.iter().all(|path| example.fmi_paths.contains(&path.as_str())));
    }
    assert!(config.callers.iter().all(|caller| is_there(&caller.entitlement.resources)));
    let product = config.callers.len()
        * config.identities.len()
        * example.tenants.len()
        * example.resources.len()
        * (example.fmi_paths.len() + 1);
    let distinct: HashSet<_> =
        cells.iter().map(|cell| (cell.caller, cell.identity, cell.tenant, cell.resource, cell.fmi_path)).collect();
    assert_eq!((cells.len(), distinct.len()), (product, product), "{}", example.file);
}

/// A service of the example, whose authority is the STS and which speaks as many dialects as one port can.
async fn serve(example: &Example) -> World {
    let directory = example.directory();
    let app = |(name, id): &(&str, &str)| {
        format!("[[apps]]\nclient_id = \"{id}\"\nsecrets = [\"{}\"]\n", secret_of(&format!("{name}-secret")))
    };
    std::fs::write(directory.path().join("sts.toml"), example.identities.iter().map(app).collect::<String>()).unwrap();
    let line = |line: &str| match line.split([' ', '.']).next().unwrap() {
        "authority" | "admin_listen" | "rate" => String::new(),
        "listen" => {
            "listen = [\"127.0.0.1:0\"]\nadmin_listen = \"127.0.0.1:0\"\ndrain = \"0s\"\nworkers = 2\n".to_owned()
        }
        "dialects" => {
            "dialects = [\"native\", \"imds\", \"app-service\", \"app-service-2017\", \"cloud-shell\"]\n".to_owned()
        }
        "[tenants" => format!("{line}\nauthority = \"@authority@\"\ninstance_discovery = false\n"),
        _ => format!("{line}\n"),
    };
    World::within(directory, &example.text().lines().map(line).collect::<String>()).await
}

/// The cell that a token is of, by what the authority wrote into it; none for one that is in no cell.
fn cell_of(example: &Example, caller: &str, token: &str) -> Option<Cell> {
    let claims = BASE64_URL_SAFE_NO_PAD.decode(token.split('.').nth(1).unwrap()).unwrap();
    let claims: Value = serde_json::from_slice(&claims).unwrap();
    let text = |name: &str| claims[name].as_str().unwrap_or_default();
    let client = if claims["appid"].is_string() { text("appid") } else { text("azp") };
    let audience = text("aud").strip_suffix('/').unwrap_or(text("aud"));
    let resource = Example::word(example.resources, audience).unwrap_or("other");
    let path = text("sub").split(&format!("/a/{client}/")).nth(1).map(str::to_owned);
    let (identity, tenant) = (Example::word(example.identities, client)?, Example::word(example.tenants, text("tid"))?);
    example.cells().into_iter().find(|cell| {
        (cell.caller, cell.identity, cell.tenant, cell.resource, cell.fmi_path)
            == (caller, identity, tenant, resource, path.as_deref())
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn over_a_socket_each_cell_is_answered_as_it_was_written() {
    for example in EXAMPLES {
        let world = serve(example).await;
        // Twice, so that the second time tokens of others are in the cache.
        for cell in example.cells().iter().chain(&example.cells()) {
            let request = Request::for_cell(example, cell);
            let reply = world.send(request.build(&world.http, &world.tokens())).await;
            assert_eq!(reply.status == 200, cell.is_admitted(), "{cell:?}: {reply:?}");
            if cell.is_admitted() {
                assert_eq!(cell_of(example, cell.caller, reply.token()), Some(*cell));
            } else {
                assert_short(example, cell, &reply);
            }
        }
    }
}

/// What a refused caller is told names no rule, and nothing that it did not name itself.
fn assert_short(example: &Example, cell: &Cell, reply: &Reply) {
    let told = reply.description();
    assert!(matches!(reply.status, 400 | 403), "{cell:?}: {reply:?}");
    let names = example.identities.iter().chain(example.tenants).flat_map(|(name, id)| [*name, *id]);
    let callers = example.defaults.iter().map(|(caller, _)| *caller);
    for name in
        names.filter(|name| name.contains('-') || name.len() > 7).chain(callers.filter(|name| name.contains('-')))
    {
        assert!(!told.contains(name), "{cell:?} is told of {name}: {told}");
    }
    assert!(!told.contains("callers.") && !told.contains("identities."), "{cell:?}: {told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_request_gets_a_token_that_the_matrix_does_not_admit() {
    for example in EXAMPLES {
        let world = serve(example).await;
        let runtime = tokio::runtime::Handle::current();
        let mut runner = TestRunner::new(Runs { cases: 1500, failure_persistence: None, ..Runs::default() });
        let paid = std::cell::RefCell::new(HashSet::new());
        let result = runner.run(&requests::any(example), |request| {
            let sent = world.send(request.build(&world.http, &world.tokens()));
            let reply = tokio::task::block_in_place(|| runtime.block_on(sent));
            if reply.status == 200 {
                let cell = check(example, &request, &reply).map_err(TestCaseError::fail)?;
                paid.borrow_mut().insert(format!("{cell:?}"));
            }
            Ok(())
        });
        assert!(result.is_ok(), "{}: {}", example.file, result.unwrap_err());
        let admitted = example.cells().iter().filter(|cell| cell.is_admitted()).count();
        let paid = paid.borrow().len();
        assert!(paid * 2 > admitted, "{}: guesses reached {paid} cells of {admitted}", example.file);
    }
}

/// The cell of the token that was paid out, if that is right.
fn check(example: &Example, request: &Request, reply: &Reply) -> Result<Cell, String> {
    let caller = request.caller(example).ok_or_else(|| format!("nobody got {:?}", reply.body))?;
    let cell = cell_of(example, caller, reply.token());
    let cell = cell.ok_or_else(|| format!("{caller} got a token of no cell: {:?}", reply.body))?;
    if !cell.is_admitted() {
        return Err(format!("{caller} got {cell:?}"));
    }
    let default = example.defaults.iter().find(|(name, _)| *name == caller).map(|(_, identity)| *identity);
    if request.selects_nobody() && default != Some(cell.identity) {
        return Err(format!("{caller} selected nobody and got {cell:?}"));
    }
    Ok(cell)
}
