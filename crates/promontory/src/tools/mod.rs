//! `promontory tsdb …`: what can be done with data folders.
//!
//! What only reads opens the folder without its lock and changes nothing, so a server may run on
//! it; `import` and `create-blocks-from` write, and want the folder for themselves.
//!
//! Commands and output are promtool's where it has them; [`import`] and [`export`] carry samples
//! from and to Prometheus. Each command is a function from its arguments to what it prints.

mod arguments;
mod backfill;
mod convert;
mod export;
mod import;
mod inspect;
#[cfg(test)]
mod tests;

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, bail};
use clock::SystemClock;
use disk::{Disk, RealDisk};
use tsdb::Db;

use self::arguments::Arguments;

const USAGE: &str = "usage: promontory tsdb <command> [<args> ...]

Commands:
  import <prometheus data folder>  Copy all samples of a stopped Prometheus into the data folder.
      --without-histograms         Leave native histograms out.
  export <new folder>              Write all samples as blocks that Prometheus reads.
      --format=prometheus
  create-blocks-from openmetrics <file> [<data folder>]
                                   Write the samples of a text with timestamps as blocks.
      --max-block-duration=2h      The longest time that a block may span.
  list [<data folder>]             List the blocks.
  dump [<data folder>]             Print samples.
      --min-time=MS --max-time=MS  Only those between these times, in milliseconds since 1970.
      --match=SELECTOR             Only series that match; may be given several times.
  dump-openmetrics [<data folder>] Print samples as OpenMetrics text; flags as for dump.
  analyze [<data folder> [<block>]] Count series, labels and values of a block, by default the last.
      --limit=20                   How many rows each list has.
  verify [<data folder>]           Read every block and check all checksums.

Flags:
  --storage.tsdb.path=data/        The data folder.";

/// Runs `promontory tsdb` with the arguments behind it.
pub(crate) fn run(arguments: &[String]) -> anyhow::Result<()> {
    let Some((command, rest)) = arguments.split_first() else {
        bail!("{USAGE}");
    };
    let mut out = std::io::stdout().lock();
    let known: &[&str] = match command.as_str() {
        "import" => &["storage.tsdb.path", "without-histograms"],
        "export" => &["storage.tsdb.path", "format"],
        "create-blocks-from" => &["storage.tsdb.path", "max-block-duration"],
        "dump" | "dump-openmetrics" => &["storage.tsdb.path", "min-time", "max-time", "match"],
        "analyze" => &["storage.tsdb.path", "limit"],
        "list" | "verify" => &["storage.tsdb.path"],
        "help" | "--help" | "-h" => {
            println!("{USAGE}");
            return Ok(());
        }
        _ => bail!("expected command but got {command:?}\n\n{USAGE}"),
    };
    let arguments = Arguments::parse(rest, known)?;
    match command.as_str() {
        "import" => import::run(&arguments, &mut out),
        "export" => export::run(&arguments, &mut out),
        "create-blocks-from" => backfill::run(&arguments, &mut out),
        "dump" => inspect::dump(&arguments, &mut out),
        "dump-openmetrics" => inspect::dump_openmetrics(&arguments, &mut out),
        "analyze" => inspect::analyze(&arguments, &mut out),
        "verify" => inspect::verify(&arguments, &mut out),
        _ => inspect::list(&arguments, &mut out),
    }
}

/// Opens a data folder with its head, for reading. A server may run on it.
fn open(path: &Path) -> anyhow::Result<Arc<Db>> {
    if RealDisk.list(path).is_err() {
        bail!("no data folder at {}", path.display());
    }
    Db::open_read_only(RealDisk::shared(), path, SystemClock::shared())
        .with_context(|| format!("open the data in {}", path.display()))
}
