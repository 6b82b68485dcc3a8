//! `meta.json`: what a block says of itself.

use std::path::Path;

use disk::Disk;
use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::ulid::Ulid;

/// Name of the file in a block.
pub(crate) const FILE: &str = "meta.json";
/// The one version there is.
pub(crate) const VERSION: u32 = 1;
/// A real one has a few hundred bytes, and one with thousands of sources some hundred thousand.
const BYTES_MAX: u64 = 16 << 20;

/// What a block says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BlockMeta {
    /// Name of the block.
    #[serde(with = "text")]
    pub ulid: Ulid,
    /// No sample is before this, in milliseconds since 1970.
    pub min_time: i64,
    /// All samples are before this, in milliseconds since 1970.
    pub max_time: i64,
    /// What is in it.
    #[serde(default)]
    pub stats: BlockStats,
    /// Where it comes from.
    #[serde(default)]
    pub compaction: Compaction,
    /// Version of this file.
    pub version: u32,
}

/// How much is in a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct BlockStats {
    /// Samples of all kinds.
    #[serde(skip_serializing_if = "is_zero")]
    pub num_samples: u64,
    /// Numbers; 0 also in blocks from before histograms.
    #[serde(skip_serializing_if = "is_zero")]
    pub num_float_samples: u64,
    /// Histograms.
    #[serde(skip_serializing_if = "is_zero")]
    pub num_histogram_samples: u64,
    /// Series.
    #[serde(skip_serializing_if = "is_zero")]
    pub num_series: u64,
    /// Chunks.
    #[serde(skip_serializing_if = "is_zero")]
    pub num_chunks: u64,
    /// Deleted intervals.
    #[serde(skip_serializing_if = "is_zero")]
    pub num_tombstones: u64,
}

/// Which blocks a block was made of.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Compaction {
    /// 1 for a block made of a head, one more with each merge.
    pub level: u32,
    /// The blocks of heads that it was made of.
    #[serde(with = "texts", skip_serializing_if = "Vec::is_empty")]
    pub sources: Vec<Ulid>,
    /// Nothing was left in it.
    #[serde(skip_serializing_if = "is_false")]
    pub deletable: bool,
    /// The blocks that it was merged of; it replaces them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub parents: Vec<Parent>,
    /// Merging it failed once.
    #[serde(skip_serializing_if = "is_false")]
    pub failed: bool,
    /// Words about its origin, such as `from-out-of-order`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub hints: Vec<String>,
}

/// A block that another one replaces.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Parent {
    /// Its name.
    #[serde(with = "text")]
    pub ulid: Ulid,
    /// As [`BlockMeta::min_time`].
    pub min_time: i64,
    /// As [`BlockMeta::max_time`].
    pub max_time: i64,
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

fn is_false(flag: &bool) -> bool {
    !flag
}

/// A name as text.
mod text {
    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};

    use crate::ulid::Ulid;

    pub(super) fn serialize<S: Serializer>(ulid: &Ulid, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(ulid)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Ulid, D::Error> {
        let text = String::deserialize(from)?;
        text.parse().map_err(D::Error::custom)
    }
}

/// Names as texts; Go writes an absent list as `null`.
mod texts {
    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};

    use crate::ulid::Ulid;

    pub(super) fn serialize<S: Serializer>(ulids: &[Ulid], to: S) -> Result<S::Ok, S::Error> {
        to.collect_seq(ulids.iter().map(|ulid| ulid.to_string()))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<Ulid>, D::Error> {
        let texts = Option::<Vec<String>>::deserialize(from)?.unwrap_or_default();
        let parsed = texts.iter().map(|text| text.parse());
        parsed.collect::<Result<_, _>>().map_err(D::Error::custom)
    }
}

