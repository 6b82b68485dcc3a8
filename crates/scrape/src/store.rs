//! What a scrape leaves in storage: one batch, whether it succeeded or not.
//!
//! The batch of a good page holds its samples, the markers of series that it no longer has, and the
//! report series; that of a failed scrape the markers of all series and the report. It is written in
//! one call, so that a query sees a scrape as a whole or not at all, and the cache changes only when
//! it was written.

use std::fmt;
use std::time::Duration;

use config::ScrapeConfig;
use foldhash::fast::RandomState;
use hashbrown::HashSet;
use model::STALE_NAN;
use storage::{AppendError, AppendOutcome, Batch, GroupId, Sample, SeriesRef};

use crate::cache::SeriesCache;
use crate::page::{PageCounts, PageError, PageReader, Scratch};
use crate::report::{Report, ReportSeries};
use crate::rules::RuleError;
use crate::shared::Shared;
use crate::target::Target;

/// What came of asking a target.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Answer<'a> {
    /// It answered.
    Page {
        /// The unpacked body; an empty one is no error.
        body: &'a [u8],
        /// The header `Content-Type`.
        content_type: &'a str,
    },
    /// It did not, or was not asked.
    Failed {
        /// Why.
        error: &'a str,
        /// Whether the body was larger than allowed.
        is_too_large: bool,
    },
}

/// The moment of a scrape.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Moment {
    /// The time that samples get, in nanoseconds since 1970.
    pub(crate) stamp_ns: i64,
    /// When the scrape began, on the monotonic clock.
    pub(crate) started: Duration,
}

impl Moment {
    fn stamp_ms(self) -> i64 {
        self.stamp_ns.div_euclid(1_000_000)
    }
}

/// What one target has in storage.
#[derive(Debug, Default)]
pub(crate) struct TargetStore {
    group: Option<GroupId>,
    cache: SeriesCache,
    report: ReportSeries,
    /// Whether the last scrape failed. What failing scrapes hold counts as added only once.
    failed: bool,
    /// Entries and bytes of metadata that the pool's gauges count for this target.
    metadata_counted: (usize, usize),
}

/// One scrape on its way into storage.
pub(crate) struct Storing<'a> {
    pub(crate) shared: &'a Shared,
    pub(crate) config: &'a ScrapeConfig,
    pub(crate) target: &'a Target,
    pub(crate) scratch: &'a mut Scratch,
}

impl TargetStore {
    /// The rules for labels changed.
    pub(crate) fn invalidate(&mut self) {
        self.cache.invalidate();
    }

    /// Stores a scrape and notes on the target how it went.
    pub(crate) fn scrape(&mut self, storing: &mut Storing<'_>, answer: Answer<'_>, moment: Moment) {
        let elapsed_s = || (storing.shared.clock.monotonic() - moment.started).as_secs_f64();
        let (mut report, mut error) = (Report::of(storing), String::new());
        let mut is_first = true;
        loop {
            let (counts, failure) = self.fill_batch(storing, answer);
            if is_first {
                let is_again = self.failed && failure.is_some();
                report.series_added = if is_again { 0 } else { counts.series_added };
                report.duration_s = elapsed_s();
            }
            report.scraped = counts.scraped;
            report.kept = counts.kept;
            report.is_up = failure.is_none();
            report.body_bytes = body_bytes(answer);
            if let Some(failure) = &failure {
                error = failure.to_string();
            }
            let outcome = self.append(storing, &report, moment);
            match outcome {
                // Series that storage collected meanwhile: once more, with their labels.
                Ok(outcome) if !outcome.unknown.is_empty() && is_first => {
                    self.cache.forget(&outcome.unknown);
                    self.report.forget(&outcome.unknown);
                    self.close_group(storing.shared);
                    is_first = false;
                    continue;
                }
                Ok(mut outcome) => {
                    if outcome.duplicate > 0 {
                        // A target may expose a series of the report; its own value stays.
                        outcome.duplicate -= self
                            .report
                            .collisions(&storing.scratch.samples)
                            .min(outcome.duplicate);
                    }
                    count(storing, counts, &outcome, failure.as_ref());
                    self.failed = failure.is_some();
                    let has_page = matches!(answer, Answer::Page { body, .. } if !body.is_empty());
                    if has_page && failure.is_none() {
                        self.cache.commit(&storing.scratch.walk);
                    } else {
                        self.cache.commit_stale();
                    }
                }
                Err(refused) => {
                    let (pool, target) = (&storing.config.job_name, &storing.target.url_text);
                    tracing::error!(scrape_pool = pool, target, err = %refused, "Scrape commit failed");
                    if error.is_empty() {
                        error = refused.to_string();
                    }
                }
            }
            break;
        }
        self.count_metadata(storing);
        storing
            .target
            .report(moment.stamp_ns, report.duration_s, &error);
    }

