//! Looks after what changes outside of the process: the configuration, the files that it names, and the signal to read
//! all of it again. One task does, so that one thing changes at a time.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::signal::unix::Signal;
use tokio::time::timeout;

use super::charter::{self, Register};
use super::ground::Ground;
use super::tidings::{Tidings, told};
use crate::config::provenance::{Provenance, Reread};
use crate::credential::calendar::Calendar;
use crate::credential::sight::Sight;
use crate::credential::watch::Watch;
use crate::metrics::{Counted, Reloaded};
use crate::server::charter::Charter;
use crate::server::tls::renewal::Renewal;
use crate::telemetry::Dial;
use crate::token::Descent;
use crate::vend::sources::Sources;

/// What is looked after, and how it looked the last time.
pub(super) struct Keeper {
    pub(super) ground: Ground,
    pub(super) register: Register,
    pub(super) provenance: Option<Provenance>,
    pub(super) tls: Option<Renewal>,
    pub(super) dial: Option<Dial>,
    /// The signal to read all of it again, where it is heard.
    pub(super) hangups: Option<Signal>,
    pub(super) tidings: Tidings,
    /// What the configuration that holds says of who may have what.
    rules: Descent,
    calendar: Calendar,
    sight: Option<Sight>,
    /// Whether another configuration was ever taken than that of the start.
    is_reloaded: bool,
    /// What the file looked like when it was last seen to be another: it may be half written.
    glimpse: Option<Sight>,
}

/// What a look has come to.
struct Looked {
    keeper: Keeper,
    /// Whether another charter holds.
    is_news: bool,
    /// Whether the file is another, and may not be whole yet.
    is_unsettled: bool,
    /// What has to be watched from now on.
    files: Vec<PathBuf>,
}

impl Keeper {
    /// Of what was just read.
    pub(super) fn new(
        ground: Ground,
        register: Register,
        rules: Descent,
        provenance: Option<Provenance>,
        tls: Option<Renewal>,
    ) -> Self {
        let sight = provenance.as_ref().and_then(Provenance::sight);
        let (calendar, tidings) = (Calendar::default(), Tidings::new(&ground));
        Self {
            ground,
            register,
            provenance,
            tls,
            dial: None,
            hangups: None,
            tidings,
            rules,
            calendar,
            sight,
            is_reloaded: false,
            glimpse: sight,
        }
    }

    /// Looks whenever something may have changed, for as long as there is a charter.
    pub(super) fn keep(mut self, charter: &Arc<ArcSwap<Charter>>) {
        if self.provenance.is_some() {
            self.tidings.loaded(Reloaded::Configuration);
        }
        if self.tls.is_some() {
            self.tidings.loaded(Reloaded::Certificate);
        }
        let (hangups, watch) =
            (self.hangups.take(), Watch::over(self.files(&charter.load()).iter().map(PathBuf::as_path)));
        tokio::spawn(self.run(Arc::downgrade(charter), watch, hangups));
    }

    async fn run(mut self, held: Weak<ArcSwap<Charter>>, mut watch: Watch, mut hangups: Option<Signal>) {
        let mut is_told = false;
        // The first look finds what changed between the reading of the configuration and the watch.
        while let Some(charter) = held.upgrade() {
            // Reading may block; flights must not wait for it.
            let looked = tokio::task::spawn_blocking(move || self.look(&charter, is_told)).await;
            let Ok(Looked { keeper, is_news, is_unsettled, files }) = looked else {
                tracing::error!("nothing is read again until a restart: report this");
                return;
            };
            self = keeper;
            if is_news && let Some(charter) = held.upgrade() {
                let vend = charter.load().vend.clone();
                drop(charter);
                vend.sweep().await;
            }
            is_told = false;
            // What changed before it was watched is found by another look.
            if !watch.aim(files.iter().map(PathBuf::as_path)) {
                let waited = waited(&mut watch, hangups.as_mut());
                is_told = match is_unsettled {
                    true => timeout(SETTLING, waited).await.unwrap_or_default(),
                    false => waited.await,
                };
            }
        }
    }

