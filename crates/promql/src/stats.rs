//! What a query cost: the `stats` of the API.

/// Seconds that the parts of a query took.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Timings {
    /// From leaving the queue to the answer.
    pub eval_total_time: f64,
    /// Sorting the answer.
    pub result_sort_time: f64,
    /// Finding the series.
    pub query_preparation_time: f64,
    /// Reading and calculating.
    pub inner_eval_time: f64,
    /// Waiting for other queries.
    pub exec_queue_time: f64,
    /// All together.
    pub exec_total_time: f64,
}

/// Samples that a query touched.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SampleStats {
    /// Samples that all steps looked at; a window counts in full at every step.
    pub total_queryable_samples: u64,
    /// Samples read; of a window that moves on only the new ones count.
    pub samples_read: u64,
    /// The most that were in memory at a time.
    pub peak_samples: u64,
    /// `total_queryable_samples` by step: its time in milliseconds, and the count. Only on request.
    pub total_queryable_samples_per_step: Option<Vec<(i64, u64)>>,
    /// `samples_read` by step, likewise.
    pub samples_read_per_step: Option<Vec<(i64, u64)>>,
}

/// What a query cost.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct QueryStats {
    /// Time.
    pub timings: Timings,
    /// Samples.
    pub samples: SampleStats,
}
