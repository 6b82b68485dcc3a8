//! `cargo xtask`: everything that is done to the project, in one place.
//!
//! It only starts other programs, so that it builds in a second; what a command runs stands in the
//! crate that it is about.

#![allow(clippy::print_stdout, reason = "a tool talks to its user")]

mod proof;
mod tidy;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context as _, bail};

const USAGE: &str = "usage: cargo xtask COMMAND

  run [FLAGS]        build the page and the server, and start it; FLAGS are the server's
  test               all tests: Rust, and the page's if Node is there
  check              formatting, lints, structure
  tidy               structure only: dependency directions, file sizes, documents
  ui                 build the page (needs Node 20 or newer)
  e2e                drive the page in headless Chromium against the server scraping a node_exporter
  conformance        upstream's test data; PROMONTORY_CONFORMANCE names its folder
  compare            the same scrapes and queries to Promontory and Prometheus; PROMETHEUS names its binary
  generated          random queries to Promontory and Prometheus over the same blocks: --seed --queries
                     --features --wait-seconds; PROMETHEUS names its binary
  migrate            the data of a real Prometheus into our format and back; PROMETHEUS and PROMTOOL
                     name its binaries
  bench ingest       CPU, memory and disk of scraping a fleet: --hosts --containers --interval --seconds
                     --churn --jitter-ms --history --against prometheus
  bench restart      how long a crash and a clean stop blind a server: --hosts --containers --churn
                     --interval --rows --against prometheus
  bench query        dashboards' queries over hours of a fleet: --hosts --containers --hours --runs
                     --keep FOLDER (data for the next run) --against prometheus,victoriametrics
  bench storage      bytes a sample and a series, look-ups: --hosts --scrapes --recording FOLDER
                     --record-seconds (0: nothing recorded) --against prometheus,victoriametrics
  record             scrape real pages for `bench storage`: --targets name=url,... --interval-ms
                     --seconds --folder
  bench CRATE        the micro benches of one crate
  kill               SIGKILLs of the real server under load: --times
  fuzz TARGET        a fuzz target (or `all`) from seeds that the code writes: --seconds
  shuttle            the storage's concurrent parts under a model checker
  sanitize WHICH     the storage's tests under the sanitizer `address` or `thread`
  ci                 all of the above that a machine without a network can do";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match dispatch(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn dispatch(arguments: &[String]) -> anyhow::Result<()> {
    let (command, rest) = arguments.split_first().context(USAGE)?;
    match command.as_str() {
        "run" => run(rest),
        "test" => test(),
        "check" => check(),
        "tidy" => tidy::tidy(&root()),
        "ui" => ui(),
        "e2e" => e2e(),
        "conformance" => conformance(),
        "compare" => compare(),
        "generated" => generated(rest),
        "migrate" => migrate(),
        "bench" => bench(rest),
        "kill" => proof::kill(rest),
        "fuzz" => proof::fuzz(rest),
        "shuttle" => proof::shuttle(),
        "sanitize" => proof::sanitize(rest),
        "record" => {
            let arguments: Vec<&str> = rest.iter().map(String::as_str).collect();
            bench_binary("record", &arguments)
        }
        "ci" => ci(),
        _ => bail!("unknown command {command:?}\n{USAGE}"),
    }
}

/// The project's folder.
fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent()
        .map_or_else(|| here.to_path_buf(), Path::to_path_buf)
}

/// Where cargo puts what it builds.
fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from)
}

/// Runs a program in the project's folder and fails if it fails.
fn sh(program: &str, arguments: &[&str]) -> anyhow::Result<()> {
    sh_in(&root(), program, arguments)
}

fn sh_in(folder: &Path, program: &str, arguments: &[&str]) -> anyhow::Result<()> {
    println!("+ {program} {}", arguments.join(" "));
    let status = Command::new(program)
        .args(arguments)
        .current_dir(folder)
        .status()
        .with_context(|| format!("start {program}"))?;
    if !status.success() {
        bail!("{program} {} ended with {status}", arguments.join(" "));
    }
    Ok(())
}

fn has(program: &str) -> bool {
    Command::new(program)
        .arg("--version")
        .output()
        .is_ok_and(|output| output.status.success())
}

