//! Chunks of every encoding, as Prometheus wrote and reads them: `compat/README.md`.

use model::histogram::CounterResetHint;

use super::*;
use crate::Value;

const CHUNKS: &str = include_str!("../../compat/chunks.txt");

fn bytes_of(hex: &str) -> Vec<u8> {
    let digits = hex.as_bytes().chunks(2);
    digits
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}

/// A sample in the form of the file.
fn line(sample: &Sample) -> String {
    let (at, start) = (sample.timestamp_ms, sample.start_timestamp_ms);
    let h = match &sample.value {
        Value::Float(value) => return format!("{at} {start} f {:x}", value.to_bits()),
        Value::Histogram(histogram) => (**histogram).clone(),
        Value::IntegerHistogram(histogram) => histogram.to_float(),
    };
    let hint = match h.counter_reset_hint {
        CounterResetHint::Unknown => 0,
        CounterResetHint::Reset => 1,
        CounterResetHint::NotReset => 2,
        CounterResetHint::Gauge => 3,
    };
    let bits = |value: f64| format!("{:x}", value.to_bits());
    let floats = |values: &[f64]| {
        let values: Vec<String> = values.iter().map(|value| bits(*value)).collect();
        format!("[{}]", values.join(","))
    };
    let spans = |spans: &[model::histogram::Span]| {
        let spans: Vec<String> = spans
            .iter()
            .map(|s| format!("{}:{}", s.offset, s.length))
            .collect();
        format!("[{}]", spans.join(","))
    };
    [
        format!("{at} {start} h {hint} {}", h.schema),
        bits(h.zero_threshold),
        bits(h.zero_count),
        bits(h.count),
        bits(h.sum),
        spans(&h.positive_spans),
        spans(&h.negative_spans),
        floats(&h.positive_buckets),
        floats(&h.negative_buckets),
        floats(&h.custom_values),
    ]
    .join(" ")
}

/// Encoding, data and expected samples of every chunk in the file.
fn chunks() -> Vec<(Encoding, Vec<u8>, Vec<&'static str>)> {
    let mut chunks = Vec::new();
    for text in CHUNKS.lines() {
        if let Some(chunk) = text.strip_prefix("chunk ") {
            let (encoding, hex) = chunk.split_once(' ').unwrap();
            let encoding = Encoding::of(encoding.parse().unwrap()).unwrap();
            chunks.push((encoding, bytes_of(hex), Vec::new()));
        } else {
            chunks.last_mut().unwrap().2.push(text);
        }
    }
    chunks
}

#[test]
fn all_encodings_are_read_as_prometheus_reads_them() {
    let mut seen = [0; 7];
    for (encoding, data, expected) in chunks() {
        seen[encoding as usize] += 1;
        let read: Vec<String> = read(encoding, &data, 0)
            .unwrap()
            .map(|sample| line(&sample.unwrap()))
            .collect();
        assert_eq!(read, expected, "{encoding:?}");
    }
    assert!(seen[1..].iter().all(|count| *count > 1), "{seen:?}");
}

/// Chunks are behind checksums, but a decoder must stand whatever they let through.
#[test]
fn no_damage_brings_a_decoder_down() {
    for (encoding, data, expected) in chunks() {
        for length in 0..data.len() {
            let samples = read(encoding, &data[..length], 0);
            let is_whole = samples.is_ok_and(|samples| samples.flatten().count() == expected.len());
            assert!(!is_whole, "{encoding:?} cut to {length}");
        }
        for bit in 0..data.len() * 8 {
            let mut bad = data.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            let count = read(encoding, &bad, 0).map(|samples| samples.take(1 << 16).count());
            assert!(count.is_ok());
        }
    }
}
