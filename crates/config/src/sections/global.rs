//! `global`.

use model::NameScheme;

use super::{escaping_scheme, name_scheme, read, read_given, scrape_protocols};
use crate::decoder::{Decoder, Fields};
use crate::types::{GlobalConfig, ScrapeLimits};
use crate::yaml::Node;

/// Decodes the section; what it does not say, or says as 0, has the default.
pub(super) fn decode(decoder: &mut Decoder, node: &Node) -> GlobalConfig {
    let default = GlobalConfig::default();
    let Some(fields) = decoder.fields(node, "config.plain") else {
        return default;
    };
    let name_scheme = name_scheme(decoder, &fields).unwrap_or(NameScheme::Utf8);
    let mut global = GlobalConfig {
        name_scheme,
        // A section that is there says for itself what follows from its name scheme.
        escaping_scheme: escaping_scheme(decoder, &fields, "global"),
        ..default
    };
    intervals(decoder, &fields, &mut global);
    limits(decoder, &fields, &mut global.limits);
    for (name, into) in [
        ("query_log_file", &mut global.query_log_file),
        (
            "scrape_failure_log_file",
            &mut global.scrape_failure_log_file,
        ),
    ] {
        read(decoder, &fields, name, into, Decoder::string);
    }
    read(
        decoder,
        &fields,
        "external_labels",
        &mut global.external_labels,
        |decoder, node| decoder.labels(node, "map[string]string", name_scheme),
    );
    read_given(
        decoder,
        &fields,
        "scrape_protocols",
        &mut global.scrape_protocols,
        |decoder, node| scrape_protocols(decoder, node, "global config"),
    );
    for (name, into) in [
        (
            "scrape_native_histograms",
            &mut global.scrape_native_histograms,
        ),
        (
            "convert_classic_histograms_to_nhcb",
            &mut global.convert_classic_histograms_to_nhcb,
        ),
        (
            "always_scrape_classic_histograms",
            &mut global.always_scrape_classic_histograms,
        ),
        ("extra_scrape_metrics", &mut global.extra_scrape_metrics),
    ] {
        read(decoder, &fields, name, into, Decoder::boolean);
    }
    fields.finish(decoder);
    global
}

/// A timeout that is not given is the default or the interval, whichever is shorter.
fn intervals(decoder: &mut Decoder, fields: &Fields<'_>, global: &mut GlobalConfig) {
    let mut given = [0; 4];
    for (name, into) in [
        "scrape_interval",
        "scrape_timeout",
        "evaluation_interval",
        "rule_query_offset",
    ]
    .into_iter()
    .zip(&mut given)
    {
        read(decoder, fields, name, into, Decoder::duration_ms);
    }
    let [interval_ms, timeout_ms, evaluation_ms, offset_ms] = given;
    if interval_ms != 0 {
        global.scrape_interval_ms = interval_ms;
    }
    if evaluation_ms != 0 {
        global.evaluation_interval_ms = evaluation_ms;
    }
    global.rule_query_offset_ms = offset_ms;
    if timeout_ms > global.scrape_interval_ms {
        let node = fields.take("scrape_timeout").unwrap_or(fields.node);
        let text = "global scrape timeout greater than scrape interval";
        decoder.refuse(node, text.to_owned());
    }
    global.scrape_timeout_ms = match timeout_ms {
        0 => global.scrape_timeout_ms.min(global.scrape_interval_ms),
        given => given,
    };
}

/// The limits, which have the same keys in every scrape configuration.
pub(super) fn limits(decoder: &mut Decoder, fields: &Fields<'_>, limits: &mut ScrapeLimits) {
    let body = &mut limits.body_size_limit;
    read(decoder, fields, "body_size_limit", body, |decoder, node| {
        decoder.size_bytes(node, "body_size_limit")
    });
    for (name, into) in [
        ("sample_limit", &mut limits.sample_limit),
        ("target_limit", &mut limits.target_limit),
        ("label_limit", &mut limits.label_limit),
        (
            "label_name_length_limit",
            &mut limits.label_name_length_limit,
        ),
        (
            "label_value_length_limit",
            &mut limits.label_value_length_limit,
        ),
        ("keep_dropped_targets", &mut limits.keep_dropped_targets),
    ] {
        read(decoder, fields, name, into, |decoder, node| {
            decoder.uint(node, "uint")
        });
    }
}
