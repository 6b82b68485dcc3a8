//! Identities of a block's series, from its columns of label values.

use storage::StorageError;

use super::forward::PairsReader;
use super::index::Index;
use super::index_build::PAGE_VALUES;
use crate::identity::{Identity, IdentityKeys};

/// The hashes of one page of a name's values.
type PageHashes = Box<[Identity]>;

/// Identities of the series `ids`, which ascend. A page of values is hashed when the first of them
/// is met: some 20 ns a value; after that a series costs a few additions.
pub(super) fn identities(
    index: &Index,
    keys: &IdentityKeys,
    ids: &[u32],
) -> Result<Vec<Identity>, StorageError> {
    let mut hashes: Vec<Vec<Option<PageHashes>>> = vec![Vec::new(); index.names.len()];
    let mut reader = PairsReader::new(index);
    let mut found = Vec::with_capacity(ids.len());
    for &id in ids {
        let mut identity = Identity::default();
        for &(name, rank) in reader.pairs(id)? {
            let (page, at) = (rank as usize / PAGE_VALUES, rank as usize % PAGE_VALUES);
            let pages = &mut hashes[name as usize];
            if pages.len() <= page {
                pages.resize(page + 1, None);
            }
            let of_page = match &mut pages[page] {
                Some(of_page) => of_page,
                empty => empty.insert(page_hashes(index, keys, name, page as u32)?),
            };
            identity = identity.with(of_page[at]);
        }
        found.push(identity);
    }
    Ok(found)
}

fn page_hashes(
    index: &Index,
    keys: &IdentityKeys,
    name: u32,
    page: u32,
) -> Result<PageHashes, StorageError> {
    let name = &index.names[name as usize];
    let values = index.dictionary_page(name, page)?;
    let hashes = values.iter().map(|value| keys.of_pair(&name.text, value));
    Ok(hashes.collect())
}
