//! The content of a discovery file: a list of target groups, in JSON or YAML by its ending.
//!
//! Both are strict: a key that nobody knows is an error, because a group whose `lables` are
//! ignored is scraped without them and nobody notices. As in upstream's JSON, keys may be written
//! in any case there.

use std::fmt;
use std::fs::{File, Metadata};
use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use config::TargetGroup;
use model::Labels;
use serde::de::{self, Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};

/// 32 MiB is a list of some 300,000 targets; a log file that ends in `.json` is larger.
const FILE_BYTES_MAX: u64 = 32 << 20;

/// The label that says which file a target comes from.
const PATH_LABEL: &str = "__meta_filepath";

/// A file whose last change is younger than this may change again without its times telling: they
/// go forward in steps of some milliseconds.
const SETTLED_NS: i128 = 1_000_000_000;

/// What tells one state of a file from another without reading it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stamp {
    device: u64,
    inode: u64,
    size: u64,
    /// Nanoseconds since 1970.
    modified_ns: i128,
    /// The same of the inode: no program can set it back.
    changed_ns: i128,
}

impl Stamp {
    /// The stamp of the file that is at a path now.
    pub(crate) fn at(path: &Path) -> Option<Stamp> {
        path.metadata().ok().map(|metadata| Stamp::of(&metadata))
    }

    fn of(metadata: &Metadata) -> Stamp {
        let ns = |seconds: i64, ns: i64| i128::from(seconds) * 1_000_000_000 + i128::from(ns);
        Stamp {
            device: metadata.dev(),
            inode: metadata.ino(),
            size: metadata.size(),
            modified_ns: ns(metadata.mtime(), metadata.mtime_nsec()),
            changed_ns: ns(metadata.ctime(), metadata.ctime_nsec()),
        }
    }

    /// Whether any later change will show in the stamp.
    pub(crate) fn is_settled(&self, now_ns: i64) -> bool {
        i128::from(now_ns) - self.modified_ns.max(self.changed_ns) > SETTLED_NS
    }

    /// The modification time in whole seconds since 1970.
    pub(crate) fn mtime_s(&self) -> f64 {
        self.modified_ns.div_euclid(1_000_000_000) as f64
    }
}

/// Reads and decodes a file. The groups have their sources (`path:0`, `path:1`) and the label
/// `__meta_filepath`; the stamp is that of the file before it was read.
///
/// # Errors
/// Why not, for the log.
pub(crate) fn read(path: &Path) -> Result<(Vec<TargetGroup>, Stamp), String> {
    let (text, stamp) = read_text(path).map_err(|error| error.to_string())?;
    let is_json = path
        .extension()
        .is_some_and(|ending| ending.eq_ignore_ascii_case("json"));
    let groups = if is_json {
        parse_json(&text)?
    } else {
        config::parse_target_groups(&text, path).map_err(|error| error.to_string())?
    };
    let name = path.to_string_lossy();
    let named = groups.into_iter().enumerate().map(|(index, group)| {
        let labels = group.labels.iter().chain([(PATH_LABEL, &*name)]);
        TargetGroup {
            labels: Labels::from_pairs(labels),
            source: format!("{name}:{index}"),
            targets: group.targets,
        }
    });
    Ok((named.collect(), stamp))
}

fn read_text(path: &Path) -> io::Result<(String, Stamp)> {
    // Asked before it is opened: a pipe would wait for a writer.
    if !path.metadata()?.is_file() {
        return Err(io::Error::other("not a regular file"));
    }
    let file = File::open(path)?;
    let stamp = Stamp::of(&file.metadata()?);
    let mut text = String::new();
    file.take(FILE_BYTES_MAX + 1).read_to_string(&mut text)?;
    if text.len() as u64 > FILE_BYTES_MAX {
        return Err(io::Error::other(format!(
            "larger than {FILE_BYTES_MAX} bytes"
        )));
    }
    Ok((text, stamp))
}

fn parse_json(text: &str) -> Result<Vec<TargetGroup>, String> {
    let list: Option<Vec<Option<Group>>> =
        serde_json::from_str(text).map_err(|error| error.to_string())?;
    let groups = list.unwrap_or_default().into_iter();
    groups
        .map(|group| match group {
            Some(Group(group)) => Ok(group),
            None => Err("nil target group item found".to_owned()),
        })
        .collect()
}

/// A target group as JSON has it.
struct Group(TargetGroup);

impl<'de> Deserialize<'de> for Group {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Group, D::Error> {
        deserializer.deserialize_map(GroupVisitor)
    }
}

struct GroupVisitor;

