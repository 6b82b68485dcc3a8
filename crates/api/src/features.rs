//! `/api/v1/features`: what clients may use, by area. The API's own and the language's are said
//! here; the binary adds what else it knows.

use std::collections::BTreeMap;

use promql::Features;
use promql_syntax::ast::FUNCTIONS;

use crate::options::Options;

/// Switches by area.
pub(crate) type FeatureMap = BTreeMap<String, BTreeMap<String, bool>>;

/// Operators that are always there; aggregations are among them, as upstream.
const OPERATORS: [&str; 33] = [
    "!=",
    "!~",
    "%",
    "*",
    "+",
    "-",
    "/",
    "<",
    "</",
    "<=",
    "==",
    "=~",
    ">",
    ">/",
    ">=",
    "@",
    "^",
    "and",
    "atan2",
    "avg",
    "bottomk",
    "count",
    "count_values",
    "group",
    "max",
    "min",
    "or",
    "quantile",
    "stddev",
    "stdvar",
    "sum",
    "topk",
    "unless",
];

/// What `options` say, and what is known here.
pub(crate) fn features(options: &Options, engine: Features) -> FeatureMap {
    let mut map = options.features.clone();
    let mut set = |area: &str, name: &str, on: bool| {
        let area = map.entry(area.to_owned()).or_default();
        area.insert(name.to_owned(), on);
    };
    for (name, on) in [
        ("admin", options.enable_admin_api),
        ("exclude_alerts", true),
        ("label_values_match", true),
        ("lifecycle", options.enable_lifecycle),
        ("openapi_3.1", false),
        ("openapi_3.2", false),
        ("otlp_write_receiver", false),
        ("query_stats", true),
        ("query_warnings", true),
        ("remote_write_receiver", false),
        ("search", false),
        ("time_range_labels", true),
        ("time_range_series", true),
    ] {
        set("api", name, on);
    }
    for (name, on) in [
        ("anchored", engine.extended_range_selectors),
        ("at_modifier", true),
        ("bool", true),
        ("by", true),
        ("delayed_name_removal", engine.delayed_name_removal),
        ("duration_expr", true),
        ("fill", engine.binop_fill_modifiers),
        ("fill_left", engine.binop_fill_modifiers),
        ("fill_right", engine.binop_fill_modifiers),
        ("group_left", true),
        ("group_right", true),
        ("ignoring", true),
        ("negative_offset", true),
        ("offset", true),
        ("on", true),
        ("per_query_lookback_delta", true),
        ("per_step_stats", engine.per_step_stats),
        ("smoothed", engine.extended_range_selectors),
        ("subqueries", true),
        ("type_and_unit_labels", engine.type_and_unit_labels),
        ("without", true),
    ] {
        set("promql", name, on);
    }
    for function in FUNCTIONS {
        let on = !function.experimental || engine.experimental_functions;
        set("promql_functions", function.name, on);
    }
    for operator in OPERATORS {
        set("promql_operators", operator, true);
    }
    for operator in ["limitk", "limit_ratio"] {
        set("promql_operators", operator, engine.experimental_functions);
    }
    map
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_show() {
        let options = Options {
            enable_lifecycle: true,
            features: BTreeMap::from([(
                "tsdb".to_owned(),
                BTreeMap::from([("isolation".to_owned(), true)]),
            )]),
            ..Options::default()
        };
        let plain = features(&options, Features::default());
        let experimental = Features {
            experimental_functions: true,
            ..Features::default()
        };
        let all = features(&options, experimental);
        for (area, name, without, with) in [
            ("tsdb", "isolation", true, true),
            ("api", "lifecycle", true, true),
            ("api", "admin", false, false),
            ("promql_functions", "rate", true, true),
            ("promql_functions", "mad_over_time", false, true),
            ("promql_operators", "limitk", false, true),
            ("promql_operators", ">=", true, true),
        ] {
            assert_eq!(plain[area][name], without, "{area} {name}");
            assert_eq!(all[area][name], with, "{area} {name}");
        }
    }
}
