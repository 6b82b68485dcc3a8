//! Sums that lose less than plain ones.

/// Adds `value` to a compensated sum, as Neumaier improved Kahan's method. A sum that leaves the
/// range loses its compensation (upstream: util/kahansum).
#[inline(always)]
pub fn kahan_add(value: f64, sum: &mut f64, compensation: &mut f64) {
    let total = *sum + value;
    if total.is_infinite() {
        *compensation = 0.0;
    } else if sum.abs() >= value.abs() {
        *compensation += (*sum - total) + value;
    } else {
        *compensation += (value - total) + *sum;
    }
    *sum = total;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_values_are_not_lost() {
        let (mut sum, mut compensation) = (0.0, 0.0);
        for value in [1.0, 1e100, 1.0, -1e100] {
            kahan_add(value, &mut sum, &mut compensation);
        }
        assert_eq!(sum + compensation, 2.0);
        kahan_add(f64::INFINITY, &mut sum, &mut compensation);
        assert_eq!((sum, compensation), (f64::INFINITY, 0.0));
    }
}
