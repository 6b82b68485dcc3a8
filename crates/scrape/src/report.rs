//! The series that say how a scrape went: `up` and its like.
//!
//! They carry the target's labels, are not relabelled and count against no limit. They stand at
//! the end of every batch, in the same order.

use config::ScrapeConfig;
use model::{Labels, STALE_NAN};
use storage::{AppendError, Sample, SeriesLimit, SeriesRef};

use crate::rules::report_labels;

/// The names of the report series; those from [`EXTRA_FROM`] on come with `extra_scrape_metrics`.
const NAMES: [&str; 8] = [
    "up",
    "scrape_duration_seconds",
    "scrape_samples_scraped",
    "scrape_samples_post_metric_relabeling",
    "scrape_series_added",
    "scrape_timeout_seconds",
    "scrape_sample_limit",
    "scrape_body_size_bytes",
];
const EXTRA_FROM: usize = 5;

/// What a scrape reports.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Report {
    pub(crate) is_up: bool,
    pub(crate) duration_s: f64,
    pub(crate) scraped: usize,
    pub(crate) kept: usize,
    pub(crate) series_added: usize,
    pub(crate) timeout_ms: i64,
    pub(crate) sample_limit: u64,
    /// -1 if the body was too large, 0 if there was none.
    pub(crate) body_bytes: i64,
}

impl Report {
    fn values(&self) -> [f64; NAMES.len()] {
        [
            f64::from(u8::from(self.is_up)),
            self.duration_s,
            self.scraped as f64,
            self.kept as f64,
            self.series_added as f64,
            self.timeout_ms as f64 / 1_000.0,
            self.sample_limit as f64,
            self.body_bytes as f64,
        ]
    }
}

/// How many report series a target has.
fn count(config: &ScrapeConfig) -> usize {
    match config.extra_scrape_metrics {
        true => NAMES.len(),
        false => EXTRA_FROM,
    }
}

/// The report series of one target.
#[derive(Debug, Default)]
pub(crate) struct ReportSeries([Option<SeriesRef>; NAMES.len()]);

impl ReportSeries {
    /// Finds the series that were not resolved before, with `series`. They come before those of the
    /// page: a target that brings too many new series still says that it is up.
    ///
    /// # Errors
    /// The first error of `series`, but for limits of new series: these series are left out, and
    /// the limit is given back.
    pub(crate) fn resolve(
        &mut self,
        config: &ScrapeConfig,
        target: &Labels,
        mut series: impl FnMut(&Labels) -> Result<SeriesRef, AppendError>,
    ) -> Result<Option<SeriesLimit>, AppendError> {
        let mut refused = None;
        for (at, slot) in self.0[..count(config)].iter_mut().enumerate() {
            if slot.is_some() {
                continue;
            }
            match series(&report_labels(NAMES[at], target)) {
                Ok(found) => *slot = Some(found),
                Err(AppendError::SeriesLimit(limit)) => refused = Some(limit),
                Err(error) => return Err(error),
            }
        }
        Ok(refused)
    }

    /// Adds the report to a batch.
    pub(crate) fn push(&self, report: &Report, config: &ScrapeConfig, samples: &mut Vec<Sample>) {
        let values = report.values();
        for (slot, value) in self.0[..count(config)].iter().zip(values) {
            samples.extend(slot.map(|series| Sample { series, value }));
        }
    }

    /// Adds staleness markers of all report series to a batch.
    pub(crate) fn push_stale(&self, samples: &mut Vec<Sample>) {
        samples.extend(self.0.iter().flatten().map(|&series| Sample {
            series,
            value: STALE_NAN,
        }));
    }

    /// How many report series stand in a batch twice: once from the page, once from the report.
    pub(crate) fn collisions(&self, samples: &[Sample]) -> usize {
        let is_twice = |series: &&SeriesRef| {
            let same = samples.iter().filter(|sample| sample.series == **series);
            same.take(2).count() == 2
        };
        self.0.iter().flatten().filter(is_twice).count()
    }

    /// Forgets series that storage does not know any more.
    pub(crate) fn forget(&mut self, unknown: &[SeriesRef]) {
        for slot in &mut self.0 {
            if slot.is_some_and(|series| unknown.contains(&series)) {
                *slot = None;
            }
        }
    }
}
