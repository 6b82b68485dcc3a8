//! What is said about a query besides its answer: warnings and infos, with their places.
//!
//! The texts are read by people and matched by tools, so they are upstream's
//! (util/annotations/annotations.go). Equal ones count once.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fmt::Write as _;
use std::ops::Range;

use gocompat::strconv::format_float_g;

/// The one text whose repetitions are counted.
const START_OVERLAPS: &str = "PromQL warning: sample has start time that overlaps";

/// Byte range of an expression in the query.
pub(crate) type Position = Range<usize>;

/// How much an annotation weighs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Level {
    Warning,
    Info,
}

/// How a bucket sequence had to be repaired, over all times.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Monotonicity {
    pub(crate) time_ms: (i64, i64),
    pub(crate) bucket: (f64, f64),
    pub(crate) difference_max: f64,
    pub(crate) count: usize,
}

#[derive(Debug, Clone, PartialEq)]
struct Annotation {
    level: Level,
    position: Option<Position>,
    monotonicity: Option<Monotonicity>,
    /// How often it was said; 1 for those where that does not matter.
    count: usize,
}

/// What has been said so far, by text.
#[derive(Debug, Clone, Default)]
pub(crate) struct Annotations {
    by_text: BTreeMap<String, Annotation>,
}

/// A metric's name if it is known at this place.
fn for_metric(text: &str, metric: &str) -> String {
    if metric.is_empty() {
        text.to_owned()
    } else {
        format!(
            "{text} for metric name {}",
            gocompat::strconv::quote(metric)
        )
    }
}

impl Annotations {
    fn add(&mut self, level: Level, text: String, position: &Position) {
        // Of equal texts the one that came last gives the place, as upstream.
        self.by_text.insert(
            text,
            Annotation {
                level,
                position: Some(position.clone()),
                monotonicity: None,
                count: 1,
            },
        );
    }

    fn warn(&mut self, text: String, position: &Position) {
        self.add(Level::Warning, format!("PromQL warning: {text}"), position);
    }

    fn inform(&mut self, text: String, position: &Position) {
        self.add(Level::Info, format!("PromQL info: {text}"), position);
    }

    /// What storage said, without prefix and place.
    pub(crate) fn storage_warning(&mut self, text: String) {
        self.by_text.insert(
            text,
            Annotation {
                level: Level::Warning,
                position: None,
                monotonicity: None,
                count: 1,
            },
        );
    }

    pub(crate) fn invalid_quantile(&mut self, q: f64, position: &Position) {
        let text = "quantile value should be between 0 and 1, got";
        self.warn(format!("{text} {}", format_float_g(q)), position);
    }

    pub(crate) fn invalid_ratio(&mut self, ratio: f64, to: f64, position: &Position) {
        let (ratio, to) = (format_float_g(ratio), format_float_g(to));
        let text = "ratio value should be between -1 and 1, got";
        self.warn(format!("{text} {ratio}, capping to {to}"), position);
    }

    pub(crate) fn bad_bucket_label(&mut self, metric: &str, le: &str, position: &Position) {
        let le = gocompat::strconv::quote(le);
        let text = format!("bucket label \"le\" is missing or has a malformed value of {le}");
        self.warn(for_metric(&text, metric), position);
    }

    pub(crate) fn sort_in_range_query(&mut self, position: &Position) {
        let text = "sort is ineffective for range queries since results are always ordered by \
                    labels";
        self.warn(text.to_owned(), position);
    }

    pub(crate) fn possible_non_counter(&mut self, metric: &str, position: &Position) {
        let metric = gocompat::strconv::quote(metric);
        let text = "metric might not be a counter, name does not end in \
                    _total/_sum/_count/_bucket:";
        self.inform(format!("{text} {metric}"), position);
    }

    pub(crate) fn possible_non_counter_type(
        &mut self,
        metric: &str,
        kind: &str,
        position: &Position,
    ) {
        let (metric, kind) = (
            gocompat::strconv::quote(metric),
            gocompat::strconv::quote(kind),
        );
        let text = "metric might not be a counter, __type__ label is not set to \"counter\" or \
                    \"histogram\", got";
        self.inform(format!("{text} {kind}: {metric}"), position);
    }

    /// Windows of a series in which a counter's start overlaps with the sample before. These are
    /// counted, and the first one gives the place.
    pub(crate) fn start_overlaps(&mut self, metric: &str, position: &Position, count: usize) {
        let metric = gocompat::strconv::quote(metric);
        let text = format!("{START_OVERLAPS} with previous sample timestamp for metric {metric}");
        let new = Annotation {
            level: Level::Warning,
            position: Some(position.clone()),
            monotonicity: None,
            count,
        };
        self.count(text, new);
    }

