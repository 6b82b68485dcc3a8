//! `scrape_configs`: own keys first, then what `global` says.

use std::collections::HashMap;
use std::path::Path;

use gocompat::strconv::quote;
use model::NameScheme;

use super::relabeling::{self, RawRule};
use super::{
    escaping_scheme, global, name_scheme, read, read_given, scrape_protocols, targets,
    unknown_protocol,
};
use crate::decoder::{Decoder, Fields};
use crate::paths;
use crate::types::{EscapingScheme, GlobalConfig, ScrapeConfig, ScrapeLimits, ScrapeProtocol};
use crate::yaml::Node;

const TYPE_NAME: &str = "config.ScrapeConfig";

/// Keys of the HTTP client that are not supported yet.
const HTTP_UNSUPPORTED: [&str; 10] = [
    "authorization",
    "basic_auth",
    "bearer_token",
    "bearer_token_file",
    "http_headers",
    "no_proxy",
    "oauth2",
    "proxy_connect_header",
    "proxy_url",
    "tls_config",
];

/// Discoveries that are not supported yet.
const DISCOVERY_UNSUPPORTED: [&str; 35] = [
    "aws_sd_configs",
    "azure_sd_configs",
    "consul_sd_configs",
    "digitalocean_sd_configs",
    "dns_sd_configs",
    "docker_sd_configs",
    "dockerswarm_sd_configs",
    "ec2_sd_configs",
    "ecs_sd_configs",
    "elasticache_sd_configs",
    "eureka_sd_configs",
    "gce_sd_configs",
    "hetzner_sd_configs",
    "http_sd_configs",
    "ionos_sd_configs",
    "kubernetes_sd_configs",
    "kuma_sd_configs",
    "lightsail_sd_configs",
    "linode_sd_configs",
    "marathon_sd_configs",
    "msk_sd_configs",
    "nerve_sd_configs",
    "nomad_sd_configs",
    "oci_sd_configs",
    "openstack_sd_configs",
    "outscale_sd_configs",
    "ovhcloud_sd_configs",
    "puppetdb_sd_configs",
    "rds_sd_configs",
    "scaleway_sd_configs",
    "serverset_sd_configs",
    "stackit_sd_configs",
    "triton_sd_configs",
    "uyuni_sd_configs",
    "vultr_sd_configs",
];

/// Which jobs there are, and where each was first seen.
pub(crate) type Jobs = HashMap<String, String>;

/// The file that an entry stands in.
pub(crate) struct Home<'p> {
    /// Relative paths are relative to it.
    pub(crate) folder: &'p Path,
    /// How texts name the file; `None` for the main one.
    pub(crate) included_as: Option<String>,
}

/// One entry with its own keys read and nothing inherited.
#[derive(Debug)]
pub(crate) struct RawScrape<'n> {
    node: &'n Node,
    /// Where the job's name stands.
    name_node: &'n Node,
    timeout_node: &'n Node,
    config: ScrapeConfig,
    protocols: Option<Vec<ScrapeProtocol>>,
    native_histograms: Option<bool>,
    always_classic: Option<bool>,
    classic_to_nhcb: Option<bool>,
    extra_metrics: Option<bool>,
    name_scheme: Option<NameScheme>,
    escaping_scheme: Option<EscapingScheme>,
    relabel: Vec<RawRule<'n>>,
    metric_relabel: Vec<RawRule<'n>>,
}

/// Decodes the root of a file that `scrape_config_files` names.
pub(crate) fn included_scrape_configs<'n>(
    decoder: &mut Decoder,
    root: Option<&'n Node>,
) -> Vec<RawScrape<'n>> {
    let Some(root) = root.filter(|root| !root.is_null()) else {
        return Vec::new();
    };
    let Some(fields) = decoder.fields(root, "config.ScrapeConfigs") else {
        return Vec::new();
    };
    let list = fields.take("scrape_configs");
    let scrapes = list.map(|node| decode_list(decoder, node));
    fields.finish(decoder);
    scrapes.unwrap_or_default()
}

