//! What a sample costs: `cargo bench -p exposition`.
//!
//! The page is like Telegraf's of a host with containers: long label sets that repeat, counters and
//! gauges, few metadata lines. Printed is the best of some rounds, since the machine has other work.

#![allow(clippy::print_stdout, missing_docs)]

use std::fmt::Write;
use std::hint::black_box;
use std::time::Instant;

use exposition::{CreatedSeries, Entry, Format, Parser, ParserOptions, SeriesLabels};

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
            let value = (field * 7_919 + container * 104_729) as f64;
            let value = if field % 4 == 0 {
                value / 7.0
            } else {
                value * 1e3
            };
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

/// Runs `work` over the page and prints the best round; `work` answers the number of samples.
fn measure(name: &str, page: &str, mut work: impl FnMut(&[u8]) -> usize) {
    let mut best_ns = f64::INFINITY;
    let mut samples = 0;
    for _ in 0..ROUNDS {
        let start = Instant::now();
        samples = black_box(work(black_box(page.as_bytes())));
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

    measure("predicted", &page, |page| {
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
    measure("not predicted", &page, |page| {
        parse(page, |sample| {
            black_box(sample.value);
        })
    });
    let mut labels = SeriesLabels::new();
    measure("with labels", &page, |page| {
        parse(page, |sample| {
            let _ = black_box(labels.read(sample.series, sample.kind));
        })
    });
}
