//! The starts of counters on OpenMetrics pages: samples named `<family>_created`.
//!
//! Such a line has the labels of its counter, histogram or summary, and mostly stands behind the
//! lines that it is about. So the page is looked ahead in, from line to line: of the lines of the
//! family, the first `_created` one says the start if its labels are those of the sample, but for
//! `le` and `quantile`. What was found holds for all lines before it, so each line is read twice at
//! most.

use model::MetricType;

use crate::series::put_identity;

/// What the look ahead has found.
#[derive(Debug, Clone, Default)]
pub(crate) struct Starts {
    /// Length of the name in the last line of metadata: the part of a sample's name that is its
    /// family's.
    family_length: usize,
    ahead: Ahead,
    /// The last one that was a sample's: lines may follow it.
    identity: Vec<u8>,
    start_ms: i64,
    scratch: Vec<u8>,
}

/// The first `_created` line from somewhere on.
#[derive(Debug, Clone, Default)]
struct Ahead {
    /// It was looked for from here on,
    from: usize,
    /// and holds for lines up to here.
    to: usize,
    found: Option<(Vec<u8>, i64)>,
}

/// A `_created` line that was met, and where the look ahead ended.
pub(crate) struct Met<'a> {
    pub(crate) at: usize,
    /// The text of its series, and its value in milliseconds.
    pub(crate) line: Option<(&'a [u8], i64)>,
}

/// Whether there are starts of this type.
pub(crate) fn has_start(kind: MetricType) -> bool {
    matches!(
        kind,
        MetricType::Counter | MetricType::Summary | MetricType::Histogram
    )
}

/// Whether a name is that of a start.
pub(crate) fn is_created(name: &[u8]) -> bool {
    name.ends_with(b"_created")
}

impl Starts {
    /// A line of metadata named a family.
    pub(crate) fn begin_family(&mut self, family: &[u8]) {
        self.family_length = family.len();
        self.ahead = Ahead::default();
    }

    /// The start of a sample, 0 if there is none. `look` looks for the first `_created` line behind
    /// the sample, whose line ends at `at`.
    pub(crate) fn of<'a>(
        &mut self,
        series: &[u8],
        kind: MetricType,
        at: usize,
        look: impl FnOnce() -> Met<'a>,
    ) -> i64 {
        if !has_start(kind) {
            self.identity.clear();
            return 0;
        }
        let name = crate::series::metric_name(series);
        let family = &name[..self.family_length.min(name.len())];
        self.scratch.clear();
        put_identity(series, family, kind, &mut self.scratch);
        if self.start_ms > 0 && self.identity == self.scratch {
            return self.start_ms;
        }
        if at < self.ahead.from || at > self.ahead.to {
            let met = look();
            let found = met.line.map(|(series, start_ms)| {
                let name = crate::series::metric_name(series);
                let family = &name[..name.len() - b"_created".len()];
                let mut identity = Vec::new();
                put_identity(series, family, kind, &mut identity);
                (identity, start_ms)
            });
            self.ahead = Ahead {
                from: at,
                to: met.at,
                found,
            };
        }
        match &self.ahead.found {
            Some((identity, start_ms)) if *identity == self.scratch => {
                self.start_ms = *start_ms;
                std::mem::swap(&mut self.identity, &mut self.scratch);
                *start_ms
            }
            _ => {
                self.identity.clear();
                self.start_ms = 0;
                0
            }
        }
    }
}
