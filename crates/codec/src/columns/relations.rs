//! Columns of a page that follow from others.
//!
//! An agent reports what is used, what is free and the share that is used; only one of them is
//! news. Three relations are looked for: a column of whole numbers is the sum or difference of two
//! others, or of one and a constant; a column is a share of another and a constant; or it is the
//! quotient of the steps of two others, as a usage in percent is of a counter of time and a clock.
//!
//! Sums are found by fingerprints that are linear: the sum of all values, each times a random odd
//! number, wrapping. Equal fingerprints of sums are sums of equal columns but for one chance in
//! 2^64, and all is checked before it is used. That makes 2,000 additions for 64 columns instead
//! of 40,000 comparisons of columns.

use crate::floats;

/// How a column follows from others of its page.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Relation {
    /// The sum of the terms and of a constant.
    Sum(Term, Option<Term>),
    /// `factor * column / divisor`, or `column / divisor * factor` if `after`.
    Share {
        column: usize,
        factor: u8,
        after: bool,
        divisor: f64,
    },
    /// `steps of numerator / steps of denominator * factor`.
    Steps {
        numerator: usize,
        denominator: usize,
        factor: u64,
    },
}

/// A column to add or to take away.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Term {
    pub(super) column: usize,
    pub(super) negative: bool,
}

/// Fewer values have relations by chance, or are not worth them.
const VALUES_MIN: usize = 32;
/// Columns whose steps have fewer bits on average are cheap by themselves.
const BITS_MIN: u64 = 3;

/// What is known of a column.
#[derive(Debug, Clone, Copy)]
struct Column {
    start: usize,
    count: usize,
    kind: Kind,
    /// Of whole numbers: the fingerprint of what they are above the first.
    print: u64,
    /// About how many bits its steps take.
    bits: u64,
    /// Whether a sum stands on it.
    term: bool,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Kind {
    /// Constant, too short, or not worth a look.
    Other,
    Whole,
    Float,
}

/// Memory that the search works in.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    columns: Vec<Column>,
    found: Vec<Option<Relation>>,
}

/// Finds relations; one entry a column. `skip` are columns that need none.
pub(super) fn find<'s>(
    values: &[f64],
    counts: &[usize],
    skip: impl Fn(usize) -> bool,
    scratch: &'s mut Scratch,
) -> &'s [Option<Relation>] {
    let Scratch { columns, found } = scratch;
    columns.clear();
    let mut start = 0;
    for (at, &count) in counts.iter().enumerate() {
        let column = match skip(at) || count < VALUES_MIN {
            true => Column::other(start, count),
            false => Column::look(values, start, count),
        };
        columns.push(column);
        start += count;
    }
    found.clear();
    found.resize(counts.len(), None);
    for at in 0..counts.len() {
        if columns[at].kind == Kind::Float {
            found[at] = share(values, columns, at).or_else(|| steps(values, columns, at));
        }
    }
    sums(values, columns, found);
    found
}

impl Column {
    fn other(start: usize, count: usize) -> Column {
        Column {
            start,
            count,
            kind: Kind::Other,
            print: 0,
            bits: 0,
            term: false,
        }
    }

    fn look(values: &[f64], start: usize, count: usize) -> Column {
        let values = &values[start..start + count];
        let mut column = Column::other(start, count);
        if values.iter().all(|v| v.to_bits() == values[0].to_bits()) {
            return column;
        }
        column.kind = Kind::Whole;
        let first = values[0] as i64;
        let mut before = first;
        // Any sequence of odd numbers that does not repeat.
        let mut weight = 0x9e37_79b9_7f4a_7c15u64;
        for &value in values {
            let Some(whole) = floats::whole(value) else {
                column.kind = Kind::Float;
                break;
            };
            let rise = whole.wrapping_sub(first) as u64;
            column.print = column.print.wrapping_add(rise.wrapping_mul(weight | 1));
            weight = weight.wrapping_mul(0xd134_2543_de82_ef95).wrapping_add(1);
            let step = whole.wrapping_sub(before).unsigned_abs();
            column.bits += u64::from(64 - step.leading_zeros());
            before = whole;
        }
        column
    }

    fn of<'v>(&self, values: &'v [f64]) -> &'v [f64] {
        &values[self.start..self.start + self.count]
    }
}

/// Whole-numbered columns as sums, the dearest first. A column that is a term stays as it is, and
/// no term is a sum, so there are no rings and at most two relations on top of each other.
fn sums(values: &[f64], columns: &mut [Column], found: &mut [Option<Relation>]) {
    let mut order: Vec<usize> = (0..columns.len())
        .filter(|&at| columns[at].kind == Kind::Whole)
        .collect();
    let mut prints: Vec<(u64, usize)> = order.iter().map(|&at| (columns[at].print, at)).collect();
    prints.sort_unstable();
    order.sort_by_key(|&at| std::cmp::Reverse(columns[at].bits));
    for &at in &order {
        let column = columns[at];
        if column.term || column.bits < BITS_MIN * column.count as u64 {
            continue;
        }
        let usable = |other: usize| {
            other != at && columns[other].count == column.count && found[other].is_none()
        };
        let with_print = |print: u64| {
            let from = prints.partition_point(|p| p.0 < print);
            let same = prints[from..].iter().take_while(move |p| p.0 == print);
            same.map(|p| p.1).find(|&other| usable(other))
        };
        let term = |column: usize, negative: bool| Term { column, negative };
        let single = || {
            [false, true].into_iter().find_map(|negative| {
                let other = with_print(signed(column.print, negative))?;
                Some((term(other, negative), None))
            })
        };
        let pair = || {
            order
                .iter()
                .copied()
                .filter(|&one| usable(one))
                .find_map(|one| {
                    let signs = [(false, false), (true, false), (true, true)];
                    signs.into_iter().find_map(|(minus, other_minus)| {
                        let rest = column.print.wrapping_sub(signed(columns[one].print, minus));
                        let other = with_print(signed(rest, other_minus)).filter(|&o| o != one)?;
                        Some((term(one, minus), Some(term(other, other_minus))))
                    })
                })
        };
        let Some((first, second)) = single().or_else(pair) else {
            continue;
        };
        if is_sum(values, columns, at, first, second) {
            found[at] = Some(Relation::Sum(first, second));
            for term in [Some(first), second].into_iter().flatten() {
                columns[term.column].term = true;
            }
        }
    }
}

