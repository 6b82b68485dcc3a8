//! The pull parser of the protobuf format: `MetricFamily` messages, each after its length.
//!
//! What it hands out has the shape of the text formats: a family's help, unit and type, then its
//! samples, a summary or classic histogram in its parts (count, sum, quantiles or buckets). A
//! native histogram is one entry; the classic buckets of the same metric follow it only if they
//! are wanted ([`HistogramOptions`]).
//!
//! The page is read in place. A family is walked over once to find what its metrics have in common,
//! then its metrics are decoded one at a time. Allocated are the histograms, and buffers that grow
//! to the largest metric: at most some 16 times the page, reached by lists of one-byte deltas only.
//!
//! Beyond upstream (model/textparse/protobufparse.go), every metric stands for itself: there a
//! family that mixes native and classic histograms loses some of them, and an untyped metric
//! without a value repeats the value before.

mod key;
mod message;
mod wire;

use model::histogram::{CounterResetHint, Span};
use model::{FloatHistogram, Histogram, MetricType};

use crate::custom_buckets::{ClassicHistogram, Converted};
use crate::error::{ParseError, quote};
use crate::{
    Entry, Exemplar, ExemplarLabels, HistogramOptions, HistogramSample, HistogramValue, Sample,
};
use key::Key;
pub(crate) use key::{KeyParts, exemplar_labels, label_pair};
use message::{Family, Kind, Metric, Side};

/// Pulls the entries out of a page.
#[derive(Debug)]
pub struct ProtobufParser<'a> {
    rest: &'a [u8],
    options: HistogramOptions,
    /// The current family, if there is one, and its kind.
    family: Option<Family<'a>>,
    kind: Kind,
    metric: Metric<'a>,
    key: Key,
    /// What was handed out last.
    step: Step,
    native: Option<Converted>,
    exemplars: Vec<Exemplar<'a>>,
    classic: ClassicHistogram,
}

/// The entries of a family in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    /// None yet.
    Begin,
    Help,
    Unit,
    Type,
    /// The sample of a counter, gauge or untyped metric.
    Value,
    /// A native histogram.
    Native,
    /// A part of a summary or classic histogram: count, sum, then quantiles or buckets.
    Part(usize),
    /// A classic histogram as a native one.
    Custom,
}

/// The parts before the quantiles or buckets.
const COUNT: usize = 0;
const SUM: usize = 1;
const FIRST_BOUND: usize = 2;

