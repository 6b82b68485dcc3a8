//! A fleet of hosts as Telegraf's `prometheus_client` output shows them.
//!
//! Every host has 213 series of its own (cpu, mem, swap, system, disk, diskio, net, netstat,
//! processes, kernel, docker, sensors) and 66 for each of its containers, in Telegraf's names and labels; 450 hosts with 10
//! containers are 393,000 series. Values follow the shares that were measured on such fleets: half
//! constant, a quarter integer counters, a sixth integer gauges, 8 % floats of full precision
//! (percentages of float sums, as Telegraf computes them), a few decimals. They are a seeded
//! random walk: the same seed gives the same pages.
//!
//! Rendering costs about 60 ns a line; a host keeps its lines and one number a series.

use std::fmt::Write as _;

use fastrand::Rng;

use crate::telegraf::{
    CONTAINER_CPUS, CONTAINER_FIELDS, CPU_FIELDS, HOST_FIELDS, MEM_FIELDS, Walk,
};

/// What a fleet is made of.
#[derive(Debug, Clone)]
pub struct FleetOptions {
    /// Hosts, each one scrape target.
    pub hosts: usize,
    /// Containers on each host.
    pub containers: usize,
    /// Chance that a container has been replaced by a new one between two scrapes.
    pub churn: f64,
    /// Seed of all values and names.
    pub seed: u64,
}

impl Default for FleetOptions {
    fn default() -> Self {
        FleetOptions {
            hosts: 450,
            containers: 10,
            churn: 0.0,
            seed: 1,
        }
    }
}

#[derive(Debug)]
struct Line {
    /// Name, labels and the space before the value.
    text: String,
    walk: Walk,
    value: f64,
}

/// One host: what it answers to a scrape.
#[derive(Debug)]
pub struct Host {
    name: String,
    cpus: usize,
    churn: f64,
    rng: Rng,
    families: Vec<Family>,
    containers: Vec<Container>,
    containers_made: u64,
}

#[derive(Debug)]
struct Family {
    name: String,
    kind: &'static str,
    lines: Vec<Line>,
}

#[derive(Debug)]
struct Container {
    labels: String,
    /// By field of [`CONTAINER_FIELDS`], then by series of the field.
    lines: Vec<Vec<Line>>,
}

fn start_value(rng: &mut Rng, walk: Walk) -> f64 {
    match walk {
        Walk::Constant => {
            // Many constants are zero, the rest are sizes and limits.
            if rng.bool() {
                0.0
            } else {
                (rng.u64(1..2_000_000) * 4_096) as f64
            }
        }
        Walk::Counter { step_max, unit, .. } => {
            (rng.u64(0..1 + u64::from(step_max) * 10_000) * u64::from(unit)) as f64
        }
        Walk::Gauge { step_max, unit } => {
            (rng.u64(0..1 + u64::from(step_max) * 1_000) * u64::from(unit)) as f64
        }
        Walk::Decimal => f64::from(rng.u32(0..800)) / 100.0,
        Walk::PercentOfTicks | Walk::PercentOfNanoseconds | Walk::PercentOfSize => {
            100.0 * rng.f64()
        }
    }
}

fn step(rng: &mut Rng, walk: Walk, value: f64) -> f64 {
    match walk {
        Walk::Constant => value,
        Walk::Counter {
            step_max,
            unit,
            lazy,
        } => {
            if lazy && rng.bool() {
                value
            } else {
                value + f64::from(rng.u32(0..=step_max)) * f64::from(unit)
            }
        }
        Walk::Gauge { step_max, unit } => {
            let by = f64::from(rng.u32(0..=2 * step_max)) - f64::from(step_max);
            if rng.u8(..) < 80 {
                value
            } else {
                (value + by * f64::from(unit)).max(0.0)
            }
        }
        Walk::Decimal => {
            let by = f64::from(rng.u32(0..=20)) - 10.0;
            ((value * 100.0 + by).round().max(0.0)) / 100.0
        }
        Walk::PercentOfTicks => {
            // Telegraf subtracts seconds since boot, which are ticks divided by 100, and divides
            // the differences (plugins/inputs/cpu): two whole numbers, and rounding errors.
            let since_boot = |ticks: f64| ticks / 100.0;
            let (used_before, total_before) = (
                rng.u32(1_000_000..90_000_000),
                rng.u32(90_000_000..900_000_000),
            );
            let ticks = 1_498.0 + f64::from(rng.u32(0..5));
            let used = since_boot(f64::from(used_before) + (walked(rng, value) * ticks).round())
                - since_boot(f64::from(used_before));
            let total =
                since_boot(f64::from(total_before) + ticks) - since_boot(f64::from(total_before));
            100.0 * used / total
        }
        Walk::PercentOfNanoseconds => {
            let total = f64::from(5_994 + rng.u32(0..12)) * 1e7;
            let used = (walked(rng, value) * total / 4.0).round();
            used / total * 4.0 * 100.0
        }
        Walk::PercentOfSize => {
            let total = f64::from(PERCENT_PAGES);
            100.0 * ((walked(rng, value) * total).round() * 4_096.0) / (total * 4_096.0)
        }
    }
}

