//! The database as a whole.
//!
//! [`Db::open`] returns at once. A thread opens the blocks and replays the log into the head; then
//! the database is ready, one thread syncs the log now and then and another one calls
//! [`Db::maintain`]: when the head spans one and a half times a block's time, its oldest part is
//! written as a block and forgotten, the log is cut, and retention removes old blocks.
//!
//! In the data folder lie `lock`, `wal/` (`docs/formats/wal.md`), `chunks_head/` (sealed chunks of
//! the head, the same page) and one folder a block (`docs/formats/block.md`).

use std::borrow::Cow;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use clock::SharedClock;
use disk::{Disk, DiskLock};
use model::{Labels, Matcher, Metadata};
use storage::{
    AppendError, AppendOutcome, Appender, Batch, BlockStatus, ExemplarQueryable, ExemplarSeries,
    GroupId, MetadataQueryable, Querier, Queryable, ReplayProgress, SeriesRef, StorageError,
    StorageStatus, TsdbStats,
};

use crate::block::{
    BlockError, BlockParams, Compaction, HINT_OUT_OF_ORDER, SAMPLES_AT_FLUSH, Ulid, block_ranges,
    write_block,
};
use crate::blocks::Blocks;
use crate::head::{Head, Progress, SeriesLimits};
use crate::identity::IdentityKeys;
use crate::metrics::{self, Metrics};
use crate::options::{Options, Retention};
use crate::querier::DbQuerier;
use crate::room::Room;
use crate::sync::atomic::{AtomicU8, Ordering::SeqCst};
use crate::sync::{Condvar, Mutex};

/// How often the database looks after itself.
const MAINTENANCE_INTERVAL: Duration = Duration::from_secs(60);
/// How often the head is measured for the memory budget; estimates are added in between.
const MEASURE_INTERVAL: Duration = Duration::from_secs(10);

/// Why a database cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process holds the data folder.
    #[error("lock DB directory: resource temporarily unavailable")]
    Locked {
        /// The lock file.
        path: PathBuf,
    },
    /// The file system said no.
    #[error("{what} {path}: {source}", path = path.display())]
    Io {
        /// What was tried.
        what: &'static str,
        /// On which path.
        path: PathBuf,
        /// What it said.
        #[source]
        source: io::Error,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Starting = 0,
    Ready = 1,
    Closed = 2,
}

/// What the database's threads and queriers share.
#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) options: Options,
    pub(crate) clock: SharedClock,
    pub(crate) head: Head,
    pub(crate) blocks: Blocks,
    pub(crate) identities: IdentityKeys,
    retention: Mutex<Retention>,
    phase: AtomicU8,
    progress: Progress,
    pub(crate) metrics: Metrics,
    /// Whether threads are to end, and what wakes them.
    stop: Mutex<bool>,
    wake: Condvar,
    /// Held by who writes blocks, cuts the log or removes blocks.
    pub(crate) maintaining: Mutex<()>,
}

/// An open database. Shared by everything that writes or reads samples.
#[derive(Debug)]
pub struct Db {
    inner: Arc<Inner>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    lock: Mutex<Option<Box<dyn DiskLock>>>,
}

