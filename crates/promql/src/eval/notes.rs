//! What is said about the series of a flow, and how their samples are counted, as they go by.

use model::Labels;

use super::{Result, Shared};
use crate::annotations::{Annotations, Position};
use crate::column::Scalar;
use crate::context::Counts;
use crate::flow::{Flow, Piece, Source};
use crate::source::Ranges;
use crate::window::RangeFunction;

/// Says what there is to say about the series of a flow, and counts their samples.
pub(super) struct Noter<'a, 'q> {
    flow: &'a Flow<'q>,
    shared: &'q Shared<'q>,
    /// The name that was looked at last: neighbours mostly share it.
    last_name: Option<String>,
}

impl<'a, 'q> Noter<'a, 'q> {
    pub(super) fn new(flow: &'a Flow<'q>, shared: &'q Shared<'q>) -> Self {
        Noter {
            flow,
            shared,
            last_name: None,
        }
    }

    pub(super) fn note(
        &mut self,
        index: usize,
        piece: &mut Piece,
        annotations: &mut Annotations,
        counts: &mut Counts,
    ) -> Result<()> {
        annotations.merge(std::mem::take(&mut piece.annotations));
        match &self.flow.source {
            Source::Ready(_) => {}
            Source::Instant(_) => counts.add_windows(&piece.windows, false),
            Source::Ranged(source) => {
                let computed = matches!(source.ranges, Ranges::Computed(..));
                counts.add_windows(&piece.windows, computed);
                self.shared
                    .budget
                    .probe(piece.windows.peak + piece.sourced)?;
                let labels = source.ranges.labels(index);
                if source.function == RangeFunction::QuantileOverTime {
                    note_quantiles(&source.arguments, piece, &source.position, annotations);
                }
                if source.function.is_for_counters() && piece.sourced > 0 {
                    self.note_counter(labels, &source.position, annotations);
                }
            }
        }
        Ok(())
    }

    fn note_counter(
        &mut self,
        labels: &Labels,
        position: &Position,
        annotations: &mut Annotations,
    ) {
        let name = labels.metric_name();
        if name.is_empty() {
            return;
        }
        if self.shared.features.type_and_unit_labels {
            let kind = labels.get("__type__");
            if !matches!(kind, "counter" | "histogram") {
                annotations.possible_non_counter_type(name, kind, position);
            }
            return;
        }
        if self.last_name.as_deref() == Some(name) {
            return;
        }
        self.last_name = Some(name.to_owned());
        let counts = ["_total", "_sum", "_count", "_bucket"];
        if !counts.iter().any(|suffix| name.ends_with(suffix)) {
            annotations.possible_non_counter(name, position);
        }
    }
}

/// Warns of quantiles that are none, where there is something to take them of.
fn note_quantiles(
    arguments: &[Scalar],
    piece: &Piece,
    position: &Position,
    annotations: &mut Annotations,
) {
    let Some(argument) = arguments.first() else {
        return;
    };
    let mut check = |q: f64| {
        if !(0.0..=1.0).contains(&q) {
            annotations.invalid_quantile(q, position);
        }
    };
    match argument {
        Scalar::Constant(q) if piece.sourced > 0 => check(*q),
        Scalar::Constant(_) => {}
        Scalar::Steps(_) => piece
            .column
            .iter()
            .for_each(|(step, _)| check(argument.at(step))),
    }
}