    fn count(&mut self, text: String, new: Annotation) {
        match self.by_text.entry(text) {
            Entry::Occupied(mut known) => known.get_mut().count += new.count,
            Entry::Vacant(free) => {
                free.insert(new);
            }
        }
    }

    /// What another collector has gathered.
    /// Whether nothing was said.
    pub(crate) fn is_empty(&self) -> bool {
        self.by_text.is_empty()
    }

    pub(crate) fn merge(&mut self, other: Annotations) {
        for (text, new) in other.by_text {
            if text.starts_with(START_OVERLAPS) {
                self.count(text, new);
            } else {
                self.by_text.insert(text, new);
            }
        }
    }

    pub(crate) fn incompatible_types(
        &mut self,
        lhs: &str,
        operator: &str,
        rhs: &str,
        position: &Position,
    ) {
        let text = "incompatible sample types encountered for binary operator";
        let quoted = gocompat::strconv::quote(operator);
        self.inform(format!("{text} {quoted}: {lhs} {operator} {rhs}"), position);
    }

    pub(crate) fn incompatible_layouts(&mut self, operator: &str, position: &Position) {
        let text = "incompatible bucket layout encountered for binary operator";
        self.warn(format!("{text} {operator}"), position);
    }

    pub(crate) fn counter_reset_collision(&mut self, operation: &str, position: &Position) {
        let text = "conflicting counter resets during histogram";
        self.warn(format!("{text} {operation}"), position);
    }

    pub(crate) fn bounds_reconciled(&mut self, operation: &str, position: &Position) {
        let text = "mismatched custom buckets were reconciled during";
        self.inform(format!("{text} {operation}"), position);
    }

    pub(crate) fn mixed_in_aggregation(&mut self, position: &Position) {
        let text = "encountered a mix of histograms and floats for aggregation";
        self.warn(text.to_owned(), position);
    }

    pub(crate) fn mixed_classic_and_native(&mut self, metric: &str, position: &Position) {
        let text = "vector contains a mix of classic and native histograms";
        self.warn(for_metric(text, metric), position);
    }

    pub(crate) fn mixed_exponential_and_custom(&mut self, metric: &str, position: &Position) {
        let metric = gocompat::strconv::quote(metric);
        let text = "vector contains a mix of histograms with exponential and custom buckets \
                    schemas for metric name";
        self.warn(format!("{text} {metric}"), position);
    }

    pub(crate) fn histogram_is_no_counter(&mut self, metric: &str, position: &Position) {
        let metric = gocompat::strconv::quote(metric);
        let text = "this native histogram metric is not a counter:";
        self.warn(format!("{text} {metric}"), position);
    }

    pub(crate) fn histogram_is_no_gauge(&mut self, metric: &str, position: &Position) {
        let metric = gocompat::strconv::quote(metric);
        let text = "this native histogram metric is not a gauge:";
        self.warn(format!("{text} {metric}"), position);
    }

    pub(crate) fn quantile_is_nan(&mut self, metric: &str, position: &Position) {
        let text = "input to histogram_quantile has NaN observations, result is NaN";
        self.inform(for_metric(text, metric), position);
    }

    pub(crate) fn quantile_is_skewed(&mut self, metric: &str, position: &Position) {
        let text = "input to histogram_quantile has NaN observations, result is skewed higher";
        self.inform(for_metric(text, metric), position);
    }

    pub(crate) fn fraction_without_nan(&mut self, metric: &str, position: &Position) {
        let text = "input to histogram_fraction has NaN observations, which are excluded from all \
                    fractions";
        self.inform(for_metric(text, metric), position);
    }

    pub(crate) fn mixed_floats_and_histograms(&mut self, metric: &str, position: &Position) {
        let metric = gocompat::strconv::quote(metric);
        let text = "encountered a mix of histograms and floats for metric name";
        self.warn(format!("{text} {metric}"), position);
    }

    pub(crate) fn histogram_ignored_in_aggregation(&mut self, name: &str, position: &Position) {
        self.inform(format!("ignored histogram in {name} aggregation"), position);
    }

    pub(crate) fn histogram_ignored_in_range(&mut self, metric: &str, position: &Position) {
        let metric = gocompat::strconv::quote(metric);
        let text = "ignored histograms in a range containing both floats and histograms for \
                    metric name";
        self.inform(format!("{text} {metric}"), position);
    }

