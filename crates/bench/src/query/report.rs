//! The table, and whether the goals are met.

use std::io::{self, Write};

use super::{Cost, HOURS_FULL, QueryOptions, QueryResult, VICTORIAMETRICS};

/// Series from which on a run is about the goals.
const SERIES_FULL: usize = 400_000;
/// How many times faster than a peer, in the geometric mean.
const FASTER: [(&str, f64); 2] = [("prometheus", 10.0), (VICTORIAMETRICS, 3.0)];
/// Of the count over all series at 40 steps.
const WIDE_SECONDS_MAX: f64 = 1.0;
/// Memory of a query, as a share of Prometheus's.
const MEMORY_SHARE_MAX: f64 = 1.0 / 3.0;
/// Less than this cannot be told from what a process does anyway.
const MEMORY_BYTES_MIN: u64 = 8 << 20;

/// Per server: milliseconds, hundredths of CPU seconds, megabytes in all and without mapped files.
pub(super) fn header(out: &mut impl Write, options: &QueryOptions) -> io::Result<()> {
    for (name, _) in &options.servers {
        write!(out, "{:>10.10} ms  CPU ms     MB    own ", name)?;
    }
    for (name, _) in options.servers.iter().skip(1) {
        write!(out, "{:>9.9} ", format!("x {name}"))?;
    }
    writeln!(out, "{:>7}  query", "series")
}

pub(super) fn row(out: &mut impl Write, result: &QueryResult) -> io::Result<()> {
    for cost in &result.costs {
        match cost {
            Some(cost) => write!(
                out,
                "{:>13.1} {:>7.0} {:>6.0} {:>6.0} ",
                cost.time.as_secs_f64() * 1e3,
                cost.cpu_s * 1e3,
                cost.memory_bytes as f64 / 1e6,
                cost.own_bytes as f64 / 1e6
            )?,
            None => write!(out, "{:>13} {:>7} {:>6} {:>6} ", "-", "-", "-", "-")?,
        }
    }
    for peer in 1..result.costs.len() {
        match ratio(result, peer) {
            Some(ratio) => write!(out, "{ratio:>9.1} ")?,
            None => write!(out, "{:>9} ", "-")?,
        }
    }
    let series = result.costs.first().copied().flatten();
    let series = series.map_or(0, |cost| cost.series);
    writeln!(out, "{series:>7}  {}", result.query)?;
    for cost in result.costs.iter().skip(1).flatten() {
        if cost.series.abs_diff(series) * 50 > series {
            writeln!(out, "    a peer finds {} series", cost.series)?;
        }
    }
    if let Some(difference) = &result.difference {
        writeln!(out, "    DIFFERENT {difference}")?;
    }
    out.flush()
}

/// Our cost and a peer's.
fn pair(result: &QueryResult, peer: usize) -> Option<(Cost, Cost)> {
    let ours = result.costs.first().copied().flatten()?;
    Some((ours, result.costs.get(peer).copied().flatten()?))
}

/// How many times longer the peer takes.
fn ratio(result: &QueryResult, peer: usize) -> Option<f64> {
    let (ours, theirs) = pair(result, peer)?;
    Some(theirs.time.as_secs_f64() / ours.time.as_secs_f64())
}

pub(super) fn footer(
    out: &mut impl Write,
    options: &QueryOptions,
    results: &[QueryResult],
    series: usize,
) -> io::Result<()> {
    let is_full = series >= SERIES_FULL && options.hours >= HOURS_FULL;
    if !is_full {
        writeln!(
            out,
            "The goals are about {SERIES_FULL} series and {HOURS_FULL} hours; here for what it is worth:"
        )?;
    }
    for (at, (name, _)) in options.servers.iter().enumerate().skip(1) {
        for (text, met) in against(name, at, results) {
            writeln!(out, "{} {text}", if met { "met   " } else { "MISSED" })?;
        }
    }
    let wide = results.iter().find(|r| r.query.starts_with("wide count("));
    if let Some(cost) = wide.and_then(|result| result.costs.first().copied().flatten()) {
        let seconds = cost.time.as_secs_f64();
        let met = seconds <= WIDE_SECONDS_MAX;
        writeln!(
            out,
            "{} wide count: {seconds:.2} s, goal {WIDE_SECONDS_MAX}",
            if met { "met   " } else { "MISSED" }
        )?;
    }
    let different = results.iter().filter(|r| r.difference.is_some()).count();
    let equal = results.len() - different;
    writeln!(out, "{equal} answers equal, {different} different")
}

