//! Network devices.

use crate::page::{Kind, Page};
use crate::source::{NoData, Source, number};

/// The columns of `/proc/net/dev`: first of what comes in, then of what goes out.
const RECEIVE: [&str; 8] = [
    "bytes",
    "packets",
    "errs",
    "drop",
    "fifo",
    "frame",
    "compressed",
    "multicast",
];
const TRANSMIT: [&str; 8] = [
    "bytes",
    "packets",
    "errs",
    "drop",
    "fifo",
    "colls",
    "carrier",
    "compressed",
];

pub(crate) fn netdev(source: &Source, page: &mut Page<'_>) -> Result<(), NoData> {
    let text = source.read("/proc/net/dev")?;
    let mut devices: Vec<(&str, Vec<f64>)> = Vec::new();
    // Two lines say what the columns are.
    for line in text.lines().skip(2) {
        // A name may have colons, in old kernels, and there may be no space after the last one.
        let (device, values) = line.rsplit_once(':').ok_or(NoData)?;
        let values: Vec<f64> = values
            .split_ascii_whitespace()
            .map(number)
            .collect::<Result<_, _>>()?;
        if values.len() != RECEIVE.len() + TRANSMIT.len() {
            return Err(NoData);
        }
        devices.push((device.trim(), values));
    }
    let columns = RECEIVE
        .iter()
        .map(|name| ("receive", name))
        .chain(TRANSMIT.iter().map(|name| ("transmit", name)));
    for (index, (direction, column)) in columns.enumerate() {
        let name = format!("node_network_{direction}_{column}_total");
        page.family(&name, Kind::Counter, "A column of /proc/net/dev.");
        for (device, values) in &devices {
            page.sample(&[("device", device)], values[index]);
        }
    }
    Ok(())
}

/// A file of a device's folder below `/sys/class/net` that holds a number.
struct Attribute {
    file: &'static str,
    name: &'static str,
    kind: Kind,
    factor: f64,
    help: &'static str,
}

const ATTRIBUTES: [Attribute; 7] = [
    Attribute {
        file: "carrier",
        name: "node_network_carrier",
        kind: Kind::Gauge,
        factor: 1.0,
        help: "Whether there is a carrier.",
    },
    Attribute {
        file: "carrier_changes",
        name: "node_network_carrier_changes_total",
        kind: Kind::Counter,
        factor: 1.0,
        help: "How often the carrier came or went.",
    },
    Attribute {
        file: "carrier_down_count",
        name: "node_network_carrier_down_changes_total",
        kind: Kind::Counter,
        factor: 1.0,
        help: "How often the carrier went.",
    },
    Attribute {
        file: "carrier_up_count",
        name: "node_network_carrier_up_changes_total",
        kind: Kind::Counter,
        factor: 1.0,
        help: "How often the carrier came.",
    },
    Attribute {
        file: "mtu",
        name: "node_network_mtu_bytes",
        kind: Kind::Gauge,
        factor: 1.0,
        help: "The largest packet.",
    },
    Attribute {
        file: "speed",
        name: "node_network_speed_bytes",
        kind: Kind::Gauge,
        // The file has megabits.
        factor: 125_000.0,
        help: "Bytes a second that the link can carry.",
    },
    Attribute {
        file: "tx_queue_len",
        name: "node_network_transmit_queue_length",
        kind: Kind::Gauge,
        factor: 1.0,
        help: "Packets that may wait to be sent.",
    },
];

pub(crate) fn netclass(source: &Source, page: &mut Page<'_>) -> Result<(), NoData> {
    // Bonding puts files beside the folders of the devices; they have no state.
    let devices: Vec<(String, String)> = source
        .list("/sys/class/net")?
        .into_iter()
        .filter_map(|device| {
            let state = source.read_line(&format!("/sys/class/net/{device}/operstate"));
            state.ok().map(|state| (device, state))
        })
        .collect();
    page.family("node_network_up", Kind::Gauge, "Whether the device is up.");
    for (device, state) in &devices {
        page.sample(&[("device", device)], f64::from(u8::from(state == "up")));
    }
    page.family(
        "node_network_info",
        Kind::Gauge,
        "What a device says about itself.",
    );
    for (device, state) in &devices {
        info(source, page, device, state);
    }
    for attribute in &ATTRIBUTES {
        let values: Vec<(&str, f64)> = devices
            .iter()
            .filter_map(|(device, _)| {
                let path = format!("/sys/class/net/{device}/{}", attribute.file);
                // A device that is down may refuse to answer, or say that its speed is -1.
                let value = source.read_number(&path).ok()?;
                (value >= 0.0).then_some((device.as_str(), value * attribute.factor))
            })
            .collect();
        if values.is_empty() {
            continue;
        }
        page.family(attribute.name, attribute.kind, attribute.help);
        for (device, value) in values {
            page.sample(&[("device", device)], value);
        }
    }
    Ok(())
}

fn info(source: &Source, page: &mut Page<'_>, device: &str, operstate: &str) {
    const UP: u64 = 1;
    let read = |file: &str| {
        source
            .read_line(&format!("/sys/class/net/{device}/{file}"))
            .unwrap_or_default()
    };
    let (address, broadcast) = (read("address"), read("broadcast"));
    let (duplex, alias) = (read("duplex"), read("ifalias"));
    let flags = u64::from_str_radix(read("flags").trim_start_matches("0x"), 16);
    let adminstate = match flags {
        Ok(flags) if flags & UP != 0 => "up",
        Ok(_) => "down",
        Err(_) => "",
    };
    let labels = [
        ("address", address.as_str()),
        ("adminstate", adminstate),
        ("broadcast", &broadcast),
        ("device", device),
        ("duplex", &duplex),
        ("ifalias", &alias),
        ("operstate", operstate),
    ];
    page.sample(&labels, 1.0);
}
