//! Whatever the bytes are, the answer is a configuration or an error, and soon.

use std::path::Path;

use config::{ConfigErrors, LoadOptions, load};

const SEED: &str = "\
global:
  scrape_interval: 15s
  external_labels: &labels {a: 'x', b: \"${HOME}\"}
scrape_configs:
- &base
  job_name: a
  params: {module: [http_2xx]}
  relabel_configs:
  - {source_labels: [a, b], regex: (.*), target_label: c, action: hashmod, modulus: 0x8}
  static_configs: [{targets: ['a:1'], labels: *labels}]
- <<: *base
  job_name: b
storage:
  tsdb: {stale_series_compaction_threshold: .5, retention: {size: 1GB, percentage: .5}}
";

fn try_load(text: &str) -> Result<(), ConfigErrors> {
    let options = LoadOptions { env: &|_| None };
    load(text, Path::new("a.yml"), &options).map(drop)
}

#[test]
fn the_seed_is_good() {
    try_load(SEED).unwrap();
}

#[test]
fn every_prefix_has_an_answer() {
    for end in (0..SEED.len()).filter(|&end| SEED.is_char_boundary(end)) {
        if let Err(error) = try_load(&SEED[..end]) {
            assert!(!error.to_string().is_empty());
        }
    }
}

#[test]
fn every_mutation_has_an_answer() {
    const PIECES: [&str; 24] = [
        "",
        "\n",
        " ",
        "  ",
        "\t",
        "- ",
        ": ",
        ":",
        "{",
        "}",
        "[",
        "]",
        "&a ",
        "*a",
        "<<: ",
        "!!int ",
        "!!binary ",
        "'",
        "\"",
        "#",
        "---\n",
        "|",
        "~",
        "\u{feff}",
    ];
    let mut random = fastrand::Rng::with_seed(7);
    for _ in 0..3_000 {
        let mut text = SEED.to_owned();
        for _ in 0..random.usize(1..4) {
            let at = random.usize(..=text.len());
            let end = (at + random.usize(..6)).min(text.len());
            text.replace_range(at..end, PIECES[random.usize(..PIECES.len())]);
            if !text.is_ascii() {
                break;
            }
        }
        if let Err(error) = try_load(&text) {
            let lines = text.lines().count() + 1;
            assert!(
                error.problems().iter().all(|problem| problem.line <= lines),
                "{text}"
            );
        }
    }
}

/// Each job is a few nodes, each file of thousands of jobs must load in a moment.
#[test]
fn a_large_file_loads() {
    let mut text = "scrape_configs:\n".to_owned();
    for job in 0..2_000 {
        text.push_str(&format!(
            "- job_name: job{job}\n  static_configs: [{{targets: [h{job}:1]}}]\n"
        ));
    }
    try_load(&text).unwrap();
}

/// A hundred mistakes are enough to see that it is the wrong file.
#[test]
fn errors_are_limited() {
    let text: String = (0..5_000).map(|n| format!("key{n}: 1\n")).collect();
    assert_eq!(try_load(&text).unwrap_err().problems().len(), 100);
}
