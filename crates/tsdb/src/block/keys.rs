//! What a selection needs of a block's label sets, without making them: the numbers that they are
//! sorted by, and the few labels that somebody looks at.

use codec::DecodeError;
use foldhash::fast::RandomState;
use hashbrown::HashMap;
use model::Labels;
use rayon::iter::ParallelIterator as _;
use rayon::slice::ParallelSlice as _;
use storage::StorageError;

use super::Block;
use super::forward::PairsReader;
use super::index::Index;
use super::index_build::PAGE_VALUES;
use crate::order::Keys;

/// Series that one thread reads of a list before it takes the next part.
const PART_SERIES: usize = 8 << 10;

impl Block {
    /// What series, whose numbers ascend, are sorted by.
    pub(crate) fn keys_of(&self, ids: &[u32]) -> Result<Keys, StorageError> {
        keys(self.index(), ids)
    }

    /// As [`Block::labels_of`], but only the labels `names`, which are sorted.
    pub(crate) fn some_labels_of(
        &self,
        ids: &[u32],
        names: &[String],
    ) -> Result<Vec<Labels>, StorageError> {
        let parts = ids.par_chunks(PART_SERIES);
        let parts = parts.map(|ids| some_labels(self.index(), ids, names));
        let parts: Result<Vec<Vec<Labels>>, StorageError> = parts.collect();
        Ok(parts?.into_iter().flatten().collect())
    }
}

/// Keys of the series `ids`, which ascend. Pairs are numbered as the index does, whose names and
/// values are sorted, but only those that occur.
fn keys(index: &Index, ids: &[u32]) -> Result<Keys, StorageError> {
    let mut used: Vec<Vec<bool>> = vec![Vec::new(); index.names.len()];
    for_each(index, ids, |pairs| {
        for &(name, rank) in pairs {
            let of_name = &mut used[name as usize];
            if of_name.len() <= rank as usize {
                of_name.resize(rank as usize + 1, false);
            }
            of_name[rank as usize] = true;
        }
        Ok(())
    })?;
    let mut keys = Keys::default();
    let mut numbers: Vec<Vec<u32>> = Vec::with_capacity(used.len());
    let mut next = 0;
    for (name, used) in index.names.iter().zip(used) {
        let mut of_name = vec![0; used.len()];
        for page in (0..used.len()).step_by(PAGE_VALUES) {
            let end = used.len().min(page + PAGE_VALUES);
            if !used[page..end].contains(&true) {
                continue;
            }
            let values = index.dictionary_page(name, (page / PAGE_VALUES) as u32)?;
            for (at, value) in (page..end).zip(values.iter()) {
                if used[at] {
                    keys.dictionary.push(&name.text, value);
                    of_name[at] = next;
                    next += 1;
                }
            }
        }
        numbers.push(of_name);
    }
    for_each(index, ids, |pairs| {
        let number = |&(name, rank): &(u32, u32)| numbers[name as usize][rank as usize];
        keys.push(pairs.iter().map(number));
        Ok(())
    })?;
    Ok(keys)
}

/// The labels `names`, which are sorted, of the series `ids`, which ascend. Series with the same ones
/// share them.
fn some_labels(index: &Index, ids: &[u32], names: &[String]) -> Result<Vec<Labels>, StorageError> {
    let is_kept = |text: &String| names.binary_search(text).is_ok();
    let kept: Vec<bool> = index.names.iter().map(|name| is_kept(&name.text)).collect();
    let mut by_pairs: HashMap<Vec<(u32, u32)>, Labels, RandomState> = HashMap::default();
    let mut all = Vec::with_capacity(ids.len());
    let mut wanted = Vec::new();
    for_each(index, ids, |pairs| {
        wanted.clear();
        wanted.extend(pairs.iter().filter(|(name, _)| kept[*name as usize]));
        let labels = match by_pairs.get(&wanted) {
            Some(labels) => labels,
            None => {
                let labels = labels_of(index, &wanted)?;
                by_pairs.entry(wanted.clone()).or_insert(labels)
            }
        };
        all.push(labels.clone());
        Ok(())
    })?;
    Ok(all)
}

fn labels_of(index: &Index, pairs: &[(u32, u32)]) -> Result<Labels, StorageError> {
    let mut texts = Vec::with_capacity(pairs.len());
    for &(name, rank) in pairs {
        let name = &index.names[name as usize];
        let page = index.dictionary_page(name, rank / PAGE_VALUES as u32)?;
        let value = page.iter().nth(rank as usize % PAGE_VALUES);
        let value = value.ok_or_else(|| StorageError::Corrupt(DecodeError("value").to_string()))?;
        texts.push((&name.text, value.to_owned()));
    }
    Ok(Labels::from_sorted(
        texts
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str())),
    ))
}

/// Calls `each` with the pairs of every series.
fn for_each(
    index: &Index,
    ids: &[u32],
    mut each: impl FnMut(&[(u32, u32)]) -> Result<(), StorageError>,
) -> Result<(), StorageError> {
    let mut reader = PairsReader::new(index);
    ids.iter().try_for_each(|&id| each(reader.pairs(id)?))
}