impl Db {
    /// Opens the data folder. Returns at once: the log is replayed by threads of the database,
    /// and until they are done [`StorageStatus::is_ready`] is false and appends and queries
    /// answer "not ready". Without [`Options::background`] it returns when all is read.
    ///
    /// # Errors
    /// If the folder cannot be used.
    pub fn open(
        disk: Arc<dyn Disk>,
        options: Options,
        clock: SharedClock,
        registry: &telemetry::Registry,
    ) -> Result<Arc<Db>, OpenError> {
        let path = options.path.clone();
        create_folder(&*disk, &path).map_err(io_error("create", &path))?;
        let lock_path = path.join("lock");
        let lock = if options.no_lockfile {
            None
        } else {
            let lock = disk.lock(&lock_path);
            Some(lock.map_err(|error| lock_error(error, &lock_path))?)
        };
        let head = Head::new(
            &disk,
            &path,
            options.block_duration_min_ms,
            options.wal_segment_bytes,
            options.wal_sync_interval.is_zero(),
            SeriesLimits {
                head_max: options.head_series_max,
                group_new_max: options.group_new_series_max,
                memory: Arc::clone(&options.memory),
            },
        );
        let background = options.background;
        let inner = Arc::new(Inner {
            head: head.map_err(io_error("create the log's folder in", &path))?,
            blocks: Blocks::new(Arc::clone(&disk), path.clone(), &options.memory),
            identities: IdentityKeys::default(),
            retention: Mutex::new(options.retention),
            phase: AtomicU8::new(Phase::Starting as u8),
            progress: Progress::default(),
            metrics: Metrics::new(registry),
            stop: Mutex::new(false),
            wake: Condvar::new(),
            maintaining: Mutex::new(()),
            disk,
            options,
            clock,
        });
        inner
            .head
            .set_late_window(inner.options.out_of_order_window_ms);
        inner.head.exemplars.set_max(inner.options.exemplars_max);
        let late_seconds = &inner.metrics.late_seconds;
        inner.head.lateness.observe_in(late_seconds);
        metrics::register(registry, &Arc::downgrade(&inner));
        let threads = if background {
            start_threads(&inner).map_err(io_error("start the threads of", &path))?
        } else {
            inner.start().map_err(io_error("read the data in", &path))?;
            Vec::new()
        };
        Ok(Arc::new(Db {
            inner,
            threads: Mutex::new(threads),
            lock: Mutex::new(lock),
        }))
    }

    /// Changes what may stay on disk; blocks are removed at the next [`Db::maintain`].
    pub fn set_retention(&self, retention: Retention) {
        *self.inner.retention.lock() = retention;
    }

    /// Takes samples from now on that come up to so many milliseconds behind the newest of all,
    /// although their series has newer ones; 0 for none. What was taken stays.
    pub fn set_out_of_order_window_ms(&self, window_ms: i64) {
        self.inner.head.set_late_window(window_ms);
    }

    /// Changes how many exemplars are kept, 0 for none; the oldest ones go.
    pub fn set_exemplars_max(&self, max: usize) {
        self.inner.head.exemplars.set_max(max);
    }

    /// Writes due blocks, compacts, applies retention, frees memory. Runs in a thread of the
    /// database unless [`Options::background`] is off.
    pub fn maintain(&self) {
        if self.inner.phase() == Phase::Ready {
            self.inner.maintain();
        }
    }

    /// Brings everything that was appended to the medium. Runs in a thread of the database every
    /// [`Options::wal_sync_interval`], unless [`Options::background`] is off.
    ///
    /// # Errors
    /// What the operating system says; what is durable is then unknown.
    pub fn sync(&self) -> io::Result<()> {
        self.inner.sync()
    }

    /// Stops the database's threads and brings all that was appended to the medium. Appends and
    /// queries answer "not ready" afterwards.
    pub fn close(&self) {
        self.stop_threads();
        let _turn = self.inner.maintaining.lock();
        let before = self.inner.phase.swap(Phase::Closed as u8, SeqCst);
        if before == Phase::Ready as u8
            && let Err(error) = self.inner.sync()
        {
            tracing::error!(%error, "The log could not be synced at the end");
        }
        *self.lock.lock() = None;
    }

    fn stop_threads(&self) {
        *self.inner.stop.lock() = true;
        self.inner.wake.notify_all();
        for thread in self.threads.lock().drain(..) {
            if thread.join().is_err() {
                tracing::error!("A thread of the database panicked");
            }
        }
    }
}

impl Drop for Db {
    fn drop(&mut self) {
        self.stop_threads();
    }
}