/// The goals against one peer: what they come to, and whether they are met.
fn against(name: &str, peer: usize, results: &[QueryResult]) -> Vec<(String, bool)> {
    let mut ratios: Vec<(f64, &str)> = results
        .iter()
        .filter_map(|result| Some((ratio(result, peer)?, &*result.query)))
        .collect();
    ratios.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut goals = Vec::new();
    let (Some(&(worst, query)), Some(&(_, goal))) = (
        ratios.first(),
        FASTER.iter().find(|(peer, _)| *peer == name),
    ) else {
        return goals;
    };
    let mean = ratios.iter().map(|(ratio, _)| ratio.ln()).sum::<f64>() / ratios.len() as f64;
    let mean = mean.exp();
    goals.push((
        format!(
            "{name}: {mean:.1} times faster in the geometric mean of {} queries, goal {goal}",
            ratios.len()
        ),
        mean >= goal,
    ));
    let slower = ratios.iter().filter(|(ratio, _)| *ratio < 1.0).count();
    goals.push((
        format!("{name}: {slower} queries slower than it; the worst ratio is {worst:.2}: {query}"),
        slower == 0,
    ));
    if name == "prometheus" {
        let resident = |cost: &Cost| cost.memory_bytes;
        goals.push(of_memory(
            "memory, mapped files included",
            resident,
            peer,
            results,
        ));
        goals.push(of_memory(
            "own memory",
            |cost| cost.own_bytes,
            peer,
            results,
        ));
    }
    goals
}

/// Whether every query stays below a peer's share of one kind of memory.
fn of_memory(
    kind: &str,
    bytes: impl Fn(&Cost) -> u64,
    peer: usize,
    results: &[QueryResult],
) -> (String, bool) {
    let takes_too_much = |(ours, theirs): (Cost, Cost)| {
        let most = bytes(&theirs) as f64 * MEMORY_SHARE_MAX;
        bytes(&ours) > MEMORY_BYTES_MIN && bytes(&ours) as f64 > most
    };
    let above = results
        .iter()
        .filter(|result| pair(result, peer).is_some_and(takes_too_much));
    let above: Vec<&str> = above.map(|result| &*result.query).collect();
    let (count, which) = (above.len(), above.join("; "));
    let text = format!("{kind}: {count} queries take more than a third of Prometheus's: {which}");
    (text, above.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn result(query: &str, costs: &[(u64, u64)]) -> QueryResult {
        let cost = |&(ms, mb): &(u64, u64)| Cost {
            time: Duration::from_millis(ms),
            cpu_s: 0.0,
            memory_bytes: mb << 20,
            own_bytes: mb << 19,
            series: 1,
        };
        QueryResult {
            query: query.to_owned(),
            costs: costs.iter().map(|c| Some(cost(c))).collect(),
            difference: None,
        }
    }

    #[test]
    fn goals_are_judged_by_mean_worst_and_memory() {
        let results = [
            result("a", &[(10, 20), (40, 30)]),
            result("b", &[(10, 5), (900, 6)]),
        ];
        let goals = against("prometheus", 1, &results);
        assert_eq!(goals.len(), 4);
        assert!(goals[0].0.contains("19.0 times"), "{}", goals[0].0);
        assert_eq!([goals[0].1, goals[1].1, goals[2].1], [true, true, false]);
        assert!(goals[2].0.ends_with(": a"), "{}", goals[2].0);
        assert!(
            !goals[3].1 && goals[3].0.starts_with("own"),
            "{}",
            goals[3].0
        );
        let slow = [result("a", &[(10, 1), (5, 1)])];
        let goals = against(VICTORIAMETRICS, 1, &slow);
        assert_eq!(
            goals.iter().map(|goal| goal.1).collect::<Vec<_>>(),
            [false, false]
        );
    }

    #[test]
    fn a_peer_that_refuses_has_no_ratio() {
        let mut refused = result("a", &[(10, 1), (5, 1)]);
        refused.costs[1] = None;
        assert_eq!(ratio(&refused, 1), None);
        let mut out = Vec::new();
        row(&mut out, &refused).unwrap();
        assert!(String::from_utf8(out).unwrap().contains(" - "));
    }
}
