//! From matchers to series: the part of selection that head and blocks share.
//!
//! An index answers for one pair of name and value at a time ([`LabelIndex`]); here matchers
//! become unions, intersections and differences of what it answers. A label that is absent has
//! the empty value, so a matcher that the empty value passes cannot be answered by a union: it
//! takes away the series whose value it refuses. Regular expressions run over the values of their
//! label, each value once, and only over those that share the pattern's literal start; a pattern
//! that is a list of words is looked up word by word.

use std::ops::ControlFlow;

use model::{MatchOp, Matcher};
use storage::StorageError;

use crate::postings::{Bits, IdSet};

/// A pair of label name and value in an index.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct PairId(pub(crate) u32);

/// What selection asks of an index. Errors are those of reading it.
pub(crate) trait LabelIndex {
    /// All series ids are below this.
    fn end(&self) -> u32;

    /// All series.
    fn all(&self) -> Result<IdSet, StorageError>;

    /// Calls `visit` with every label name, sorted, until it breaks.
    fn names(&self, visit: &mut dyn FnMut(&str) -> ControlFlow<()>) -> Result<(), StorageError>;

    /// Series that have the label.
    fn has_label(&self, name: &str) -> Result<IdSet, StorageError>;

    /// How many values the label has; 0 if there is no such label.
    fn value_count(&self, name: &str) -> usize;

    /// Calls `visit` with every value of the label that starts with `prefix`, until it breaks.
    /// Blocks give them sorted; others need not.
    fn values(
        &self,
        name: &str,
        prefix: &str,
        visit: &mut dyn FnMut(&str, PairId) -> ControlFlow<()>,
    ) -> Result<(), StorageError>;

    /// The pair, if some series has it.
    fn find(&self, name: &str, value: &str) -> Result<Option<PairId>, StorageError>;

    /// Something that grows with the number of the pair's series and costs next to nothing.
    fn weight(&self, pair: PairId) -> usize;

    /// Series with the pair.
    fn postings(&self, pair: PairId) -> Result<IdSet, StorageError>;

    /// Adds the series with the pair to `into`.
    fn add_postings(&self, pair: PairId, into: &mut Bits) -> Result<(), StorageError> {
        self.postings(pair)?.add_to(into);
        Ok(())
    }

    /// Those of `set` that have the pair.
    fn intersect_postings(&self, pair: PairId, set: IdSet) -> Result<IdSet, StorageError> {
        Ok(set.intersect(&self.postings(pair)?))
    }
}

/// The series that pass all matchers; all series if there are none.
pub(crate) fn select(index: &dyn LabelIndex, matchers: &[Matcher]) -> Result<IdSet, StorageError> {
    let mut pairs = Vec::new();
    let mut others = Vec::new();
    for matcher in matchers {
        if matcher.op() == MatchOp::Equal && !matcher.value().is_empty() {
            match index.find(matcher.name(), matcher.value())? {
                Some(pair) => pairs.push(pair),
                None => return Ok(IdSet::empty()),
            }
        } else {
            others.push(matcher);
        }
    }
    // From small to large, so that what is left stays small.
    pairs.sort_by_key(|&pair| index.weight(pair));
    let mut found: Option<IdSet> = None;
    for &pair in &pairs {
        found = Some(match found {
            None => index.postings(pair)?,
            Some(set) if set.is_empty() => return Ok(set),
            Some(set) => index.intersect_postings(pair, set)?,
        });
    }
    // What takes away comes last: it needs something to take from.
    others.sort_by_key(|matcher| matcher.matches_empty());
    for matcher in others {
        if found.as_ref().is_some_and(IdSet::is_empty) {
            break;
        }
        if matcher.matches_empty() {
            let from = match found {
                Some(set) => set,
                None => index.all()?,
            };
            found = Some(match with_value(index, matcher, false)? {
                Some(refused) => from.subtract(&refused),
                None => from,
            });
        } else {
            let passed = with_value(index, matcher, true)?.unwrap_or_else(IdSet::empty);
            found = Some(match found {
                Some(set) => set.intersect(&passed),
                None => passed,
            });
        }
    }
    found.map_or_else(|| index.all(), Ok)
}

