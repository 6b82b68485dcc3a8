//! Where targets are named: `static_configs`, `file_sd_configs`, and the files of the latter.

use gocompat::strconv::quote;
use model::{Labels, NameScheme};

use super::read;
use crate::decoder::Decoder;
use crate::types::{FileSdConfig, TargetGroup};
use crate::yaml::Node;

/// Go's name for a target group while it is decoded, as upstream's texts show it.
const GROUP_TYPE: &str = "struct { Targets []string \"yaml:\\\"targets\\\"\"; \
                          Labels model.LabelSet \"yaml:\\\"labels\\\"\" }";

const REFRESH_INTERVAL_DEFAULT_MS: i64 = 5 * 60 * 1000;

/// Decodes `static_configs`. The sources are the positions. `is_relabeled` says that rules may
/// still make a host name of what is none.
pub(super) fn static_configs(
    decoder: &mut Decoder,
    node: &Node,
    is_relabeled: bool,
) -> Option<Vec<TargetGroup>> {
    let items = decoder.items(node, "[]*targetgroup.Group")?;
    let mut groups = Vec::with_capacity(items.len());
    for item in items {
        if item.is_null() {
            decoder.refuse(item, "empty or null section in static_configs".to_owned());
        } else if let Some(mut group) = group(decoder, item, !is_relabeled) {
            group.source = groups.len().to_string();
            groups.push(group);
        }
    }
    Some(groups)
}

/// Decodes a file of target groups. Sources are left empty.
pub(crate) fn target_groups(decoder: &mut Decoder, root: Option<&Node>) -> Vec<TargetGroup> {
    let Some(root) = root else {
        return Vec::new();
    };
    let items = decoder
        .items(root, "[]*targetgroup.Group")
        .unwrap_or_default();
    let mut groups = Vec::with_capacity(items.len());
    for item in items {
        if item.is_null() {
            decoder.refuse(item, "nil target group item found".to_owned());
        } else {
            groups.extend(group(decoder, item, false));
        }
    }
    groups
}

fn group(decoder: &mut Decoder, node: &Node, check_hosts: bool) -> Option<TargetGroup> {
    let fields = decoder.fields(node, GROUP_TYPE)?;
    let mut targets = Vec::new();
    if let Some(node) = fields.take("targets") {
        for item in decoder.items(node, "[]string").unwrap_or_default() {
            let Some(target) = decoder.string(item) else {
                continue;
            };
            if check_hosts && target.contains('/') {
                decoder.refuse(item, format!("{} is not a valid hostname", quote(&target)));
            }
            targets.push(target);
        }
    }
    let mut labels = Labels::empty();
    read(decoder, &fields, "labels", &mut labels, |decoder, node| {
        decoder.labels(node, "model.LabelSet", NameScheme::Utf8)
    });
    fields.finish(decoder);
    Some(TargetGroup {
        targets,
        labels,
        source: String::new(),
    })
}

/// Decodes `file_sd_configs`.
pub(super) fn file_sd_configs(decoder: &mut Decoder, node: &Node) -> Option<Vec<FileSdConfig>> {
    let items = decoder.items(node, "[]*file.SDConfig")?;
    let mut configs = Vec::with_capacity(items.len());
    for item in items {
        if item.is_null() {
            decoder.refuse(item, "empty or null section in file_sd_configs".to_owned());
        } else {
            configs.extend(file_sd_config(decoder, item));
        }
    }
    Some(configs)
}

fn file_sd_config(decoder: &mut Decoder, node: &Node) -> Option<FileSdConfig> {
    let fields = decoder.fields(node, "file.plain")?;
    let mut files = Vec::new();
    match fields.take("files") {
        Some(node) => {
            for item in decoder.items(node, "[]string")? {
                let Some(file) = decoder.string(item) else {
                    continue;
                };
                if !is_file_sd_name(&file) {
                    let text =
                        format!("path name {} is not valid for file discovery", quote(&file));
                    decoder.refuse(item, text);
                }
                files.push(file);
            }
            if files.is_empty() {
                refuse_no_files(decoder, node);
            }
        }
        None => refuse_no_files(decoder, node),
    }
    let mut refresh_interval_ms = REFRESH_INTERVAL_DEFAULT_MS;
    if let Some(node) = fields.take("refresh_interval") {
        match decoder.duration_ms(node) {
            // Upstream ends with a panic; there is no such thing as a refresh all the time.
            Some(0) => decoder.refuse(node, "refresh_interval must be greater than 0".to_owned()),
            Some(interval_ms) => refresh_interval_ms = interval_ms,
            None => {}
        }
    }
    fields.finish(decoder);
    Some(FileSdConfig {
        files,
        refresh_interval_ms,
    })
}

fn refuse_no_files(decoder: &mut Decoder, node: &Node) {
    let text = "file service discovery config must contain at least one path name";
    decoder.refuse(node, text.to_owned());
}

/// `*` only in the last segment, and an ending that says the format.
fn is_file_sd_name(path: &str) -> bool {
    const ENDINGS: [&str; 6] = [".json", ".yml", ".yaml", ".JSON", ".YML", ".YAML"];
    let Some(stem) = ENDINGS.iter().find_map(|ending| path.strip_suffix(ending)) else {
        return false;
    };
    stem.split_once('*')
        .is_none_or(|(_, rest)| !rest.contains('/'))
}
