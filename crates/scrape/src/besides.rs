//! What a page says beside its samples: exemplars, starts of counters, metadata. Each is read only if
//! its feature is on.

use std::sync::Arc;

use exposition::SeriesLabels;
use model::{Labels, Metadata, MetricType};
use storage::{ExemplarSample, MetadataSample, SeriesRef, StartTime};

use crate::families::Said;

/// What is read besides samples, or made of it; all is off by default.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ScrapeFeatures {
    /// `exemplar-storage`: exemplars are stored.
    pub exemplars: bool,
    /// `st-storage`, `created-timestamp-zero-ingestion`: so are starts of counters, and `_created`
    /// lines of OpenMetrics are no samples but starts.
    pub starts: bool,
    /// `metadata-wal-records`: type, help and unit are stored for each series.
    pub metadata: bool,
    /// `type-and-unit-labels`: type and unit become labels.
    pub type_and_unit_labels: bool,
}

/// What a batch has besides samples.
#[derive(Debug, Default)]
pub(crate) struct Besides {
    pub(crate) exemplars: Vec<PageExemplar>,
    pub(crate) starts: Vec<StartTime>,
    pub(crate) metadata: Vec<PageMetadata>,
}

impl Besides {
    pub(crate) fn clear(&mut self) {
        self.exemplars.clear();
        self.starts.clear();
        self.metadata.clear();
    }

    /// The most that one of the lists has room for.
    pub(crate) fn capacity(&self) -> usize {
        let lists = self.exemplars.capacity().max(self.starts.capacity());
        lists.max(self.metadata.capacity())
    }

    /// The exemplars as storage takes them.
    pub(crate) fn exemplar_samples(&self, stamp_ms: i64) -> Vec<ExemplarSample<'_>> {
        let exemplars = self.exemplars.iter();
        exemplars
            .map(|exemplar| exemplar.sample(stamp_ms))
            .collect()
    }

    /// The metadata as storage takes it.
    pub(crate) fn metadata_samples(&self) -> Vec<MetadataSample<'_>> {
        let metadata = self.metadata.iter();
        metadata
            .map(|of| MetadataSample {
                series: of.series,
                metadata: &of.metadata,
            })
            .collect()
    }
}

/// An exemplar on its way into a batch.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct PageExemplar {
    pub(crate) series: SeriesRef,
    labels: Labels,
    value: f64,
    /// Its own time, else that of its sample.
    timestamp_ms: Option<i64>,
    has_own_time: bool,
}

impl PageExemplar {
    /// Of a sample at `sample_ms`, if that is not the scrape's time. One with labels that cannot be
    /// is left out, as the sample is none the worse for it.
    pub(crate) fn read(
        exemplar: &exposition::Exemplar<'_>,
        sample_ms: Option<i64>,
        labels: &mut SeriesLabels,
    ) -> Option<PageExemplar> {
        labels.read_exemplar(exemplar.labels).ok()?;
        Some(PageExemplar {
            series: SeriesRef(u64::MAX),
            labels: labels.to_labels(),
            value: exemplar.value,
            timestamp_ms: exemplar.timestamp_ms.or(sample_ms),
            has_own_time: exemplar.timestamp_ms.is_some(),
        })
    }

    /// By time, then by value: the order in which storage finds what it knows.
    pub(crate) fn is_sorted_before(&self, other: &PageExemplar) -> std::cmp::Ordering {
        let by_time = self.timestamp_ms.cmp(&other.timestamp_ms);
        let by_value = by_time.then_with(|| self.value.total_cmp(&other.value));
        by_value.then_with(|| self.labels.cmp(&other.labels))
    }

    fn sample(&self, stamp_ms: i64) -> ExemplarSample<'_> {
        ExemplarSample {
            series: self.series,
            labels: &self.labels,
            value: self.value,
            timestamp_ms: self.timestamp_ms.unwrap_or(stamp_ms),
            has_own_time: self.has_own_time,
        }
    }
}

