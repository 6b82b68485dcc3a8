//! `cargo xtask bench storage`: what a sample and a series cost on disk, and what finding and
//! decoding them costs.
//!
//! The same samples go into Promontory's blocks and, if asked for, into Prometheus and
//! VictoriaMetrics through their own imports; all files of all of them are counted after
//! everything is merged. Ours are read again and compared bit by bit. The data is a synthetic
//! Telegraf fleet, to the millisecond and with jitter, and what real servers on this machine
//! report, recorded before if there is no recording yet.

pub mod data;
mod index;
mod noise;
mod order;
mod ours;
pub(crate) mod peers;
mod rates;
pub mod record;
mod recorded;
pub mod synthetic;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;

use data::{Class, DataSet};
use index::ContainerIds;
use synthetic::SyntheticOptions;

/// What to run.
#[derive(Debug, Clone)]
pub struct StorageOptions {
    /// The synthetic fleet.
    pub fleet: SyntheticOptions,
    /// Where the recording is or goes.
    pub recording: PathBuf,
    /// How long to record if there is none; zero leaves recorded data out.
    pub record_for: Duration,
    /// Time between two scrapes of a new recording.
    pub record_interval: Duration,
    /// Debian's promtool, if Prometheus is to be compared.
    pub promtool: Option<PathBuf>,
    /// VictoriaMetrics, if it is to be compared.
    pub victoriametrics: Option<PathBuf>,
}

/// Runs everything; false if some figure is not as good as it must be.
///
/// # Errors
/// If a storage cannot be written, or if ours gives back something else.
pub async fn run(options: &StorageOptions, out: &mut impl Write) -> anyhow::Result<bool> {
    let folder = tempfile::tempdir()?;
    let mut report = Report { out, missed: 0 };
    rates(&mut report)?;
    let recorded = recorded::recording(options, report.out).await?;
    let jittered = SyntheticOptions {
        jitter: true,
        ..options.fleet
    };
    let sets = [
        (
            "fleet",
            fleet_goals(false),
            Some(synthetic::fleet(&options.fleet)),
        ),
        (
            "jitter",
            fleet_goals(true),
            Some(synthetic::fleet(&jittered)),
        ),
        ("recorded", RECORDED_GOALS, recorded),
    ];
    for (name, goals, data) in sets {
        if let Some(data) = data {
            compare(name, goals, &data, options, folder.path(), &mut report).await?;
        }
    }
    indexes(folder.path(), &mut report)?;
    orders(folder.path(), &mut report)?;
    writeln!(report.out, "\n{} goals missed", report.missed)?;
    Ok(report.missed == 0)
}

/// Bytes a sample at most, and how large ours may be beside Prometheus and VictoriaMetrics.
#[derive(Debug, Clone, Copy)]
struct Goals {
    bytes_max: Option<f64>,
    of_prometheus_max: f64,
    of_victoriametrics_max: f64,
}

fn fleet_goals(jitter: bool) -> Goals {
    Goals {
        bytes_max: Some(if jitter { 0.57 } else { 0.56 }),
        of_prometheus_max: 0.37,
        of_victoriametrics_max: 0.75,
    }
}

const RECORDED_GOALS: Goals = Goals {
    bytes_max: None,
    of_prometheus_max: 0.37,
    of_victoriametrics_max: 0.60,
};

/// Writes figures and counts those that are missed.
struct Report<'a, W> {
    out: &'a mut W,
    missed: u32,
}

impl<W: Write> Report<'_, W> {
    /// Says whether `figure` is at most `max`.
    fn at_most(&mut self, figure: f64, max: f64) -> String {
        self.missed += u32::from(figure > max);
        match figure <= max {
            true => format!("(goal {max})"),
            false => format!("(MISSED: goal {max})"),
        }
    }

    /// Says whether `figure` is at least `min`.
    fn at_least(&mut self, figure: f64, min: f64) -> String {
        self.missed += u32::from(figure < min);
        match figure >= min {
            true => format!("(goal {min})"),
            false => format!("(MISSED: goal {min})"),
        }
    }
}

fn rates<W: Write>(report: &mut Report<'_, W>) -> anyhow::Result<()> {
    writeln!(
        report.out,
        "# whole numbers, one core, million samples a second"
    )?;
    for rate in rates::measure() {
        let encode = report.at_least(rate.encode, 10.0);
        let decode = report.at_least(rate.decode, 100.0);
        writeln!(
            report.out,
            "{:<20} {:.3} bytes  encode {:.0} {encode}  decode {:.0} {decode}",
            rate.what, rate.bytes, rate.encode, rate.decode
        )?;
    }
    Ok(())
}

