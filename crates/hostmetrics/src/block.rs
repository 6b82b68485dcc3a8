//! Block devices.

use crate::page::{Kind, Page};
use crate::source::{NoData, Source, number};

/// The unit of sectors in `/proc/diskstats`, whatever the device's own sectors are.
const SECTOR_BYTES: f64 = 512.0;
const MILLISECOND: f64 = 1e-3;

/// A column of `/proc/diskstats` after the device's name.
struct Column {
    name: &'static str,
    kind: Kind,
    factor: f64,
    help: &'static str,
}

const fn counter(name: &'static str, factor: f64, help: &'static str) -> Column {
    Column {
        name,
        kind: Kind::Counter,
        factor,
        help,
    }
}

/// In the order of the file. Kernels before 4.18 have the first 11, before 5.5 the first 15.
const COLUMNS: [Column; 17] = [
    counter("node_disk_reads_completed_total", 1.0, "Reads."),
    counter(
        "node_disk_reads_merged_total",
        1.0,
        "Reads that became part of another.",
    ),
    counter("node_disk_read_bytes_total", SECTOR_BYTES, "Bytes read."),
    counter(
        "node_disk_read_time_seconds_total",
        MILLISECOND,
        "Time of all reads together.",
    ),
    counter("node_disk_writes_completed_total", 1.0, "Writes."),
    counter(
        "node_disk_writes_merged_total",
        1.0,
        "Writes that became part of another.",
    ),
    counter(
        "node_disk_written_bytes_total",
        SECTOR_BYTES,
        "Bytes written.",
    ),
    counter(
        "node_disk_write_time_seconds_total",
        MILLISECOND,
        "Time of all writes together.",
    ),
    Column {
        name: "node_disk_io_now",
        kind: Kind::Gauge,
        factor: 1.0,
        help: "Operations under way.",
    },
    counter(
        "node_disk_io_time_seconds_total",
        MILLISECOND,
        "Time in which there was something to do.",
    ),
    counter(
        "node_disk_io_time_weighted_seconds_total",
        MILLISECOND,
        "Time of all operations together.",
    ),
    counter("node_disk_discards_completed_total", 1.0, "Discards."),
    counter(
        "node_disk_discards_merged_total",
        1.0,
        "Discards that became part of another.",
    ),
    counter(
        "node_disk_discarded_sectors_total",
        1.0,
        "Sectors discarded.",
    ),
    counter(
        "node_disk_discard_time_seconds_total",
        MILLISECOND,
        "Time of all discards together.",
    ),
    counter("node_disk_flush_requests_total", 1.0, "Flushes."),
    counter(
        "node_disk_flush_requests_time_seconds_total",
        MILLISECOND,
        "Time of all flushes together.",
    ),
];

/// Columns that every kernel has.
const COLUMNS_MIN: usize = 11;

pub(crate) fn collect(source: &Source, page: &mut Page<'_>) -> Result<(), NoData> {
    let text = source.read("/proc/diskstats")?;
    let mut devices: Vec<(&str, Vec<f64>)> = Vec::new();
    for line in text.lines() {
        let mut words = line.split_ascii_whitespace().skip(2);
        let Some(device) = words.next() else {
            continue;
        };
        if is_left_out(device) {
            continue;
        }
        let values: Vec<f64> = words.map(number).collect::<Result<_, _>>()?;
        if values.len() < COLUMNS_MIN {
            return Err(NoData);
        }
        devices.push((device, values));
    }
    for (index, column) in COLUMNS.iter().enumerate() {
        if !devices.iter().any(|(_, values)| values.len() > index) {
            continue;
        }
        page.family(column.name, column.kind, column.help);
        for (device, values) in &devices {
            if let Some(value) = values.get(index) {
                page.sample(&[("device", device)], value * column.factor);
            }
        }
    }
    Ok(())
}

/// Memory and loop devices, floppies and partitions: node_exporter's
/// `^(z?ram|loop|fd|(h|s|v|xv)d[a-z]|nvme\d+n\d+p)\d+$`.
fn is_left_out(device: &str) -> bool {
    let stem = device.trim_end_matches(|c: char| c.is_ascii_digit());
    if stem.len() == device.len() {
        return false;
    }
    let disk_letter = ["hd", "sd", "vd", "xvd"].iter().any(|kind| {
        matches!(stem.strip_prefix(kind).map(str::as_bytes), Some([letter]) if letter.is_ascii_lowercase())
    });
    let nvme_partition = || {
        let rest = stem.strip_prefix("nvme")?.strip_suffix('p')?;
        let (controller, namespace) = rest.split_once('n')?;
        let is_number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        (is_number(controller) && is_number(namespace)).then_some(())
    };
    matches!(stem, "ram" | "zram" | "loop" | "fd") || disk_letter || nvme_partition().is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partitions_are_left_out() {
        for device in [
            "loop0",
            "ram15",
            "zram0",
            "fd0",
            "sda1",
            "hdb12",
            "vdz3",
            "xvda1",
            "nvme0n1p2",
        ] {
            assert!(is_left_out(device), "{device}");
        }
        for device in [
            "sda",
            "vda",
            "nvme0n1",
            "md0",
            "dm-3",
            "sdaa1",
            "mmcblk0p1",
            "xvd1",
            "sr0",
            "nvmep1",
        ] {
            assert!(!is_left_out(device), "{device}");
        }
    }
}