/// Metadata of a series on its way into a batch.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct PageMetadata {
    pub(crate) series: SeriesRef,
    pub(crate) metadata: Arc<Metadata>,
}

/// The family that the page has spoken of last.
#[derive(Debug, Default)]
pub(crate) struct CurrentFamily {
    name: Vec<u8>,
    metadata: Metadata,
    shared: Option<Arc<Metadata>>,
    /// Whether something of it was not known from scrapes before.
    pub(crate) is_news: bool,
    keeps_unit: bool,
    unit: String,
}

impl CurrentFamily {
    /// None so far. The last unit of a text page holds on until there is another one, as in
    /// Prometheus: then `keeps_unit` is set.
    pub(crate) fn new(keeps_unit: bool) -> CurrentFamily {
        CurrentFamily {
            keeps_unit,
            ..CurrentFamily::default()
        }
    }

    /// A line of metadata. `is_news` says whether it is new or has changed.
    pub(crate) fn say(&mut self, name: &[u8], said: Said<'_>, is_news: bool) {
        if self.name != name {
            self.name = name.to_vec();
            self.metadata = Metadata::default();
            self.is_news = false;
            if !self.keeps_unit {
                self.unit.clear();
            }
        }
        if let Said::Unit(unit) = said {
            unit.clone_into(&mut self.unit);
        }
        said.put_in(&mut self.metadata);
        self.shared = None;
        self.is_news |= is_news;
    }

    /// What the labels of type and unit are now; empty for none.
    pub(crate) fn type_and_unit(&self, kind: MetricType) -> (&'static str, &str) {
        let kind = match kind {
            MetricType::Unknown => "",
            kind => kind.as_str(),
        };
        (kind, &self.unit)
    }

    /// The metadata for a series of this name, if it is of the family.
    pub(crate) fn metadata_of(&mut self, name: &[u8]) -> Option<Arc<Metadata>> {
        if self.name.is_empty() || !is_of_family(name, &self.name, self.metadata.kind) {
            return None;
        }
        let metadata = &self.metadata;
        let shared = self
            .shared
            .get_or_insert_with(|| Arc::new(metadata.clone()));
        Some(Arc::clone(shared))
    }
}

/// Whether a series belongs to a family of that type, by its name.
fn is_of_family(series: &[u8], family: &[u8], kind: MetricType) -> bool {
    let suffixes: &[&[u8]] = match kind {
        MetricType::Counter => &[b"_total"],
        MetricType::Histogram => &[b"_bucket", b"_sum", b"_count"],
        MetricType::GaugeHistogram => &[b"_bucket", b"_gsum", b"_gcount"],
        MetricType::Summary => &[b"_sum", b"_count"],
        MetricType::Info => &[b"_info"],
        _ => &[],
    };
    let without = suffixes
        .iter()
        .find_map(|suffix| series.strip_suffix(*suffix));
    // The classic text format has suffixes of counters and infos in the name of the family, too.
    let family = match kind {
        MetricType::Counter => family.strip_suffix(b"_total").unwrap_or(family),
        MetricType::Info => family.strip_suffix(b"_info").unwrap_or(family),
        _ => family,
    };
    without.unwrap_or(series) == family
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn series_of_a_family_by_name() {
        for (series, family, kind, expected) in [
            ("a_total", "a", MetricType::Counter, true),
            ("a_total", "a_total", MetricType::Counter, true),
            ("a", "a", MetricType::Counter, true),
            ("a_bucket", "a", MetricType::Histogram, true),
            ("a_gsum", "a", MetricType::GaugeHistogram, true),
            ("a_bucket", "a", MetricType::Summary, false),
            ("a_info", "a", MetricType::Info, true),
            ("a_sum", "a", MetricType::Gauge, false),
            ("ab", "a", MetricType::Gauge, false),
            ("a", "a", MetricType::Unknown, true),
        ] {
            let got = is_of_family(series.as_bytes(), family.as_bytes(), kind);
            assert_eq!(got, expected, "{series} {family} {kind:?}");
        }
    }
}
