use super::*;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

const FLOAT: Manner = Manner {
    is_tracked: true,
    form: Form::Float,
};

/// A target with its cache, and an obvious model of both.
#[derive(Default)]
struct Checked {
    keys: Keys,
    cache: SeriesCache,
    state: WalkState,
    /// The series of a text.
    known: BTreeMap<String, SeriesRef>,
    live: BTreeSet<SeriesRef>,
    next: u64,
}

impl Checked {
    /// Follows a page, stores it, and says how its lines were taken: `k`nown, `n`ew, `r`epeated.
    /// Lines that begin with `-` are dropped (`d`).
    fn page(&mut self, lines: &[&str]) -> String {
        let mut taken = String::new();
        let mut met: BTreeMap<String, Option<SeriesRef>> = BTreeMap::new();
        let mut new = Vec::new();
        let mut walk = self.cache.walk(&mut self.state);
        for &text in lines {
            let bytes = text.as_bytes();
            let line = match walk.predicted() {
                Some((entry, length))
                    if length == bytes.len() && Walk::is_text_of(entry, bytes, &self.keys) =>
                {
                    walk.accept_predicted(FLOAT)
                }
                _ => walk.find(self.keys.hash(bytes), bytes.len(), FLOAT),
            };
            match line {
                Line::Known(series) => {
                    assert_eq!(self.known.get(text), Some(&series), "{text}");
                    assert!(met.insert(text.to_owned(), Some(series)).is_none());
                    taken.push('k');
                }
                Line::Repeated(series) => {
                    assert_eq!(met.get(text), Some(&Some(series)), "{text}");
                    taken.push('r');
                }
                Line::RepeatedNew(_) => {
                    assert_eq!(met.get(text), Some(&None), "{text}");
                    taken.push('r');
                }
                Line::Dropped => taken.push('d'),
                Line::Unknown if text.starts_with('-') => {
                    walk.add_dropped(self.keys.hash(bytes), bytes.len());
                    taken.push('d');
                }
                Line::Unknown => {
                    assert!(!self.known.contains_key(text), "{text}");
                    let at = walk.add(self.keys.hash(bytes), bytes.len(), FLOAT);
                    new.push((text.to_owned(), at));
                    met.insert(text.to_owned(), None);
                    taken.push('n');
                }
            }
        }
        for (text, at) in new {
            self.next += 1;
            self.state.resolve(at, SeriesRef(self.next));
            met.insert(text, Some(SeriesRef(self.next)));
        }
        self.known = met
            .into_iter()
            .map(|(text, series)| (text, series.unwrap()))
            .collect();
        let now: BTreeSet<SeriesRef> = self.known.values().copied().collect();
        let gone = self.cache.gone(&self.state).map(|ending| ending.series);
        let gone: Vec<SeriesRef> = gone.collect();
        let want: Vec<SeriesRef> = self.live.difference(&now).copied().collect();
        assert_eq!(
            gone.iter().copied().collect::<BTreeSet<_>>(),
            want.iter().copied().collect()
        );
        assert_eq!(gone.len(), want.len());
        self.cache.commit(&self.state);
        self.live = now;
        taken
    }

    fn fail(&mut self) {
        let live = self.cache.live().map(|ending| ending.series);
        let live: BTreeSet<SeriesRef> = live.collect();
        assert_eq!(live, self.live);
        self.cache.commit_stale();
        self.live.clear();
    }
}

#[test]
fn follows_the_order_and_its_changes() {
    let mut target = Checked::default();
    assert_eq!(target.page(&["a", "-x", "b", "c"]), "ndnn");
    assert_eq!(target.page(&["a", "-x", "b", "c"]), "kdkk");
    assert_eq!(target.page(&["a", "-x", "c", "d"]), "kdkn");
    assert_eq!(target.page(&["d", "c", "a", "-x"]), "kkkd");
    assert_eq!(target.page(&["d", "c"]), "kk");
    assert_eq!(target.page(&["c", "c", "e", "e", "d"]), "krnrk");
    assert_eq!(target.cache.len(), 3);
    assert_eq!(target.page(&[]), "");
    assert_eq!(target.page(&["c"]), "n");
}

#[test]
fn a_failed_scrape_ends_all_series_but_keeps_the_cache() {
    let mut target = Checked::default();
    target.page(&["a", "b"]);
    target.fail();
    target.fail();
    assert_eq!(target.page(&["a"]), "k");
    assert_eq!(target.page(&["a", "b"]), "kn");
}

#[test]
fn invalidated_series_are_resolved_again_and_still_end() {
    let mut target = Checked::default();
    target.page(&["a", "b"]);
    target.cache.invalidate();
    let live: Vec<Ending> = target.cache.live().collect();
    assert_eq!(live.len(), 2);
    target.known.clear();
    assert_eq!(target.page(&["a"]), "n");
    assert_eq!(target.cache.live().count(), 1);
}

#[test]
fn forgotten_series_are_unknown_again() {
    let mut target = Checked::default();
    target.page(&["a", "b", "c"]);
    let b = target.known.remove("b").unwrap();
    target.live.remove(&b);
    target.cache.forget(&[b]);
    assert_eq!(target.page(&["a", "b", "c"]), "knk");
}

#[test]
fn series_with_own_timestamps_get_no_markers() {
    let keys = Keys::default();
    let (mut cache, mut state) = (SeriesCache::default(), WalkState::default());
    let mut scrape = |tracked: bool| {
        let mut walk = cache.walk(&mut state);
        let hash = keys.hash(b"a");
        let manner = Manner {
            is_tracked: tracked,
            ..FLOAT
        };
        if walk.find(hash, 1, manner) == Line::Unknown {
            let at = walk.add(hash, 1, manner);
            state.resolve(at, SeriesRef(1));
        }
        cache.commit(&state);
        cache.live().count()
    };
    assert_eq!(
        [
            scrape(false),
            scrape(false),
            scrape(true),
            scrape(true),
            scrape(false)
        ],
        [0, 0, 1, 1, 0]
    );
}

/// A series ends as what it was last.
#[test]
fn the_form_of_a_series_may_change() {
    let keys = Keys::default();
    let (mut cache, mut state) = (SeriesCache::default(), WalkState::default());
    let hash = keys.hash(b"a");
    for form in [
        Form::Float,
        Form::Integers,
        Form::Floats,
        Form::Floats,
        Form::Float,
    ] {
        let manner = Manner { form, ..FLOAT };
        let mut walk = cache.walk(&mut state);
        if walk.find(hash, 1, manner) == Line::Unknown {
            let at = walk.add(hash, 1, manner);
            state.resolve(at, SeriesRef(1));
        }
        cache.commit(&state);
        let series = SeriesRef(1);
        assert_eq!(cache.live().collect::<Vec<_>>(), [Ending { series, form }]);
    }
}

#[test]
fn an_entry_takes_24_bytes() {
    assert_eq!(size_of::<Entry>(), 24);
}

proptest! {
    #[test]
    fn agrees_with_the_model(
        pages in prop::collection::vec(prop::collection::vec("[a-e]|-[ab]|[a-e]{2}", 0..12), 1..8),
        fails in prop::collection::vec(any::<bool>(), 8),
    ) {
        let mut target = Checked::default();
        for (page, fail) in pages.iter().zip(fails) {
            let lines: Vec<&str> = page.iter().map(String::as_str).collect();
            target.page(&lines);
            // The same page again is all known, or repeated.
            let again = target.page(&lines);
            prop_assert!(!again.contains('n'), "{}", again);
            if fail {
                target.fail();
            }
        }
    }
}
