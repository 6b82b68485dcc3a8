//! The life of one target: wait for the tick, ask, store, again.
//!
//! A loop is one task. Everything that can change while it lives - configuration, target, limits -
//! comes as new [`LoopSettings`] over a watch and is taken up between two scrapes, so a reload
//! neither cuts a scrape off nor loses the cache. The loop ends when its target is removed; then
//! all its series get staleness markers, with the time at which it would have been scraped next,
//! but written more than an interval later: if the target has come back meanwhile, its new samples
//! are newer and storage refuses the markers. A loop that ends because the server or its job ends
//! writes none.

use std::sync::Arc;
use std::time::Duration;

use config::ScrapeConfig;
use telemetry::{Histogram, Summary};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::failure_log::FailureLog;
use crate::fetch::{Fetch, FetchError};
use crate::metrics::go_duration;
use crate::page::Scratch;
use crate::schedule::{Schedule, Ticker, duration_of};
use crate::shared::Shared;
use crate::store::{Answer, Moment, Storing, TargetStore};
use crate::target::Target;

/// What a loop works by, until it gets others.
#[derive(Debug, Clone)]
pub(crate) struct LoopSettings {
    pub(crate) config: Arc<ScrapeConfig>,
    pub(crate) target: Arc<Target>,
    /// What spreads the scrapes of different servers.
    pub(crate) server_seed: u64,
    /// The target is not asked; every scrape fails with this.
    pub(crate) forced_error: Option<Arc<str>>,
    pub(crate) failure_log: Option<Arc<FailureLog>>,
    /// Changes when the rules for labels do.
    pub(crate) rules_epoch: u64,
}

/// The tokens that end a loop; `removed` is a child of `pool`.
#[derive(Debug, Clone)]
pub(crate) struct LoopTokens {
    /// The job or the server ends.
    pub(crate) pool: CancellationToken,
    /// The target is gone.
    pub(crate) removed: CancellationToken,
}

/// Runs until a token ends it.
pub(crate) async fn run(
    shared: Arc<Shared>,
    settings: watch::Receiver<Arc<LoopSettings>>,
    tokens: LoopTokens,
) {
    let mut target_loop = TargetLoop::new(&shared, settings);
    while target_loop.tick(&tokens.removed).await {
        let scrape = target_loop.scrape();
        if tokens.pool.run_until_cancelled(scrape).await.is_none() {
            break;
        }
    }
    tokens.pool.run_until_cancelled(target_loop.end()).await;
    target_loop.close();
}

struct TargetLoop<'a> {
    shared: &'a Shared,
    updates: watch::Receiver<Arc<LoopSettings>>,
    settings: Arc<LoopSettings>,
    ticker: Ticker,
    fetch: Box<dyn Fetch>,
    store: TargetStore,
    interval_length: (Summary, Histogram),
    /// When the last scrape began, on the monotonic clock.
    last_started: Option<Duration>,
}

