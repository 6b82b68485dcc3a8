//! What a target's series were on its last scrape, in the order of the page.
//!
//! A target sends the same series in the same order on every scrape. The cache is that order: one
//! [`Entry`] of 24 bytes a series holds a hash of the series' raw text and what storage calls it.
//! As long as every line is the one that stood at its place last time, a scrape only compares
//! hashes and changes nothing ([`Walk::predicted`]). With the first line that is not, the walk
//! begins a new order and a table of the old one, both in reused memory, finds the other lines by
//! their hash; at the end the new order becomes the cache.
//!
//! The text itself is not kept: for 400,000 series it would be 50 MB. Instead 96 bits of two keyed
//! hashes and the length have to agree. The keys are made at random when the process starts, so a
//! target cannot choose texts that collide without seeing the hashes, which never leave the
//! process; by chance, a wrong match among a million different lines a second would come once in
//! some 10^15 years.
//!
//! Nothing of a failed scrape enters the cache: a walk that is dropped leaves it as it was.

use std::hash::{BuildHasher, Hasher};

use foldhash::quality::RandomState;
use hashbrown::HashTable;
use storage::SeriesRef;

/// Stands for a series that storage has no name for (yet).
pub(crate) const UNRESOLVED: SeriesRef = SeriesRef(u64::MAX);

/// Two independent keyed hashes, shared by all targets of a server.
#[derive(Debug, Clone, Default)]
pub(crate) struct Keys {
    first: RandomState,
    second: RandomState,
}

/// What stands for a series' raw text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TextHash {
    first: u64,
    second: u32,
}

impl Keys {
    pub(crate) fn hash(&self, text: &[u8]) -> TextHash {
        let of = |state: &RandomState| {
            let mut hasher = state.build_hasher();
            hasher.write(text);
            hasher.finish()
        };
        TextHash {
            first: of(&self.first),
            second: of(&self.second) as u32,
        }
    }
}

/// Its series gets no staleness marker when it is gone: it has timestamps of its own.
const UNTRACKED: u32 = 1 << 31;
/// Relabelling dropped the series; there is no reference.
const DROPPED: u32 = 1 << 30;
/// The last sample was a native histogram of whole numbers.
const INTEGERS: u32 = 1 << 29;
/// The last sample was a native histogram of floats.
const FLOATS: u32 = 1 << 28;
/// What [`Manner`] says.
const MANNER: u32 = UNTRACKED | INTEGERS | FLOATS;
/// The length of the text. A longer one is not found again, which costs time and harms nothing.
const LENGTH: u32 = FLOATS - 1;

/// What kind of samples a series has; its staleness marker is of the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Form {
    Float,
    /// Native histograms of whole numbers.
    Integers,
    /// Native histograms of floats.
    Floats,
}

/// What decides about the end of a series.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Manner {
    /// Whether it gets a staleness marker when it is gone.
    pub(crate) is_tracked: bool,
    pub(crate) form: Form,
}

impl Manner {
    #[inline]
    fn flags(self) -> u32 {
        let tracking = if self.is_tracked { 0 } else { UNTRACKED };
        tracking
            | match self.form {
                Form::Float => 0,
                Form::Integers => INTEGERS,
                Form::Floats => FLOATS,
            }
    }
}

/// A series that gets a staleness marker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Ending {
    pub(crate) series: SeriesRef,
    pub(crate) form: Form,
}

/// One line of the page.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Entry {
    /// The two parts of a [`TextHash`], apart, so that nothing is padded.
    hash: u64,
    check: u32,
    length_and_flags: u32,
    series: SeriesRef,
}

impl Entry {
    fn is_dropped(self) -> bool {
        self.length_and_flags & DROPPED != 0
    }

    fn is_tracked(self) -> bool {
        self.length_and_flags & (DROPPED | UNTRACKED) == 0
    }

    fn ending(self) -> Ending {
        Ending {
            series: self.series,
            form: match self.length_and_flags & (INTEGERS | FLOATS) {
                INTEGERS => Form::Integers,
                FLOATS => Form::Floats,
                _ => Form::Float,
            },
        }
    }

    fn hash(self) -> TextHash {
        TextHash {
            first: self.hash,
            second: self.check,
        }
    }

    fn is_of(self, hash: TextHash, length: usize) -> bool {
        self.hash() == hash && (self.length_and_flags & LENGTH) as usize == length
    }
}

/// The series of one target.
#[derive(Debug, Default)]
pub(crate) struct SeriesCache {
    entries: Box<[Entry]>,
    /// Whether the last scrape succeeded: only then a series that is gone now was there before.
    is_live: bool,
    /// Series that were there on the last scrape, under rules that no longer hold.
    orphans: Vec<Ending>,
}