/// A share near that of a percentage.
fn walked(rng: &mut Rng, percent: f64) -> f64 {
    (percent / 100.0 + (rng.f64() - 0.5) * 0.02).clamp(0.0, 1.0)
}

/// Pages of the memory or disk of which [`Walk::PercentOfSize`] is a part.
const PERCENT_PAGES: u32 = 8_181_737;

impl Host {
    /// The host with this index; `options.seed` decides its values.
    #[must_use]
    pub fn new(options: &FleetOptions, index: usize) -> Host {
        let rng = Rng::with_seed(
            options
                .seed
                .wrapping_mul(0x9e37_79b9)
                .wrapping_add(index as u64),
        );
        let role = ["web", "db", "queue", "batch"][index % 4];
        let mut host = Host {
            name: format!("{role}-{index:04}"),
            cpus: 4,
            churn: options.churn,
            rng,
            families: Vec::new(),
            containers: Vec::new(),
            containers_made: 0,
        };
        host.add_host_families();
        for _ in 0..options.containers {
            let container = host.new_container();
            host.containers.push(container);
        }
        host
    }

    /// The host's name, which Telegraf puts into the label `host`.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    fn line(&mut self, name: &str, labels: &str, walk: Walk) -> Line {
        let text = format!("{name}{{{labels}}} ");
        Line {
            text,
            walk,
            value: start_value(&mut self.rng, walk),
        }
    }

    fn family(&mut self, name: String, labels: &[String], walk: Walk) {
        let lines = labels.iter().map(|l| self.line(&name, l, walk)).collect();
        let kind = match walk {
            Walk::Counter { .. } => "counter",
            _ => "gauge",
        };
        self.families.push(Family { name, kind, lines });
    }

    fn add_host_families(&mut self) {
        let host = self.name.clone();
        let cpus: Vec<String> = (0..self.cpus)
            .map(|n| format!("cpu{n}"))
            .chain(["cpu-total".to_owned()])
            .map(|cpu| format!("cpu=\"{cpu}\",host=\"{host}\""))
            .collect();
        for field in CPU_FIELDS {
            let walk = match field {
                "idle" | "system" | "user" => Walk::PercentOfTicks,
                "iowait" => Walk::Decimal,
                _ => Walk::Constant,
            };
            self.family(format!("cpu_usage_{field}"), &cpus, walk);
        }
        for (field, walk) in MEM_FIELDS {
            self.family(format!("mem_{field}"), &[format!("host=\"{host}\"")], walk);
        }
        for (measurement, tag, devices, fields) in HOST_FIELDS {
            let labels: Vec<String> = devices
                .iter()
                .map(|device| match tag {
                    "" => format!("host=\"{host}\""),
                    "device" => format!(
                        "device=\"{device}\",fstype=\"ext4\",host=\"{host}\",mode=\"rw\",path=\"/{device}\""
                    ),
                    "name" => format!("host=\"{host}\",name=\"{device}\""),
                    _ => format!("host=\"{host}\",{tag}=\"{device}\""),
                })
                .collect();
            for (field, walk) in fields {
                self.family(format!("{measurement}_{field}"), &labels, *walk);
            }
        }
    }

    fn new_container(&mut self) -> Container {
        let number = self.containers_made;
        self.containers_made += 1;
        let images = [
            "postgres",
            "redis",
            "elasticsearch",
            "mongo",
            "etcd",
            "haproxy",
        ];
        let image = images[(number as usize + self.name.len()) % images.len()];
        let id = format!("{:016x}{:016x}", self.rng.u64(..), self.rng.u64(..));
        let labels = format!(
            "container_id=\"{id}\",container_image=\"registry.internal/{image}\",\
             container_name=\"{image}-{}-{number}\",container_status=\"running\",\
             container_version=\"9.{}\",host=\"{}\"",
            self.name,
            number % 7,
            self.name
        );
        let mut lines = Vec::new();
        for (measurement, fields) in CONTAINER_FIELDS {
            for (field, walk) in fields {
                let name = format!("{measurement}_{field}");
                let tags: &[&str] = match (measurement, *field) {
                    ("docker_container_cpu", "usage_total") => &CONTAINER_CPUS,
                    ("docker_container_cpu", _) => &CONTAINER_CPUS[..1],
                    ("docker_container_net", _) => &[",network=\"total\""],
                    ("docker_container_blkio", _) => &[",device=\"total\""],
                    _ => &[""],
                };
                let series = tags
                    .iter()
                    .map(|tag| self.line(&name, &format!("{labels}{tag}"), *walk));
                lines.push(series.collect());
            }
        }
        Container { labels, lines }
    }

    /// Moves every value on by one scrape and, with the chance of churn, replaces containers.
    pub fn advance(&mut self) {
        for at in 0..self.containers.len() {
            if self.churn > 0.0 && self.rng.f64() < self.churn {
                self.containers[at] = self.new_container();
            }
        }
        let rng = &mut self.rng;
        let own = self.families.iter_mut().flat_map(|f| f.lines.iter_mut());
        let contained = self
            .containers
            .iter_mut()
            .flat_map(|c| c.lines.iter_mut().flatten());
        for line in own.chain(contained) {
            line.value = step(rng, line.walk, line.value);
        }
    }

    /// Series that the host exposes now.
    #[must_use]
    pub fn series_count(&self) -> usize {
        let own: usize = self.families.iter().map(|f| f.lines.len()).sum();
        let contained = self.containers.iter().flat_map(|c| &c.lines).map(Vec::len);
        own + contained.sum::<usize>()
    }

    /// How many containers there have been: when it stays, so do the series.
    #[must_use]
    pub fn containers_made(&self) -> u64 {
        self.containers_made
    }

    /// Name with labels, and value, of every series, in the order of the page.
    pub fn samples(&self) -> impl Iterator<Item = (&str, f64)> {
        let own = self.families.iter().flat_map(|f| &f.lines);
        let fields = 0..self.containers.first().map_or(0, |c| c.lines.len());
        let of_field = |at: usize| self.containers.iter().flat_map(move |c| &c.lines[at]);
        let contained = fields.flat_map(of_field);
        own.chain(contained)
            .map(|line| (line.text.trim_end(), line.value))
    }

    /// Labels of the containers that run now, for tests of churn.
    #[must_use]
    pub fn container_labels(&self) -> Vec<&str> {
        self.containers.iter().map(|c| c.labels.as_str()).collect()
    }

    /// The page, in text format 0.0.4, added to `out`.
    pub fn render(&self, out: &mut String) {
        for family in &self.families {
            header(out, &family.name, family.kind);
            family.lines.iter().for_each(|line| value_line(out, line));
        }
        let mut at = 0;
        for (measurement, fields) in CONTAINER_FIELDS {
            for (field, walk) in fields {
                let kind = if matches!(walk, Walk::Counter { .. }) {
                    "counter"
                } else {
                    "gauge"
                };
                header(out, &format!("{measurement}_{field}"), kind);
                for container in &self.containers {
                    container.lines[at]
                        .iter()
                        .for_each(|line| value_line(out, line));
                }
                at += 1;
            }
        }
    }
}

