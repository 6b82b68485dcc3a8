//! What all loops of one manager share: storage, clock, metrics, and memory that is used again.
//!
//! Bodies and batches are needed only while a scrape runs, so a few of them serve all targets; each
//! target's own memory is its cache.

use std::sync::Arc;

use hashbrown::HashMap;
use model::Labels;
use parking_lot::Mutex;
use storage::{AppendError, Appender, GroupId};
use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::besides::ScrapeFeatures;
use crate::cache::Keys;
use crate::families::Interner;
use crate::fetch::MakeFetch;
use crate::metrics::ScrapeMetrics;
use crate::page::Scratch;

/// Idle bodies and batches that are kept. More scrapes than this at the very same moment are rare
/// on a machine that keeps up.
const IDLE_MAX: usize = 8;

/// A larger body is not kept for the next scrape: 8 of them are 32 MiB at worst.
const BODY_BYTES_RETAINED_MAX: usize = 4 << 20;

/// From this size on a page is read beside the runtime's workers instead of on one. Reading costs
/// about 2 ms a megabyte; up to that much other tasks can wait.
const BODY_BYTES_INLINE_MAX: usize = 1 << 20;

/// See the module.
pub(crate) struct Shared {
    pub(crate) appender: Arc<dyn Appender>,
    pub(crate) clock: clock::SharedClock,
    pub(crate) metrics: ScrapeMetrics,
    pub(crate) keys: Keys,
    pub(crate) interner: Interner,
    pub(crate) make_fetch: MakeFetch,
    pub(crate) features: ScrapeFeatures,
    /// Ends everything.
    pub(crate) shutdown: CancellationToken,
    /// All loops.
    pub(crate) tasks: TaskTracker,
    /// How many loops have a group open: for a while there are two, if a target comes back.
    groups: Mutex<HashMap<GroupId, usize, foldhash::fast::RandomState>>,
    bodies: Idle<Vec<u8>>,
    scratches: Idle<Box<Scratch>>,
    large_pages: Semaphore,
}

impl Shared {
    pub(crate) fn new(
        appender: Arc<dyn Appender>,
        clock: clock::SharedClock,
        metrics: ScrapeMetrics,
        make_fetch: MakeFetch,
        features: ScrapeFeatures,
    ) -> Shared {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Shared {
            appender,
            clock,
            metrics,
            keys: Keys::default(),
            interner: Interner::default(),
            make_fetch,
            features,
            shutdown: CancellationToken::new(),
            tasks: TaskTracker::new(),
            groups: Mutex::default(),
            bodies: Idle::default(),
            scratches: Idle::default(),
            large_pages: Semaphore::new(cores),
        }
    }

    /// Opens the group with these labels.
    ///
    /// # Errors
    /// As [`Appender::open_group`].
    pub(crate) fn open_group(&self, labels: &Labels) -> Result<GroupId, AppendError> {
        let mut groups = self.groups.lock();
        let group = self.appender.open_group(labels)?;
        *groups.entry(group).or_default() += 1;
        Ok(group)
    }

    /// Closes a group that [`Shared::open_group`] opened, once the last one does.
    pub(crate) fn close_group(&self, group: GroupId) {
        let mut groups = self.groups.lock();
        if let Some(count) = groups.get_mut(&group) {
            *count -= 1;
            if *count == 0 {
                groups.remove(&group);
                self.appender.close_group(group);
            }
        }
    }

    /// An empty buffer for a body.
    pub(crate) fn body(&self) -> Vec<u8> {
        self.bodies.take()
    }

    /// Gives a body back.
    pub(crate) fn return_body(&self, mut body: Vec<u8>) {
        if body.capacity() <= BODY_BYTES_RETAINED_MAX {
            body.clear();
            self.bodies.put(body);
        }
    }

    /// Runs `work` with the memory of a batch. Pages are short work, done where the scrape runs, so
    /// that no more are read at once than there are workers. A large page would hold up everything
    /// else on its worker: the worker is handed over meanwhile, for as many pages as there are cores.
    pub(crate) async fn with_scratch(&self, body_bytes: usize, work: impl FnOnce(&mut Scratch)) {
        let run = || {
            let mut scratch = self.scratches.take();
            work(&mut scratch);
            if scratch.is_worth_keeping() {
                scratch.clear();
                self.scratches.put(scratch);
            }
        };
        let can_hand_over = Handle::current().runtime_flavor() == RuntimeFlavor::MultiThread;
        if body_bytes > BODY_BYTES_INLINE_MAX && can_hand_over {
            // Never closed, so this only waits.
            let _permit = self.large_pages.acquire().await;
            tokio::task::block_in_place(run);
        } else {
            run();
        }
    }
}

/// Things that can be used again.
struct Idle<T>(Mutex<Vec<T>>);

impl<T> Default for Idle<T> {
    fn default() -> Idle<T> {
        Idle(Mutex::default())
    }
}

impl<T: Default> Idle<T> {
    fn take(&self) -> T {
        self.0.lock().pop().unwrap_or_default()
    }

    fn put(&self, value: T) {
        let mut idle = self.0.lock();
        if idle.len() < IDLE_MAX {
            idle.push(value);
        }
    }
}