/// Decodes the list.
pub(super) fn decode_list<'n>(decoder: &mut Decoder, node: &'n Node) -> Vec<RawScrape<'n>> {
    let items = decoder
        .items(node, "[]*config.ScrapeConfig")
        .unwrap_or_default();
    let mut scrapes = Vec::with_capacity(items.len());
    for (index, item) in items.iter().enumerate() {
        if item.is_null() {
            decoder.refuse(item, "empty or null scrape config section".to_owned());
        } else {
            scrapes.extend(decode(decoder, item, index));
        }
    }
    scrapes
}

fn decode<'n>(decoder: &mut Decoder, node: &'n Node, index: usize) -> Option<RawScrape<'n>> {
    let fields = decoder.fields(node, TYPE_NAME)?;
    let name_node = fields.take("job_name").unwrap_or(node);
    let mut raw = RawScrape {
        node,
        name_node,
        timeout_node: fields.take("scrape_timeout").unwrap_or(node),
        config: ScrapeConfig {
            // Not given: what `global` says.
            scrape_interval_ms: 0,
            scrape_timeout_ms: 0,
            ..ScrapeConfig::default()
        },
        protocols: None,
        native_histograms: None,
        always_classic: None,
        classic_to_nhcb: None,
        extra_metrics: None,
        name_scheme: name_scheme(decoder, &fields),
        escaping_scheme: escaping_scheme(decoder, &fields, "scrape config"),
        relabel: Vec::new(),
        metric_relabel: Vec::new(),
    };
    read_plain_keys(decoder, &fields, &mut raw.config);
    if raw.config.job_name.is_empty() {
        decoder.refuse(name_node, "job_name is empty".to_owned());
    }
    read_inheriting_keys(decoder, &fields, &mut raw);
    read_targets(decoder, &fields, &mut raw);
    refuse_unsupported(decoder, &fields, index);
    fields.finish(decoder);
    Some(raw)
}

fn read_plain_keys(decoder: &mut Decoder, fields: &Fields<'_>, config: &mut ScrapeConfig) {
    for (name, into) in [
        ("job_name", &mut config.job_name),
        ("metrics_path", &mut config.metrics_path),
        ("scheme", &mut config.scheme),
        (
            "scrape_failure_log_file",
            &mut config.scrape_failure_log_file,
        ),
    ] {
        read(decoder, fields, name, into, Decoder::string);
    }
    for (name, into) in [
        ("honor_labels", &mut config.honor_labels),
        ("honor_timestamps", &mut config.honor_timestamps),
        (
            "track_timestamps_staleness",
            &mut config.track_timestamps_staleness,
        ),
        ("enable_compression", &mut config.enable_compression),
        ("follow_redirects", &mut config.http.follow_redirects),
        ("enable_http2", &mut config.http.enable_http2),
    ] {
        read(decoder, fields, name, into, Decoder::boolean);
    }
    for (name, into) in [
        ("scrape_interval", &mut config.scrape_interval_ms),
        ("scrape_timeout", &mut config.scrape_timeout_ms),
    ] {
        read(decoder, fields, name, into, Decoder::duration_ms);
    }
    global::limits(decoder, fields, &mut config.limits);
    let buckets = &mut config.native_histogram_bucket_limit;
    read(
        decoder,
        fields,
        "native_histogram_bucket_limit",
        buckets,
        |decoder, node| decoder.uint(node, "uint"),
    );
    let factor = &mut config.native_histogram_min_bucket_factor;
    read(
        decoder,
        fields,
        "native_histogram_min_bucket_factor",
        factor,
        Decoder::float,
    );
    read(decoder, fields, "params", &mut config.params, params);
}

/// Query parameters, sorted by name; each has a list of values.
fn params(decoder: &mut Decoder, node: &Node) -> Option<Vec<(String, Vec<String>)>> {
    if node.is_null() {
        return Some(Vec::new());
    }
    let mut params = Vec::new();
    for (name, value) in decoder.entries(node, "url.Values")? {
        if let Some(values) = decoder.strings(value, "string") {
            params.push((name, values));
        }
    }
    params.sort();
    Some(params)
}

