//! What a configuration says, resolved: every value is final, nothing is left to inherit.
//!
//! Plain data. Two configurations that mean the same are equal, so that a reload can tell what
//! changed. Durations are in milliseconds (`*_ms`), sizes in bytes; a limit of 0 is no limit.

use std::path::PathBuf;

use model::{Labels, NameScheme};
use relabel::Rule;

/// The whole configuration: the main file and the files that it includes.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Config {
    /// `global`
    pub global: GlobalConfig,
    /// `runtime`
    pub runtime: RuntimeConfig,
    /// `rule_files`: globs, joined with the file's folder. Empty until rules are supported.
    pub rule_files: Vec<String>,
    /// `scrape_config_files`: globs, joined with the file's folder.
    pub scrape_config_files: Vec<String>,
    /// `scrape_configs` of the main file, then those of the included files in order.
    pub scrape_configs: Vec<ScrapeConfig>,
    /// How many of [`Config::scrape_configs`] stand in the main file.
    pub main_scrape_configs: usize,
    /// `storage`
    pub storage: StorageConfig,
}

/// `global`: what scrape configurations inherit, and the server's own settings.
#[derive(Debug, Clone, PartialEq)]
pub struct GlobalConfig {
    /// How often targets are scraped.
    pub scrape_interval_ms: i64,
    /// How long a scrape may take.
    pub scrape_timeout_ms: i64,
    /// How often rules are evaluated.
    pub evaluation_interval_ms: i64,
    /// How far rules look into the past.
    pub rule_query_offset_ms: i64,
    /// File to which queries are logged; empty for none.
    pub query_log_file: String,
    /// File to which scrape failures are logged; empty for none.
    pub scrape_failure_log_file: String,
    /// Labels for everything that leaves this server.
    pub external_labels: Labels,
    /// Protocols to negotiate, if the configuration names them.
    pub scrape_protocols: Option<Vec<ScrapeProtocol>>,
    /// The limits that scrape configurations inherit.
    pub limits: ScrapeLimits,
    /// Which names are valid.
    pub name_scheme: NameScheme,
    /// How names are asked for, if the configuration says so.
    pub escaping_scheme: Option<EscapingScheme>,
    /// Whether native histograms are asked for.
    pub scrape_native_histograms: bool,
    /// Whether classic histograms become native ones.
    pub convert_classic_histograms_to_nhcb: bool,
    /// Whether classic histograms are kept beside native ones.
    pub always_scrape_classic_histograms: bool,
    /// Whether the additional report series are stored.
    pub extra_scrape_metrics: bool,
}

impl Default for GlobalConfig {
    fn default() -> GlobalConfig {
        GlobalConfig {
            scrape_interval_ms: 60_000,
            scrape_timeout_ms: 10_000,
            evaluation_interval_ms: 60_000,
            rule_query_offset_ms: 0,
            query_log_file: String::new(),
            scrape_failure_log_file: String::new(),
            external_labels: Labels::empty(),
            scrape_protocols: None,
            limits: ScrapeLimits::default(),
            name_scheme: NameScheme::Utf8,
            escaping_scheme: Some(EscapingScheme::AllowUtf8),
            scrape_native_histograms: false,
            convert_classic_histograms_to_nhcb: false,
            always_scrape_classic_histograms: false,
            extra_scrape_metrics: false,
        }
    }
}

/// Limits of one scrape or one pool; 0 is no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ScrapeLimits {
    /// Bytes of an uncompressed body.
    pub body_size_limit: u64,
    /// Samples after metric relabelling.
    pub sample_limit: u64,
    /// Targets after relabelling.
    pub target_limit: u64,
    /// Labels of a series.
    pub label_limit: u64,
    /// Bytes of a label's name.
    pub label_name_length_limit: u64,
    /// Bytes of a label's value.
    pub label_value_length_limit: u64,
    /// Dropped targets that are remembered for display.
    pub keep_dropped_targets: u64,
}

/// `runtime`: accepted for compatibility; this server has no garbage collector.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuntimeConfig {
    /// Go's GC percentage.
    pub gogc: i64,
}

impl Default for RuntimeConfig {
    fn default() -> RuntimeConfig {
        RuntimeConfig { gogc: 75 }
    }
}

