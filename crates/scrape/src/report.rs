//! The series that say how a scrape went: `up` and its like.
//!
//! They carry the target's labels, are not relabelled and count against no limit. They stand at
//! the end of every batch, in the same order.

use config::ScrapeConfig;
use model::{Labels, STALE_NAN};
use storage::{AppendError, Sample, SeriesRef};

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

/// The report series of one target.
#[derive(Debug, Default)]
pub(crate) struct ReportSeries([Option<SeriesRef>; NAMES.len()]);

impl ReportSeries {
    /// Adds the report to a batch. `series` resolves labels that were not resolved before.
    ///
    /// # Errors
    /// The first error of `series`.
    pub(crate) fn push(
        &mut self,
        report: &Report,
        config: &ScrapeConfig,
        target: &Labels,
        samples: &mut Vec<Sample>,
        mut series: impl FnMut(&Labels) -> Result<SeriesRef, AppendError>,
    ) -> Result<(), AppendError> {
        let count = if config.extra_scrape_metrics {
            NAMES.len()
        } else {
            EXTRA_FROM
        };
        let values = report.values();
        for (at, slot) in self.0[..count].iter_mut().enumerate() {
            let series = match *slot {
                Some(known) => known,
                None => *slot.insert(series(&report_labels(NAMES[at], target))?),
            };
            samples.push(Sample {
                series,
                value: values[at],
            });
        }
        Ok(())
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
