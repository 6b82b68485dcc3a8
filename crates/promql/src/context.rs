//! What a running query may use: time, samples in memory, and what it has read so far.
//!
//! Cancellation and timeout are asked for between series and between parts of the query, not
//! between samples: often enough to end within milliseconds, seldom enough to cost nothing.
//!
//! Bytes are what is allocated: columns with the room that they have, labels that are no storage's,
//! tables of groups, series on their way between threads, samples that are being read. What is
//! about to be allocated by the step is asked for before, so that a query goes beyond its limit by
//! little more than one series. `tests/memory` holds this against what is allocated.
//!
//! Bytes are reserved from the memory that all queries share a mebibyte at a time, and are given
//! back when the query ends: what it has freed meanwhile it will mostly need again.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use storage::{MemoryBudget, Reservation};

use crate::column::Column;
use crate::error::QueryError;
use crate::options::CancelToken;
use crate::queries::Usage;
use crate::window::WindowCounts;

/// What is going on while values are calculated, as errors name it.
pub(crate) const EVALUATION: &str = "expression evaluation";
/// What is going on before evaluation begins.
pub(crate) const EXECUTION: &str = "query execution";

/// When a query has to end.
#[derive(Debug)]
pub(crate) struct Deadline {
    clock: clock::SharedClock,
    started: Duration,
    ends: Duration,
    cancel: CancelToken,
}

impl Deadline {
    pub(crate) fn new(
        clock: clock::SharedClock,
        timeout: Duration,
        cancel: CancelToken,
    ) -> Deadline {
        let started = clock.monotonic();
        Deadline {
            ends: started.saturating_add(timeout),
            started,
            clock,
            cancel,
        }
    }

    /// An error once the query is cancelled or out of time.
    pub(crate) fn check(&self, phase: &'static str) -> Result<(), QueryError> {
        if self.cancel.is_canceled() {
            return Err(QueryError::Canceled(phase));
        }
        if self.clock.monotonic() >= self.ends {
            return Err(QueryError::Timeout(phase));
        }
        Ok(())
    }

    /// The same for a query that still waits for others.
    pub(crate) fn check_in_queue(&self) -> Result<(), QueryError> {
        self.check(EXECUTION).map_err(|error| match error {
            QueryError::Canceled(_) => QueryError::CanceledInQueue,
            _ => QueryError::TimeoutInQueue,
        })
    }

    /// How long the query may still take.
    pub(crate) fn remaining(&self) -> Duration {
        self.ends.saturating_sub(self.clock.monotonic())
    }

    /// Time since the query came in.
    pub(crate) fn elapsed(&self) -> Duration {
        self.clock.monotonic().saturating_sub(self.started)
    }
}

/// Floats that columns may take for every sample that is allowed. Columns have room for steps
/// without a sample, which the limit of samples does not see: series that come and go within many
/// steps must not take all memory with their gaps.
const CELLS_PER_SAMPLE_MAX: u64 = 4;

/// Steps that anything is evaluated at. More are refused before anything is allocated by step.
pub(crate) const STEPS_MAX: usize = 50_000_000;

/// What is reserved of the common memory at a time.
const RESERVED_BYTES: u64 = 1 << 20;

/// Samples that a query holds in memory, against what it may hold.
#[derive(Debug)]
pub(crate) struct Budget {
    /// What is held.
    usage: Arc<Usage>,
    /// Bytes that may be held.
    bytes_max: u64,
    /// Bytes that are reserved for it.
    reserved: AtomicU64,
    reservation: Mutex<Reservation>,
    max: u64,
    cells_max: u64,
    cells: AtomicU64,
}

impl Budget {
    pub(crate) fn new(max: u64, memory: &Arc<MemoryBudget>) -> Budget {
        Budget {
            usage: Arc::default(),
            bytes_max: u64::MAX,
            reserved: AtomicU64::new(0),
            reservation: Mutex::new(memory.reserve()),
            max,
            // A small limit is no reason to refuse a few gaps.
            cells_max: max.max(1 << 20).saturating_mul(CELLS_PER_SAMPLE_MAX),
            cells: AtomicU64::new(0),
        }
    }

