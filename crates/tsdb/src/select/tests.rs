use std::collections::{BTreeMap, BTreeSet};

use model::Labels;
use proptest::prelude::*;

use super::*;

/// The simplest index there can be.
struct Naive {
    series: Vec<Labels>,
    pairs: Vec<(String, String)>,
}

impl Naive {
    fn new(series: Vec<Labels>) -> Naive {
        let pairs: BTreeSet<_> = series
            .iter()
            .flat_map(|l| l.iter().map(|(n, v)| (n.to_owned(), v.to_owned())))
            .collect();
        Naive {
            series,
            pairs: pairs.into_iter().collect(),
        }
    }

    fn filter(&self, keep: impl Fn(&Labels) -> bool) -> IdSet {
        let ids = (0u32..).zip(&self.series).filter(|(_, l)| keep(l));
        IdSet::List(ids.map(|(id, _)| id).collect())
    }
}

impl LabelIndex for Naive {
    fn end(&self) -> u32 {
        self.series.len() as u32
    }

    fn all(&self) -> Result<IdSet, StorageError> {
        Ok(self.filter(|_| true))
    }

    fn names(&self, visit: &mut dyn FnMut(&str) -> ControlFlow<()>) -> Result<(), StorageError> {
        let names: BTreeSet<&str> = self.pairs.iter().map(|(n, _)| n.as_str()).collect();
        for name in names {
            if visit(name).is_break() {
                break;
            }
        }
        Ok(())
    }

    fn has_label(&self, name: &str) -> Result<IdSet, StorageError> {
        Ok(self.filter(|l| l.has(name)))
    }

    fn value_count(&self, name: &str) -> usize {
        self.pairs.iter().filter(|(n, _)| n == name).count()
    }

    fn values(
        &self,
        name: &str,
        prefix: &str,
        visit: &mut dyn FnMut(&str, PairId) -> ControlFlow<()>,
    ) -> Result<(), StorageError> {
        for (id, (n, v)) in (0u32..).zip(&self.pairs) {
            if n == name && v.starts_with(prefix) && visit(v, PairId(id)).is_break() {
                break;
            }
        }
        Ok(())
    }

    fn find(&self, name: &str, value: &str) -> Result<Option<PairId>, StorageError> {
        let at = self.pairs.iter().position(|(n, v)| n == name && v == value);
        Ok(at.map(|at| PairId(at as u32)))
    }

    fn weight(&self, _pair: PairId) -> usize {
        1
    }

    fn postings(&self, pair: PairId) -> Result<IdSet, StorageError> {
        let (name, value) = &self.pairs[pair.0 as usize];
        Ok(self.filter(|l| l.get(name) == value))
    }
}

/// Texts that hit every path: literals, alternations, prefixes, everything, nothing, empty.
pub(crate) const PATTERNS: &[&str] = &[
    "", "a", "ab", "a|b", "a|", ".*", ".+", "a.*", "a.+", ".*b", "[ab]+", "x|y|", "nope", "(a|ab)?",
];

pub(crate) fn any_matcher() -> impl Strategy<Value = Matcher> {
    let op = prop::sample::select(vec![
        MatchOp::Equal,
        MatchOp::NotEqual,
        MatchOp::Regex,
        MatchOp::NotRegex,
    ]);
    let name = prop::sample::select(vec!["__name__", "l", "m", "absent"]);
    (op, name, prop::sample::select(PATTERNS))
        .prop_map(|(op, name, value)| Matcher::new(op, name, value).expect("valid patterns"))
}

pub(crate) fn any_labels() -> impl Strategy<Value = Labels> {
    let value = || prop::sample::select(vec!["", "a", "ab", "b", "abc", "x"]);
    (value(), value(), value())
        .prop_map(|(n, l, m)| Labels::from_pairs([("__name__", n), ("l", l), ("m", m)]))
}

proptest! {
    #[test]
    fn selects_what_the_matchers_pass(
        series in prop::collection::vec(any_labels(), 0..30),
        matchers in prop::collection::vec(any_matcher(), 0..4),
    ) {
        let index = Naive::new(series);
        let passes = |labels: &Labels| matchers.iter().all(|m| m.matches(labels.get(m.name())));
        let expected = index.filter(passes).into_vec();
        prop_assert_eq!(select(&index, &matchers).unwrap().into_vec(), expected.clone());

        let mut by_name: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for &id in &expected {
            for (name, value) in &index.series[id as usize] {
                by_name.entry(name).or_default().insert(value);
            }
        }
        let names: Vec<&str> = by_name.keys().copied().collect();
        prop_assert_eq!(label_names(&index, &matchers, 0).unwrap(), names.clone());
        prop_assert_eq!(label_names(&index, &matchers, 2).unwrap(), &names[..names.len().min(2)]);
        let values: Vec<&str> = by_name.remove("l").unwrap_or_default().into_iter().collect();
        prop_assert_eq!(label_values(&index, "l", &matchers, 0).unwrap(), values.clone());
        prop_assert_eq!(label_values(&index, "l", &matchers, 1).unwrap(), &values[..values.len().min(1)]);
    }
}
