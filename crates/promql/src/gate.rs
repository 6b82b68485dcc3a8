//! How many queries run at a time: the others wait here, and their time runs on while they do.
//!
//! Every query that runs has a place of its own, by number: [`QueryTracker`](crate::QueryTracker)
//! notes it there.

use std::time::Duration;

use parking_lot::{Condvar, Mutex};

use crate::context::Deadline;
use crate::error::QueryError;

/// How long a waiting query sleeps before it looks whether it was cancelled.
const CANCEL_POLL: Duration = Duration::from_millis(20);

/// Lets a fixed number of queries through.
#[derive(Debug)]
pub(crate) struct Gate {
    places: Mutex<Places>,
    left: Condvar,
    max: usize,
}

#[derive(Debug, Default)]
struct Places {
    /// Places that were given back.
    free: Vec<usize>,
    /// Places from here on were never taken.
    fresh: usize,
}

/// A query's place; free again when this is dropped.
#[derive(Debug)]
pub(crate) struct Place<'a> {
    gate: &'a Gate,
    /// Below the number of queries that run at a time.
    pub(crate) number: usize,
}

impl Gate {
    /// A gate for `max` queries; at least one.
    pub(crate) fn new(max: usize) -> Gate {
        Gate {
            places: Mutex::default(),
            left: Condvar::new(),
            max: max.max(1),
        }
    }

    /// Waits for a place, until the query is cancelled or its time is over. A free place is taken
    /// in any case.
    pub(crate) fn enter(&self, deadline: &Deadline) -> Result<Place<'_>, QueryError> {
        let mut places = self.places.lock();
        loop {
            if let Some(number) = places.take(self.max) {
                return Ok(Place { gate: self, number });
            }
            deadline.check_in_queue()?;
            let wait = deadline.remaining().min(CANCEL_POLL);
            self.left.wait_for(&mut places, wait);
        }
    }
}

impl Places {
    fn take(&mut self, max: usize) -> Option<usize> {
        let fresh = self.fresh;
        self.free.pop().or_else(|| {
            (fresh < max).then(|| {
                self.fresh += 1;
                fresh
            })
        })
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.gate.places.lock().free.push(self.number);
        self.gate.left.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::CancelToken;

    #[test]
    fn waiting_ends_with_a_place_or_by_cancelling() {
        let clock = clock::SystemClock::shared();
        let cancel = CancelToken::new();
        let deadline = Deadline::new(clock, Duration::from_secs(60), cancel.clone());
        let gate = Gate::new(1);
        let place = gate.enter(&deadline).unwrap();
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| gate.enter(&deadline).map(drop));
            drop(place);
            assert_eq!(waiting.join().unwrap(), Ok(()));
        });
        let place = gate.enter(&deadline).unwrap();
        cancel.cancel();
        let error = gate.enter(&deadline).map(drop);
        assert_eq!(error, Err(QueryError::CanceledInQueue));
        drop(place);
    }

    #[test]
    fn places_are_told_apart() {
        let clock = clock::SystemClock::shared();
        let deadline = Deadline::new(clock, Duration::ZERO, CancelToken::new());
        let gate = Gate::new(2);
        let (first, second) = (
            gate.enter(&deadline).unwrap(),
            gate.enter(&deadline).unwrap(),
        );
        assert_eq!((first.number, second.number), (0, 1));
        let error = gate.enter(&deadline).map(drop);
        assert_eq!(error, Err(QueryError::TimeoutInQueue));
        drop(first);
        assert_eq!(gate.enter(&deadline).unwrap().number, 0);
    }
}