/// One entry of `scrape_configs`.
#[derive(Debug, Clone, PartialEq)]
pub struct ScrapeConfig {
    /// The value of the label `job`, unique among all.
    pub job_name: String,
    /// Whether the labels that a target sends win over those that the server attaches.
    pub honor_labels: bool,
    /// Whether the timestamps that a target sends are used.
    pub honor_timestamps: bool,
    /// Whether series with timestamps of their own get staleness markers.
    pub track_timestamps_staleness: bool,
    /// Query parameters, sorted by name.
    pub params: Vec<(String, Vec<String>)>,
    /// How often targets are scraped.
    pub scrape_interval_ms: i64,
    /// How long a scrape may take; never more than the interval.
    pub scrape_timeout_ms: i64,
    /// Protocols to negotiate, most wanted first; never empty.
    pub scrape_protocols: Vec<ScrapeProtocol>,
    /// How to read an answer whose content type says nothing.
    pub fallback_scrape_protocol: Option<ScrapeProtocol>,
    /// Whether native histograms are asked for.
    pub scrape_native_histograms: bool,
    /// Whether classic histograms are kept beside native ones.
    pub always_scrape_classic_histograms: bool,
    /// Whether classic histograms become native ones.
    pub convert_classic_histograms_to_nhcb: bool,
    /// Buckets of a native histogram; 0 is no limit.
    pub native_histogram_bucket_limit: u64,
    /// The smallest growth of a native histogram's buckets; 0 is any.
    pub native_histogram_min_bucket_factor: f64,
    /// File to which scrape failures are logged; empty for none.
    pub scrape_failure_log_file: String,
    /// The path on the target.
    pub metrics_path: String,
    /// `http` or `https`, as written.
    pub scheme: String,
    /// Whether a gzip body is asked for.
    pub enable_compression: bool,
    /// The limits; those of `global` where this entry says 0.
    pub limits: ScrapeLimits,
    /// Which names are valid.
    pub name_scheme: NameScheme,
    /// How names are asked for.
    pub escaping_scheme: EscapingScheme,
    /// Whether the additional report series are stored.
    pub extra_scrape_metrics: bool,
    /// How to speak HTTP.
    pub http: HttpClientConfig,
    /// `static_configs`: the source is the position, from 0.
    pub static_configs: Vec<TargetGroup>,
    /// `file_sd_configs`
    pub file_sd_configs: Vec<FileSdConfig>,
    /// Rules for targets.
    pub relabel_configs: Vec<Rule>,
    /// Rules for scraped series.
    pub metric_relabel_configs: Vec<Rule>,
}

impl Default for ScrapeConfig {
    /// A valid entry with upstream's defaults, an empty job name and no targets.
    fn default() -> ScrapeConfig {
        ScrapeConfig {
            job_name: String::new(),
            honor_labels: false,
            honor_timestamps: true,
            track_timestamps_staleness: false,
            params: Vec::new(),
            scrape_interval_ms: 60_000,
            scrape_timeout_ms: 10_000,
            scrape_protocols: ScrapeProtocol::DEFAULT.to_vec(),
            fallback_scrape_protocol: None,
            scrape_native_histograms: false,
            always_scrape_classic_histograms: false,
            convert_classic_histograms_to_nhcb: false,
            native_histogram_bucket_limit: 0,
            native_histogram_min_bucket_factor: 0.0,
            scrape_failure_log_file: String::new(),
            metrics_path: "/metrics".to_owned(),
            scheme: "http".to_owned(),
            enable_compression: true,
            limits: ScrapeLimits::default(),
            name_scheme: NameScheme::Utf8,
            escaping_scheme: EscapingScheme::AllowUtf8,
            extra_scrape_metrics: false,
            http: HttpClientConfig::default(),
            static_configs: Vec::new(),
            file_sd_configs: Vec::new(),
            relabel_configs: Vec::new(),
            metric_relabel_configs: Vec::new(),
        }
    }
}

/// How the HTTP client behaves. Credentials, TLS and proxies are not supported yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpClientConfig {
    /// Whether redirects are followed.
    pub follow_redirects: bool,
    /// Accepted for compatibility; scrapes speak HTTP/1.1.
    pub enable_http2: bool,
}

impl Default for HttpClientConfig {
    fn default() -> HttpClientConfig {
        HttpClientConfig {
            follow_redirects: true,
            enable_http2: true,
        }
    }
}

/// Targets that share labels, from whatever named them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TargetGroup {
    /// Addresses, `host:port`.
    pub targets: Vec<String>,
    /// Labels of every target.
    pub labels: Labels,
    /// What tells this group from the others of the same discovery; a new group with the same
    /// source replaces the old one.
    pub source: String,
}

/// One entry of `file_sd_configs`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileSdConfig {
    /// Globs, joined with the file's folder; `*` only in the last segment.
    pub files: Vec<String>,
    /// How often the files are read again even if nothing was seen to change.
    pub refresh_interval_ms: i64,
}

