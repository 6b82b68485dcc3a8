//! When the counter of a series began, by time: it changes with restarts only, so changes are kept.

/// From which time on samples have which start of their counter, 0 if it is not known. Before the
/// first step, it is not.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Steps(Vec<(i64, i64)>);

impl Steps {
    /// The start of a sample of that time.
    pub(crate) fn at(&self, ms: i64) -> i64 {
        let after = self.0.partition_point(|&(from_ms, _)| from_ms <= ms);
        after.checked_sub(1).map_or(0, |at| self.0[at].1)
    }

    /// That of the newest samples.
    pub(crate) fn last(&self) -> i64 {
        self.0.last().map_or(0, |&(_, start_ms)| start_ms)
    }

    /// Adds a step; what was said of later times does not hold any more.
    pub(crate) fn push(&mut self, from_ms: i64, start_ms: i64) {
        while self
            .0
            .last()
            .is_some_and(|&(last_ms, _)| last_ms >= from_ms)
        {
            self.0.pop();
        }
        if self.last() != start_ms {
            self.0.push((from_ms, start_ms));
        }
    }

    /// The steps, ascending.
    pub(crate) fn iter(&self) -> impl ExactSizeIterator<Item = (i64, i64)> {
        self.0.iter().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn later_words_win() {
        let mut steps = Steps::default();
        for (from_ms, start_ms) in [(10, 5), (20, 5), (30, 25), (40, 0), (35, 33)] {
            steps.push(from_ms, start_ms);
        }
        assert_eq!(
            steps.iter().collect::<Vec<_>>(),
            [(10, 5), (30, 25), (35, 33)]
        );
        let at = [9, 10, 29, 30, 34, 35, 99].map(|ms| steps.at(ms));
        assert_eq!(at, [0, 5, 5, 25, 25, 33, 33]);
        assert_eq!((steps.last(), Steps::default().last()), (33, 0));
    }
}
