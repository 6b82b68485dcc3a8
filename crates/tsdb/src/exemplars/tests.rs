//! The ring by itself; that it survives restarts is tested with the database.

use std::path::Path;
use std::sync::Arc;

use disk::{Disk, MemoryDisk};

use super::*;

fn wal() -> Wal {
    let disk = Arc::new(MemoryDisk::new());
    disk.create_dir_all(Path::new("/wal")).unwrap();
    Wal::new(disk, "/wal".into(), 1 << 20)
}

fn series(name: &str) -> Labels {
    Labels::from_pairs([("__name__", name), ("job", "j")])
}

/// Names of series by reference.
fn labels_of(reference: SeriesRef) -> Option<Labels> {
    let names = ["a", "b", "c"];
    names.get(reference.0 as usize).map(|name| series(name))
}

struct Table {
    exemplars: Exemplars,
    wal: Wal,
}

impl Table {
    fn new(max: usize, window_ms: i64) -> Table {
        let exemplars = Exemplars::default();
        exemplars.set_max(max);
        exemplars.set_late_window(window_ms);
        let wal = wal();
        Table { exemplars, wal }
    }

    /// Appends one, with a time of its own; how many were out of order.
    fn add(&self, reference: u64, trace: &str, value: f64, timestamp_ms: i64) -> usize {
        self.add_timed(reference, trace, value, timestamp_ms, true)
    }

    fn add_timed(
        &self,
        reference: u64,
        trace: &str,
        value: f64,
        timestamp_ms: i64,
        has_own_time: bool,
    ) -> usize {
        let sample = ExemplarSample {
            series: SeriesRef(reference),
            labels: &Labels::from_pairs([("trace_id", trace)]),
            value,
            timestamp_ms,
            has_own_time,
        };
        self.exemplars.append(&[sample], labels_of, &self.wal)
    }

    fn show(&self) -> String {
        show(&self.exemplars)
    }
}

fn show(exemplars: &Exemplars) -> String {
    let all = exemplars.select(i64::MIN, i64::MAX, &[vec![]]);
    let text = |series: &ExemplarSeries| {
        let exemplars = series.exemplars.iter();
        let exemplars: Vec<String> = exemplars
            .map(|e| {
                format!(
                    "{}@{}={}",
                    e.labels.get("trace_id"),
                    e.timestamp_ms,
                    e.value
                )
            })
            .collect();
        format!("{}: {}", series.labels.metric_name(), exemplars.join(" "))
    };
    all.iter().map(text).collect::<Vec<_>>().join("; ")
}

#[test]
fn the_oldest_ones_go() {
    let table = Table::new(3, 0);
    for (reference, trace, at_ms) in [(0, "t", 1), (1, "u", 2), (0, "v", 3), (0, "w", 4)] {
        assert_eq!(table.add(reference, trace, 1.0, at_ms), 0);
    }
    assert_eq!(table.show(), "a: v@3=1 w@4=1; b: u@2=1");
    let figures = table.exemplars.figures();
    assert_eq!(
        (figures.count, figures.series, figures.oldest_ms),
        (3, 2, 2)
    );
    table.add(2, "x", 1.0, 5);
    assert_eq!(table.show(), "a: v@3=1 w@4=1; c: x@5=1");
    table.exemplars.set_max(1);
    assert_eq!(table.show(), "c: x@5=1");
    table.exemplars.set_max(2);
    table.add(0, "y", 1.0, 1);
    assert_eq!(table.show(), "a: y@1=1; c: x@5=1");
    table.exemplars.set_max(0);
    assert_eq!(table.add(0, "z", 1.0, 9), 0);
    assert_eq!(table.exemplars.figures(), Figures::default());
}

