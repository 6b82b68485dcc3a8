//! Which of some shared times count at points: the last one up to each.

use storage::Points;

/// Whether the same times are picked for both: what is looked at of the values does not matter.
pub(crate) fn are_alike(a: &Points, b: &Points) -> bool {
    let of = |points: &Points| Points {
        presence_only: false,
        ..*points
    };
    of(a) == of(b)
}

/// Calls `each` for the points in turn with the place of the last of `times`, which ascend, up to the
/// point, and with the time after which a sample must be to count there. Points before the first
/// time, and behind where the last one counts, are left out.
pub(crate) fn for_each_pick(points: &Points, times: &[i64], mut each: impl FnMut(usize, i64)) {
    let (Some(&first_ms), Some(&last_ms)) = (times.first(), times.last()) else {
        return;
    };
    let from = (first_ms - points.first_ms).max(0) / points.step_ms.max(1);
    let mut next = 0;
    for point in usize::try_from(from).unwrap_or(usize::MAX)..points.count {
        let at_ms = points.at(point);
        let after_ms = at_ms - points.lookback_ms;
        if after_ms >= last_ms {
            break;
        }
        while next < times.len() && times[next] <= at_ms {
            next += 1;
        }
        if let Some(place) = next.checked_sub(1) {
            each(place, after_ms);
        }
    }
}
