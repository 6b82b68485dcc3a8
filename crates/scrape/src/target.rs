//! Targets: what a group's entry becomes by the job's defaults and relabelling.
//!
//! A target is what it is by its labels after relabelling, hidden ones (`__…`) included, and its
//! URL: [`Target::id`] hashes both. Two entries with the same identity are one target; an entry
//! that keeps its identity keeps its loop.
//!
//! A target costs some hundred bytes: its discovered labels are not kept but made again from its
//! group when somebody looks.

use std::sync::Arc;

use config::{ScrapeConfig, TargetGroup};
use exposition::HistogramOptions;
use model::{Labels, LabelsBuilder, format_duration_ms, parse_duration_ms};
use parking_lot::Mutex;

use crate::families::FamilyStore;
use crate::status::{GlobalUrlOptions, Health, TargetStatus};
use crate::url::TargetUrl;

pub(crate) const ADDRESS: &str = "__address__";
pub(crate) const SCHEME: &str = "__scheme__";
pub(crate) const METRICS_PATH: &str = "__metrics_path__";
pub(crate) const PARAM_PREFIX: &str = "__param_";
const INTERVAL: &str = "__scrape_interval__";
const TIMEOUT: &str = "__scrape_timeout__";
const UNIX_SOCKET: &str = "__unix_socket__";
const NATIVE_HISTOGRAMS: &str = "__scrape_native_histograms__";
const ALWAYS_CLASSIC: &str = "__always_scrape_classic_histograms__";
const CONVERT_CLASSIC: &str = "__convert_classic_histograms_to_nhcb__";
/// Of labels that never reach a series.
const HIDDEN_PREFIX: &str = "__";
/// Of labels that only relabelling sees.
const META_PREFIX: &str = "__meta_";
const JOB: &str = "job";
const INSTANCE: &str = "instance";

/// Why an entry of a group makes no target; the texts are upstream's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum TargetError {
    #[error("no address")]
    NoAddress,
    #[error("{} is not a valid hostname", gocompat::strconv::quote(.0))]
    Address(String),
    #[error("error parsing scrape {what}: {source}")]
    Duration {
        what: &'static str,
        source: model::duration::DurationError,
    },
    #[error("scrape {0} cannot be 0")]
    Zero(&'static str),
    #[error(
        "scrape timeout cannot be greater than scrape interval ({} > {})",
        gocompat::strconv::quote(.timeout),
        gocompat::strconv::quote(.interval)
    )]
    TimeoutTooLong { timeout: String, interval: String },
    #[error(
        "error parsing {what}: strconv.ParseBool: parsing {}: invalid syntax",
        gocompat::strconv::quote(.value)
    )]
    Bool { what: &'static str, value: String },
}

/// One endpoint that is scraped.
#[derive(Debug)]
pub(crate) struct Target {
    /// Hash of labels and URL.
    pub(crate) id: u64,
    /// All labels after relabelling.
    labels: Labels,
    /// The labels that its series get.
    pub(crate) public_labels: Labels,
    url: TargetUrl,
    /// The URL as text.
    pub(crate) url_text: String,
    pub(crate) interval_ms: i64,
    pub(crate) timeout_ms: i64,
    origin: Mutex<Origin>,
    progress: Mutex<Progress>,
    /// What the target says about its metric families.
    pub(crate) families: Arc<Mutex<FamilyStore>>,
}

/// Where a target, or one that relabelling dropped, comes from.
#[derive(Debug, Clone)]
pub(crate) struct Origin {
    pub(crate) config: Arc<ScrapeConfig>,
    pub(crate) group: Arc<TargetGroup>,
    /// Position in the group.
    pub(crate) index: usize,
}

/// How the last scrape went.
#[derive(Debug, Default)]
struct Progress {
    last_error: String,
    last_scrape_ns: Option<i64>,
    last_scrape_duration_s: f64,
    health: Health,
}

