//! What concerns the system as a whole.

use crate::page::{Kind, Page};
use crate::source::{NoData, Source, number};

pub(crate) fn loadavg(source: &Source, page: &mut Page<'_>) -> Result<(), NoData> {
    let text = source.read("/proc/loadavg")?;
    let mut words = text.split_ascii_whitespace();
    for minutes in [1, 5, 15] {
        let load = number(words.next().ok_or(NoData)?)?;
        page.single(
            &format!("node_load{minutes}"),
            Kind::Gauge,
            &format!("Load average over {minutes} min."),
            load,
        );
    }
    Ok(())
}

/// The lines of `/proc/stat` that are not of processors.
pub(crate) fn stat(source: &Source, page: &mut Page<'_>) -> Result<(), NoData> {
    const LINES: [(&str, &str, Kind, &str); 6] = [
        (
            "btime",
            "node_boot_time_seconds",
            Kind::Gauge,
            "When the system was started, since 1970.",
        ),
        (
            "ctxt",
            "node_context_switches_total",
            Kind::Counter,
            "Switches between tasks.",
        ),
        (
            "processes",
            "node_forks_total",
            Kind::Counter,
            "Processes and threads that were made.",
        ),
        (
            "intr",
            "node_intr_total",
            Kind::Counter,
            "Interrupts that were served.",
        ),
        (
            "procs_blocked",
            "node_procs_blocked",
            Kind::Gauge,
            "Processes that wait for input or output.",
        ),
        (
            "procs_running",
            "node_procs_running",
            Kind::Gauge,
            "Processes that run or could run.",
        ),
    ];
    let text = source.read("/proc/stat")?;
    for (key, name, kind, help) in LINES {
        let value = text
            .lines()
            .filter_map(|line| line.split_once(' '))
            .find(|(word, _)| *word == key)
            .and_then(|(_, rest)| rest.split_ascii_whitespace().next())
            .ok_or(NoData)?;
        page.single(name, kind, help, number(value)?);
    }
    Ok(())
}

pub(crate) fn filefd(source: &Source, page: &mut Page<'_>) -> Result<(), NoData> {
    let text = source.read("/proc/sys/fs/file-nr")?;
    let mut words = text.split_ascii_whitespace();
    let allocated = number(words.next().ok_or(NoData)?)?;
    let maximum = number(words.nth(1).ok_or(NoData)?)?;
    page.single(
        "node_filefd_allocated",
        Kind::Gauge,
        "File handles in use.",
        allocated,
    );
    page.single(
        "node_filefd_maximum",
        Kind::Gauge,
        "File handles that there may be.",
        maximum,
    );
    Ok(())
}

pub(crate) fn entropy(source: &Source, page: &mut Page<'_>) -> Result<(), NoData> {
    for (file, name, help) in [
        (
            "entropy_avail",
            "node_entropy_available_bits",
            "Entropy that the random number generator holds.",
        ),
        (
            "poolsize",
            "node_entropy_pool_size_bits",
            "Entropy that it can hold.",
        ),
    ] {
        let bits = source.read_number(&format!("/proc/sys/kernel/random/{file}"))?;
        page.single(name, Kind::Gauge, help, bits);
    }
    Ok(())
}

pub(crate) fn uname(source: &Source, page: &mut Page<'_>) -> Result<(), NoData> {
    let read = |name: &str| source.read_line(&format!("/proc/sys/kernel/{name}"));
    let sysname = read("ostype")?;
    let release = read("osrelease")?;
    let version = read("version")?;
    let nodename = read("hostname")?;
    let domainname = read("domainname")?;
    // Kernels before 6.1 do not say it; then it is what this program was built for.
    let machine = read("arch").unwrap_or_else(|_| std::env::consts::ARCH.to_owned());
    page.family(
        "node_uname_info",
        Kind::Gauge,
        "What the system calls itself.",
    );
    let labels = [
        ("domainname", domainname.as_str()),
        ("machine", &machine),
        ("nodename", &nodename),
        ("release", &release),
        ("sysname", &sysname),
        ("version", &version),
    ];
    page.sample(&labels, 1.0);
    Ok(())
}

/// Time that tasks had to wait for something, from `/proc/pressure`. Which files and lines there
/// are depends on the kernel.
pub(crate) fn pressure(source: &Source, page: &mut Page<'_>) -> Result<(), NoData> {
    const MICROSECONDS: f64 = 1e6;
    let mut found = false;
    for (file, line, name, help) in [
        (
            "cpu",
            "some",
            "node_pressure_cpu_waiting_seconds_total",
            "Time in which some task waited for a processor.",
        ),
        (
            "io",
            "some",
            "node_pressure_io_waiting_seconds_total",
            "Time in which some task waited for input or output.",
        ),
        (
            "io",
            "full",
            "node_pressure_io_stalled_seconds_total",
            "Time in which all tasks waited for input or output.",
        ),
        (
            "irq",
            "full",
            "node_pressure_irq_stalled_seconds_total",
            "Time in which all tasks waited for interrupts.",
        ),
        (
            "memory",
            "some",
            "node_pressure_memory_waiting_seconds_total",
            "Time in which some task waited for memory.",
        ),
        (
            "memory",
            "full",
            "node_pressure_memory_stalled_seconds_total",
            "Time in which all tasks waited for memory.",
        ),
    ] {
        let Ok(text) = source.read(&format!("/proc/pressure/{file}")) else {
            continue;
        };
        let total = text
            .lines()
            .find(|text| text.split_ascii_whitespace().next() == Some(line))
            .and_then(|text| text.rsplit_once("total="));
        if let Some((_, total)) = total {
            page.single(
                name,
                Kind::Counter,
                help,
                number(total.trim())? / MICROSECONDS,
            );
            found = true;
        }
    }
    found.then_some(()).ok_or(NoData)
}
