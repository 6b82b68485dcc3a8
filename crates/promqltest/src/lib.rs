//! The test language of PromQL, and the runner of upstream's test data.
//!
//! A test file loads series and evaluates queries over them. [`run`] reads one and carries it out
//! against an engine over a store in memory, as upstream's own runner does: an instant query is
//! asked three more ways (pinned with `@` and asked at other times, and each as the middle of a
//! range query), so that one line of the file is up to a dozen evaluations.
//!
//! For development only; nothing that ships uses it.

mod expect;
mod nhcb;
pub mod openmetrics;
mod run;
mod start_times;
mod statement;
mod variants;

pub use expect::almost_equal;
pub use run::{Outcome, Verdict};

use std::sync::Arc;

use promql::{Engine, EngineOptions, Features};

/// Runs a file's text; one outcome for each `eval` and for each statement that cannot be read.
#[must_use]
pub fn run(text: &str, engine: &Engine) -> Vec<Outcome> {
    run::run(&statement::parse(text), engine)
}

/// The engine that upstream's files are written for: everything on, subqueries step by a minute.
#[must_use]
pub fn engine() -> Engine {
    let clock: clock::SharedClock = clock::SystemClock::shared();
    let registry = telemetry::Registry::new(Arc::clone(&clock));
    let mut options = EngineOptions::new(clock);
    options.features = Features {
        experimental_functions: true,
        extended_range_selectors: true,
        binop_fill_modifiers: true,
        delayed_name_removal: true,
        use_start_timestamps: true,
        ..Features::default()
    };
    Engine::new(options, &registry)
}
