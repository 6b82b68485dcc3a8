//! What a scrape leaves in storage: one batch, whether it succeeded or not.
//!
//! The batch of a good page holds its samples, the markers of series that it no longer has, and the
//! report series; that of a failed scrape the markers of all series and the report. It is written in
//! one call, so that a query sees a scrape as a whole or not at all, and the cache changes only when
//! it was written.

use std::fmt;
use std::time::Duration;

use config::ScrapeConfig;
use exposition::{CreatedSeries, PageOptions};
use foldhash::fast::RandomState;
use hashbrown::HashSet;
use model::{Labels, STALE_NAN};
use storage::{
    AppendError, AppendOutcome, Batch, GroupId, HistogramSample, Sample, SeriesRef, TimedSample,
};
use telemetry::Gauge;

use crate::cache::{Ending, SeriesCache};
use crate::histograms::PageHistogram;
use crate::page::{PageCounts, PageError, PageReader, RefusedSeries, Scratch};
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
#[derive(Default)]
pub(crate) struct TargetStore {
    group: Option<GroupId>,
    cache: SeriesCache,
    report: ReportSeries,
    /// Whether the last scrape failed. What failing scrapes hold counts as added only once.
    failed: bool,
    metadata: CountedMetadata,
    refused: CountedRefused,
}

/// New series that a limit kept out of the last scrape, as the target's gauge shows them. There is
/// a gauge only while there are some.
#[derive(Default)]
struct CountedRefused {
    gauge: Option<Gauge>,
    instance: String,
}

impl CountedRefused {
    /// Says in log and metrics what was refused, and when that begins and ends.
    fn set(&mut self, storing: &Storing<'_>, refused: RefusedSeries) {
        let (job, target) = (&storing.config.job_name, &storing.target.url_text);
        let Some(limit) = refused.limit else {
            if self.gauge.is_some() {
                self.clear(storing.shared, job);
                tracing::info!(scrape_pool = job, target, "New series are taken again");
            }
            return;
        };
        if self.gauge.is_none() {
            storing
                .target
                .public_labels
                .get("instance")
                .clone_into(&mut self.instance);
            tracing::warn!(
                scrape_pool = job, target, num_refused = refused.count, err = %limit,
                "New series are refused"
            );
        }
        let gauge = self.gauge.get_or_insert_with(|| {
            let metrics = &storing.shared.metrics;
            metrics.refused_series.with(&[job, &self.instance])
        });
        gauge.set(refused.count as f64);
    }

    fn clear(&mut self, shared: &Shared, job: &str) {
        if self.gauge.take().is_some() {
            let metrics = &shared.metrics;
            metrics.refused_series.remove(&[job, &self.instance]);
        }
    }
}

/// What the pool's gauges of metadata count for one target. The gauges are held, so that a target
/// that ends after its pool does not bring them back.
#[derive(Default)]
struct CountedMetadata {
    gauges: Option<(Gauge, Gauge)>,
    entries: usize,
    bytes: usize,
}

