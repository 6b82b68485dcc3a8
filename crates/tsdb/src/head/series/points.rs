//! What counts at some points only: of the open rows, the newest one at each of them.
//!
//! Rows are asked one by one, some 100 ns each, so an instant query that looks at the last five
//! minutes asks one instead of twenty, and a range query no more than it has steps. Sealed columns
//! are decoded as a whole either way.

use codec::DecodeError;
use codec::row;
use storage::{Points, Samples, StorageError};

use super::{HeadSeries, View, corrupt};
use crate::merge::{Mark, merge_tail};

/// With more rows between two points than this, asking single rows is cheaper than turning all of
/// them over.
const ROWS_A_POINT_MAX: i64 = 16;

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
            self.read_chunks(range.0, range.1, out).map_err(corrupt)?;
            self.pick_rows(points, out).map_err(corrupt)?;
        } else if !self.pick_rows(points, out).map_err(corrupt)? {
            self.read_chunks(range.0, range.1, out).map_err(corrupt)?;
        }
        Ok(true)
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
