//! What the tests share: blocks in memory, and their contents in a form that can be compared.

use std::path::{Path, PathBuf};

use disk::{Disk, MemoryDisk};
use model::{FloatHistogram, Histogram, Labels};
use promblock::{Block, BlockWriter, Error, Sample, Ulid, Value, WriterOptions};

/// A series with its samples.
pub(crate) type Contents = Vec<(Labels, Vec<Sample>)>;

pub(crate) fn float(timestamp_ms: i64, value: f64) -> Sample {
    Sample {
        timestamp_ms,
        start_timestamp_ms: 0,
        value: Value::Float(value),
    }
}

pub(crate) fn histogram(timestamp_ms: i64, histogram: FloatHistogram) -> Sample {
    Sample {
        timestamp_ms,
        start_timestamp_ms: 0,
        value: Value::Histogram(Box::new(histogram)),
    }
}

pub(crate) fn integers(timestamp_ms: i64, histogram: Histogram) -> Sample {
    Sample {
        timestamp_ms,
        start_timestamp_ms: 0,
        value: Value::IntegerHistogram(Box::new(histogram)),
    }
}

pub(crate) fn labels(pairs: &[(&str, &str)]) -> Labels {
    Labels::from_pairs(pairs.iter().copied())
}

/// A sample as text in which every bit of its floats shows.
pub(crate) fn exact(sample: &Sample) -> String {
    let value = match &sample.value {
        Value::Float(value) => format!("{:016x}", value.to_bits()),
        Value::Histogram(h) => format!("{h:?} {:016x}", h.sum.to_bits()),
        Value::IntegerHistogram(h) => format!("{h:?} {:016x}", h.sum.to_bits()),
    };
    format!(
        "{} {} {value}",
        sample.timestamp_ms, sample.start_timestamp_ms
    )
}

/// A line for every series and sample.
pub(crate) fn lines(contents: &Contents) -> Vec<String> {
    let lines = contents.iter().flat_map(|(labels, samples)| {
        samples
            .iter()
            .map(move |sample| format!("{labels} {}", exact(sample)))
    });
    lines.collect()
}

pub(crate) fn ulid() -> Ulid {
    Ulid::new(1_700_000_000_000, 7)
}

/// Writes a block into `dir` and gives its folder.
pub(crate) fn write(disk: &dyn Disk, dir: &Path, contents: &Contents) -> Result<PathBuf, Error> {
    let mut writer = BlockWriter::create(disk, dir, WriterOptions::new(ulid()))?;
    for (labels, samples) in contents {
        writer.add_series(labels, samples.iter().cloned())?;
    }
    let meta = writer.finish()?.expect("there are samples");
    Ok(dir.join(meta.ulid.to_string()))
}

/// Reads all of a block.
pub(crate) fn read(disk: &dyn Disk, block: &Path) -> Result<Contents, Error> {
    let block = Block::open(disk, block)?;
    let mut contents = Vec::new();
    for series in block.series() {
        let series = series?;
        let samples: Result<Vec<Sample>, Error> = block.samples(&series).collect();
        contents.push((series.labels().clone(), samples?));
    }
    Ok(contents)
}

/// A memory disk with one block on it.
pub(crate) fn memory_block(contents: &Contents) -> (MemoryDisk, PathBuf) {
    let disk = MemoryDisk::new();
    let dir = Path::new("/data");
    disk.create_dir_all(dir).unwrap();
    let block = write(&disk, dir, contents).unwrap();
    (disk, block)
}
