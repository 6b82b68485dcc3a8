//! The sections of the file: which keys there are, what they decode to, what they inherit.
//!
//! A section decodes in two steps, as upstream's do: first its own keys, then, once `global` is
//! known, what it inherits and what only makes sense together.

mod global;
mod relabeling;
mod scrape;
mod storage;
mod targets;

pub(crate) use scrape::{Home, Jobs, RawScrape, included_scrape_configs};
pub(crate) use targets::target_groups;

use gocompat::strconv::quote;
use model::NameScheme;

use crate::decoder::{Decoder, Fields};
use crate::types::{Config, EscapingScheme, RuntimeConfig, ScrapeProtocol};
use crate::yaml::Node;

/// Decodes the whole document. The scrape configurations come apart, each with its place, because
/// those of other files may join them.
pub(crate) fn config<'n>(
    decoder: &mut Decoder,
    root: Option<&'n Node>,
) -> (Config, Vec<RawScrape<'n>>) {
    let mut config = Config::default();
    let mut scrapes = Vec::new();
    let Some(root) = root.filter(|root| !root.is_null()) else {
        return (config, scrapes);
    };
    let Some(fields) = decoder.fields(root, "config.plain") else {
        return (config, scrapes);
    };
    if let Some(node) = fields.section("global") {
        config.global = global::decode(decoder, node);
    }
    if let Some(node) = fields.section("runtime") {
        config.runtime = runtime(decoder, node);
    }
    if let Some(node) = fields.section("storage") {
        config.storage = storage::decode(decoder, node);
    }
    if let Some(node) = fields.take("scrape_config_files") {
        config.scrape_config_files = path_globs(decoder, node, "scrape config");
    }
    if let Some(node) = fields.take("scrape_configs") {
        scrapes = scrape::decode_list(decoder, node);
    }
    let mut unsupported = vec!["alerting", "remote_write", "remote_read", "otlp", "tracing"];
    if let Some(node) = fields.take("rule_files") {
        path_globs(decoder, node, "rule");
        unsupported.push("rule_files");
    }
    fields.refuse_unsupported(decoder, "", &unsupported);
    fields.finish(decoder);
    (config, scrapes)
}

fn runtime(decoder: &mut Decoder, node: &Node) -> RuntimeConfig {
    let mut config = RuntimeConfig::default();
    let Some(fields) = decoder.fields(node, "config.RuntimeConfig") else {
        return config;
    };
    let gogc = fields
        .take("gogc")
        .and_then(|node| decoder.int(node, "int"));
    if let Some(gogc) = gogc.filter(|&gogc| gogc != 0) {
        config.gogc = gogc;
    }
    fields.finish(decoder);
    config
}

/// Globs with `*` only in the last segment.
fn path_globs(decoder: &mut Decoder, node: &Node, what: &str) -> Vec<String> {
    let Some(items) = decoder.items(node, "[]string") else {
        return Vec::new();
    };
    let mut globs = Vec::new();
    for item in items {
        let Some(glob) = decoder.string(item) else {
            continue;
        };
        if glob
            .split_once('*')
            .is_some_and(|(_, rest)| rest.contains('/'))
        {
            decoder.refuse(item, format!("invalid {what} file path {}", quote(&glob)));
        }
        globs.push(glob);
    }
    globs
}

/// Reads a key into a field with a reading function of the decoder, if the key is there.
fn read<'n, T>(
    decoder: &mut Decoder,
    fields: &Fields<'n>,
    name: &str,
    into: &mut T,
    decode: impl FnOnce(&mut Decoder, &'n Node) -> Option<T>,
) {
    if let Some(value) = fields.take(name).and_then(|node| decode(decoder, node)) {
        *into = value;
    }
}

/// As [`read`], for keys where null is as good as absent: what they inherit stays.
fn read_given<'n, T>(
    decoder: &mut Decoder,
    fields: &Fields<'n>,
    name: &str,
    into: &mut Option<T>,
    decode: impl FnOnce(&mut Decoder, &'n Node) -> Option<T>,
) {
    if let Some(value) = fields.section(name).and_then(|node| decode(decoder, node)) {
        *into = Some(value);
    }
}

/// `metric_name_validation_scheme`; an empty text is as good as absent.
fn name_scheme(decoder: &mut Decoder, fields: &Fields<'_>) -> Option<NameScheme> {
    let node = fields.section("metric_name_validation_scheme")?;
    match decoder.string(node)?.as_str() {
        "" => None,
        "utf8" => Some(NameScheme::Utf8),
        "legacy" => Some(NameScheme::Legacy),
        other => {
            let text = format!("unrecognized ValidationScheme: {}", quote(other));
            decoder.refuse(node, text);
            None
        }
    }
}

/// `metric_name_escaping_scheme`; an empty text is as good as absent. `of` is `global` or
/// `scrape config`.
fn escaping_scheme(decoder: &mut Decoder, fields: &Fields<'_>, of: &str) -> Option<EscapingScheme> {
    const ALL: [EscapingScheme; 4] = [
        EscapingScheme::AllowUtf8,
        EscapingScheme::Underscores,
        EscapingScheme::Dots,
        EscapingScheme::Values,
    ];
    let node = fields.section("metric_name_escaping_scheme")?;
    let name = decoder.string(node)?;
    if name.is_empty() {
        return None;
    }
    let known = ALL.into_iter().find(|scheme| scheme.as_str() == name);
    if known.is_none() {
        let text = format!(
            "unknown {of} name escaping method specified, must be one of 'allow-utf-8', \
             'underscores', 'dots', or 'values', got {}",
            quote(&name)
        );
        decoder.refuse(node, text);
    }
    known
}

/// A list of protocols, checked for what is unknown and what is there twice. `owner` ends the
/// texts: `for global config`.
fn scrape_protocols(
    decoder: &mut Decoder,
    node: &Node,
    owner: &str,
) -> Option<Vec<ScrapeProtocol>> {
    let names = decoder.strings(node, "config.ScrapeProtocol")?;
    if names.is_empty() {
        decoder.refuse(
            node,
            format!("scrape_protocols cannot be empty for {owner}"),
        );
        return None;
    }
    let mut protocols = Vec::with_capacity(names.len());
    for (index, name) in names.iter().enumerate() {
        let is_same = |other: &String| other.eq_ignore_ascii_case(name);
        let refusal = if names[..index].iter().any(is_same) {
            let names = names.join(" ");
            format!("duplicated protocol in scrape_protocols, got [{names}] for {owner}")
        } else if let Some(protocol) = ScrapeProtocol::from_name(name) {
            protocols.push(protocol);
            continue;
        } else {
            let unknown = unknown_protocol(name);
            format!("scrape_protocols: {unknown} for {owner}")
        };
        decoder.refuse(node, refusal);
        return None;
    }
    Some(protocols)
}

fn unknown_protocol(name: &str) -> String {
    let all = ScrapeProtocol::ALL.map(ScrapeProtocol::as_str).join(" ");
    format!("unknown scrape protocol {name}, supported: [{all}]")
}
