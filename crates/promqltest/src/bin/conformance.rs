//! Upstream's test data against our parser, engine and exposition parser: a row for each file, what
//! differs below it, and `N passed, N failed` at the end.

#![allow(clippy::print_stdout, reason = "a tool talks to its user")]

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use promqltest::{Outcome, Verdict};

#[derive(Default)]
struct Tally {
    passed: usize,
    failed: usize,
}

fn main() -> ExitCode {
    let folder = std::env::args().nth(1).map(PathBuf::from);
    let only = std::env::args().nth(2);
    match folder
        .context("which folder?")
        .and_then(|folder| all(&folder, only.as_deref()))
    {
        Ok(tally) => {
            println!("{} passed, {} failed", tally.passed, tally.failed);
            if tally.failed == 0 {
                ExitCode::SUCCESS
            } else {
                ExitCode::FAILURE
            }
        }
        Err(error) => {
            println!("conformance: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn all(folder: &Path, only: Option<&str>) -> anyhow::Result<Tally> {
    let mut tally = Tally::default();
    let engine = promqltest::engine();
    for file in files(&folder.join("promqltest"))? {
        let name = file
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        if only.is_some_and(|only| !name.contains(only)) {
            continue;
        }
        let text = std::fs::read_to_string(&file)?;
        report(&name, &promqltest::run(&text, &engine), &mut tally);
    }
    if only.is_none_or(|only| "openmetrics".contains(only)) {
        let outcomes = promqltest::openmetrics::run(&folder.join("openmetrics"))?;
        report("openmetrics", &outcomes, &mut tally);
    }
    Ok(tally)
}

/// The files of a folder, sorted.
fn files(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let entries =
        std::fs::read_dir(folder).with_context(|| format!("read {}", folder.display()))?;
    let mut files = entries
        .map(|entry| entry.map(|e| e.path()))
        .collect::<Result<Vec<_>, _>>()?;
    files.sort();
    Ok(files)
}

fn report(name: &str, outcomes: &[Outcome], tally: &mut Tally) {
    let mut own = Tally::default();
    let mut lines = Vec::new();
    for outcome in outcomes {
        let Outcome {
            line,
            text,
            verdict,
        } = outcome;
        match verdict {
            Verdict::Passed => own.passed += 1,
            Verdict::Failed(why) => {
                own.failed += 1;
                lines.push(format!("  FAILED  {name}:{line}: {text}\n          {why}"));
            }
        }
    }
    println!("{name:28} {:5} passed {:5} failed", own.passed, own.failed);
    for line in lines {
        println!("{line}");
    }
    tally.passed += own.passed;
    tally.failed += own.failed;
}