    /// At most `bytes_max` of memory, 0 for no limit; what is held shows in `usage`.
    pub(crate) fn within(mut self, bytes_max: u64, usage: &Arc<Usage>) -> Budget {
        self.bytes_max = if bytes_max == 0 { u64::MAX } else { bytes_max };
        self.usage = Arc::clone(usage);
        self
    }

    /// So many more series were found in the index, for those who look at the query.
    pub(crate) fn selected(&self, count: usize) {
        self.usage.series.fetch_add(count as u64, Ordering::Relaxed);
    }

    /// Whether so many bytes more would still fit; nobody holds them yet.
    pub(crate) fn probe_bytes(&self, count: usize) -> Result<(), QueryError> {
        if self.bytes().saturating_add(count as u64) > self.bytes_max {
            return Err(self.too_many_bytes());
        }
        Ok(())
    }

    /// The error of a query that would hold more than it may.
    pub(crate) fn too_many_bytes(&self) -> QueryError {
        QueryError::TooManyBytes {
            bytes_max: self.bytes_max,
        }
    }

    /// Bytes that the query may still take, at least 1; 0 for no limit.
    pub(crate) fn bytes_left(&self) -> u64 {
        match self.bytes_max {
            u64::MAX => 0,
            bytes_max => bytes_max.saturating_sub(self.bytes()).max(1),
        }
    }

    /// Bytes that the query may hold, `u64::MAX` for no limit.
    pub(crate) fn bytes_max(&self) -> u64 {
        self.bytes_max
    }

    /// Bytes that are held.
    pub(crate) fn bytes(&self) -> u64 {
        self.usage.bytes.load(Ordering::Relaxed)
    }

    /// The most that were held at a time.
    pub(crate) fn peak(&self) -> u64 {
        self.usage.samples_peak.load(Ordering::Relaxed)
    }

    /// Whether `count` more would still fit; they count for the peak. For what is held for a
    /// moment only.
    pub(crate) fn probe(&self, count: u64) -> Result<(), QueryError> {
        self.note(
            self.usage
                .samples
                .load(Ordering::Relaxed)
                .saturating_add(count),
        )
    }

    fn take_bytes(&self, count: u64) -> Result<(), QueryError> {
        let held = self.usage.bytes.fetch_add(count, Ordering::Relaxed) + count;
        if held > self.bytes_max {
            return Err(self.too_many_bytes());
        }
        self.usage.bytes_peak.fetch_max(held, Ordering::Relaxed);
        if held > self.reserved.load(Ordering::Relaxed) {
            let mut reservation = self.reservation.lock();
            let lacking = held.saturating_sub(reservation.bytes());
            reservation.grow(lacking.next_multiple_of(RESERVED_BYTES))?;
            self.reserved.store(reservation.bytes(), Ordering::Relaxed);
        }
        Ok(())
    }

    fn note(&self, live: u64) -> Result<(), QueryError> {
        self.usage.samples_peak.fetch_max(live, Ordering::Relaxed);
        if live > self.max {
            return Err(QueryError::TooManySamples);
        }
        Ok(())
    }
}

/// Samples that are held as long as this lives.
#[derive(Debug)]
pub(crate) struct Charge<'q> {
    budget: &'q Budget,
    count: u64,
    cells: u64,
    bytes: u64,
}