impl SeriesCache {
    /// The rules for labels changed: every series has to be looked at again. Those that then are
    /// gone still get their markers.
    pub(crate) fn invalidate(&mut self) {
        if self.is_live {
            let tracked = self.entries.iter().filter(|entry| entry.is_tracked());
            self.orphans.extend(tracked.map(|entry| entry.ending()));
        }
        self.entries = Box::default();
        self.is_live = false;
    }

    /// Forgets these series, so that the next scrape resolves them again.
    pub(crate) fn forget(&mut self, unknown: &[SeriesRef]) {
        let unknown: hashbrown::HashSet<SeriesRef, foldhash::fast::RandomState> =
            unknown.iter().copied().collect();
        let kept = self
            .entries
            .iter()
            .filter(|entry| entry.is_dropped() || !unknown.contains(&entry.series));
        self.entries = kept.copied().collect();
        self.orphans
            .retain(|ending| !unknown.contains(&ending.series));
    }

    /// The series that the last scrape left alive; all of them go stale when a scrape fails.
    pub(crate) fn live(&self) -> impl Iterator<Item = Ending> {
        let entries = if self.is_live { &self.entries[..] } else { &[] };
        let tracked = entries.iter().filter(|entry| entry.is_tracked());
        let orphans = self.orphans.iter().copied();
        tracked.map(|entry| entry.ending()).chain(orphans)
    }

    /// A scrape that failed, or had nothing to say, was stored, with markers for all
    /// [`SeriesCache::live`] series.
    pub(crate) fn commit_stale(&mut self) {
        self.is_live = false;
        self.orphans = Vec::new();
    }

    /// The scrape that `walk` followed was stored.
    pub(crate) fn commit(&mut self, walk: &WalkState) {
        if !walk.in_order {
            self.entries = Box::from(&walk.order[..]);
        } else if walk.cursor < self.entries.len() {
            self.entries = Box::from(&self.entries[..walk.cursor]);
        }
        self.is_live = true;
        self.orphans = Vec::new();
    }

    /// Begins to follow a page.
    pub(crate) fn walk<'c>(&'c self, state: &'c mut WalkState) -> Walk<'c> {
        state.reset();
        Walk {
            entries: &self.entries,
            state,
        }
    }

    /// How many lines are remembered.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }
}

/// The memory of a walk; used again for the next one, of whichever target.
#[derive(Debug, Default)]
pub(crate) struct WalkState {
    /// Whether the page so far is a prefix of the cached order.
    in_order: bool,
    /// The cached entry that is expected next.
    cursor: usize,
    /// The new order, unless it is the cached one so far.
    order: Vec<Entry>,
    /// Which cached entries were met, as bits.
    met: Vec<u64>,
    /// Positions of cached entries by hash; filled when the page leaves the order.
    old: HashTable<u32>,
    /// Positions in `order` of entries that are new.
    new: HashTable<u32>,
    /// Series that got markers so far and now have timestamps of their own.
    lapsed: Vec<Ending>,
}

/// What a line turned out to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Line {
    /// A series that the cache knows, for the first time on this page.
    Known(SeriesRef),
    /// A line that relabelling drops.
    Dropped,
    /// A known series that this page has already had.
    Repeated(SeriesRef),
    /// A new series that this page has already had: where [`Walk::add`] put it.
    RepeatedNew(u32),
    /// Never seen.
    Unknown,
}

impl WalkState {
    fn reset(&mut self) {
        self.in_order = true;
        self.cursor = 0;
        self.order.clear();
        self.met.clear();
        self.old.clear();
        self.new.clear();
        self.lapsed.clear();
    }

    /// Writes what storage calls a new series that [`Walk::add`] put at `at`.
    pub(crate) fn resolve(&mut self, at: u32, series: SeriesRef) {
        self.order[at as usize].series = series;
    }

    /// Forgets new series that were not resolved.
    pub(crate) fn forget_unresolved(&mut self) {
        self.order
            .retain(|entry| entry.is_dropped() || entry.series != UNRESOLVED);
    }

    fn set_met(&mut self, at: usize) -> bool {
        let (word, bit) = (at / 64, 1 << (at % 64));
        let was_met = self.met[word] & bit != 0;
        self.met[word] |= bit;
        was_met
    }
}

/// Follows one page.
#[derive(Debug)]
pub(crate) struct Walk<'c> {
    entries: &'c [Entry],
    state: &'c mut WalkState,
}

