//! Pages and what is read out of them. The expected errors are Prometheus's.

use std::fmt::Write;

use expect_test::{Expect, expect};
use proptest::prelude::*;

use super::*;
use crate::SeriesLabels;

/// Writes a message field by field.
#[derive(Default)]
struct Message(Vec<u8>);

impl Message {
    fn varint(mut self, number: u64, value: u64) -> Message {
        self.tag(number, 0);
        self.push(value);
        self
    }

    fn double(mut self, number: u64, value: f64) -> Message {
        self.tag(number, 1);
        self.0.extend(value.to_le_bytes());
        self
    }

    fn bytes(mut self, number: u64, value: impl AsRef<[u8]>) -> Message {
        self.tag(number, 2);
        self.push(value.as_ref().len() as u64);
        self.0.extend(value.as_ref());
        self
    }

    fn message(self, number: u64, message: Message) -> Message {
        self.bytes(number, message.0)
    }

    /// A packed list of signed numbers.
    fn deltas(self, number: u64, deltas: &[i64]) -> Message {
        let mut packed = Message::default();
        for &delta in deltas {
            packed.push(((delta << 1) ^ (delta >> 63)).cast_unsigned());
        }
        self.message(number, packed)
    }

    fn doubles(self, number: u64, values: &[f64]) -> Message {
        let bytes: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        self.bytes(number, bytes)
    }

    fn tag(&mut self, number: u64, wire_type: u64) {
        self.push(number << 3 | wire_type);
    }

    fn push(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }
}

fn label(name: &str, value: &str) -> Message {
    Message::default().bytes(1, name).bytes(2, value)
}

fn span(offset: i64, length: u64) -> Message {
    let zigzag = ((offset << 1) ^ (offset >> 63)).cast_unsigned();
    Message::default().varint(1, zigzag).varint(2, length)
}

fn time(seconds: u64, nanos: u64) -> Message {
    Message::default().varint(1, seconds).varint(2, nanos)
}

fn exemplar(trace: &str, value: f64, seconds: Option<u64>) -> Message {
    let exemplar = Message::default()
        .message(1, label("trace_id", trace))
        .double(2, value);
    match seconds {
        Some(seconds) => exemplar.message(3, time(seconds, 5_000_000)),
        None => exemplar,
    }
}

fn family(name: &str, kind: u64, metrics: Vec<Message>) -> Message {
    let family = Message::default()
        .bytes(1, name)
        .bytes(2, format!("Help of {name}."))
        .varint(3, kind);
    metrics
        .into_iter()
        .fold(family, |family, metric| family.message(4, metric))
}

fn page(families: Vec<Message>) -> Vec<u8> {
    let mut page = Message::default();
    for family in families {
        page.push(family.0.len() as u64);
        page.0.extend(family.0);
    }
    page.0
}

const COUNTER: u64 = 0;
const GAUGE: u64 = 1;
const SUMMARY: u64 = 2;
const UNTYPED: u64 = 3;
const HISTOGRAM: u64 = 4;
const GAUGE_HISTOGRAM: u64 = 5;

/// The classic buckets of a histogram, the last one with an exemplar without a timestamp.
fn classic(histogram: Message) -> Message {
    let bucket = |bound: f64, count: u64| Message::default().varint(1, count).double(2, bound);
    histogram
        .message(3, bucket(0.5, 1).message(3, exemplar("b", 0.25, Some(7))))
        .message(3, bucket(1.0, 3).message(3, exemplar("c", 0.75, None)))
}

fn native(histogram: Message) -> Message {
    histogram
        .varint(5, 2 * 3)
        .double(6, 0.125)
        .varint(7, 1)
        .message(9, span(-1, 1))
        .deltas(10, &[1])
        .message(12, span(0, 2))
        .message(12, span(3, 2))
        .deltas(13, &[1, 1, -2, 1])
}