fn read_inheriting_keys(decoder: &mut Decoder, fields: &Fields<'_>, raw: &mut RawScrape<'_>) {
    for (name, into) in [
        ("scrape_native_histograms", &mut raw.native_histograms),
        ("always_scrape_classic_histograms", &mut raw.always_classic),
        (
            "convert_classic_histograms_to_nhcb",
            &mut raw.classic_to_nhcb,
        ),
        ("extra_scrape_metrics", &mut raw.extra_metrics),
    ] {
        read_given(decoder, fields, name, into, Decoder::boolean);
    }
    let owner = owner(&raw.config.job_name);
    read_given(
        decoder,
        fields,
        "scrape_protocols",
        &mut raw.protocols,
        |decoder, node| scrape_protocols(decoder, node, &owner),
    );
    let fallback = &mut raw.config.fallback_scrape_protocol;
    read(
        decoder,
        fields,
        "fallback_scrape_protocol",
        fallback,
        |decoder, node| {
            let name = decoder.text(node, "config.ScrapeProtocol")?;
            let protocol = ScrapeProtocol::from_name(&name);
            if protocol.is_none() && !name.is_empty() {
                let unknown = unknown_protocol(&name);
                let text = format!("invalid fallback_scrape_protocol for {owner}: {unknown}");
                decoder.refuse(node, text);
            }
            Some(protocol)
        },
    );
}

fn owner(job_name: &str) -> String {
    format!("scrape config with job name {}", quote(job_name))
}

fn read_targets<'n>(decoder: &mut Decoder, fields: &Fields<'n>, raw: &mut RawScrape<'n>) {
    read(
        decoder,
        fields,
        "relabel_configs",
        &mut raw.relabel,
        |decoder, node| relabeling::decode_list(decoder, node, "target"),
    );
    read(
        decoder,
        fields,
        "metric_relabel_configs",
        &mut raw.metric_relabel,
        |decoder, node| relabeling::decode_list(decoder, node, "metric"),
    );
    let is_relabeled = !raw.relabel.is_empty();
    read(
        decoder,
        fields,
        "static_configs",
        &mut raw.config.static_configs,
        |decoder, node| targets::static_configs(decoder, node, is_relabeled),
    );
    let file_sd_configs = &mut raw.config.file_sd_configs;
    read(
        decoder,
        fields,
        "file_sd_configs",
        file_sd_configs,
        targets::file_sd_configs,
    );
}

fn refuse_unsupported(decoder: &mut Decoder, fields: &Fields<'_>, index: usize) {
    let path = format!("scrape_configs[{index}].");
    fields.refuse_unsupported(decoder, &path, &HTTP_UNSUPPORTED);
    fields.refuse_unsupported(decoder, &path, &DISCOVERY_UNSUPPORTED);
    // TLS is missing, not the key.
    if let Some(node) = fields.take("scheme")
        && decoder.string(node).as_deref() == Some("https")
    {
        decoder.refuse_unsupported(node, &format!("{path}scheme https"));
    }
    // The one key of these whose usual "nothing" is a value.
    let mut from_environment = false;
    let key = "proxy_from_environment";
    read(
        decoder,
        fields,
        key,
        &mut from_environment,
        Decoder::boolean,
    );
    if from_environment {
        fields.refuse_unsupported(decoder, &path, &[key]);
    }
}