impl Target {
    /// A target with these labels, which [`relabelled`] made of `origin`.
    pub(crate) fn new(labels: Labels, origin: Origin) -> Target {
        let url = TargetUrl::of_target(&labels, &origin.config.params);
        let url_text = url.to_string();
        let mut hash = Fnv::new();
        hash.write(format!("{:016}", labels.stable_hash()).as_bytes());
        hash.write(url_text.as_bytes());
        let duration_ms =
            |name, default_ms| parse_duration_ms(labels.get(name)).unwrap_or(default_ms);
        Target {
            id: hash.finish(),
            public_labels: public_labels(&labels),
            interval_ms: duration_ms(INTERVAL, origin.config.scrape_interval_ms),
            timeout_ms: duration_ms(TIMEOUT, origin.config.scrape_timeout_ms),
            labels,
            url,
            url_text,
            origin: Mutex::new(origin),
            progress: Mutex::default(),
            families: Arc::default(),
        }
    }

    /// The labels that tell this target's samples from those of all others: where it is scraped
    /// and what its series get; how it is scraped is no part of it.
    pub(crate) fn group_labels(&self) -> Labels {
        let is_place = |name: &str| {
            [ADDRESS, METRICS_PATH, SCHEME].contains(&name) || name.starts_with(PARAM_PREFIX)
        };
        self.labels
            .without(|name| name.starts_with("__") && !is_place(name))
    }

    /// What is asked and what its series get: targets that agree in both differ in timing only.
    pub(crate) fn endpoint(&self) -> (String, Labels) {
        (self.url_text.clone(), self.public_labels.clone())
    }

    /// This target as the continuation of `before`, another one with the same endpoint.
    pub(crate) fn continuing(self, before: &Target) -> Target {
        *self.progress.lock() = std::mem::take(&mut *before.progress.lock());
        Target {
            families: Arc::clone(&before.families),
            ..self
        }
    }

    /// Where the target comes from.
    pub(crate) fn into_origin(self) -> Origin {
        self.origin.into_inner()
    }

    /// What the target asks for by its labels and this server cannot do.
    pub(crate) fn unsupported(&self) -> Option<&'static str> {
        let asks_for_socket = !self.labels.get(UNIX_SOCKET).is_empty();
        asks_for_socket
            .then_some("scraping over a unix socket (__unix_socket__) is not supported yet")
    }

    /// What becomes of histograms: the target's labels say it, else the job's configuration.
    pub(crate) fn histogram_options(&self, config: &ScrapeConfig) -> HistogramOptions {
        let flag = |name, default| parse_bool(self.labels.get(name)).unwrap_or(default);
        HistogramOptions {
            native: flag(NATIVE_HISTOGRAMS, config.scrape_native_histograms),
            keep_classic: flag(ALWAYS_CLASSIC, config.always_scrape_classic_histograms),
            convert_classic: flag(CONVERT_CLASSIC, config.convert_classic_histograms_to_nhcb),
        }
    }

    /// The group was sent again, or the job's configuration changed, without changing the target.
    pub(crate) fn set_origin(&self, origin: Origin) {
        *self.origin.lock() = origin;
    }

    /// Notes how a scrape went, and what there is to say about it.
    pub(crate) fn report(&self, started_ns: i64, duration_s: f64, is_up: bool, error: &str) {
        let mut progress = self.progress.lock();
        error.clone_into(&mut progress.last_error);
        progress.last_scrape_ns = Some(started_ns);
        progress.last_scrape_duration_s = duration_s;
        progress.health = if is_up { Health::Up } else { Health::Down };
    }

    /// The target as the API shows it.
    pub(crate) fn status(&self, pool: &str, options: &GlobalUrlOptions) -> TargetStatus {
        let (global_url, problem) = self.url.global(options);
        let discovered_labels = self.origin.lock().discovered_labels();
        let progress = self.progress.lock();
        let last_error = match problem {
            Some(problem) => format!("{}: {problem}", progress.last_error),
            None => progress.last_error.clone(),
        };
        TargetStatus {
            discovered_labels,
            labels: self.public_labels.clone(),
            scrape_pool: pool.to_owned(),
            scrape_url: self.url_text.clone(),
            global_url: global_url.to_string(),
            last_error,
            last_scrape_ns: progress.last_scrape_ns,
            last_scrape_duration_s: progress.last_scrape_duration_s,
            health: progress.health,
            scrape_interval: self.labels.get(INTERVAL).to_owned(),
            scrape_timeout: self.labels.get(TIMEOUT).to_owned(),
        }
    }
}

impl Origin {
    /// The labels before relabelling.
    pub(crate) fn discovered_labels(&self) -> Labels {
        let mut builder = LabelsBuilder::default();
        self.discover(&mut builder);
        builder.build()
    }

