//! Counters, gauges, histograms and summaries, and their text exposition (format 0.0.4).
//!
//! An update costs one to three relaxed atomic operations; a summary takes a lock. `with` on a
//! vector looks a child up under a read lock: keep the child on hot paths.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use gocompat::strconv::format_float_g;
use parking_lot::RwLock;

use crate::summary::Summary;

/// Prometheus's default buckets, for durations in seconds.
pub const DEFAULT_BUCKETS: [f64; 11] = [
    0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
];

/// A number that only goes up.
#[derive(Clone, Default)]
pub struct Counter(Arc<AtomicU64>);

impl Counter {
    /// Adds one.
    pub fn inc(&self) {
        self.add(1.0);
    }

    /// Adds; negative values are ignored.
    pub fn add(&self, by: f64) {
        if by > 0.0 {
            add_float(&self.0, by);
        }
    }

    /// The value now.
    #[must_use]
    pub fn get(&self) -> f64 {
        f64::from_bits(self.0.load(Relaxed))
    }
}

/// A number that goes up and down.
#[derive(Clone, Default)]
pub struct Gauge(Arc<AtomicU64>);

impl Gauge {
    /// Sets the value.
    pub fn set(&self, value: f64) {
        self.0.store(value.to_bits(), Relaxed);
    }

    /// Adds, also negative values.
    pub fn add(&self, by: f64) {
        add_float(&self.0, by);
    }

    /// The value now.
    #[must_use]
    pub fn get(&self) -> f64 {
        f64::from_bits(self.0.load(Relaxed))
    }
}

fn add_float(cell: &AtomicU64, by: f64) {
    let _ = cell.fetch_update(Relaxed, Relaxed, |bits| {
        Some((f64::from_bits(bits) + by).to_bits())
    });
}

struct HistogramState {
    bounds: Vec<f64>,
    /// One more than bounds: the last is +Inf. Not cumulated.
    counts: Vec<AtomicU64>,
    sum: AtomicU64,
}

/// Observations counted in buckets.
#[derive(Clone)]
pub struct Histogram(Arc<HistogramState>);

impl Histogram {
    fn new(bounds: &[f64]) -> Histogram {
        let counts = (0..=bounds.len()).map(|_| AtomicU64::new(0)).collect();
        Histogram(Arc::new(HistogramState {
            bounds: bounds.to_vec(),
            counts,
            sum: AtomicU64::new(0),
        }))
    }

    /// Counts one observation.
    pub fn observe(&self, value: f64) {
        let at = self.0.bounds.partition_point(|&bound| bound < value);
        self.0.counts[at].fetch_add(1, Relaxed);
        add_float(&self.0.sum, value);
    }
}

type Callback = Arc<dyn Fn() -> f64 + Send + Sync>;

/// What a summary is made of: the quantiles it shows.
type Quantiles = Arc<[f64]>;

enum Child {
    Number(Arc<AtomicU64>),
    Callback(Callback),
    Histogram(Histogram),
    Summary(Summary),
}

struct Family {
    name: &'static str,
    help: &'static str,
    kind: &'static str,
    label_names: Vec<&'static str>,
    children: RwLock<BTreeMap<Vec<String>, Child>>,
}

impl Family {
    fn child<T>(
        &self,
        values: &[&str],
        get: impl Fn(&Child) -> Option<T>,
        make: impl FnOnce() -> Child,
    ) -> T {
        assert_eq!(
            values.len(),
            self.label_names.len(),
            "label values of {}",
            self.name
        );
        let same_kind = "children of a family are made by its one constructor";
        {
            let children = self.children.read();
            // A `BTreeMap<Vec<String>, _>` cannot be asked by `&[&str]`; families are small.
            if let Some((_, child)) = children.iter().find(|(key, _)| *key == values) {
                return get(child).expect(same_kind);
            }
        }
        let key: Vec<String> = values.iter().map(|v| (*v).to_owned()).collect();
        let mut children = self.children.write();
        get(children.entry(key).or_insert_with(make)).expect(same_kind)
    }

