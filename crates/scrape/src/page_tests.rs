use std::collections::BTreeMap;

use super::*;
use proptest::prelude::*;
use relabel::{Action, Rule};

/// A target whose series have the same references however they were found.
struct Reading {
    config: ScrapeConfig,
    target: Labels,
    keys: Keys,
    interner: Interner,
    series: BTreeMap<Labels, SeriesRef>,
}

/// What a page came to: samples in the order of the page, or the error.
type Read = (
    PageCounts,
    Result<Vec<(SeriesRef, u64, Option<i64>)>, String>,
);

impl Reading {
    fn new(sample_limit: u64) -> Reading {
        let mut config = ScrapeConfig {
            metric_relabel_configs: vec![Rule {
                source_labels: vec!["__name__".to_owned()],
                regex: gocompat::Regex::new_anchored("dropped.*").unwrap(),
                action: Action::Drop,
                ..Rule::default()
            }],
            ..ScrapeConfig::default()
        };
        config.limits.sample_limit = sample_limit;
        Reading {
            config,
            target: Labels::from_pairs([("job", "j")]),
            keys: Keys::default(),
            interner: Interner::default(),
            series: BTreeMap::new(),
        }
    }

    fn read(&mut self, page: &str, cache: &SeriesCache, scratch: &mut Scratch) -> Read {
        let reader = PageReader {
            features: ScrapeFeatures::default(),
            config: &self.config,
            options: PageOptions::default(),
            target_labels: &self.target,
            keys: &self.keys,
            interner: &self.interner,
            now_ms: 0,
        };
        let mut families = FamilyStore::default();
        let (counts, read) =
            reader.read(page.as_bytes(), "text/plain", cache, &mut families, scratch);
        if let Err(error) = read {
            return (counts, Err(error.to_string()));
        }
        let known = &mut self.series;
        let resolved = scratch.resolve(|labels| {
            let next = SeriesRef(known.len() as u64);
            Ok(*known.entry(labels.clone()).or_insert(next))
        });
        resolved.unwrap();
        let samples = scratch.samples.iter();
        let timed = scratch.timed.iter();
        let all = samples
            .map(|s| (s.series, s.value.to_bits(), None))
            .chain(timed.map(|s| (s.series, s.value.to_bits(), Some(s.timestamp_ms))));
        (counts, Ok(all.collect()))
    }
}

fn line() -> impl Strategy<Value = String> {
    prop_oneof![
        8 => "[a-f](\\{x=\"[01]\"\\})? [0-9]",
        2 => "dropped[ab] 1",
        1 => "[ab] 1 [0-9]{1,3}",
        1 => "# TYPE [a-f] gauge",
        1 => Just(String::new()),
        1 => "a\\{x=\"1\",\\} 3",
    ]
}

proptest! {
    /// The cache changes what a page costs, not what it comes to. (Samples in the far future are
    /// left out: as upstream, a series is remembered only when a sample of it was taken, which
    /// decides whether a second one on the page is its first.)
    #[test]
    fn a_cache_changes_nothing_but_what_counts_as_new(
        pages in prop::collection::vec(prop::collection::vec(line(), 0..14), 1..8),
        sample_limit in prop_oneof![Just(0u64), 1u64..10],
    ) {
        let mut reading = Reading::new(sample_limit);
        let (mut cache, none) = (SeriesCache::default(), SeriesCache::default());
        let (mut scratch, mut other) = (Scratch::default(), Scratch::default());
        for lines in pages {
            let page = lines.join("\n") + "\n";
            let (want_counts, want) = reading.read(&page, &none, &mut other);
            let (mut counts, got) = reading.read(&page, &cache, &mut scratch);
            if got.is_ok() {
                cache.commit(&scratch.walk);
            }
            prop_assert_eq!(&got, &want);
            prop_assert!(counts.series_added <= want_counts.series_added);
            counts.series_added = want_counts.series_added;
            if got.is_err() {
                // Beyond a limit new series are not remembered, so nothing repeats them.
                counts.duplicates = want_counts.duplicates;
            }
            prop_assert_eq!(counts, want_counts);
            // And once more, in order.
            let (again, got) = reading.read(&page, &cache, &mut scratch);
            prop_assert_eq!(&got, &want);
            prop_assert!(got.is_err() || again.series_added == 0);
        }
    }
}
