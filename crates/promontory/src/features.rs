//! `--enable-feature`: what is switched on, what no longer needs it, what is refused.

use std::collections::BTreeMap;

use promql::Features;

/// What a feature name does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Effect {
    Works,
    /// Nothing, and this is why.
    Nothing(&'static str),
    /// The server does not start with it: its silent loss would change results or lose data.
    NotYet,
}

const DEFAULT_NOW: &str = "it is always on";
const OWN_WAY: &str = "this server has its own way, which needs no switch";

/// Every name that Prometheus 3.14 knows.
const FEATURES: &[(&str, Effect)] = &[
    ("promql-experimental-functions", Effect::Works),
    ("promql-extended-range-selectors", Effect::Works),
    ("promql-binop-fill-modifiers", Effect::Works),
    ("promql-delayed-name-removal", Effect::Works),
    ("promql-per-step-stats", Effect::Works),
    ("use-start-timestamps", Effect::Works),
    ("exemplar-storage", Effect::Works),
    ("type-and-unit-labels", Effect::Works),
    ("created-timestamp-zero-ingestion", Effect::Works),
    ("st-storage", Effect::Works),
    ("metadata-wal-records", Effect::Works),
    ("promql-duration-expr", Effect::Nothing(DEFAULT_NOW)),
    ("promql-at-modifier", Effect::Nothing(DEFAULT_NOW)),
    ("promql-negative-offset", Effect::Nothing(DEFAULT_NOW)),
    ("utf8-names", Effect::Nothing(DEFAULT_NOW)),
    ("expand-external-labels", Effect::Nothing(DEFAULT_NOW)),
    ("no-default-scrape-port", Effect::Nothing(DEFAULT_NOW)),
    (
        "new-service-discovery-manager",
        Effect::Nothing(DEFAULT_NOW),
    ),
    ("ooo-native-histograms", Effect::Nothing(DEFAULT_NOW)),
    (
        "native-histograms",
        Effect::Nothing("use the configuration key scrape_native_histograms"),
    ),
    ("auto-gomaxprocs", Effect::Nothing(OWN_WAY)),
    ("auto-gomemlimit", Effect::Nothing(OWN_WAY)),
    ("memory-snapshot-on-shutdown", Effect::Nothing(OWN_WAY)),
    ("delayed-compaction", Effect::Nothing(OWN_WAY)),
    ("use-uncached-io", Effect::Nothing(OWN_WAY)),
    ("fast-startup", Effect::Nothing(OWN_WAY)),
    ("xor2-encoding", Effect::Nothing(OWN_WAY)),
    ("histograms-st-encoding", Effect::Nothing(OWN_WAY)),
    (
        "concurrent-rule-eval",
        Effect::Nothing("rules are not supported yet"),
    ),
    (
        "auto-reload-config",
        Effect::Nothing("use the flag --config.auto-reload"),
    ),
    (
        "extra-scrape-metrics",
        Effect::Nothing("use the configuration key extra_scrape_metrics"),
    ),
    (
        "old-ui",
        Effect::Nothing("this server has a page of its own"),
    ),
    ("otlp-deltatocumulative", Effect::NotYet),
    ("otlp-native-delta-ingestion", Effect::NotYet),
    ("search-api", Effect::NotYet),
    ("st-synthesis", Effect::NotYet),
];

/// What is switched on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Switches {
    pub(crate) promql: Features,
    pub(crate) exemplar_storage: bool,
    pub(crate) metadata_records: bool,
    /// Starts of counters are kept,
    pub(crate) start_storage: bool,
    /// or become samples of zero.
    pub(crate) starts_as_zeros: bool,
}

impl Switches {
    /// What scraping is to do.
    pub(crate) fn scrape(&self) -> scrape::ScrapeFeatures {
        scrape::ScrapeFeatures {
            exemplars: self.exemplar_storage,
            starts: self.start_storage || self.starts_as_zeros,
            metadata: self.metadata_records,
            type_and_unit_labels: self.promql.type_and_unit_labels,
        }
    }
}