fn run(flags: &[String]) -> anyhow::Result<()> {
    if has("npm") {
        ui()?;
    } else {
        println!("npm is not installed: the server will serve a notice instead of the page");
    }
    let binary = server("release")?;
    println!("+ {} {}", binary.display(), flags.join(" "));
    let status = Command::new(&binary)
        .args(flags)
        .status()
        .context("start the server")?;
    if !status.success() {
        bail!("the server ended with {status}");
    }
    Ok(())
}

/// Builds the server and returns its path.
fn server(profile: &str) -> anyhow::Result<PathBuf> {
    sh(
        "cargo",
        &[
            "build",
            "--locked",
            "--profile",
            profile,
            "-p",
            "promontory",
        ],
    )?;
    let folder = if profile == "dev" { "debug" } else { profile };
    Ok(target().join(folder).join("promontory"))
}

fn ui() -> anyhow::Result<()> {
    install_ui()?;
    sh_in(&root().join("ui"), "npm", &["run", "build"])
}

/// Installs the page's packages unless they are there and match the lock file.
fn install_ui() -> anyhow::Result<()> {
    let ui = root().join("ui");
    let stamp = ui.join("node_modules/.package-lock.json");
    let lock = ui.join("package-lock.json");
    let modified = |path: &Path| path.metadata().and_then(|m| m.modified()).ok();
    if modified(&stamp).is_some() && modified(&stamp) >= modified(&lock) {
        return Ok(());
    }
    sh_in(&ui, "npm", &["ci", "--no-audit", "--no-fund"])
}

fn test() -> anyhow::Result<()> {
    if has("npm") {
        ui()?;
        sh_in(&root().join("ui"), "npm", &["test"])?;
    } else {
        println!("npm is not installed: the page's tests are skipped");
    }
    sh("cargo", &["test", "--locked", "--workspace"])
}

fn check() -> anyhow::Result<()> {
    sh("cargo", &["fmt", "--all", "--check"])?;
    tidy::tidy(&root())?;
    let clippy = [
        "clippy",
        "--locked",
        "--workspace",
        "--all-targets",
        "--",
        "-D",
        "warnings",
    ];
    sh("cargo", &clippy)?;
    if has("npm") {
        install_ui()?;
        sh_in(&root().join("ui"), "npm", &["run", "check"])?;
    }
    Ok(())
}

fn conformance() -> anyhow::Result<()> {
    let Some(folder) = std::env::var_os("PROMONTORY_CONFORMANCE") else {
        println!(
            "skipped: PROMONTORY_CONFORMANCE does not name the folder of upstream's test data"
        );
        return Ok(());
    };
    let folder = std::fs::canonicalize(&folder)
        .with_context(|| format!("PROMONTORY_CONFORMANCE={}", folder.display()))?;
    let folder = folder.display().to_string();
    let run = [
        "run",
        "--locked",
        "-p",
        "promqltest",
        "--bin",
        "conformance",
        "--",
        &folder,
    ];
    sh("cargo", &run)
}

/// The Prometheus to compare with: `PROMETHEUS`, or the one on the path.
fn prometheus() -> String {
    std::env::var("PROMETHEUS").unwrap_or_else(|_| "prometheus".to_owned())
}

/// The VictoriaMetrics to compare with: `VICTORIAMETRICS`, or the one on the path.
fn victoriametrics() -> String {
    std::env::var("VICTORIAMETRICS").unwrap_or_else(|_| "victoria-metrics".to_owned())
}

fn compare() -> anyhow::Result<()> {
    let prometheus = prometheus();
    if !has(&prometheus) {
        println!("skipped: no {prometheus} here; PROMETHEUS names another binary");
        return Ok(());
    }
    let promontory = server("bench-fast")?.display().to_string();
    let arguments = ["--promontory", &promontory, "--prometheus", &prometheus];
    bench_binary("compare", &arguments)
}

/// Asks both servers random queries.
fn generated(arguments: &[String]) -> anyhow::Result<()> {
    let prometheus = prometheus();
    if !has(&prometheus) {
        println!("skipped: no {prometheus} here; PROMETHEUS names another binary");
        return Ok(());
    }
    let promontory = server("bench-fast")?.display().to_string();
    let mut all = vec!["--promontory", &promontory, "--prometheus", &prometheus];
    all.extend(arguments.iter().map(String::as_str));
    bench_binary("generated", &all)
}

