//! The order of series by labels, found by comparing numbers.
//!
//! Comparing label sets walks over texts that lie all over memory. So every place that series come
//! from (the head, a block) lists the pairs of name and value that they have, each pair once and
//! sorted, and a series is the list of its pairs' numbers there. If there are several places, their
//! lists are put together and numbers become those of the common list. Numbers ascend as texts do,
//! so comparing two lists of them is comparing two label sets.

use rayon::slice::ParallelSliceMut as _;

/// From so many series on, sorting is worth several threads.
const PARALLEL_SORT_MIN: usize = 4_096;

/// Pairs of name and value, sorted.
#[derive(Debug, Default)]
pub(crate) struct Dictionary {
    text: String,
    /// Where each pair's name and value end; they begin where the pair before ends.
    ends: Vec<(u32, u32)>,
}

/// Series of one place: the pairs of each, as numbers in its dictionary.
#[derive(Debug, Default)]
pub(crate) struct Keys {
    pub(crate) dictionary: Dictionary,
    ranks: Vec<u32>,
    ends: Vec<u32>,
}

impl Dictionary {
    /// Adds a pair behind all others.
    pub(crate) fn push(&mut self, name: &str, value: &str) {
        self.text.push_str(name);
        let middle = self.text.len() as u32;
        self.text.push_str(value);
        self.ends.push((middle, self.text.len() as u32));
    }

    fn pair(&self, at: usize) -> (&str, &str) {
        let from = at.checked_sub(1).map_or(0, |before| self.ends[before].1);
        let (middle, end) = self.ends[at];
        let (middle, end) = (middle as usize, end as usize);
        (&self.text[from as usize..middle], &self.text[middle..end])
    }
}

impl Keys {
    /// Adds a series with these pairs, sorted.
    pub(crate) fn push(&mut self, ranks: impl Iterator<Item = u32>) {
        self.ranks.extend(ranks);
        self.ends.push(self.ranks.len() as u32);
    }

    fn of(&self, series: u32) -> &[u32] {
        let from = match series {
            0 => 0,
            _ => self.ends[series as usize - 1],
        };
        &self.ranks[from as usize..self.ends[series as usize] as usize]
    }
}

/// The places of the series in `at` (which of `keys`, and the number there) in the order of their
/// labels. Dictionaries may be empty if there is one place only.
pub(crate) fn by_labels(mut keys: Vec<Keys>, at: &[(u32, u32)]) -> Vec<u32> {
    if keys.len() > 1 {
        unite(&mut keys);
    }
    let keys = &keys;
    let of = |series: u32| {
        let (place, number) = at[series as usize];
        keys[place as usize].of(number)
    };
    // The first pairs side by side decide most comparisons without a look elsewhere.
    let mut order: Vec<(u128, u32)> = (0..at.len() as u32)
        .map(|series| (front(of(series)), series))
        .collect();
    let compare = |a: &(u128, u32), b: &(u128, u32)| {
        let fronts = a.0.cmp(&b.0);
        fronts.then_with(|| of(a.1).cmp(of(b.1)))
    };
    if order.len() < PARALLEL_SORT_MIN {
        order.sort_unstable_by(compare);
    } else {
        order.par_sort_unstable_by(compare);
    }
    order.into_iter().map(|(_, series)| series).collect()
}

/// The first three numbers, each one above what it is: nothing comes before any.
fn front(ranks: &[u32]) -> u128 {
    let first = |at: usize| ranks.get(at).map_or(0, |&rank| u128::from(rank) + 1);
    (0..3).fold(0, |front, at| front << 33 | first(at))
}

/// Makes the numbers of all places those of one list.
fn unite(keys: &mut [Keys]) {
    let mut all: Vec<(usize, usize)> = Vec::new();
    for (place, of_place) in keys.iter().enumerate() {
        all.extend((0..of_place.dictionary.ends.len()).map(|at| (place, at)));
    }
    let pair = |&(place, at): &(usize, usize)| keys[place].dictionary.pair(at);
    all.sort_unstable_by(|a, b| pair(a).cmp(&pair(b)));
    let sizes = keys.iter().map(|of| of.dictionary.ends.len());
    let mut united: Vec<Vec<u32>> = sizes.map(|size| vec![0; size]).collect();
    for (rank, same) in (0..).zip(all.chunk_by(|a, b| pair(a) == pair(b))) {
        for &(place, at) in same {
            united[place][at] = rank;
        }
    }
    for (of_place, united) in keys.iter_mut().zip(&united) {
        for rank in &mut of_place.ranks {
            *rank = united[*rank as usize];
        }
    }
}

#[cfg(test)]
mod tests {
    use model::Labels;

    use super::*;

    /// Keys of some series, by number.
    fn keys(sets: &[Labels], members: &[usize]) -> Keys {
        let mut pairs: Vec<(&str, &str)> = Vec::new();
        members
            .iter()
            .for_each(|&member| pairs.extend(sets[member].iter()));
        pairs.sort_unstable();
        pairs.dedup();
        let mut keys = Keys::default();
        for (name, value) in &pairs {
            keys.dictionary.push(name, value);
        }
        let rank = |pair: (&str, &str)| pairs.binary_search(&pair).unwrap() as u32;
        for &member in members {
            keys.push(sets[member].iter().map(rank));
        }
        keys
    }

    #[test]
    fn is_that_of_label_sets() {
        let mut random = fastrand::Rng::with_seed(3);
        let names = ["a", "ab", "b", "c", "d", "e"];
        let mut sets: Vec<Labels> = (0..300)
            .map(|_| {
                let values = ["", "", "a", "ab", "b", "ba", "c"];
                let mut pair = |name| (name, values[random.usize(..values.len())]);
                Labels::from_pairs(names.map(&mut pair))
            })
            .collect();
        sets.sort();
        sets.dedup();
        random.shuffle(&mut sets);
        for places in [1, 3] {
            let members: Vec<Vec<usize>> = (0..places)
                .map(|place| (0..sets.len()).filter(|at| at % places == place).collect())
                .collect();
            let at: Vec<_> = (0..sets.len())
                .map(|at| ((at % places) as u32, (at / places) as u32))
                .collect();
            let lists = members.iter().map(|members| keys(&sets, members)).collect();
            let order = by_labels(lists, &at);
            let sorted = order.iter().map(|&at| &sets[at as usize]);
            assert!(sorted.is_sorted(), "{places}");
            assert_eq!(order.len(), sets.len());
        }
    }
}