    /// Repairs of one histogram; those of the same text are merged.
    pub(crate) fn forced_monotonicity(
        &mut self,
        metric: &str,
        position: &Position,
        new: Monotonicity,
    ) {
        let text = "PromQL info: input to histogram_quantile needed to be fixed for monotonicity \
                    (see https://prometheus.io/docs/prometheus/latest/querying/functions/\
                    #histogram_quantile)";
        let entry = self
            .by_text
            .entry(for_metric(text, metric))
            .or_insert_with(|| Annotation {
                level: Level::Info,
                position: Some(position.clone()),
                monotonicity: None,
                count: 1,
            });
        match &mut entry.monotonicity {
            Some(old) => {
                old.time_ms.0 = old.time_ms.0.min(new.time_ms.0);
                old.time_ms.1 = old.time_ms.1.max(new.time_ms.1);
                old.bucket.0 = old.bucket.0.min(new.bucket.0);
                old.bucket.1 = old.bucket.1.max(new.bucket.1);
                old.difference_max = old.difference_max.max(new.difference_max);
                old.count += new.count;
            }
            none => *none = Some(new),
        }
    }

    /// Warnings and infos as text, sorted; places are `(line:column)` of `query`.
    pub(crate) fn into_texts(self, query: &str) -> (Vec<String>, Vec<String>) {
        let (mut warnings, mut infos) = (Vec::new(), Vec::new());
        for (mut text, annotation) in self.by_text {
            if let Some(repair) = &annotation.monotonicity {
                let _ = write!(
                    text,
                    ", from buckets {} to {}, with a max diff of {}, over {} samples from {} to {}",
                    format_float_g(repair.bucket.0),
                    format_float_g(repair.bucket.1),
                    two_digits(repair.difference_max),
                    repair.count,
                    crate::dates::rfc3339(repair.time_ms.0),
                    crate::dates::rfc3339(repair.time_ms.1),
                );
            }
            if annotation.count > 1 {
                let _ = write!(text, " ({} occurrences)", annotation.count);
            }
            if let Some(position) = &annotation.position {
                let (line, column) = line_and_column(query, position.start);
                let _ = write!(text, " ({line}:{column})");
            }
            match annotation.level {
                Level::Warning => warnings.push(text),
                Level::Info => infos.push(text),
            }
        }
        (warnings, infos)
    }
}

/// Line and column of a byte of the query, both from 1; columns count bytes.
fn line_and_column(query: &str, at: usize) -> (usize, usize) {
    let before = &query.as_bytes()[..at.min(query.len())];
    let line = before.iter().filter(|&&b| b == b'\n').count() + 1;
    let line_start = before
        .iter()
        .rposition(|&b| b == b'\n')
        .map_or(0, |p| p + 1);
    (line, before.len() - line_start + 1)
}

/// `%.2g`: two significant digits.
fn two_digits(value: f64) -> String {
    let rounded: f64 = format!("{value:.1e}").parse().unwrap_or(value);
    let text = format!("{rounded:e}");
    let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if rounded != 0.0 && rounded.is_finite() && !(-4..2).contains(&exponent) {
        let sign = if exponent < 0 { '-' } else { '+' };
        return format!("{digits}e{sign}{:02}", exponent.abs());
    }
    format_float_g(rounded)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_merged_sorted_and_placed() {
        let mut annotations = Annotations::default();
        annotations.possible_non_counter("b", &(7..9));
        annotations.possible_non_counter("a", &(7..9));
        annotations.possible_non_counter("a", &(7..9));
        annotations.invalid_quantile(f64::NAN, &(0..1));
        annotations.storage_warning("remote failed".to_owned());
        let (warnings, infos) = annotations.into_texts("sum(\n  rate(a))");
        assert_eq!(
            warnings,
            [
                "PromQL warning: quantile value should be between 0 and 1, got NaN (1:1)",
                "remote failed",
            ]
        );
        let text = "PromQL info: metric might not be a counter, name does not end in \
                    _total/_sum/_count/_bucket:";
        assert_eq!(
            infos,
            [format!("{text} \"a\" (2:3)"), format!("{text} \"b\" (2:3)")]
        );
    }

    #[test]
    fn repairs_merge() {
        let mut annotations = Annotations::default();
        for (time, bucket) in [(60_000, 2.0), (0, 0.5)] {
            let repair = Monotonicity {
                time_ms: (time, time),
                bucket: (bucket, bucket),
                difference_max: 12.345,
                count: 1,
            };
            annotations.forced_monotonicity("", &(3..4), repair);
        }
        let (_, infos) = annotations.into_texts("abcdef");
        assert!(
            infos[0].ends_with(
                "from buckets 0.5 to 2, with a max diff of 12, over 2 samples from \
                 1970-01-01T00:00:00Z to 1970-01-01T00:01:00Z (1:4)"
            ),
            "{}",
            infos[0]
        );
    }
}
