//! What a sample costs: `cargo bench -p exposition`.
//!
//! The page is like Telegraf's of a host with containers: long label sets that repeat, counters and
//! gauges, few metadata lines, and the same as protobuf. Printed is the best of some rounds, since
//! the machine has other work.

#![allow(clippy::print_stdout, missing_docs)]

use std::fmt::Write;
use std::hint::black_box;
use std::time::Instant;

use exposition::{
    CreatedSeries, Entry, Format, HistogramOptions, HistogramValue, Parser, ParserOptions,
    ProtobufParser, SeriesLabels,
};

const FIELDS: usize = 40;
const CONTAINERS: usize = 25;
const ROUNDS: usize = 30;

fn page() -> String {
    let mut out = String::new();
    for field in 0..FIELDS {
        let _ = writeln!(
            out,
            "# HELP docker_container_field_{field} Telegraf collected metric"
        );
        let _ = writeln!(out, "# TYPE docker_container_field_{field} untyped");
        for container in 0..CONTAINERS {
            let value = value(field, container);
            let _ = writeln!(
                out,
                "docker_container_field_{field}{{container_image=\"registry.example.org/app/\
                 service\",container_name=\"service-{container}\",container_status=\"running\",\
                 engine_host=\"node-17.example.org\",host=\"node-17\",server_version=\"24.0.7\"}} \
                 {value}"
            );
        }
    }
    out
}

fn value(field: usize, container: usize) -> f64 {
    let value = (field * 7_919 + container * 104_729) as f64;
    if field.is_multiple_of(4) {
        value / 7.0
    } else {
        value * 1e3
    }
}

/// A field of bytes.
fn put(out: &mut Vec<u8>, number: u8, bytes: &[u8]) {
    out.push(number << 3 | 2);
    put_varint(out, bytes.len());
    out.extend_from_slice(bytes);
}

fn put_varint(out: &mut Vec<u8>, mut value: usize) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn put_labels(metric: &mut Vec<u8>, container: usize) {
    for (name, value) in [
        ("container_image", "registry.example.org/app/service"),
        ("container_name", &format!("service-{container}")),
        ("container_status", "running"),
        ("engine_host", "node-17.example.org"),
        ("host", "node-17"),
        ("server_version", "24.0.7"),
    ] {
        let mut pair = Vec::new();
        put(&mut pair, 1, name.as_bytes());
        put(&mut pair, 2, value.as_bytes());
        put(metric, 1, &pair);
    }
}

/// Families of one kind, each with a metric a container.
fn protobuf_page(kind: u8, message: impl Fn(usize, usize) -> Vec<u8>) -> Vec<u8> {
    let mut out = Vec::new();
    for field in 0..FIELDS {
        let mut family = Vec::new();
        let name = format!("docker_container_field_{field}");
        put(&mut family, 1, name.as_bytes());
        put(&mut family, 2, b"Telegraf collected metric");
        family.extend([3 << 3, kind]);
        for container in 0..CONTAINERS {
            let mut metric = Vec::new();
            put_labels(&mut metric, container);
            let number = if kind == UNTYPED { 5 } else { 7 };
            put(&mut metric, number, &message(field, container));
            put(&mut family, 4, &metric);
        }
        put_varint(&mut out, family.len());
        out.extend_from_slice(&family);
    }
    out
}

const UNTYPED: u8 = 3;
const HISTOGRAM: u8 = 4;
const BUCKETS: u8 = 20;

fn untyped(field: usize, container: usize) -> Vec<u8> {
    let mut message = vec![1 << 3 | 1];
    message.extend(value(field, container).to_le_bytes());
    message
}

/// A native histogram of 20 buckets.
fn histogram(_: usize, container: usize) -> Vec<u8> {
    let mut message = vec![1 << 3, 100, 5 << 3, 6, 2 << 3 | 1];
    message.extend((container as f64).to_le_bytes());
    put(&mut message, 12, &[1 << 3, 3, 2 << 3, BUCKETS]);
    put(&mut message, 13, &[1; BUCKETS as usize]);
    message
}

fn parse_protobuf(page: &[u8], mut each: impl FnMut(&Entry<'_>)) -> usize {
    let options = HistogramOptions {
        native: true,
        ..HistogramOptions::default()
    };
    let mut parser = ProtobufParser::new(page, options);
    let mut samples = 0;
    while let Ok(Some(entry)) = parser.next() {
        if matches!(entry, Entry::Sample(_) | Entry::Histogram(_)) {
            each(&entry);
            samples += 1;
        }
    }
    samples
}

/// Runs `work` over the page and prints the best round; `work` answers the number of samples.
fn measure(name: &str, page: &[u8], mut work: impl FnMut(&[u8]) -> usize) {
    let mut best_ns = f64::INFINITY;
    let mut samples = 0;
    for _ in 0..ROUNDS {
        let start = Instant::now();
        samples = black_box(work(black_box(page)));
        best_ns = best_ns.min(start.elapsed().as_nanos() as f64);
    }
    println!(
        "{name:<20} {:>7.1} ns/sample {:>7.2} GB/s",
        best_ns / samples as f64,
        page.len() as f64 / best_ns
    );
}

fn parser(page: &[u8]) -> Parser<'_> {
    Parser::new(
        page,
        ParserOptions {
            format: Format::PrometheusText,
            created: CreatedSeries::Keep,
        },
    )
}

fn parse(page: &[u8], mut each: impl FnMut(&exposition::Sample<'_>)) -> usize {
    let mut parser = parser(page);
    let mut samples = 0;
    while let Ok(Some(entry)) = parser.next() {
        if let Entry::Sample(sample) = entry {
            each(&sample);
            samples += 1;
        }
    }
    samples
}

fn main() {
    let page = page();
    let mut series: Vec<Vec<u8>> = Vec::new();
    let samples = parse(page.as_bytes(), |sample| {
        series.push(sample.series.to_vec())
    });
    println!(
        "{samples} samples, {:.0} bytes each",
        page.len() as f64 / samples as f64
    );

    let text = page.as_bytes();
    measure("predicted", text, |page| {
        let mut parser = parser(page);
        let mut sum = 0.0;
        let mut samples = 0;
        while samples < series.len() {
            match parser.next_predicted(&series[samples]) {
                Some((value, _)) => {
                    sum += value;
                    samples += 1;
                }
                None => {
                    let _ = black_box(parser.next());
                }
            }
        }
        black_box(sum);
        samples
    });
    measure("not predicted", text, |page| {
        parse(page, |sample| {
            black_box(sample.value);
        })
    });
    let mut labels = SeriesLabels::new();
    measure("with labels", text, |page| {
        parse(page, |sample| {
            let _ = black_box(labels.read(sample.series, sample.kind));
        })
    });

    let page = protobuf_page(UNTYPED, untyped);
    measure("protobuf", &page, |page| {
        parse_protobuf(page, |entry| {
            black_box(entry);
        })
    });
    measure("protobuf, labels", &page, |page| {
        parse_protobuf(page, |entry| {
            if let Entry::Sample(sample) = entry {
                let _ = black_box(labels.read(sample.series, sample.kind));
            }
        })
    });
    let page = protobuf_page(HISTOGRAM, histogram);
    measure("native histograms", &page, |page| {
        parse_protobuf(page, |entry| {
            if let Entry::Histogram(sample) = entry
                && let HistogramValue::Integer(histogram) = sample.value
            {
                // As scraping does.
                black_box(histogram.clone());
            }
        })
    });
}
