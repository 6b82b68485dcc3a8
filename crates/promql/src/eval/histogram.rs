//! Functions over histograms, classic and native ones.
//!
//! Classic are those of floats: series that differ in `le` are buckets of one histogram. Where a
//! native histogram has the very labels of a classic one, nothing is said of either.

use std::collections::HashMap;

use gocompat::strconv::{format_float_g, parse_float};
use model::{FloatHistogram, Labels, LabelsBuilder};

use super::{Evaluator, Result, Scope, text};
use crate::annotations::Annotations;
use crate::classic::{self, Bucket};
use crate::column::{ABSENT, Column, Scalar, Series, is_metadata_label, is_present, labels_bytes};
use crate::context::EVALUATION;
use crate::flow::{Flow, SeriesSet};
use crate::native::{Notes, quantiles};
use crate::plan::Node;
use crate::point::Histogram;

/// The label that holds the upper bound of a bucket.
const BUCKET_LABEL: &str = "le";

/// The buckets of one histogram.
struct Classic {
    /// Without `le`.
    labels: Labels,
    /// Upper bound, and the series.
    buckets: Vec<(f64, usize)>,
    /// Steps at which a native histogram has the same labels, sorted.
    disputed: Vec<usize>,
}

impl Classic {
    /// The buckets that have a value at a step.
    fn at(&self, step: usize, series: &[Series], out: &mut Vec<Bucket>) {
        out.clear();
        if self.disputed.binary_search(&step).is_ok() {
            return;
        }
        for &(upper, at) in &self.buckets {
            let count = series[at].column.get(step);
            if is_present(count) {
                out.push(Bucket { upper, count });
            }
        }
    }
}

/// Native histograms of one series.
struct Native {
    labels: Labels,
    steps: Vec<(usize, Histogram)>,
}

/// What a classic histogram takes besides its labels and buckets: its place in the list, which may
/// be half empty, and an entry of the table by labels.
const CLASSIC_BYTES: usize = 2 * (size_of::<Classic>() + size_of::<(Labels, usize)>() + 1);
/// What one of its buckets takes, of a list that may be half empty.
const BUCKET_BYTES: usize = 2 * size_of::<(f64, usize)>();

/// All histograms of a vector.
#[derive(Default)]
struct Histograms {
    classic: Vec<Classic>,
    native: Vec<Native>,
}

impl<'q> Evaluator<'q> {
    /// Finds the histograms in a vector. What is no bucket is left out with a warning.
    fn histograms(&mut self, set: &mut SeriesSet<'q>, arg: &Node) -> Result<Histograms> {
        let mut by_labels: HashMap<Labels, usize> = HashMap::new();
        let mut found = Histograms::default();
        for (at, series) in set.series.iter().enumerate() {
            if series.column.has_histograms() {
                let entries = size_of_val(series.column.histograms());
                set.charge.add_bytes(entries + 2 * size_of::<Native>())?;
                found.native.push(Native {
                    labels: series.labels.clone(),
                    steps: series.column.histograms().to_vec(),
                });
            }
            if series.column.present() == 0 {
                continue;
            }
            let le = series.labels.get(BUCKET_LABEL);
            let Ok(upper) = parse_float(le) else {
                let name = self.told_name(&series.labels).to_owned();
                self.annotations.bad_bucket_label(&name, le, &arg.position);
                continue;
            };
            let labels = series.labels.without(|name| name == BUCKET_LABEL);
            if !by_labels.contains_key(&labels) {
                set.charge
                    .add_bytes(labels_bytes(&labels) + CLASSIC_BYTES)?;
            }
            set.charge.add_bytes(BUCKET_BYTES)?;
            let index = *by_labels.entry(labels).or_insert_with_key(|labels| {
                found.classic.push(Classic {
                    labels: labels.clone(),
                    buckets: Vec::new(),
                    disputed: Vec::new(),
                });
                found.classic.len() - 1
            });
            found.classic[index].buckets.push((upper, at));
        }
        for native in &mut found.native {
            if let Some(&index) = by_labels.get(&native.labels) {
                self.dispute(&mut found.classic[index], native, set, arg);
            }
        }
        Ok(found)
    }

