//! What counts at some points only: of the samples of a page, the newest one at each of them.
//!
//! The series of a page share its times, so which of these count is worked out once for all of them.
//! Where nobody looks at values, those that surely are numbers are not decoded.

use std::sync::{Arc, OnceLock};

use codec::DecodeError;
use codec::columns::DecodeScratch;
use storage::{Points, Samples, StorageError};

use super::Block;
use super::chunk_page::ChunkColumn;
use super::page::ValuePage;
use super::read::{SeriesPage, member_of};
use crate::merge::{Mark, sort_tail, truncate};
use crate::picks::{are_alike, for_each_pick};

/// If more than such a part of a column's samples counts, they are copied rather than picked.
const PICKED_DIVISOR: i64 = 8;

/// For each column of a block which times are the newest ones at the points that were asked for
/// first.
#[derive(Debug, Default)]
pub(crate) struct PickedColumns(OnceLock<Vec<OnceLock<Box<Picked>>>>);

#[derive(Debug)]
struct Picked {
    points: Points,
    times: Arc<Vec<i64>>,
    /// For each point the place of the last time up to it that counts there, ascending and each once.
    places: Vec<u32>,
}

impl Block {
    /// Adds the samples of a series that count at the points, and maybe others.
    ///
    /// # Errors
    /// If a page of them is damaged.
    pub(crate) fn read_points(
        &self,
        id: u32,
        points: &Points,
        columns: &PickedColumns,
        out: &mut Samples,
    ) -> Result<(), StorageError> {
        let (min_ms, max_ms) = points.range_ms();
        let start = Mark::of(out);
        // What is deleted uncovers what was before it.
        let mut picks = self.tombstones().of(id).is_empty() && out.starts.is_empty();
        let mut scratch = DecodeScratch::default();
        let mut result = Ok(());
        self.pages_of(id, |met| {
            let page = met.page;
            let outside = page.first_ms > max_ms || page.last_ms < min_ms;
            if !picks || result.is_err() || outside {
                return;
            }
            match self.pick(points, columns, &met, &mut scratch, out) {
                Ok(picked) => picks = picked,
                Err(error) => result = Err(error),
            }
        });
        if result.is_err() || !picks {
            truncate(out, start);
        }
        result?;
        if !picks {
            return self.read_series(id, min_ms, max_ms, out);
        }
        sort_tail(out, start);
        Ok(())
    }

    /// Adds what counts of a page; false if it is not that easy.
    fn pick(
        &self,
        points: &Points,
        columns: &PickedColumns,
        met: &SeriesPage<'_>,
        scratch: &mut DecodeScratch,
        out: &mut Samples,
    ) -> Result<bool, StorageError> {
        let &SeriesPage {
            batch, page, slot, ..
        } = met;
        let Some(column) = page.column else {
            return Ok(false);
        };
        let all = || self.tables().columns.iter().map(|_| OnceLock::new());
        let place = &columns.0.get_or_init(|| all().collect())[column as usize];
        let picked = match place.get() {
            Some(picked) => picked,
            None => {
                let made = Box::new(Picked::of(points, self.column(column)?));
                place.get_or_init(|| made)
            }
        };
        let is_same = are_alike(&picked.points, points);
        let asked = page.last_ms.saturating_sub(page.first_ms) / points.step_ms.max(1);
        let is_dense = asked.saturating_mul(PICKED_DIVISOR) > picked.times.len() as i64;
        if !is_same || is_dense && !points.presence_only {
            return Ok(false);
        }
        let values = match self.linked_column(met)? {
            Some(column) => Values::Linked(column),
            None => {
                let (values, bytes) = self.page(batch, page)?;
                Values::Own(values, bytes, member_of(page, slot))
            }
        };
        if !values.is_plain() {
            return Ok(false);
        }
        let times = picked.places.iter().map(|&at| picked.times[at as usize]);
        out.timestamps.extend(times);
        let start = out.values.len();
        if points.presence_only && values.is_numbers_only() {
            out.values.resize(start + picked.places.len(), 0.0);
            return Ok(true);
        }
        let decoded = values.decode(scratch, &mut out.values);
        decoded.map_err(|error| self.corrupt(error))?;
        if out.values.len() - start != picked.times.len() {
            return Err(self.corrupt(DecodeError("count")));
        }
        for (to, &from) in picked.places.iter().enumerate() {
            out.values[start + to] = out.values[start + from as usize];
        }
        out.values.truncate(start + picked.places.len());
        Ok(true)
    }
}

/// The values of a series in a page.
enum Values<'a> {
    Linked(ChunkColumn<'a>),
    /// A page of the block's own, its bytes, and the member.
    Own(Arc<ValuePage>, &'a [u8], usize),
}

impl Values<'_> {
    /// Whether there is a float at every time of the column, and no start.
    fn is_plain(&self) -> bool {
        match self {
            Values::Linked(column) => column.is_full(),
            Values::Own(page, _, member) => page.is_plain(*member),
        }
    }

    /// Whether there surely are numbers only, and no NaN of whatever bits.
    fn is_numbers_only(&self) -> bool {
        match self {
            Values::Linked(column) => column.is_numbers_only(),
            Values::Own(page, _, member) => page.is_numbers_only(*member),
        }
    }

    fn decode(&self, scratch: &mut DecodeScratch, out: &mut Vec<f64>) -> Result<(), DecodeError> {
        match self {
            Values::Linked(column) => column.decode(scratch, out),
            Values::Own(page, bytes, member) => {
                page.decode(bytes, *member, scratch, out).map(|_| ())
            }
        }
    }
}

impl Picked {
    fn of(points: &Points, times: Arc<Vec<i64>>) -> Picked {
        let mut places: Vec<u32> = Vec::new();
        for_each_pick(points, &times, |at, after_ms| {
            if times[at] > after_ms && places.last() != Some(&(at as u32)) {
                places.push(at as u32);
            }
        });
        Picked {
            points: *points,
            times,
            places,
        }
    }
}