impl<'a> ProtobufParser<'a> {
    /// A parser at the beginning of `page`.
    #[must_use]
    pub fn new(page: &'a [u8], options: HistogramOptions) -> ProtobufParser<'a> {
        ProtobufParser {
            rest: page,
            options,
            family: None,
            kind: Kind::Counter,
            metric: Metric::default(),
            key: Key::default(),
            step: Step::Begin,
            native: None,
            exemplars: Vec::new(),
            classic: ClassicHistogram::default(),
        }
    }

    /// The next entry; `None` after the last one.
    ///
    /// # Errors
    /// If the page is malformed here. Nothing that came before may be used then, and what further
    /// calls answer means nothing.
    #[allow(
        clippy::should_implement_trait,
        reason = "an iterator would go on after an error"
    )]
    pub fn next(&mut self) -> Result<Option<Entry<'_>>, ParseError> {
        let step = match self.next_in_metric() {
            Some(step) => step,
            None => match self.next_metric()? {
                Some(step) => step,
                None => match self.next_family()? {
                    Some(step) => step,
                    None => return Ok(None),
                },
            },
        };
        self.step = step;
        self.prepare(step)?;
        Ok(self.entry(step))
    }

    /// What follows the last entry within its metric, or within the metadata of its family.
    fn next_in_metric(&self) -> Option<Step> {
        match self.step {
            Step::Help => {
                let has_unit = self.family.is_some_and(|family| !family.unit.is_empty());
                Some(if has_unit { Step::Unit } else { Step::Type })
            }
            Step::Unit => Some(Step::Type),
            Step::Native if self.options.keep_classic => {
                let has_buckets = !self.metric.histogram.buckets.is_empty();
                has_buckets.then_some(Step::Part(COUNT))
            }
            Step::Part(part) if part + 1 < self.part_count() => Some(Step::Part(part + 1)),
            Step::Part(_) if self.kind.is_histogram() && !self.is_native() => {
                self.options.convert_classic.then_some(Step::Custom)
            }
            Step::Begin
            | Step::Type
            | Step::Value
            | Step::Native
            | Step::Part(_)
            | Step::Custom => None,
        }
    }

    /// Decodes the next metric of the family; its first entry.
    fn next_metric(&mut self) -> Result<Option<Step>, ParseError> {
        let Some(family) = &mut self.family else {
            return Ok(None);
        };
        let Some(bytes) = family.next_metric()? else {
            return Ok(None);
        };
        self.metric.read(bytes, self.kind, &mut self.key)?;
        Ok(Some(match self.kind {
            Kind::Counter | Kind::Gauge | Kind::Untyped => Step::Value,
            Kind::Summary => Step::Part(COUNT),
            Kind::Histogram | Kind::GaugeHistogram if self.is_native() => Step::Native,
            Kind::Histogram | Kind::GaugeHistogram => {
                let only_converted = self.options.convert_classic && !self.options.keep_classic;
                if only_converted {
                    Step::Custom
                } else {
                    Step::Part(COUNT)
                }
            }
        }))
    }

    /// Goes to the next family that has metrics.
    fn next_family(&mut self) -> Result<Option<Step>, ParseError> {
        loop {
            let Some(bytes) = wire::take_delimited(&mut self.rest)? else {
                self.family = None;
                self.step = Step::Begin;
                return Ok(None);
            };
            let family = Family::read(bytes)?;
            if family.has_metrics {
                self.kind = checked_kind(&family)?;
                self.key.set_name(family.name);
                self.family = Some(family);
                return Ok(Some(Step::Help));
            }
        }
    }

    fn is_native(&self) -> bool {
        self.options.native && self.metric.histogram.is_native()
    }

    /// How many parts the metric has. Buckets end with the first one of +Inf, or, if there is none,
    /// with one that is made of the count.
    fn part_count(&self) -> usize {
        if self.kind == Kind::Summary {
            return FIRST_BOUND + self.metric.summary.quantiles.len();
        }
        let buckets = &self.metric.histogram.buckets;
        let is_last = |bucket: &message::Bucket<'_>| bucket.upper_bound == f64::INFINITY;
        // The last one is nearly always it, and an earlier one can only be so by mistake.
        match buckets.iter().position(is_last) {
            Some(last) => FIRST_BOUND + last + 1,
            None => FIRST_BOUND + buckets.len() + 1,
        }
    }

    /// Makes the key and the histogram of an entry.
    fn prepare(&mut self, step: Step) -> Result<(), ParseError> {
        match step {
            Step::Begin | Step::Help | Step::Unit | Step::Type => {}
            Step::Value => self.key.set_role(key::Role::Whole),
            Step::Part(part) => self.key.set_role(self.role(part)),
            Step::Native => {
                self.key.set_role(key::Role::Whole);
                self.native = Some(self.native_histogram()?);
                self.collect_exemplars();
            }
            Step::Custom => {
                self.key.set_role(key::Role::Whole);
                self.native = Some(self.converted().map_err(ParseError)?);
                self.collect_exemplars();
            }
        }
        Ok(())
    }

    fn entry(&self, step: Step) -> Option<Entry<'_>> {
        let family = self.family.as_ref()?;
        Some(match step {
            Step::Begin => return None,
            Step::Help => Entry::Help {
                family: family.name,
                // It was checked when the family began.
                text: std::str::from_utf8(family.help).unwrap_or_default(),
            },
            Step::Unit => Entry::Unit {
                family: family.name,
                unit: family.unit,
            },
            Step::Type => Entry::Type {
                family: family.name,
                kind: self.metric_type(),
            },
            Step::Value => self.sample(self.metric.value, self.metric.exemplar),
            Step::Part(part) => {
                let (value, exemplar) = self.part(part);
                self.sample(value, exemplar)
            }
            Step::Native | Step::Custom => Entry::Histogram(HistogramSample {
                series: self.key.as_bytes(),
                value: match self.native.as_ref()? {
                    Converted::Integer(histogram) => HistogramValue::Integer(histogram),
                    Converted::Float(histogram) => HistogramValue::Float(histogram),
                },
                timestamp_ms: self.timestamp_ms(),
                start_ms: self.metric.start_ms,
                exemplars: &self.exemplars,
            }),
        })
    }

    fn metric_type(&self) -> MetricType {
        self.kind.metric_type()
    }

    fn sample(&self, value: f64, exemplar: Option<message::Exemplar<'a>>) -> Entry<'_> {
        Entry::Sample(Sample {
            series: self.key.as_bytes(),
            value,
            timestamp_ms: self.timestamp_ms(),
            start_ms: self.metric.start_ms,
            kind: self.metric_type(),
            exemplar: exemplar.map(exemplar_of),
        })
    }

    /// A timestamp of 0 cannot be told from none.
    fn timestamp_ms(&self) -> Option<i64> {
        Some(self.metric.timestamp_ms).filter(|&timestamp_ms| timestamp_ms != 0)
    }

    fn role(&self, part: usize) -> key::Role {
        match part {
            COUNT => key::Role::Count,
            SUM => key::Role::Sum,
            _ if self.kind == Kind::Summary => {
                let quantiles = &self.metric.summary.quantiles;
                key::Role::Quantile(quantiles.get(part - FIRST_BOUND).map_or(0.0, |q| q.0))
            }
            _ => {
                let bucket = self.metric.histogram.buckets.get(part - FIRST_BOUND);
                key::Role::Bucket(bucket.map_or(f64::INFINITY, |bucket| bucket.upper_bound))
            }
        }
    }

    fn part(&self, part: usize) -> (f64, Option<message::Exemplar<'a>>) {
        if self.kind == Kind::Summary {
            let summary = &self.metric.summary;
            let value = match part {
                COUNT => summary.count as f64,
                SUM => summary.sum,
                _ => summary
                    .quantiles
                    .get(part - FIRST_BOUND)
                    .map_or(0.0, |q| q.1),
            };
            return (value, None);
        }
        let histogram = &self.metric.histogram;
        match part {
            COUNT => (histogram.classic_count(), None),
            SUM => (histogram.sum, None),
            _ => match histogram.buckets.get(part - FIRST_BOUND) {
                Some(bucket) => (bucket.count, bucket.exemplar),
                None => (histogram.classic_count(), None),
            },
        }
    }

    /// A gauge histogram is no counter; of others it is to be found out whether they were reset.
    fn hint(&self) -> CounterResetHint {
        if self.kind == Kind::GaugeHistogram {
            CounterResetHint::Gauge
        } else {
            CounterResetHint::Unknown
        }
    }

    fn native_histogram(&mut self) -> Result<Converted, ParseError> {
        let hint = self.hint();
        let from = &mut self.metric.histogram;
        let is_float = from.is_float();
        for (name, side) in [("positive", &from.positive), ("negative", &from.negative)] {
            check_side(name, side, is_float).map_err(|error| {
                let name = self.family.map_or(&b""[..], |family| family.name);
                ParseError(format!("histogram {}: {error}", quote(name)))
            })?;
        }
        // Lists are copied: the buffers of the message are used again.
        Ok(if is_float {
            let mut histogram = FloatHistogram {
                counter_reset_hint: hint,
                schema: from.schema,
                zero_threshold: from.zero_threshold,
                zero_count: from.zero_count_float,
                count: from.count_float,
                sum: from.sum,
                positive_spans: from.positive.spans.clone(),
                negative_spans: from.negative.spans.clone(),
                positive_buckets: from.positive.counts.clone(),
                negative_buckets: from.negative.counts.clone(),
                custom_values: Vec::new(),
            };
            histogram.compact(0);
            Converted::Float(histogram)
        } else {
            let mut histogram = Histogram {
                counter_reset_hint: hint,
                schema: from.schema,
                zero_threshold: from.zero_threshold,
                zero_count: from.zero_count,
                count: from.count,
                sum: from.sum,
                positive_spans: from.positive.spans.clone(),
                negative_spans: from.negative.spans.clone(),
                positive_buckets: cumulated(&from.positive.deltas),
                negative_buckets: cumulated(&from.negative.deltas),
                custom_values: Vec::new(),
            };
            histogram.compact(0);
            Converted::Integer(histogram)
        })
    }

    fn converted(&mut self) -> Result<Converted, String> {
        let hint = self.hint();
        let from = &self.metric.histogram;
        self.classic.clear();
        self.classic.set_count(from.classic_count());
        self.classic.set_sum(from.sum);
        for bucket in &from.buckets {
            self.classic.set_bucket(bucket.upper_bound, bucket.count);
        }
        let mut converted = self.classic.convert()?;
        match &mut converted {
            Converted::Integer(histogram) => histogram.counter_reset_hint = hint,
            Converted::Float(histogram) => histogram.counter_reset_hint = hint,
        }
        Ok(converted)
    }

    /// The exemplars of a native histogram: its own, else those of its classic buckets. Those
    /// without a timestamp are left out, since they could not be told from new ones.
    fn collect_exemplars(&mut self) {
        let histogram = &self.metric.histogram;
        self.exemplars.clear();
        let own = histogram.exemplars.iter().copied();
        let of_buckets = histogram
            .buckets
            .iter()
            .filter_map(|bucket| bucket.exemplar);
        let has_time = |exemplar: &message::Exemplar<'_>| exemplar.timestamp_ms.is_some();
        if histogram.exemplars.is_empty() {
            let exemplars = of_buckets.filter(has_time).map(exemplar_of);
            self.exemplars.extend(exemplars);
        } else {
            let exemplars = own.filter(has_time).map(exemplar_of);
            self.exemplars.extend(exemplars);
        }
    }
}

