//! Arguments of a tool: flags in any place, and what is left.

use std::path::PathBuf;

use anyhow::{Context as _, bail};

/// Flags that take no value.
const SWITCHES: &[&str] = &["without-histograms"];
/// Where a server keeps its data unless told otherwise.
const DEFAULT_PATH: &str = "data/";

/// What was given.
#[derive(Debug, Default)]
pub(super) struct Arguments {
    flags: Vec<(String, String)>,
    /// What is no flag, in order.
    pub(super) rest: Vec<String>,
}

impl Arguments {
    /// Reads arguments; only flags that are `known` may be among them.
    pub(super) fn parse(given: &[String], known: &[&str]) -> anyhow::Result<Arguments> {
        let mut arguments = Arguments::default();
        let mut given = given.iter();
        while let Some(argument) = given.next() {
            let Some(long) = argument.strip_prefix("--") else {
                arguments.rest.push(argument.clone());
                continue;
            };
            let (name, inline) = match long.split_once('=') {
                Some((name, value)) => (name, Some(value.to_owned())),
                None => (long, None),
            };
            if !known.contains(&name) {
                bail!("unknown long flag '--{name}'");
            }
            let value = match inline {
                Some(value) => value,
                None if SWITCHES.contains(&name) => String::new(),
                None => given
                    .next()
                    .cloned()
                    .with_context(|| format!("expected argument for flag '--{name}'"))?,
            };
            arguments.flags.push((name.to_owned(), value));
        }
        Ok(arguments)
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.all(name).next().is_some()
    }

    pub(super) fn all<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a str> {
        let flags = self.flags.iter().filter(move |(n, _)| n == name);
        flags.map(|(_, value)| value.as_str())
    }

    pub(super) fn last(&self, name: &str) -> Option<&str> {
        self.all(name).last()
    }

    /// A whole number, or the default.
    pub(super) fn number(&self, name: &str, default: i64) -> anyhow::Result<i64> {
        match self.last(name) {
            None => Ok(default),
            Some(text) => text
                .parse()
                .with_context(|| format!("flag '--{name}': {text:?} is not a whole number")),
        }
    }

    /// The data folder of commands that take no other one.
    pub(super) fn path(&self) -> PathBuf {
        PathBuf::from(self.last("storage.tsdb.path").unwrap_or(DEFAULT_PATH))
    }

    /// The data folder of commands that take it as promtool does, as their first argument too.
    pub(super) fn path_or_first(&self) -> PathBuf {
        self.rest.first().map_or_else(|| self.path(), PathBuf::from)
    }
}
