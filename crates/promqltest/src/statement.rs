//! The test language: statements of a file, each with its line.
//!
//! A file is a sequence of `clear`, `load` and `eval` statements, each ended by an empty line; the
//! language is described in upstream's promql/promqltest/README.md. A statement that cannot be read
//! does not hide those after it.

use std::fmt;
use std::sync::Arc;

use gocompat::Regex;
use model::{FloatHistogram, Labels};
use promql_syntax::SequenceValue;

use crate::start_times;

/// One value of a series as the file writes it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Point {
    /// No sample at this step.
    Missing,
    Float(f64),
    Histogram {
        histogram: Arc<FloatHistogram>,
        /// Whether the file says what is known of a counter reset, so that it matters.
        hint_matters: bool,
    },
}

/// `load 5m` with its series.
#[derive(Debug, Clone, Default)]
pub(crate) struct Load {
    pub(crate) step_ms: i64,
    /// Classic histograms are stored as native ones with custom buckets too.
    pub(crate) with_nhcb: bool,
    pub(crate) series: Vec<(Labels, Vec<Point>)>,
    /// When the counters of a series started, relative to its samples.
    pub(crate) starts: Vec<(Labels, Vec<Option<i64>>)>,
}

/// What is said beside an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Annotation {
    Warn,
    Info,
}

impl Annotation {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Annotation::Warn => "warning",
            Annotation::Info => "info",
        }
    }
}

/// A text that is expected.
#[derive(Debug, Clone)]
pub(crate) enum Expectation {
    Anything,
    Exactly(String),
    Like(Regex),
}

impl Expectation {
    pub(crate) fn accepts(&self, text: &str) -> bool {
        match self {
            Expectation::Anything => true,
            Expectation::Exactly(expected) => expected == text,
            Expectation::Like(regex) => regex.is_match(text),
        }
    }

    /// From a pattern that may match anywhere in a text.
    fn like(pattern: &str) -> Result<Expectation, String> {
        let regex = Regex::new_anchored(&format!(".*(?:{})(?:.*)", pattern.trim()));
        regex.map(Expectation::Like).map_err(|e| e.0)
    }
}

impl fmt::Display for Expectation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Expectation::Anything => f.write_str("anything"),
            Expectation::Exactly(text) => write!(f, "{text:?}"),
            Expectation::Like(regex) => write!(f, "/{}/", regex.as_str()),
        }
    }
}

/// `eval` with all that it expects.
#[derive(Debug, Clone, Default)]
pub(crate) struct Eval {
    pub(crate) query: String,
    pub(crate) is_range: bool,
    /// The time of an instant query, the first one of a range query or of an expected range.
    pub(crate) start_ms: i64,
    pub(crate) end_ms: i64,
    pub(crate) step_ms: i64,
    /// When an instant query is asked.
    pub(crate) time_ms: i64,
    ordered: bool,
    pub(crate) fail: Option<Expectation>,
    /// At least one of these kinds.
    pub(crate) some_of: Vec<Annotation>,
    pub(crate) none_of: Vec<Annotation>,
    pub(crate) annotations: Vec<(Annotation, Expectation)>,
    pub(crate) string: Option<String>,
    pub(crate) scalar: Option<f64>,
    pub(crate) series: Vec<(Labels, Vec<Point>)>,
    /// The answer is a range vector or a string: it cannot be asked as a range query too.
    pub(crate) instant_only: bool,
}

impl Eval {
    pub(crate) fn is_ordered(&self) -> bool {
        self.ordered
    }
}

#[derive(Debug, Clone)]
pub(crate) enum Command {
    Clear,
    Load(Load),
    Eval(Eval),
}

/// A statement and the number of its first line, from 1.
#[derive(Debug, Clone)]
pub(crate) struct Statement {
    pub(crate) line: usize,
    pub(crate) text: String,
    /// The command, or why it cannot be read.
    pub(crate) command: Result<Command, String>,
}

/// Reads a file.
pub(crate) fn parse(text: &str) -> Vec<Statement> {
    let lines: Vec<&str> = text
        .lines()
        .map(|line| {
            let line = line.trim();
            if line.starts_with('#') { "" } else { line }
        })
        .collect();
    let mut statements = Vec::new();
    let mut at = 0;
    while at < lines.len() {
        if lines[at].is_empty() {
            at += 1;
            continue;
        }
        let word = lines[at].split([' ', '\t']).next().unwrap_or_default();
        let word = word.to_lowercase();
        let length = if word == "clear" {
            1
        } else {
            lines[at..]
                .iter()
                .position(|line| line.is_empty())
                .unwrap_or(lines.len() - at)
        };
        let (head, body) = (lines[at], &lines[at + 1..at + length]);
        let (command, used) = if word == "clear" {
            (Ok(Command::Clear), 0)
        } else if word.starts_with("load") {
            (load(head, body).map(Command::Load), body.len())
        } else if word.starts_with("eval") {
            match eval(head, body) {
                Ok((eval, used)) => (Ok(Command::Eval(eval)), used),
                Err(error) => (Err(error), body.len()),
            }
        } else {
            (Err(format!("invalid command {head:?}")), 0)
        };
        statements.push(Statement {
            line: at + 1,
            text: head.to_owned(),
            command,
        });
        at += 1 + used;
    }
    statements
}

