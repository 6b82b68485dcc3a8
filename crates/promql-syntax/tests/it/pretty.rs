//! Long queries on several lines.

use promql_syntax::{ParseOptions, parse, prettify};

#[rustfmt::skip]
const QUERIES: &[(&str, &str)] = &[
    (
        "up",
        "up",
    ),
    (
        "sum(rate(up[5m]))",
        "sum(rate(up[5m]))",
    ),
    (
        r#"sum by (job, instance) (rate(some_rather_long_metric_name_total{environment="production",service="checkout"}[5m]))"#,
        r#"sum by (job, instance) (
  rate(some_rather_long_metric_name_total{environment="production",service="checkout"}[5m])
)"#,
    ),
    (
        r#"sum(rate(some_rather_long_metric_name_total{environment="production",service="checkout"}[5m])) by (job) / sum(rate(some_rather_long_metric_name_total{environment="production",service="checkout"}[5m])) by (job)"#,
        r#"  sum by (job) (
    rate(some_rather_long_metric_name_total{environment="production",service="checkout"}[5m])
  )
/
  sum by (job) (
    rate(some_rather_long_metric_name_total{environment="production",service="checkout"}[5m])
  )"#,
    ),
    (
        r#"some_rather_long_metric_name_total{environment="production",service="checkout"} + on (job, instance) group_left (zone) some_rather_long_metric_name_total{environment="production",service="checkout"}"#,
        r#"  some_rather_long_metric_name_total{environment="production",service="checkout"}
+ on (job, instance) group_left (zone)
  some_rather_long_metric_name_total{environment="production",service="checkout"}"#,
    ),
    (
        r#"some_rather_long_metric_name_total{environment="production",service="checkout"} > bool some_rather_long_metric_name_total{environment="production",service="checkout"}"#,
        r#"  some_rather_long_metric_name_total{environment="production",service="checkout"}
> bool
  some_rather_long_metric_name_total{environment="production",service="checkout"}"#,
    ),
    (
        r#"(some_rather_long_metric_name_total{environment="production",service="checkout"} + some_rather_long_metric_name_total{environment="production",service="checkout"})"#,
        r#"(
    some_rather_long_metric_name_total{environment="production",service="checkout"}
  +
    some_rather_long_metric_name_total{environment="production",service="checkout"}
)"#,
    ),
    (
        r#"-(some_rather_long_metric_name_total{environment="production",service="checkout"} + some_rather_long_metric_name_total{environment="production",service="checkout"})"#,
        r#"-(
    some_rather_long_metric_name_total{environment="production",service="checkout"}
  +
    some_rather_long_metric_name_total{environment="production",service="checkout"}
)"#,
    ),
    (
        r#"-sum(some_rather_long_metric_name_total{environment="production",service="checkout"} or some_rather_long_metric_name_total{environment="production",service="checkout"})"#,
        r#"-sum(
    some_rather_long_metric_name_total{environment="production",service="checkout"}
  or
    some_rather_long_metric_name_total{environment="production",service="checkout"}
)"#,
    ),
    (
        r#"topk(5, some_rather_long_metric_name_total{environment="production",service="checkout"} or some_rather_long_metric_name_total{environment="production",service="checkout"})"#,
        r#"topk(
  5,
    some_rather_long_metric_name_total{environment="production",service="checkout"}
  or
    some_rather_long_metric_name_total{environment="production",service="checkout"}
)"#,
    ),
    (
        r#"topk without (job) (scalar(x), sum(some_rather_long_metric_name_total{environment="production",service="checkout"}) by (job, instance, zone) or vector(1))"#,
        r#"topk without (job) (
  scalar(x),
    sum by (job, instance, zone) (
      some_rather_long_metric_name_total{environment="production",service="checkout"}
    )
  or
    vector(1)
)"#,
    ),
    (
        r#"label_replace(some_rather_long_metric_name_total{environment="production",service="checkout"}, "destination_label", "$1-$2", "source_label", "(.*)-(.*)")"#,
        r#"label_replace(
  some_rather_long_metric_name_total{environment="production",service="checkout"},
  "destination_label",
  "$1-$2",
  "source_label",
  "(.*)-(.*)"
)"#,
    ),
    (
        r#"histogram_quantile(0.99, sum by (le, job, instance) (rate(some_rather_long_metric_name_total{environment="production",service="checkout"}[5m])))"#,
        r#"histogram_quantile(
  0.99,
  sum by (le, job, instance) (
    rate(some_rather_long_metric_name_total{environment="production",service="checkout"}[5m])
  )
)"#,
    ),
    (
        r#"max_over_time(rate(some_rather_long_metric_name_total{environment="production",service="checkout"}[5m])[1h:1m] @ start() offset 5m)"#,
        r#"max_over_time(
  rate(some_rather_long_metric_name_total{environment="production",service="checkout"}[5m])[1h:1m] @ start() offset 5m
)"#,
    ),
    (
        r#"max_over_time((some_rather_long_metric_name_total{environment="production",service="checkout"} + some_rather_long_metric_name_total{environment="production",service="checkout"})[1h:1m])"#,
        r#"max_over_time(
  (
      some_rather_long_metric_name_total{environment="production",service="checkout"}
    +
      some_rather_long_metric_name_total{environment="production",service="checkout"}
  )[1h:1m]
)"#,
    ),
    (
        r#"rate(some_rather_long_metric_name_total{environment="production",service="checkout"}[5m] offset 1h) and up"#,
        r#"  rate(some_rather_long_metric_name_total{environment="production",service="checkout"}[5m] offset 1h)
and
  up"#,
    ),
    (
        r#"some_rather_long_metric_name_total{environment="production",service="checkout"} offset 1h and some_rather_long_metric_name_total{environment="production",service="checkout"} @ 1700000000.5"#,
        r#"  some_rather_long_metric_name_total{environment="production",service="checkout"} offset 1h
and
  some_rather_long_metric_name_total{environment="production",service="checkout"} @ 1700000000.500"#,
    ),
    (
        r#"1 + 2 * some_rather_long_metric_name_total{environment="production",service="checkout"} / (some_rather_long_metric_name_total{environment="production",service="checkout"} - 3)"#,
        r#"  1
+
    2 * some_rather_long_metric_name_total{environment="production",service="checkout"}
  /
    (some_rather_long_metric_name_total{environment="production",service="checkout"} - 3)"#,
    ),
    (
        r#"a + b + c + some_rather_long_metric_name_total{environment="production",service="checkout"} + some_rather_long_metric_name_total{environment="production",service="checkout"}"#,
        r#"  a + b + c + some_rather_long_metric_name_total{environment="production",service="checkout"}
+
  some_rather_long_metric_name_total{environment="production",service="checkout"}"#,
    ),
    (
        r#""xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx""#,
        r#""xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx""#,
    ),
    (
        r#"absent(some_rather_long_metric_name_total{environment="production",service="checkout"}) or absent_over_time(some_rather_long_metric_name_total{environment="production",service="checkout"}[1h * 2 + 5m])"#,
        r#"  absent(some_rather_long_metric_name_total{environment="production",service="checkout"})
or
  absent_over_time(
    some_rather_long_metric_name_total{environment="production",service="checkout"}[1h * 2 + 5m]
  )"#,
    ),
    (
        "((a + a + a + a + a + a + a + a + a + a + a + a + a + a + a + a + a + a + a + a + a + a + a + a + a + a + a + a + a + a + b))",
        r#"(
  (
                a + a + a + a + a + a + a + a + a + a + a + a + a + a + a + a + a + a + a + a + a + a + a + a + a
              +
                a
            +
              a
          +
            a
        +
          a
      +
        a
    +
      b
  )
)"#,
    ),
    (
        "sum_over_time((a + a + a + a + a + a + a + a + a + a + a + a + a + a + a + a + a + a + a + a + a + a + a + a + a + a + a + a + a + a + b)[5m:1m])",
        r#"sum_over_time(
  (
                a + a + a + a + a + a + a + a + a + a + a + a + a + a + a + a + a + a + a + a + a + a + a + a + a
              +
                a
            +
              a
          +
            a
        +
          a
      +
        a
    +
      b
  )[5m:1m]
)"#,
    ),
    (
        r#"a + fill_left (0) fill_right (1) some_rather_long_metric_name_total{environment="production",service="checkout"} unless ignoring (x) some_rather_long_metric_name_total{environment="production",service="checkout"}"#,
        r#"    a
  + fill_left (0) fill_right (1)
    some_rather_long_metric_name_total{environment="production",service="checkout"}
unless ignoring (x)
  some_rather_long_metric_name_total{environment="production",service="checkout"}"#,
    ),
];

#[test]
fn long_queries_are_split() {
    for (query, pretty) in QUERIES {
        let expr = parse(query, &ParseOptions::ALL).unwrap();
        assert_eq!(prettify(&expr), *pretty, "{query}");
        let again = parse(pretty, &ParseOptions::ALL).unwrap();
        assert_eq!(again.to_string(), expr.to_string(), "{query}");
    }
}