impl<'a> TargetLoop<'a> {
    fn new(shared: &'a Shared, mut updates: watch::Receiver<Arc<LoopSettings>>) -> TargetLoop<'a> {
        let settings = Arc::clone(&updates.borrow_and_update());
        TargetLoop {
            ticker: Ticker::new(settings.schedule(), shared.clock.now_ns()),
            fetch: (shared.make_fetch)(&settings.target, &settings.config),
            interval_length: interval_length(shared, settings.target.interval_ms),
            store: TargetStore::default(),
            last_started: None,
            shared,
            updates,
            settings,
        }
    }

    /// Waits for the next tick; `false` if the target was removed before it came.
    async fn tick(&mut self, removed: &CancellationToken) -> bool {
        loop {
            let wait = self.ticker.wait(self.shared.clock.now_ns());
            if wait.is_zero() && !removed.is_cancelled() {
                return true;
            }
            tokio::select! {
                biased;
                () = removed.cancelled() => return false,
                // The sender lives as long as the target is not removed.
                Ok(()) = self.updates.changed() => self.take_settings(),
                () = tokio::time::sleep(wait) => {}
            }
        }
    }

    fn take_settings(&mut self) {
        let settings = Arc::clone(&self.updates.borrow_and_update());
        let before = std::mem::replace(&mut self.settings, settings);
        let now = &self.settings;
        if now.schedule() != before.schedule() {
            self.ticker = Ticker::new(now.schedule(), self.shared.clock.now_ns());
            self.interval_length = interval_length(self.shared, now.target.interval_ms);
        }
        let is_same_target = Arc::ptr_eq(&now.target, &before.target);
        if !is_same_target || !Arc::ptr_eq(&now.config, &before.config) {
            self.fetch = (self.shared.make_fetch)(&now.target, &now.config);
        }
        if now.rules_epoch != before.rules_epoch {
            self.store.invalidate();
        }
    }

    async fn scrape(&mut self) {
        let started = self.shared.clock.monotonic();
        let moment = Moment {
            stamp_ns: self.ticker.serve(self.shared.clock.now_ns()),
            started,
        };
        if let Some(last) = self.last_started.replace(started) {
            let length_s = (started - last).as_secs_f64();
            self.interval_length.0.observe(length_s);
            self.interval_length.1.observe(length_s);
        }
        if let Some(error) = self.settings.forced_error.clone() {
            let answer = Answer::Failed {
                error: &error,
                is_too_large: false,
            };
            self.keep(answer, moment).await;
        } else {
            let mut body = self.shared.body();
            let fetched = self.fetch.fetch(&mut body).await;
            self.keep_fetched(&fetched, &body, moment).await;
            self.shared.return_body(body);
        }
        if self.settings.config.extra_scrape_metrics {
            let duration = self.shared.clock.monotonic() - started;
            let metrics = &self.shared.metrics;
            metrics.scrape_duration.observe(duration.as_secs_f64());
        }
    }

    async fn keep_fetched(
        &mut self,
        fetched: &Result<String, FetchError>,
        body: &[u8],
        moment: Moment,
    ) {
        match fetched {
            Ok(content_type) => {
                let answer = Answer::Page { body, content_type };
                self.keep(answer, moment).await;
            }
            Err(error) => {
                let text = error.to_string();
                self.note_failure(&text);
                let is_too_large = *error == FetchError::BodySizeLimit;
                if is_too_large {
                    self.shared.metrics.exceeded_body_size_limit.inc();
                }
                let answer = Answer::Failed {
                    error: &text,
                    is_too_large,
                };
                self.keep(answer, moment).await;
            }
        }
    }

    async fn keep(&mut self, answer: Answer<'_>, moment: Moment) {
        let LoopSettings { config, target, .. } = &*self.settings;
        let (shared, store) = (self.shared, &mut self.store);
        let body_bytes = match answer {
            Answer::Page { body, .. } => body.len(),
            Answer::Failed { .. } => 0,
        };
        let work = |scratch: &mut Scratch| {
            let mut storing = Storing {
                shared,
                config,
                target,
                scratch,
            };
            store.scrape(&mut storing, answer, moment);
        };
        shared.with_scratch(body_bytes, work).await;
    }

    fn note_failure(&self, error: &str) {
        let LoopSettings { config, target, .. } = &*self.settings;
        let (pool, url) = (&config.job_name, &target.url_text);
        tracing::debug!(
            scrape_pool = pool,
            target = url,
            err = error,
            "Scrape failed"
        );
        if let Some(log) = &self.settings.failure_log {
            log.write(self.shared.clock.now_ms(), pool, url, error);
        }
    }

    /// The target is gone: waits, and ends its series.
    async fn end(&mut self) {
        if self.last_started.is_none() {
            return;
        }
        let interval = duration_of(self.settings.target.interval_ms.saturating_mul(1_000_000));
        let stale_ns = self.ticker.due_ns();
        // Until the tick that will not be served, the one after it, and a little more.
        let until_tick = duration_of(stale_ns - self.shared.clock.now_ns()).min(interval);
        tokio::time::sleep(until_tick + interval + interval / 10).await;
        let LoopSettings { config, target, .. } = &*self.settings;
        let (shared, store) = (self.shared, &mut self.store);
        let work = |scratch: &mut Scratch| {
            let mut storing = Storing {
                shared,
                config,
                target,
                scratch,
            };
            store.end(&mut storing, stale_ns);
        };
        shared.with_scratch(0, work).await;
    }

    fn close(mut self) {
        self.store
            .close(self.shared, &self.settings.config.job_name);
    }
}

impl LoopSettings {
    /// Whether a loop need not know of the difference, if there is one.
    pub(crate) fn is_same(&self, other: &LoopSettings) -> bool {
        let log = |settings: &LoopSettings| settings.failure_log.as_ref().map(Arc::as_ptr);
        Arc::ptr_eq(&self.config, &other.config)
            && Arc::ptr_eq(&self.target, &other.target)
            && self.server_seed == other.server_seed
            && self.forced_error == other.forced_error
            && log(self) == log(other)
            && self.rules_epoch == other.rules_epoch
    }

    fn schedule(&self) -> Schedule {
        Schedule::new(self.target.id, self.server_seed, self.target.interval_ms)
    }
}

fn interval_length(shared: &Shared, interval_ms: i64) -> (Summary, Histogram) {
    let interval = go_duration(interval_ms);
    let metrics = &shared.metrics;
    (
        metrics.interval_length.with(&[&interval]),
        metrics.interval_length_histogram.with(&[&interval]),
    )
}
