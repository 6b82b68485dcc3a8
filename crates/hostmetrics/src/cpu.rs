//! Processor time.

use crate::page::{Kind, Page};
use crate::source::{NoData, Source, number};

/// Ticks a second in what the kernel shows to programs (`USER_HZ`), on every platform of ours.
const TICKS_PER_SECOND: f64 = 100.0;

/// The columns of a `cpu` line, in its order.
const MODES: [&str; 8] = [
    "user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal",
];

/// The columns after those, which are also part of `user` and `nice`.
const GUEST_MODES: [&str; 2] = ["user", "nice"];

pub(crate) fn collect(source: &Source, page: &mut Page<'_>) -> Result<(), NoData> {
    let stat = source.read("/proc/stat")?;
    let cpus: Vec<(&str, Vec<f64>)> = stat.lines().filter_map(cpu_line).collect();
    if cpus.is_empty() {
        return Err(NoData);
    }
    page.family(
        "node_cpu_guest_seconds_total",
        Kind::Counter,
        "Time that processors ran virtual machines.",
    );
    for (cpu, seconds) in &cpus {
        for (mode, seconds) in GUEST_MODES
            .iter()
            .zip(&seconds[MODES.len().min(seconds.len())..])
        {
            page.sample(&[("cpu", cpu), ("mode", mode)], *seconds);
        }
    }
    page.family(
        "node_cpu_seconds_total",
        Kind::Counter,
        "Time that processors spent in each mode.",
    );
    for (cpu, seconds) in &cpus {
        for (mode, seconds) in MODES.iter().zip(seconds) {
            page.sample(&[("cpu", cpu), ("mode", mode)], *seconds);
        }
    }
    Ok(())
}

/// The number of a processor and its seconds; nothing of the line of their sums.
fn cpu_line(line: &str) -> Option<(&str, Vec<f64>)> {
    let mut words = line.split_ascii_whitespace();
    let cpu = words.next()?.strip_prefix("cpu")?;
    if cpu.is_empty() {
        return None;
    }
    let seconds: Result<Vec<f64>, NoData> = words
        .map(|ticks| Ok(number(ticks)? / TICKS_PER_SECOND))
        .collect();
    Some((cpu, seconds.ok()?))
}
