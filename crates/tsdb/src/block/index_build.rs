//! The index of a new block.
//!
//! While series stream through, their label sets are kept as packed numbers ([`super::label_sets`]),
//! a byte or two a series, and every distinct value once; some ten bytes a series find one that was
//! there before. Dictionary, postings and forward pages are made at the end, name by name. The
//! bytes are described in `docs/formats/block.md` and read by [`super::index`].

use std::hash::BuildHasher;

use codec::varint;
use foldhash::fast::FixedState;
use hashbrown::{HashMap, HashTable};
use model::Labels;

use super::BlockError;
use super::format::{self, FileWriter};
use super::forward::ForwardWriter;
use super::label_sets::LabelSets;
use super::postings;
use super::tables::Tables;

/// Values of a label in a page of the dictionary. A look-up decodes one page.
pub(crate) const PAGE_VALUES: usize = 64;

/// Level 9 leaves 2 % less, and takes 12 MB for 0.6 MB where this takes one.
const HEAD_LEVEL: i32 = 3;

#[derive(Debug, Default)]
struct Name {
    text: String,
    /// In the order of coming.
    values: HashMap<Box<str>, u32, FixedState>,
}

/// Collects label sets and writes the index.
#[derive(Debug, Default)]
pub(crate) struct IndexBuilder {
    names: Vec<Name>,
    name_ids: HashMap<Box<str>, u32, FixedState>,
    sets: LabelSets,
    /// For each series the low half of the hash of its label set.
    hashes: Vec<u32>,
    by_labels: HashTable<u32>,
    hasher: FixedState,
    /// How many series there were at the end of each batch with new ones.
    batch_ends: Vec<u32>,
    pairs_now: Vec<(u32, u32)>,
}

impl IndexBuilder {
    /// How many series there are.
    pub(crate) fn len(&self) -> u32 {
        self.sets.len()
    }

    fn intern(&mut self, labels: &Labels) {
        self.pairs_now.clear();
        for (name, value) in labels {
            let name_id = match self.name_ids.get(name) {
                Some(&id) => id,
                None => {
                    let id = self.names.len() as u32;
                    self.name_ids.insert(name.into(), id);
                    self.names.push(Name {
                        text: name.to_owned(),
                        values: HashMap::default(),
                    });
                    id
                }
            };
            let values = &mut self.names[name_id as usize].values;
            let value_id = match values.get(value) {
                Some(&id) => id,
                None => {
                    let id = values.len() as u32;
                    values.insert(value.into(), id);
                    id
                }
            };
            self.pairs_now.push((name_id, value_id));
        }
        self.pairs_now.sort_unstable();
    }

    /// The number of the series with these labels, and whether it is new.
    pub(crate) fn series(&mut self, labels: &Labels) -> Result<(u32, bool), BlockError> {
        self.intern(labels);
        let hash = self.hasher.hash_one(&self.pairs_now[..]) as u32;
        let spread = |hash: u32| u64::from(hash).wrapping_mul(SPREAD);
        let found = self.by_labels.find(spread(hash), |&id| {
            self.hashes[id as usize] == hash && self.sets.is(id, &self.pairs_now)
        });
        if let Some(&id) = found {
            return Ok((id, false));
        }
        let id = self.sets.len();
        if id == u32::MAX {
            return Err(BlockError::Input("more than 2^32 series in one block"));
        }
        self.sets.push(&self.pairs_now);
        self.hashes.push(hash);
        let hashes = &self.hashes;
        self.by_labels
            .insert_unique(spread(hash), id, |&id| spread(hashes[id as usize]));
        Ok((id, true))
    }

    /// Says that a batch ends here.
    pub(crate) fn end_batch(&mut self) {
        if self.batch_ends.last() != Some(&self.len()) {
            self.batch_ends.push(self.len());
            self.sets.end_batch();
        }
    }

    /// Writes the index file's pages and its foot.
    pub(crate) fn write(
        mut self,
        tables: &Tables,
        min_ms: i64,
        file: &mut FileWriter,
    ) -> Result<(), BlockError> {
        (self.by_labels, self.hashes) = (HashTable::new(), Vec::new());
        self.sets.end_page();
        let mut order: Vec<u32> = (0..self.names.len() as u32).collect();
        order.sort_unstable_by(|&a, &b| {
            self.names[a as usize]
                .text
                .cmp(&self.names[b as usize].text)
        });
        let mut head = Head::default();
        let mut ranks = vec![(0, Vec::new()); self.names.len()];
        varint::put(&mut head.names, order.len() as u64);
        for (rank, &name) in (0..).zip(&order) {
            ranks[name as usize] = (rank, self.write_name(name, &mut head, file)?);
        }
        self.write_forward(&ranks, &mut head, file)?;
        self.write_head(&head, tables, min_ms, file)
    }