impl CountedMetadata {
    fn set(&mut self, shared: &Shared, job: &str, entries: usize, bytes: usize) {
        if (entries, bytes) == (self.entries, self.bytes) {
            return;
        }
        let metrics = &shared.metrics;
        let (entries_gauge, bytes_gauge) = self.gauges.get_or_insert_with(|| {
            (
                metrics.metadata_entries.with(&[job]),
                metrics.metadata_bytes.with(&[job]),
            )
        });
        entries_gauge.add(entries as f64 - self.entries as f64);
        bytes_gauge.add(bytes as f64 - self.bytes as f64);
        (self.entries, self.bytes) = (entries, bytes);
    }
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
        let mut attempt = self.attempt(storing, answer, moment, None);
        if let Ok(outcome) = &attempt.outcome
            && !outcome.unknown.is_empty()
        {
            // Storage collected series meanwhile, or the whole group: once more, by labels. What
            // was written already is taken a second time without a word.
            self.cache.forget(&outcome.unknown);
            self.report.forget(&outcome.unknown);
            self.close_group(storing.shared);
            attempt = self.attempt(storing, answer, moment, Some(attempt.report));
        }
        let mut error = attempt
            .failure
            .as_ref()
            .map_or_else(String::new, Failure::to_string);
        let is_up = attempt.failure.is_none() && attempt.outcome.is_ok();
        match &attempt.outcome {
            Ok(_) => {
                self.commit(storing, answer, &attempt);
                if is_up {
                    self.refused.set(storing, attempt.refused);
                    if let Some(limit) = attempt.refused.limit {
                        error = format!("{} new series refused: {limit}", attempt.refused.count);
                    }
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
        let (entries, bytes) = {
            let families = storing.target.families.lock();
            (families.len(), families.bytes())
        };
        let job = &storing.config.job_name;
        self.metadata.set(storing.shared, job, entries, bytes);
        storing
            .target
            .report(moment.stamp_ns, attempt.report.duration_s, is_up, &error);
    }

    /// Makes the batch and hands it over. A second attempt says what the first one said about the
    /// time it took and about new series.
    fn attempt(
        &mut self,
        storing: &mut Storing<'_>,
        answer: Answer<'_>,
        moment: Moment,
        first: Option<Report>,
    ) -> Attempt {
        let mut refused = RefusedSeries::default();
        let ready = self.resolve_report(storing, &mut refused);
        let (counts, failure) = self.fill_batch(storing, answer, moment, &mut refused);
        let elapsed = storing.shared.clock.monotonic() - moment.started;
        let is_again = self.failed && failure.is_some();
        let report = Report {
            is_up: failure.is_none(),
            duration_s: first.map_or(elapsed.as_secs_f64(), |first| first.duration_s),
            scraped: counts.scraped,
            kept: counts.kept,
            series_added: match first {
                Some(first) => first.series_added,
                None if is_again => 0,
                None => counts.series_added.saturating_sub(refused.count),
            },
            timeout_ms: storing.target.timeout_ms,
            sample_limit: storing.config.limits.sample_limit,
            body_bytes: body_bytes(answer),
        };
        let outcome = ready.and_then(|()| self.append(storing, &report, moment));
        Attempt {
            counts,
            refused,
            failure,
            report,
            outcome,
        }
    }

    /// The batch was written: the cache follows, and what was refused is counted.
    fn commit(&mut self, storing: &Storing<'_>, answer: Answer<'_>, attempt: &Attempt) {
        let has_page = matches!(answer, Answer::Page { body, .. } if !body.is_empty());
        self.failed = attempt.failure.is_some();
        if has_page && !self.failed {
            self.cache.commit(&storing.scratch.walk);
        } else {
            self.cache.commit_stale();
        }
        let mut refused = Refused::of(attempt);
        if refused.duplicates > 0 {
            // A target may expose a series of the report; its own value stays.
            let collisions = self.report.collisions(&storing.scratch.samples);
            refused.duplicates = refused.duplicates.saturating_sub(collisions);
        }
        if let Some(Failure::Page(error)) = &attempt.failure {
            note_refused_page(storing, error);
        }
        refused.count(storing);
    }

    /// The target is gone: all its series end.
    pub(crate) fn end(&mut self, storing: &mut Storing<'_>, stamp_ns: i64) {
        let scratch = &mut *storing.scratch;
        scratch.clear();
        push_markers(scratch, self.cache.live());
        self.report.push_stale(&mut scratch.samples);
        let Some(group) = self.group.filter(|_| !scratch.samples.is_empty()) else {
            return;
        };
        let stamp_ms = stamp_ns.div_euclid(1_000_000);
        let histograms = histogram_samples(scratch, stamp_ms);
        let batch = Batch {
            histograms: &histograms,
            ..Batch::of(group, stamp_ms, &scratch.samples)
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
        self.metadata.set(shared, job, 0, 0);
        self.refused.clear(shared, job);
    }

    /// Everything of the batch but the report.
    fn fill_batch(
        &mut self,
        storing: &mut Storing<'_>,
        answer: Answer<'_>,
        moment: Moment,
        refused: &mut RefusedSeries,
    ) -> (PageCounts, Option<Failure>) {
        storing.scratch.clear();
        let (body, content_type) = match answer {
            Answer::Page { body, content_type } => (body, content_type),
            Answer::Failed { error, .. } => {
                push_markers(storing.scratch, self.cache.live());
                return (
                    PageCounts::default(),
                    Some(Failure::Fetch(error.to_owned())),
                );
            }
        };
        if body.is_empty() {
            push_markers(storing.scratch, self.cache.live());
            return (PageCounts::default(), None);
        }
        let reader = PageReader {
            config: storing.config,
            options: PageOptions {
                histograms: storing.target.histogram_options(storing.config),
                created: match storing.shared.features.starts {
                    true => CreatedSeries::AsStarts,
                    false => CreatedSeries::Keep,
                },
            },
            features: storing.shared.features,
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
            let resolved = storing
                .scratch
                .resolve(|labels| appender.series(group, labels))?;
            refused.count += resolved.count;
            refused.limit = resolved.limit.or(refused.limit);
            Ok(())
        });
        match read {
            Ok(()) => {
                self.mark_gone(storing, moment.stamp_ms());
                (counts, None)
            }
            Err(error) => {
                storing.scratch.clear();
                push_markers(storing.scratch, self.cache.live());
                (counts, Some(Failure::Page(error)))
            }
        }
    }

    /// Adds the markers of series that the page does not have any more, but for those that it has
    /// under another text.
    fn mark_gone(&self, storing: &mut Storing<'_>, stamp_ms: i64) {
        let scratch = &mut *storing.scratch;
        let lapsed = self.cache.lapsed(&scratch.walk);
        let all = self.cache.gone(&scratch.walk).chain(lapsed.iter().copied());
        let mut gone: HashSet<SeriesRef, RandomState> = all.map(|ending| ending.series).collect();
        if gone.is_empty() {
            return;
        }
        for sample in &scratch.samples {
            gone.remove(&sample.series);
        }
        let tracks_times = storing.config.track_timestamps_staleness;
        if tracks_times {
            for sample in &scratch.timed {
                gone.remove(&sample.series);
            }
        }
        for sample in &scratch.histograms {
            if tracks_times || sample.timestamp_ms.is_none() {
                gone.remove(&sample.series);
            }
        }
        // Behind the older samples that the page has of the same series.
        for &ending in lapsed.iter().filter(|ending| gone.contains(&ending.series)) {
            match PageHistogram::marker(ending, Some(stamp_ms)) {
                Some(marker) => scratch.histograms.push(marker),
                None => scratch.timed.push(TimedSample {
                    series: ending.series,
                    timestamp_ms: stamp_ms,
                    value: STALE_NAN,
                }),
            }
        }
        let endings: Vec<Ending> = self
            .cache
            .gone(&scratch.walk)
            .filter(|ending| gone.contains(&ending.series))
            .collect();
        push_markers(scratch, endings.into_iter());
    }

    /// Finds the series of the report.
    fn resolve_report(
        &mut self,
        storing: &Storing<'_>,
        refused: &mut RefusedSeries,
    ) -> Result<(), AppendError> {
        let group = self.open_group(storing.shared, storing.target)?;
        let appender = &storing.shared.appender;
        let labels = &storing.target.public_labels;
        let series = |labels: &Labels| appender.series(group, labels);
        refused.limit = self.report.resolve(storing.config, labels, series)?;
        Ok(())
    }

    fn append(
        &mut self,
        storing: &mut Storing<'_>,
        report: &Report,
        moment: Moment,
    ) -> Result<AppendOutcome, AppendError> {
        let group = self.open_group(storing.shared, storing.target)?;
        let samples = &mut storing.scratch.samples;
        self.report.push(report, storing.config, samples);
        let histograms = histogram_samples(storing.scratch, moment.stamp_ms());
        let besides = &storing.scratch.besides;
        storing.shared.appender.append(Batch {
            timed: &storing.scratch.timed,
            histograms: &histograms,
            starts: &besides.starts,
            exemplars: &besides.exemplar_samples(moment.stamp_ms()),
            metadata: &besides.metadata_samples(),
            ..Batch::of(group, moment.stamp_ms(), &storing.scratch.samples)
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

/// One try to store a scrape.
struct Attempt {
    counts: PageCounts,
    refused: RefusedSeries,
    failure: Option<Failure>,
    report: Report,
    outcome: Result<AppendOutcome, AppendError>,
}

fn body_bytes(answer: Answer<'_>) -> i64 {
    match answer {
        Answer::Page { body, .. } => body.len() as i64,
        Answer::Failed { is_too_large, .. } => -i64::from(is_too_large),
    }
}

fn push_markers(scratch: &mut Scratch, endings: impl Iterator<Item = Ending>) {
    for ending in endings {
        match PageHistogram::marker(ending, None) {
            Some(marker) => scratch.histograms.push(marker),
            None => scratch.samples.push(Sample {
                series: ending.series,
                value: STALE_NAN,
            }),
        }
    }
}

/// The histograms as storage takes them; nothing is allocated if there are none.
fn histogram_samples(scratch: &Scratch, stamp_ms: i64) -> Vec<HistogramSample<'_>> {
    let histograms = scratch.histograms.iter();
    histograms
        .map(|histogram| histogram.sample(stamp_ms))
        .collect()
}

fn note_refused_page(storing: &Storing<'_>, error: &PageError) {
    let metrics = &storing.shared.metrics;
    match error {
        PageError::SampleLimit => metrics.exceeded_sample_limit.inc(),
        PageError::BucketLimit => metrics.exceeded_bucket_limit.inc(),
        PageError::Rule(RuleError::LabelLimit(_)) => metrics.exceeded_label_limits.inc(),
        _ => {}
    }
    let (pool, target) = (&storing.config.job_name, &storing.target.url_text);
    tracing::debug!(scrape_pool = pool, target, err = %error, "Append failed");
}

/// Samples that were refused one by one.
struct Refused {
    duplicates: usize,
    out_of_order: usize,
    out_of_bounds: usize,
    exemplars_out_of_order: usize,
}

impl Refused {
    fn of(attempt: &Attempt) -> Refused {
        let counts = attempt.counts;
        let outcome = attempt.outcome.as_ref();
        let stored = |count: fn(&AppendOutcome) -> usize| outcome.map_or(0, count);
        Refused {
            duplicates: counts.duplicates + stored(|outcome| outcome.duplicate),
            out_of_order: stored(|outcome| outcome.out_of_order + outcome.too_old),
            out_of_bounds: counts.out_of_bounds + stored(|outcome| outcome.out_of_bounds),
            exemplars_out_of_order: stored(|outcome| outcome.exemplars_out_of_order),
        }
    }

    /// Counts them, and says so once a scrape.
    fn count(&self, storing: &Storing<'_>) {
        let metrics = &storing.shared.metrics;
        for (count, counter, message) in [
            (
                self.out_of_order,
                &metrics.sample_out_of_order,
                "Error on ingesting out-of-order samples",
            ),
            (
                self.duplicates,
                &metrics.sample_duplicate,
                "Error on ingesting samples with different value but same timestamp",
            ),
            (
                self.out_of_bounds,
                &metrics.sample_out_of_bounds,
                "Error on ingesting samples that are too old or are too far into the future",
            ),
            (
                self.exemplars_out_of_order,
                &metrics.exemplar_out_of_order,
                "Error on ingesting out-of-order exemplars",
            ),
        ] {
            if count > 0 {
                counter.add(count as f64);
                let (pool, target) = (&storing.config.job_name, &storing.target.url_text);
                tracing::warn!(scrape_pool = pool, target, num_dropped = count, "{message}");
            }
        }
    }
}
