//! Label sets: what names a series.
//!
//! A [`Labels`] is sorted by name, has no empty values and no duplicate names. It is one shared,
//! immutable allocation, so a clone costs a counter and a comparison for equality is one `memcmp`.
//!
//! Inside, it is one text: for every label the length of the name, the name, the length of the
//! value, the value. Lengths are written in base 64 digits that are themselves ASCII characters,
//! so that the whole stays valid UTF-8 and slicing needs neither `unsafe` nor a second check of
//! the bytes. 1 byte a length up to 63 bytes, 2 up to 4,095.
//!
//! Look-up by name is a linear scan: label sets have about ten labels.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use xxhash_rust::xxh64::xxh64;

use crate::METRIC_NAME;

/// A sorted, immutable, cheaply cloned set of labels.
#[derive(Clone, PartialEq, Eq)]
pub struct Labels(Arc<str>);

/// Low six bits of a length digit.
const DIGIT_BITS: u32 = 6;
/// Set in a length digit if more follow. `0x40 | 63` is still ASCII.
const DIGIT_MORE: u8 = 0x40;

fn push_text(out: &mut String, text: &str) {
    let mut length = text.len();
    loop {
        let digit = (length & 0x3f) as u8;
        length >>= DIGIT_BITS;
        if length == 0 {
            out.push(char::from(digit));
            break;
        }
        out.push(char::from(digit | DIGIT_MORE));
    }
    out.push_str(text);
}

/// Splits one text off the front of `rest`.
#[inline]
fn take_text<'a>(rest: &mut &'a str) -> &'a str {
    let bytes = rest.as_bytes();
    let mut length = 0usize;
    let mut at = 0;
    loop {
        let digit = bytes[at];
        length |= usize::from(digit & 0x3f) << (DIGIT_BITS * at as u32);
        at += 1;
        if digit & DIGIT_MORE == 0 {
            break;
        }
    }
    let text = &rest[at..at + length];
    *rest = &rest[at + length..];
    text
}

impl Labels {
    /// The set without labels.
    #[must_use]
    pub fn empty() -> Labels {
        Labels(Arc::from(""))
    }

    /// From pairs in any order. Pairs with an empty value are left out; of pairs with the same
    /// name the last one stays.
    pub fn from_pairs<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Labels {
        let sorted: BTreeMap<&str, &str> = pairs.into_iter().collect();
        Labels::from_sorted(sorted.iter().map(|(n, v)| (*n, *v)))
    }

    /// From pairs that are sorted by name without duplicates; pairs with an empty value are left
    /// out.
    ///
    /// # Panics
    /// In debug builds, if the pairs are not sorted.
    pub fn from_sorted<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Labels {
        let mut packed = String::new();
        let mut last: Option<&str> = None;
        for (name, value) in pairs {
            debug_assert!(
                last.is_none_or(|l| l < name),
                "labels not sorted: {last:?} {name:?}"
            );
            last = Some(name);
            if !value.is_empty() {
                push_text(&mut packed, name);
                push_text(&mut packed, value);
            }
        }
        Labels(Arc::from(packed))
    }

    /// Whether there are no labels.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many labels there are; walks the set.
    #[must_use]
    pub fn len(&self) -> usize {
        self.iter().count()
    }

    /// The pairs of name and value, sorted by name.
    #[must_use]
    pub fn iter(&self) -> Iter<'_> {
        Iter { rest: &self.0 }
    }

    /// The value of `name`, or the empty text: an absent label and an empty one are the same.
    #[must_use]
    pub fn get(&self, name: &str) -> &str {
        self.iter()
            .find(|(n, _)| *n >= name)
            .filter(|(n, _)| *n == name)
            .map_or("", |(_, v)| v)
    }

    /// Whether there is a label `name`.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.iter().any(|(n, _)| n == name)
    }

    /// The metric's name, or the empty text.
    #[must_use]
    pub fn metric_name(&self) -> &str {
        self.get(METRIC_NAME)
    }

    /// The set without the labels that `drop` names.
    #[must_use]
    pub fn without(&self, drop: impl Fn(&str) -> bool) -> Labels {
        Labels::from_sorted(self.iter().filter(|(n, _)| !drop(n)))
    }

    /// The bytes of memory that the set's one allocation holds, without its two counters.
    #[must_use]
    pub fn size_bytes(&self) -> usize {
        self.0.len()
    }

    /// XXH64 over `name\xffvalue\xff…`: the same on every machine and in every version, and the
    /// same as upstream's `StableHash` (model/labels/labels_common.go).
    #[must_use]
    pub fn stable_hash(&self) -> u64 {
        let mut bytes = Vec::with_capacity(self.0.len() + 8);
        for (name, value) in self {
            bytes.extend_from_slice(name.as_bytes());
            bytes.push(0xff);
            bytes.extend_from_slice(value.as_bytes());
            bytes.push(0xff);
        }
        xxh64(&bytes, 0)
    }
}

