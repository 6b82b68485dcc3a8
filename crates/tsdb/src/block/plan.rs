//! Which blocks to merge next.
//!
//! As Prometheus decides it, but in fewer steps: blocks that overlap come first; then the smallest
//! of the ranges (2 h, 18 h, 162 h, 486 h) whose blocks are all there, or which lies before newer blocks, so that nothing more comes for
//! it; last a large block of which much is deleted, alone. The newest block is left alone, so that
//! there is a while for bringing in data beside it.
//! Blocks that were cut from the head by series (stale or selected ones) are merged only with
//! their like, because they do not say that everything up to their end is in blocks.

use super::meta::{BlockMeta, BlockParent, Compaction, Ulid};

/// The block holds only samples that came out of order.
pub const HINT_OUT_OF_ORDER: &str = "from-out-of-order";
/// The block holds series of the head that had ended.
pub const HINT_STALE_SERIES: &str = "from-stale-series";
/// The block holds series of the head that somebody chose.
pub const HINT_SELECTED_SERIES: &str = "from-selected-series";

/// Each range is so many times the one before. Every step writes every sample once more: with
/// Prometheus's steps of three, a sample is written twice as often on its way. Queries meet up to
/// nine blocks of a range in place of three, at some 100 ns a series and block.
const RANGE_FACTOR: i64 = 9;
/// The last step, if one of nine does not fit any more.
const LAST_FACTOR: i64 = 3;
/// Stretches that are deleted, by series, from which on a large block is written anew.
const DELETED_SHARE_MAX: f64 = 0.05;
/// More steps would pass any retention.
const RANGES_MAX: usize = 10;

/// Spans of blocks, smallest first: `min_ms`, then nine times the one before as long as that is
/// not beyond `max_ms`, or three times as the last step.
#[must_use]
pub fn block_ranges(min_ms: i64, max_ms: i64) -> Vec<i64> {
    let next = |range: &i64| {
        let mut steps = [RANGE_FACTOR, LAST_FACTOR].into_iter();
        steps.find_map(|factor| range.checked_mul(factor).filter(|&next| next <= max_ms))
    };
    std::iter::successors(Some(min_ms), next)
        .take(RANGES_MAX)
        .collect()
}

/// The blocks that should become one now, oldest first; none if there is nothing to do. Asked
/// again afterwards, it gives the next.
#[must_use]
pub fn plan_compaction(blocks: &[BlockMeta], ranges: &[i64]) -> Vec<Ulid> {
    let hinted = |meta: &BlockMeta, hint: &str| meta.compaction.hints.iter().any(|h| h == hint);
    let class = |meta: &BlockMeta| {
        if hinted(meta, HINT_STALE_SERIES) {
            1
        } else if hinted(meta, HINT_SELECTED_SERIES) {
            2
        } else {
            0
        }
    };
    for wanted in 0..3 {
        let mut of_class: Vec<&BlockMeta> = blocks.iter().filter(|b| class(b) == wanted).collect();
        of_class.sort_by_key(|b| (b.min_time, b.ulid));
        let planned = plan_class(&of_class, ranges);
        if !planned.is_empty() {
            return planned.iter().map(|b| b.ulid).collect();
        }
    }
    Vec::new()
}

fn plan_class<'a>(blocks: &[&'a BlockMeta], ranges: &[i64]) -> Vec<&'a BlockMeta> {
    let overlapping = first_overlap(blocks);
    if !overlapping.is_empty() {
        return overlapping;
    }
    let Some((_, old)) = blocks.split_last() else {
        return Vec::new();
    };
    let Some(newest) = old.last() else {
        return Vec::new();
    };
    for &range in ranges.iter().skip(1) {
        for part in by_range(old, range) {
            let span = part[part.len() - 1].max_time - part[0].min_time;
            let complete = span == range || part[part.len() - 1].max_time <= newest.min_time;
            if part.len() > 1 && complete && !part.iter().any(|b| b.compaction.failed) {
                return part.to_vec();
            }
        }
    }
    let worth = |block: &&&BlockMeta| !block.compaction.failed && is_worn(block, ranges);
    old.iter().rev().find(worth).copied().into_iter().collect()
}

/// Whether so much of a block is deleted that it is written anew for that alone: all of it, or a
/// good part if the block will not be merged soon.
fn is_worn(block: &BlockMeta, ranges: &[i64]) -> bool {
    let (deleted, series) = (block.stats.num_tombstones, block.stats.num_series);
    if block.max_time - block.min_time < ranges[ranges.len() / 2] {
        return deleted > 0 && deleted >= series;
    }
    deleted as f64 / (series + 1) as f64 > DELETED_SHARE_MAX
}

