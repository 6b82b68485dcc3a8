//! Starts of counters: what `use-start-timestamps` changes, and what is said about them.
//!
//! Numbers are upstream's test data's affair; here is what that does not say.

use model::{FloatHistogram, Labels};
use storage::memory::MemoryStore;

use crate::{Bench, MINUTE_MS, engine};

/// A sample of 10 a minute; starts are relative to their sample, in seconds.
fn bench(use_starts: bool, series: &[(&str, &[i64])]) -> Bench {
    let store = MemoryStore::new();
    for (name, starts) in series {
        let labels = Labels::from_pairs([("__name__", *name)]);
        for (at, start) in starts.iter().enumerate() {
            let time_ms = at as i64 * MINUTE_MS;
            store.insert_with_start(&labels, time_ms, 10.0, time_ms + start * 1000);
        }
    }
    let engine = engine(|options| options.features.use_start_timestamps = use_starts);
    Bench { store, engine }
}

#[test]
fn starts_count_only_if_they_are_switched_on() {
    let deltas: (&str, &[i64]) = ("a_total", &[-60; 5]);
    let off = bench(false, &[deltas]);
    off.at(4, "increase(a_total[3m])", "{} 0");
    off.at(4, "resets(a_total[5m])", "{} 0");
    off.at(4, "start_timestamp(a_total)", "");
    let on = bench(true, &[deltas]);
    on.at(4, "increase(a_total[3m])", "{} 30");
    on.at(4, "irate(a_total[3m]) * 60", "{} 10");
    // The start of the sample after a minute is 0, which is none.
    on.at(4, "resets(a_total[5m])", "{} 2");
    on.at(4, "resets(a_total[5m:1m])", "{} 0");
    on.at(4, "start_timestamp(a_total)", "{} 180");
    on.at(4, "start_timestamp(a_total offset 1m)", "{} 120");
    on.over((2, 3), "start_timestamp(a_total @ 60)", "{} 2:0 3:0");
    // Others keep to values, and what reaches beyond its borders does so too.
    on.at(4, "delta(a_total[3m])", "{} 0");
    on.at(4, "increase(a_total[3m] anchored)", "{} 0");
}

#[test]
fn overlaps_are_counted_by_window() {
    let text = "PromQL warning: sample has start time that overlaps with previous sample timestamp \
                for metric";
    let b = bench(
        true,
        &[
            ("a_total", &[-10, -100, -160, -220, -10]),
            ("b_total", &[-10, -10, -10, -10, -200]),
        ],
    );
    for (query, warnings) in [
        (
            "rate(b_total[3m])",
            vec![format!("{text} \"b_total\" (1:6)")],
        ),
        (
            "rate(a_total[3m])",
            // The start of the second sample overlaps, the others keep it.
            vec![format!("{text} \"a_total\" (2 occurrences) (1:6)")],
        ),
        ("irate(a_total[3m])", vec![]),
        ("delta(a_total[3m])", vec![]),
    ] {
        let output = b.range(query, 1, 4).unwrap();
        assert_eq!(output.warnings, warnings, "{query}");
    }
}

#[test]
fn one_histogram_is_enough_if_its_start_is_known() {
    let b = bench(true, &[]);
    let labels = Labels::from_pairs([("__name__", "h")]);
    let histogram = FloatHistogram {
        count: 60.0,
        sum: 30.0,
        zero_count: 60.0,
        ..FloatHistogram::default()
    };
    b.store
        .insert_histogram_with_start(&labels, MINUTE_MS, histogram, 1);
    b.at(1, "histogram_count(increase(h[2m]))", "{} 60");
    b.at(1, "histogram_sum(rate(h[1m]))", "{} 0.5");
    b.at(1, "start_timestamp(h)", "{} 0.001");
    // Its start lies outside.
    b.at(1, "increase(h[59s])", "");
}