async fn compare<W: Write>(
    name: &str,
    goals: Goals,
    data: &DataSet,
    options: &StorageOptions,
    folder: &Path,
    report: &mut Report<'_, W>,
) -> anyhow::Result<()> {
    let samples = data.sample_count() as f64;
    let a_sample = |bytes: u64| bytes as f64 / samples;
    writeln!(
        report.out,
        "\n# {name}: {} series of {} targets, {samples} samples",
        data.series_count(),
        data.targets.len()
    )?;
    let ours = ours::measure(data, &folder.join(name).join("promontory"))?;
    let bytes = a_sample(ours.bytes);
    let goal = goals
        .bytes_max
        .map_or_else(String::new, |max| report.at_most(bytes, max));
    writeln!(
        report.out,
        "promontory       {bytes:.4} bytes a sample {goal}; index {:.4}; before merging {:.4}",
        a_sample(ours.index_bytes),
        a_sample(ours.flushed_bytes)
    )?;
    writeln!(
        report.out,
        "                 merged {:.1} and read {:.1} million samples a CPU second; every bit came back",
        samples / ours.merge_s / 1e6,
        samples / ours.read_s / 1e6
    )?;
    classes(data, report.out)?;
    let peer = |name: &str, peer: peers::PeerBytes, max: f64, report: &mut Report<'_, W>| {
        let ratio = ours.bytes as f64 / peer.all() as f64;
        let goal = report.at_most(ratio, max);
        writeln!(
            report.out,
            "{name:<16} {:.4} bytes a sample; index {:.4}; ours is {ratio:.3} of it {goal}",
            a_sample(peer.all()),
            a_sample(peer.index)
        )
    };
    // Prometheus takes minutes, and the jittered set tells nothing new of it.
    if let Some(promtool) = options.promtool.as_deref().filter(|_| name != "jitter") {
        let theirs = peers::prometheus(promtool, data, &folder.join(name).join("prometheus"))?;
        peer("prometheus", theirs, goals.of_prometheus_max, report)?;
    }
    if let Some(binary) = &options.victoriametrics {
        let folder = folder.join(name).join("victoriametrics");
        let theirs = peers::victoriametrics(binary, data, &folder).await?;
        peer(
            "victoriametrics",
            theirs,
            goals.of_victoriametrics_max,
            report,
        )?;
    }
    std::fs::remove_dir_all(folder.join(name)).context("tidy up")
}

/// What each class of values takes when it is alone.
fn classes(data: &DataSet, out: &mut impl Write) -> anyhow::Result<()> {
    let mut all = [(0usize, 0usize); Class::ALL.len()];
    for target in &data.targets {
        for (class, (bytes, samples)) in Class::ALL.iter().zip(&mut all) {
            let of_class = target
                .series
                .iter()
                .filter(|s| Class::of(&s.values) == *class);
            let columns: Vec<&[f64]> = of_class.map(|s| &s.values[..]).collect();
            *bytes += rates::page_bytes(&columns);
            *samples += columns.iter().map(|c| c.len()).sum::<usize>();
        }
    }
    let samples = data.sample_count() as f64;
    for (class, (bytes, count)) in Class::ALL.iter().zip(all) {
        writeln!(
            out,
            "  {:<16} {:>5.1} % of samples, {:.3} bytes each alone, {:.3} of all",
            class.name(),
            100.0 * count as f64 / samples,
            bytes as f64 / count.max(1) as f64,
            bytes as f64 / samples
        )?;
    }
    Ok(())
}

fn indexes<W: Write>(folder: &Path, report: &mut Report<'_, W>) -> anyhow::Result<()> {
    for (ids, what, max) in [
        (ContainerIds::Templated, "templated", 8.0),
        (ContainerIds::Unique, "unique container ids", 60.0),
    ] {
        let data = index::hosts(ids);
        let block = index::write(&data, &folder.join("index"))?;
        let bytes = block.index_bytes() as f64 / data.series_count() as f64;
        let goal = report.at_most(bytes, max);
        writeln!(
            report.out,
            "\n# index, {} series, {what}: {bytes:.2} bytes a series {goal}",
            data.series_count()
        )?;
        if ids == ContainerIds::Unique {
            for found in index::look_up(&block)? {
                let goal = match found.bound.us_max() {
                    Some(max) => report.at_most(found.us, max),
                    None => String::new(),
                };
                writeln!(
                    report.out,
                    "  {:<32} {:>7} series {:>9.1} us {goal}",
                    found.what, found.series, found.us
                )?;
            }
        }
        std::fs::remove_dir_all(folder.join("index"))?;
    }
    Ok(())
}

fn orders<W: Write>(folder: &Path, report: &mut Report<'_, W>) -> anyhow::Result<()> {
    writeln!(
        report.out,
        "\n# order of series, 10 hosts, 8 hours, cold reads"
    )?;
    for order in order::measure(10, 1_920, &folder.join("order"))? {
        writeln!(
            report.out,
            "{:<14} {:.4} bytes a sample, index {:.2} bytes a series",
            order.what, order.bytes_a_sample, order.index_bytes_a_series
        )?;
        for (what, ms) in order.reads {
            writeln!(report.out, "  {what:<28} {ms:>8.2} ms")?;
        }
    }
    Ok(())
}
