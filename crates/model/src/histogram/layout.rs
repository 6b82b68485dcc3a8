//! Spans and buckets as pairs of index and count, and back.
//!
//! Everything that changes which buckets there are (merging two histograms, a coarser schema,
//! dropping empty buckets) is a walk over such pairs into a [`Builder`], which makes as few spans
//! as possible of what it is given.

use super::Span;

/// What a bucket holds: a float, or a whole number.
pub(super) trait Count: Copy + Default + PartialEq + PartialOrd {
    /// The sum; whole numbers wrap around, as a target may claim any.
    fn plus(self, other: Self) -> Self;
}

impl Count for f64 {
    fn plus(self, other: f64) -> f64 {
        self + other
    }
}

impl Count for i64 {
    fn plus(self, other: i64) -> i64 {
        self.wrapping_add(other)
    }
}

/// The buckets of one side of a histogram with their indices, from either end.
///
/// Spans that promise more buckets than there are end with the last bucket.
#[derive(Debug, Clone)]
pub(super) struct Indexed<'a, T = f64> {
    spans: &'a [Span],
    buckets: &'a [T],
    /// Index after the span before the first one, and how many of the first one are taken.
    before: i32,
    taken_front: u32,
    /// Index after the last span, and how many of the last one are taken.
    end: i32,
    taken_back: u32,
}

impl<'a, T> Indexed<'a, T> {
    pub(super) fn new(spans: &'a [Span], buckets: &'a [T]) -> Indexed<'a, T> {
        let end = spans.iter().fold(0_i32, |end, span| {
            end.wrapping_add(span.offset)
                .wrapping_add(span.length as i32)
        });
        Indexed {
            spans,
            buckets,
            before: 0,
            taken_front: 0,
            end,
            taken_back: 0,
        }
    }
}

impl<T: Count> Iterator for Indexed<'_, T> {
    type Item = (i32, T);

    fn next(&mut self) -> Option<(i32, T)> {
        let (&count, rest) = self.buckets.split_first()?;
        loop {
            let (span, after) = self.spans.split_first()?;
            let start = self.before.wrapping_add(span.offset);
            if self.taken_front < span.length {
                let index = start.wrapping_add(self.taken_front as i32);
                self.taken_front += 1;
                self.buckets = rest;
                return Some((index, count));
            }
            self.before = start.wrapping_add(span.length as i32);
            self.taken_front = 0;
            self.spans = after;
        }
    }
}

impl<T: Count> DoubleEndedIterator for Indexed<'_, T> {
    fn next_back(&mut self) -> Option<(i32, T)> {
        let (&count, rest) = self.buckets.split_last()?;
        loop {
            let (span, before) = self.spans.split_last()?;
            if self.taken_back < span.length {
                self.taken_back += 1;
                self.buckets = rest;
                return Some((self.end.wrapping_sub(self.taken_back as i32), count));
            }
            self.end = self
                .end
                .wrapping_sub(span.length as i32)
                .wrapping_sub(span.offset);
            self.taken_back = 0;
            self.spans = before;
        }
    }
}

/// One side of a histogram: where its buckets lie, their counts, and, while it is a compensated
/// sum, what the counts have lost.
#[derive(Debug, Default)]
pub(super) struct Side<T = f64> {
    pub(super) spans: Vec<Span>,
    pub(super) buckets: Vec<T>,
    /// As long as `buckets`, or empty.
    pub(super) lost: Vec<f64>,
}

impl<T: Count> Side<T> {
    /// Index, count, and what was lost, bucket by bucket.
    pub(super) fn iter(&self) -> impl Iterator<Item = (i32, T, f64)> + '_ {
        let lost = self.lost.iter().copied().chain(std::iter::repeat(0.0));
        Indexed::new(&self.spans, &self.buckets)
            .zip(lost)
            .map(|((index, count), lost)| (index, count, lost))
    }
}

/// Puts a side together from buckets with rising indices.
#[derive(Debug)]
pub(super) struct Builder<T = f64> {
    side: Side<T>,
    /// Index after the last bucket.
    next: i32,
    compensated: bool,
}

