//! The messages of a page: families, metrics and what a metric can be.
//!
//! Field numbers and names are those of `io/prometheus/client/metrics.proto`. Messages that stand
//! twice are merged, as protobuf has it. Lists are decoded into buffers that the next metric reuses;
//! everything else stays a slice of the page.

use model::MetricType;
use model::histogram::Span;

use crate::ParseError;
use crate::protobuf::key::{Key, label_pair};
use crate::protobuf::wire::{Fields, zigzag, zigzag32};

/// Buckets or quantiles of one metric. An empty bucket is two bytes of the page and 48 bytes here;
/// no program has nearly as many.
const PARTS_MAX: usize = 100_000;

/// What kind of metrics a family has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Kind {
    #[default]
    Counter,
    Gauge,
    Summary,
    Untyped,
    Histogram,
    GaugeHistogram,
}

impl Kind {
    pub(super) fn of(number: i32) -> Option<Kind> {
        Some(match number {
            0 => Kind::Counter,
            1 => Kind::Gauge,
            2 => Kind::Summary,
            3 => Kind::Untyped,
            4 => Kind::Histogram,
            5 => Kind::GaugeHistogram,
            _ => return None,
        })
    }

    pub(super) fn metric_type(self) -> MetricType {
        match self {
            Kind::Counter => MetricType::Counter,
            Kind::Gauge => MetricType::Gauge,
            Kind::Summary => MetricType::Summary,
            Kind::Untyped => MetricType::Unknown,
            Kind::Histogram => MetricType::Histogram,
            Kind::GaugeHistogram => MetricType::GaugeHistogram,
        }
    }

    pub(super) fn is_histogram(self) -> bool {
        matches!(self, Kind::Histogram | Kind::GaugeHistogram)
    }
}

/// `MetricFamily`, its metrics left undecoded: unit and type may stand behind them.
#[derive(Debug, Clone, Copy)]
pub(super) struct Family<'a> {
    pub(super) name: &'a [u8],
    pub(super) help: &'a [u8],
    pub(super) unit: &'a [u8],
    pub(super) kind: i32,
    pub(super) has_metrics: bool,
    metrics: Fields<'a>,
}

impl<'a> Family<'a> {
    pub(super) fn read(bytes: &'a [u8]) -> Result<Family<'a>, ParseError> {
        let mut fields = Fields::new(bytes, "MetricFamily");
        let mut family = Family {
            metrics: fields,
            name: b"",
            help: b"",
            unit: b"",
            kind: 0,
            has_metrics: false,
        };
        while let Some(number) = fields.next()? {
            match number {
                1 => family.name = fields.bytes("Name")?,
                2 => family.help = fields.bytes("Help")?,
                3 => family.kind = fields.varint("Type")? as i32,
                4 => {
                    fields.bytes("Metric")?;
                    family.has_metrics = true;
                }
                5 => family.unit = fields.bytes("Unit")?,
                _ => fields.skip()?,
            }
        }
        Ok(family)
    }

    /// The bytes of the next metric.
    pub(super) fn next_metric(&mut self) -> Result<Option<&'a [u8]>, ParseError> {
        while let Some(number) = self.metrics.next()? {
            if number == 4 {
                return self.metrics.bytes("Metric").map(Some);
            }
            self.metrics.skip()?;
        }
        Ok(None)
    }
}

/// `Metric`, with what its family's kind says that it has. Parts of other kinds are passed over.
#[derive(Debug, Default)]
pub(super) struct Metric<'a> {
    /// Of counters, gauges and untyped metrics.
    pub(super) value: f64,
    pub(super) exemplar: Option<Exemplar<'a>>,
    /// 0 is none.
    pub(super) timestamp_ms: i64,
    /// 0 is none.
    pub(super) start_ms: i64,
    pub(super) summary: Summary,
    pub(super) histogram: Histogram<'a>,
}

