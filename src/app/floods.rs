//! Tells the log how many lines of a flood it has not.

use std::sync::Arc;
use std::time::Duration;

use crate::clock::Clock;
use crate::flood::{Concern, Floods};
use crate::name::Name;

/// Tells each minute of the floods that are over, for as long as anybody may bring one about.
pub(super) fn settle_forever(floods: &Arc<Floods<Concern>>, clock: Clock) {
    let floods = Arc::downgrade(floods);
    tokio::spawn(async move {
        loop {
            tokio::time::sleep(MINUTE).await;
            let Some(floods) = floods.upgrade() else { return };
            tell(floods.settle(clock.now()));
        }
    });
}

/// What is left to be told once everything has ended: floods that were not over.
pub struct Untold(pub(super) Arc<Floods<Concern>>);

impl Untold {
    /// Tells it.
    pub fn tell(self) {
        tell(self.0.end());
    }
}

/// At the level of the lines that are missing.
fn tell(missing: Vec<(Concern, u64)>) {
    for (concern, suppressed) in missing {
        let (line, kind) = (concern.event.as_str(), concern.kind.code());
        let (caller, identity) =
            (concern.caller.as_ref().map(Name::as_str), concern.identity.as_ref().map(Name::as_str));
        if concern.is_usual() {
            tracing::info!(line, kind, caller, identity, suppressed, "lines of a flood were not written");
        } else {
            tracing::warn!(line, kind, caller, identity, suppressed, "lines of a flood were not written");
        }
    }
}

const MINUTE: Duration = Duration::from_mins(1);

#[cfg(test)]
mod tests {
    use std::io::{self, Write};
    use std::sync::Mutex;

    use tracing::Level;

    use super::*;
    use crate::clock::Timestamp;
    use crate::fault::Kind;
    use crate::flood::Event;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl Write for Lines {
        fn write(&mut self, line: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(line);
            Ok(line.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// What is told after a flood, where lines of this level are written.
    fn told(concern: &Concern, level: Level) -> String {
        let (lines, floods) = (Lines::default(), Arc::<Floods<Concern>>::default());
        let _: Vec<_> = (0..32).map(|_| floods.pass(concern.clone(), Timestamp::from_secs(1000))).collect();
        let writer = lines.clone();
        let subscriber =
            tracing_subscriber::fmt().with_ansi(false).with_max_level(level).with_writer(move || writer.clone());
        tracing::subscriber::with_default(subscriber.finish(), || Untold(floods).tell());
        String::from_utf8(lines.0.lock().unwrap().clone()).unwrap()
    }

    #[test]
    fn what_is_missing_is_told_at_the_level_of_the_lines() {
        let (first, billing) = (Name::of_word("first"), Name::of_word("billing"));
        let request =
            Concern { event: Event::Request, kind: Kind::AccessDenied, caller: Some(billing), identity: None };
        let line = told(&request, Level::INFO);
        let fields = "line=\"refused\" kind=\"access_denied\" caller=\"billing\" suppressed=2";
        assert!(line.contains(" INFO ") && line.contains(fields), "{line}");
        assert_eq!(told(&request, Level::WARN), "");
        let line = told(&Concern::of_exchange(&first, Kind::Throttled), Level::WARN);
        let fields = "line=\"no token\" kind=\"too_many_requests\" identity=\"first\" suppressed=2";
        assert!(line.contains(" WARN ") && line.contains(fields), "{line}");
    }
}