#[test]
fn repeated_ones_are_known_and_older_ones_out_of_order() {
    let table = Table::new(10, 0);
    for (trace, value, at_ms, own, out_of_order) in [
        ("t", 1.0, 10, true, 0),
        ("t", 1.0, 10, true, 0),
        ("u", 1.0, 9, true, 1),
        // Of one time, by value and then by labels.
        ("t", 0.5, 10, true, 1),
        ("u", 1.0, 10, true, 0),
        ("t", 1.0, 10, true, 1),
        ("t", 2.0, 10, true, 0),
        // Without a time of its own, the next scrape shows it with another one.
        ("v", 3.0, 20, false, 0),
        ("v", 3.0, 35, false, 0),
        ("v", 3.0, 35, true, 0),
    ] {
        let got = table.add_timed(0, trace, value, at_ms, own);
        assert_eq!(got, out_of_order, "{trace} {value} {at_ms}");
    }
    assert_eq!(table.show(), "a: t@10=1 u@10=1 t@10=2 v@20=3 v@35=3");
    // They were refused before they were to be added.
    assert_eq!(table.exemplars.out_of_order.load(Relaxed), 0);
    assert_eq!(table.exemplars.appended.load(Relaxed), 5);
}

#[test]
fn late_ones_go_where_they_belong() {
    let table = Table::new(4, 100);
    for (trace, at_ms, out_of_order) in [
        ("t", 1_000, 0),
        ("u", 950, 0),
        ("v", 980, 0),
        // Known by its time, and too late.
        ("w", 980, 0),
        ("x", 900, 1),
    ] {
        assert_eq!(table.add(0, trace, 1.0, at_ms), out_of_order, "{trace}");
    }
    assert_eq!(table.show(), "a: u@950=1 v@980=1 t@1000=1");
    // The ring drops by order of arrival, not of time.
    table.add(1, "y", 1.0, 1);
    table.add(1, "z", 1.0, 2);
    assert_eq!(table.show(), "a: u@950=1 v@980=1; b: y@1=1 z@2=1");
}

#[test]
fn selectors_and_times_choose() {
    let table = Table::new(10, 0);
    for (reference, at_ms) in [(0, 1), (1, 2), (2, 3), (0, 4)] {
        table.add(reference, "t", at_ms as f64, at_ms);
    }
    let select = |start_ms, end_ms, selectors: &[Vec<Matcher>]| -> Vec<(String, usize)> {
        let found = table.exemplars.select(start_ms, end_ms, selectors);
        let names = found.iter();
        names
            .map(|s| (s.labels.metric_name().to_owned(), s.exemplars.len()))
            .collect()
    };
    let named = |name: &str| Matcher::equal("__name__", name);
    let (a, b) = ("a".to_owned(), "b".to_owned());
    let both = [
        vec![named("b")],
        vec![named("a"), Matcher::equal("job", "j")],
    ];
    assert_eq!(select(0, 9, &both), [(a.clone(), 2), (b.clone(), 1)]);
    assert_eq!(select(2, 4, &both), [(a, 1), (b, 1)]);
    assert_eq!(select(3, 3, &both), []);
    let none = [vec![named("a"), Matcher::equal("job", "k")]];
    assert_eq!(select(0, 9, &none), []);
}

#[test]
fn labels_are_short() {
    let table = Table::new(10, 0);
    // The name has 8 letters, of which bytes do not count.
    table.add(0, &"é".repeat(120), 1.0, 1);
    table.add(0, &"é".repeat(121), 2.0, 2);
    assert_eq!(table.exemplars.figures().count, 1);
    // A series that storage does not have.
    table.add(7, "t", 1.0, 3);
    assert_eq!(table.exemplars.figures().count, 1);
}

#[test]
fn a_checkpoint_has_them_all() {
    let table = Table::new(10_000, 50);
    for n in 0..9_000 {
        let late = if n % 3 == 0 { 40 } else { 0 };
        table.add(n % 3, &format!("{n}"), 1.0, 20 * n as i64 - late);
    }
    let mut frames = Vec::new();
    table.exemplars.put_checkpoint(&mut frames);
    let again = Exemplars::default();
    again.set_max(10_000);
    again.set_late_window(50);
    for frame in frame::Frames::new(&frames, 0) {
        again.replay(frame.unwrap().payload).unwrap();
    }
    assert_eq!(again.figures(), table.exemplars.figures());
    assert_eq!(show(&again), table.show());
    // What segments have besides is known.
    for frame in frame::Frames::new(&frames, 0) {
        again.replay(frame.unwrap().payload).unwrap();
    }
    assert_eq!(again.figures(), table.exemplars.figures());
}
