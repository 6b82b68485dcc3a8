//! Locks and atomics under one name: those of `parking_lot` and `std`, or with the feature `shuttle`
//! those of a model checker, which decides in which order threads come to them (`tests/model`).

#[cfg(not(feature = "shuttle"))]
pub(crate) use parking_lot::{Condvar, Mutex, MutexGuard, RwLock};
#[cfg(not(feature = "shuttle"))]
pub(crate) use std::sync::atomic;

#[cfg(feature = "shuttle")]
pub(crate) use shuttle::sync::atomic;
#[cfg(feature = "shuttle")]
pub(crate) use shuttle_parking_lot::{Mutex, MutexGuard, RwLock};

/// Stands in for the one that the checker does not have: every wait ends at once, as any wait may.
#[cfg(feature = "shuttle")]
#[derive(Debug, Default)]
pub(crate) struct Condvar;

#[cfg(feature = "shuttle")]
impl Condvar {
    pub(crate) fn new() -> Condvar {
        Condvar
    }

    pub(crate) fn wait_for<T>(&self, guard: &mut MutexGuard<'_, T>, _time: std::time::Duration) {
        MutexGuard::unlocked(guard, shuttle::thread::yield_now);
    }

    pub(crate) fn notify_all(&self) {}
}