impl Default for Labels {
    fn default() -> Self {
        Labels::empty()
    }
}

/// Pairs of name and value in order.
#[derive(Debug, Clone)]
pub struct Iter<'a> {
    rest: &'a str,
}

impl<'a> Iterator for Iter<'a> {
    type Item = (&'a str, &'a str);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let name = take_text(&mut self.rest);
        let value = take_text(&mut self.rest);
        Some((name, value))
    }
}

impl<'a> IntoIterator for &'a Labels {
    type Item = (&'a str, &'a str);
    type IntoIter = Iter<'a>;

    fn into_iter(self) -> Iter<'a> {
        self.iter()
    }
}

impl Hash for Labels {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

/// Label by label, name before value; a prefix comes first (labels.Compare upstream).
impl Ord for Labels {
    fn cmp(&self, other: &Self) -> Ordering {
        if Arc::ptr_eq(&self.0, &other.0) {
            return Ordering::Equal;
        }
        // Neighbours share most of their bytes, and equal bytes are equal labels: only the text
        // in which the first difference lies is compared. One that ends there has less labels.
        let (mut a, mut b) = (&*self.0, &*other.0);
        let mut same = common_prefix(a.as_bytes(), b.as_bytes());
        while same < a.len().min(b.len()) {
            let (before_a, before_b) = (a.len(), b.len());
            let (text_a, text_b) = (take_text(&mut a), take_text(&mut b));
            if before_a - a.len() > same || before_b - b.len() > same {
                return text_a.cmp(text_b);
            }
            same -= before_a - a.len();
        }
        a.len().cmp(&b.len())
    }
}

/// How many bytes at the start are the same.
fn common_prefix(a: &[u8], b: &[u8]) -> usize {
    const WORD: usize = size_of::<u64>();
    let words = a.chunks_exact(WORD).zip(b.chunks_exact(WORD));
    let same = WORD * words.take_while(|(a, b)| a == b).count();
    let rest = a[same..].iter().zip(&b[same..]);
    same + rest.take_while(|(a, b)| a == b).count()
}

impl PartialOrd for Labels {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// `{a="b", c="d"}`, as Prometheus prints a label set in logs and errors: names that are not of
/// the legacy form are quoted.
impl fmt::Display for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("{")?;
        for (index, (name, value)) in self.iter().enumerate() {
            if index > 0 {
                f.write_str(", ")?;
            }
            if crate::names::is_legacy_label_name(name) {
                f.write_str(name)?;
            } else {
                f.write_str(&gocompat::strconv::quote(name))?;
            }
            write!(f, "={}", gocompat::strconv::quote(value))?;
        }
        f.write_str("}")
    }
}

impl fmt::Debug for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Changes a label set step by step: relabelling, `label_replace`, aggregation.
///
/// Holds the pairs sorted in a plain vector; setting is a binary search. Reuse one builder with
/// [`LabelsBuilder::reset`] to keep its allocations.
#[derive(Debug, Clone, Default)]
pub struct LabelsBuilder {
    pairs: Vec<(String, String)>,
}

impl LabelsBuilder {
    /// A builder that starts from `base`.
    #[must_use]
    pub fn new(base: &Labels) -> LabelsBuilder {
        let mut builder = LabelsBuilder::default();
        builder.reset(base);
        builder
    }

    /// Starts again from `base`.
    pub fn reset(&mut self, base: &Labels) {
        self.pairs.clear();
        self.pairs
            .extend(base.iter().map(|(n, v)| (n.to_owned(), v.to_owned())));
    }

    /// Starts again from nothing.
    pub fn clear(&mut self) {
        self.pairs.clear();
    }

    fn find(&self, name: &str) -> Result<usize, usize> {
        self.pairs.binary_search_by(|(n, _)| n.as_str().cmp(name))
    }

    /// Sets a label; an empty value removes it.
    pub fn set(&mut self, name: &str, value: &str) -> &mut LabelsBuilder {
        match (self.find(name), value.is_empty()) {
            (Ok(at), true) => {
                self.pairs.remove(at);
            }
            (Ok(at), false) => {
                value.clone_into(&mut self.pairs[at].1);
            }
            (Err(_), true) => {}
            (Err(at), false) => self.pairs.insert(at, (name.to_owned(), value.to_owned())),
        }
        self
    }