impl RawScrape<'_> {
    /// Fills in what is inherited and checks what only makes sense together.
    pub(crate) fn resolve(
        mut self,
        decoder: &mut Decoder,
        global: &GlobalConfig,
        jobs: &mut Jobs,
        home: &Home<'_>,
    ) -> ScrapeConfig {
        self.note_job(decoder, jobs, home);
        self.join_paths(home.folder);
        self.inherit_intervals(decoder, global);
        self.inherit_names(decoder, global);
        let native = self
            .native_histograms
            .unwrap_or(global.scrape_native_histograms);
        let mut config = self.config;
        config.limits = inherited_limits(config.limits, &global.limits);
        if config.scrape_failure_log_file.is_empty() {
            config
                .scrape_failure_log_file
                .clone_from(&global.scrape_failure_log_file);
        }
        config.scrape_native_histograms = native;
        config.extra_scrape_metrics = self.extra_metrics.unwrap_or(global.extra_scrape_metrics);
        config.convert_classic_histograms_to_nhcb = self
            .classic_to_nhcb
            .unwrap_or(global.convert_classic_histograms_to_nhcb);
        config.always_scrape_classic_histograms = self
            .always_classic
            .unwrap_or(global.always_scrape_classic_histograms);
        config.scrape_protocols = self
            .protocols
            .or_else(|| global.scrape_protocols.clone())
            .unwrap_or_else(|| default_protocols(native));
        let scheme = config.name_scheme;
        let mut checked = |rules: Vec<RawRule<'_>>| {
            let rules = rules.into_iter();
            rules
                .filter_map(|rule| rule.resolve(decoder, scheme))
                .collect()
        };
        config.relabel_configs = checked(self.relabel);
        config.metric_relabel_configs = checked(self.metric_relabel);
        config
    }

    fn note_job(&self, decoder: &mut Decoder, jobs: &mut Jobs, home: &Home<'_>) {
        let name = &self.config.job_name;
        if name.is_empty() {
            return;
        }
        let Some(first) = jobs.get(name) else {
            let place = home.included_as.as_deref().unwrap_or("main config file");
            jobs.insert(name.clone(), place.to_owned());
            return;
        };
        let mut text = format!(
            "found multiple scrape configs with job name {}",
            quote(name)
        );
        if home.included_as.is_some() {
            text.push_str(&format!(", first found in {first}"));
        }
        decoder.refuse(self.name_node, text);
    }

    /// Before anything is inherited: what `global` names is joined with another folder.
    fn join_paths(&mut self, folder: &Path) {
        let log = &mut self.config.scrape_failure_log_file;
        *log = paths::join(folder, log);
        for config in &mut self.config.file_sd_configs {
            for file in &mut config.files {
                *file = paths::join(folder, file);
            }
        }
    }

    fn inherit_intervals(&mut self, decoder: &mut Decoder, global: &GlobalConfig) {
        let config = &mut self.config;
        if config.scrape_interval_ms == 0 {
            config.scrape_interval_ms = global.scrape_interval_ms;
        }
        if config.scrape_timeout_ms > config.scrape_interval_ms {
            let owner = owner(&config.job_name);
            let text = format!("scrape timeout greater than scrape interval for {owner}");
            decoder.refuse(self.timeout_node, text);
        }
        if config.scrape_timeout_ms == 0 {
            config.scrape_timeout_ms = global.scrape_timeout_ms.min(config.scrape_interval_ms);
        }
    }

    /// An entry that names its own validation scheme does not inherit an escaping scheme that may
    /// contradict it; what fits its own is taken then.
    fn inherit_names(&mut self, decoder: &mut Decoder, global: &GlobalConfig) {
        let scheme = self.name_scheme.unwrap_or(global.name_scheme);
        let fitting = match scheme {
            NameScheme::Legacy => EscapingScheme::Underscores,
            NameScheme::Utf8 => EscapingScheme::AllowUtf8,
        };
        let inherited = match self.name_scheme {
            None => global.escaping_scheme.unwrap_or(fitting),
            Some(_) => fitting,
        };
        let escaping = self.escaping_scheme.unwrap_or(inherited);
        if escaping == EscapingScheme::AllowUtf8 && scheme == NameScheme::Legacy {
            let text = "utf8 metric names requested but validation scheme is not set to UTF8";
            decoder.refuse(self.node, text.to_owned());
        }
        self.config.name_scheme = scheme;
        self.config.escaping_scheme = escaping;
    }
}

/// A limit of 0 is the global one, so that no job can lift a global limit.
fn inherited_limits(own: ScrapeLimits, global: &ScrapeLimits) -> ScrapeLimits {
    let or = |own: u64, global: u64| if own == 0 { global } else { own };
    ScrapeLimits {
        body_size_limit: or(own.body_size_limit, global.body_size_limit),
        sample_limit: or(own.sample_limit, global.sample_limit),
        target_limit: or(own.target_limit, global.target_limit),
        label_limit: or(own.label_limit, global.label_limit),
        label_name_length_limit: or(own.label_name_length_limit, global.label_name_length_limit),
        label_value_length_limit: or(
            own.label_value_length_limit,
            global.label_value_length_limit,
        ),
        keep_dropped_targets: or(own.keep_dropped_targets, global.keep_dropped_targets),
    }
}

/// Native histograms travel only in protobuf, so that it goes first where they are wanted.
fn default_protocols(native_histograms: bool) -> Vec<ScrapeProtocol> {
    let first = native_histograms.then_some(ScrapeProtocol::PrometheusProto);
    first.into_iter().chain(ScrapeProtocol::DEFAULT).collect()
}