impl BlockMeta {
    /// Reads the file in the block's folder.
    ///
    /// # Errors
    /// If it cannot be read or is not of the known version.
    pub fn read(disk: &dyn Disk, block: &Path) -> Result<BlockMeta, Error> {
        let path = block.join(FILE);
        let length = disk.file_length(&path).map_err(|e| Error::io(&path, e))?;
        if length > BYTES_MAX {
            return Err(Error::corrupt(&path, 0, format!("{length} bytes of JSON")));
        }
        let bytes = disk.map(&path).map_err(|e| Error::io(&path, e))?;
        let meta: BlockMeta = serde_json::from_slice(&bytes)
            .map_err(|error| Error::corrupt(&path, offset_of(&bytes, &error), error.to_string()))?;
        if meta.version != VERSION {
            let what = format!("block version {}", meta.version);
            return Err(Error::Unsupported { path, what });
        }
        Ok(meta)
    }

    /// The file's bytes, indented as Go does.
    pub(crate) fn to_json(&self) -> Vec<u8> {
        let mut out = Vec::new();
        let tabs = serde_json::ser::PrettyFormatter::with_indent(b"\t");
        self.serialize(&mut serde_json::Serializer::with_formatter(&mut out, tabs))
            .expect("numbers and texts always serialise into memory");
        out
    }
}

/// Where in the file an error of the parser lies.
fn offset_of(bytes: &[u8], error: &serde_json::Error) -> u64 {
    let lines = bytes.split_inclusive(|byte| *byte == b'\n');
    let before: usize = lines
        .take(error.line().saturating_sub(1))
        .map(<[u8]>::len)
        .sum();
    (before + error.column().saturating_sub(1)) as u64
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use disk::MemoryDisk;

    use super::*;

    fn read(json: &str) -> Result<BlockMeta, Error> {
        let disk = MemoryDisk::new();
        let dir = PathBuf::from("/b");
        disk.create_dir_all(&dir).unwrap();
        disk.create(&dir.join(FILE))
            .unwrap()
            .append(json.as_bytes())
            .unwrap();
        BlockMeta::read(&disk, &dir)
    }

    #[test]
    fn what_go_writes_is_read_and_written_again() {
        let json = "{\n\t\"ulid\": \"01BZJ9WJQPWHGNC2W4J9TA62KC\",\n\t\"minTime\": -5,\n\t\"maxTime\": 7,\n\t\"stats\": {\n\t\t\"numSamples\": 3\n\t},\n\t\"compaction\": {\n\t\t\"level\": 2,\n\t\t\"sources\": [\n\t\t\t\"01BZJ9WJQPWHGNC2W4J9TA62KC\"\n\t\t],\n\t\t\"parents\": [\n\t\t\t{\n\t\t\t\t\"ulid\": \"01BZJ9WJQPWHGNC2W4J9TA62KC\",\n\t\t\t\t\"minTime\": -5,\n\t\t\t\t\"maxTime\": 7\n\t\t\t}\n\t\t]\n\t},\n\t\"version\": 1\n}";
        let meta = read(json).unwrap();
        assert_eq!((meta.min_time, meta.stats.num_samples), (-5, 3));
        assert_eq!(String::from_utf8(meta.to_json()).unwrap(), json);
    }

    #[test]
    fn what_others_add_is_ignored_and_what_is_wrong_is_named() {
        let thanos = r#"{"ulid":"01BZJ9WJQPWHGNC2W4J9TA62KC","minTime":0,"maxTime":1,"version":1,"thanos":{"labels":{}},"compaction":{"level":1,"sources":null}}"#;
        assert_eq!(read(thanos).unwrap().compaction.level, 1);
        let other = thanos.replace("\"version\":1", "\"version\":2");
        assert_eq!(
            read(&other).unwrap_err().to_string(),
            "/b/meta.json: block version 2 is not supported"
        );
        let error = read(&thanos.replace("{\"ulid", "{\n\"ulid\":1,\"ulid")).unwrap_err();
        assert!(error.to_string().contains("at offset"), "{error}");
    }
}
