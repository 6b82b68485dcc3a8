//! What queries answer that cannot be answered.

use promql::{QueryError, QueryOptions};

use crate::{MINUTE_MS, bench, load};

#[test]
fn matching_errors_name_the_series() {
    let b = bench(&[
        r#"many{x="1",y="a"} 1"#,
        r#"many{x="1",y="b"} 2"#,
        r#"one{x="1",z="c"} 3"#,
        r#"one{x="1",z="d"} 4"#,
        r#"single{x="1"} 5"#,
    ]);
    for (query, expected) in [
        (
            "many + on (x) group_left one",
            concat!(
                r#"found duplicate series for the match group {x="1"} on the right hand-side of "#,
                r#"the operation: [{__name__="one", x="1", z="c"}, {__name__="one", x="1", "#,
                r#"z="d"}];many-to-many matching not allowed: matching labels must be unique on "#,
                "one side"
            ),
        ),
        (
            "many + on (x) group_right one",
            concat!(
                r#"found duplicate series for the match group {x="1"} on the left hand-side of "#,
                r#"the operation: [{__name__="many", x="1", y="a"}, {__name__="many", x="1", "#,
                r#"y="b"}];many-to-many matching not allowed: matching labels must be unique on "#,
                "one side"
            ),
        ),
        (
            "many + on (x) single",
            "multiple matches for labels: many-to-one matching must be explicit \
             (group_left/group_right)",
        ),
        (
            "many + on (x) group_left (y) single",
            "multiple matches for labels: grouping labels must ensure unique matches",
        ),
    ] {
        b.at(0, query, &format!("error: {expected}"));
        b.over((0, 1), query, &format!("error: {expected}"));
    }
    // Nothing on the other side: nobody is looked at.
    b.at(0, "nope + on (x) one", "");
}

#[test]
fn what_is_repeated_has_one_value() {
    let b = bench(&[
        r#"m{y="a"} 1 1"#,
        r#"m{y="b"} {{schema:0 sum:5 count:7 buckets:[1 2 3 1]}}x1"#,
    ]);
    let merged = r#"label_replace(m @ 0, "y", "", "le", "(.*)")"#;
    b.over((0, 1), merged, "error: unexpected number of samples");
    b.over((0, 0), merged, "error: unexpected number of samples");
    assert!(
        b.range(r#"label_replace(m, "y", "", "le", "(.*)")"#, 0, 1)
            .is_ok()
    );
    assert!(b.range("m @ 0", 0, 1).is_ok());
}

#[test]
fn bad_parameters_are_told() {
    let b = bench(&["m 1 2 3"]);
    for (query, expected) in [
        ("topk(NaN, m)", "Parameter value is NaN"),
        ("topk(1e30, m)", "Scalar value 1e+30 overflows int64"),
        (
            "bottomk(2 or m, m)",
            "1:9: parse error: set operator \"or\" not allowed in binary scalar expression",
        ),
        ("limit_ratio(NaN, m)", "Ratio value is NaN"),
        (r#"count_values("", m)"#, "invalid label name \"\""),
        (
            r#"label_replace(m, "", "$1", "a", "b")"#,
            "invalid destination label name in label_replace(): ",
        ),
        (
            r#"label_replace(m, "a", "$1", "a", "(")"#,
            "invalid regular expression in label_replace(): (",
        ),
        (
            r#"label_join(m, "a", "-", "")"#,
            "invalid source label name in label_join(): ",
        ),
        (
            "double_exponential_smoothing(m[5m], 2, 0.5)",
            "invalid smoothing factor. Expected: 0 < sf < 1, got: 2.000000",
        ),
        (
            "avg_over_time(m[5m] anchored)",
            "anchored modifier can only be used with: changes, delta, increase, rate, resets - \
             not with avg_over_time",
        ),
        (
            "changes(m[5m] smoothed)",
            "smoothed modifier can only be used with: delta, increase, rate - not with changes",
        ),
        ("m[1h - 1h]", "2:9: duration must be greater than 0"),
    ] {
        let got = b.instant(query, 2).map(|output| crate::show(&output.value));
        assert_eq!(
            got.map_err(|error| error.to_string()),
            Err(expected.to_owned()),
            "{query}"
        );
    }
}

#[test]
fn ranges_are_refused_by_kind() {
    let store = load(&[]);
    let engine = crate::engine(|_| {});
    let options = QueryOptions::default();
    let range = |query: &str, step_ms: i64| {
        let end_ms = 10 * MINUTE_MS;
        engine
            .range(&store, query, 0, end_ms, step_ms, &options)
            .map(|o| o.value)
    };
    assert_eq!(
        range("m[5m]", MINUTE_MS),
        Err(QueryError::BadData(
            "invalid expression type \"range vector\" for range query, must be Scalar or instant \
             Vector"
                .to_owned()
        ))
    );
    assert!(matches!(
        range(r#""text""#, MINUTE_MS),
        Err(QueryError::BadData(_))
    ));
    assert!(matches!(range("m", 0), Err(QueryError::BadData(_))));
    assert!(matches!(range("m +", MINUTE_MS), Err(QueryError::Parse(_))));
    assert_eq!(range("m", MINUTE_MS), Ok(promql::Value::Matrix(Vec::new())));
}

/// Storage gives series in any order when that does not show in a result; it does in errors, and in
/// which of the notes of a step is the last.
#[test]
fn the_first_of_several_errors_is_named() {
    let b = bench(&[
        r#"a{x="1"} 1 1"#,
        r#"a{x="2"} 1 1"#,
        r#"b{x="1"} 1 1"#,
        r#"b{x="2"} 1 1"#,
        r#"h{x="1"} {{count:1}} {{count:1}}"#,
        r#"h{x="2"} 1 1"#,
        r#"g{x="1"} 1 1"#,
        r#"g{x="2"} {{count:1}} {{count:1}}"#,
    ]);
    b.over(
        (0, 1),
        r#"a + {__name__=~"a|b"}"#,
        r#"error: found duplicate series for the match group {x="1"} on the right hand-side of the operation: [{__name__="a", x="1"}, {__name__="b", x="1"}];many-to-many matching not allowed: matching labels must be unique on one side"#,
    );
    let output = b.range("h % on (x) g", 0, 1).unwrap();
    assert_eq!(
        output.infos,
        [
            "PromQL info: incompatible sample types encountered for binary operator \"%\": float % histogram (1:1)"
        ]
    );
}
