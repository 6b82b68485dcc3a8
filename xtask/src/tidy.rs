//! Checks of the tree itself: what ARCHITECTURE.md promises about structure is true.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};

/// Crates by layer, lowest first. A crate may use crates of lower layers, and of its own layer
/// only where [`SAME_LAYER`] says so.
const LAYERS: &[&[&str]] = &[
    &["gocompat", "clock", "disk", "codec"],
    &["model", "telemetry"],
    &[
        "storage",
        "relabel",
        "exposition",
        "promql-syntax",
        "hostmetrics",
        "http-client",
    ],
    &["config", "tsdb", "promql", "promblock"],
    &["discovery"],
    &["scrape"],
    &["api"],
    &["promontory"],
];

/// Crates for development: nothing that ships may use them, except in tests.
const DEVELOPMENT: &[&str] = &["bench", "heapcount", "naive", "promqltest"];

const SAME_LAYER: &[(&str, &str)] = &[];

/// Lines after which a source file should have been split; a file that may be longer says why in
/// a comment with `tidy: long because`.
const LINES_MAX: usize = 1_000;

/// Runs all checks.
pub(crate) fn tidy(root: &Path) -> anyhow::Result<()> {
    let mut problems = Vec::new();
    dependencies(root, &mut problems)?;
    sources(root, &mut problems)?;
    documents(root, &mut problems)?;
    if problems.is_empty() {
        println!("tidy: nothing to mend");
        return Ok(());
    }
    let mut text = String::new();
    for problem in &problems {
        let _ = writeln!(text, "  {problem}");
    }
    bail!("{} problems\n{text}", problems.len())
}

fn layer(name: &str) -> Option<usize> {
    LAYERS.iter().position(|layer| layer.contains(&name))
}

/// Names of the crates and what each depends on: ours only, without development dependencies.
fn crates(root: &Path) -> anyhow::Result<BTreeMap<String, Vec<String>>> {
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(root.join("crates"))? {
        let manifest = entry?.path().join("Cargo.toml");
        let text = std::fs::read_to_string(&manifest)
            .with_context(|| format!("read {}", manifest.display()))?;
        let name = text
            .lines()
            .find_map(|line| line.strip_prefix("name = \"")?.strip_suffix('"'))
            .with_context(|| format!("{} has no name", manifest.display()))?;
        found.insert(name.to_owned(), section(&text, "[dependencies]"));
    }
    let ours: BTreeSet<String> = found.keys().cloned().collect();
    for dependencies in found.values_mut() {
        dependencies.retain(|name| ours.contains(name));
    }
    Ok(found)
}

/// Keys of one section of a manifest.
fn section(manifest: &str, header: &str) -> Vec<String> {
    let lines = manifest
        .lines()
        .skip_while(|line| line.trim() != header)
        .skip(1);
    lines
        .take_while(|line| !line.starts_with('['))
        .filter_map(|line| line.split(['.', '=']).next())
        .map(|name| name.trim().to_owned())
        .filter(|name| !name.is_empty() && !name.starts_with('#'))
        .collect()
}

fn dependencies(root: &Path, problems: &mut Vec<String>) -> anyhow::Result<()> {
    for (name, uses) in crates(root)? {
        if DEVELOPMENT.contains(&name.as_str()) {
            continue;
        }
        let Some(own) = layer(&name) else {
            problems.push(format!("crate {name} has no layer in xtask/src/tidy.rs"));
            continue;
        };
        for used in uses {
            let allowed = layer(&used).is_some_and(|other| other < own)
                || SAME_LAYER.contains(&(name.as_str(), used.as_str()));
            if !allowed {
                problems.push(format!("crate {name} must not depend on {used}"));
            }
        }
    }
    Ok(())
}

/// All files below `folder` with this extension, in order.
fn files(folder: &Path, extension: &str, found: &mut Vec<PathBuf>) -> anyhow::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path
            .file_name()
            .and_then(|name| name.to_str())
            .unwrap_or_default();
        if path.is_dir() && name != "target" && name != "node_modules" {
            files(&path, extension, found)?;
        } else if path.extension().is_some_and(|e| e == extension) {
            found.push(path);
        }
    }
    found.sort();
    Ok(())
}

fn sources(root: &Path, problems: &mut Vec<String>) -> anyhow::Result<()> {
    let mut found = Vec::new();
    files(&root.join("crates"), "rs", &mut found)?;
    for path in found {
        let text = std::fs::read_to_string(&path)?;
        let name = path
            .strip_prefix(root)
            .unwrap_or(&path)
            .display()
            .to_string();
        let lines = text.lines().count();
        if lines > LINES_MAX && !text.contains("tidy: long because") {
            problems.push(format!("{name} has {lines} lines: split it"));
        }
        if text.contains("#[ignore]") {
            problems.push(format!("{name} has a test that never runs"));
        }
        let unsafe_allowed = ["crates/disk/", "crates/codec/", "crates/heapcount/"]
            .iter()
            .any(|c| name.starts_with(c));
        if text.contains("allow(unsafe_code)") && !unsafe_allowed {
            problems.push(format!("{name} allows unsafe code"));
        }
        let is_head = name.ends_with("/lib.rs") || name.ends_with("/main.rs");
        if is_head && !text.starts_with("//!") {
            problems.push(format!("{name} does not say what it is"));
        }
    }
    Ok(())
}

fn documents(root: &Path, problems: &mut Vec<String>) -> anyhow::Result<()> {
    let architecture = std::fs::read_to_string(root.join("ARCHITECTURE.md"))?;
    for name in crates(root)?.keys() {
        if !architecture.contains(&format!("`{name}`")) {
            problems.push(format!("ARCHITECTURE.md does not name crate {name}"));
        }
    }
    for document in [
        "README.md",
        "ARCHITECTURE.md",
        "CONTRIBUTING.md",
        "docs/compatibility.md",
    ] {
        let text = std::fs::read_to_string(root.join(document))
            .with_context(|| format!("read {document}"))?;
        for link in links(&text) {
            let folder = root.join(document);
            let path = folder
                .parent()
                .unwrap_or(root)
                .join(link.split('#').next().unwrap_or(""));
            if !link.contains("://") && !link.starts_with('#') && !path.exists() {
                problems.push(format!("{document} links to {link}, which is not there"));
            }
        }
    }
    Ok(())
}

/// Targets of the links of a Markdown text.
fn links(text: &str) -> Vec<&str> {
    let after = text.split("](").skip(1);
    after
        .filter_map(|rest| rest.split_once(')').map(|(link, _)| link))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_manifests_and_links() {
        let manifest = "[package]\nname = \"x\"\n[dependencies]\na.workspace = true\n# no\nb = { x = 1 }\n[dev-dependencies]\nc = \"1\"\n";
        assert_eq!(section(manifest, "[dependencies]"), ["a", "b"]);
        assert_eq!(section(manifest, "[dev-dependencies]"), ["c"]);
        assert_eq!(
            links("see [a](b.md) and [c](http://d)"),
            ["b.md", "http://d"]
        );
    }
}
