//! Whole pools against a store in memory, with targets that answer by a script and a clock that
//! jumps from one timer to the next.

mod besides;
mod failures;
mod histograms;
mod life;
mod loopback;
mod pools;
mod samples;
mod support;
