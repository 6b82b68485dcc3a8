//! From a file to a resolved configuration.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use gocompat::strconv::quote;
use model::Labels;

use crate::decoder::Decoder;
use crate::expand::expand;
use crate::sections::{self, Home, Jobs};
use crate::{
    Config, ConfigErrors, FileRole, Problem, ProblemKind, ScrapeConfig, SourceFiles, TargetGroup,
};
use crate::{paths, yaml};

/// What the configuration depends on besides its text.
pub struct LoadOptions<'a> {
    /// The value of an environment variable, for `${VAR}` in external labels.
    pub env: &'a dyn Fn(&str) -> Option<String>,
}

impl LoadOptions<'_> {
    /// With the variables of this process.
    #[must_use]
    pub fn with_process_env() -> LoadOptions<'static> {
        LoadOptions {
            env: &|name| std::env::var(name).ok(),
        }
    }
}

impl fmt::Debug for LoadOptions<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LoadOptions").finish_non_exhaustive()
    }
}

/// A configuration that was accepted.
#[derive(Debug, Clone, PartialEq)]
pub struct Loaded {
    /// What it says.
    pub config: Config,
    /// The files that it was made of; a reload looks at these for changes.
    pub sources: SourceFiles,
    /// What is allowed and probably not meant, for the log.
    pub warnings: Vec<String>,
}

/// Decodes `text` as if it were the file `path`, without reading any file: relative paths are
/// joined with the folder of `path`, `scrape_config_files` are resolved but not included.
///
/// # Errors
/// Everything that is wrong with the text.
pub fn load(text: &str, path: &Path, options: &LoadOptions<'_>) -> Result<Loaded, ConfigErrors> {
    load_main(text, path, options).map(|(loaded, _)| loaded)
}

/// Reads and decodes the file and those that its `scrape_config_files` name.
///
/// # Errors
/// If a file cannot be read; everything that is wrong with the first file that is wrong.
pub fn load_file(path: &Path, options: &LoadOptions<'_>) -> Result<Loaded, ConfigErrors> {
    let text = read(path, FileRole::Main)?;
    let (mut loaded, mut jobs) = load_main(&text, path, options)?;
    for pattern in loaded.config.scrape_config_files.clone() {
        let files = paths::glob(&pattern).map_err(|error| ConfigErrors::Read {
            path: PathBuf::from(&pattern),
            role: FileRole::Included,
            reason: error.to_string(),
        })?;
        for file in files {
            include(&file, &mut loaded, &mut jobs)?;
        }
    }
    Ok(loaded)
}

fn load_main(
    text: &str,
    path: &Path,
    options: &LoadOptions<'_>,
) -> Result<(Loaded, Jobs), ConfigErrors> {
    let root = parse(text, path, FileRole::Main)?;
    let mut decoder = Decoder::default();
    let (mut config, scrapes) = sections::config(&mut decoder, root.as_deref());
    let folder = paths::folder(path);
    join_paths(&mut config, &folder);
    let home = Home {
        folder: &folder,
        included_as: None,
    };
    let mut jobs = Jobs::new();
    config.main_scrape_configs = scrapes.len();
    config.scrape_configs = scrapes
        .into_iter()
        .map(|raw| raw.resolve(&mut decoder, &config.global, &mut jobs, &home))
        .collect();
    check(decoder, path, FileRole::Main)?;
    let mut warnings = Vec::new();
    let labels = &config.global.external_labels;
    config.global.external_labels = expand_labels(labels, options.env, &mut warnings);
    warn_of_no_effect(&config, &mut warnings);
    let loaded = Loaded {
        config,
        sources: SourceFiles {
            paths: vec![path.to_path_buf()],
        },
        warnings,
    };
    Ok((loaded, jobs))
}

/// Adds the scrape configurations of another file.
fn include(path: &Path, loaded: &mut Loaded, jobs: &mut Jobs) -> Result<(), ConfigErrors> {
    let text = read(path, FileRole::Included)?;
    let root = parse(&text, path, FileRole::Included)?;
    let mut decoder = Decoder::default();
    let home = Home {
        folder: &paths::folder(path),
        included_as: Some(quote(&absolute(path))),
    };
    for raw in sections::included_scrape_configs(&mut decoder, root.as_deref()) {
        let scrape = raw.resolve(&mut decoder, &loaded.config.global, jobs, &home);
        loaded.config.scrape_configs.push(scrape);
    }
    check(decoder, path, FileRole::Included)?;
    loaded.sources.paths.push(path.to_path_buf());
    Ok(())
}

/// Decodes a YAML list of target groups, as file discovery reads them. Sources are left empty.
///
/// # Errors
/// Everything that is wrong with the text.
pub fn parse_target_groups(text: &str, path: &Path) -> Result<Vec<TargetGroup>, ConfigErrors> {
    let root = parse(text, path, FileRole::Included)?;
    let mut decoder = Decoder::default();
    let groups = sections::target_groups(&mut decoder, root.as_deref());
    check(decoder, path, FileRole::Included)?;
    Ok(groups)
}

