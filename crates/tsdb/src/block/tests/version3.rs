//! The fixture of version 3, in which blocks learned histograms and starts of counters.

use storage::HistogramValue;

use super::*;
use crate::histograms::tests::example;

const ROWS: i64 = 70;

/// Histograms of whole numbers and of floats, on both kinds of grid, one of them every other time
/// only; and the starts of one of them.
pub(super) fn source() -> VecSource {
    let mut source = related_source();
    let timestamps: Vec<i64> = (0..ROWS).map(|at| 1_000 + at * 10_000).collect();
    let series = (0..4u64).map(|shape| {
        let name = format!("histogram_{shape}");
        let mut series = SeriesInput {
            labels: Labels::from_pairs([("__name__", name.as_str())]),
            ..SeriesInput::default()
        };
        if shape == 2 {
            series.times = Times::Present;
            series.present = vec![0x5555_5555_5555_5555; 2];
        }
        for at in (0..ROWS as u64).filter(|at| shape != 2 || at % 2 == 0) {
            let histogram = example(shape, 7 * at);
            if shape == 1 {
                let histogram = histogram.to_float();
                series
                    .histograms
                    .push_value(HistogramValue::Float(&histogram));
                series.starts.push(if at < 40 { 500 } else { 400_500 });
            } else {
                series
                    .histograms
                    .push_value(HistogramValue::Integer(&histogram));
            }
        }
        series
    });
    let group = GroupInput {
        key: Labels::from_pairs([("instance", "wide:9100")]),
        timestamps,
    };
    source.groups.push((group, series.collect()));
    source
}

#[test]
fn histograms_and_starts_are_read_for_ever() {
    let source = source();
    let block = fixture(3, &source);
    let wide = &source.groups[source.groups.len() - 1].1;
    for (shape, input) in (0..).zip(wide) {
        let name = format!("histogram_{shape}");
        let found = block
            .select(&[Matcher::equal("__name__", name)], i64::MIN, i64::MAX, 0)
            .unwrap();
        let mut samples = Samples::default();
        found[0].read(i64::MIN, i64::MAX, &mut samples).unwrap();
        let times = (0..ROWS).filter(|at| shape != 2 || at % 2 == 0);
        let times: Vec<i64> = times.map(|at| 1_000 + at * 10_000).collect();
        assert_eq!(samples.histograms.len(), times.len());
        let all = samples
            .histograms
            .iter()
            .zip(times)
            .zip(input.histograms.iter());
        for (((got_ms, got), at_ms), want) in all {
            assert_eq!((*got_ms, &**got), (at_ms, &want.to_float()), "{shape}");
        }
        assert_eq!(samples.histogram_starts, input.starts, "{shape}");
    }
}
