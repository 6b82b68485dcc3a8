//! The server: flags, wiring, signals.
//!
//! [`flags`] reads the command line, [`settings`] and [`features`] resolve it, [`serve`] starts the
//! parts in their order and ends them in the reverse one, [`reload`] carries a configuration to the
//! parts that follow it. [`tools`] are the commands for data folders while no server runs.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "the command line talks to its user"
)]

mod features;
mod flags;
mod process_metrics;
mod query_files;
mod reload;
mod serve;
mod settings;
mod tools;

use std::process::ExitCode;

use flags::Request;

/// The Prometheus whose API, language and configuration this server speaks; clients compare it.
pub(crate) const VERSION: &str = "3.14.0";
/// Our own version.
pub(crate) const OWN_VERSION: &str = env!("CARGO_PKG_VERSION");

/// Returns memory to the system and keeps it less scattered than the system's own allocator over
/// weeks of scraping; how it is set up stands in `.cargo/config.toml`.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let Some(("tsdb", rest)) = arguments.split_first().map(|(a, rest)| (a.as_str(), rest)) {
        return match tools::run(rest) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => end(&format!("{error:#}"), 1),
        };
    }
    let flags = match flags::parse(&arguments) {
        Ok(Request::Serve(flags)) => flags,
        Ok(Request::Help) => {
            println!("{}", flags::help());
            return ExitCode::SUCCESS;
        }
        Ok(Request::Version) => {
            println!("promontory, version {OWN_VERSION} (compatible with Prometheus {VERSION})");
            return ExitCode::SUCCESS;
        }
        Err(refusal) => return end(&refusal.message, refusal.exit_code),
    };
    match serve::run(&flags) {
        Ok(()) => ExitCode::SUCCESS,
        Err(refusal) => end(&refusal.message, refusal.exit_code),
    }
}

fn end(message: &str, exit_code: u8) -> ExitCode {
    eprintln!("{message}");
    ExitCode::from(exit_code)
}