/// The configuration of a server without a file: it scrapes itself, under the job `prometheus`,
/// every 15 seconds.
#[must_use]
pub fn builtin(own_address: &str, metrics_path: &str) -> Config {
    let mut config = Config::default();
    config.global.scrape_interval_ms = 15_000;
    config.scrape_configs.push(ScrapeConfig {
        job_name: "prometheus".to_owned(),
        scrape_interval_ms: 15_000,
        metrics_path: metrics_path.to_owned(),
        static_configs: vec![TargetGroup {
            targets: vec![own_address.to_owned()],
            source: "0".to_owned(),
            ..TargetGroup::default()
        }],
        ..ScrapeConfig::default()
    });
    config.main_scrape_configs = 1;
    config
}

fn read(path: &Path, role: FileRole) -> Result<String, ConfigErrors> {
    let refuse = |reason: String| ConfigErrors::Read {
        path: path.to_path_buf(),
        role,
        reason,
    };
    let size = std::fs::metadata(path).map_or(0, |metadata| metadata.len());
    if size > yaml::TEXT_BYTES_MAX as u64 {
        return Err(refuse(format!(
            "larger than {} bytes",
            yaml::TEXT_BYTES_MAX
        )));
    }
    let bytes = std::fs::read(path).map_err(|error| refuse(reason(&error)))?;
    String::from_utf8(bytes).map_err(|error| {
        let good = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        ConfigErrors::Syntax {
            path: path.to_path_buf(),
            role,
            problem: Problem {
                kind: ProblemKind::Structure,
                line: 1 + good.iter().filter(|&&byte| byte == b'\n').count(),
                column: 1 + good.iter().rev().take_while(|&&byte| byte != b'\n').count(),
                text: "invalid UTF-8".to_owned(),
            },
        }
    })
}

/// What the operating system says, in Go's words where they are asked for most.
fn reason(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "no such file or directory".to_owned(),
        io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
        io::ErrorKind::IsADirectory => "is a directory".to_owned(),
        _ => error.to_string(),
    }
}

fn parse(
    text: &str,
    path: &Path,
    role: FileRole,
) -> Result<Option<std::rc::Rc<yaml::Node>>, ConfigErrors> {
    yaml::parse(text).map_err(|problem| ConfigErrors::Syntax {
        path: path.to_path_buf(),
        role,
        problem,
    })
}

fn check(decoder: Decoder, path: &Path, role: FileRole) -> Result<(), ConfigErrors> {
    let problems = decoder.into_problems();
    if problems.is_empty() {
        return Ok(());
    }
    Err(ConfigErrors::Content {
        path: path.to_path_buf(),
        role,
        problems,
    })
}

pub(crate) fn absolute(path: &Path) -> String {
    let absolute = std::path::absolute(path);
    absolute.as_deref().unwrap_or(path).display().to_string()
}

/// Makes the paths of the main sections relative to nothing but the working directory.
fn join_paths(config: &mut Config, folder: &Path) {
    let global = &mut config.global;
    for file in [
        &mut global.query_log_file,
        &mut global.scrape_failure_log_file,
    ] {
        *file = paths::join(folder, file);
    }
    for pattern in &mut config.scrape_config_files {
        *pattern = paths::join(folder, pattern);
    }
}

fn expand_labels(
    labels: &Labels,
    env: &dyn Fn(&str) -> Option<String>,
    warnings: &mut Vec<String>,
) -> Labels {
    let mut expanded = Vec::with_capacity(labels.len());
    for (name, value) in labels.iter() {
        let value = expand(value, |variable| match variable {
            "$" => "$".to_owned(),
            variable => env(variable)
                .filter(|value| !value.is_empty())
                .unwrap_or_else(|| {
                    warnings.push(format!(
                        "external label {name} uses the environment variable {variable}, which is \
                     empty or not set"
                    ));
                    String::new()
                }),
        });
        expanded.push((name, value));
    }
    Labels::from_pairs(expanded.iter().map(|(name, value)| (*name, value.as_str())))
}

/// Values that are accepted so that files need no change, and that change nothing here: either
/// there is nothing to do, or what they ask for comes later and costs no data until then.
fn warn_of_no_effect(config: &Config, warnings: &mut Vec<String>) {
    let tsdb = &config.storage.tsdb;
    for (is_given, what) in [
        (
            config.runtime != crate::RuntimeConfig::default(),
            "runtime.gogc has no effect: there is no garbage collector",
        ),
        (
            !tsdb.float_chunk_encoding.is_empty(),
            "storage.tsdb.chunk_encoding.floats has no effect: encodings are chosen by the data",
        ),
        (
            tsdb.stale_series_compaction_threshold > 0.0,
            "storage.tsdb.stale_series_compaction_threshold has no effect yet",
        ),
    ] {
        if is_given {
            warnings.push(what.to_owned());
        }
    }
}
