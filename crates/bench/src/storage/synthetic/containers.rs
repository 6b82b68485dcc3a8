//! What Telegraf reports of a container.

use super::host::MEMORY_BYTES;
use super::{Host, each};

const PAGE_BYTES: f64 = 4_096.0;

/// What runs in a container: some sit idle, some serve, some work in bursts, one is a database.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Role {
    /// Woken with this chance.
    Idle(f64),
    Web,
    Batch,
    Database,
}

const IMAGES: [(&str, Role); 10] = [
    ("redis", Role::Idle(0.2)),
    ("memcached", Role::Idle(0.4)),
    ("cron", Role::Idle(0.6)),
    ("exporter", Role::Idle(0.8)),
    ("api", Role::Web),
    ("frontend", Role::Web),
    ("worker", Role::Web),
    ("etl", Role::Batch),
    ("mailer", Role::Batch),
    ("postgres", Role::Database),
];

/// Share of the memory in use, step as a share of it, chance of a move.
const MEMORY_GAUGES: [(&str, f64, f64, f64); 13] = [
    ("active_anon", 0.01, 0.001, 0.1),
    ("active_file", 0.1, 0.001, 0.2),
    ("anon", 0.7, 0.003, 1.0),
    ("file", 0.25, 0.001, 0.5),
    ("file_dirty", 0.0005, 0.0005, 0.3),
    ("file_mapped", 0.1, 0.0001, 0.1),
    ("inactive_anon", 0.7, 0.003, 1.0),
    ("inactive_file", 0.15, 0.001, 0.4),
    ("slab", 0.02, 0.0001, 0.4),
    ("slab_reclaimable", 0.015, 0.0001, 0.3),
    ("slab_unreclaimable", 0.005, 0.000_05, 0.3),
    ("kernel_stack", 0.001, 0.000_02, 0.2),
    ("shmem", 0.001, 0.000_01, 0.02),
];
const MEMORY_ZEROS: [&str; 15] = [
    "anon_thp",
    "file_writeback",
    "pgdeactivate",
    "pglazyfree",
    "pglazyfreed",
    "pgrefill",
    "pgscan",
    "pgsteal",
    "sock",
    "thp_collapse_alloc",
    "thp_fault_alloc",
    "unevictable",
    "workingset_activate",
    "workingset_nodereclaim",
    "workingset_refault",
];
const THROTTLING: [(&str, f64, f64); 3] = [
    ("periods", 150.0, 1.0),
    ("throttled_periods", 10.0, 1.0),
    ("throttled_time", 3e7, 1_000.0),
];

type Labels<'a> = Vec<(&'a str, &'a str)>;

impl Host {
    /// All of container number `index`.
    pub(super) fn container(&mut self, index: usize) {
        let (image, role) = IMAGES[index % IMAGES.len()];
        let id = self.noise.container_id();
        let host = self.name.clone();
        let (minor, patch) = (self.noise.below(30), self.noise.below(9));
        let version = format!("1.{minor}.{patch}");
        let (image_name, name) = (
            format!("registry.example.com/platform/{image}"),
            format!("{image}-{index}"),
        );
        let labels = vec![
            ("container_id", id.as_str()),
            ("container_image", &image_name),
            ("container_name", &name),
            ("container_status", "running"),
            ("container_version", &version),
            ("engine_host", &host),
            ("server_version", "24.0.7"),
        ];
        let activity = self.container_activity(role);
        self.container_cpu(&labels, role, &activity);
        self.container_memory(&labels, role, &activity);
        self.container_io(&labels, &activity);
        self.container_status(&labels, index);
    }

    fn container_activity(&mut self, role: Role) -> Vec<f64> {
        let wake = |_| match role {
            Role::Idle(chance) if self.noise.chance(chance) => {
                0.01 * self.noise.lognormal(1.0, 0.7)
            }
            _ => 0.0,
        };
        match role {
            Role::Idle(_) => (0..self.count).map(wake).collect(),
            Role::Web => self.noise.activity(self.count, 0.3, 0.001),
            Role::Batch => self.noise.activity(self.count, 0.03, 0.01),
            Role::Database => self.noise.activity(self.count, 0.5, 0.003),
        }
    }

