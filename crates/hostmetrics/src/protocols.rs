//! Counters of the network protocols, and what sockets hold.

use std::collections::BTreeMap;

use crate::page::{Kind, Page};
use crate::source::{NoData, Source, number};

/// The counters of IP, ICMP, TCP and UDP that node_exporter shows by default.
pub(crate) fn netstat(source: &Source, page: &mut Page<'_>) -> Result<(), NoData> {
    let mut counters = BTreeMap::new();
    for path in ["/proc/net/netstat", "/proc/net/snmp"] {
        add_tables(&source.read(path)?, &mut counters)?;
    }
    // A kernel without IPv6 does not have it.
    if let Ok(text) = source.read("/proc/net/snmp6") {
        add_lines(&text, &mut counters)?;
    }
    for (name, value) in counters {
        if is_shown(&name) {
            page.single(
                &format!("node_netstat_{name}"),
                Kind::Untyped,
                "A counter of the network protocols.",
                value,
            );
        }
    }
    Ok(())
}

/// Pairs of lines: `Tcp: name name …`, then `Tcp: value value …`.
fn add_tables(text: &str, counters: &mut BTreeMap<String, f64>) -> Result<(), NoData> {
    let mut lines = text.lines();
    while let (Some(names), Some(values)) = (lines.next(), lines.next()) {
        let (protocol, names) = names.split_once(':').ok_or(NoData)?;
        let (same_protocol, values) = values.split_once(':').ok_or(NoData)?;
        if protocol != same_protocol {
            return Err(NoData);
        }
        let names = names.split_ascii_whitespace();
        for (name, value) in names.zip(values.split_ascii_whitespace()) {
            counters.insert(format!("{protocol}_{name}"), number(value)?);
        }
    }
    Ok(())
}

/// `Ip6InReceives 12`: the protocol ends with the first 6.
fn add_lines(text: &str, counters: &mut BTreeMap<String, f64>) -> Result<(), NoData> {
    for line in text.lines() {
        let mut words = line.split_ascii_whitespace();
        let (Some(name), Some(value)) = (words.next(), words.next()) else {
            continue;
        };
        if let Some((protocol, name)) = name.split_once('6') {
            counters.insert(format!("{protocol}6_{name}"), number(value)?);
        }
    }
    Ok(())
}

fn is_shown(name: &str) -> bool {
    let Some((protocol, counter)) = name.split_once('_') else {
        return false;
    };
    if matches!(counter, "InErrors" | "InErrs") {
        return true;
    }
    match protocol {
        "Ip" => counter == "Forwarding",
        "Ip6" | "IpExt" => matches!(counter, "InOctets" | "OutOctets"),
        "Icmp" | "Icmp6" => matches!(counter, "InMsgs" | "OutMsgs"),
        "TcpExt" => {
            counter.starts_with("Listen")
                || counter.starts_with("Syncookies")
                || matches!(
                    counter,
                    "TCPSynRetrans" | "TCPTimeouts" | "TCPOFOQueue" | "TCPRcvQDrop"
                )
        }
        "Tcp" => matches!(
            counter,
            "ActiveOpens"
                | "InSegs"
                | "OutSegs"
                | "OutRsts"
                | "PassiveOpens"
                | "RetransSegs"
                | "CurrEstab"
        ),
        "Udp" | "Udp6" => matches!(
            counter,
            "InDatagrams" | "OutDatagrams" | "NoPorts" | "RcvbufErrors" | "SndbufErrors"
        ),
        _ => false,
    }
}

/// Lines of `/proc/net/sockstat`: `TCP: inuse 4 orphan 0 … mem 141`, where `mem` counts pages.
pub(crate) fn sockstat(source: &Source, page: &mut Page<'_>) -> Result<(), NoData> {
    let mut text = source.read("/proc/net/sockstat")?;
    if let Ok(more) = source.read("/proc/net/sockstat6") {
        text.push_str(&more);
    }
    for line in text.lines() {
        let (protocol, pairs) = line.split_once(':').ok_or(NoData)?;
        let mut words = pairs.split_ascii_whitespace();
        while let (Some(key), Some(value)) = (words.next(), words.next()) {
            let value = number(value)?;
            let name = format!("node_sockstat_{protocol}_{key}");
            page.single(&name, Kind::Gauge, "A number of /proc/net/sockstat.", value);
            if key == "mem" {
                page.single(
                    &format!("{name}_bytes"),
                    Kind::Gauge,
                    "Memory of the protocol's sockets.",
                    value * rustix::param::page_size() as f64,
                );
            }
        }
    }
    Ok(())
}