    /// Removes a label.
    pub fn del(&mut self, name: &str) -> &mut LabelsBuilder {
        if let Ok(at) = self.find(name) {
            self.pairs.remove(at);
        }
        self
    }

    /// Keeps only the labels for which `keep` holds.
    pub fn retain(&mut self, mut keep: impl FnMut(&str, &str) -> bool) -> &mut LabelsBuilder {
        self.pairs.retain(|(n, v)| keep(n, v));
        self
    }

    /// The value of `name`, or the empty text.
    #[must_use]
    pub fn get(&self, name: &str) -> &str {
        self.find(name).map_or("", |at| self.pairs[at].1.as_str())
    }

    /// The pairs as they are now, sorted by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.pairs.iter().map(|(n, v)| (n.as_str(), v.as_str()))
    }

    /// Whether there is no label.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.pairs.is_empty()
    }

    /// The label set; the builder stays as it is.
    #[must_use]
    pub fn build(&self) -> Labels {
        Labels::from_sorted(self.iter())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn labels(pairs: &[(&str, &str)]) -> Labels {
        Labels::from_pairs(pairs.iter().copied())
    }

    #[test]
    fn holds_pairs_of_any_length() {
        let long = "x".repeat(5_000);
        for value in ["v", &"y".repeat(63), &"z".repeat(64), &long, "é\u{ffff}"] {
            let set = labels(&[("b", value), ("a", "1"), ("empty", "")]);
            assert_eq!(set.iter().collect::<Vec<_>>(), [("a", "1"), ("b", value)]);
            assert_eq!((set.get("b"), set.get("a"), set.get("c")), (value, "1", ""));
            assert_eq!(set.len(), 2);
        }
    }

    #[test]
    fn orders_by_label_not_by_bytes_of_the_packing() {
        let short = labels(&[("a", "zz")]);
        let long = labels(&[("a", &"b".repeat(100))]);
        assert!(long < short);
        assert!(labels(&[("a", "1")]) < labels(&[("a", "1"), ("b", "1")]));
        assert!(labels(&[("a", "1"), ("c", "1")]) > labels(&[("a", "1"), ("b", "9")]));
        assert!(Labels::empty() < short);
    }

    #[test]
    fn prints_as_prometheus() {
        let set = labels(&[("__name__", "up"), ("a.b", "q\"\n")]);
        assert_eq!(set.to_string(), r#"{__name__="up", "a.b"="q\"\n"}"#);
        assert_eq!(Labels::empty().to_string(), "{}");
    }

    #[test]
    fn stable_hash_is_xxh64_with_separators() {
        // XXH64 of no bytes, a published constant.
        assert_eq!(Labels::empty().stable_hash(), 0xef46_db37_51d8_e999);
        let set = labels(&[("a", "b")]);
        assert_eq!(set.stable_hash(), xxh64(b"a\xffb\xff", 0));
    }

    #[test]
    fn builder_sets_deletes_and_drops_empty_values() {
        let mut builder = LabelsBuilder::new(&labels(&[("a", "1"), ("b", "2")]));
        builder.set("c", "3").set("a", "").del("nope").set("b", "4");
        assert_eq!(builder.get("b"), "4");
        assert_eq!(builder.build(), labels(&[("b", "4"), ("c", "3")]));
    }

    proptest! {
        #[test]
        fn orders_as_its_pairs_do(
            a in prop::collection::btree_map("[ab]{1,2}", "[xy]{1,3}|x{60,70}|z{4090,4100}", 0..5),
            b in prop::collection::btree_map("[ab]{1,2}", "[xy]{1,3}|x{60,70}|z{4090,4100}", 0..5),
        ) {
            let set = |map: &BTreeMap<String, String>| {
                Labels::from_pairs(map.iter().map(|(n, v)| (n.as_str(), v.as_str())))
            };
            prop_assert_eq!(set(&a).cmp(&set(&b)), a.iter().cmp(b.iter()));
        }

        #[test]
        fn packing_is_lossless_and_canonical(
            map in prop::collection::btree_map("[a-z]{1,3}|\\PC{1,80}", "\\PC{1,80}", 0..12)
        ) {
            let set = Labels::from_pairs(map.iter().map(|(n, v)| (n.as_str(), v.as_str())));
            let back: BTreeMap<_, _> =
                set.iter().map(|(n, v)| (n.to_owned(), v.to_owned())).collect();
            prop_assert_eq!(&back, &map);
            prop_assert_eq!(LabelsBuilder::new(&set).build(), set.clone());
            for (n, v) in &map {
                prop_assert_eq!(set.get(n), v.as_str());
            }
        }
    }
}
