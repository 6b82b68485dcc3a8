//! The loads as commands; `cargo xtask` calls them with the binaries that it built.

#![allow(clippy::print_stdout, reason = "a tool talks to its user")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, bail};
use bench::compare::{self, CompareOptions};
use bench::e2e;
use bench::fleet::FleetOptions;
use bench::generated::{self, GeneratedOptions};
use bench::ingest::{self, IngestOptions};
use bench::migrate::{self, MigrateOptions};
use bench::query::{self, QueryOptions};
use bench::restart::{self, RestartOptions};
use bench::storage::record::{self, RecordOptions};
use bench::storage::synthetic::SyntheticOptions;
use bench::storage::{self, StorageOptions};

/// Where Debian's package puts a node_exporter.
const NODE_EXPORTER: &str = "/usr/bin/prometheus-node-exporter";

#[tokio::main]
async fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match dispatch(&arguments).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn dispatch(arguments: &[String]) -> anyhow::Result<bool> {
    let (command, rest) = arguments
        .split_first()
        .context("ingest, restart, query, storage, record, compare, generated, migrate or e2e?")?;
    let mut options = Options::parse(rest)?;
    let mut out = std::io::stdout();
    let passed = match command.as_str() {
        "ingest" => {
            let run = options.ingest()?;
            options.none_left()?;
            ingest::run(&run, &mut out).await?;
            true
        }
        "restart" => {
            let run = options.restart()?;
            options.none_left()?;
            let results = restart::run(&run, &mut out).await?;
            results.iter().all(|result| result.before == result.after)
        }
        "query" => {
            let run = options.query()?;
            options.none_left()?;
            let results = query::run(&run, &mut out).await?;
            results.iter().all(|result| result.difference.is_none())
        }
        "storage" => {
            let run = options.storage()?;
            options.none_left()?;
            storage::run(&run, &mut out).await?
        }
        "record" => {
            let run = options.record()?;
            options.none_left()?;
            record::record(&run).await?;
            true
        }
        "compare" => {
            let run = CompareOptions {
                promontory: options.path("promontory")?,
                prometheus: options.path("prometheus")?,
                node_exporter: node_exporter(),
            };
            options.none_left()?;
            compare::run(&run, &mut out).await?.different.is_empty()
        }
        "generated" => {
            let run = GeneratedOptions {
                promontory: options.path("promontory")?,
                prometheus: options.path("prometheus")?,
                seed: options.number("seed", 1)?,
                queries: options.number("queries", 2_500)?,
                features: options.0.remove("features").unwrap_or_default(),
                wait: Duration::from_secs(options.number("wait-seconds", 0)?),
            };
            options.none_left()?;
            generated::run(&run, &mut out).await?
        }
        "migrate" => {
            let run = MigrateOptions {
                promontory: options.path("promontory")?,
                prometheus: options.path("prometheus")?,
                promtool: options.path("promtool")?,
            };
            options.none_left()?;
            migrate::run(&run, &mut out).await?;
            true
        }
        "e2e" => {
            let (promontory, ui) = (options.path("promontory")?, options.path("ui")?);
            options.none_left()?;
            e2e::run(&promontory, &ui, node_exporter().as_deref(), &mut out).await?
        }
        _ => bail!("unknown command {command:?}"),
    };
    Ok(passed)
}

fn node_exporter() -> Option<PathBuf> {
    let path =
        std::env::var_os("NODE_EXPORTER").map_or_else(|| NODE_EXPORTER.into(), PathBuf::from);
    Path::new(&path).is_file().then_some(path)
}

/// Outside of the repository: a recording says much about a machine.
fn recording_folder() -> PathBuf {
    std::env::temp_dir().join("promontory-recording")
}

/// `--name value` pairs.
struct Options(BTreeMap<String, String>);

impl Options {
    fn parse(arguments: &[String]) -> anyhow::Result<Options> {
        let mut options = BTreeMap::new();
        let mut rest = arguments.iter();
        while let Some(argument) = rest.next() {
            let name = argument
                .strip_prefix("--")
                .with_context(|| format!("what is {argument}?"))?;
            let value = rest
                .next()
                .with_context(|| format!("--{name} needs a value"))?;
            options.insert(name.to_owned(), value.clone());
        }
        Ok(Options(options))
    }

    fn path(&mut self, name: &str) -> anyhow::Result<PathBuf> {
        self.0
            .remove(name)
            .map(PathBuf::from)
            .with_context(|| format!("--{name} is missing"))
    }