    /// Nanoseconds that the kernel counts in microseconds; the whole machine's in ticks.
    fn container_cpu(&mut self, labels: &Labels<'_>, role: Role, activity: &[f64]) {
        let mut labels = labels.clone();
        labels.push(("cpu", "cpu-total"));
        let mut nanoseconds = |per, start| {
            let micros = self.noise.counter(activity, per, 0.3, start, 1.0);
            each(&micros, |us| us * 1_000.0)
        };
        let user = nanoseconds(2e6, 9e10);
        let kernel = nanoseconds(6e5, 3e10);
        let total: Vec<f64> = user.iter().zip(&kernel).map(|(u, k)| u + k).collect();
        let mut machine = 7.3e15;
        let pass = |_| {
            machine += 120e9 + (self.noise.normal() * 12.0).round() * 1e7;
            machine
        };
        let machine: Vec<f64> = (0..self.count).map(pass).collect();
        let percent = |at: usize| {
            if at == 0 || total[at] == total[at - 1] {
                return 0.0;
            }
            (total[at] - total[at - 1]) / (machine[at] - machine[at - 1]) * 8.0 * 100.0
        };
        let percent = (0..self.count).map(percent).collect();
        for (name, values) in [
            ("usage_percent", percent),
            ("usage_total", total),
            ("usage_in_usermode", user),
            ("usage_in_kernelmode", kernel),
            ("usage_system", machine),
        ] {
            self.add(&format!("docker_container_cpu_{name}"), &labels, values);
        }
        for (name, per, quantum) in THROTTLING {
            let values = match role {
                Role::Database => self.noise.counter(activity, per, 0.2, per * 1e5, quantum),
                _ => vec![0.0; self.count],
            };
            let name = format!("docker_container_cpu_throttling_{name}");
            self.add(&name, &labels, values);
        }
    }

    fn container_memory(&mut self, labels: &Labels<'_>, role: Role, activity: &[f64]) {
        let (limit, moves) = match role {
            Role::Idle(_) => (MEMORY_BYTES, 0.08),
            Role::Web => (2_147_483_648.0, 0.9),
            Role::Batch => (2_147_483_648.0, 0.5),
            Role::Database => (2_147_483_648.0, 1.0),
        };
        let middle = self.noise.lognormal(2e8, 0.8);
        let walk = (middle, middle * 0.003, PAGE_BYTES, moves);
        let usage = self.noise.walk(self.count, walk);
        let name = |field: &str| format!("docker_container_mem_{field}");
        self.still(&name("limit"), labels, limit);
        let percent = each(&usage, |u| u / limit * 100.0);
        self.add(&name("usage_percent"), labels, percent);
        self.add(&name("usage"), labels, usage);
        for (field, share, step, chance) in MEMORY_GAUGES {
            let quantum = match field {
                "slab_unreclaimable" => 8.0,
                _ => PAGE_BYTES,
            };
            let walk = (middle * share, middle * step, quantum, chance * moves);
            self.gauge(&name(field), labels, walk);
        }
        self.zeros("docker_container_mem", &MEMORY_ZEROS, labels);
        for (field, per) in [("pgfault", 3_000.0), ("pgactivate", 3.0)] {
            let values = self.noise.counter(activity, per, 0.5, per * 9_000.0, 1.0);
            self.add(&name(field), labels, values);
        }
        let major = self.noise.rare(self.count, 0.0005, 43.0);
        self.add(&name("pgmajfault"), labels, major);
    }

    fn container_io(&mut self, labels: &Labels<'_>, activity: &[f64]) {
        let mut network = labels.clone();
        // Telegraf's default: the sum of all interfaces only.
        network.push(("network", "total"));
        for (field, per, sigma) in [
            ("rx_bytes", 3e6, 0.5),
            ("tx_bytes", 8e6, 0.5),
            ("rx_packets", 6e3, 0.4),
            ("tx_packets", 7e3, 0.4),
        ] {
            let values = self.noise.counter(activity, per, sigma, per * 7e4, 1.0);
            self.add(&format!("docker_container_net_{field}"), &network, values);
        }
        let never = ["rx_dropped", "rx_errors", "tx_dropped", "tx_errors"];
        self.zeros("docker_container_net", &never, &network);
        let mut device = labels.clone();
        device.push(("device", "total"));
        let write = |busy: &f64| match self.noise.chance(0.3) {
            true => *busy,
            false => 0.0,
        };
        let writes: Vec<f64> = activity.iter().map(write).collect();
        for (field, per, quantum) in [
            ("io_service_bytes_recursive_write", 2e6, PAGE_BYTES),
            ("io_serviced_recursive_write", 90.0, 1.0),
        ] {
            let values = self.noise.counter(&writes, per, 0.8, per * 5e4, quantum);
            self.add(&format!("docker_container_blkio_{field}"), &device, values);
        }
        for (field, value) in [
            ("io_service_bytes_recursive_read", 48_234_496.0),
            ("io_serviced_recursive_read", 1_377.0),
            ("io_service_bytes_recursive_discard", 0.0),
            ("io_serviced_recursive_discard", 0.0),
        ] {
            self.still(&format!("docker_container_blkio_{field}"), &device, value);
        }
    }

    fn container_status(&mut self, labels: &Labels<'_>, index: usize) {
        let never = ["exitcode", "oomkilled", "restart_count"];
        self.zeros("docker_container_status", &never, labels);
        let pid = self.noise.range(2_000.0, 4e6).floor();
        self.still("docker_container_status_pid", labels, pid);
        let started = 1.767_123_456_789_012_2e18 + index as f64 * 1e9;
        self.still("docker_container_status_started_at", labels, started);
        let start = self.noise.range(1e14, 2e15).floor();
        let uptime = |at: usize| start + 15e9 * at as f64 + self.noise.lognormal(3e6, 0.8).round();
        let uptime = (0..self.count).map(uptime).collect();
        self.add("docker_container_status_uptime_ns", labels, uptime);
    }
}
