//! Functions that change or compare labels only.

use std::cmp::Ordering;

use gocompat::Regex;
use model::{Labels, LabelsBuilder, METRIC_NAME};

use super::{Evaluator, Result, Scope, execution, is_label_name, merge_same, text};
use crate::column::labels_bytes;
use crate::flow::Flow;
use crate::plan::Node;

impl<'q> Evaluator<'q> {
    pub(super) fn label_replace(&mut self, scope: &mut Scope, args: &[Node]) -> Result<Flow<'q>> {
        let target = text(&args[1])?;
        let template = text(&args[2])?;
        let source = text(&args[3])?;
        let pattern = text(&args[4])?;
        let regex = Regex::new_spliced(pattern).map_err(|_| {
            execution(format!(
                "invalid regular expression in label_replace(): {pattern}"
            ))
        })?;
        if !is_label_name(&args[1]) {
            return Err(execution(format!(
                "invalid destination label name in label_replace(): {target}"
            )));
        }
        self.relabel(scope, &args[0], target, |labels| {
            regex.expand(labels.get(source), template)
        })
    }

    pub(super) fn label_join(&mut self, scope: &mut Scope, args: &[Node]) -> Result<Flow<'q>> {
        let target = text(&args[1])?;
        let separator = text(&args[2])?;
        let sources = args[3..].iter().map(text).collect::<Result<Vec<&str>>>()?;
        if let Some(bad) = args[3..].iter().position(|name| !is_label_name(name)) {
            let bad = sources[bad];
            return Err(execution(format!(
                "invalid source label name in label_join(): {bad}"
            )));
        }
        if !is_label_name(&args[1]) {
            return Err(execution(format!(
                "invalid destination label name in label_join(): {target}"
            )));
        }
        self.relabel(scope, &args[0], target, |labels| {
            let values: Vec<&str> = sources.iter().map(|name| labels.get(name)).collect();
            Some(values.join(separator))
        })
    }

    /// Sets one label of all series for which there is a value.
    fn relabel(
        &mut self,
        scope: &mut Scope,
        arg: &Node,
        target: &str,
        value: impl Fn(&Labels) -> Option<String>,
    ) -> Result<Flow<'q>> {
        let mut set = self.series(scope, arg)?;
        let mut builder = LabelsBuilder::default();
        for series in &mut set.series {
            let Some(value) = value(&series.labels) else {
                continue;
            };
            // The value, and three times the labels: being built, as they were, as they will be.
            let bytes = value.len() + labels_bytes(&series.labels);
            set.charge.probe_bytes(4 * bytes)?;
            builder.reset(&series.labels);
            builder.set(target, &value);
            series.labels = builder.build();
            set.charge.add_bytes(labels_bytes(&series.labels))?;
            // A name that is set by hand stays.
            series.drop_name &= target != METRIC_NAME;
        }
        set.series.retain(|s| !s.column.is_empty());
        Ok(Flow::ready(merge_same(set)?))
    }
}

/// By the values of some labels, numbers in them by their size; then by all labels.
pub(super) fn natural_order(names: &[&str], a: &Labels, b: &Labels) -> Ordering {
    for name in names {
        let (left, right) = (a.get(name), b.get(name));
        if left == right {
            continue;
        }
        let order = natural(left, right);
        if order != Ordering::Equal {
            return order;
        }
    }
    a.cmp(b)
}

/// The order of two texts if runs of digits are compared as numbers.
fn natural(a: &str, b: &str) -> Ordering {
    let is_number = |chunk: &str| chunk.starts_with(|c: char| c.is_ascii_digit());
    let (mut left, mut right) = (chunks(a), chunks(b));
    loop {
        let (left, right) = match (left.next(), right.next()) {
            (None, None) => return Ordering::Equal,
            (None, Some(_)) => return Ordering::Less,
            (Some(_), None) => return Ordering::Greater,
            (Some(left), Some(right)) => (left, right),
        };
        let order = if is_number(left) && is_number(right) {
            let (left, right) = (left.trim_start_matches('0'), right.trim_start_matches('0'));
            left.len().cmp(&right.len()).then_with(|| left.cmp(right))
        } else {
            left.cmp(right)
        };
        if order != Ordering::Equal {
            return order;
        }
    }
}

/// Runs of digits, and what lies between them.
fn chunks(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let digits = rest.chars().next()?.is_ascii_digit();
        let end = rest
            .find(|c: char| c.is_ascii_digit() != digits)
            .unwrap_or(rest.len());
        let chunk;
        (chunk, rest) = rest.split_at(end);
        Some(chunk)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_in_texts_count_as_numbers() {
        for (a, b) in [
            ("cpu2", "cpu10"),
            ("2", "10"),
            ("a", "b"),
            ("a1b2", "a1b10"),
            ("a", "a1"),
            ("1.9", "1.10"),
        ] {
            assert_eq!(natural(a, b), Ordering::Less, "{a} {b}");
            assert_eq!(natural(b, a), Ordering::Greater, "{b} {a}");
        }
    }
}