/// The first blocks that overlap in a chain.
fn first_overlap<'a>(blocks: &[&'a BlockMeta]) -> Vec<&'a BlockMeta> {
    let mut chain: Vec<&BlockMeta> = Vec::new();
    let mut end = i64::MIN;
    for &block in blocks {
        if block.min_time < end {
            chain.push(block);
        } else if chain.len() > 1 {
            break;
        } else {
            chain = vec![block];
        }
        end = end.max(block.max_time);
    }
    let usable = chain.len() > 1 && !chain.iter().any(|b| b.compaction.failed);
    if usable { chain } else { Vec::new() }
}

/// Neighbours that lie in the same aligned stretch of `range`; blocks that lie in none are left
/// out.
fn by_range<'s, 'a>(blocks: &'s [&'a BlockMeta], range: i64) -> Vec<&'s [&'a BlockMeta]> {
    let stretch = |block: &BlockMeta| block.min_time.div_euclid(range);
    let fits = |block: &BlockMeta| block.max_time <= (stretch(block) + 1).saturating_mul(range);
    blocks
        .chunk_by(|a, b| fits(a) && fits(b) && stretch(a) == stretch(b))
        .filter(|part| part.iter().all(|b| fits(b)))
        .collect()
}

/// Where a block merged from `parents` comes from.
#[must_use]
pub fn merged_compaction(parents: &[BlockMeta]) -> Compaction {
    let mut sources: Vec<Ulid> = parents
        .iter()
        .flat_map(|p| &p.compaction.sources)
        .copied()
        .collect();
    sources.sort_unstable();
    sources.dedup();
    let with_hint = |hint: &str| {
        parents
            .iter()
            .filter(|p| p.compaction.hints.iter().any(|h| h == hint))
            .count()
    };
    let mut hints = Vec::new();
    // A mixture with samples in order is an ordinary block.
    if !parents.is_empty() && with_hint(HINT_OUT_OF_ORDER) == parents.len() {
        hints.push(HINT_OUT_OF_ORDER.to_owned());
    }
    for hint in [HINT_STALE_SERIES, HINT_SELECTED_SERIES] {
        if with_hint(hint) > 0 {
            hints.push(hint.to_owned());
        }
    }
    Compaction {
        level: parents
            .iter()
            .map(|p| p.compaction.level)
            .max()
            .unwrap_or(0)
            + 1,
        sources,
        parents: parents
            .iter()
            .map(|p| BlockParent {
                ulid: p.ulid,
                min_time: p.min_time,
                max_time: p.max_time,
            })
            .collect(),
        failed: false,
        hints,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::block::BlockStats;

    /// A block of 99 series from `spec`: `from..to`, in units of 20, with `!` behind it if
    /// compaction failed, `s`, `x` or `o` for hints, and `~5` for five tombstones.
    fn block(spec: &str) -> BlockMeta {
        let (spec, deleted) = match spec.rsplit_once('~') {
            Some((spec, deleted)) => (spec, deleted.parse().unwrap()),
            None => (spec, 0),
        };
        let (times, flags) = spec.split_at(spec.find(['!', 's', 'x', 'o']).unwrap_or(spec.len()));
        let (from, to) = times.split_once("..").unwrap();
        let hints = flags.chars().filter_map(|flag| match flag {
            's' => Some(HINT_STALE_SERIES.to_owned()),
            'x' => Some(HINT_SELECTED_SERIES.to_owned()),
            'o' => Some(HINT_OUT_OF_ORDER.to_owned()),
            _ => None,
        });
        let ulid = Ulid::new(1);
        BlockMeta {
            ulid,
            min_time: from.parse().unwrap(),
            max_time: to.parse().unwrap(),
            stats: BlockStats {
                num_series: 99,
                num_tombstones: deleted,
                ..BlockStats::default()
            },
            compaction: Compaction {
                level: 1,
                sources: vec![ulid],
                failed: flags.contains('!'),
                hints: hints.collect(),
                ..Compaction::default()
            },
            version: 1,
            promontory_format: 1,
        }
    }

    #[track_caller]
    fn check(blocks: &str, planned: &str) {
        let specs: Vec<&str> = blocks.split_whitespace().collect();
        let mut metas: Vec<BlockMeta> = specs.iter().map(|spec| block(spec)).collect();
        for (created_ms, meta) in (1..).zip(&mut metas) {
            meta.ulid = Ulid::new(created_ms);
        }
        let found = plan_compaction(&metas, &[20, 60, 180, 540]);
        let found: Vec<&str> = found
            .iter()
            .map(|ulid| specs[metas.iter().position(|m| m.ulid == *ulid).unwrap()])
            .collect();
        assert_eq!(found.join(" "), planned, "{blocks}");
    }

    #[test]
    fn plans() {
        check("", "");
        check("0..20", "");
        // The newest block is left alone, and the range must be whole or past.
        check("0..20 20..40 40..60", "");
        check("0..20 20..40 40..60 60..80", "0..20 20..40 40..60");
        check("60..80 40..60 20..40 0..20", "0..20 20..40 40..60");
        // A gap in the range does not matter once newer blocks are there.
        check("0..20 40..60 60..80", "0..20 40..60");
        check("0..20 20..40 60..80", "");
        check("0..20 20..40 60..80 80..100", "0..20 20..40");
        check("20..40 60..80 80..100", "");
        // Larger ranges after the smaller ones.
        check("0..60 60..120 120..180 180..200", "0..60 60..120 120..180");
        check(
            "0..60 60..120 120..140 140..160 160..180 180..200",
            "120..140 140..160 160..180",
        );
        check(
            "0..60 60..120 120..180 180..240 240..260",
            "0..60 60..120 120..180",
        );
        check(
            "0..180 180..360 360..540 540..560",
            "0..180 180..360 360..540",
        );
        // Blocks that lie across the stretches of a range are left out of it.
        check(
            "10..30 30..50 50..70 70..90 90..110 110..130",
            "10..30 30..50",
        );
        check(
            "0..540 540..560 560..580 580..600 600..620",
            "540..560 560..580 580..600",
        );
        // Times before 1970.
        check("-60..-40 -40..-20 -20..0 0..20", "-60..-40 -40..-20 -20..0");
        // What failed once is not tried again.
        check("0..20 20..40! 40..60 60..80", "");
        check("0..20 0..20!", "");
        // Overlaps come first, the newest block included, in a chain.
        check("0..20 20..40 40..60 60..80 70..90", "60..80 70..90");
        check("0..20 10..30 25..40 40..60", "0..20 10..30 25..40");
        check("0..60 10..20 30..40 60..80", "0..60 10..20 30..40");
        check("0..20 20..40 0..20 20..40", "0..20 0..20");
        // Large blocks of which more than a twentieth is deleted, small ones only if all is; never
        // the newest, and what can be merged comes first.
        check("0..180~5 180..360~6 360..380", "180..360~6");
        check("0..180~6 180..360!~6 360..380~9 380..400", "0..180~6");
        check("0..60~98 60..120", "");
        check("0..60~99 60..120", "0..60~99");
        check("0..180~6", "");
        check(
            "0..180~6 180..200 200..220 220..240 240..260",
            "180..200 200..220 220..240",
        );
        // Stale and selected series stay among themselves, out-of-order ones do not.
        check("0..20 0..20s", "");
        check("0..20s 0..20s 0..20", "0..20s 0..20s");
        check("0..20s 0..20x", "");
        check("0..20 0..20o", "0..20 0..20o");
        check("0..20 20..40s 40..60 60..80", "0..20 40..60");
    }

    #[test]
    fn ranges_are_few() {
        let hour = 3_600_000;
        let ranges = |max: i64| {
            let all = block_ranges(2 * hour, max * hour);
            all.iter().map(|range| range / hour).collect::<Vec<_>>()
        };
        assert_eq!(ranges(1), [2]);
        assert_eq!(ranges(2), [2]);
        assert_eq!(ranges(17), [2, 6]);
        assert_eq!(ranges(36), [2, 18], "15 days of retention");
        assert_eq!(ranges(54), [2, 18, 54]);
        assert_eq!(ranges(31 * 24), [2, 18, 162, 486]);
        assert_eq!(block_ranges(2 * hour, i64::MAX).len(), RANGES_MAX);
    }

    #[test]
    fn a_merged_block_knows_where_it_comes_from() {
        let parents = [block("0..20o"), block("20..40o")];
        let merged = merged_compaction(&parents);
        assert_eq!(
            (merged.level, merged.hints.as_slice()),
            (2, &[HINT_OUT_OF_ORDER.to_owned()][..])
        );
        assert_eq!(merged.sources.len(), 2);
        assert_eq!(merged.parents[1].max_time, 40);
        assert!(
            merged_compaction(&[block("0..20o"), block("20..40")])
                .hints
                .is_empty()
        );
        assert_eq!(
            merged_compaction(&[block("0..20s"), block("20..40s")]).hints,
            [HINT_STALE_SERIES]
        );
    }
}
