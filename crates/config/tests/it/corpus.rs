//! The two tables. `good.txt` shows what a configuration decodes to by the lines in which its dump
//! differs from that of an empty one, or of one with the job `a` if it has jobs; `bad.txt` has the whole text of every refusal.
//!
//! A case is `=== name`, the file, `---`, the expectation.

use std::path::Path;

use config::{LoadOptions, Loaded, load, to_yaml};

const GOOD: &str = include_str!("good.txt");
const BAD: &str = include_str!("bad.txt");

struct Case<'t> {
    name: &'t str,
    yaml: String,
    expected: &'t str,
}

fn cases(corpus: &'static str) -> Vec<Case<'static>> {
    let parts = corpus.split("=== ").skip(1);
    parts
        .map(|part| {
            let (name, rest) = part.split_once('\n').expect("a case has a name");
            let (yaml, expected) = rest.rsplit_once("---\n").expect("a case has an end");
            Case {
                name,
                yaml: yaml.replace("@BOM@", "\u{feff}").replace("@CR@", "\r"),
                expected: expected.trim_end(),
            }
        })
        .collect()
}

fn load_text(yaml: &str) -> Result<Loaded, config::ConfigErrors> {
    let env = |_: &str| None;
    load(
        yaml,
        Path::new("prometheus.yml"),
        &LoadOptions { env: &env },
    )
}

/// The lines that one dump has and the other has not, with `+` and `-`.
fn difference(base: &str, dump: &str) -> String {
    let missing = base
        .lines()
        .filter(|line| !dump.lines().any(|l| l == *line));
    let added = dump
        .lines()
        .filter(|line| !base.lines().any(|l| l == *line));
    let lines: Vec<String> = missing
        .map(|line| format!("-{line}"))
        .chain(added.map(|line| format!("+{line}")))
        .collect();
    lines.join("\n")
}

#[test]
fn good_configurations() {
    let dump_of = |yaml: &str| to_yaml(&load_text(yaml).expect("the base is good").config);
    let (empty, one_job) = (dump_of(""), dump_of("scrape_configs: [{job_name: a}]"));
    let mut failed = Vec::new();
    for case in cases(GOOD) {
        let loaded = match load_text(&case.yaml) {
            Ok(loaded) => loaded,
            Err(error) => {
                failed.push(format!("=== {}\n{error}", case.name));
                continue;
            }
        };
        let dump = to_yaml(&loaded.config);
        let has_jobs = !loaded.config.scrape_configs.is_empty();
        let shown = difference(if has_jobs { &one_job } else { &empty }, &dump);
        if shown != case.expected {
            failed.push(format!("=== {}\n{}---\n{shown}", case.name, case.yaml));
        }
        match load_text(&dump) {
            Ok(again) if again.config == loaded.config => {}
            other => failed.push(format!("=== {}\n{dump}---\n{other:?}", case.name)),
        }
    }
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

#[test]
fn bad_configurations() {
    let cases = cases(BAD);
    assert!(cases.len() >= 100);
    let mut failed = Vec::new();
    for case in cases {
        let shown = match load_text(&case.yaml) {
            Ok(_) => "accepted".to_owned(),
            Err(error) => error.to_string(),
        };
        if shown != case.expected {
            failed.push(format!("=== {}\n{}---\n{shown}", case.name, case.yaml));
        }
    }
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}