    fn look(mut self, charter: &ArcSwap<Charter>, is_told: bool) -> Looked {
        let is_news = self.reload(charter, is_told);
        self.renew_callers(charter);
        self.renew_certificate();
        let present = charter.load();
        present.vend.look_at_credentials(&mut self.calendar);
        if is_told {
            present.vend.forgive_credentials();
        }
        self.forget(present.vend.sources());
        let files = self.files(&present);
        drop(present);
        let is_unsettled = self.glimpse != self.sight;
        Looked { keeper: self, is_news, is_unsettled, files }
    }

    /// Reads the configuration again if it was told to, if the file is another and looked just so before, or if it was of
    /// no use the last time: a file that it names may be there by now. Says whether another charter holds.
    fn reload(&mut self, charter: &ArcSwap<Charter>, is_told: bool) -> bool {
        let Some(provenance) = &self.provenance else { return false };
        let seen = provenance.look();
        let was_refused = self.tidings.was_refused();
        if !is_told && seen == self.sight && !was_refused {
            self.glimpse = seen;
            return false;
        }
        let is_new = is_told || seen != self.sight;
        // Whoever writes it in place may stop halfway, and half of it may be well-formed.
        if !is_told && std::mem::replace(&mut self.glimpse, seen) != seen {
            return false;
        }
        (self.sight, self.glimpse) = (seen, seen);
        let reread = provenance.reread(self.ground.clock.now());
        let reread = reread.map_err(|mistakes| mistakes.mistakes.iter().map(ToString::to_string).collect());
        let taken = reread.and_then(|reread| self.take(charter, reread));
        let path = self.provenance.as_ref().and_then(Provenance::path);
        match taken {
            Ok(waiting) => self.tidings.taken(path, waiting),
            Err(mistakes) => self.tidings.refused(path, mistakes, is_new),
        }
        !self.tidings.was_refused()
    }

    /// Has requests served under it from now on, and gives the keys that wait for a restart.
    fn take(&mut self, charter: &ArcSwap<Charter>, reread: Reread) -> Result<Vec<String>, Vec<String>> {
        if let Some(obstacle) = reread.obstacle(self.rules, charter.load().policy.tells_apart()) {
            return Err(vec![obstacle.to_string()]);
        }
        let Reread { config, waiting } = reread;
        let rules = config.rules;
        let (level, warnings) = (config.log.level, config.warnings.clone());
        let before = charter.load_full();
        let drawn = charter::draw(config, &self.ground, Some((&before, &self.register)));
        let (new, register) = drawn.map_err(|fault| vec![told(&fault)])?;
        charter.store(Arc::new(new));
        (self.register, self.rules, self.is_reloaded) = (register, rules, true);
        if let Some(dial) = &self.dial {
            dial.set(level);
        }
        for warning in warnings {
            tracing::warn!("{warning}");
        }
        Ok(waiting)
    }

    /// Recognises callers by the secrets that they have now.
    fn renew_callers(&self, charter: &ArcSwap<Charter>) {
        let present = charter.load_full();
        if let Some(callers) = self.register.secrets.renew(&present.callers) {
            charter.store(Arc::new(Charter { callers, ..Charter::clone(&present) }));
        }
    }

    fn renew_certificate(&mut self) {
        if let Some(tls) = &mut self.tls {
            self.tidings.certificate(tls.look());
        }
    }

    /// Drops what is counted of whom a reload has removed. A request or a renewal that began before it may end at any
    /// time; what is counted then goes with the next look, a minute later at most.
    fn forget(&self, sources: &Sources) {
        if !self.is_reloaded {
            return;
        }
        let identities = sources.each().map(|(name, _)| name.as_str()).collect();
        let credentials = self.calendar.entries().map(|(name, label)| (name.as_str(), label)).collect();
        self.ground.metrics.keep(&Counted { identities, credentials });
    }

    /// Everything that may change.
    fn files(&self, charter: &Charter) -> Vec<PathBuf> {
        let own = self.provenance.as_ref().and_then(Provenance::path).into_iter();
        let tls = self.tls.iter().flat_map(Renewal::files);
        let all = own.chain(tls).chain(self.register.secrets.files()).chain(charter.vend.sources().files());
        all.map(Path::to_owned).collect()
    }
}

/// A file that is another is looked at once more after this.
const SETTLING: Duration = Duration::from_millis(500);