impl<'q> Charge<'q> {
    pub(crate) fn none(budget: &'q Budget) -> Charge<'q> {
        Charge {
            budget,
            count: 0,
            cells: 0,
            bytes: 0,
        }
    }

    /// The samples of a column, its gaps, and what it takes.
    pub(crate) fn add_column(&mut self, column: &Column) -> Result<(), QueryError> {
        self.add_samples(column.size_in_samples())?;
        self.add_cells(column.parts().1.len())?;
        self.add_bytes(column.size_bytes())
    }

    /// Floats that are no samples, or not yet, against the limit of gaps.
    fn add_cells(&mut self, count: usize) -> Result<(), QueryError> {
        let count = count as u64;
        self.cells += count;
        let cells = self.budget.cells.fetch_add(count, Ordering::Relaxed) + count;
        if cells > self.budget.cells_max {
            return Err(QueryError::TooManySamples);
        }
        Ok(())
    }

    /// Floats by the step that are about to be allocated.
    pub(crate) fn add_steps(&mut self, count: usize) -> Result<(), QueryError> {
        self.add_cells(count)?;
        self.add_bytes(count.saturating_mul(size_of::<f64>()))
    }

    /// Memory that is, or is about to be, allocated.
    pub(crate) fn add_bytes(&mut self, count: usize) -> Result<(), QueryError> {
        self.bytes += count as u64;
        self.budget.take_bytes(count as u64)
    }

    /// Memory that is held no more, or that somebody else answers for from now on.
    pub(crate) fn release_bytes(&mut self, count: usize) {
        let count = self.bytes.min(count as u64);
        self.bytes -= count;
        self.budget.usage.bytes.fetch_sub(count, Ordering::Relaxed);
    }

    /// What one thing takes that grows and shrinks, and nothing else hangs on this charge.
    pub(crate) fn set_bytes(&mut self, count: usize) -> Result<(), QueryError> {
        match (count as u64).checked_sub(self.bytes) {
            Some(0) => Ok(()),
            Some(more) => self.add_bytes(more as usize),
            None => {
                self.release_bytes(self.bytes as usize - count);
                Ok(())
            }
        }
    }

    /// Whether so many bytes more would fit for a moment.
    pub(crate) fn probe_bytes(&self, count: usize) -> Result<(), QueryError> {
        self.budget.probe_bytes(count)
    }

    /// Samples that count against the limit of samples; what they take is for others to say.
    pub(crate) fn add_samples(&mut self, count: usize) -> Result<(), QueryError> {
        self.add_live(count as u64)
    }

    fn add_live(&mut self, count: u64) -> Result<(), QueryError> {
        self.count += count;
        let live = self
            .budget
            .usage
            .samples
            .fetch_add(count, Ordering::Relaxed)
            + count;
        self.budget.note(live)
    }
}

impl Drop for Charge<'_> {
    fn drop(&mut self) {
        let Usage { samples, bytes, .. } = &*self.budget.usage;
        samples.fetch_sub(self.count, Ordering::Relaxed);
        self.budget.cells.fetch_sub(self.cells, Ordering::Relaxed);
        bytes.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// Samples that an evaluation has looked at.
#[derive(Debug, Clone, Default)]
pub(crate) struct Counts {
    pub(crate) total: u64,
    pub(crate) read: u64,
    /// Both by step, if they are asked for.
    pub(crate) per_step: Option<Vec<(u64, u64)>>,
}

impl Counts {
    pub(crate) fn new(per_step: bool, steps: usize) -> Counts {
        Counts {
            per_step: per_step.then(|| vec![(0, 0); steps]),
            ..Counts::default()
        }
    }

    /// What counts by step take.
    pub(crate) fn bytes_for(per_step: bool, steps: usize) -> usize {
        usize::from(per_step).saturating_mul(steps.saturating_mul(size_of::<(u64, u64)>()))
    }

    /// The bytes of memory that they have allocated.
    pub(crate) fn size_bytes(&self) -> usize {
        Counts::bytes_for(
            self.per_step.is_some(),
            self.per_step.as_ref().map_or(0, Vec::len),
        )
    }

    pub(crate) fn add(&mut self, step: usize, total: u64, read: u64) {
        self.total += total;
        self.read += read;
        if let Some(slot) = self.per_step.as_mut().and_then(|steps| steps.get_mut(step)) {
            slot.0 += total;
            slot.1 += read;
        }
    }

    /// The samples of a series' windows; those that came from a subquery were read elsewhere.
    pub(crate) fn add_windows(&mut self, windows: &WindowCounts, were_read: bool) {
        self.total += windows.total;
        self.read += if were_read { 0 } else { windows.read };
        if let (Some(steps), Some(new)) = (&mut self.per_step, &windows.per_step) {
            for (step, (total, read)) in steps.iter_mut().zip(new) {
                step.0 += total;
                step.1 += if were_read { 0 } else { *read };
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn charges_end_with_their_life() {
        let budget = Budget::new(10, &MemoryBudget::unlimited());
        let mut first = Charge::none(&budget);
        first.add_samples(6).unwrap();
        assert_eq!(
            Charge::none(&budget).add_samples(5),
            Err(QueryError::TooManySamples)
        );
        first.add_samples(4).unwrap();
        assert_eq!(budget.probe(1), Err(QueryError::TooManySamples));
        drop(first);
        budget.probe(10).unwrap();
        assert_eq!(budget.peak(), 11);
    }

    #[test]
    fn gaps_are_limited_too() {
        let budget = Budget::new(10, &MemoryBudget::unlimited());
        let mut charge = Charge::none(&budget);
        charge.add_cells(4 << 20).unwrap();
        assert_eq!(charge.add_cells(1), Err(QueryError::TooManySamples));
        drop(charge);
        Charge::none(&budget).add_cells(4 << 20).unwrap();
    }

    #[test]
    fn bytes_of_a_query_are_limited() {
        let usage = Arc::new(Usage::default());
        let budget = Budget::new(1 << 20, &MemoryBudget::unlimited()).within(160, &usage);
        let mut charge = Charge::none(&budget);
        charge.add_bytes(144).unwrap();
        charge.add_steps(2).unwrap();
        let too_many = Err(QueryError::TooManyBytes { bytes_max: 160 });
        assert_eq!(Charge::none(&budget).add_steps(1), too_many);
        assert_eq!(
            (budget.probe_bytes(0), budget.probe_bytes(1)),
            (Ok(()), too_many)
        );
        assert_eq!(usage.bytes.load(Ordering::Relaxed), 160);
        charge.release_bytes(60);
        charge.set_bytes(160).unwrap();
        charge.set_bytes(20).unwrap();
        assert_eq!(usage.bytes.load(Ordering::Relaxed), 20);
        drop(charge);
        assert_eq!(usage.bytes.load(Ordering::Relaxed), 0);
        assert_eq!(usage.bytes_peak.load(Ordering::Relaxed), 160);
    }

    #[test]
    fn memory_is_shared_with_others() {
        let memory = MemoryBudget::new(3 << 20);
        let (first, second) = (Budget::new(1 << 30, &memory), Budget::new(1 << 30, &memory));
        let mut charge = Charge::none(&first);
        charge.add_bytes(16).unwrap();
        charge.add_steps(1 << 17).unwrap();
        assert_eq!(memory.query_bytes(), 2 << 20, "a sample and a mebibyte");
        Charge::none(&second).add_bytes(1 << 20).unwrap();
        let refused = Charge::none(&second).add_bytes((1 << 20) + 1);
        assert!(matches!(refused, Err(QueryError::Memory(_))), "{refused:?}");
        assert_eq!(memory.query_bytes(), 3 << 20, "kept until the query ends");
        drop(charge);
        Charge::none(&first).add_bytes(2 << 20).unwrap();
        drop(first);
        Charge::none(&second).add_bytes(3 << 20).unwrap();
        drop(second);
        assert_eq!(memory.query_bytes(), 0);
    }

    #[test]
    fn deadlines_tell_why_and_where() {
        let clock = clock::ManualClock::at_ms(0);
        let cancel = CancelToken::new();
        let deadline = Deadline::new(
            std::sync::Arc::<clock::ManualClock>::clone(&clock),
            Duration::from_secs(1),
            cancel.clone(),
        );
        deadline.check(EXECUTION).unwrap();
        clock.advance(Duration::from_secs(1));
        let error = deadline.check(EVALUATION).unwrap_err().to_string();
        assert_eq!(error, "query timed out in expression evaluation");
        let error = deadline.check_in_queue().unwrap_err().to_string();
        assert_eq!(error, "context deadline exceeded");
        cancel.cancel();
        let error = deadline.check(EXECUTION).unwrap_err().to_string();
        assert_eq!(error, "query was canceled in query execution");
        let error = deadline.check_in_queue().unwrap_err().to_string();
        assert_eq!(error, "context canceled");
    }
}