/// The series with a value of the matcher's label that it passes (or refuses, if not `passing`);
/// `None` for none. The empty value is on the other side.
fn with_value(
    index: &dyn LabelIndex,
    matcher: &Matcher,
    passing: bool,
) -> Result<Option<IdSet>, StorageError> {
    let name = matcher.name();
    // Whether the wanted values are those that equal or match the matcher's text.
    let positive = matches!(matcher.op(), MatchOp::Equal | MatchOp::Regex) == passing;
    let regex = match (matcher.op(), matcher.regex()) {
        (MatchOp::Regex | MatchOp::NotRegex, Some(regex)) => regex,
        _ if positive => {
            return index
                .find(name, matcher.value())?
                .map(|pair| index.postings(pair))
                .transpose();
        }
        // All values but the empty one: only `name=""` and `name!=""` come here.
        _ => return index.has_label(name).map(Some),
    };
    if regex.matches_everything() {
        return if positive {
            index.has_label(name).map(Some)
        } else {
            Ok(None)
        };
    }
    let mut wanted = Vec::new();
    if let (true, Some(literals)) = (positive, regex.literal_set()) {
        for literal in literals.iter().filter(|literal| !literal.is_empty()) {
            wanted.extend(index.find(name, literal)?);
        }
        return union(index, &wanted).map(Some);
    }
    let prefix = if positive { regex.literal_prefix() } else { "" };
    index.values(name, prefix, &mut |value, pair| {
        if regex.is_match(value) == positive {
            wanted.push(pair);
        }
        ControlFlow::Continue(())
    })?;
    if !wanted.is_empty() && wanted.len() == index.value_count(name) {
        return index.has_label(name).map(Some);
    }
    union(index, &wanted).map(Some)
}

fn union(index: &dyn LabelIndex, pairs: &[PairId]) -> Result<IdSet, StorageError> {
    match pairs {
        [] => Ok(IdSet::empty()),
        [pair] => index.postings(*pair),
        _ => {
            let mut bits = Bits::new(index.end());
            for &pair in pairs {
                index.add_postings(pair, &mut bits)?;
            }
            Ok(IdSet::Bits(bits))
        }
    }
}

/// Names of labels of the series that pass all matchers, sorted; at most `limit`, 0 for all.
pub(crate) fn label_names(
    index: &dyn LabelIndex,
    matchers: &[Matcher],
    limit: usize,
) -> Result<Vec<String>, StorageError> {
    let among = narrowed(index, matchers)?;
    let mut all = Vec::new();
    index.names(&mut |name| {
        all.push(name.to_owned());
        if among.is_none() && all.len() == limit {
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    })?;
    let Some(among) = among else {
        return Ok(all);
    };
    let mut names = Vec::new();
    for name in all {
        if index.has_label(&name)?.intersects(&among) {
            names.push(name);
            if names.len() == limit {
                break;
            }
        }
    }
    Ok(names)
}

/// Values of a label of the series that pass all matchers, sorted; at most `limit`, 0 for all.
pub(crate) fn label_values(
    index: &dyn LabelIndex,
    name: &str,
    matchers: &[Matcher],
    limit: usize,
) -> Result<Vec<String>, StorageError> {
    let among = narrowed(index, matchers)?;
    let mut found = Vec::new();
    index.values(name, "", &mut |value, pair| {
        found.push((value.to_owned(), pair));
        ControlFlow::Continue(())
    })?;
    found.sort_unstable();
    let mut values = Vec::new();
    for (value, pair) in found {
        if let Some(among) = &among
            && !index.postings(pair)?.intersects(among)
        {
            continue;
        }
        values.push(value);
        if values.len() == limit {
            break;
        }
    }
    Ok(values)
}

fn narrowed(index: &dyn LabelIndex, matchers: &[Matcher]) -> Result<Option<IdSet>, StorageError> {
    if matchers.is_empty() {
        return Ok(None);
    }
    select(index, matchers).map(Some)
}

#[cfg(test)]
pub(crate) mod tests;
