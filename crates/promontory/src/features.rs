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
    ("auto-gomaxprocs", Effect::Nothing(OWN_WAY)),
    ("auto-gomemlimit", Effect::Nothing(OWN_WAY)),
    ("memory-snapshot-on-shutdown", Effect::Nothing(OWN_WAY)),
    ("delayed-compaction", Effect::Nothing(OWN_WAY)),
    ("use-uncached-io", Effect::Nothing(OWN_WAY)),
    ("fast-startup", Effect::Nothing(OWN_WAY)),
    ("xor2-encoding", Effect::Nothing(OWN_WAY)),
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
    ("native-histograms", Effect::NotYet),
    ("ooo-native-histograms", Effect::NotYet),
    ("created-timestamp-zero-ingestion", Effect::NotYet),
    ("exemplar-storage", Effect::NotYet),
    ("metadata-wal-records", Effect::NotYet),
    ("otlp-deltatocumulative", Effect::NotYet),
    ("otlp-native-delta-ingestion", Effect::NotYet),
    ("search-api", Effect::NotYet),
    ("type-and-unit-labels", Effect::NotYet),
    ("st-storage", Effect::NotYet),
    ("st-synthesis", Effect::NotYet),
    ("histograms-st-encoding", Effect::NotYet),
];

/// What the names switch on, and what is to be logged about the others.
///
/// # Errors
/// The name of a feature that is not supported yet.
pub(crate) fn resolve(names: &[String]) -> Result<(Features, Vec<String>), String> {
    let mut features = Features::default();
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
            Some((_, Effect::Works)) => switch_on(&mut features, name),
        }
    }
    Ok((features, warnings))
}

fn switch_on(features: &mut Features, name: &str) {
    match name {
        "promql-experimental-functions" => features.experimental_functions = true,
        "promql-extended-range-selectors" => features.extended_range_selectors = true,
        "promql-binop-fill-modifiers" => features.binop_fill_modifiers = true,
        "promql-delayed-name-removal" => features.delayed_name_removal = true,
        "promql-per-step-stats" => features.per_step_stats = true,
        "use-start-timestamps" => features.use_start_timestamps = true,
        _ => unreachable!("`FEATURES` says that {name} works"),
    }
}

/// What `/api/v1/features` shows of the engine.
pub(crate) fn map(features: &Features) -> BTreeMap<String, BTreeMap<String, bool>> {
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
    let promql = promql.iter().map(|(name, on)| ((*name).to_owned(), *on));
    BTreeMap::from([("promql".to_owned(), promql.collect())])
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
                    let (features, warnings) = result.unwrap();
                    assert_ne!(features, Features::default(), "{name}");
                    assert!(warnings.is_empty(), "{name}");
                }
                Effect::Nothing(_) => assert_eq!(result.unwrap().1.len(), 1, "{name}"),
                Effect::NotYet => assert_eq!(
                    result.unwrap_err(),
                    format!("--enable-feature={name} is not supported yet")
                ),
            }
        }
        let (features, warnings) = resolve(&["nonsense".to_owned()]).unwrap();
        assert_eq!(features, Features::default());
        assert_eq!(
            warnings,
            ["Unknown option for --enable-feature option=nonsense"]
        );
    }
}
