//! `cargo xtask generated`: random well-typed queries to Promontory and a Prometheus over the same
//! blocks; every difference in labels, timestamps, values, warnings and errors is shown, with its
//! seed and made as small as it gets.
//!
//! With a Prometheus of version 3 both have all experimental parts of the language switched on, the
//! data have native histograms and samples on the edges of windows, and warnings, infos and error
//! texts must be equal, too. An older one knows less: its queries stay within what it knows, the
//! data are such that the left edge of a window does not matter, and what did change since then is
//! asserted query by query in `known`.
//!
//! Queries for corners of the language that random ones do not reach are a list of their own.
//!
//! Some answers of Prometheus hang on the order of a hash table. So one that differs is asked again
//! some times; if the peer does not agree with itself, the query is counted apart.

mod data;
mod known;
mod shrink;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use fastrand::Rng;
use naive::random::{self, Dialect, SPAN_MS, START_MS};
use serde_json::Value;

use crate::ask::{self, encode};
use crate::compare::{difference, major_version};
use crate::process::{Server, free_address};
use data::Kind;

/// Queries that nobody would draw, one a line.
const CORNERS: &str = include_str!("../queries/corners.txt");
/// Blocks of data, a set each.
const SETS: u64 = 10;
/// Values may differ by so much of themselves: sums in another order.
const RELATIVE_TOLERANCE: f64 = 1e-12;
/// How often a peer whose answer differs is asked again.
const REPEATS: usize = 20;
/// Differences that are shown; more of them say little more.
const SHOWN_MAX: usize = 12;
/// Answers to one query while it is made smaller, at most.
const SHRINKS_MAX: usize = 400;
/// Of a hundred queries, how many the peer may answer now this way, now that.
const UNSETTLED_PERCENT_MAX: usize = 2;
/// For one answer.
const TIMEOUT: Duration = Duration::from_secs(20);
/// What is switched on in both servers if the peer has it.
const FEATURES: &str =
    "promql-experimental-functions,promql-extended-range-selectors,promql-binop-fill-modifiers";

/// What to compare.
#[derive(Debug)]
pub struct GeneratedOptions {
    /// Promontory's binary.
    pub promontory: PathBuf,
    /// The Prometheus to compare with.
    pub prometheus: PathBuf,
    /// Where the random numbers begin.
    pub seed: u64,
    /// How many queries.
    pub queries: usize,
    /// More features for both servers, separated by commas; empty for none.
    pub features: String,
    /// How long the servers stay up at the end, to ask them by hand.
    pub wait: Duration,
}

/// What came out.
#[derive(Debug, Default)]
struct Outcome {
    equal: usize,
    /// Of those, answers that were not empty, and errors.
    with_data: usize,
    errors: usize,
    /// With warnings or infos.
    noted: usize,
    /// Refused since Prometheus 3: see [`refused_since`].
    refused: usize,
    /// The peer does not agree with itself.
    unsettled: usize,
    different: Vec<String>,
}

/// Runs the comparison, reports to `out`, and says whether all is as it should be.
///
/// # Errors
/// If a server cannot be run.
pub async fn run(options: &GeneratedOptions, out: &mut impl Write) -> anyhow::Result<bool> {
    let scratch = tempfile::tempdir()?;
    let pair = Pair::start(options, scratch.path()).await?;
    let began = tokio::time::Instant::now();
    let mut outcome = Outcome::default();
    let mut rng = Rng::with_seed(options.seed);
    for _ in 0..options.queries {
        let steps = Steps::random(&mut rng, pair.is_recent());
        let query = random::query(&mut rng, pair.dialect(steps));
        pair.compare(&query, steps, &mut outcome).await?;
        if outcome.different.len() >= SHOWN_MAX {
            break;
        }
    }
    if pair.is_recent() {
        for query in CORNERS.lines().filter(|line| !line.starts_with('#')) {
            for steps in Steps::FIXED {
                pair.compare(query, steps, &mut outcome).await?;
            }
        }
    }
    let known = known::check(&pair).await?;
    for text in outcome.different.iter().chain(&known.wrong) {
        writeln!(out, "DIFFERENT --seed {} {text}", options.seed)?;
    }
    writeln!(
        out,
        "Prometheus {}, seed {}: {} answers equal ({} with data, {} errors, {} with warnings or \
         infos), {} different, {} refused as only since version 3, {} on which the peer does not \
         agree with itself, in {:.0} s",
        pair.major,
        options.seed,
        outcome.equal,
        outcome.with_data,
        outcome.errors,
        outcome.noted,
        outcome.different.len(),
        outcome.refused,
        outcome.unsettled,
        began.elapsed().as_secs_f64()
    )?;
    writeln!(
        out,
        "{} known differences are as they are known, {} are not",
        known.right,
        known.wrong.len()
    )?;
    if !options.wait.is_zero() {
        writeln!(out, "{} and {}", pair.ours.url, pair.theirs.url)?;
        tokio::time::sleep(options.wait).await;
    }
    let asked = outcome.equal + outcome.unsettled + outcome.refused;
    Ok(outcome.different.is_empty()
        && known.wrong.is_empty()
        && (outcome.unsettled + outcome.refused) * 100 <= asked * UNSETTLED_PERCENT_MAX
        // Queries that find nothing prove little.
        && outcome.with_data * 2 > asked)
}