impl<T> Builder<T> {
    pub(super) fn new(capacity: usize, compensated: bool) -> Builder<T> {
        Builder {
            side: Side {
                spans: Vec::new(),
                buckets: Vec::with_capacity(capacity),
                lost: Vec::with_capacity(if compensated { capacity } else { 0 }),
            },
            next: 0,
            compensated,
        }
    }

    pub(super) fn push(&mut self, index: i32, count: T, lost: f64) {
        match self.side.spans.last_mut() {
            Some(last) if index == self.next => last.length += 1,
            _ => self.side.spans.push(Span {
                offset: index.wrapping_sub(self.next),
                length: 1,
            }),
        }
        self.next = index.wrapping_add(1);
        self.side.buckets.push(count);
        if self.compensated {
            self.side.lost.push(lost);
        }
    }

    pub(super) fn finish(self) -> Side<T> {
        self.side
    }
}

/// Whether there is nothing to take out or to join.
fn is_compact<T: Count>(spans: &[Span], buckets: &[T]) -> bool {
    let joined = spans.iter().skip(1).all(|span| span.offset > 0);
    joined
        && spans.iter().all(|span| span.length > 0)
        && buckets.iter().all(|&count| count != T::default())
}

/// Takes out empty buckets, those at the borders always, those between others if more than
/// `empty_max` of them follow each other; shorter gaps are filled.
pub(super) fn compact<T: Count>(side: Side<T>, empty_max: u32) -> Side<T> {
    if empty_max == 0 && is_compact(&side.spans, &side.buckets) {
        return side;
    }
    let mut out = Builder::new(side.buckets.len(), !side.lost.is_empty());
    // Empty buckets since the last populated one: they may be -0, and keep that if they stay.
    let mut empty: Vec<(i32, T)> = Vec::new();
    for (index, count, lost) in side.iter() {
        if count == T::default() && lost == 0.0 {
            if empty_max > 0 {
                empty.push((index, count));
            }
            continue;
        }
        let gap = i64::from(index) - i64::from(out.next);
        if !out.side.buckets.is_empty() && gap <= i64::from(empty_max) {
            let mut known = empty.iter().peekable();
            for filled in out.next..index {
                let zero = known.next_if(|(at, _)| *at == filled);
                out.push(filled, zero.map_or(T::default(), |(_, zero)| *zero), 0.0);
            }
        }
        empty.clear();
        out.push(index, count, lost);
    }
    out.finish()
}

/// The index of a bucket in a schema that is `shift` steps coarser.
pub(super) fn coarser(index: i32, shift: u32) -> i32 {
    (index.wrapping_sub(1) >> shift.min(31)).wrapping_add(1)
}

/// Buckets of a coarser schema, `shift` steps away.
pub(super) fn reduce<T: Count>(
    buckets: impl Iterator<Item = (i32, T)>,
    shift: u32,
) -> impl Iterator<Item = (i32, T)> {
    let mut buckets = buckets.peekable();
    std::iter::from_fn(move || {
        let (index, mut count) = buckets.next()?;
        let target = coarser(index, shift);
        while let Some((_, more)) = buckets.next_if(|(index, _)| coarser(*index, shift) == target) {
            count = count.plus(more);
        }
        Some((target, count))
    })
}

/// [`reduce`] in place.
pub(super) fn reduce_side<T: Count>(spans: &mut Vec<Span>, buckets: &mut Vec<T>, shift: u32) {
    let mut out = Builder::new(buckets.len(), false);
    for (index, count) in reduce(Indexed::new(spans, buckets), shift) {
        out.push(index, count, 0.0);
    }
    let side = out.finish();
    (*spans, *buckets) = (side.spans, side.buckets);
}

