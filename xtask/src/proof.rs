//! Proofs that take longer than tests may: fuzzing, sanitizers, many kills.
//!
//! Sanitizers and the fuzzer's instrumentation are unstable options of the compiler;
//! `RUSTC_BOOTSTRAP` lets the stable one take them, so that nothing has to be installed.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, bail};

use crate::{root, target};

/// The only platform on which this is run.
const TRIPLE: &str = "x86_64-unknown-linux-gnu";

/// Names of the targets in `fuzz/fuzz_targets`.
const FUZZ_TARGETS: &[&str] = &[
    "wal",
    "chunks",
    "block",
    "index",
    "snapshot",
    "codec",
    "promblock",
    "exposition",
    "promql",
    "promql_engine",
];

/// What libFuzzer needs the compiler to put in: counters, comparisons, and the address sanitizer.
const FUZZ_FLAGS: &str = "--cfg fuzzing -Cpasses=sancov-module \
    -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
    -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares \
    -Zsanitizer=address -Ccodegen-units=1";

/// Crates whose tests run under sanitizers: those with `unsafe`, and those that stand on them.
const SANITIZED: &[&str] = &["disk", "codec", "storage", "tsdb"];

/// Parts of names of tests that run under no sanitizer, and why.
const LEFT_OUT: &[(&str, &str)] = &[
    ("sweep::every_fault_of_a_life", SWEEP),
    ("sweep::every_fault_with_a_sync_for_every_batch", SWEEP),
    ("durability::every_fault_at_every_operation", SWEEP),
    ("durability::faults_while_blocks_are_written", SWEEP),
    ("durability::faults_with_a_sync_for_every_batch", SWEEP),
    ("changes::faults_lose_nothing_and_bring_nothing_back", SWEEP),
    ("flips::every_flipped_bit_is_found_or_harmless", SWEEP),
    ("answers_as_the_obvious_store", RANDOM),
];

/// The same for the sanitizer of threads, beside those.
const LEFT_OUT_OF_THREAD: &[(&str, &str)] = &[
    (
        "block::tests::every_flipped_bit_is_noticed_or_harmless",
        SWEEP,
    ),
    ("row::tests::round_trips", RANDOM),
];

const SWEEP: &str =
    "the same once for every fault or bit, no two on one disk; other tests do it once";
const RANDOM: &str = "one thread does the same for many random cases; other tests do it once";

/// Runs a command and fails if it fails.
fn run(command: &mut Command) -> anyhow::Result<()> {
    println!("+ {command:?}");
    let status = command.status().context("start")?;
    if !status.success() {
        bail!("{command:?} ended with {status}");
    }
    Ok(())
}

/// The value of a flag.
fn flag<'a>(arguments: &'a [String], name: &str) -> Option<&'a str> {
    let at = arguments.iter().position(|argument| argument == name)?;
    arguments.get(at + 1).map(String::as_str)
}

/// `kill --times N`: SIGKILLs of the real server under load.
pub(crate) fn kill(arguments: &[String]) -> anyhow::Result<()> {
    let times = flag(arguments, "--times").unwrap_or("300");
    let mut command = Command::new("cargo");
    command.args(["test", "--locked", "-p", "promontory", "--test", "it"]);
    command.args(["kill::", "--", "--nocapture"]);
    run(command.current_dir(root()).env("PROMONTORY_KILLS", times))
}

/// `fuzz TARGET|all --seconds N`: each target from a corpus that the real code writes and that
/// grows from run to run.
pub(crate) fn fuzz(arguments: &[String]) -> anyhow::Result<()> {
    let names = FUZZ_TARGETS.join(", ");
    let name = arguments.first().map_or("", String::as_str);
    let targets = match name {
        "all" => FUZZ_TARGETS,
        name => match FUZZ_TARGETS.iter().position(|known| *known == name) {
            Some(at) => &FUZZ_TARGETS[at..=at],
            None => bail!("fuzz takes `all` or one of {names}, not {name:?}"),
        },
    };
    let seconds = flag(arguments, "--seconds").unwrap_or("600");
    let folder = root().join("fuzz");
    let built = target().join("fuzz");
    let mut build = Command::new("cargo");
    // Not locked: its lock file is of a workspace of its own and follows ours later.
    build.args(["build", "--release", "--bins"]);
    build.args(["--target", TRIPLE, "--target-dir"]).arg(&built);
    instrument(&mut build, FUZZ_FLAGS);
    run(build.current_dir(&folder))?;
    let binaries = built.join(TRIPLE).join("release");
    let corpus = folder.join("corpus");
    run(Command::new(binaries.join("seeds")).arg(&corpus))?;
    for name in targets {
        fuzz_one(&binaries.join(name), &corpus.join(name), seconds)?;
    }
    Ok(())
}