/// At which times a query is asked.
#[derive(Debug, Clone, Copy)]
struct Steps {
    start_ms: i64,
    end_ms: i64,
    step_ms: i64,
}

impl Steps {
    /// One in the middle of the first set, and some around it.
    const FIXED: [Steps; 2] = [
        Steps {
            start_ms: START_MS + 600_000,
            end_ms: START_MS + 600_000,
            step_ms: 1_000,
        },
        Steps {
            start_ms: START_MS + 480_000,
            end_ms: START_MS + 720_000,
            step_ms: 30_000,
        },
    ];

    fn random(rng: &mut Rng, is_recent: bool) -> Steps {
        let set = rng.i64(0..SETS as i64);
        let mut start_ms = START_MS + set * data::SET_MS + rng.i64(-60_000..SPAN_MS * 3 / 4);
        let mut step_ms = [1_000, 7_000, 15_000, 60_000, 133_337][rng.usize(..5)];
        if !is_recent {
            // No sample lies at a multiple of 100 ms, no step of a subquery at a half of a second.
            start_ms = start_ms - start_ms.rem_euclid(1_000) + 500;
            step_ms -= step_ms % 1_000;
        } else if rng.bool() {
            start_ms -= start_ms.rem_euclid(5_000);
        }
        let count = if rng.u8(..3) == 0 { 0 } else { rng.i64(1..25) };
        Steps {
            start_ms,
            end_ms: start_ms + step_ms * count,
            step_ms,
        }
    }

    fn path(self, query: &str) -> String {
        let query = encode(query);
        let seconds = |ms: i64| format!("{}.{:03}", ms / 1_000, ms % 1_000);
        if self.start_ms == self.end_ms {
            format!(
                "/api/v1/query?query={query}&time={}",
                seconds(self.start_ms)
            )
        } else {
            format!(
                // As a duration: as seconds, a step of 133.337 would be 133.336999999 to Prometheus.
                "/api/v1/query_range?query={query}&start={}&end={}&step={}ms",
                seconds(self.start_ms),
                seconds(self.end_ms),
                self.step_ms
            )
        }
    }
}

/// The two servers.
struct Pair {
    ours: Server,
    theirs: Server,
    major: u32,
}

impl Pair {
    /// Starts both on the same blocks: Prometheus on those, Promontory on what its import makes.
    async fn start(options: &GeneratedOptions, scratch: &Path) -> anyhow::Result<Pair> {
        let version = Command::new(&options.prometheus)
            .arg("--version")
            .output()?;
        let is_recent = !String::from_utf8_lossy(&version.stdout).contains("version 2.");
        let [theirs, ours] = ["prometheus", "promontory"].map(|name| scratch.join(name));
        std::fs::create_dir(&theirs)?;
        let kind = Kind {
            is_tame: !is_recent,
            histograms: is_recent,
        };
        for set in 0..SETS {
            let mut series = data::set(
                options.seed.wrapping_mul(SETS).wrapping_add(set),
                set as i64,
                kind,
            );
            if set == 0 {
                series.extend(known::series());
            }
            data::write(series, &theirs)?;
        }
        let imported = Command::new(&options.promontory)
            .args(["tsdb", "import"])
            .arg(&theirs)
            .arg(format!("--storage.tsdb.path={}", ours.display()))
            .output()?;
        ensure!(
            imported.status.success(),
            "import: {}",
            String::from_utf8_lossy(&imported.stderr)
        );
        let config = scratch.join("prometheus.yml");
        std::fs::write(&config, "global:\n  evaluation_interval: 15s\n")?;
        let mut features = options.features.clone();
        if is_recent {
            features = format!("{FEATURES},{features}");
        }
        let features = features.trim_matches(',');
        let start = async |name: &str, binary: &Path, data: &Path| {
            let address = free_address()?;
            let mut arguments = vec![
                format!("--config.file={}", config.display()),
                format!("--storage.tsdb.path={}", data.display()),
                format!("--web.listen-address={address}"),
            ];
            if !features.is_empty() {
                arguments.push(format!("--enable-feature={features}"));
            }
            let log = scratch.join(format!("{name}.log"));
            let mut server = Server::start(name, binary, &arguments, &address, &log)?;
            let ready = server.wait_ready(Duration::from_secs(60)).await;
            ready.with_context(|| std::fs::read_to_string(&log).unwrap_or_default())?;
            anyhow::Ok(server)
        };
        let ours = start("promontory", &options.promontory, &ours).await?;
        let theirs = start("prometheus", &options.prometheus, &theirs).await?;
        let major = major_version(&theirs).await?;
        Ok(Pair {
            ours,
            theirs,
            major,
        })
    }

    fn is_recent(&self) -> bool {
        self.major >= 3
    }

