//! Bursar as a library, on one thread.

use std::cell::Cell;
use std::collections::HashMap;
use std::fmt::Write;
use std::hint::black_box;
use std::time::Duration;

use bursar::app::App;
use bursar::caller::Callers;
use bursar::clock::{Clock, Deadline, Reading};
use bursar::config::Config;
use bursar::dialect::Ask;
use bursar::freshness::Windows;
use bursar::name::{ClientId, Name, TenantId};
use bursar::policy::{Identity, Policy, Resources, Tenant, Tenants};
use bursar::secret::Secret;
use bursar::source::Source;
use bursar::vend::cache::{Bounds, Cache};
use bursar::vend::slot::{Moment, Step};
use bursar::wire::request::{ClientCredentials, ClientProof};
use bursar::wire::{Incoming, answer};
use tokio::runtime::{Builder, Runtime};

use super::own_cost;
use crate::pieces::{self, CLIENT_ID};
use crate::stage::Stage;

/// One application in so many tenants.
pub(super) struct Library {
    runtime: Runtime,
    /// With ten tokens in each tenant, and one more.
    app: App,
    asks: Vec<Ask>,
    rooms: Rooms,
    /// Where the resources end that nobody has asked for yet.
    fresh: Cell<u32>,
    _stage: Stage,
}

/// Those that a miss goes through.
struct Rooms {
    policy: Policy,
    sources: Vec<Source>,
    cache: Cache,
    windows: Windows,
    client_id: ClientId,
    proof: ClientProof,
    answered: Incoming,
}

impl Library {
    pub(super) fn with(tenants: u32) -> Self {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let stage = Stage::new();
        let app = app(&stage, tenants, &runtime);
        let asks: Vec<Ask> = (0..tenants).map(|tenant| pieces::ask("scope", Some(name(tenant)))).collect();
        runtime.block_on(async {
            for tenant in 0..tenants {
                for scope in 0..10 {
                    app.token(&pieces::ask(&format!("scope_{scope}"), Some(name(tenant))), "warm").await.unwrap();
                }
                app.token(&asks[tenant as usize], "warm").await.unwrap();
            }
        });
        Self { runtime, app, asks, rooms: Rooms::with(tenants), fresh: Cell::new(0), _stage: stage }
    }

    /// The cost of a call whose token is there.
    pub(super) fn hits(&self, times: u32) -> f64 {
        let all = async {
            for _ in 0..times {
                let ask = &self.asks[fastrand::usize(..self.asks.len())];
                black_box(self.app.token(ask, "hit").await.unwrap());
            }
        };
        own_cost(times, || self.runtime.block_on(all))
    }

    /// The cost of a call whose token is not there, but for the socket.
    pub(super) fn misses(&self, times: u32) -> f64 {
        let all = async {
            for _ in 0..times {
                self.rooms.miss(fastrand::usize(..self.asks.len()), self.fresh()).await;
            }
        };
        own_cost(times, || self.runtime.block_on(all))
    }

    /// The cost of a call whose token is not there, with the socket.
    pub(super) fn exchanges(&self, times: u32) -> f64 {
        let tenant = |_| fastrand::u32(..self.asks.len() as u32);
        let all = async {
            for tenant in (0..times).map(tenant) {
                let ask = pieces::ask(&format!("fresh{}", self.fresh()), Some(name(tenant)));
                black_box(self.app.token(&ask, "miss").await.unwrap());
            }
        };
        own_cost(times, || self.runtime.block_on(all))
    }

    fn fresh(&self) -> u32 {
        self.fresh.replace(self.fresh.get() + 1)
    }
}

impl Rooms {
    fn with(tenants: u32) -> Self {
        let id = |tenant| TenantId::parse(&id(tenant)).unwrap();
        let tenant = |number| Tenant { name: Some(Name::parse(&name(number)).unwrap()), id: id(number) };
        let identity = Identity {
            name: Name::parse("app").unwrap(),
            client_id: ClientId::parse(CLIENT_ID).unwrap(),
            object_id: None,
            resource_id: None,
            default: true,
            tenants: Tenants::new((0..tenants).map(tenant).collect(), true, false),
            resources: Resources::Any,
            fmi_paths: Vec::new(),
        };
        Self {
            policy: Policy::new(vec![identity], Vec::new()),
            sources: (0..tenants).map(|tenant| pieces::source(&self::id(tenant))).collect(),
            // Full after a moment, so that it does not grow while theirs stays as it is.
            cache: Cache::new(Bounds { entries: 1000, bytes: 4 << 20 }),
            windows: Windows::default(),
            client_id: ClientId::parse(CLIENT_ID).unwrap(),
            proof: ClientProof::Secret(Secret::from("foo".to_owned())),
            answered: Incoming {
                status: 200,
                retry_after: None,
                content_type: Some("application/json".to_owned()),
                id: None,
                body: "{\"access_token\": \"AT\", \"token_type\": \"bearer\"}".into(),
            },
        }
    }

    async fn miss(&self, tenant: usize, fresh: u32) {
        let ask = pieces::ask(&format!("scope{fresh}"), Some(name(tenant as u32)));
        let permit = self.policy.admit(Callers::operator(), &ask).unwrap();
        let key = self.sources[tenant].key(permit.resource(), permit.extras());
        let slot = self.cache.slot(&key, || Ok(None)).unwrap();
        let moment = Moment { now: Clock::System.now(), windows: &self.windows };
        let mut hold = None;
        let claim = || {
            hold = self.cache.hold(&slot);
            hold.is_some()
        };
        let Step::Wait(_, flight, Some(departure)) = slot.step(moment, None, claim, |_| Ok(())) else {
            panic!("a departure")
        };
        let form = ClientCredentials {
            client_id: &self.client_id,
            scope: &key.scope,
            proof: &self.proof,
            claims: None,
            fmi_path: None,
            extra: &[],
        };
        black_box(form.form());
        let token = answer::token(black_box(&self.answered), Reading::at(moment.now), &[self.proof.secret()]);
        assert!(departure.land(token, moment, fastrand::f64()).is_none());
        self.cache.weigh(&slot, true);
        drop(hold);
        black_box(flight.landed(Deadline::after(Duration::ZERO)).await.unwrap());
    }
}

fn app(stage: &Stage, tenants: u32, runtime: &Runtime) -> App {
    let mut config = String::new();
    for tenant in 0..tenants {
        let (name, id, authority) = (name(tenant), id(tenant), &stage.authority);
        writeln!(config, "[tenants.{name}]\nid = \"{id}\"\nauthority = \"{authority}\"\ninstance_discovery = false")
            .unwrap();
    }
    let names: Vec<String> = (0..tenants).map(|tenant| format!("\"{}\"", name(tenant))).collect();
    writeln!(config, "[identities.app]\ntenants = [{}]\nclient_id = \"{CLIENT_ID}\"", names.join(", ")).unwrap();
    config.push_str("resources = [\"*\"]\ncredentials = [{ kind = \"secret\", file = \"secret\" }]\n");
    let file = stage.directory().join("library.toml");
    std::fs::write(&file, config).unwrap();
    let config = Config::read(Some(&file), HashMap::new(), Clock::System.now()).unwrap();
    App::build(config, Clock::System, runtime.handle().clone()).unwrap()
}

/// The name of a tenant in the configuration.
fn name(tenant: u32) -> String {
    format!("t{tenant}")
}

/// Its id.
fn id(tenant: u32) -> String {
    format!("b0b00000-0000-4000-8000-{tenant:012}")
}
