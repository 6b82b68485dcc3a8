//! What a target says about its metric families: type, help, unit.
//!
//! A page names its families in the same order on every scrape, so the entry is found by position
//! and a repeated scrape allocates and hashes nothing. Targets of a fleet say the same: names and
//! metadata are shared through one [`Interner`], which leaves 40 bytes a family and target.
//!
//! A family stays for [`SCRAPES_KEPT`] scrapes after it was last named, as upstream keeps it.

use std::hash::Hash;
use std::sync::Arc;

use foldhash::fast::FixedState;
use hashbrown::{HashSet, HashTable};
use model::{Metadata, MetricType};
use parking_lot::Mutex;
use std::hash::BuildHasher as _;

use crate::status::FamilyMetadata;

/// How many scrapes a family outlives its last mention.
const SCRAPES_KEPT: u32 = 10;

/// What to change of a family's metadata.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Said<'a> {
    Kind(MetricType),
    Help(&'a str),
    Unit(&'a str),
}

impl Said<'_> {
    fn is_in(self, metadata: &Metadata) -> bool {
        match self {
            Said::Kind(kind) => metadata.kind == kind,
            Said::Help(help) => metadata.help == help,
            Said::Unit(unit) => metadata.unit == unit,
        }
    }

    pub(crate) fn put_in(self, metadata: &mut Metadata) {
        match self {
            Said::Kind(kind) => metadata.kind = kind,
            Said::Help(help) => help.clone_into(&mut metadata.help),
            Said::Unit(unit) => unit.clone_into(&mut metadata.unit),
        }
    }
}

#[derive(Debug)]
struct Family {
    name: Arc<str>,
    metadata: Arc<Metadata>,
    /// The scrape that named it last.
    scrape: u32,
}

/// The families of one target.
#[derive(Debug, Default)]
pub(crate) struct FamilyStore {
    /// In the order in which they were first seen.
    families: Vec<Family>,
    /// Positions in `families` by the name's hash.
    by_name: HashTable<u32>,
    /// Where the next family is expected.
    cursor: usize,
    scrape: u32,
    bytes: usize,
    hasher: FixedState,
}

impl FamilyStore {
    /// How many families there are.
    pub(crate) fn len(&self) -> usize {
        self.families.len()
    }

    /// Bytes of type, help and unit of all families.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// A page begins.
    pub(crate) fn begin(&mut self) {
        self.cursor = 0;
    }

    /// A page says something about the family `name`; whether that is news. A name that is not UTF-8
    /// is ignored: it could not be shown.
    pub(crate) fn say(&mut self, name: &[u8], said: Said<'_>, interner: &Interner) -> bool {
        let Some(at) = self.position(name, interner) else {
            return false;
        };
        self.cursor = at;
        let family = &mut self.families[at];
        family.scrape = self.scrape;
        let is_news = !said.is_in(&family.metadata);
        if is_news {
            let mut metadata = (*family.metadata).clone();
            self.bytes -= metadata_bytes(&metadata);
            said.put_in(&mut metadata);
            self.bytes += metadata_bytes(&metadata);
            family.metadata = interner.metadata(metadata);
        }
        is_news
    }

    /// The scrape is over. If it succeeded, families that were not named for long are forgotten.
    pub(crate) fn end(&mut self, succeeded: bool) {
        let scrape = self.scrape;
        let is_old = |family: &Family| scrape.wrapping_sub(family.scrape) > SCRAPES_KEPT;
        if succeeded && self.families.iter().any(is_old) {
            self.families.retain(|family| !is_old(family));
            self.families.shrink_to_fit();
            self.reindex();
        }
        self.scrape = scrape.wrapping_add(1);
    }

    /// All families, sorted by name.
    pub(crate) fn sorted(&self) -> Vec<FamilyMetadata> {
        let mut all: Vec<FamilyMetadata> = self
            .families
            .iter()
            .map(|family| FamilyMetadata {
                name: Arc::clone(&family.name),
                metadata: Arc::clone(&family.metadata),
            })
            .collect();
        all.sort_by(|a, b| a.name.cmp(&b.name));
        all
    }

    /// Where the family `name` is: at the cursor, right after it, or wherever; made if it is new.
    fn position(&mut self, name: &[u8], interner: &Interner) -> Option<usize> {
        for at in [self.cursor, self.cursor + 1] {
            if self
                .families
                .get(at)
                .is_some_and(|family| family.name.as_bytes() == name)
            {
                return Some(at);
            }
        }
        let hash = self.hasher.hash_one(name);
        let found = self.by_name.find(hash, |&at| {
            self.families[at as usize].name.as_bytes() == name
        });
        if let Some(&at) = found {
            return Some(at as usize);
        }
        let name = interner.name(std::str::from_utf8(name).ok()?);
        let at = self.families.len();
        let metadata = interner.metadata(Metadata::default());
        self.bytes += metadata_bytes(&metadata);
        self.families.push(Family {
            name,
            metadata,
            scrape: self.scrape,
        });
        let (families, hasher) = (&self.families, &self.hasher);
        self.by_name
            .insert_unique(hash, u32::try_from(at).ok()?, |&at| {
                hasher.hash_one(families[at as usize].name.as_bytes())
            });
        Some(at)
    }