    /// The target is gone: all its series end.
    pub(crate) fn end(&mut self, storing: &mut Storing<'_>, stamp_ns: i64) {
        let scratch = &mut *storing.scratch;
        scratch.clear();
        push_markers(&mut scratch.samples, self.cache.live());
        self.report.push_stale(&mut scratch.samples);
        let Some(group) = self.group.filter(|_| !scratch.samples.is_empty()) else {
            return;
        };
        let batch = Batch {
            group,
            timestamp_ms: stamp_ns.div_euclid(1_000_000),
            samples: &scratch.samples,
            timed: &[],
        };
        // Markers of series that live on elsewhere are refused one by one; that is as it should be.
        if let Err(error) = storing.shared.appender.append(batch) {
            let (pool, target) = (&storing.config.job_name, &storing.target.url_text);
            tracing::warn!(scrape_pool = pool, target, err = %error, "Stale commit failed");
        }
        self.cache.commit_stale();
    }

    /// Nothing more comes from the target.
    pub(crate) fn close(&mut self, shared: &Shared, job: &str) {
        self.close_group(shared);
        let (entries, bytes) = std::mem::take(&mut self.metadata_counted);
        let metrics = &shared.metrics;
        metrics.metadata_entries.with(&[job]).add(-(entries as f64));
        metrics.metadata_bytes.with(&[job]).add(-(bytes as f64));
    }

    /// Everything of the batch but the report.
    fn fill_batch(
        &mut self,
        storing: &mut Storing<'_>,
        answer: Answer<'_>,
    ) -> (PageCounts, Option<Failure>) {
        storing.scratch.clear();
        let (body, content_type) = match answer {
            Answer::Page { body, content_type } => (body, content_type),
            Answer::Failed { error, .. } => {
                push_markers(&mut storing.scratch.samples, self.cache.live());
                return (
                    PageCounts::default(),
                    Some(Failure::Fetch(error.to_owned())),
                );
            }
        };
        if body.is_empty() {
            push_markers(&mut storing.scratch.samples, self.cache.live());
            return (PageCounts::default(), None);
        }
        let reader = PageReader {
            config: storing.config,
            target_labels: &storing.target.public_labels,
            keys: &storing.shared.keys,
            interner: &storing.shared.interner,
            now_ms: storing.shared.clock.now_ms(),
        };
        let mut families = storing.target.families.lock();
        let scratch = &mut *storing.scratch;
        let (counts, read) = reader.read(body, content_type, &self.cache, &mut families, scratch);
        drop(families);
        let read = read.and_then(|()| {
            let group = self.open_group(storing.shared, storing.target)?;
            let appender = &storing.shared.appender;
            Ok(storing
                .scratch
                .resolve(|labels| appender.series(group, labels))?)
        });
        match read {
            Ok(()) => {
                self.mark_gone(storing.scratch);
                (counts, None)
            }
            Err(error) => {
                storing.scratch.clear();
                push_markers(&mut storing.scratch.samples, self.cache.live());
                (counts, Some(Failure::Page(error)))
            }
        }
    }

    /// Adds the markers of series that the page does not have any more, but for those that it has
    /// under another text.
    fn mark_gone(&self, scratch: &mut Scratch) {
        let mut gone: HashSet<SeriesRef, RandomState> = self.cache.gone(&scratch.walk).collect();
        if gone.is_empty() {
            return;
        }
        for sample in &scratch.samples {
            gone.remove(&sample.series);
        }
        for sample in &scratch.timed {
            gone.remove(&sample.series);
        }
        let gone = self
            .cache
            .gone(&scratch.walk)
            .filter(|series| gone.contains(series));
        push_markers(&mut scratch.samples, gone);
    }