    /// What the entry and its group say, then what they leave to the job.
    fn discover(&self, builder: &mut LabelsBuilder) {
        let config = &*self.config;
        builder.reset(&self.group.labels);
        if let Some(address) = self.group.targets.get(self.index) {
            builder.set(ADDRESS, address);
        }
        let mut set_default = |name: &str, value: &str| {
            if builder.get(name).is_empty() {
                builder.set(name, value);
            }
        };
        let flag = |on| if on { "true" } else { "false" };
        set_default(JOB, &config.job_name);
        set_default(INTERVAL, &format_duration_ms(config.scrape_interval_ms));
        set_default(TIMEOUT, &format_duration_ms(config.scrape_timeout_ms));
        set_default(METRICS_PATH, &config.metrics_path);
        set_default(SCHEME, &config.scheme);
        set_default(
            CONVERT_CLASSIC,
            flag(config.convert_classic_histograms_to_nhcb),
        );
        set_default(
            ALWAYS_CLASSIC,
            flag(config.always_scrape_classic_histograms),
        );
        set_default(NATIVE_HISTOGRAMS, flag(config.scrape_native_histograms));
        for (name, values) in &config.params {
            if let Some(first) = values.first() {
                set_default(&format!("{PARAM_PREFIX}{name}"), first);
            }
        }
    }

    /// The labels of the target that this entry is; `None` if relabelling drops it. A set of
    /// nothing but hidden labels counts as dropped too.
    ///
    /// # Errors
    /// If what comes out of relabelling cannot be scraped.
    pub(crate) fn relabelled(
        &self,
        builder: &mut LabelsBuilder,
    ) -> Result<Option<Labels>, TargetError> {
        self.discover(builder);
        if !relabel::process(builder, &self.config.relabel_configs) {
            return Ok(None);
        }
        validate(builder)?;
        builder.retain(|name, _| !name.starts_with(META_PREFIX));
        if builder.get(INSTANCE).is_empty() {
            let address = builder.get(ADDRESS).to_owned();
            builder.set(INSTANCE, &address);
        }
        Ok(Some(builder.build()))
    }
}

/// Upstream's checks in upstream's order (`PopulateLabels` in scrape/target.go).
fn validate(builder: &LabelsBuilder) -> Result<(), TargetError> {
    let address = builder.get(ADDRESS);
    if address.is_empty() {
        return Err(TargetError::NoAddress);
    }
    if address.contains('/') {
        return Err(TargetError::Address(address.to_owned()));
    }
    let duration_ms = |name, what| match parse_duration_ms(builder.get(name)) {
        Err(source) => Err(TargetError::Duration { what, source }),
        Ok(0) => Err(TargetError::Zero(what)),
        Ok(ms) => Ok(ms),
    };
    let interval_ms = duration_ms(INTERVAL, "interval")?;
    let timeout_ms = duration_ms(TIMEOUT, "timeout")?;
    if timeout_ms > interval_ms {
        return Err(TargetError::TimeoutTooLong {
            timeout: builder.get(TIMEOUT).to_owned(),
            interval: builder.get(INTERVAL).to_owned(),
        });
    }
    for (name, what) in [
        (CONVERT_CLASSIC, "convert classic histograms to nhcb"),
        (ALWAYS_CLASSIC, "always scrape classic histograms"),
        (NATIVE_HISTOGRAMS, "scrape native histograms"),
    ] {
        let value = builder.get(name);
        if !value.is_empty() && parse_bool(value).is_none() {
            let value = value.to_owned();
            return Err(TargetError::Bool { what, value });
        }
    }
    Ok(())
}

/// The labels that series get.
pub(crate) fn public_labels(labels: &Labels) -> Labels {
    labels.without(|name| name.starts_with(HIDDEN_PREFIX))
}

/// `strconv.ParseBool`.
fn parse_bool(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}

/// FNV-1a with 64 bits: the same in every process, which is what pins scrapes to their moments.
pub(crate) struct Fnv(u64);

impl Fnv {
    pub(crate) fn new() -> Fnv {
        Fnv(0xcbf2_9ce4_8422_2325)
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }

    pub(crate) fn finish(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
#[path = "target_tests.rs"]
mod tests;
