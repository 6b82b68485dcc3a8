//! What counts at some points only: the newest sample at each of them.
//!
//! Open rows are asked one by one, some 100 ns each, so an instant query that looks at the last five
//! minutes asks one instead of twenty, and a range query no more than it has steps. Which rows of a
//! chunk count is worked out once for all series of the chunk. Sealed columns are decoded as a whole;
//! where nobody looks at values, only those that may have staleness markers.

use codec::DecodeError;
use codec::floats::DecodeScratch;
use codec::row;
use storage::{Points, Samples, StorageError};

use super::{HeadSeries, View, corrupt};
use crate::merge::{Mark, merge_tail};
use crate::picks::{are_alike, for_each_pick};

/// With more rows between two points than this, asking single rows is cheaper than turning all of
/// them over.
const ROWS_A_POINT_MAX: i64 = 16;

/// If more than such a part of a chunk's rows counts, they are copied rather than picked.
const PICKED_DIVISOR: i64 = 8;

/// Rows of a chunk that are the newest ones at some points.
#[derive(Debug)]
pub(super) struct Picked {
    points: Points,
    rows: Vec<(u8, i64)>,
}

impl HeadSeries {
    /// Adds the samples that count at the points, and maybe others; false if the series has more
    /// than rows and columns, and nothing was added.
    pub(super) fn read_some(
        &self,
        points: &Points,
        out: &mut Samples,
    ) -> Result<bool, StorageError> {
        let range = points.range_ms();
        let view = &self.view.view;
        let is_plain = self.min_ms <= range.0
            && range.1 <= self.max_ms
            && self.view.tombstones(self.slot).is_empty()
            && view.late.get(self.slot).is_empty()
            && view.sides.get(self.slot).is_empty()
            && !self.is_wide();
        if !is_plain {
            return Ok(false);
        }
        if points.count > 1 {
            self.pick_from_chunks(points, out).map_err(corrupt)?;
            self.pick_rows(points, out).map_err(corrupt)?;
        } else if !self.pick_rows(points, out).map_err(corrupt)? {
            self.read_chunks(range.0, range.1, out).map_err(corrupt)?;
        }
        Ok(true)
    }

    /// Adds the newest sample of each chunk at each point.
    fn pick_from_chunks(&self, points: &Points, out: &mut Samples) -> Result<(), DecodeError> {
        let shared = &self.view;
        let (min_ms, max_ms) = points.range_ms();
        let max_ms = max_ms.min(shared.view.sealed_max_ms);
        let mut scratch = DecodeScratch::default();
        for (at, chunk) in shared.view.chunks.iter().enumerate() {
            let head = &chunk.chunk.head;
            if head.min_ms > max_ms || head.max_ms < min_ms {
                continue;
            }
            let from = Mark::of(out);
            let asked = head.max_ms.saturating_sub(head.min_ms) / points.step_ms.max(1);
            let is_dense = asked.saturating_mul(PICKED_DIVISOR) > head.rows as i64;
            if head.side_count > 0 || is_dense && !points.presence_only {
                self.read_chunk(at, (min_ms, max_ms), &mut scratch, out)?;
            } else {
                let times = shared.times_of(at)?;
                let seen = &times[..times.partition_point(|&ms| ms <= max_ms)];
                let picked = shared.picked[at].get_or_init(|| Picked {
                    points: *points,
                    rows: picks(points, seen),
                });
                let own;
                let rows = match are_alike(&picked.points, points) {
                    true => &picked.rows,
                    false => {
                        own = picks(points, seen);
                        &own
                    }
                };
                let rows = (rows.as_slice(), points.presence_only);
                let slot = self.slot as usize;
                head.pick(&chunk.bytes, slot, times, rows, &mut scratch, out)?;
            }
            merge_tail(out, from);
        }
        Ok(())
    }

    /// Adds the newest row at each point; whether there was any.
    fn pick_rows(&self, points: &Points, out: &mut Samples) -> Result<bool, DecodeError> {
        let View { rows, base, .. } = &self.view.view;
        let Some(first) = rows.first() else {
            return Ok(false);
        };
        let from = Mark::of(out);
        let last_ms = rows.last().map_or(first.at_ms, |row| row.at_ms);
        let asked = (last_ms - first.at_ms) / points.step_ms.max(1) + 1;
        if points.count > 1
            && asked.saturating_mul(ROWS_A_POINT_MAX) >= rows.len() as i64
            && let Some(column) = self.view.tiles.column(self.slot, rows, base)?
        {
            column.read(points.range_ms(), out);
            merge_tail(out, from);
            return Ok(true);
        }
        // Rows from here on are taken already, or newer than the point.
        let mut taken = rows.len();
        for point in (0..points.count).rev() {
            let at_ms = points.at(point);
            if at_ms < first.at_ms {
                break;
            }
            let end = rows.partition_point(|row| row.at_ms <= at_ms);
            for at in (0..end).rev() {
                let row = &rows[at];
                if row.at_ms <= at_ms - points.lookback_ms || at >= taken {
                    break;
                }
                if let Some(bits) = row::Row::new(&row.bytes)?.get(self.slot as usize, base)? {
                    out.timestamps.push(row.at_ms);
                    out.values.push(f64::from_bits(bits));
                    taken = at;
                    break;
                }
            }
        }
        out.timestamps[from.floats..].reverse();
        out.values[from.floats..].reverse();
        let found = out.timestamps.len() > from.floats;
        merge_tail(out, from);
        Ok(found)
    }
}

/// For each point the last of these times up to it, and the time after which a sample must be to count
/// there ([`for_each_pick`]).
fn picks(points: &Points, times: &[i64]) -> Vec<(u8, i64)> {
    let mut picked = Vec::new();
    for_each_pick(points, times, |row, after_ms| {
        picked.push((row as u8, after_ms));
    });
    picked
}