    fn remove(&self, values: &[&str]) {
        self.children.write().retain(|key, _| key != values);
    }
}

macro_rules! number_vec {
    ($(#[$doc:meta])* $vec:ident, $one:ident) => {
        $(#[$doc])*
        #[derive(Clone)]
        pub struct $vec(Arc<Family>);

        impl $vec {
            /// The child with these label values, made if it is new.
            #[must_use]
            pub fn with(&self, values: &[&str]) -> $one {
                let get = |child: &Child| match child {
                    Child::Number(cell) => Some($one(Arc::clone(cell))),
                    _ => None,
                };
                self.0.child(values, get, || Child::Number(Arc::default()))
            }

            /// Forgets the child with these label values.
            pub fn remove(&self, values: &[&str]) {
                self.0.remove(values);
            }
        }
    };
}

number_vec!(
    /// Counters that differ by labels.
    CounterVec,
    Counter
);
number_vec!(
    /// Gauges that differ by labels.
    GaugeVec,
    Gauge
);

/// Histograms that differ by labels.
#[derive(Clone)]
pub struct HistogramVec(Arc<Family>, Arc<[f64]>);

impl HistogramVec {
    /// The child with these label values, made if it is new.
    #[must_use]
    pub fn with(&self, values: &[&str]) -> Histogram {
        let get = |child: &Child| match child {
            Child::Histogram(histogram) => Some(histogram.clone()),
            _ => None,
        };
        self.0
            .child(values, get, || Child::Histogram(Histogram::new(&self.1)))
    }

    /// Forgets the child with these label values.
    pub fn remove(&self, values: &[&str]) {
        self.0.remove(values);
    }
}

/// Summaries that differ by labels.
#[derive(Clone)]
pub struct SummaryVec(Arc<Family>, Quantiles, clock::SharedClock);

impl SummaryVec {
    /// The child with these label values, made if it is new.
    #[must_use]
    pub fn with(&self, values: &[&str]) -> Summary {
        let get = |child: &Child| match child {
            Child::Summary(summary) => Some(summary.clone()),
            _ => None,
        };
        self.0.child(values, get, || {
            Child::Summary(Summary::new(&self.1, Arc::clone(&self.2)))
        })
    }

    /// Forgets the child with these label values.
    pub fn remove(&self, values: &[&str]) {
        self.0.remove(values);
    }
}

/// All metrics of one server.
#[derive(Clone)]
pub struct Registry {
    families: Arc<RwLock<BTreeMap<&'static str, Arc<Family>>>>,
    clock: clock::SharedClock,
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.families.read().keys()).finish()
    }
}

impl Registry {
    /// An empty registry; summaries age by `clock`.
    #[must_use]
    pub fn new(clock: clock::SharedClock) -> Registry {
        Registry {
            families: Arc::default(),
            clock,
        }
    }

