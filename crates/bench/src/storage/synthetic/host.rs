//! What Telegraf reports of a host itself.

use super::{Host, each};

const CPUS: usize = 8;
/// `/proc/stat` counts in hundredths of a second.
const TICKS_PER_SECOND: f64 = 100.0;
const CPU_FIELDS: [&str; 10] = [
    "user",
    "system",
    "idle",
    "nice",
    "iowait",
    "irq",
    "softirq",
    "steal",
    "guest",
    "guest_nice",
];
/// Ticks of each field when the data starts.
const CPU_STARTS: [u64; 7] = [4_000_000, 1_500_000, 90_000_000, 100, 60_000, 0, 30_000];
/// The first eight fields make the whole; guests are in user and nice already.
const CPU_FIELDS_OF_TOTAL: usize = 8;

pub(super) const MEMORY_BYTES: f64 = 33_512_394_752.0;
const PAGE_BYTES: f64 = 4_096.0;

/// Middle, step, chance of a move; all in pages.
const MEMORY_GAUGES: [(&str, f64, f64, f64); 12] = [
    ("active", 9e9, 9e6, 1.0),
    ("inactive", 1.2e10, 5e6, 1.0),
    ("slab", 1.4e9, 3e5, 0.8),
    ("sreclaimable", 1.1e9, 2e5, 0.7),
    ("sunreclaim", 3e8, 6e4, 0.6),
    ("page_tables", 9e7, 9e4, 0.7),
    ("dirty", 3e6, 1.5e6, 1.0),
    ("write_back", 1e4, 3e4, 0.05),
    ("mapped", 1.8e9, 4e5, 0.6),
    ("shared", 2e8, 2e4, 0.05),
    ("committed_as", 2.4e10, 4e6, 0.9),
    ("vmalloc_used", 1.2e8, 1.6e4, 0.1),
];
const MEMORY_CONSTANTS: [(&str, f64); 14] = [
    ("commit_limit", 16_756_195_328.0),
    ("swap_total", 0.0),
    ("swap_free", 0.0),
    ("swap_cached", 0.0),
    ("vmalloc_total", 35_184_372_087_808.0),
    ("vmalloc_chunk", 0.0),
    ("huge_page_size", 2_097_152.0),
    ("huge_pages_total", 0.0),
    ("huge_pages_free", 0.0),
    ("low_free", 0.0),
    ("low_total", 0.0),
    ("high_free", 0.0),
    ("high_total", 0.0),
    ("write_back_tmp", 0.0),
];