    fn append(
        &mut self,
        storing: &mut Storing<'_>,
        report: &Report,
        moment: Moment,
    ) -> Result<AppendOutcome, AppendError> {
        let group = self.open_group(storing.shared, storing.target)?;
        let appender = &storing.shared.appender;
        self.report.push(
            report,
            storing.config,
            &storing.target.public_labels,
            &mut storing.scratch.samples,
            |labels| appender.series(group, labels),
        )?;
        appender.append(Batch {
            group,
            timestamp_ms: moment.stamp_ms(),
            samples: &storing.scratch.samples,
            timed: &storing.scratch.timed,
        })
    }

    fn close_group(&mut self, shared: &Shared) {
        if let Some(group) = self.group.take() {
            shared.close_group(group);
        }
    }

    fn open_group(&mut self, shared: &Shared, target: &Target) -> Result<GroupId, AppendError> {
        match self.group {
            Some(group) => Ok(group),
            None => Ok(*self
                .group
                .insert(shared.open_group(&target.group_labels())?)),
        }
    }

    /// Brings the pool's gauges of metadata up to date.
    fn count_metadata(&mut self, storing: &Storing<'_>) {
        let now = {
            let families = storing.target.families.lock();
            (families.len(), families.bytes())
        };
        if now != self.metadata_counted {
            let job = &[storing.config.job_name.as_str()];
            let metrics = &storing.shared.metrics;
            let change = |now: usize, before: usize| now as f64 - before as f64;
            let entries = change(now.0, self.metadata_counted.0);
            metrics.metadata_entries.with(job).add(entries);
            let bytes = change(now.1, self.metadata_counted.1);
            metrics.metadata_bytes.with(job).add(bytes);
            self.metadata_counted = now;
        }
    }
}

/// Why a scrape failed.
enum Failure {
    Fetch(String),
    Page(PageError),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Fetch(error) => f.write_str(error),
            Failure::Page(error) => error.fmt(f),
        }
    }
}

impl Report {
    fn of(storing: &Storing<'_>) -> Report {
        Report {
            is_up: true,
            duration_s: 0.0,
            scraped: 0,
            kept: 0,
            series_added: 0,
            timeout_ms: storing.target.timeout_ms,
            sample_limit: storing.config.limits.sample_limit,
            body_bytes: 0,
        }
    }
}

fn body_bytes(answer: Answer<'_>) -> i64 {
    match answer {
        Answer::Page { body, .. } => body.len() as i64,
        Answer::Failed { is_too_large, .. } => -i64::from(is_too_large),
    }
}

fn push_markers(samples: &mut Vec<Sample>, series: impl Iterator<Item = SeriesRef>) {
    samples.extend(series.map(|series| Sample {
        series,
        value: STALE_NAN,
    }));
}

/// Counts what was refused, and says so once a scrape.
fn count(
    storing: &Storing<'_>,
    counts: PageCounts,
    outcome: &AppendOutcome,
    failure: Option<&Failure>,
) {
    let metrics = &storing.shared.metrics;
    let (pool, target) = (&storing.config.job_name, &storing.target.url_text);
    match failure {
        Some(Failure::Page(error)) => {
            match error {
                PageError::SampleLimit => metrics.exceeded_sample_limit.inc(),
                PageError::Rule(RuleError::LabelLimit(_)) => metrics.exceeded_label_limits.inc(),
                _ => {}
            }
            tracing::debug!(scrape_pool = pool, target, err = %error, "Append failed");
        }
        Some(Failure::Fetch(_)) | None => {}
    }
    let duplicates = counts.duplicates + outcome.duplicate;
    let out_of_bounds = counts.out_of_bounds + outcome.out_of_bounds;
    let out_of_order = outcome.out_of_order + outcome.too_old;
    if out_of_order > 0 {
        metrics.sample_out_of_order.add(out_of_order as f64);
        tracing::warn!(
            scrape_pool = pool,
            target,
            num_dropped = out_of_order,
            "Error on ingesting out-of-order samples"
        );
    }
    if duplicates > 0 {
        metrics.sample_duplicate.add(duplicates as f64);
        tracing::warn!(
            scrape_pool = pool,
            target,
            num_dropped = duplicates,
            "Error on ingesting samples with different value but same timestamp"
        );
    }
    if out_of_bounds > 0 {
        metrics.sample_out_of_bounds.add(out_of_bounds as f64);
        tracing::warn!(
            scrape_pool = pool,
            target,
            num_dropped = out_of_bounds,
            "Error on ingesting samples that are too old or are too far into the future"
        );
    }
}
