//! How long the queries of `bench query` take inside one process, for profilers:
//! `cargo run --profile bench-fast -p bench --example queries -- FOLDER HOSTS HOURS [RUNS [PART]]`.
//!
//! FOLDER is filled with the fleet's samples if it does not exist, and used again if it does. PART
//! picks the queries that contain it.

#![allow(clippy::print_stdout, reason = "a tool that prints")]

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use anyhow::Context as _;
use bench::backfill::{self, Places, WINDOW_MS};
use bench::fleet::FleetOptions;
use clock::ManualClock;
use promql::{Engine, EngineOptions, QueryOptions};

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

const QUERIES: &str = include_str!("../queries/dashboards.txt");
const END_MS: i64 = 1_700_006_400_000;

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |at: usize, default: i64| {
        let text = arguments.get(at);
        text.map_or(Ok(default), |text| text.parse().context("a number"))
    };
    let folder = Path::new(arguments.first().context("which folder?")?);
    let (hosts, hours, runs) = (number(1, 40)?, number(2, 4)?, number(3, 7)?.max(1));
    let part = arguments.get(4).map_or("", String::as_str);
    if !folder.exists() {
        let fleet = FleetOptions {
            hosts: usize::try_from(hosts)?,
            ..FleetOptions::default()
        };
        let windows = hours * 3_600_000 / WINDOW_MS;
        let places = Places {
            promontory: folder,
            prometheus: None,
            victoriametrics: None,
        };
        println!("{:?}", backfill::fill(&fleet, END_MS, windows, places)?);
    }
    let clock: clock::SharedClock = ManualClock::at_ms(END_MS);
    let registry = telemetry::Registry::new(Arc::clone(&clock));
    let mut options = tsdb::Options::new(folder);
    options.background = false;
    options.block_duration_max_ms = WINDOW_MS;
    let db = tsdb::Db::open(
        disk::RealDisk::shared(),
        options,
        Arc::clone(&clock),
        &registry,
    )?;
    let engine = Engine::new(EngineOptions::new(clock), &registry);
    let end_ms = END_MS - 3_000;
    let span_ms = (hours - 1) * 3_600_000;
    let lines = QUERIES
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'));
    for line in lines.filter(|line| line.contains(part)) {
        let (kind, query) = line.split_once(' ').context("a kind and a query")?;
        let mut times = Vec::new();
        let mut sizes = Vec::new();
        for _ in 0..runs {
            let began = Instant::now();
            let once = QueryOptions::default();
            let output = match kind {
                "instant" => engine.instant(&*db, query, end_ms, &once)?,
                _ => {
                    let step_ms = match kind {
                        "wide" => span_ms / 39,
                        _ => 60_000,
                    };
                    engine.range(&*db, query, end_ms - span_ms, end_ms, step_ms, &once)?
                }
            };
            times.push(began.elapsed());
            sizes.push(output.stats.samples.samples_read);
        }
        times.sort_unstable();
        println!(
            "{:>10.2} ms {:>12} samples  {line}",
            times[times.len() / 2].as_secs_f64() * 1e3,
            sizes[0],
        );
    }
    Ok(())
}