impl<'a> Metric<'a> {
    /// Reads another metric; its labels go to `key`.
    pub(super) fn read(
        &mut self,
        bytes: &'a [u8],
        kind: Kind,
        key: &mut Key,
    ) -> Result<(), ParseError> {
        self.clear(kind);
        key.clear_labels();
        let mut fields = Fields::new(bytes, "Metric");
        while let Some(number) = fields.next()? {
            match number {
                1 => key.push_label(fields.bytes("Label")?),
                2 if kind == Kind::Gauge => self.read_value(fields.bytes("Gauge")?, "Gauge")?,
                3 if kind == Kind::Counter => self.read_counter(fields.bytes("Counter")?)?,
                4 if kind == Kind::Summary => {
                    let message = fields.bytes("Summary")?;
                    self.summary.read(message, &mut self.start_ms)?;
                }
                5 if kind == Kind::Untyped => {
                    self.read_value(fields.bytes("Untyped")?, "Untyped")?;
                }
                6 => self.timestamp_ms = fields.varint("TimestampMs")?.cast_signed(),
                7 if kind.is_histogram() => {
                    let message = fields.bytes("Histogram")?;
                    self.histogram.read(message, &mut self.start_ms)?;
                }
                _ => fields.skip()?,
            }
        }
        Ok(())
    }

    fn clear(&mut self, kind: Kind) {
        self.value = 0.0;
        self.exemplar = None;
        self.timestamp_ms = 0;
        self.start_ms = 0;
        match kind {
            Kind::Summary => self.summary.clear(),
            Kind::Histogram | Kind::GaugeHistogram => self.histogram.clear(),
            Kind::Counter | Kind::Gauge | Kind::Untyped => {}
        }
    }

    fn read_value(&mut self, bytes: &[u8], message: &'static str) -> Result<(), ParseError> {
        let mut fields = Fields::new(bytes, message);
        while let Some(number) = fields.next()? {
            match number {
                1 => self.value = fields.double("Value")?,
                _ => fields.skip()?,
            }
        }
        Ok(())
    }

    fn read_counter(&mut self, bytes: &'a [u8]) -> Result<(), ParseError> {
        let mut fields = Fields::new(bytes, "Counter");
        while let Some(number) = fields.next()? {
            match number {
                1 => self.value = fields.double("Value")?,
                2 => self.exemplar = Some(Exemplar::read(fields.bytes("Exemplar")?)?),
                3 => self.start_ms = timestamp_ms(fields.bytes("StartTimestamp")?)?,
                _ => fields.skip()?,
            }
        }
        Ok(())
    }
}

/// `Summary`
#[derive(Debug, Default)]
pub(super) struct Summary {
    pub(super) count: u64,
    pub(super) sum: f64,
    /// Quantiles with their values.
    pub(super) quantiles: Vec<(f64, f64)>,
}

impl Summary {
    fn clear(&mut self) {
        self.count = 0;
        self.sum = 0.0;
        self.quantiles.clear();
    }

    fn read(&mut self, bytes: &[u8], start_ms: &mut i64) -> Result<(), ParseError> {
        let mut fields = Fields::new(bytes, "Summary");
        while let Some(number) = fields.next()? {
            match number {
                1 => self.count = fields.varint("SampleCount")?,
                2 => self.sum = fields.double("SampleSum")?,
                3 => {
                    check_room(self.quantiles.len())?;
                    let quantile = quantile(fields.bytes("Quantile")?)?;
                    self.quantiles.push(quantile);
                }
                4 => *start_ms = timestamp_ms(fields.bytes("StartTimestamp")?)?,
                _ => fields.skip()?,
            }
        }
        Ok(())
    }
}

fn quantile(bytes: &[u8]) -> Result<(f64, f64), ParseError> {
    let (mut quantile, mut value) = (0.0, 0.0);
    let mut fields = Fields::new(bytes, "Quantile");
    while let Some(number) = fields.next()? {
        match number {
            1 => quantile = fields.double("Quantile")?,
            2 => value = fields.double("Value")?,
            _ => fields.skip()?,
        }
    }
    Ok((quantile, value))
}

