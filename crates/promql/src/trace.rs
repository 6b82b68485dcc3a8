//! What the parts of a query cost: the tree of `trace=1`.
//!
//! A part is a vector of the plan. It is timed from when it is asked for to when it is there or,
//! if it can be made series by series, ready to be made: then whoever takes its series pays for
//! them, and it says so by [`TraceNode::is_lazy`]. Off, it costs a look at an `Option` for each
//! part of a query, and nothing for a series or a sample.

use std::time::Duration;

use crate::annotations::Position;

/// One part of a query.
#[derive(Debug, Clone, PartialEq)]
pub struct TraceNode {
    /// Its text in the query.
    pub text: String,
    /// Where the text begins, in bytes.
    pub start: usize,
    /// Where it ends.
    pub end: usize,
    /// Seconds that it took, with its parts.
    pub seconds: f64,
    /// Series that it has.
    pub series: u64,
    /// Steps that it was evaluated at.
    pub steps: u64,
    /// Samples that were looked at meanwhile.
    pub samples: u64,
    /// Bytes that the query held when it was done.
    pub bytes: u64,
    /// Its series are made when the part above takes them, and timed there.
    pub is_lazy: bool,
    /// Its own parts, in the order in which they were evaluated.
    pub children: Vec<TraceNode>,
}

/// The tree while it grows.
#[derive(Debug, Default)]
pub(crate) struct Trace {
    open: Vec<Opened>,
    done: Vec<Span>,
}

#[derive(Debug)]
struct Opened {
    position: Position,
    began: Duration,
    samples: u64,
    /// How many parts were done before.
    done: usize,
}

/// A part that is done.
#[derive(Debug)]
pub(crate) struct Span {
    position: Position,
    took: Duration,
    cost: Cost,
    children: Vec<Span>,
}

/// What is known of a part when it is done.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cost {
    pub(crate) series: u64,
    pub(crate) steps: u64,
    pub(crate) samples: u64,
    pub(crate) bytes: u64,
    pub(crate) is_lazy: bool,
}

impl Trace {
    /// A part begins; `samples` were looked at before.
    pub(crate) fn open(&mut self, position: Position, now: Duration, samples: u64) {
        self.open.push(Opened {
            position,
            began: now,
            samples,
            done: self.done.len(),
        });
    }

    /// The part that began last is done. After an error parts stay open; nobody sees them.
    pub(crate) fn close(&mut self, now: Duration, cost: Cost) {
        let Some(opened) = self.open.pop() else {
            return;
        };
        let children = self.done.split_off(opened.done.min(self.done.len()));
        self.done.push(Span {
            position: opened.position,
            took: now.saturating_sub(opened.began),
            cost: Cost {
                samples: cost.samples.saturating_sub(opened.samples),
                ..cost
            },
            children,
        });
    }

    pub(crate) fn into_nodes(self, query: &str) -> Vec<TraceNode> {
        nodes(self.done, query)
    }
}

fn nodes(spans: Vec<Span>, query: &str) -> Vec<TraceNode> {
    let node = |span: Span| TraceNode {
        text: query.get(span.position.clone()).unwrap_or("").to_owned(),
        start: span.position.start,
        end: span.position.end,
        seconds: span.took.as_secs_f64(),
        series: span.cost.series,
        steps: span.cost.steps,
        samples: span.cost.samples,
        bytes: span.cost.bytes,
        is_lazy: span.cost.is_lazy,
        children: nodes(span.children, query),
    };
    spans.into_iter().map(node).collect()
}
