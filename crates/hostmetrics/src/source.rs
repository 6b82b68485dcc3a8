//! The files of the kernel, below some root.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

/// Bound of one file. `/proc/stat` of a machine with a thousand processors is some 200 kB, the
/// mounts of one with thousands of containers some megabytes.
const FILE_BYTES_MAX: u64 = 16 << 20;

/// There is nothing to show: a file is missing, cannot be read, or does not look as it should.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NoData;

#[derive(Debug)]
pub(crate) struct Source {
    root: PathBuf,
}

impl Source {
    pub(crate) fn new(root: PathBuf) -> Source {
        Source { root }
    }

    /// Where an absolute path of the machine lies.
    pub(crate) fn path(&self, path: &str) -> PathBuf {
        self.root.join(path.trim_start_matches('/'))
    }

    /// The text of a file, of which bytes that are no UTF-8 are replaced.
    pub(crate) fn read(&self, path: &str) -> Result<String, NoData> {
        read(&self.path(path))
    }

    /// The text of a file of one line, without the white space around it.
    pub(crate) fn read_line(&self, path: &str) -> Result<String, NoData> {
        Ok(self.read(path)?.trim().to_owned())
    }

    /// The number that is all of a file.
    pub(crate) fn read_number(&self, path: &str) -> Result<f64, NoData> {
        number(&self.read_line(path)?)
    }

    /// The names in a folder, sorted.
    pub(crate) fn list(&self, path: &str) -> Result<Vec<String>, NoData> {
        let entries = std::fs::read_dir(self.path(path)).map_err(|_| NoData)?;
        let mut names: Vec<String> = entries
            .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
            .collect();
        names.sort();
        Ok(names)
    }
}

fn read(path: &Path) -> Result<String, NoData> {
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(|_| NoData)?;
    file.take(FILE_BYTES_MAX)
        .read_to_end(&mut bytes)
        .map_err(|_| NoData)?;
    Ok(match String::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => String::from_utf8_lossy(error.as_bytes()).into_owned(),
    })
}

/// A number that must be one, and finite.
pub(crate) fn number(text: &str) -> Result<f64, NoData> {
    match text.parse::<f64>() {
        Ok(number) if number.is_finite() => Ok(number),
        _ => Err(NoData),
    }
}