/// That the fuzz targets still fit the code that they are about.
pub(crate) fn fuzz_check() -> anyhow::Result<()> {
    let mut check = Command::new("cargo");
    check.args(["check", "--bins", "--target-dir"]);
    check.arg(target().join("fuzz-check"));
    run(check.current_dir(root().join("fuzz")))
}

fn fuzz_one(binary: &Path, corpus: &Path, seconds: &str) -> anyhow::Result<()> {
    let name = binary.file_name().unwrap_or_default();
    let artifacts = root().join("fuzz/artifacts").join(name);
    std::fs::create_dir_all(&artifacts)?;
    let mut command = Command::new(binary);
    command
        .arg(corpus)
        .arg(format!("-max_total_time={seconds}"));
    command.arg(format!("-artifact_prefix={}/", artifacts.display()));
    // 16 KiB hold every seed; no input takes a second where the machine has nothing else to do.
    command.args(["-max_len=16384", "-timeout=25", "-print_final_stats=1"]);
    run(&mut command)
}

/// `sanitize address|thread`: the storage's tests with a sanitizer.
pub(crate) fn sanitize(arguments: &[String]) -> anyhow::Result<()> {
    let name = arguments.first().map_or("", String::as_str);
    let mut command = Command::new("cargo");
    command.args(["test", "--locked", "--no-fail-fast", "--lib", "--tests"]);
    command.args(SANITIZED.iter().flat_map(|name| ["-p", name]));
    let mut left_out = LEFT_OUT.to_vec();
    match name {
        "address" => {
            command.env("ASAN_OPTIONS", "detect_stack_use_after_return=1");
        }
        "thread" => {
            // The standard library is built with it, too. Where its atomics are not seen, every
            // channel and every last owner of an `Arc` looks like a race.
            command.arg("-Zbuild-std");
            let suppressions = root().join("xtask/tsan.supp");
            let options = format!("suppressions={}", suppressions.display());
            command.env("TSAN_OPTIONS", options);
            left_out.extend(LEFT_OUT_OF_THREAD);
        }
        _ => bail!("sanitize takes `address` or `thread`, not {name:?}"),
    }
    let built = target().join("sanitize").join(name);
    command
        .args(["--target", TRIPLE, "--target-dir"])
        .arg(built);
    command.arg("--");
    for (test, reason) in left_out {
        println!("left out: {test}: {reason}");
        command.args(["--skip", test]);
    }
    instrument(&mut command, &format!("-Zsanitizer={name}"));
    // What is parallel is so on a small machine, too.
    command.env("RAYON_NUM_THREADS", "4");
    run(command.current_dir(root()))
}

/// `shuttle`: the concurrent parts of the storage under a model checker.
pub(crate) fn shuttle() -> anyhow::Result<()> {
    for (tests, filter) in [(["--lib", "--"], "model_of"), (["--test", "model"], "")] {
        let mut command = Command::new("cargo");
        command.args(["test", "--locked", "-p", "tsdb", "--features", "shuttle"]);
        command
            .args(tests)
            .args((!filter.is_empty()).then_some(filter));
        run(command.current_dir(root()))?;
    }
    Ok(())
}

/// Lets the compiler that is there take unstable flags, for the target and not for build scripts.
fn instrument(command: &mut Command, flags: &str) {
    command.env("RUSTC_BOOTSTRAP", "1").env("RUSTFLAGS", flags);
}