    fn dialect(&self, steps: Steps) -> Dialect {
        let mut dialect = Dialect::WHOLE;
        if self.is_recent() {
            dialect = dialect
                | Dialect::RECENT
                | Dialect::EXPERIMENTAL
                | Dialect::HISTOGRAMS
                | Dialect::EDGES
                | Dialect::STARTS;
        }
        if steps.start_ms == steps.end_ms {
            dialect = dialect | Dialect::ORDER;
        }
        dialect
    }

    /// Both answers: ours, and theirs.
    async fn ask(&self, path: &str) -> anyhow::Result<(Value, Value)> {
        let ours = ask::json(&self.ours, path, TIMEOUT).await?;
        Ok((ours, ask::json(&self.theirs, path, TIMEOUT).await?))
    }

    async fn compare(
        &self,
        query: &str,
        steps: Steps,
        outcome: &mut Outcome,
    ) -> anyhow::Result<()> {
        match self.verdict(query, steps).await? {
            Verdict::Equal(answer) => {
                outcome.equal += 1;
                outcome.errors += usize::from(answer["status"] == "error");
                let rows = answer["data"]["result"].as_array();
                outcome.with_data += usize::from(rows.is_some_and(|rows| !rows.is_empty()));
                let noted =
                    !notes(&answer, "warnings").is_empty() || !notes(&answer, "infos").is_empty();
                outcome.noted += usize::from(noted);
            }
            Verdict::Unsettled => outcome.unsettled += 1,
            Verdict::Refused => outcome.refused += 1,
            Verdict::Different(what) => {
                let (small, what) = self.minimal(query, what, steps).await?;
                outcome.different.push(format!(
                    "{query}\n   is {small}\n      {what}\n      {}",
                    steps.path(&small)
                ));
            }
        }
        Ok(())
    }

    async fn verdict(&self, query: &str, steps: Steps) -> anyhow::Result<Verdict> {
        let path = steps.path(query);
        let (ours, theirs) = self.ask(&path).await?;
        let Some(what) = self.unlike(&ours, &theirs) else {
            return Ok(Verdict::Equal(theirs));
        };
        if !self.is_recent() && refused_since(&ours, &theirs) {
            return Ok(Verdict::Refused);
        }
        for _ in 0..REPEATS {
            let (ours, again) = self.ask(&path).await?;
            if self.unlike(&ours, &again).is_none() || self.unlike(&theirs, &again).is_some() {
                return Ok(Verdict::Unsettled);
            }
        }
        Ok(Verdict::Different(what))
    }

    /// What differs between two answers.
    fn unlike(&self, ours: &Value, theirs: &Value) -> Option<String> {
        if let Some(what) = difference(ours, theirs, RELATIVE_TOLERANCE) {
            return Some(what);
        }
        if !self.is_recent() {
            return None;
        }
        if ours["error"] != theirs["error"] {
            return Some(format!("{} against {}", ours["error"], theirs["error"]));
        }
        ["warnings", "infos"].into_iter().find_map(|kind| {
            let (ours, theirs) = (notes(ours, kind), notes(theirs, kind));
            // Ten of them are shown, whichever come first in a hash table.
            let same = ours == theirs || (ours.len() > 10 && ours.len() == theirs.len());
            (!same).then(|| format!("{kind}: {ours:?} against {theirs:?}"))
        })
    }

    /// The smallest query found that differs, too, and how.
    async fn minimal(
        &self,
        query: &str,
        what: String,
        steps: Steps,
    ) -> anyhow::Result<(String, String)> {
        let (mut smallest, mut what) = (query.to_owned(), what);
        let mut asked = 0;
        'smaller: loop {
            for candidate in shrink::smaller(&smallest) {
                asked += 1;
                if asked > SHRINKS_MAX {
                    break 'smaller;
                }
                let (ours, theirs) = self.ask(&steps.path(&candidate)).await?;
                if self.unlike(&ours, &theirs).is_some()
                    && let Verdict::Different(how) = self.verdict(&candidate, steps).await?
                {
                    (smallest, what) = (candidate, how);
                    continue 'smaller;
                }
            }
            break;
        }
        Ok((smallest, what))
    }
}

enum Verdict {
    /// With the peer's answer.
    Equal(Value),
    Refused,
    Unsettled,
    Different(String),
}

/// Whether several series match one where only one may, which is an error now and was none before
/// Prometheus 3 if a comparison left at most one of them.
fn refused_since(ours: &Value, theirs: &Value) -> bool {
    let error = ours["error"].as_str().unwrap_or_default();
    error.starts_with("multiple matches for labels: ") && theirs["status"] == "success"
}

/// Warnings or infos in a comparable order.
fn notes(answer: &Value, kind: &str) -> Vec<String> {
    let texts = answer[kind].as_array().into_iter().flatten();
    let mut texts: Vec<String> = texts.filter_map(Value::as_str).map(uncounted).collect();
    texts.sort_unstable();
    texts
}

/// A note without the number of samples that were fixed: Prometheus's doubles with every step.
fn uncounted(text: &str) -> String {
    let found = text
        .split_once(", over ")
        .and_then(|(before, rest)| Some((before, rest.split_once(" samples from ")?.1)));
    match found {
        Some((before, after)) => format!("{before}, over some samples from {after}"),
        None => text.to_owned(),
    }
}
