//! Native histograms in the engine.
//!
//! What is done with single histograms, and with the samples of one series where there are
//! histograms among them. These ways are apart from those of floats: a histogram costs hundreds of
//! times what a float does, and series of floats must not pay for it with as much as a branch per
//! sample.
//!
//! Whether something is said about an operation, and in which words, is part of it: functions here
//! take the [`Annotations`] that they may add to.

pub(crate) mod extended;
pub(crate) mod operators;
pub(crate) mod quantiles;
pub(crate) mod ranges;
pub(crate) mod rates;
pub(crate) mod stats;
pub(crate) mod totals;

use model::FloatHistogram;
use model::histogram::{Combined, HistogramError};

use crate::annotations::{Annotations, Position};

/// Where annotations about a series go.
pub(crate) struct Notes<'a> {
    pub(crate) annotations: &'a mut Annotations,
    /// The metric's name.
    pub(crate) metric: &'a str,
    pub(crate) position: &'a Position,
}

impl Notes<'_> {
    pub(crate) fn not_a_counter(&mut self) {
        self.annotations
            .histogram_is_no_counter(self.metric, self.position);
    }

    pub(crate) fn not_a_gauge(&mut self) {
        self.annotations
            .histogram_is_no_gauge(self.metric, self.position);
    }

    pub(crate) fn mixed_with_floats(&mut self) {
        self.annotations
            .mixed_floats_and_histograms(self.metric, self.position);
    }

    fn start_overlaps(&mut self) {
        self.annotations
            .start_overlaps(self.metric, self.position, 1);
    }

    pub(crate) fn mixed_schemas(&mut self) {
        self.annotations
            .mixed_exponential_and_custom(self.metric, self.position);
    }

    fn ignored_in_range(&mut self) {
        self.annotations
            .histogram_ignored_in_range(self.metric, self.position);
    }

    /// Adds one to the other; none, with a warning, if that cannot be. Conflicting hints are not
    /// told of: who adds here deals with resets.
    fn add(&mut self, sum: &mut FloatHistogram, other: &FloatHistogram) -> Option<()> {
        let combined = sum.add(other);
        self.combined(combined, "addition")
    }

    /// Takes one from the other, in the same way.
    fn subtract(&mut self, from: &mut FloatHistogram, other: &FloatHistogram) -> Option<()> {
        let combined = from.subtract(other);
        self.combined(combined, "subtraction")
    }

    fn combined(
        &mut self,
        combined: Result<Combined, HistogramError>,
        operation: &str,
    ) -> Option<()> {
        match combined {
            Ok(combined) => {
                if combined.bounds_reconciled {
                    self.annotations.bounds_reconciled(operation, self.position);
                }
                Some(())
            }
            Err(_) => {
                self.mixed_schemas();
                None
            }
        }
    }
}