    fn number<T: std::str::FromStr>(&mut self, name: &str, default: T) -> anyhow::Result<T> {
        match self.0.remove(name) {
            None => Ok(default),
            Some(text) => text
                .parse()
                .ok()
                .with_context(|| format!("--{name} is no number: {text}")),
        }
    }

    fn optional(&mut self, name: &str) -> anyhow::Result<Option<u64>> {
        let given = self.0.contains_key(name);
        Ok(given.then_some(self.number(name, 0)?))
    }

    fn none_left(&self) -> anyhow::Result<()> {
        match self.0.keys().next() {
            None => Ok(()),
            Some(name) => bail!("unknown option --{name}"),
        }
    }

    fn ingest(&mut self) -> anyhow::Result<IngestOptions> {
        Ok(IngestOptions {
            fleet: self.fleet(FleetOptions::default())?,
            interval_s: self.number("interval", 15)?,
            seconds: self.number("seconds", 120)?,
            jitter_ms: self.number("jitter-ms", 0)?,
            history_hours: self.optional("history")?,
            servers: self.servers()?,
        })
    }

    fn restart(&mut self) -> anyhow::Result<RestartOptions> {
        Ok(RestartOptions {
            fleet: self.fleet(FleetOptions::default())?,
            interval_s: self.optional("interval")?,
            rows: self.number("rows", 480)?,
            servers: self.servers()?,
        })
    }

    fn query(&mut self) -> anyhow::Result<QueryOptions> {
        let full = FleetOptions {
            hosts: query::HOSTS_FULL,
            ..FleetOptions::default()
        };
        let mut options = QueryOptions {
            fleet: self.fleet(full)?,
            hours: self.number("hours", query::HOURS_FULL)?,
            runs: self.number("runs", 7)?,
            keep: self.path("keep").ok(),
            servers: self.servers()?,
        };
        if let Ok(binary) = self.path("victoriametrics") {
            let name = query::VICTORIAMETRICS.to_owned();
            options.servers.push((name, binary));
        }
        Ok(options)
    }

    fn storage(&mut self) -> anyhow::Result<StorageOptions> {
        let default = SyntheticOptions::default();
        Ok(StorageOptions {
            fleet: SyntheticOptions {
                hosts: self.number("hosts", default.hosts)?,
                containers: self.number("containers", default.containers)?,
                scrapes: self.number("scrapes", default.scrapes)?,
                jitter: false,
            },
            recording: self
                .path("recording")
                .unwrap_or_else(|_| recording_folder()),
            record_for: Duration::from_secs(self.number("record-seconds", 180)?),
            record_interval: Duration::from_millis(self.number("record-interval-ms", 1_000)?),
            promtool: self.path("promtool").ok(),
            victoriametrics: self.path("victoriametrics").ok(),
        })
    }

    /// `--targets name=http://address/metrics,...`
    fn record(&mut self) -> anyhow::Result<RecordOptions> {
        let targets = self.0.remove("targets").context("--targets is missing")?;
        let target = |text: &str| -> anyhow::Result<(String, String)> {
            let (name, url) = text.split_once('=').context("a target is name=url")?;
            Ok((name.to_owned(), url.to_owned()))
        };
        let interval_ms: u64 = self.number("interval-ms", 1_000)?;
        let seconds: u64 = self.number("seconds", 600)?;
        Ok(RecordOptions {
            targets: targets.split(',').map(target).collect::<Result<_, _>>()?,
            interval: Duration::from_millis(interval_ms.max(1)),
            scrapes: (seconds * 1_000 / interval_ms.max(1)) as usize,
            folder: self.path("folder").unwrap_or_else(|_| recording_folder()),
        })
    }

    fn fleet(&mut self, default: FleetOptions) -> anyhow::Result<FleetOptions> {
        Ok(FleetOptions {
            hosts: self.number("hosts", default.hosts)?,
            containers: self.number("containers", default.containers)?,
            churn: self.number("churn", default.churn)?,
            seed: self.number("seed", default.seed)?,
        })
    }

    /// Promontory and, if it is to be compared, a Prometheus.
    fn servers(&mut self) -> anyhow::Result<Vec<(String, PathBuf)>> {
        let mut servers = vec![("promontory".to_owned(), self.path("promontory")?)];
        if let Ok(prometheus) = self.path("prometheus") {
            servers.push(("prometheus".to_owned(), prometheus));
        }
        Ok(servers)
    }
}
