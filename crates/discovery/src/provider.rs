//! A file discovery at work: looks when something may have changed, and at every refresh interval.

use std::sync::Arc;
use std::time::Duration;

use config::{FileSdConfig, TargetGroup};
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::{Instant, MissedTickBehavior, interval_at, timeout_at};
use tokio_util::sync::CancellationToken;

use crate::metrics::FileMetrics;
use crate::scanner::{Found, Scanner};
use crate::watcher::FileWatcher;

/// A file that is written in place is first emptied, then filled: reading waits until nothing
/// happened for this long.
const QUIET: Duration = Duration::from_millis(50);

/// But not for ever, when a folder is never quiet.
const QUIET_WAIT_MAX: Duration = Duration::from_millis(500);

/// One file discovery; ends when it is dropped.
#[derive(Debug)]
pub(crate) struct FileProvider {
    pub(crate) config: FileSdConfig,
    found: Arc<Mutex<Found>>,
    end: CancellationToken,
}

impl FileProvider {
    /// Looks once before it answers, so that a reload never shows fewer targets than there are;
    /// then goes on in a task, and calls `on_change` whenever it finds something else. Blocks for
    /// as long as reading the files takes; must be called within a tokio runtime.
    pub(crate) fn start(
        config: &FileSdConfig,
        last_good: &[Arc<TargetGroup>],
        metrics: &FileMetrics,
        clock: clock::SharedClock,
        on_change: impl Fn() + Send + 'static,
    ) -> FileProvider {
        let changed = Arc::new(Notify::new());
        let watcher = FileWatcher::new(&config.files, Arc::clone(&changed), metrics.clone());
        let scanner = Scanner::new(config, last_good, metrics.clone(), clock);
        let mut looker = Looker { watcher, scanner };
        let found = Arc::new(Mutex::new(looker.look()));
        let end = CancellationToken::new();
        let task = Task {
            looker,
            changed,
            refresh: Duration::from_millis(config.refresh_interval_ms.max(1).unsigned_abs()),
            found: Arc::clone(&found),
            on_change,
        };
        tokio::spawn(task.run(end.clone()));
        FileProvider {
            config: config.clone(),
            found,
            end,
        }
    }

    /// What there is now.
    pub(crate) fn found(&self) -> Found {
        self.found.lock().clone()
    }
}

impl Drop for FileProvider {
    fn drop(&mut self) {
        self.end.cancel();
    }
}

/// What looking takes, in one piece, because it moves to a thread that may block.
struct Looker {
    watcher: FileWatcher,
    scanner: Scanner,
}

impl Looker {
    fn look(&mut self) -> Found {
        // Watch first: what changes after this is an event, what changed before is read. Files
        // that are new, and what their links lead to, are watched after.
        self.watcher.watch(self.scanner.files());
        let found = self.scanner.scan();
        self.watcher.watch(self.scanner.files());
        found
    }
}

struct Task<F> {
    looker: Looker,
    changed: Arc<Notify>,
    refresh: Duration,
    found: Arc<Mutex<Found>>,
    on_change: F,
}

impl<F: Fn() + Send + 'static> Task<F> {
    async fn run(mut self, end: CancellationToken) {
        let mut ticker = interval_at(Instant::now() + self.refresh, self.refresh);
        ticker.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = end.cancelled() => break,
                () = self.changed.notified() => wait_for_quiet(&self.changed).await,
                _ = ticker.tick() => {}
            }
            let mut looker = self.looker;
            let looked = tokio::task::spawn_blocking(move || {
                let found = looker.look();
                (looker, found)
            });
            let Ok((looker, found)) = looked.await else {
                // The runtime is going down, or a look panicked: what was found stays.
                tracing::error!("file discovery ended");
                return;
            };
            self.looker = looker;
            if end.is_cancelled() {
                break;
            }
            let is_new = std::mem::replace(&mut *self.found.lock(), found.clone()) != found;
            if is_new {
                (self.on_change)();
            }
        }
        self.looker.scanner.forget_metrics();
    }
}

async fn wait_for_quiet(changed: &Notify) {
    let start = Instant::now();
    loop {
        let deadline = (Instant::now() + QUIET).min(start + QUIET_WAIT_MAX);
        if timeout_at(deadline, changed.notified()).await.is_err() {
            return;
        }
    }
}
