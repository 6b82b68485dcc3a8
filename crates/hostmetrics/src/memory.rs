//! Memory.

use crate::page::{Kind, Page};
use crate::source::{NoData, Source, number};

/// Every line of `/proc/meminfo`: `Active(anon): 12 kB` is `node_memory_Active_anon_bytes`.
pub(crate) fn meminfo(source: &Source, page: &mut Page<'_>) -> Result<(), NoData> {
    let text = source.read("/proc/meminfo")?;
    let mut found = false;
    for line in text.lines() {
        let Some((name, rest)) = line.split_once(':') else {
            continue;
        };
        let mut words = rest.split_ascii_whitespace();
        let value = number(words.next().ok_or(NoData)?)?;
        let (suffix, factor) = match words.next() {
            Some("kB") => ("_bytes", 1024.0),
            _ => ("", 1.0),
        };
        let name = format!("node_memory_{}{suffix}", metric_name_part(name));
        page.single(
            &name,
            Kind::Gauge,
            "A line of /proc/meminfo.",
            value * factor,
        );
        found = true;
    }
    found.then_some(()).ok_or(NoData)
}

/// `Active(anon)` as `Active_anon`.
fn metric_name_part(name: &str) -> String {
    name.trim_end_matches(')')
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '_' })
        .collect()
}

/// Paging, swapping and kills from `/proc/vmstat`; its other lines are left out, as node_exporter
/// does.
pub(crate) fn vmstat(source: &Source, page: &mut Page<'_>) -> Result<(), NoData> {
    let text = source.read("/proc/vmstat")?;
    for line in text.lines() {
        let Some((name, value)) = line.split_once(' ') else {
            continue;
        };
        let wanted = name.starts_with("oom_kill")
            || name.starts_with("pgpg")
            || name.starts_with("pswp")
            || (name.starts_with("pg") && name.contains("fault"));
        if wanted {
            let name = format!("node_vmstat_{}", metric_name_part(name));
            page.single(
                &name,
                Kind::Untyped,
                "A line of /proc/vmstat.",
                number(value.trim())?,
            );
        }
    }
    Ok(())
}
