//! `storage`.

use gocompat::strconv::quote;

use super::read;
use crate::decoder::Decoder;
use crate::types::{RetentionConfig, StorageConfig, TsdbConfig};
use crate::yaml::Node;

pub(super) fn decode(decoder: &mut Decoder, node: &Node) -> StorageConfig {
    let mut storage = StorageConfig::default();
    let Some(fields) = decoder.fields(node, "config.StorageConfig") else {
        return storage;
    };
    if let Some(node) = fields.section("tsdb") {
        storage.tsdb = tsdb(decoder, node);
    }
    if let Some(node) = fields.section("exemplars")
        && let Some(fields) = decoder.fields(node, "config.ExemplarsConfig")
    {
        let mut max_exemplars = 0;
        read(
            decoder,
            &fields,
            "max_exemplars",
            &mut max_exemplars,
            |decoder, node| decoder.int(node, "int64"),
        );
        storage.max_exemplars = Some(max_exemplars);
        fields.finish(decoder);
    }
    fields.finish(decoder);
    storage
}

fn tsdb(decoder: &mut Decoder, node: &Node) -> TsdbConfig {
    let mut tsdb = TsdbConfig::default();
    let Some(fields) = decoder.fields(node, "config.plain") else {
        return tsdb;
    };
    let window_ms = &mut tsdb.out_of_order_time_window_ms;
    read(
        decoder,
        &fields,
        "out_of_order_time_window",
        window_ms,
        Decoder::duration_ms,
    );
    // Upstream writes the window twice when it shows its configuration; what was shown loads again.
    read(
        decoder,
        &fields,
        "outofordertimewindow",
        &mut 0,
        |decoder, node| decoder.int(node, "int64"),
    );
    let threshold = &mut tsdb.stale_series_compaction_threshold;
    read(
        decoder,
        &fields,
        "stale_series_compaction_threshold",
        threshold,
        Decoder::float,
    );
    if let Some(node) = fields.section("chunk_encoding")
        && let Some(fields) = decoder.fields(node, "config.ChunkEncodingConfig")
    {
        read(
            decoder,
            &fields,
            "floats",
            &mut tsdb.float_chunk_encoding,
            float_encoding,
        );
        fields.finish(decoder);
    }
    if let Some(node) = fields.section("retention") {
        tsdb.retention = Some(retention(decoder, node));
    }
    fields.finish(decoder);
    tsdb
}

fn float_encoding(decoder: &mut Decoder, node: &Node) -> Option<String> {
    let name = decoder.string(node)?;
    if matches!(name.as_str(), "" | "xor" | "xor2") {
        return Some(name);
    }
    let text = format!(
        "'storage.tsdb.chunk_encoding.floats' must be 'xor' or 'xor2', or the field must be \
         omitted entirely, got {}",
        quote(&name)
    );
    decoder.refuse(node, text);
    None
}

fn retention(decoder: &mut Decoder, node: &Node) -> RetentionConfig {
    let mut retention = RetentionConfig::default();
    let Some(fields) = decoder.fields(node, "config.plain") else {
        return retention;
    };
    read(
        decoder,
        &fields,
        "time",
        &mut retention.time_ms,
        Decoder::duration_ms,
    );
    read(
        decoder,
        &fields,
        "size",
        &mut retention.size_bytes,
        |decoder, node| decoder.size_bytes(node, "storage.tsdb.retention.size"),
    );
    read(
        decoder,
        &fields,
        "percentage",
        &mut retention.percentage,
        |decoder, node| {
            let percentage = decoder.float(node)?;
            if (0.0..=100.0).contains(&percentage) {
                return Some(percentage);
            }
            let text = format!(
                "'storage.tsdb.retention.percentage' must be in the range [0, 100], got {percentage}"
            );
            decoder.refuse(node, text);
            None
        },
    );
    fields.finish(decoder);
    retention
}