    /// Declares a family, or finds it if it is declared: components that exist once per job share
    /// their families.
    fn family(
        &self,
        name: &'static str,
        help: &'static str,
        kind: &'static str,
        label_names: &[&'static str],
    ) -> Arc<Family> {
        let mut families = self.families.write();
        let family = families.entry(name).or_insert_with(|| {
            let label_names = label_names.to_vec();
            Arc::new(Family {
                name,
                help,
                kind,
                label_names,
                children: RwLock::default(),
            })
        });
        assert_eq!(
            (family.kind, &family.label_names[..]),
            (kind, label_names),
            "{name} redeclared"
        );
        Arc::clone(family)
    }

    /// A counter without labels.
    pub fn counter(&self, name: &'static str, help: &'static str) -> Counter {
        self.counter_vec(name, help, &[]).with(&[])
    }

    /// Counters by labels.
    pub fn counter_vec(
        &self,
        name: &'static str,
        help: &'static str,
        labels: &[&'static str],
    ) -> CounterVec {
        CounterVec(self.family(name, help, "counter", labels))
    }

    /// A gauge without labels.
    pub fn gauge(&self, name: &'static str, help: &'static str) -> Gauge {
        self.gauge_vec(name, help, &[]).with(&[])
    }

    /// Gauges by labels.
    pub fn gauge_vec(
        &self,
        name: &'static str,
        help: &'static str,
        labels: &[&'static str],
    ) -> GaugeVec {
        GaugeVec(self.family(name, help, "gauge", labels))
    }

    /// A gauge that is asked when it is exposed.
    pub fn gauge_fn(
        &self,
        name: &'static str,
        help: &'static str,
        value: impl Fn() -> f64 + Send + Sync + 'static,
    ) {
        let family = self.family(name, help, "gauge", &[]);
        family
            .children
            .write()
            .insert(Vec::new(), Child::Callback(Arc::new(value)));
    }

    /// A counter that is asked when it is exposed.
    pub fn counter_fn(
        &self,
        name: &'static str,
        help: &'static str,
        value: impl Fn() -> f64 + Send + Sync + 'static,
    ) {
        let family = self.family(name, help, "counter", &[]);
        family
            .children
            .write()
            .insert(Vec::new(), Child::Callback(Arc::new(value)));
    }

    /// A histogram without labels; `bounds` ascend and do not hold +Inf.
    pub fn histogram(&self, name: &'static str, help: &'static str, bounds: &[f64]) -> Histogram {
        self.histogram_vec(name, help, &[], bounds).with(&[])
    }

    /// Histograms by labels.
    pub fn histogram_vec(
        &self,
        name: &'static str,
        help: &'static str,
        labels: &[&'static str],
        bounds: &[f64],
    ) -> HistogramVec {
        HistogramVec(
            self.family(name, help, "histogram", labels),
            Arc::from(bounds),
        )
    }

    /// A summary without labels.
    pub fn summary(&self, name: &'static str, help: &'static str, quantiles: &[f64]) -> Summary {
        self.summary_vec(name, help, &[], quantiles).with(&[])
    }

    /// Summaries by labels.
    pub fn summary_vec(
        &self,
        name: &'static str,
        help: &'static str,
        labels: &[&'static str],
        quantiles: &[f64],
    ) -> SummaryVec {
        let family = self.family(name, help, "summary", labels);
        SummaryVec(family, Arc::from(quantiles), Arc::clone(&self.clock))
    }

    /// The whole registry in text format 0.0.4, families sorted by name.
    pub fn expose(&self, out: &mut String) {
        for family in self.families.read().values() {
            let children = family.children.read();
            if children.is_empty() {
                continue;
            }
            let _ = writeln!(out, "# HELP {} {}", family.name, escape_help(family.help));
            let _ = writeln!(out, "# TYPE {} {}", family.name, family.kind);
            for (values, child) in children.iter() {
                expose_child(out, family, values, child);
            }
        }
    }
}

fn expose_child(out: &mut String, family: &Family, values: &[String], child: &Child) {
    let line = |out: &mut String, suffix: &str, extra: Option<(&str, String)>, value: f64| {
        out.push_str(family.name);
        out.push_str(suffix);
        let own = family
            .label_names
            .iter()
            .copied()
            .zip(values.iter().map(String::as_str));
        let extra = extra.as_ref().map(|(name, value)| (*name, value.as_str()));
        let mut separator = '{';
        for (name, value) in own.chain(extra) {
            let _ = write!(out, "{separator}{name}=\"{}\"", escape_value(value));
            separator = ',';
        }
        if separator == ',' {
            out.push('}');
        }
        let _ = writeln!(out, " {}", format_float_g(value));
    };
    match child {
        Child::Number(cell) => line(out, "", None, f64::from_bits(cell.load(Relaxed))),
        Child::Callback(callback) => line(out, "", None, callback()),
        Child::Histogram(Histogram(state)) => {
            let mut count = 0;
            for (at, cell) in state.counts.iter().enumerate() {
                count += cell.load(Relaxed);
                let bound = state.bounds.get(at).copied().unwrap_or(f64::INFINITY);
                line(
                    out,
                    "_bucket",
                    Some(("le", format_float_g(bound))),
                    count as f64,
                );
            }
            line(out, "_sum", None, f64::from_bits(state.sum.load(Relaxed)));
            line(out, "_count", None, count as f64);
        }
        Child::Summary(summary) => {
            let snapshot = summary.snapshot();
            for (quantile, value) in snapshot.quantiles {
                line(out, "", Some(("quantile", format_float_g(quantile))), value);
            }
            line(out, "_sum", None, snapshot.sum);
            line(out, "_count", None, snapshot.count as f64);
        }
    }
}

fn escape_help(text: &str) -> String {
    text.replace('\\', "\\\\").replace('\n', "\\n")
}

fn escape_value(text: &str) -> String {
    escape_help(text).replace('"', "\\\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exposes_every_kind() {
        let registry = Registry::new(clock::ManualClock::at_ms(0));
        registry.counter("b_total", "Help\nme.").add(2.5);
        registry
            .gauge_vec("a", "A.", &["x", "y"])
            .with(&["1", "q\""])
            .set(-1.0);
        registry.gauge_fn("c", "C.", || f64::NAN);
        let histogram = registry.histogram("h", "H.", &[1.0, 2.0]);
        for value in [0.5, 1.0, 1.5, 3.0] {
            histogram.observe(value);
        }
        let summary = registry.summary("s", "S.", &[0.5]);
        for value in 1..=9 {
            summary.observe(f64::from(value));
        }
        registry.counter_vec("unused_total", "Without children it is not shown.", &["l"]);
        let mut text = String::new();
        registry.expose(&mut text);
        assert_eq!(
            text,
            r#"# HELP a A.
# TYPE a gauge
a{x="1",y="q\""} -1
# HELP b_total Help\nme.
# TYPE b_total counter
b_total 2.5
# HELP c C.
# TYPE c gauge
c NaN
# HELP h H.
# TYPE h histogram
h_bucket{le="1"} 2
h_bucket{le="2"} 3
h_bucket{le="+Inf"} 4
h_sum 6
h_count 4
# HELP s S.
# TYPE s summary
s{quantile="0.5"} 5
s_sum 45
s_count 9
"#
        );
    }

    #[test]
    fn numbers_are_written_as_in_go() {
        let registry = Registry::new(clock::ManualClock::at_ms(0));
        let gauge = registry.gauge("g", "G.");
        for (value, expected) in [
            (1_073_741_824.0, "1.073741824e+09"),
            (999_999.0, "999999"),
            (1e6, "1e+06"),
            (0.0001, "0.0001"),
            (0.00001, "1e-05"),
            (f64::INFINITY, "+Inf"),
            (f64::NAN, "NaN"),
            (-0.0, "-0"),
        ] {
            gauge.set(value);
            let mut text = String::new();
            registry.expose(&mut text);
            assert!(text.ends_with(&format!("\ng {expected}\n")), "{text}");
        }
    }

    #[test]
    fn a_family_is_shared_and_children_can_go() {
        let registry = Registry::new(clock::ManualClock::at_ms(0));
        registry
            .counter_vec("c_total", "C.", &["l"])
            .with(&["x"])
            .inc();
        registry
            .counter_vec("c_total", "C.", &["l"])
            .with(&["x"])
            .inc();
        let again = registry.counter_vec("c_total", "C.", &["l"]);
        assert_eq!(again.with(&["x"]).get(), 2.0);
        again.remove(&["x"]);
        let mut text = String::new();
        registry.expose(&mut text);
        assert_eq!(text, "");
    }
}