/// Waits until something may have changed; says whether somebody has told so.
async fn waited(watch: &mut Watch, hangups: Option<&mut Signal>) -> bool {
    let Some(hangups) = hangups else {
        watch.change().await;
        return false;
    };
    tokio::select! {
        () = watch.change() => false,
        told = hangups.recv() => told.is_some(),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use tokio::runtime::Handle;

    use super::*;
    use crate::app::App;
    use crate::clock::{Clock, Timestamp};
    use crate::config::Config;
    use crate::name::Name;

    const CONFIG: &str = r#"
[tenants.one]
id = "b0b00000-0000-4000-8000-000000000001"
[tenants."*"]
[identities.first]
tenants = ["one", "*"]
client_id = "b0b00000-0000-4000-8000-000000000002"
resources = ["*"]
credentials = [{ kind = "secret", file = "secret" }]
[kubernetes]
issuer = "https://cluster"
audience = ["api://bursar"]
[callers.billing]
proof = { kind = "header-secret", file = "billing" }
identities = ["first"]
resources = ["*"]
rate = 5
[callers.shop]
proof = { kind = "service-account", namespace = "shop" }
identities = ["first"]
resources = ["*"]
"#;

    #[tokio::test]
    async fn what_is_as_it_was_is_the_very_same_and_nothing_else_is_left() {
        let directory = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| std::fs::write(directory.path().join(name), text).unwrap();
        write("secret", "s");
        write("billing", "b");
        write("bursar.toml", CONFIG);
        let path = directory.path().join("bursar.toml");
        let config = Config::read(Some(&path), HashMap::new(), Timestamp::from_secs(1_800_000_000)).unwrap();
        let App { charter, mut keeper, .. } = App::build(config, Clock::System, Handle::current()).unwrap();
        let charter = ArcSwap::from_pointee(charter);
        let (name, tenant) = (Name::parse("first").unwrap(), Name::parse("one").unwrap());
        let source = |charter: &Charter| Arc::clone(charter.vend.sources().of(&name).unwrap().listed(&tenant).unwrap());
        let any = |charter: &Charter| Arc::clone(charter.vend.sources().of(&name).unwrap().any().unwrap());

        assert!(!keeper.reload(&charter, false), "nothing has changed");
        let before = charter.load_full();
        assert!(keeper.reload(&charter, true));
        let after = charter.load_full();
        assert!(Arc::ptr_eq(&source(&before), &source(&after)) && Arc::ptr_eq(&any(&before), &any(&after)));
        assert!(Arc::ptr_eq(before.cluster.as_ref().unwrap(), after.cluster.as_ref().unwrap()));
        let stake = |charter: &Charter| Arc::clone(charter.vend.stakes().at(Some(0)).unwrap());
        assert!(Arc::ptr_eq(&stake(&before), &stake(&after)));

        write(
            "bursar.toml",
            &CONFIG.replace("[tenants.\"*\"]", "timeout = \"9s\"\n[tenants.\"*\"]").replace("api://bursar", "api://b"),
        );
        let changed = std::fs::read_to_string(&path).unwrap();
        assert!(!keeper.reload(&charter, false) && keeper.glimpse != keeper.sight);
        write("bursar.toml", CONFIG);
        assert!(
            !keeper.reload(&charter, false) && keeper.glimpse == keeper.sight,
            "it is as it was, and nothing is awaited"
        );
        write("bursar.toml", &changed);
        let weak = (
            Arc::downgrade(&before),
            Arc::downgrade(&source(&before)),
            Arc::downgrade(before.cluster.as_ref().unwrap()),
        );
        drop((before, after));
        assert!(!keeper.reload(&charter, false), "it may not be whole yet");
        assert!(keeper.reload(&charter, false));
        let present = charter.load_full();
        present.vend.sweep().await;
        assert!(weak.0.upgrade().is_none() && weak.1.upgrade().is_none() && weak.2.upgrade().is_none());
        let kept = any(&present);
        let imprint = keeper.register.secrets.renew(&present.callers);
        assert!(imprint.is_none());
        write("billing", "c");
        keeper.renew_callers(&charter);
        assert!(!Arc::ptr_eq(&present, &charter.load_full()) && Arc::ptr_eq(&kept, &any(&charter.load())));
    }
}