/// Makes the data folder so that it outlasts a power cut with all that is synced in it: a folder is
/// an entry of the one above it.
fn create_folder(disk: &dyn Disk, path: &Path) -> io::Result<()> {
    let is_there = |folder: &Path| folder.as_os_str().is_empty() || disk.list(folder).is_ok();
    let missing = path.ancestors().position(is_there);
    disk.create_dir_all(path)?;
    // The one above the data folder always: a start may have been cut short between both.
    for parent in path.ancestors().skip(1).take(missing.unwrap_or(0).max(1)) {
        let parent = match parent.as_os_str().is_empty() {
            true => Path::new("."),
            false => parent,
        };
        match disk.sync_dir(parent) {
            // Not ours to read, so the folder was made by somebody else, some time ago.
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {}
            result => result?,
        }
    }
    Ok(())
}

fn io_error(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> OpenError {
    let path = path.to_owned();
    move |source| OpenError::Io { what, path, source }
}

fn lock_error(error: io::Error, path: &Path) -> OpenError {
    match error.kind() {
        io::ErrorKind::WouldBlock => OpenError::Locked {
            path: path.to_owned(),
        },
        _ => io_error("lock", path)(error),
    }
}

fn start_threads(inner: &Arc<Inner>) -> io::Result<Vec<JoinHandle<()>>> {
    let maintainer = Arc::clone(inner);
    let maintain = std::thread::Builder::new().name("tsdb".to_owned());
    let maintain = maintain.spawn(move || {
        if let Err(error) = maintainer.start() {
            tracing::error!(%error, "The data could not be read; the server is not ready");
            return;
        }
        let mut due = maintainer.clock.monotonic() + MAINTENANCE_INTERVAL;
        while maintainer.wait(MEASURE_INTERVAL) {
            maintainer.measure();
            if maintainer.clock.monotonic() >= due {
                maintainer.maintain();
                due = maintainer.clock.monotonic() + MAINTENANCE_INTERVAL;
            }
        }
    })?;
    let mut threads = vec![maintain];
    let interval = inner.options.wal_sync_interval;
    if !interval.is_zero() {
        let syncer = Arc::clone(inner);
        let sync = std::thread::Builder::new().name("tsdb-sync".to_owned());
        threads.push(sync.spawn(move || {
            while syncer.wait(interval) {
                if let Err(error) = syncer.sync() {
                    tracing::error!(%error, "The log could not be synced");
                }
            }
        })?);
    }
    Ok(threads)
}

impl Inner {
    fn phase(&self) -> Phase {
        match self.phase.load(SeqCst) {
            0 => Phase::Starting,
            1 => Phase::Ready,
            _ => Phase::Closed,
        }
    }

    /// What may stay on disk.
    pub(crate) fn retention(&self) -> Retention {
        *self.retention.lock()
    }

    /// Bytes of a folder, 0 if it cannot be read.
    pub(crate) fn size_of(&self, dir: &Path) -> u64 {
        disk::size_of_dir(&*self.disk, dir).unwrap_or(0)
    }

    fn stopping(&self) -> bool {
        *self.stop.lock()
    }

    /// Waits; false if the thread is to end.
    fn wait(&self, time: Duration) -> bool {
        let mut stop = self.stop.lock();
        if !*stop {
            self.wake.wait_for(&mut stop, time);
        }
        !*stop
    }

    /// Reads what is on disk.
    fn start(&self) -> io::Result<()> {
        let began = self.clock.monotonic();
        let read_only = self.options.read_only;
        if !read_only {
            self.remove_half_snapshots();
        }
        let refused = self.blocks.load(read_only)?;
        self.metrics.reloads.inc();
        self.metrics.reload_failures.add(refused as f64);
        let valid_ms = self.blocks.in_order_max_ms().unwrap_or(i64::MIN);
        let stop = || self.stopping();
        self.head
            .replay(&*self.disk, valid_ms, &self.progress, &stop)?;
        if self.stopping() {
            return Ok(());
        }
        self.measure();
        let took = self.clock.monotonic().saturating_sub(began).as_secs_f64();
        self.metrics.replay_seconds.set(took);
        tracing::info!(
            series = self.head.series_count(),
            blocks = self.blocks.all().len(),
            seconds = took,
            "The data were read"
        );
        let (from, to) = (Phase::Starting as u8, Phase::Ready as u8);
        let _ = self.phase.compare_exchange(from, to, SeqCst, SeqCst);
        Ok(())
    }

    /// Whether the disk is full, and what room it has.
    pub(crate) fn room(&self) -> &Room {
        &self.head.wal.room
    }

    /// Whether a batch is to be refused because the disk is full.
    fn is_out_of_room(&self) -> bool {
        let space = || self.disk.space(&self.options.path).ok();
        let room = self.room();
        // The clock is asked only when it matters.
        room.is_full() && room.refuses(self.clock.monotonic(), space)
    }

    pub(crate) fn sync(&self) -> io::Result<()> {
        let began = self.clock.monotonic();
        let result = self.head.wal.sync();
        let took = self.clock.monotonic().saturating_sub(began);
        self.metrics.wal_fsync_seconds.observe(took.as_secs_f64());
        result
    }

    /// Tells the memory budget what the head takes, and lets caches give way to it.
    fn measure(&self) {
        self.head.measure();
        self.blocks.cache.trim();
    }

    fn maintain(&self) {
        let _turn = self.maintaining.lock();
        self.metrics.compactions_triggered.inc();
        self.room().forget_blocks();
        self.blocks.all().iter().for_each(|block| block.rest());
        self.head.rest();
        let mut flushed = false;
        while let Some((min_ms, end_ms)) = self.head.due_block() {
            match self.head.empty_until(min_ms, end_ms) {
                Ok(from_ms) if from_ms > min_ms => {
                    self.head.truncate(from_ms);
                    continue;
                }
                // The flush says what is wrong.
                Ok(_) | Err(_) => {}
            }
            if self.stopping() || !self.flush(min_ms, end_ms, true) {
                break;
            }
            flushed = true;
        }
        if flushed || self.head.late_are_due() {
            self.flush_late();
            flushed = true;
        }
        if flushed || self.head.wal.is_long() {
            self.truncate_wal();
        }
        self.compact();
        self.apply_retention();
        self.measure();
    }

    /// Merges blocks as long as the planner finds some.
    fn compact(&self) {
        let ranges = block_ranges(
            self.options.block_duration_min_ms,
            self.options.block_ms_max(&self.retention()),
        );
        while !self.stopping() {
            let began = self.clock.monotonic();
            match self.blocks.compact(&ranges, self.clock.now_ms()) {
                Ok(None) => return,
                Ok(Some(meta)) => {
                    let took = self.clock.monotonic().saturating_sub(began).as_secs_f64();
                    self.metrics.compactions.inc();
                    self.metrics.reloads.inc();
                    self.metrics.compaction_seconds.observe(took);
                    tracing::info!(
                        ulid = %meta.ulid, level = meta.compaction.level, seconds = took,
                        "Blocks were merged"
                    );
                }
                Err(error) => {
                    self.metrics.compactions_failed.inc();
                    self.room().note_blocks(&error);
                    tracing::error!(%error, "Blocks could not be merged");
                    return;
                }
            }
        }
    }

    /// Writes late samples whose time is in blocks already beside these.
    fn flush_late(&self) {
        for (min_ms, end_ms) in self.head.late_blocks() {
            if self.stopping() || !self.flush(min_ms, end_ms, false) {
                return;
            }
        }
    }

    /// Writes a block and lets the head forget it; whether that went well. Without `in_order`, it
    /// has late samples only.
    fn flush(&self, min_ms: i64, end_ms: i64, in_order: bool) -> bool {
        let began = self.clock.monotonic();
        let ulid = Ulid::new(self.clock.now_ms());
        let params = flush_params(ulid, (min_ms, end_ms), in_order);
        let late = self.head.mark_late(min_ms, end_ms);
        let source = || self.head.block_source(min_ms, end_ms, in_order);
        let (disk, path) = (&*self.disk, &self.options.path);
        let mut written = write_block(disk, path, &params, &mut source().linking());
        if let Err(error @ BlockError::Link { .. }) = &written {
            tracing::warn!(%error, "A block takes no files of the head and is written whole");
            written = write_block(disk, path, &params, &mut source());
        }
        let written = written.and_then(|meta| match meta {
            Some(meta) => self.blocks.add(meta.ulid).map(|()| Some(meta)),
            None => Ok(None),
        });
        let took = |began| self.clock.monotonic().saturating_sub(began).as_secs_f64();
        match written {
            Ok(Some(meta)) => {
                self.metrics.compactions.inc();
                self.metrics.reloads.inc();
                self.metrics.compaction_seconds.observe(took(began));
                tracing::info!(
                    %ulid, min_ms, end_ms, samples = meta.stats.num_samples, seconds = took(began),
                    "A block was written from the head"
                );
            }
            Ok(None) => {}
            Err(error) => {
                self.metrics.compactions_failed.inc();
                self.room().note_blocks(&error);
                tracing::error!(%error, min_ms, end_ms, "A block could not be written");
                return false;
            }
        }
        if let Err(error) = self.head.forget_late(&late) {
            // They are in the block and stay in the head; nobody sees a difference.
            tracing::error!(%error, "Late samples will be written to a block once more");
            return false;
        }
        if !in_order {
            return true;
        }
        let began = self.clock.monotonic();
        self.head.truncate(end_ms);
        self.metrics.head_truncate_seconds.observe(took(began));
        true
    }

    fn truncate_wal(&self) {
        if let Err(error) = self.cut_log() {
            tracing::error!(%error, "The log could not be cut");
        }
    }

    /// Removes what of the log is not needed any more.
    pub(crate) fn cut_log(&self) -> io::Result<()> {
        let began = self.clock.monotonic();
        self.metrics.checkpoints.inc();
        let idle_ms = self.options.block_duration_min_ms / 4;
        let result = self.head.truncate_wal(idle_ms);
        if result.is_ok() {
            self.metrics.wal_truncations.inc();
        } else {
            self.metrics.checkpoints_failed.inc();
            self.metrics.wal_truncations_failed.inc();
        }
        let took = self.clock.monotonic().saturating_sub(began);
        self.metrics
            .wal_truncate_seconds
            .observe(took.as_secs_f64());
        result
    }

    fn apply_retention(&self) {
        let retention = self.retention();
        let other = self.size_of(self.head.wal.dir()) + self.size_of(self.head.chunks_dir());
        match self.blocks.retain(&retention, other) {
            Ok(removed) => {
                self.metrics.time_retentions.add(removed.by_time as f64);
                self.metrics.size_retentions.add(removed.by_size as f64);
            }
            Err(error) => tracing::error!(%error, "An old block could not be removed"),
        }
    }
}

/// What a block from the head is to be.
pub(crate) fn flush_params(
    ulid: Ulid,
    (min_ms, max_ms): (i64, i64),
    in_order: bool,
) -> BlockParams {
    let hints = match in_order {
        true => Vec::new(),
        false => vec![HINT_OUT_OF_ORDER.to_owned()],
    };
    let compaction = Compaction {
        level: 1,
        hints,
        ..Compaction::default()
    };
    BlockParams {
        ulid,
        min_ms,
        max_ms,
        compaction,
        samples_per_chunk_max: SAMPLES_AT_FLUSH,
    }
}

impl Db {
    pub(crate) fn inner(&self) -> &Inner {
        &self.inner
    }

    /// Whether samples can be read and written.
    pub(crate) fn is_open(&self) -> bool {
        self.inner.phase() == Phase::Ready
    }

    fn ready(&self) -> Result<&Head, AppendError> {
        match self.inner.phase() {
            Phase::Ready => Ok(&self.inner.head),
            _ => Err(AppendError::NotReady),
        }
    }
}

impl Appender for Db {
    fn open_group(&self, labels: &Labels) -> Result<GroupId, AppendError> {
        self.ready()?.open_group(labels)
    }

    fn close_group(&self, group: GroupId) {
        if let Ok(head) = self.ready() {
            head.close_group(group);
        }
    }

    fn series(&self, group: GroupId, labels: &Labels) -> Result<SeriesRef, AppendError> {
        let now_ms = || self.inner.clock.now_ms();
        self.ready()?.series(group, labels, now_ms)
    }

    fn append(&self, batch: Batch<'_>) -> Result<AppendOutcome, AppendError> {
        let head = self.ready()?;
        if self.inner.is_out_of_room() {
            return Err(AppendError::DiskFull);
        }
        if self.inner.options.starts_as_zeros {
            head.append_zeros(batch)?;
        }
        let samples = Batch {
            starts: match self.inner.options.store_starts {
                true => batch.starts,
                false => &[],
            },
            exemplars: &[],
            metadata: &[],
            ..batch
        };
        let mut outcome = head.append(samples)?;
        if !batch.exemplars.is_empty() {
            let labels = |series| head.labels_of(series);
            // An exemplar goes the way of its sample.
            outcome.refused.sort_unstable();
            let refused = |series| outcome.refused.binary_search(&series).is_ok();
            let mut taken = Cow::Borrowed(batch.exemplars);
            if !outcome.refused.is_empty() {
                taken.to_mut().retain(|exemplar| !refused(exemplar.series));
            }
            outcome.exemplars_out_of_order = head.exemplars.append(&taken, labels, &head.wal);
        }
        if self.inner.options.store_metadata && !batch.metadata.is_empty() {
            let labels = |series| head.labels_of(series);
            head.metadata.append(batch.metadata, labels, &head.wal);
        }
        self.inner.metrics.count(
            &outcome,
            &head.counts.late_appended,
            &head.counts.histograms_appended,
        );
        Ok(outcome)
    }
}

impl Queryable for Db {
    fn querier(&self, min_ms: i64, max_ms: i64) -> Result<Box<dyn Querier>, StorageError> {
        match self.inner.phase() {
            Phase::Ready => {
                let inner = Arc::clone(&self.inner);
                Ok(Box::new(DbQuerier::new(inner, min_ms, max_ms)))
            }
            _ => Err(StorageError::NotReady),
        }
    }
}

impl ExemplarQueryable for Db {
    fn exemplars(
        &self,
        start_ms: i64,
        end_ms: i64,
        selectors: &[Vec<Matcher>],
    ) -> Result<Vec<ExemplarSeries>, StorageError> {
        match self.inner.phase() {
            Phase::Ready => Ok(self
                .inner
                .head
                .exemplars
                .select(start_ms, end_ms, selectors)),
            _ => Err(StorageError::NotReady),
        }
    }
}

impl MetadataQueryable for Db {
    fn series_metadata(&self, labels: &Labels) -> Option<Arc<Metadata>> {
        let head = &self.inner.head;
        head.metadata.get(head.reference_of(labels)?)
    }
}

impl StorageStatus for Db {
    fn is_ready(&self) -> bool {
        self.inner.phase() == Phase::Ready
    }

    fn replay_progress(&self) -> ReplayProgress {
        let Progress { min, max, current } = &self.inner.progress;
        ReplayProgress {
            min: min.load(SeqCst),
            max: max.load(SeqCst),
            current: current.load(SeqCst),
        }
    }

    fn stats(&self, limit: usize) -> TsdbStats {
        self.inner.head.stats(limit)
    }

    fn blocks(&self) -> Vec<BlockStatus> {
        self.inner.blocks.status()
    }

    fn retention_text(&self) -> String {
        crate::options::retention_text(&self.inner.retention())
    }

    fn corruption_count(&self) -> u64 {
        self.inner.head.counts.corruptions.load(SeqCst)
    }

    fn notices(&self) -> Vec<String> {
        let inner = &self.inner;
        let series = inner.head.gate.notice(inner.clock.now_ms());
        inner.room().notices().chain(series).collect()
    }
}

#[cfg(test)]
mod links;
#[cfg(test)]
mod tests;