/// Whether two lists of spans describe the same buckets.
pub(super) fn same_buckets(a: &[Span], b: &[Span]) -> bool {
    fn runs(spans: &[Span]) -> impl Iterator<Item = (i32, u32)> + '_ {
        let mut end = 0_i32;
        let mut runs = spans
            .iter()
            .map(move |span| {
                let start = end.wrapping_add(span.offset);
                end = start.wrapping_add(span.length as i32);
                (start, span.length)
            })
            .filter(|(_, length)| *length > 0)
            .peekable();
        std::iter::from_fn(move || {
            let (start, mut length) = runs.next()?;
            while let Some((_, more)) =
                runs.next_if(|(next, _)| *next == start.wrapping_add(length as i32))
            {
                length += more;
            }
            Some((start, length))
        })
    }
    a == b || runs(a).eq(runs(b))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spans(pairs: &[(i32, u32)]) -> Vec<Span> {
        let spans = pairs
            .iter()
            .map(|&(offset, length)| Span { offset, length });
        spans.collect()
    }

    #[test]
    fn walks_from_both_ends() {
        let layout = spans(&[(-2, 2), (3, 0), (1, 1), (0, 2)]);
        let counts = [1.0, 2.0, 3.0, 4.0, 5.0];
        let forward: Vec<_> = Indexed::new(&layout, &counts).collect();
        assert_eq!(
            forward,
            [(-2, 1.0), (-1, 2.0), (4, 3.0), (5, 4.0), (6, 5.0)]
        );
        let mut backward: Vec<_> = Indexed::new(&layout, &counts).rev().collect();
        backward.reverse();
        assert_eq!(forward, backward);
        let mut both = Indexed::new(&layout, &counts);
        assert_eq!(
            (both.next(), both.next_back()),
            (Some((-2, 1.0)), Some((6, 5.0)))
        );
        assert_eq!(both.collect::<Vec<_>>(), [(-1, 2.0), (4, 3.0), (5, 4.0)]);
    }

    #[test]
    fn compacts() {
        #[track_caller]
        fn check(
            from: &[(i32, u32)],
            counts: &[f64],
            empty_max: u32,
            to: &[(i32, u32)],
            left: &[f64],
        ) {
            let side = Side {
                spans: spans(from),
                buckets: counts.to_vec(),
                lost: Vec::new(),
            };
            let side = compact(side, empty_max);
            assert_eq!(
                (side.spans.as_slice(), side.buckets.as_slice()),
                (spans(to).as_slice(), left)
            );
        }
        check(&[(1, 3)], &[0.0, 1.0, 0.0], 0, &[(2, 1)], &[1.0]);
        check(
            &[(1, 3)],
            &[1.0, 0.0, 1.0],
            0,
            &[(1, 1), (1, 1)],
            &[1.0, 1.0],
        );
        check(&[(1, 3)], &[1.0, 0.0, 1.0], 1, &[(1, 3)], &[1.0, 0.0, 1.0]);
        check(
            &[(1, 1), (2, 1)],
            &[1.0, 1.0],
            2,
            &[(1, 4)],
            &[1.0, 0.0, 0.0, 1.0],
        );
        check(
            &[(1, 1), (0, 1), (0, 0)],
            &[1.0, 1.0],
            0,
            &[(1, 2)],
            &[1.0, 1.0],
        );
        check(&[(1, 2)], &[0.0, 0.0], 0, &[], &[]);
        let negative_zero = Side {
            spans: spans(&[(1, 3)]),
            buckets: vec![1.0, -0.0, 1.0],
            lost: Vec::new(),
        };
        assert!(compact(negative_zero, 1).buckets[1].is_sign_negative());
    }

    #[test]
    fn spans_that_say_the_same() {
        let same = |a: &[(i32, u32)], b: &[(i32, u32)]| same_buckets(&spans(a), &spans(b));
        assert!(same(&[(1, 2), (0, 1)], &[(1, 3)]));
        assert!(same(&[(1, 2), (3, 0)], &[(1, 2)]));
        assert!(same(&[(0, 0), (1, 2)], &[(1, 2)]));
        assert!(!same(&[(1, 2)], &[(2, 2)]));
        assert!(!same(&[(1, 2), (1, 1)], &[(1, 3)]));
    }
}