/// The groups of a pattern of the test language that match the whole of `text`.
fn groups<'t>(pattern: &str, text: &'t str, count: usize) -> Option<Vec<Option<&'t str>>> {
    let regex = Regex::new_anchored(pattern).expect("the patterns of this file are valid");
    let captures = regex.captures(text)?;
    Some((1..=count).map(|group| captures.get(group)).collect())
}

fn duration(text: &str) -> Result<i64, String> {
    model::parse_duration_ms(text).map_err(|e| e.to_string())
}

fn load(head: &str, body: &[&str]) -> Result<Load, String> {
    let parts = groups(r"load(?:_(with_nhcb))?\s+(.+?)", head, 2)
        .ok_or("invalid load command. (load[_with_nhcb] <step:duration>)")?;
    let mut load = Load {
        step_ms: duration(parts[1].unwrap_or_default())?,
        with_nhcb: parts[0].is_some(),
        ..Load::default()
    };
    let mut pending: Option<(Labels, Vec<Option<i64>>)> = None;
    for line in body {
        if let Some((metric, times)) = start_times::split(line) {
            if pending.is_some() {
                return Err("a line of start times without samples".to_owned());
            }
            let (labels, _) = series(&format!("{metric} _"))?;
            pending = Some((labels, start_times::parse(times)?));
            continue;
        }
        let (labels, points) = series(line)?;
        // Of equal label sets the last one counts, as upstream.
        load.series.retain(|(other, _)| *other != labels);
        load.starts.retain(|(other, _)| *other != labels);
        if let Some((of, starts)) = pending.take() {
            if of != labels || starts.len() != points.len() {
                return Err(format!("start times do not fit the samples of {labels}"));
            }
            load.starts.push((of, starts));
        }
        load.series.push((labels, points));
    }
    if pending.is_some() {
        return Err("a line of start times without samples".to_owned());
    }
    Ok(load)
}

/// The statement, and how many lines of `body` belong to it.
fn eval(head: &str, body: &[&str]) -> Result<(Eval, usize), String> {
    let mut eval = Eval::default();
    let modifier;
    if let Some(parts) = groups(
        r"eval(?:_(fail|warn|ordered|info))?\s+instant\s+(?:at\s+(.+?))?\s+(.+)",
        head,
        3,
    ) {
        modifier = parts[0];
        eval.time_ms = duration(parts[1].unwrap_or_default())?;
        eval.start_ms = eval.time_ms;
        eval.query = parts[2].unwrap_or_default().to_owned();
    } else if let Some(parts) = groups(
        r"eval(?:_(fail|warn|info))?\s+range\s+from\s+(.+)\s+to\s+(.+)\s+step\s+(.+?)\s+(.+)",
        head,
        5,
    ) {
        modifier = parts[0];
        let times = parts[1..4].iter().map(|p| duration(p.unwrap_or_default()));
        let times: Vec<i64> = times.collect::<Result<_, _>>()?;
        eval.is_range = true;
        (eval.start_ms, eval.end_ms, eval.step_ms) = (times[0], times[1], times[2]);
        eval.query = parts[4].unwrap_or_default().to_owned();
    } else {
        return Err("invalid evaluation command".to_owned());
    }
    match modifier {
        Some("ordered") => eval.ordered = true,
        Some("fail") => eval.fail = Some(Expectation::Anything),
        Some("warn") => eval.some_of.push(Annotation::Warn),
        Some("info") => eval.some_of.push(Annotation::Info),
        _ => {}
    }
    for (at, line) in body.iter().enumerate() {
        if !expectation(&mut eval, line, modifier == Some("fail"))? {
            return Ok((eval, at + 1));
        }
    }
    Ok((eval, body.len()))
}