/// A counter that follows activity: name, growth for a unit of it, spread, start, quantum.
type Busy = (&'static str, f64, f64, f64, f64);

const DISK_READS: [Busy; 4] = [
    ("reads", 40.0, 0.8, 5e6, 1.0),
    ("read_bytes", 1.2e6, 1.0, 2e11, PAGE_BYTES),
    ("read_time", 30.0, 0.8, 3e6, 1.0),
    ("merged_reads", 5.0, 0.9, 1e6, 1.0),
];
const DISK_WRITES: [Busy; 6] = [
    ("writes", 300.0, 0.3, 9e7, 1.0),
    ("write_bytes", 9e6, 0.5, 4e12, 512.0),
    ("write_time", 400.0, 0.6, 8e7, 1.0),
    ("io_time", 200.0, 0.4, 5e7, 4.0),
    ("weighted_io_time", 420.0, 0.6, 8.4e7, 1.0),
    ("merged_writes", 150.0, 0.5, 6e7, 1.0),
];
const INTERFACE: [Busy; 4] = [
    ("bytes_sent", 2.5e7, 0.4, 7e12, 1.0),
    ("bytes_recv", 1.1e7, 0.4, 3e12, 1.0),
    ("packets_sent", 2.4e4, 0.4, 8e9, 1.0),
    ("packets_recv", 2.1e4, 0.4, 6e9, 1.0),
];
/// Name, growth for a unit of activity.
const PROTOCOLS: [(&str, f64); 17] = [
    ("tcp_insegs", 2.2e4),
    ("tcp_outsegs", 2.5e4),
    ("tcp_activeopens", 60.0),
    ("tcp_passiveopens", 90.0),
    ("tcp_attemptfails", 2.0),
    ("tcp_estabresets", 5.0),
    ("tcp_retranssegs", 8.0),
    ("tcp_outrsts", 10.0),
    ("udp_indatagrams", 300.0),
    ("udp_outdatagrams", 300.0),
    ("udp_noports", 0.05),
    ("ip_inreceives", 2.3e4),
    ("ip_indelivers", 2.3e4),
    ("ip_outrequests", 2.6e4),
    ("ip_inaddrerrors", 0.02),
    ("icmp_inmsgs", 0.5),
    ("icmp_outmsgs", 0.5),
];
const KERNEL: [Busy; 5] = [
    ("context_switches", 3e5, 0.25, 2e11, 1.0),
    ("interrupts", 2e5, 0.25, 1.3e11, 1.0),
    ("processes_forked", 90.0, 0.25, 4e7, 1.0),
    ("disk_pages_in", 500.0, 0.25, 2e8, 1.0),
    ("disk_pages_out", 60_000.0, 0.25, 4e9, 1.0),
];
/// Middle, step, chance of a move.
const PROCESSES: [(&str, f64, f64, f64); 6] = [
    ("running", 1.5, 1.0, 0.5),
    ("sleeping", 290.0, 2.0, 0.4),
    ("total", 410.0, 2.0, 0.5),
    ("total_threads", 1_430.0, 5.0, 0.6),
    ("idle", 118.0, 1.0, 0.1),
    ("blocked", 0.2, 0.4, 0.1),
];

impl Host {
    /// Everything but the containers.
    pub(super) fn measure(&mut self) {
        let base = self.noise.range(0.05, 0.4);
        let activity = self.noise.activity(self.count, base, 0.002);
        self.cpu(&activity);
        self.memory();
        self.system(&activity);
        self.disks(&activity);
        self.disk_io(&activity);
        self.network(&activity);
        self.processes();
        self.docker();
        for &(name, per, sigma, start, quantum) in &KERNEL {
            let values = self.noise.counter(&activity, per, sigma, start, quantum);
            self.add(&format!("kernel_{name}"), &[], values);
        }
        self.still("kernel_boot_time", &[], 1_758_880_366.0);
        self.still("kernel_entropy_avail", &[], 256.0);
    }

    /// Shares of time between two scrapes, from seconds as floats: Telegraf divides the
    /// differences of sums that are not exact.
    fn cpu(&mut self, activity: &[f64]) {
        let mut ticks = [[0u64; CPU_FIELDS.len()]; CPUS + 1];
        for cpu in 0..CPUS {
            for (field, start) in CPU_STARTS.iter().enumerate() {
                ticks[cpu][field] = start + self.noise.below(1_000);
                ticks[CPUS][field] += ticks[cpu][field];
            }
        }
        let seconds = |ticks: &[u64; CPU_FIELDS.len()]| ticks.map(|t| t as f64 / TICKS_PER_SECOND);
        let whole = |seconds: &[f64; CPU_FIELDS.len()]| -> f64 {
            seconds[..CPU_FIELDS_OF_TOTAL].iter().sum()
        };
        let mut before = ticks.each_ref().map(seconds);
        let mut shares = vec![vec![Vec::with_capacity(self.count); CPU_FIELDS.len()]; CPUS + 1];
        for &busy in activity {
            for cpu in 0..CPUS {
                for (field, spent) in self.ticks_of(cpu, busy) {
                    ticks[cpu][field] += spent;
                    ticks[CPUS][field] += spent;
                }
            }
            for (cpu, ticks) in ticks.iter().enumerate() {
                let now = seconds(ticks);
                let passed = whole(&now) - whole(&before[cpu]);
                for (field, shares) in shares[cpu].iter_mut().enumerate() {
                    shares.push(100.0 * (now[field] - before[cpu][field]) / passed);
                }
                before[cpu] = now;
            }
        }
        for (cpu, shares) in shares.into_iter().enumerate() {
            let label = match cpu {
                CPUS => "cpu-total".to_owned(),
                _ => format!("cpu{cpu}"),
            };
            for (field, values) in CPU_FIELDS.iter().zip(shares) {
                self.add(&format!("cpu_usage_{field}"), &[("cpu", &label)], values);
            }
        }
    }

    /// How one processor spent the ticks between two scrapes: field, ticks.
    fn ticks_of(&mut self, cpu: usize, busy: f64) -> [(usize, u64); 6] {
        let noise = &mut self.noise;
        let all = (1_500.0 + noise.normal() * 1.2).round();
        let factor = noise.range(0.7, 1.3);
        let user = noise.poisson(all * busy * 0.6 * factor).min(all * 0.8);
        let system = noise.poisson(all * busy * 0.15).min(all * 0.15);
        let iowait = match noise.chance(0.2) {
            true => noise.poisson(2.0),
            false => 0.0,
        };
        let softirq = noise.poisson(busy * 3.0).min(20.0);
        let nice = f64::from(u8::from(cpu == 3 && noise.chance(0.02)));
        let idle = (all - user - system - iowait - softirq - nice).max(0.0);
        [
            (0, user as u64),
            (1, system as u64),
            (2, idle as u64),
            (3, nice as u64),
            (4, iowait as u64),
            (6, softirq as u64),
        ]
    }

    fn memory(&mut self) {
        let mut pages = |middle, step, moves| {
            let walk = (middle, step, PAGE_BYTES, moves);
            self.noise.walk(self.count, walk)
        };
        let used = pages(12e9, 12e6, 1.0);
        let buffered = pages(9e8, 2e5, 0.3);
        let cached = pages(14e9, 3e6, 0.9);
        let available = each(&used, |u| MEMORY_BYTES - u - PAGE_BYTES * 1e3);
        let percent = |bytes: &[f64]| each(bytes, |b| 100.0 * b / MEMORY_BYTES);
        let free = (0..self.count).map(|at| MEMORY_BYTES - used[at] - buffered[at] - cached[at]);
        let free = free.collect();
        self.still("mem_total", &[], MEMORY_BYTES);
        self.add("mem_used_percent", &[], percent(&used));
        self.add("mem_available_percent", &[], percent(&available));
        for (name, values) in [
            ("mem_used", used),
            ("mem_buffered", buffered),
            ("mem_cached", cached),
            ("mem_available", available),
            ("mem_free", free),
        ] {
            self.add(name, &[], values);
        }
        for (name, middle, step, moves) in MEMORY_GAUGES {
            let walk = (middle, step, PAGE_BYTES, moves);
            self.gauge(&format!("mem_{name}"), &[], walk);
        }
        for (name, value) in MEMORY_CONSTANTS {
            self.still(&format!("mem_{name}"), &[], value);
        }
        let swap = ["total", "used", "free", "used_percent", "in", "out"];
        self.zeros("swap", &swap, &[]);
    }

    fn system(&mut self, activity: &[f64]) {
        for (name, share) in [("load1", 0.25), ("load5", 0.05), ("load15", 0.0167)] {
            let mut load = 1.0;
            let follow = |busy: &f64| {
                load += (busy * 8.0 * self.noise.range(0.6, 1.4) - load) * share;
                f64::round(load * 100.0) / 100.0
            };
            let values = activity.iter().map(follow).collect();
            self.add(&format!("system_{name}"), &[], values);
        }
        self.still("system_n_cpus", &[], CPUS as f64);
        self.still("system_n_unique_users", &[], 1.0);
        let mut users = 1.0;
        let log_in = |_| {
            if self.noise.chance(0.001) {
                users = self.noise.below(3) as f64;
            }
            users
        };
        let values = (0..self.count).map(log_in).collect();
        self.add("system_n_users", &[], values);
        let uptime = |at: usize| {
            let late = f64::from(u8::from(self.noise.chance(0.03)));
            8_345_234.0 + 15.0 * at as f64 + late
        };
        let values = (0..self.count).map(uptime).collect();
        self.add("system_uptime", &[], values);
    }

    fn disks(&mut self, activity: &[f64]) {
        for (device, path, bytes) in [
            ("nvme0n1p2", "/", 1.05e11f64),
            ("nvme0n1p1", "/boot/efi", 5.3e8),
            ("nvme1n1", "/var/lib/docker", 5.1e11),
        ] {
            let labels = [
                ("device", device),
                ("fstype", "ext4"),
                ("mode", "rw"),
                ("path", path),
            ];
            let bytes = (bytes / PAGE_BYTES).floor() * PAGE_BYTES;
            let inodes = (bytes / 16_384.0).floor();
            self.still("disk_total", &labels, bytes);
            self.still("disk_inodes_total", &labels, inodes);
            if path == "/boot/efi" {
                self.still("disk_used", &labels, 6.3e6);
                self.still("disk_free", &labels, 5.2e8);
                self.still("disk_used_percent", &labels, 1.19);
                let still = ["inodes_used", "inodes_free", "inodes_used_percent"];
                self.zeros("disk", &still, &labels);
                continue;
            }
            let used = self.disk_used(activity, bytes);
            let mut files: f64 = 423_511.0;
            let touch = |_| {
                if self.noise.chance(0.25) {
                    files += (self.noise.normal() * 4.0).round();
                }
                files
            };
            let inodes_used: Vec<f64> = (0..self.count).map(touch).collect();
            for (name, values) in [
                ("free", each(&used, |u| bytes - u)),
                // A twentieth is kept for root.
                ("used_percent", each(&used, |u| 100.0 * u / (bytes * 0.95))),
                ("used", used),
                ("inodes_free", each(&inodes_used, |u| inodes - u)),
                (
                    "inodes_used_percent",
                    each(&inodes_used, |u| 100.0 * u / inodes),
                ),
                ("inodes_used", inodes_used),
            ] {
                self.add(&format!("disk_{name}"), &labels, values);
            }
        }
    }

    /// Fills slowly; now and then something is cleaned up.
    fn disk_used(&mut self, activity: &[f64], bytes: f64) -> Vec<f64> {
        let pages = |share: f64| (bytes * share / PAGE_BYTES).floor() * PAGE_BYTES;
        let mut used = pages(0.4);
        let fill = |busy: &f64| {
            used += self.noise.poisson(busy * 120.0) * PAGE_BYTES;
            if self.noise.chance(0.0008) {
                used -= pages(0.01);
            }
            used
        };
        activity.iter().map(fill).collect()
    }

    fn disk_io(&mut self, activity: &[f64]) {
        for (device, share) in [("nvme0n1", 1.0), ("nvme0n1p2", 0.9), ("nvme1n1", 6.0)] {
            let labels = [("name", device)];
            let writes = each(activity, |busy| busy * share);
            let read = |busy: &f64| match self.noise.chance(0.3) {
                true => busy * share,
                false => 0.0,
            };
            let reads: Vec<f64> = activity.iter().map(read).collect();
            for (busy, counters) in [(&reads, &DISK_READS[..]), (&writes, &DISK_WRITES[..])] {
                for &(name, per, sigma, start, quantum) in counters {
                    let values = self.noise.counter(busy, per, sigma, start, quantum);
                    self.add(&format!("diskio_{name}"), &labels, values);
                }
            }
            let noise = &mut self.noise;
            let in_progress = |busy: &f64| match noise.chance(0.1) {
                true => noise.poisson(*busy),
                false => 0.0,
            };
            let in_progress = writes.iter().map(in_progress).collect();
            // Milliseconds for each operation between two scrapes.
            let mut each_took = |ms: f64| -> Vec<f64> {
                let took = |busy: &f64| match noise.poisson(300.0 * busy) {
                    0.0 => 0.0,
                    done => noise.poisson(done * ms) / done,
                };
                writes.iter().map(took).collect()
            };
            let (await_ms, service_ms) = (each_took(1.3), each_took(0.6));
            let utilised = |busy: &f64| {
                let passed_ms = 15_000.0 + (noise.normal() * 2.0).round();
                100.0 * noise.poisson(200.0 * busy) / passed_ms
            };
            let utilised = writes.iter().map(utilised).collect();
            self.add("diskio_iops_in_progress", &labels, in_progress);
            self.add("diskio_io_await", &labels, await_ms);
            self.add("diskio_io_svctm", &labels, service_ms);
            self.add("diskio_io_util", &labels, utilised);
        }
    }

    fn network(&mut self, activity: &[f64]) {
        for (interface, share) in [
            ("eth0", 1.0),
            ("eth1", 0.05),
            ("docker0", 0.4),
            ("br-6f1e0c2a9d3b", 0.0),
        ] {
            let labels = [("interface", interface)];
            let busy = each(activity, |busy| busy * share);
            for &(name, per, sigma, start, quantum) in &INTERFACE {
                let start = (start * (share + 1e-3)).floor();
                let values = self.noise.counter(&busy, per, sigma, start, quantum);
                self.add(&format!("net_{name}"), &labels, values);
            }
            self.zeros("net", &["err_in", "err_out", "drop_out"], &labels);
            let dropped = self.noise.rare(self.count, 0.02 * share, 1_234.0);
            self.add("net_drop_in", &labels, dropped);
            let speed = if share == 1.0 { 10_000.0 } else { -1.0 };
            self.still("net_speed", &labels, speed);
        }
        let all = [("interface", "all")];
        for (name, per) in PROTOCOLS {
            let values = self.noise.counter(activity, per, 0.3, per * 400_000.0, 1.0);
            self.add(&format!("net_{name}"), &all, values);
        }
        self.gauge("net_tcp_currestab", &all, (180.0, 6.0, 1.0, 1.0));
        // The rest of /proc/net/snmp hardly ever moves.
        for at in 0..48 {
            let value = if at % 9 == 0 { 120_000.0 } else { 0.0 };
            self.still(&format!("net_proto_zero_{at:02}"), &all, value);
        }
    }

    fn processes(&mut self) {
        for (name, middle, step, moves) in PROCESSES {
            let walk = (middle, step, 1.0, moves);
            self.gauge(&format!("processes_{name}"), &[], walk);
        }
        let never = ["dead", "paging", "stopped", "unknown", "zombies", "parked"];
        self.zeros("processes", &never, &[]);
    }

    fn docker(&mut self) {
        let name = self.name.clone();
        let labels = [("engine_host", name.as_str()), ("server_version", "24.0.7")];
        let containers = self.containers as f64;
        for (name, value) in [
            ("n_containers", containers),
            ("n_containers_running", containers),
            ("n_containers_paused", 0.0),
            ("n_containers_stopped", 0.0),
            ("n_images", 31.0),
            ("memory_total", MEMORY_BYTES),
            ("n_listener_events", 0.0),
        ] {
            self.still(&format!("docker_{name}"), &labels, value);
        }
        self.gauge("docker_n_goroutines", &labels, (140.0, 3.0, 1.0, 0.5));
        let descriptors = (96.0, 2.0, 1.0, 0.4);
        self.gauge("docker_n_used_file_descriptors", &labels, descriptors);
    }
}