    /// Takes out the steps at which both have something.
    fn dispute(
        &mut self,
        classic: &mut Classic,
        native: &mut Native,
        set: &SeriesSet<'q>,
        arg: &Node,
    ) {
        let has_bucket = |step: usize| {
            let mut buckets = classic.buckets.iter();
            buckets.any(|&(_, at)| is_present(set.series[at].column.get(step)))
        };
        let steps = native.steps.iter().map(|(step, _)| *step);
        let disputed: Vec<usize> = steps.filter(|&step| has_bucket(step)).collect();
        if disputed.is_empty() {
            return;
        }
        let name = self.told_name(&native.labels).to_owned();
        self.annotations
            .mixed_classic_and_native(&name, &arg.position);
        native
            .steps
            .retain(|(step, _)| disputed.binary_search(step).is_err());
        classic.disputed.extend(disputed);
        classic.disputed.sort_unstable();
    }

    /// The metric's name as annotations tell it: only if it is still there at this point.
    fn told_name<'l>(&self, labels: &'l Labels) -> &'l str {
        if self.delayed() {
            labels.metric_name()
        } else {
            ""
        }
    }

    /// A number of each native histogram.
    fn of_natives(
        &mut self,
        scope: &Scope,
        natives: &[Native],
        arg: &Node,
        number: impl Fn(usize, &FloatHistogram, &mut Notes<'_>) -> f64,
    ) -> Result<SeriesSet<'q>> {
        let mut annotations = Annotations::default();
        let mut out = SeriesSet::with_capacity(natives.len(), self.shared.budget)?;
        for native in natives {
            self.shared.deadline.check(EVALUATION)?;
            out.charge.probe_bytes(scope.steps.bytes())?;
            let mut notes = Notes {
                annotations: &mut annotations,
                metric: self.told_name(&native.labels),
                position: &arg.position,
            };
            let mut values = vec![ABSENT; scope.steps.count];
            for (step, histogram) in &native.steps {
                values[*step] = number(*step, histogram, &mut notes);
            }
            out.push(self.of_histogram(&native.labels, values))?;
        }
        self.annotations.merge(annotations);
        Ok(out)
    }

    fn of_histogram(&self, labels: &Labels, values: Vec<f64>) -> Series {
        Series {
            labels: if self.delayed() {
                labels.clone()
            } else {
                labels.without(is_metadata_label)
            },
            drop_name: true,
            column: Column::from_steps(values),
        }
    }

    /// Quantiles of all histograms at all steps.
    fn quantiles(
        &mut self,
        scope: &Scope,
        set: &SeriesSet<'q>,
        histograms: &Histograms,
        q: &Scalar,
        arg: &Node,
    ) -> Result<SeriesSet<'q>> {
        let steps = scope.steps;
        let of_native = |step: usize, histogram: &FloatHistogram, notes: &mut Notes<'_>| {
            quantiles::quantile(q.at(step), histogram, notes)
        };
        let mut out = self.of_natives(scope, &histograms.native, arg, of_native)?;
        let mut buckets = Vec::new();
        for histogram in &histograms.classic {
            self.shared.deadline.check(EVALUATION)?;
            out.charge.probe_bytes(steps.bytes())?;
            let mut values = vec![ABSENT; steps.count];
            for (step, value) in values.iter_mut().enumerate() {
                histogram.at(step, &set.series, &mut buckets);
                if buckets.is_empty() {
                    continue;
                }
                let (quantile, repair) = classic::quantile(q.at(step), &mut buckets);
                *value = quantile;
                if let Some(repair) = repair {
                    let name = self.told_name(&histogram.labels);
                    let repair = repair.at(steps.at(step));
                    self.annotations
                        .forced_monotonicity(name, &arg.position, repair);
                }
            }
            out.push(self.of_histogram(&histogram.labels, values))?;
        }
        Ok(out)
    }

    fn check_quantile(&mut self, q: &Scalar, arg: &Node, steps: usize) {
        let count = if matches!(q, Scalar::Constant(_)) {
            1
        } else {
            steps
        };
        for q in (0..count).map(|step| q.at(step)) {
            if !(0.0..=1.0).contains(&q) {
                self.annotations.invalid_quantile(q, &arg.position);
            }
        }
    }

    pub(super) fn histogram_quantile(
        &mut self,
        scope: &mut Scope,
        args: &[Node],
    ) -> Result<Flow<'q>> {
        let q = self.scalar(scope, &args[0])?;
        let mut set = self.series(scope, &args[1])?;
        self.check_quantile(&q, &args[0], scope.steps.count);
        let histograms = self.histograms(&mut set, &args[1])?;
        let series = self.quantiles(scope, &set, &histograms, &q, &args[1])?;
        Ok(Flow::ready(self.settled(scope, series)?))
    }

    pub(super) fn histogram_quantiles(
        &mut self,
        scope: &mut Scope,
        args: &[Node],
    ) -> Result<Flow<'q>> {
        let mut set = self.series(scope, &args[0])?;
        let label = text(&args[1])?;
        let mut qs = Vec::new();
        for arg in &args[2..] {
            let q = self.scalar(scope, arg)?;
            self.check_quantile(&q, arg, scope.steps.count);
            qs.push(q);
        }
        let histograms = self.histograms(&mut set, &args[0])?;
        let mut series = self.empty();
        for q in &qs {
            let of_q = self.quantiles(scope, &set, &histograms, q, &args[0])?;
            for one in &of_q.series {
                label_with_quantile(one, label, q, &mut series)?;
            }
        }
        Ok(Flow::ready(self.settled(scope, series)?))
    }

    pub(super) fn histogram_fraction(
        &mut self,
        scope: &mut Scope,
        args: &[Node],
    ) -> Result<Flow<'q>> {
        let lower = self.scalar(scope, &args[0])?;
        let upper = self.scalar(scope, &args[1])?;
        let mut set = self.series(scope, &args[2])?;
        let histograms = self.histograms(&mut set, &args[2])?;
        let of_native = |step: usize, histogram: &FloatHistogram, notes: &mut Notes<'_>| {
            quantiles::fraction(lower.at(step), upper.at(step), histogram, notes)
        };
        let mut series = self.of_natives(scope, &histograms.native, &args[2], of_native)?;
        let mut buckets = Vec::new();
        for histogram in &histograms.classic {
            self.shared.deadline.check(EVALUATION)?;
            series.charge.probe_bytes(scope.steps.bytes())?;
            let mut values = vec![ABSENT; scope.steps.count];
            for (step, value) in values.iter_mut().enumerate() {
                histogram.at(step, &set.series, &mut buckets);
                if !buckets.is_empty() {
                    *value = classic::fraction(lower.at(step), upper.at(step), &mut buckets);
                }
            }
            series.push(self.of_histogram(&histogram.labels, values))?;
        }
        Ok(Flow::ready(self.settled(scope, series)?))
    }
}