/// Takes one line below an `eval` in; false if it is the last one that belongs to it.
fn expectation(eval: &mut Eval, line: &str, old_fail: bool) -> Result<bool, String> {
    if old_fail && let Some(message) = line.strip_prefix("expected_fail_message") {
        eval.fail = Some(Expectation::Exactly(message.trim().to_owned()));
        return Ok(false);
    }
    if old_fail && let Some(pattern) = line.strip_prefix("expected_fail_regexp") {
        eval.fail = Some(Expectation::like(pattern)?);
        return Ok(false);
    }
    if let Some(range) = line.strip_prefix("expect range vector") {
        let parts = groups(r"\s+from\s+(.+)\s+to\s+(.+)\s+step\s+(.+)", range, 3)
            .ok_or_else(|| format!("invalid range vector definition {line:?}"))?;
        let times = parts.iter().map(|p| duration(p.unwrap_or_default()));
        let times: Vec<i64> = times.collect::<Result<_, _>>()?;
        (eval.start_ms, eval.end_ms, eval.step_ms) = (times[0], times[1], times[2]);
        eval.time_ms = eval.end_ms;
        eval.instant_only = true;
        return Ok(true);
    }
    if let Some(text) = line.strip_prefix("expect string") {
        let text = gocompat::strconv::unquote(text.trim_start())
            .map_err(|_| "expected string literal not valid".to_owned())?;
        eval.string = Some(text);
        eval.instant_only = true;
        return Ok(true);
    }
    if line.split(' ').next() == Some("expect") {
        annotation(eval, line)?;
        return Ok(true);
    }
    if let Some(number) = number(line) {
        eval.scalar = Some(number);
        return Ok(false);
    }
    let (labels, points) = series(line)?;
    if points.len() > 1 && !eval.is_range && !eval.instant_only {
        return Err("several values in an instant evaluation".to_owned());
    }
    eval.scalar = None;
    eval.series.retain(|(other, _)| *other != labels);
    eval.series.push((labels, points));
    Ok(true)
}

fn annotation(eval: &mut Eval, line: &str) -> Result<(), String> {
    let pattern = r"expect\s+(ordered|fail|warn|no_warn|info|no_info)(?:\s+(regex|msg):(.+))?";
    let parts = groups(pattern, line, 3).ok_or_else(|| format!("invalid expectation {line:?}"))?;
    let text = match (parts[1], parts[2]) {
        (Some("msg"), Some(text)) => Expectation::Exactly(text.trim().to_owned()),
        (Some(_), Some(pattern)) => Expectation::like(pattern)?,
        _ => Expectation::Anything,
    };
    match parts[0].unwrap_or_default() {
        "ordered" => eval.ordered = true,
        "fail" => eval.fail = Some(text),
        "warn" => eval.annotations.push((Annotation::Warn, text)),
        "no_warn" => eval.none_of.push(Annotation::Warn),
        "info" => eval.annotations.push((Annotation::Info, text)),
        _ => eval.none_of.push(Annotation::Info),
    }
    Ok(())
}

/// A number as Go's `ParseInt` with base 0 or `ParseFloat` reads it.
fn number(text: &str) -> Option<f64> {
    if let Ok(whole) = gocompat::strconv::parse_int(text, 0) {
        return Some(whole as f64);
    }
    gocompat::strconv::parse_float(text).ok()
}

/// Labels and values of a series line.
fn series(line: &str) -> Result<(Labels, Vec<Point>), String> {
    let description = promql_syntax::parse_series_desc(line).map_err(|error| error.to_string())?;
    let points = description.values.into_iter().map(|value| match value {
        SequenceValue::Omitted => Point::Missing,
        SequenceValue::Float(value) => Point::Float(value),
        SequenceValue::Histogram {
            histogram,
            counter_reset_hint_set,
        } => Point::Histogram {
            histogram,
            hint_matters: counter_reset_hint_set,
        },
    });
    Ok((description.labels, points.collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "
# a comment
load 10s
  up{a=\"b\"} 1 _ 3
  up@st 1s _ 1s

clear
eval instant at 50s sum(up)
  expect no_warn
  expect info regex: might.*counter
  {} 4

eval range from 0 to 1m step 10s up
  up{a=\"b\"} 1+1x6

eval_fail instant at 0 nope(
  expected_fail_message 1:1: no

eval instant at 10s \"x\"
  expect string \"x\"

eval instant at 0 5
  5
nonsense
";

    #[test]
    fn reads_a_file() {
        let statements = parse(FILE);
        let lines: Vec<usize> = statements.iter().map(|s| s.line).collect();
        assert_eq!(lines, [3, 7, 8, 13, 16, 19, 22, 24]);
        let eval = |at: usize| match &statements[at].command {
            Ok(Command::Eval(eval)) => eval,
            other => panic!("{other:?}"),
        };
        // The line of start times has no samples after it.
        assert!(statements[0].command.is_err());
        assert_eq!(
            (eval(2).time_ms, eval(2).query.as_str()),
            (50_000, "sum(up)")
        );
        assert_eq!(eval(2).none_of, [Annotation::Warn]);
        assert!(
            eval(2).annotations[0]
                .1
                .accepts("metric might not be a counter")
        );
        assert_eq!(eval(2).series, [(Labels::empty(), vec![Point::Float(4.0)])]);
        assert_eq!(
            (eval(3).start_ms, eval(3).end_ms, eval(3).step_ms),
            (0, 60_000, 10_000)
        );
        assert_eq!(eval(3).series[0].1.len(), 7);
        assert!(eval(4).fail.as_ref().unwrap().accepts("1:1: no"));
        assert!(!eval(4).fail.as_ref().unwrap().accepts("other"));
        assert_eq!(eval(5).string.as_deref(), Some("x"));
        assert_eq!(eval(6).scalar, Some(5.0));
        assert!(statements[7].command.is_err());
    }
}