impl<'de> Visitor<'de> for GroupVisitor {
    type Value = Group;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a target group")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Group, A::Error> {
        let mut group = TargetGroup::default();
        while let Some(key) = map.next_key::<String>()? {
            if key.eq_ignore_ascii_case("targets") {
                let targets: Option<Vec<Option<String>>> = map.next_value()?;
                let targets = targets.unwrap_or_default().into_iter();
                group.targets = targets.map(Option::unwrap_or_default).collect();
            } else if key.eq_ignore_ascii_case("labels") {
                let labels: Option<LabelMap> = map.next_value()?;
                group.labels = labels.map_or_else(Labels::empty, |LabelMap(labels)| labels);
            } else {
                map.next_value::<IgnoredAny>()?;
                let text = format!("json: unknown field {key:?}");
                return Err(de::Error::custom(text));
            }
        }
        Ok(Group(group))
    }
}

/// `{"name": "value"}`; null values are empty.
struct LabelMap(Labels);

impl<'de> Deserialize<'de> for LabelMap {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<LabelMap, D::Error> {
        let pairs: std::collections::BTreeMap<String, Option<String>> =
            Deserialize::deserialize(deserializer)?;
        if pairs.contains_key("") {
            return Err(de::Error::custom("\"\" is not a valid label name"));
        }
        let pairs = pairs
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_deref().unwrap_or_default()));
        Ok(LabelMap(Labels::from_pairs(pairs)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_as(name: &str, content: &[u8]) -> Result<Vec<TargetGroup>, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        std::fs::write(&path, content).unwrap();
        let root = folder.path().to_str().unwrap();
        match read(&path) {
            Ok((groups, _)) => Ok(groups),
            Err(error) => Err(error.replace(root, "DIR")),
        }
    }

    #[test]
    fn both_formats_say_the_same() {
        let json =
            r#"[{"targets": ["a:1", "b:2"], "labels": {"x": "1", "y": ""}}, {"Targets": null}]"#;
        let yaml = "- targets: [a:1, b:2]\n  labels: {x: 1, y: ''}\n- targets:\n";
        for (name, content) in [
            ("t.json", json),
            ("t.JSON", json),
            ("t.yml", yaml),
            ("t.YAML", yaml),
        ] {
            let groups = read_as(name, content.as_bytes()).unwrap();
            assert_eq!(groups.len(), 2, "{name}");
            assert_eq!(groups[0].targets, ["a:1", "b:2"]);
            assert!(
                groups[0].source.ends_with(&format!("/{name}:0")),
                "{:?}",
                groups[0].source
            );
            assert!(groups[1].source.ends_with(&format!("/{name}:1")));
            let labels: Vec<(&str, &str)> = groups[0].labels.iter().collect();
            let path = groups[0].source.strip_suffix(":0").unwrap();
            assert_eq!(labels, [("__meta_filepath", path), ("x", "1")]);
        }
        assert_eq!(read_as("t.json", b"null").unwrap(), []);
        assert_eq!(read_as("t.json", b"[]").unwrap(), []);
        assert_eq!(read_as("t.yml", b"").unwrap(), []);
    }

    #[test]
    fn refuses() {
        for (name, content, error) in [
            ("t.json", "", "EOF while parsing a value at line 1 column 0"),
            (
                "t.json",
                "[{\"targets\": [\"a\"]},",
                "EOF while parsing a value at line 1 column 20",
            ),
            (
                "t.json",
                "[{\"target\": []}]",
                "json: unknown field \"target\" at line 1 column 15",
            ),
            ("t.json", "[null]", "nil target group item found"),
            ("t.json", "[]]", "trailing characters at line 1 column 3"),
            (
                "t.json",
                "{\"targets\": []}",
                "invalid type: map, expected a sequence at line 1 column 0",
            ),
            (
                "t.json",
                "[{\"labels\": {\"a\": 1}}]",
                "invalid type: integer `1`, expected a string at line 1 column 19",
            ),
            (
                "t.json",
                "[{\"labels\": {\"\": \"x\"}}]",
                "\"\" is not a valid label name at line 1 column 22",
            ),
            (
                "t.yml",
                "-",
                "\"DIR/t.yml\": nil target group item found (line 1)",
            ),
            (
                "t.yml",
                "targets: []",
                "\"DIR/t.yml\": yaml: unmarshal errors:\n  \
                 line 1: cannot unmarshal !!map into []*targetgroup.Group",
            ),
        ] {
            assert_eq!(
                read_as(name, content.as_bytes()).unwrap_err(),
                error,
                "{content}"
            );
        }
        let not_utf8 = read_as("t.json", b"[\xff]").unwrap_err();
        assert_eq!(not_utf8, "stream did not contain valid UTF-8");
    }

    #[test]
    fn refuses_what_is_no_file_or_too_large() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(read(folder.path()).unwrap_err(), "not a regular file");
        let path = folder.path().join("large.json");
        File::create(&path)
            .unwrap()
            .set_len(FILE_BYTES_MAX + 1)
            .unwrap();
        assert_eq!(read(&path).unwrap_err(), "larger than 33554432 bytes");
        let missing = folder.path().join("missing.json");
        assert!(read(&missing).unwrap_err().contains("No such file"));
    }
}
