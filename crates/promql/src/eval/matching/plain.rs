//! The usual case of matching: a series of floats meets one other, at all steps, and nobody else need
//! know. Such pairs do not depend on each other, so they are worked on by all threads.

use promql_syntax::ast::Cardinality;
use rayon::prelude::*;

use super::Matcher;
use crate::column::Series;
use crate::eval::Result;
use crate::eval::binary::{columns, is_trim};
use crate::stored::is_described;

/// What comes of one series of "many" that meets one series.
pub(super) enum Plain {
    Result(Series),
    Nothing,
    /// It is not that simple.
    Not,
}

/// Series between two looks whether the query is to end, and at least those of one task.
const CHECKED_SERIES: usize = 64;

/// Fewer values than this (series times steps) are worked on where they are needed.
const PARALLEL_VALUES_MIN: usize = 1 << 16;

impl Matcher<'_> {
    /// Whether all results surely have different labels: they are those of "many", which differ, and
    /// all lose the same name, and nothing else, if they lose any.
    pub(super) fn results_differ(&self) -> bool {
        let Some(first) = self.many.first() else {
            return true;
        };
        let name = first.labels.metric_name();
        self.matching.cardinality != Cardinality::OneToOne
            && self.matching.include.is_empty()
            && self.many.iter().all(|series| {
                let labels = &series.labels;
                labels.metric_name() == name && !is_described(labels)
            })
    }

    /// The results of all series of "many" that meet one series, `partner`, and need not be watched;
    /// on all threads if they are many.
    pub(super) fn plain_results(
        &mut self,
        partner: &(dyn Fn(usize) -> Option<usize> + Sync),
        pool: &rayon::ThreadPool,
        check: &(dyn Fn() -> Result<()> + Sync),
    ) -> Result<Vec<Plain>> {
        let mut many = std::mem::take(&mut self.many);
        let this = &*self;
        let result = |(at, series): (usize, &mut Series)| {
            if at.is_multiple_of(CHECKED_SERIES) {
                check()?;
            }
            Ok(match partner(at) {
                Some(one) => this.plain_result(series, &this.one[one]),
                None => Plain::Not,
            })
        };
        let plain = if many.len().saturating_mul(self.steps) < PARALLEL_VALUES_MIN {
            many.iter_mut().enumerate().map(result).collect()
        } else {
            pool.install(|| {
                let all = many.par_iter_mut().with_min_len(CHECKED_SERIES);
                all.enumerate().map(result).collect()
            })
        };
        self.many = many;
        plain
    }

    /// What comes of two series of floats. Takes the values of the first one.
    fn plain_result(&self, series: &mut Series, one: &Series) -> Plain {
        let has_histograms = series.column.has_histograms() || one.column.has_histograms();
        if has_histograms || is_trim(self.op) || self.fill_one().is_some() {
            return Plain::Not;
        }
        let column = std::mem::take(&mut series.column);
        let column = columns(self.op, self.return_bool, self.swapped, column, &one.column);
        if column.is_empty() {
            return Plain::Nothing;
        }
        let labels = self.result_labels(&series.labels, Some(&one.labels));
        Plain::Result(self.result(labels, column))
    }
}