/// What the names switch on, and what is to be logged about the others.
///
/// # Errors
/// The name of a feature that is not supported yet.
pub(crate) fn resolve(names: &[String]) -> Result<(Switches, Vec<String>), String> {
    let mut switches = Switches::default();
    let mut warnings = Vec::new();
    for name in names {
        match FEATURES.iter().find(|(known, _)| known == name) {
            None => warnings.push(format!("Unknown option for --enable-feature option={name}")),
            Some((_, Effect::Nothing(why))) => {
                warnings.push(format!("--enable-feature={name} has no effect: {why}"));
            }
            Some((_, Effect::NotYet)) => {
                return Err(format!("--enable-feature={name} is not supported yet"));
            }
            Some((_, Effect::Works)) => switch_on(&mut switches, name),
        }
    }
    Ok((switches, warnings))
}

fn switch_on(switches: &mut Switches, name: &str) {
    let features = &mut switches.promql;
    match name {
        "type-and-unit-labels" => features.type_and_unit_labels = true,
        "created-timestamp-zero-ingestion" => switches.starts_as_zeros = true,
        "st-storage" => switches.start_storage = true,
        "metadata-wal-records" => switches.metadata_records = true,
        "exemplar-storage" => switches.exemplar_storage = true,
        "promql-experimental-functions" => features.experimental_functions = true,
        "promql-extended-range-selectors" => features.extended_range_selectors = true,
        "promql-binop-fill-modifiers" => features.binop_fill_modifiers = true,
        "promql-delayed-name-removal" => features.delayed_name_removal = true,
        "promql-per-step-stats" => features.per_step_stats = true,
        "use-start-timestamps" => features.use_start_timestamps = true,
        _ => unreachable!("`FEATURES` says that {name} works"),
    }
}

/// What `/api/v1/features` shows of the engine and the parts around it.
pub(crate) fn map(switches: &Switches) -> BTreeMap<String, BTreeMap<String, bool>> {
    let features = &switches.promql;
    let promql = [
        ("experimental_functions", features.experimental_functions),
        (
            "extended_range_selectors",
            features.extended_range_selectors,
        ),
        ("binop_fill_modifiers", features.binop_fill_modifiers),
        ("delayed_name_removal", features.delayed_name_removal),
        ("per_step_stats", features.per_step_stats),
        ("at_modifier", true),
        ("negative_offset", true),
        ("duration_expr", true),
    ];
    let mut tsdb = vec![
        ("exemplar_storage", switches.exemplar_storage),
        ("st_storage", switches.start_storage),
    ];
    if switches.metadata_records {
        tsdb.push(("metadata_wal_records", true));
    }
    let scrape = [
        ("extra_scrape_metrics", true),
        ("start_timestamp_zero_ingestion", switches.starts_as_zeros),
        ("type_and_unit_labels", features.type_and_unit_labels),
    ];
    let areas = [
        ("promql", &promql[..]),
        ("scrape", &scrape),
        ("tsdb", &tsdb),
    ];
    let named = |(area, names): (&str, &[(&str, bool)])| {
        let names = names.iter().map(|(name, on)| ((*name).to_owned(), *on));
        (area.to_owned(), names.collect())
    };
    areas.into_iter().map(named).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_has_an_effect() {
        for (name, effect) in FEATURES {
            let result = resolve(&[(*name).to_owned()]);
            match effect {
                Effect::Works => {
                    let (switches, warnings) = result.unwrap();
                    assert_ne!(switches, Switches::default(), "{name}");
                    assert!(warnings.is_empty(), "{name}");
                }
                Effect::Nothing(_) => assert_eq!(result.unwrap().1.len(), 1, "{name}"),
                Effect::NotYet => assert_eq!(
                    result.unwrap_err(),
                    format!("--enable-feature={name} is not supported yet")
                ),
            }
        }
        let (switches, warnings) = resolve(&["nonsense".to_owned()]).unwrap();
        assert_eq!(switches, Switches::default());
        assert_eq!(
            warnings,
            ["Unknown option for --enable-feature option=nonsense"]
        );
    }
}