/// `Histogram`: classic buckets, a native histogram, or both.
#[derive(Debug, Default)]
pub(super) struct Histogram<'a> {
    pub(super) count: u64,
    /// Stands for `count` if it is not 0.
    pub(super) count_float: f64,
    pub(super) sum: f64,
    pub(super) buckets: Vec<Bucket<'a>>,
    pub(super) schema: i32,
    pub(super) zero_threshold: f64,
    pub(super) zero_count: u64,
    pub(super) zero_count_float: f64,
    pub(super) positive: Side,
    pub(super) negative: Side,
    pub(super) exemplars: Vec<Exemplar<'a>>,
}

/// The buckets above or below zero. Histograms of whole numbers have deltas, those of floats counts.
#[derive(Debug, Default)]
pub(super) struct Side {
    pub(super) spans: Vec<Span>,
    pub(super) deltas: Vec<i64>,
    pub(super) counts: Vec<f64>,
}

impl<'a> Histogram<'a> {
    fn clear(&mut self) {
        let cleared = |side: &mut Side| {
            side.spans.clear();
            side.deltas.clear();
            side.counts.clear();
            std::mem::take(side)
        };
        self.buckets.clear();
        self.exemplars.clear();
        *self = Histogram {
            positive: cleared(&mut self.positive),
            negative: cleared(&mut self.negative),
            buckets: std::mem::take(&mut self.buckets),
            exemplars: std::mem::take(&mut self.exemplars),
            ..Histogram::default()
        };
    }

    fn read(&mut self, bytes: &'a [u8], start_ms: &mut i64) -> Result<(), ParseError> {
        let mut fields = Fields::new(bytes, "Histogram");
        while let Some(number) = fields.next()? {
            match number {
                1 => self.count = fields.varint("SampleCount")?,
                2 => self.sum = fields.double("SampleSum")?,
                3 => {
                    check_room(self.buckets.len())?;
                    let bucket = Bucket::read(fields.bytes("Bucket")?)?;
                    self.buckets.push(bucket);
                }
                4 => self.count_float = fields.double("SampleCountFloat")?,
                5 => self.schema = zigzag32(fields.varint("Schema")?),
                6 => self.zero_threshold = fields.double("ZeroThreshold")?,
                7 => self.zero_count = fields.varint("ZeroCount")?,
                8 => self.zero_count_float = fields.double("ZeroCountFloat")?,
                9 => self
                    .negative
                    .spans
                    .push(span(fields.bytes("NegativeSpan")?)?),
                10 => self.negative.read_deltas(&mut fields, "NegativeDelta")?,
                11 => self.negative.read_counts(&mut fields, "NegativeCount")?,
                12 => self
                    .positive
                    .spans
                    .push(span(fields.bytes("PositiveSpan")?)?),
                13 => self.positive.read_deltas(&mut fields, "PositiveDelta")?,
                14 => self.positive.read_counts(&mut fields, "PositiveCount")?,
                15 => *start_ms = timestamp_ms(fields.bytes("StartTimestamp")?)?,
                16 => {
                    let exemplar = Exemplar::read(fields.bytes("Exemplars")?)?;
                    self.exemplars.push(exemplar);
                }
                _ => fields.skip()?,
            }
        }
        Ok(())
    }

    /// Whether there is a native histogram in it. One that has observed nothing says so by a span
    /// of no buckets or by its zero threshold.
    pub(super) fn is_native(&self) -> bool {
        !self.positive.spans.is_empty()
            || !self.negative.spans.is_empty()
            || self.zero_threshold > 0.0
            || self.zero_count > 0
    }

    /// Whether the native histogram counts in floats.
    pub(super) fn is_float(&self) -> bool {
        self.count_float > 0.0 || self.zero_count_float > 0.0
    }

    /// The count of the classic histogram.
    pub(super) fn classic_count(&self) -> f64 {
        float_or(self.count_float, self.count)
    }
}