/// Carries the data of a Prometheus over and back.
fn migrate() -> anyhow::Result<()> {
    let prometheus = prometheus();
    let promtool = std::env::var("PROMTOOL").unwrap_or_else(|_| "promtool".to_owned());
    for program in [&prometheus, &promtool] {
        if !has(program) {
            println!("skipped: no {program} here; PROMETHEUS and PROMTOOL name other binaries");
            return Ok(());
        }
    }
    let promontory = server("bench-fast")?.display().to_string();
    let arguments = [
        "--promontory",
        &promontory,
        "--prometheus",
        &prometheus,
        "--promtool",
        &promtool,
    ];
    bench_binary("migrate", &arguments)
}

fn bench(arguments: &[String]) -> anyhow::Result<()> {
    let (what, rest) = arguments.split_first().context(USAGE)?;
    if what == "storage" {
        return bench_storage(rest);
    }
    if !["ingest", "restart", "query"].contains(&what.as_str()) {
        return sh("cargo", &["bench", "--locked", "-p", what]);
    }
    // What is shipped, where the last percent counts; the others compare orders of magnitude.
    let profile = if what == "ingest" {
        "release"
    } else {
        "bench-fast"
    };
    let promontory = server(profile)?.display().to_string();
    let mut all = vec!["--promontory", &promontory];
    let prometheus = prometheus();
    let victoriametrics = victoriametrics();
    let mut rest = rest.iter().map(String::as_str);
    while let Some(argument) = rest.next() {
        if argument != "--against" {
            all.push(argument);
            continue;
        }
        for peer in rest.next().context("--against needs names")?.split(',') {
            match peer {
                "prometheus" => all.extend(["--prometheus", &prometheus]),
                "victoriametrics" if what == "query" => {
                    all.extend(["--victoriametrics", &victoriametrics]);
                }
                other => bail!("bench {what} cannot be run against {other}"),
            }
        }
    }
    bench_binary(what, &all)
}

/// Needs no server of ours: blocks are written by the library.
fn bench_storage(arguments: &[String]) -> anyhow::Result<()> {
    let named = |variable: &str, default: &str| -> anyhow::Result<String> {
        let program = std::env::var(variable).unwrap_or_else(|_| default.to_owned());
        let found = Command::new("sh")
            .args(["-c", &format!("command -v '{program}'")])
            .output()?;
        let path = String::from_utf8_lossy(&found.stdout).trim().to_owned();
        match path.is_empty() {
            true => bail!("no {program} here; {variable} names another binary"),
            false => Ok(path),
        }
    };
    let mut all: Vec<String> = Vec::new();
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        if argument != "--against" {
            all.push(argument.clone());
            continue;
        }
        let peers = rest.next().context("--against needs names")?;
        for peer in peers.split(',') {
            let (flag, path) = match peer {
                "prometheus" => ("--promtool", named("PROMTOOL", "promtool")?),
                "victoriametrics" => (
                    "--victoriametrics",
                    named("VICTORIAMETRICS", "victoria-metrics")?,
                ),
                other => bail!("--against takes prometheus and victoriametrics, not {other}"),
            };
            all.extend([flag.to_owned(), path]);
        }
    }
    let arguments: Vec<&str> = all.iter().map(String::as_str).collect();
    bench_binary("storage", &arguments)
}

fn bench_binary(command: &str, arguments: &[&str]) -> anyhow::Result<()> {
    let mut all = vec![
        "run",
        "--locked",
        "--profile",
        "bench-fast",
        "-p",
        "bench",
        "--",
        command,
    ];
    all.extend(arguments);
    sh("cargo", &all)
}

fn e2e() -> anyhow::Result<()> {
    ui()?;
    let promontory = server("bench-fast")?.display().to_string();
    bench_binary("e2e", &["--promontory", &promontory, "--ui", "ui"])
}

fn ci() -> anyhow::Result<()> {
    check()?;
    proof::fuzz_check()?;
    test()?;
    conformance()?;
    compare()?;
    generated(&[])?;
    migrate()?;
    e2e()
}