    /// Writes postings and dictionary pages of a name; gives the rank of each of its values.
    fn write_name(
        &mut self,
        name: u32,
        head: &mut Head,
        file: &mut FileWriter,
    ) -> Result<Vec<u32>, BlockError> {
        let by_id = std::mem::take(&mut self.names[name as usize].values);
        let mut sorted: Vec<(Box<str>, u32)> = by_id.into_iter().collect();
        sorted.sort_unstable();
        let mut ranks = vec![0; sorted.len()];
        for (rank, (_, id)) in (0u32..).zip(&sorted) {
            ranks[*id as usize] = rank;
        }
        let (ids, ends, everybody) = self.series_by_value(name, &ranks)?;
        varint::put_bytes(&mut head.names, self.names[name as usize].text.as_bytes());
        varint::put(&mut head.names, sorted.len() as u64);
        let size = file.page(|out| postings::encode(&everybody, out))?;
        varint::put(&mut head.names, size as u64);

        let mut from = 0;
        for (values, ends) in sorted.chunks(PAGE_VALUES).zip(ends.chunks(PAGE_VALUES)) {
            let mut sizes = Vec::with_capacity(values.len());
            for &end in ends {
                let end = end as usize;
                sizes.push(file.page(|out| postings::encode(&ids[from..end], out))?);
                from = end;
            }
            let size = file.page(|out| put_values(values, &sizes, out))?;
            varint::put(&mut head.pages, size as u64);
            varint::put(&mut head.pages, sizes.iter().sum::<usize>() as u64);
        }
        Ok(ranks)
    }

    /// The series with the name: sorted by value and, in that, by id; where each value's end; and
    /// all of them by id.
    fn series_by_value(&self, name: u32, ranks: &[u32]) -> Result<ByValue, BlockError> {
        let mut ends = vec![0u32; ranks.len()];
        let each_with = |visit: &mut dyn FnMut(u32, u32)| {
            let each = self.sets.each_with(name, visit);
            each.map_err(|_| UNREADABLE)
        };
        each_with(&mut |_, value| ends[ranks[value as usize] as usize] += 1)?;
        let mut sum = 0;
        for end in &mut ends {
            // The start for now; filling moves it to the end.
            (sum, *end) = (sum + *end, sum);
        }
        let mut ids = vec![0; sum as usize];
        let mut everybody = Vec::with_capacity(sum as usize);
        each_with(&mut |id, value| {
            everybody.push(id);
            let at = &mut ends[ranks[value as usize] as usize];
            ids[*at as usize] = id;
            *at += 1;
        })?;
        Ok((ids, ends, everybody))
    }

    /// Writes the label sets; `ranks` are those of each name and of its values.
    fn write_forward(
        &self,
        ranks: &[(u32, Vec<u32>)],
        head: &mut Head,
        file: &mut FileWriter,
    ) -> Result<(), BlockError> {
        let mut writer = ForwardWriter::default();
        let mut reader = self.sets.reader();
        let mut ranked = Vec::new();
        let mut id = 0;
        for &end in &self.batch_ends {
            while id < end {
                let pairs = reader.pairs(id).map_err(|_| UNREADABLE)?;
                ranked.clear();
                ranked.extend(pairs.iter().map(|&(name, value)| {
                    let (name, ranks) = &ranks[name as usize];
                    (*name, ranks[value as usize])
                }));
                ranked.sort_unstable();
                writer.push(&ranked, file)?;
                id += 1;
            }
            writer.end_batch(file)?;
        }
        writer.finish(file, &mut head.forward)
    }

    fn write_head(
        &self,
        head: &Head,
        tables: &Tables,
        min_ms: i64,
        file: &mut FileWriter,
    ) -> Result<(), BlockError> {
        let mut raw = Vec::new();
        varint::put(&mut raw, u64::from(self.len()));
        raw.extend_from_slice(&head.names);
        raw.extend_from_slice(&head.pages);
        raw.extend_from_slice(&head.forward);
        tables.encode(min_ms, &mut raw);
        let offset = file.position();
        let size = file.page(|out| format::pack(&raw, HEAD_LEVEL, out))?;
        file.page(|out| {
            out.extend_from_slice(&offset.to_le_bytes());
            out.extend_from_slice(&(size as u64).to_le_bytes());
        })?;
        Ok(())
    }
}

/// Series by value, where each value's end, and all of them.
type ByValue = (Vec<u32>, Vec<u32>, Vec<u32>);

/// What was packed can be read: this does not happen.
const UNREADABLE: BlockError = BlockError::Input("label sets that cannot be read back");

/// Makes a hash of 32 bits one of 64, whose high bits a table looks at, too.
const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;

/// What goes into the head section, gathered while its pages are written.
#[derive(Debug, Default)]
struct Head {
    names: Vec<u8>,
    pages: Vec<u8>,
    forward: Vec<u8>,
}

/// A page of the dictionary: values, front-coded, then the sizes of their postings.
fn put_values(values: &[(Box<str>, u32)], sizes: &[usize], out: &mut Vec<u8>) {
    let mut before: &str = "";
    for (value, _) in values {
        let same = before
            .bytes()
            .zip(value.bytes())
            .take_while(|(a, b)| a == b)
            .count();
        varint::put(out, same as u64);
        varint::put_bytes(out, &value.as_bytes()[same..]);
        before = value;
    }
    for &size in sizes {
        varint::put(out, size as u64);
    }
}