fn exemplar_of(exemplar: message::Exemplar<'_>) -> Exemplar<'_> {
    Exemplar {
        labels: ExemplarLabels::Protobuf(exemplar.message),
        value: exemplar.value,
        timestamp_ms: exemplar.timestamp_ms,
    }
}

/// Checks what a family says of itself.
fn checked_kind(family: &Family<'_>) -> Result<Kind, ParseError> {
    let name = String::from_utf8_lossy(family.name);
    if name.is_empty() || std::str::from_utf8(family.name).is_err() {
        return Err(ParseError(format!("invalid metric name: {name}")));
    }
    if std::str::from_utf8(family.help).is_err() {
        let help = String::from_utf8_lossy(family.help);
        let name = quote(family.name);
        return Err(ParseError(format!(
            "invalid help for metric {name}: {help}"
        )));
    }
    Kind::of(family.kind).ok_or_else(|| {
        let (name, kind) = (quote(family.name), family.kind);
        ParseError(format!("unknown metric type for metric {name}: {kind}"))
    })
}

/// Spans have to describe as many buckets as there are.
fn check_side(name: &str, side: &Side, is_float: bool) -> Result<(), String> {
    let buckets = if is_float {
        side.counts.len()
    } else {
        side.deltas.len()
    };
    let lengths = side.spans.iter().map(|span: &Span| u64::from(span.length));
    let needed: u64 = lengths.sum();
    if needed == buckets as u64 {
        return Ok(());
    }
    Err(format!(
        "{name} side: spans require {needed} buckets, have {buckets}"
    ))
}

/// Absolute counts of differences.
fn cumulated(deltas: &[i64]) -> Vec<i64> {
    let mut count = 0_i64;
    let counts = deltas.iter().map(|&delta| {
        count = count.wrapping_add(delta);
        count
    });
    counts.collect()
}

#[cfg(test)]
mod tests;