impl Side {
    fn read_deltas(&mut self, fields: &mut Fields<'_>, name: &str) -> Result<(), ParseError> {
        fields.varints(name, |value| self.deltas.push(zigzag(value)))
    }

    fn read_counts(&mut self, fields: &mut Fields<'_>, name: &str) -> Result<(), ParseError> {
        fields.doubles(name, |value| self.counts.push(value))
    }
}

fn span(bytes: &[u8]) -> Result<Span, ParseError> {
    let mut span = Span::default();
    let mut fields = Fields::new(bytes, "BucketSpan");
    while let Some(number) = fields.next()? {
        match number {
            1 => span.offset = zigzag32(fields.varint("Offset")?),
            2 => span.length = fields.varint("Length")? as u32,
            _ => fields.skip()?,
        }
    }
    Ok(span)
}

/// `Bucket` of a classic histogram.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bucket<'a> {
    pub(super) upper_bound: f64,
    /// Cumulative.
    pub(super) count: f64,
    pub(super) exemplar: Option<Exemplar<'a>>,
}

impl<'a> Bucket<'a> {
    fn read(bytes: &'a [u8]) -> Result<Bucket<'a>, ParseError> {
        let (mut count, mut count_float, mut upper_bound, mut exemplar) = (0, 0.0, 0.0, None);
        let mut fields = Fields::new(bytes, "Bucket");
        while let Some(number) = fields.next()? {
            match number {
                1 => count = fields.varint("CumulativeCount")?,
                2 => upper_bound = fields.double("UpperBound")?,
                3 => exemplar = Some(Exemplar::read(fields.bytes("Exemplar")?)?),
                4 => count_float = fields.double("CumulativeCountFloat")?,
                _ => fields.skip()?,
            }
        }
        Ok(Bucket {
            upper_bound,
            count: float_or(count_float, count),
            exemplar,
        })
    }
}

/// `Exemplar`
#[derive(Debug, Clone, Copy)]
pub(super) struct Exemplar<'a> {
    pub(super) message: &'a [u8],
    pub(super) value: f64,
    pub(super) timestamp_ms: Option<i64>,
}

impl<'a> Exemplar<'a> {
    fn read(message: &'a [u8]) -> Result<Exemplar<'a>, ParseError> {
        let mut exemplar = Exemplar {
            message,
            value: 0.0,
            timestamp_ms: None,
        };
        let mut fields = Fields::new(message, "Exemplar");
        while let Some(number) = fields.next()? {
            match number {
                1 => {
                    label_pair(fields.bytes("Label")?)?;
                }
                2 => exemplar.value = fields.double("Value")?,
                3 => exemplar.timestamp_ms = Some(timestamp_ms(fields.bytes("Timestamp")?)?),
                _ => fields.skip()?,
            }
        }
        Ok(exemplar)
    }
}

/// `google.protobuf.Timestamp`
fn timestamp_ms(bytes: &[u8]) -> Result<i64, ParseError> {
    let (mut seconds, mut nanos) = (0_i64, 0_i32);
    let mut fields = Fields::new(bytes, "Timestamp");
    while let Some(number) = fields.next()? {
        match number {
            1 => seconds = fields.varint("Seconds")?.cast_signed(),
            2 => nanos = fields.varint("Nanos")? as i32,
            _ => fields.skip()?,
        }
    }
    let millis = i64::from(nanos / 1_000_000);
    Ok(seconds.wrapping_mul(1_000).wrapping_add(millis))
}

/// The float if it is there: 0 is not told from none.
fn float_or(float: f64, whole: u64) -> f64 {
    if float == 0.0 { whole as f64 } else { float }
}

fn check_room(parts: usize) -> Result<(), ParseError> {
    if parts < PARTS_MAX {
        return Ok(());
    }
    Err(ParseError(format!(
        "more than {PARTS_MAX} buckets or quantiles in one metric"
    )))
}