fn totals(count: u64, sum: f64) -> Message {
    Message::default().varint(1, count).double(2, sum)
}

fn metric(number: u64, message: Message) -> Message {
    Message::default().message(number, message)
}

fn all_kinds() -> Vec<u8> {
    let counter = Message::default()
        .double(1, 3.0)
        .message(2, exemplar("a", 1.0, None))
        .message(3, time(12, 345_000_000));
    let quantile = |q: f64, value: f64| Message::default().double(1, q).double(2, value);
    let summary = totals(7, 2.5)
        .message(3, quantile(0.5, 0.1))
        .message(3, quantile(1.0, f64::NAN))
        .message(4, time(3, 0));
    page(vec![
        family(
            "c_total",
            COUNTER,
            vec![
                metric(1, label("b", "1"))
                    .message(1, label("a", "x\n"))
                    .message(3, counter),
                metric(1, label("a", "")).varint(6, 4_000),
            ],
        )
        .bytes(5, "seconds"),
        family("empty", GAUGE, vec![]),
        family(
            "g",
            GAUGE,
            vec![metric(2, Message::default().double(1, -0.5))],
        ),
        family(
            "s",
            SUMMARY,
            vec![metric(4, summary), metric(4, totals(0, 0.0))],
        ),
        family(
            "u",
            UNTYPED,
            vec![
                metric(1, label("é", "1")).message(5, Message::default().double(1, 1.0)),
                metric(5, Message::default()),
            ],
        ),
        family(
            "h",
            HISTOGRAM,
            vec![metric(
                7,
                native(classic(totals(6, 4.5))).message(15, time(1, 0)),
            )],
        ),
        family(
            "floats",
            GAUGE_HISTOGRAM,
            vec![metric(
                7,
                Message::default()
                    .double(4, 1.75)
                    .double(2, 1.0)
                    .message(12, span(2, 3))
                    .doubles(14, &[0.5, 0.0, 1.25])
                    .message(16, exemplar("d", 1.0, None))
                    .message(16, exemplar("e", 1.5, Some(9))),
            )],
        ),
        // Nothing was observed, which a span without buckets says.
        family(
            "none",
            HISTOGRAM,
            vec![metric(7, totals(0, 0.0).message(12, span(0, 0)))],
        ),
        family(
            "classic",
            HISTOGRAM,
            vec![metric(7, classic(totals(4, 1.5)))],
        ),
    ])
}

fn dump(page: &[u8], options: HistogramOptions) -> String {
    let mut parser = ProtobufParser::new(page, options);
    let mut out = String::new();
    loop {
        let done = match parser.next() {
            Ok(Some(entry)) => dump_entry(&mut out, &entry),
            Ok(None) => return out + "end\n",
            Err(error) => {
                let _ = writeln!(out, "error: {error}");
                return out;
            }
        };
        done.unwrap();
    }
}

fn dump_entry(out: &mut String, entry: &Entry<'_>) -> std::fmt::Result {
    let name = |family: &[u8]| String::from_utf8_lossy(family).into_owned();
    match entry {
        Entry::Help { family, text } => writeln!(out, "help {} {text:?}", name(family)),
        Entry::Unit { family, unit } => writeln!(out, "unit {} {}", name(family), name(unit)),
        Entry::Type { family, kind } => writeln!(out, "type {} {kind}", name(family)),
        Entry::Comment(_) => writeln!(out, "comment"),
        Entry::Sample(sample) => {
            write_series(out, sample.series)?;
            write!(out, " = {:?}", sample.value)?;
            write_times(out, sample.timestamp_ms, sample.start_ms)?;
            write_exemplars(out, sample.exemplar.as_slice())?;
            writeln!(out)
        }
        Entry::Histogram(sample) => {
            write_series(out, sample.series)?;
            match sample.value {
                HistogramValue::Integer(histogram) => {
                    write!(
                        out,
                        " = {:?} {}",
                        histogram.counter_reset_hint,
                        histogram.to_float()
                    )?;
                }
                HistogramValue::Float(histogram) => {
                    write!(
                        out,
                        " = float {:?} {histogram}",
                        histogram.counter_reset_hint
                    )?;
                }
            }
            write_times(out, sample.timestamp_ms, sample.start_ms)?;
            write_exemplars(out, sample.exemplars)?;
            writeln!(out)
        }
    }
}