fn signed(print: u64, negative: bool) -> u64 {
    if negative {
        print.wrapping_neg()
    } else {
        print
    }
}

fn is_sum(
    values: &[f64],
    columns: &[Column],
    at: usize,
    first: Term,
    second: Option<Term>,
) -> bool {
    let of = |term: Term, i: usize| {
        let whole = columns[term.column].of(values)[i] as i64;
        if term.negative { -whole } else { whole }
    };
    let rest = |i: usize| {
        let terms = of(first, i).wrapping_add(second.map_or(0, |second| of(second, i)));
        (columns[at].of(values)[i] as i64).wrapping_sub(terms)
    };
    (0..columns[at].count).all(|i| rest(i) == rest(0))
}

/// Positions that say whether a relation is worth a closer look.
fn probes(count: usize) -> [usize; 5] {
    [0, count / 4, count / 2, 3 * count / 4, count - 1]
}

/// The column as a share of a column of whole numbers.
fn share(values: &[f64], columns: &[Column], at: usize) -> Option<Relation> {
    let shares = columns[at].of(values);
    let probes = probes(shares.len());
    for (other, column) in columns.iter().enumerate() {
        if column.kind != Kind::Whole || column.count != shares.len() {
            continue;
        }
        let wholes = column.of(values);
        let ratio = |i: usize| wholes[i] / shares[i];
        let first = ratio(probes[0]);
        // Also false for what is no number.
        let near = |i: usize| (ratio(i) / first - 1.0).abs() < 1e-12;
        if !probes.iter().all(|&i| near(i)) || !(1e-9..1e30).contains(&first.abs()) {
            continue;
        }
        if let Some((factor, after, divisor)) = divisor_of(shares, wholes) {
            return Some(Relation::Share {
                column: other,
                factor,
                after,
                divisor,
            });
        }
    }
    None
}

/// What the whole numbers are divided by: near the quotient of the largest share there is one
/// number that explains all others.
fn divisor_of(shares: &[f64], wholes: &[f64]) -> Option<(u8, bool, f64)> {
    let largest = (0..shares.len()).max_by(|&a, &b| shares[a].abs().total_cmp(&shares[b].abs()))?;
    let step = shares.len().div_ceil(64);
    let mut best: Option<(usize, u8, bool, f64)> = None;
    for (factor, after) in [(100u8, false), (100, true), (1, true)] {
        let about = f64::from(factor) * wholes[largest] / shares[largest];
        let near = (-6i64..=6).map(|by| f64::from_bits(about.to_bits().wrapping_add(by as u64)));
        for divisor in std::iter::once(about.round()).chain(near) {
            let exact = |i: &usize| {
                let found = super::ratio::value(u64::from(factor), after, wholes[*i], divisor);
                found.to_bits() == shares[*i].to_bits()
            };
            let misses = (0..shares.len())
                .step_by(step)
                .filter(|i| !exact(i))
                .count();
            if best.is_none_or(|(least, ..)| misses < least) {
                best = Some((misses, factor, after, divisor));
            }
            if misses == 0 {
                return Some((factor, after, divisor));
            }
        }
    }
    // Corrections by a last place now and then are cheap.
    let (misses, factor, after, divisor) = best?;
    (misses * step * 4 < shares.len()).then_some((factor, after, divisor))
}

/// The column as the quotient of two columns' steps.
fn steps(values: &[f64], columns: &[Column], at: usize) -> Option<Relation> {
    let quotients = columns[at].of(values);
    let telling: Vec<usize> = (1..quotients.len())
        .filter(|&i| quotients[i] > 0.0)
        .step_by(quotients.len().div_ceil(16))
        .take(16)
        .collect();
    if telling.len() < 4 {
        return None;
    }
    let candidates = || {
        columns.iter().enumerate().filter(|(_, column)| {
            column.kind == Kind::Whole
                && column.count == quotients.len()
                && telling.iter().all(|&i| step(column.of(values), i) > 0.0)
        })
    };
    for (numerator, over) in candidates() {
        for (denominator, under) in candidates() {
            if numerator == denominator {
                continue;
            }
            let factor =
                |i: usize| quotients[i] * step(under.of(values), i) / step(over.of(values), i);
            let first = factor(telling[0]);
            let whole = first.round();
            let near = |i: usize| (factor(i) - whole).abs() < 1e-9 * whole;
            if (1.0..1e6).contains(&whole) && telling.iter().all(|&i| near(i)) {
                return Some(Relation::Steps {
                    numerator,
                    denominator,
                    factor: whole as u64,
                });
            }
        }
    }
    None
}

#[inline]
fn step(values: &[f64], at: usize) -> f64 {
    values[at] - values[at - 1]
}
