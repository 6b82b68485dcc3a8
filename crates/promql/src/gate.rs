//! How many queries run at a time: the others wait here, and their time runs on while they do.

use std::time::Duration;

use parking_lot::{Condvar, Mutex};

use crate::context::{Deadline, QUEUE};
use crate::error::QueryError;

/// How long a waiting query sleeps before it looks whether it was cancelled.
const CANCEL_POLL: Duration = Duration::from_millis(20);

/// Lets a fixed number of queries through.
#[derive(Debug)]
pub(crate) struct Gate {
    running: Mutex<usize>,
    left: Condvar,
    max: usize,
}

/// A query's place; free again when this is dropped.
#[derive(Debug)]
pub(crate) struct Place<'a>(&'a Gate);

impl Gate {
    /// A gate for `max` queries; at least one.
    pub(crate) fn new(max: usize) -> Gate {
        Gate {
            running: Mutex::new(0),
            left: Condvar::new(),
            max: max.max(1),
        }
    }

    /// Waits for a place, until the query is cancelled or its time is over.
    pub(crate) fn enter(&self, deadline: &Deadline) -> Result<Place<'_>, QueryError> {
        let mut running = self.running.lock();
        loop {
            deadline.check(QUEUE)?;
            if *running < self.max {
                *running += 1;
                return Ok(Place(self));
            }
            let wait = deadline.remaining().min(CANCEL_POLL);
            self.left.wait_for(&mut running, wait);
        }
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        *self.0.running.lock() -= 1;
        self.0.left.notify_one();
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
        assert_eq!(error, Err(QueryError::Canceled(QUEUE)));
        drop(place);
    }
}