fn header(out: &mut String, name: &str, kind: &str) {
    let _ = writeln!(
        out,
        "# HELP {name} Telegraf collected metric\n# TYPE {name} {kind}"
    );
}

fn value_line(out: &mut String, line: &Line) {
    out.push_str(&line.text);
    // Telegraf prints integers beyond 10^21 with an exponent, smaller ones plainly; the walks stay
    // below that.
    let _ = writeln!(out, "{}", line.value);
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    fn page(host: &Host) -> String {
        let mut out = String::new();
        host.render(&mut out);
        out
    }

    #[test]
    fn a_host_has_the_expected_series_all_distinct() {
        let host = Host::new(&FleetOptions::default(), 7);
        let text = page(&host);
        let series: Vec<&str> = text
            .lines()
            .filter(|l| !l.starts_with('#'))
            .map(|l| l.rsplit_once(' ').unwrap().0)
            .collect();
        assert_eq!(series.len(), host.series_count());
        assert_eq!(series.iter().collect::<HashSet<_>>().len(), series.len());
        assert!(series.len() == 873, "{}", series.len());
        assert!(text.contains("cpu_usage_user{cpu=\"cpu-total\",host=\"batch-0007\"} "));
    }

    #[test]
    fn the_same_seed_gives_the_same_pages_and_counters_only_grow() {
        let options = FleetOptions {
            churn: 0.05,
            ..FleetOptions::default()
        };
        let (mut a, mut b) = (Host::new(&options, 3), Host::new(&options, 3));
        let uptime = |text: &str| -> f64 {
            let line = text
                .lines()
                .find(|l| l.starts_with("system_uptime{"))
                .unwrap();
            line.rsplit_once(' ').unwrap().1.parse().unwrap()
        };
        let mut last = uptime(&page(&a));
        let first = a.container_labels().join(";");
        for _ in 0..100 {
            a.advance();
            b.advance();
            let text = page(&a);
            assert_eq!(text, page(&b));
            assert!(uptime(&text) >= last);
            last = uptime(&text);
        }
        assert_ne!(
            a.container_labels().join(";"),
            first,
            "churn replaced containers"
        );
        assert_eq!(a.container_labels().len(), 10);
    }

    #[test]
    fn values_have_the_measured_shares() {
        let mut host = Host::new(&FleetOptions::default(), 0);
        let mut still: HashSet<usize> = (0..host.series_count()).collect();
        let values = |host: &Host| -> Vec<f64> {
            let text = page(host);
            let lines = text.lines().filter(|l| !l.starts_with('#'));
            lines
                .map(|l| l.rsplit_once(' ').unwrap().1.parse().unwrap())
                .collect()
        };
        let first = values(&host);
        for _ in 0..50 {
            host.advance();
            for (at, value) in values(&host).into_iter().enumerate() {
                if value != first[at] {
                    still.remove(&at);
                }
            }
        }
        let share = still.len() as f64 / first.len() as f64;
        assert!((0.4..0.6).contains(&share), "share of constants {share}");
    }
}