/// A format in which a target can answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ScrapeProtocol {
    /// `PrometheusProto`
    PrometheusProto,
    /// `PrometheusText0.0.4`
    PrometheusText0_0_4,
    /// `PrometheusText1.0.0`
    PrometheusText1_0_0,
    /// `OpenMetricsText0.0.1`
    OpenMetricsText0_0_1,
    /// `OpenMetricsText1.0.0`
    OpenMetricsText1_0_0,
}

impl ScrapeProtocol {
    /// What is negotiated unless the configuration says otherwise.
    pub const DEFAULT: [ScrapeProtocol; 4] = [
        ScrapeProtocol::OpenMetricsText1_0_0,
        ScrapeProtocol::OpenMetricsText0_0_1,
        ScrapeProtocol::PrometheusText1_0_0,
        ScrapeProtocol::PrometheusText0_0_4,
    ];

    /// All, sorted by name.
    pub const ALL: [ScrapeProtocol; 5] = [
        ScrapeProtocol::OpenMetricsText0_0_1,
        ScrapeProtocol::OpenMetricsText1_0_0,
        ScrapeProtocol::PrometheusProto,
        ScrapeProtocol::PrometheusText0_0_4,
        ScrapeProtocol::PrometheusText1_0_0,
    ];

    /// The name as the configuration writes it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            ScrapeProtocol::PrometheusProto => "PrometheusProto",
            ScrapeProtocol::PrometheusText0_0_4 => "PrometheusText0.0.4",
            ScrapeProtocol::PrometheusText1_0_0 => "PrometheusText1.0.0",
            ScrapeProtocol::OpenMetricsText0_0_1 => "OpenMetricsText0.0.1",
            ScrapeProtocol::OpenMetricsText1_0_0 => "OpenMetricsText1.0.0",
        }
    }

    /// The media type with its parameters, as it stands in an `Accept` header.
    #[must_use]
    pub fn media_type(self) -> &'static str {
        match self {
            ScrapeProtocol::PrometheusProto => {
                "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited"
            }
            ScrapeProtocol::PrometheusText0_0_4 => "text/plain;version=0.0.4",
            ScrapeProtocol::PrometheusText1_0_0 => "text/plain;version=1.0.0",
            ScrapeProtocol::OpenMetricsText0_0_1 => "application/openmetrics-text;version=0.0.1",
            ScrapeProtocol::OpenMetricsText1_0_0 => "application/openmetrics-text;version=1.0.0",
        }
    }

    /// The protocol of that exact name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<ScrapeProtocol> {
        ScrapeProtocol::ALL
            .into_iter()
            .find(|protocol| protocol.as_str() == name)
    }
}

/// How a target is asked to write names that are not of the legacy form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum EscapingScheme {
    /// `allow-utf-8`: as they are.
    #[default]
    AllowUtf8,
    /// `underscores`
    Underscores,
    /// `dots`
    Dots,
    /// `values`
    Values,
}

impl EscapingScheme {
    /// The name as the configuration and the `escaping` parameter write it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            EscapingScheme::AllowUtf8 => "allow-utf-8",
            EscapingScheme::Underscores => "underscores",
            EscapingScheme::Dots => "dots",
            EscapingScheme::Values => "values",
        }
    }
}

/// `storage`
#[derive(Debug, Clone, PartialEq, Default)]
pub struct StorageConfig {
    /// `storage.tsdb`
    pub tsdb: TsdbConfig,
    /// `storage.exemplars.max_exemplars`, if the section is there.
    pub max_exemplars: Option<i64>,
}

/// `storage.tsdb`
#[derive(Debug, Clone, PartialEq, Default)]
pub struct TsdbConfig {
    /// How late a sample may come.
    pub out_of_order_time_window_ms: i64,
    /// The share of stale series in the head, 0 to 1, above which they are compacted; 0 is never.
    pub stale_series_compaction_threshold: f64,
    /// `chunk_encoding.floats`: `xor`, `xor2` or empty. Accepted for compatibility; blocks choose
    /// their encodings themselves.
    pub float_chunk_encoding: String,
    /// `retention`, if the section is there; it then wins over the flags.
    pub retention: Option<RetentionConfig>,
}

/// `storage.tsdb.retention`; what is 0 does not limit.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct RetentionConfig {
    /// How long samples are kept.
    pub time_ms: i64,
    /// How many bytes are kept.
    pub size_bytes: u64,
    /// How much of the disk may be used, 0 to 100.
    pub percentage: f64,
}

/// The files that a configuration was made of.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SourceFiles {
    /// The main file first, then the included ones in the order in which they were read.
    pub paths: Vec<PathBuf>,
}
