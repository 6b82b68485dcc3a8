//! Pages of targets, in both formats; a page whose series are predicted gives the same samples.
#![no_main]

use exposition::{CreatedSeries, Entry, Format, Parser, ParserOptions, SeriesLabels};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let [kind, page @ ..] = input else {
        return;
    };
    let format = match kind & 1 {
        0 => Format::PrometheusText,
        _ => Format::OpenMetrics,
    };
    let created = match kind & 2 {
        0 => CreatedSeries::Keep,
        _ => CreatedSeries::AsStarts,
    };
    let options = ParserOptions { format, created };
    let mut parser = Parser::new(page, options);
    let mut labels = SeriesLabels::new();
    let mut seen = Vec::new();
    while let Ok(Some(entry)) = parser.next() {
        let Entry::Sample(sample) = entry else {
            continue;
        };
        if labels.read(sample.series, sample.kind).is_ok() {
            let _ = labels.to_labels();
        }
        if let Some(exemplar) = &sample.exemplar
            && labels.read_exemplar(exemplar.labels).is_ok()
        {
            let _ = labels.to_labels();
        }
        let value = (sample.value.to_bits(), sample.timestamp_ms);
        seen.push((sample.series, value));
    }
    if created == CreatedSeries::AsStarts {
        return;
    }
    let mut parser = Parser::new(page, options);
    for (series, value) in seen {
        let predicted = parser.next_predicted(series);
        let predicted = predicted.map(|(v, at)| (v.to_bits(), at));
        let found = predicted.or_else(|| {
            loop {
                match parser.next() {
                    Ok(Some(Entry::Sample(s))) => {
                        break Some((s.value.to_bits(), s.timestamp_ms));
                    }
                    Ok(Some(_)) => {}
                    _ => break None,
                }
            }
        });
        assert_eq!(found, Some(value));
    }
});