impl Walk<'_> {
    /// The entry that is expected next, with the length of its text.
    #[inline]
    pub(crate) fn predicted(&self) -> Option<(Entry, usize)> {
        let entry = *self.entries.get(self.state.cursor)?;
        Some((entry, (entry.length_and_flags & LENGTH) as usize))
    }

    /// Whether `text` is the text of `entry`.
    #[inline]
    pub(crate) fn is_text_of(entry: Entry, text: &[u8], keys: &Keys) -> bool {
        entry.hash() == keys.hash(text)
    }

    /// The predicted entry came.
    #[inline]
    pub(crate) fn accept_predicted(&mut self, manner: Manner) -> Line {
        let at = self.state.cursor;
        self.accept(at, manner)
    }

    /// What the line with this text is.
    pub(crate) fn find(&mut self, hash: TextHash, length: usize, manner: Manner) -> Line {
        let at = self.state.cursor;
        if self.entries.get(at).is_some_and(|e| e.is_of(hash, length)) {
            return self.accept(at, manner);
        }
        self.leave_order();
        let entries = self.entries;
        let old = self
            .state
            .old
            .find(hash.first, |&at| entries[at as usize].is_of(hash, length));
        if let Some(&at) = old {
            return self.accept(at as usize, manner);
        }
        let order = &self.state.order;
        let new = self
            .state
            .new
            .find(hash.first, |&at| order[at as usize].is_of(hash, length));
        match new {
            Some(&at) if self.state.order[at as usize].is_dropped() => Line::Dropped,
            Some(&at) => Line::RepeatedNew(at),
            None => Line::Unknown,
        }
    }

    /// Remembers a series that [`Walk::find`] did not know: where it is, for
    /// [`WalkState::resolve`].
    pub(crate) fn add(&mut self, hash: TextHash, length: usize, manner: Manner) -> u32 {
        self.push_new(hash, length, manner.flags())
    }

    /// Remembers that relabelling drops a line that [`Walk::find`] did not know.
    pub(crate) fn add_dropped(&mut self, hash: TextHash, length: usize) {
        self.push_new(hash, length, DROPPED);
    }

    fn push_new(&mut self, hash: TextHash, length: usize, flags: u32) -> u32 {
        self.leave_order();
        let state = &mut *self.state;
        let at = state.order.len() as u32;
        state.order.push(Entry {
            hash: hash.first,
            check: hash.second,
            length_and_flags: (length as u32 & LENGTH) | flags,
            series: UNRESOLVED,
        });
        let order = &state.order;
        state
            .new
            .insert_unique(hash.first, at, |&at| order[at as usize].hash);
        at
    }

    /// The cached entry at `at` came.
    #[inline]
    fn accept(&mut self, at: usize, manner: Manner) -> Line {
        let mut entry = self.entries[at];
        if entry.is_dropped() {
            if !self.state.in_order && !self.state.set_met(at) {
                self.state.order.push(entry);
            }
            self.state.cursor = at + 1;
            return Line::Dropped;
        }
        let flags = manner.flags();
        let changes = entry.length_and_flags & MANNER != flags;
        if changes {
            self.leave_order();
        }
        if !self.state.in_order {
            if self.state.set_met(at) {
                return Line::Repeated(entry.series);
            }
            if changes {
                if entry.is_tracked() && !manner.is_tracked {
                    self.state.lapsed.push(entry.ending());
                }
                entry.length_and_flags = entry.length_and_flags & !MANNER | flags;
            }
            self.state.order.push(entry);
        }
        self.state.cursor = at + 1;
        Line::Known(entry.series)
    }

    /// The page is no longer the cached order: begins a new one.
    fn leave_order(&mut self) {
        let state = &mut *self.state;
        if !state.in_order {
            return;
        }
        state.in_order = false;
        let entries = self.entries;
        state.order.extend_from_slice(&entries[..state.cursor]);
        state.met.resize(entries.len().div_ceil(64), 0);
        for at in 0..state.cursor {
            state.set_met(at);
        }
        state
            .old
            .reserve(entries.len(), |&at| entries[at as usize].hash);
        for (at, entry) in entries.iter().enumerate() {
            state
                .old
                .insert_unique(entry.hash, at as u32, |&at| entries[at as usize].hash);
        }
    }
}

impl SeriesCache {
    /// After the whole page: the series that were alive before and whose samples on this page have
    /// timestamps of their own, so that nothing would end them later.
    pub(crate) fn lapsed<'c>(&self, walk: &'c WalkState) -> &'c [Ending] {
        if self.is_live { &walk.lapsed } else { &[] }
    }

    /// After the whole page: the series that were alive before and that this page did not have. A
    /// series can still be there under another text: whoever writes markers has to look.
    pub(crate) fn gone<'c>(&'c self, walk: &'c WalkState) -> impl Iterator<Item = Ending> + 'c {
        let entries = if self.is_live { &self.entries[..] } else { &[] };
        let first_unmet = if walk.in_order { walk.cursor } else { 0 };
        let unmet = entries
            .iter()
            .enumerate()
            .skip(first_unmet)
            .filter(|(at, entry)| {
                let is_met = !walk.in_order && walk.met[at / 64] & (1 << (at % 64)) != 0;
                !is_met && entry.is_tracked()
            });
        let orphans = self.orphans.iter().copied();
        unmet.map(|(_, entry)| entry.ending()).chain(orphans)
    }
}

#[cfg(test)]
#[path = "cache_tests.rs"]
mod tests;
