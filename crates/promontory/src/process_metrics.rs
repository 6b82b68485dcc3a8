//! The server's process as metrics: `process_*`, `prometheus_build_info`, and the few `go_*` that
//! public dashboards read.

use std::path::Path;

use telemetry::Registry;

/// `USER_HZ`, which Linux has fixed at 100 for user space.
const TICKS_PER_SECOND: f64 = 100.0;

/// Declares them; they are read from `/proc/self` when they are asked for.
pub(crate) fn register(registry: &Registry, start_seconds: f64) {
    registry
        .gauge_vec(
            "prometheus_build_info",
            "A metric with a constant '1' value labeled by version, revision, branch, goversion from which prometheus was built, and the goos and goarch for the build.",
            &["version", "revision", "branch", "goversion", "goos", "goarch", "tags"],
        )
        .with(&[
            crate::VERSION,
            crate::OWN_VERSION,
            "",
            "",
            std::env::consts::OS,
            std::env::consts::ARCH,
            "promontory",
        ])
        .set(1.0);
    registry.gauge_fn(
        "process_start_time_seconds",
        "Start time of the process since unix epoch in seconds.",
        move || start_seconds,
    );
    registry.counter_fn(
        "process_cpu_seconds_total",
        "Total user and system CPU time spent in seconds.",
        || stat_fields(&[11, 12]).iter().sum::<f64>() / TICKS_PER_SECOND,
    );
    registry.gauge_fn(
        "process_resident_memory_bytes",
        "Resident memory size in bytes.",
        || status_kib("VmRSS:") * 1024.0,
    );
    registry.gauge_fn(
        "process_virtual_memory_bytes",
        "Virtual memory size in bytes.",
        || stat_fields(&[20])[0],
    );
    registry.gauge_fn(
        "process_open_fds",
        "Number of open file descriptors.",
        || std::fs::read_dir("/proc/self/fd").map_or(f64::NAN, |entries| entries.count() as f64),
    );
    registry.gauge_fn(
        "process_max_fds",
        "Maximum number of open file descriptors.",
        || limit("Max open files"),
    );
    registry.gauge_fn(
        "process_virtual_memory_max_bytes",
        "Maximum amount of virtual memory available in bytes.",
        || limit("Max address space"),
    );
    registry.counter_fn(
        "process_network_receive_bytes_total",
        "Number of bytes received by the process over the network.",
        || network_bytes("InOctets"),
    );
    registry.counter_fn(
        "process_network_transmit_bytes_total",
        "Number of bytes sent by the process over the network.",
        || network_bytes("OutOctets"),
    );
    registry.gauge_fn(
        "go_goroutines",
        "Number of threads of this process, under the name that dashboards read.",
        || thread_count() as f64,
    );
}

/// Threads of this process.
pub(crate) fn thread_count() -> u64 {
    stat_fields(&[17])[0] as u64
}

/// Fields of `/proc/self/stat`, counted after the name in parentheses; NaN if it cannot be read.
fn stat_fields(fields: &[usize]) -> Vec<f64> {
    let text = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after = text.rsplit_once(')').map_or("", |(_, after)| after);
    let all: Vec<&str> = after.split_whitespace().collect();
    let field = |at: &usize| {
        all.get(*at)
            .and_then(|text| text.parse().ok())
            .unwrap_or(f64::NAN)
    };
    fields.iter().map(field).collect()
}

fn status_kib(name: &str) -> f64 {
    let text = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    line.and_then(|rest| rest.split_whitespace().next()?.parse().ok())
        .unwrap_or(f64::NAN)
}

/// The soft limit of that name; the largest number of 64 bits if there is none, as Go's client has it.
fn limit(name: &str) -> f64 {
    let text = std::fs::read_to_string(Path::new("/proc/self/limits")).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    let soft = line.and_then(|rest| rest.split_whitespace().next());
    match soft {
        Some("unlimited") => u64::MAX as f64,
        Some(count) => count.parse().unwrap_or(f64::NAN),
        None => f64::NAN,
    }
}

/// A counter of the line `IpExt`. It is the network namespace's: the kernel has none of a process,
/// and Go's client shows this one.
fn network_bytes(name: &str) -> f64 {
    let text = std::fs::read_to_string("/proc/self/net/netstat").unwrap_or_default();
    let mut lines = text.lines().filter_map(|line| line.strip_prefix("IpExt:"));
    let (Some(names), Some(values)) = (lines.next(), lines.next()) else {
        return f64::NAN;
    };
    let mut counters = names.split_whitespace().zip(values.split_whitespace());
    let found = counters.find(|(counter, _)| *counter == name);
    found
        .and_then(|(_, value)| value.parse().ok())
        .unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_process_is_read() {
        let registry = Registry::new(clock::SystemClock::shared());
        register(&registry, 12.5);
        let mut text = String::new();
        registry.expose(&mut text);
        let value = |name: &str| -> f64 {
            let line = text
                .lines()
                .find(|l| l.starts_with(&format!("{name} ")))
                .unwrap();
            line.rsplit_once(' ').unwrap().1.parse().unwrap()
        };
        assert_eq!(value("process_start_time_seconds"), 12.5);
        assert!(value("process_resident_memory_bytes") > 100_000.0);
        assert!(value("process_virtual_memory_bytes") > value("process_resident_memory_bytes"));
        assert!(value("process_open_fds") >= 3.0);
        assert!(value("process_max_fds") >= value("process_open_fds"));
        assert!(value("process_virtual_memory_max_bytes") > 0.0);
        assert!(value("process_network_receive_bytes_total") >= 0.0);
        assert!(value("process_network_transmit_bytes_total") >= 0.0);
        assert!(value("go_goroutines") >= 1.0);
        assert!(value("process_cpu_seconds_total") >= 0.0);
    }
}