    fn reindex(&mut self) {
        self.bytes = self
            .families
            .iter()
            .map(|family| metadata_bytes(&family.metadata))
            .sum();
        self.by_name = HashTable::with_capacity(self.families.len());
        let (families, hasher) = (&self.families, &self.hasher);
        let hash_at = |at: &u32| hasher.hash_one(families[*at as usize].name.as_bytes());
        for at in 0..families.len() as u32 {
            self.by_name.insert_unique(hash_at(&at), at, hash_at);
        }
    }
}

fn metadata_bytes(metadata: &Metadata) -> usize {
    metadata.kind.as_str().len() + metadata.help.len() + metadata.unit.len()
}

/// Names and metadata that the targets of one server share.
#[derive(Debug, Default)]
pub(crate) struct Interner {
    names: Mutex<Shared<Arc<str>>>,
    metadata: Mutex<Shared<Arc<Metadata>>>,
}

/// Values in use, swept of those that nobody else holds whenever their number has doubled.
#[derive(Debug)]
struct Shared<T> {
    values: HashSet<T, foldhash::fast::RandomState>,
    sweep_at: usize,
}

/// Below this a sweep is not worth it.
const SWEEP_AT_MIN: usize = 1_024;

impl<T> Default for Shared<T> {
    fn default() -> Shared<T> {
        Shared {
            values: HashSet::default(),
            sweep_at: SWEEP_AT_MIN,
        }
    }
}

impl<Q: ?Sized + Hash + Eq> Shared<Arc<Q>> {
    fn get(&mut self, value: &Q, make: impl FnOnce() -> Arc<Q>) -> Arc<Q> {
        if let Some(known) = self.values.get(value) {
            return Arc::clone(known);
        }
        if self.values.len() >= self.sweep_at {
            self.values.retain(|value| Arc::strong_count(value) > 1);
            self.sweep_at = (2 * self.values.len()).max(SWEEP_AT_MIN);
        }
        let value = make();
        self.values.insert(Arc::clone(&value));
        value
    }
}

impl Interner {
    fn name(&self, name: &str) -> Arc<str> {
        self.names.lock().get(name, || Arc::from(name))
    }

    fn metadata(&self, metadata: Metadata) -> Arc<Metadata> {
        let mut shared = self.metadata.lock();
        let made = Arc::new(metadata);
        shared.get(&Arc::clone(&made), || made)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scrape(store: &mut FamilyStore, interner: &Interner, page: &[(&str, &str)]) {
        store.begin();
        for (name, help) in page {
            store.say(name.as_bytes(), Said::Help(help), interner);
            store.say(name.as_bytes(), Said::Kind(MetricType::Gauge), interner);
        }
        store.end(true);
    }

    fn shown(store: &FamilyStore) -> Vec<(String, String)> {
        let all = store.sorted().into_iter();
        all.map(|f| (f.name.to_string(), f.metadata.help.clone()))
            .collect()
    }

    #[test]
    fn keeps_what_was_said_last_and_forgets_after_ten_scrapes() {
        let interner = Interner::default();
        let mut store = FamilyStore::default();
        scrape(
            &mut store,
            &interner,
            &[("b", "B."), ("a", "A."), ("c", "C.")],
        );
        let pair = |a: &str, b: &str| (a.to_owned(), b.to_owned());
        assert_eq!(
            shown(&store),
            [pair("a", "A."), pair("b", "B."), pair("c", "C.")]
        );
        assert_eq!(store.bytes(), 3 * ("gauge".len() + 2));
        for _ in 0..10 {
            scrape(&mut store, &interner, &[("c", "Other."), ("b", "B.")]);
            assert_eq!(store.len(), 3);
        }
        scrape(&mut store, &interner, &[("c", "Other."), ("b", "B.")]);
        assert_eq!(shown(&store), [pair("b", "B."), pair("c", "Other.")]);
        assert_eq!(store.bytes(), 2 * "gauge".len() + 2 + 6);
        scrape(&mut store, &interner, &[("a", "A.")]);
        assert_eq!(store.len(), 3);
    }

    #[test]
    fn targets_share_names_and_metadata() {
        let interner = Interner::default();
        let mut stores = [FamilyStore::default(), FamilyStore::default()];
        for store in &mut stores {
            scrape(store, &interner, &[("up", "Is it?")]);
        }
        let [a, b] = stores.map(|store| store.sorted().remove(0));
        assert!(Arc::ptr_eq(&a.name, &b.name));
        assert!(Arc::ptr_eq(&a.metadata, &b.metadata));
    }

    #[test]
    fn values_out_of_use_are_swept() {
        let interner = Interner::default();
        for at in 0..10 * SWEEP_AT_MIN {
            let _ = interner.name(&format!("name{at}"));
        }
        assert!(interner.names.lock().values.len() <= SWEEP_AT_MIN);
    }
}