fn write_series(out: &mut String, series: &[u8]) -> std::fmt::Result {
    let mut labels = SeriesLabels::new();
    match labels.read(series, MetricType::Unknown) {
        Ok(()) => {
            let pairs: Vec<_> = labels.iter().collect();
            write!(out, "{pairs:?}")
        }
        Err(error) => write!(out, "{error}"),
    }
}

fn write_times(out: &mut String, timestamp_ms: Option<i64>, start_ms: i64) -> std::fmt::Result {
    if let Some(timestamp_ms) = timestamp_ms {
        write!(out, " at {timestamp_ms}")?;
    }
    if start_ms != 0 {
        write!(out, " since {start_ms}")?;
    }
    Ok(())
}

fn write_exemplars(out: &mut String, exemplars: &[Exemplar<'_>]) -> std::fmt::Result {
    for exemplar in exemplars {
        let mut labels = SeriesLabels::new();
        labels.read_exemplar(exemplar.labels).unwrap();
        let pairs: Vec<_> = labels.iter().collect();
        write!(
            out,
            " # {pairs:?} {:?} {:?}",
            exemplar.value, exemplar.timestamp_ms
        )?;
    }
    Ok(())
}

#[track_caller]
fn check(page: &[u8], options: HistogramOptions, want: &Expect) {
    want.assert_eq(&dump(page, options));
}

const NATIVE: HistogramOptions = HistogramOptions {
    native: true,
    keep_classic: false,
    convert_classic: false,
};

#[test]
fn every_kind_of_metric() {
    check(
        &all_kinds(),
        NATIVE,
        &expect![[r#"
        help c_total "Help of c_total."
        unit c_total seconds
        type c_total counter
        [("__name__", "c_total"), ("a", "x\n"), ("b", "1")] = 3.0 since 12345 # [("trace_id", "a")] 1.0 None
        [("__name__", "c_total"), ("a", "")] = 0.0 at 4000
        help g "Help of g."
        type g gauge
        [("__name__", "g")] = -0.5
        help s "Help of s."
        type s summary
        [("__name__", "s_count")] = 7.0 since 3000
        [("__name__", "s_sum")] = 2.5 since 3000
        [("__name__", "s"), ("quantile", "0.5")] = 0.1 since 3000
        [("__name__", "s"), ("quantile", "1.0")] = NaN since 3000
        [("__name__", "s_count")] = 0.0
        [("__name__", "s_sum")] = 0.0
        help u "Help of u."
        type u unknown
        [("__name__", "u"), ("é", "1")] = 1.0
        [("__name__", "u")] = 0.0
        help h "Help of h."
        type h histogram
        [("__name__", "h")] = Unknown {count:6, sum:4.5, [-0.9170040432046711,-0.8408964152537144):1, [-0.125,0.125]:1, (0.9170040432046711,1]:1, (1,1.0905077326652577]:2, (1.5422108254079407,1.6817928305074288]:1} since 1000 # [("trace_id", "b")] 0.25 Some(7005)
        help floats "Help of floats."
        type floats gaugehistogram
        [("__name__", "floats")] = float Gauge {count:1.75, sum:1, (2,4]:0.5, (8,16]:1.25} # [("trace_id", "e")] 1.5 Some(9005)
        help none "Help of none."
        type none histogram
        [("__name__", "none")] = Unknown {count:0, sum:0}
        help classic "Help of classic."
        type classic histogram
        [("__name__", "classic_count")] = 4.0
        [("__name__", "classic_sum")] = 1.5
        [("__name__", "classic_bucket"), ("le", "0.5")] = 1.0 # [("trace_id", "b")] 0.25 Some(7005)
        [("__name__", "classic_bucket"), ("le", "1.0")] = 3.0 # [("trace_id", "c")] 0.75 None
        [("__name__", "classic_bucket"), ("le", "+Inf")] = 4.0
        end
    "#]],
    );
}

/// The entries of one family, without its metadata.
fn entries_of(name: &str, options: HistogramOptions) -> String {
    let all = dump(&all_kinds(), options);
    let lines = all.lines().filter(|line| {
        let is_of = |suffix: &str| line.contains(&format!("(\"__name__\", \"{name}{suffix}\")"));
        is_of("") || is_of("_count") || is_of("_sum") || is_of("_bucket")
    });
    lines.map(|line| format!("{line}\n")).collect()
}

#[test]
fn classic_histograms_as_the_options_want() {
    let none = HistogramOptions::default();
    let keep = HistogramOptions {
        keep_classic: true,
        ..NATIVE
    };
    let convert = HistogramOptions {
        convert_classic: true,
        ..none
    };
    let all = HistogramOptions {
        convert_classic: true,
        ..keep
    };
    let mut out = String::new();
    for (what, options) in [
        ("none", none),
        ("keep", keep),
        ("convert", convert),
        ("all", all),
    ] {
        for name in ["h", "classic"] {
            let _ = write!(out, "{what} {name}\n{}", entries_of(name, options));
        }
    }
    expect![[r#"
        none h
        [("__name__", "h_count")] = 6.0 since 1000
        [("__name__", "h_sum")] = 4.5 since 1000
        [("__name__", "h_bucket"), ("le", "0.5")] = 1.0 since 1000 # [("trace_id", "b")] 0.25 Some(7005)
        [("__name__", "h_bucket"), ("le", "1.0")] = 3.0 since 1000 # [("trace_id", "c")] 0.75 None
        [("__name__", "h_bucket"), ("le", "+Inf")] = 6.0 since 1000
        none classic
        [("__name__", "classic_count")] = 4.0
        [("__name__", "classic_sum")] = 1.5
        [("__name__", "classic_bucket"), ("le", "0.5")] = 1.0 # [("trace_id", "b")] 0.25 Some(7005)
        [("__name__", "classic_bucket"), ("le", "1.0")] = 3.0 # [("trace_id", "c")] 0.75 None
        [("__name__", "classic_bucket"), ("le", "+Inf")] = 4.0
        keep h
        [("__name__", "h")] = Unknown {count:6, sum:4.5, [-0.9170040432046711,-0.8408964152537144):1, [-0.125,0.125]:1, (0.9170040432046711,1]:1, (1,1.0905077326652577]:2, (1.5422108254079407,1.6817928305074288]:1} since 1000 # [("trace_id", "b")] 0.25 Some(7005)
        [("__name__", "h_count")] = 6.0 since 1000
        [("__name__", "h_sum")] = 4.5 since 1000
        [("__name__", "h_bucket"), ("le", "0.5")] = 1.0 since 1000 # [("trace_id", "b")] 0.25 Some(7005)
        [("__name__", "h_bucket"), ("le", "1.0")] = 3.0 since 1000 # [("trace_id", "c")] 0.75 None
        [("__name__", "h_bucket"), ("le", "+Inf")] = 6.0 since 1000
        keep classic
        [("__name__", "classic_count")] = 4.0
        [("__name__", "classic_sum")] = 1.5
        [("__name__", "classic_bucket"), ("le", "0.5")] = 1.0 # [("trace_id", "b")] 0.25 Some(7005)
        [("__name__", "classic_bucket"), ("le", "1.0")] = 3.0 # [("trace_id", "c")] 0.75 None
        [("__name__", "classic_bucket"), ("le", "+Inf")] = 4.0
        convert h
        [("__name__", "h")] = Unknown {count:6, sum:4.5, [-Inf,0.5]:1, (0.5,1]:2, (1,+Inf]:3} since 1000 # [("trace_id", "b")] 0.25 Some(7005)
        convert classic
        [("__name__", "classic")] = Unknown {count:4, sum:1.5, [-Inf,0.5]:1, (0.5,1]:2, (1,+Inf]:1} # [("trace_id", "b")] 0.25 Some(7005)
        all h
        [("__name__", "h")] = Unknown {count:6, sum:4.5, [-0.9170040432046711,-0.8408964152537144):1, [-0.125,0.125]:1, (0.9170040432046711,1]:1, (1,1.0905077326652577]:2, (1.5422108254079407,1.6817928305074288]:1} since 1000 # [("trace_id", "b")] 0.25 Some(7005)
        [("__name__", "h_count")] = 6.0 since 1000
        [("__name__", "h_sum")] = 4.5 since 1000
        [("__name__", "h_bucket"), ("le", "0.5")] = 1.0 since 1000 # [("trace_id", "b")] 0.25 Some(7005)
        [("__name__", "h_bucket"), ("le", "1.0")] = 3.0 since 1000 # [("trace_id", "c")] 0.75 None
        [("__name__", "h_bucket"), ("le", "+Inf")] = 6.0 since 1000
        all classic
        [("__name__", "classic_count")] = 4.0
        [("__name__", "classic_sum")] = 1.5
        [("__name__", "classic_bucket"), ("le", "0.5")] = 1.0 # [("trace_id", "b")] 0.25 Some(7005)
        [("__name__", "classic_bucket"), ("le", "1.0")] = 3.0 # [("trace_id", "c")] 0.75 None
        [("__name__", "classic_bucket"), ("le", "+Inf")] = 4.0
        [("__name__", "classic")] = Unknown {count:4, sum:1.5, [-Inf,0.5]:1, (0.5,1]:2, (1,+Inf]:1} # [("trace_id", "b")] 0.25 Some(7005)
    "#]].assert_eq(&out);
}

/// A family that mixes native and classic histograms loses none.
#[test]
fn every_metric_stands_for_itself() {
    let mixed = page(vec![family(
        "m",
        HISTOGRAM,
        vec![
            metric(7, classic(totals(4, 1.5))),
            metric(7, native(totals(6, 4.5))),
            metric(7, totals(1, 1.0)),
        ],
    )]);
    let lines = dump(&mixed, NATIVE);
    assert_eq!(lines.matches("\"m_bucket\"").count(), 3 + 1);
    assert_eq!(lines.matches("\"m\")] = Unknown").count(), 1);
}

#[test]
fn refused_pages() {
    #[track_caller]
    fn refused(page: &[u8], text: &str) {
        let lines = dump(page, NATIVE);
        assert_eq!(
            lines.lines().last(),
            Some(&*format!("error: {text}")),
            "{lines}"
        );
    }
    let gauge = || metric(2, Message::default().double(1, 1.0));
    refused(
        &page(vec![family("", GAUGE, vec![gauge()])]),
        "invalid metric name: ",
    );
    refused(
        &page(vec![family("a", 9, vec![gauge()])]),
        "unknown metric type for metric \"a\": 9",
    );
    refused(
        &page(vec![
            Message::default()
                .bytes(1, "a")
                .bytes(2, b"\xff")
                .message(4, gauge()),
        ]),
        "invalid help for metric \"a\": \u{fffd}",
    );
    refused(
        &page(vec![family(
            "a",
            GAUGE,
            vec![metric(2, Message::default().varint(1, 1))],
        )]),
        "proto: wrong wireType = 0 for field Value",
    );
    let spans = totals(1, 1.0).message(12, span(0, 2)).deltas(13, &[1]);
    refused(
        &page(vec![family("a", HISTOGRAM, vec![metric(7, spans)])]),
        "histogram \"a\": positive side: spans require 2 buckets, have 1",
    );
    let spans = native(totals(1, 1.0)).message(9, span(0, u64::from(u32::MAX)));
    refused(
        &page(vec![family("a", HISTOGRAM, vec![metric(7, spans)])]),
        "histogram \"a\": negative side: spans require 4294967296 buckets, have 1",
    );
    let mut cut = page(vec![family("a", GAUGE, vec![gauge()])]);
    cut.pop();
    refused(
        &cut,
        "clientpb: insufficient length of buffer, expected at least 31 bytes, got 30 bytes",
    );
    let many = (0..100_001).fold(totals(1, 1.0), |h, _| h.message(3, Message::default()));
    refused(
        &page(vec![family("a", HISTOGRAM, vec![metric(7, many)])]),
        "more than 100000 buckets or quantiles in one metric",
    );
    let infinite = Message::default().varint(1, 2).double(2, f64::INFINITY);
    let histogram = metric(7, totals(1, 1.0).message(3, infinite));
    let convert = HistogramOptions {
        convert_classic: true,
        ..NATIVE
    };
    let lines = dump(
        &page(vec![family("a", HISTOGRAM, vec![histogram])]),
        convert,
    );
    assert!(lines.ends_with("error: count mismatch: count=1 != le=+Inf count=2\n"));
}

#[test]
fn labels_that_are_none() {
    let lines = |label: Message| {
        let gauge = metric(1, label).message(2, Message::default());
        dump(&page(vec![family("a", GAUGE, vec![gauge])]), NATIVE)
    };
    let name = |bytes: &[u8]| Message::default().bytes(1, bytes);
    assert!(lines(name(b"")).contains("invalid label name: "));
    assert!(lines(name(b"\xff")).contains("invalid label name: \u{fffd}"));
    assert!(lines(name(b"a").bytes(2, b"\xff")).contains("invalid label value: \u{fffd}"));
    assert!(lines(name(b"__name__").bytes(2, "b")).contains("\"__name__\" is not unique"));
    assert!(lines(Message::default().varint(1, 1)).contains("wireType = 0 for field Name"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    /// Nothing that a target sends makes the parser panic, and there is nothing in a page that was
    /// not sent: entries and buckets are bounded by its length.
    #[test]
    fn any_page(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0..4u8), 0..8),
        options in any::<(bool, bool, bool)>(),
    ) {
        let mut page = all_kinds();
        for (at, byte, how) in changes {
            let at = at.index(page.len());
            match how {
                0 => page[at] = byte,
                1 => page[at] ^= 1 << (byte % 8),
                2 => page.insert(at, byte),
                _ => { page.remove(at); }
            }
        }
        let (native, keep_classic, convert_classic) = options;
        let options = HistogramOptions { native, keep_classic, convert_classic };
        let mut parser = ProtobufParser::new(&page, options);
        let mut labels = SeriesLabels::new();
        let mut entries = 0;
        while let Ok(Some(entry)) = parser.next() {
            entries += 1;
            match entry {
                Entry::Sample(sample) => {
                    let _ = labels.read(sample.series, sample.kind);
                    if let Some(exemplar) = sample.exemplar {
                        let _ = labels.read_exemplar(exemplar.labels);
                    }
                }
                Entry::Histogram(sample) => {
                    let _ = labels.read(sample.series, MetricType::Histogram);
                    let buckets = match sample.value {
                        HistogramValue::Integer(h) => {
                            let _ = h.validate();
                            h.positive_buckets.len() + h.negative_buckets.len()
                        }
                        HistogramValue::Float(h) => {
                            let _ = h.validate();
                            h.positive_buckets.len() + h.negative_buckets.len()
                        }
                    };
                    // Up to two empty buckets are filled in between two others.
                    prop_assert!(buckets <= 3 * page.len());
                }
                _ => {}
            }
            prop_assert!(entries <= 3 * page.len());
        }
    }
}
