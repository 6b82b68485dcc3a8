//! The fleet that storage is measured on: hosts and containers as Telegraf reports them.
//!
//! 953 series a host with ten containers. Half of them stand still, a quarter are counters, a
//! sixth gauges, 8 % percentages that Telegraf computed in floats, with its own arithmetic. How
//! much values move is a guess, so bytes a sample are to be compared between storages, not with
//! other fleets. [`crate::fleet`] makes pages to scrape; this makes columns, whose values hang
//! together: what is used and what is free add up, percentages follow their counters.

mod containers;
mod host;

use model::Labels;

use super::data::{Column, DataSet, Target};
use super::noise::Noise;

/// Time between two scrapes.
pub const INTERVAL_MS: i64 = 15_000;
/// Where the data starts: ten minutes into a stretch that a block of 54 hours covers.
const START_MS: i64 = 1_767_225_600_000 / 194_400_000 * 194_400_000 + 600_000;

/// What is made.
#[derive(Debug, Clone, Copy)]
pub struct SyntheticOptions {
    /// Hosts.
    pub hosts: usize,
    /// Containers on each.
    pub containers: usize,
    /// Scrapes of each.
    pub scrapes: usize,
    /// Every scrape is off by some 3 ms, as with a scraper that stamps when the answer comes;
    /// else one in 25 is late and all others are to the millisecond.
    pub jitter: bool,
}

impl Default for SyntheticOptions {
    fn default() -> Self {
        SyntheticOptions {
            hosts: 3,
            containers: 10,
            scrapes: 8_192,
            jitter: false,
        }
    }
}

/// The fleet's samples; the same for the same options, values the same with and without jitter.
#[must_use]
pub fn fleet(options: &SyntheticOptions) -> DataSet {
    let targets = (0..options.hosts).map(|index| {
        let mut host = Host::new(options, index);
        host.measure();
        for container in 0..options.containers {
            host.container(container);
        }
        host.series.sort_by(|a, b| a.labels.cmp(&b.labels));
        Target {
            key: Labels::from_pairs([("instance", host.instance.as_str()), ("job", "telegraf")]),
            timestamps: timestamps(options, index),
            series: host.series,
        }
    });
    DataSet {
        targets: targets.collect(),
    }
}

fn timestamps(options: &SyntheticOptions, index: usize) -> Vec<i64> {
    let mut noise = Noise::new(900 + index as u64);
    let phase = noise.below(INTERVAL_MS as u64) as i64;
    let time = |scrape: usize| {
        let off = if options.jitter {
            (noise.normal() * 3.0).round() as i64
        } else if noise.chance(0.04) {
            3 + noise.lognormal(4.0, 1.0) as i64
        } else {
            0
        };
        START_MS + phase + scrape as i64 * INTERVAL_MS + off
    };
    (0..options.scrapes).map(time).collect()
}

/// A host while its columns are made.
struct Host {
    name: String,
    instance: String,
    count: usize,
    containers: usize,
    noise: Noise,
    series: Vec<Column>,
}

impl Host {
    fn new(options: &SyntheticOptions, index: usize) -> Host {
        let name = format!("web-{:03}.fra1.example.com", index + 17);
        Host {
            instance: format!("{name}:9273"),
            name,
            count: options.scrapes,
            containers: options.containers,
            noise: Noise::new(42 + index as u64),
            series: Vec::new(),
        }
    }

    fn add(&mut self, name: &str, labels: &[(&str, &str)], values: Vec<f64>) {
        debug_assert_eq!(values.len(), self.count);
        let common = [
            ("__name__", name),
            ("environment", "production"),
            ("host", &self.name),
            ("instance", &self.instance),
            ("job", "telegraf"),
        ];
        self.series.push(Column {
            labels: Labels::from_pairs(common.into_iter().chain(labels.iter().copied())),
            scrapes: None,
            values,
        });
    }

    fn still(&mut self, name: &str, labels: &[(&str, &str)], value: f64) {
        self.add(name, labels, vec![value; self.count]);
    }

    fn zeros(&mut self, prefix: &str, names: &[&str], labels: &[(&str, &str)]) {
        for name in names {
            self.still(&format!("{prefix}_{name}"), labels, 0.0);
        }
    }

    fn gauge(&mut self, name: &str, labels: &[(&str, &str)], walk: (f64, f64, f64, f64)) {
        let values = self.noise.walk(self.count, walk);
        self.add(name, labels, values);
    }
}

/// Each value by a function of another column's.
fn each(values: &[f64], of: impl Fn(f64) -> f64) -> Vec<f64> {
    values.iter().map(|&v| of(v)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::data::Class;

    #[test]
    fn a_fleet_is_like_those_that_were_studied() {
        let options = SyntheticOptions {
            scrapes: 600,
            ..SyntheticOptions::default()
        };
        let data = fleet(&options);
        assert_eq!(data.series_count(), 3 * 953);
        let share = |class: Class| {
            let all = data.targets.iter().flat_map(|t| &t.series);
            let of = all.filter(|s| Class::of(&s.values) == class).count();
            100.0 * of as f64 / data.series_count() as f64
        };
        for (class, from, to) in [
            (Class::Constant, 48.0, 54.0),
            (Class::Counter, 21.0, 27.0),
            (Class::Gauge, 15.0, 21.0),
            (Class::Decimal, 0.1, 1.0),
            (Class::Float, 6.5, 9.0),
        ] {
            let found = share(class);
            assert!((from..to).contains(&found), "{}: {found}", class.name());
        }
        for target in &data.targets {
            assert!(target.series.is_sorted_by(|a, b| a.labels < b.labels));
            assert!(target.timestamps.is_sorted_by(|a, b| a < b));
        }
        let jittered = fleet(&SyntheticOptions {
            jitter: true,
            ..options
        });
        assert_ne!(jittered.targets[0].timestamps, data.targets[0].timestamps);
        assert_eq!(
            jittered.targets[1].series[99].values,
            data.targets[1].series[99].values
        );
    }
}