/// Tells quantiles apart by a label; where the quantile changes over time, so does the label.
fn label_with_quantile(
    series: &Series,
    label: &str,
    q: &Scalar,
    out: &mut SeriesSet<'_>,
) -> Result<()> {
    let mut with = |q: f64, column: Column| {
        let mut builder = LabelsBuilder::new(&series.labels);
        builder.set(label, &open_metrics_float(q));
        out.push(Series {
            labels: builder.build(),
            drop_name: series.drop_name,
            column,
        })
    };
    if let Scalar::Constant(q) = q {
        return with(*q, series.column.clone());
    }
    for (step, value) in series.column.iter() {
        with(q.at(step), Column::single(step, value))?;
    }
    Ok(())
}

/// As OpenMetrics prints the quantile of a summary: whole numbers with `.0`.
fn open_metrics_float(value: f64) -> String {
    let text = format_float_g(value);
    if value.is_finite() && !text.contains(['.', 'e']) {
        text + ".0"
    } else {
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_print_as_in_openmetrics() {
        for (value, text) in [(0.5, "0.5"), (1.0, "1.0"), (0.0, "0.0"), (1e-9, "1e-09")] {
            assert_eq!(open_metrics_float(value), text);
        }
        assert_eq!(open_metrics_float(f64::INFINITY), "+Inf");
    }
}
