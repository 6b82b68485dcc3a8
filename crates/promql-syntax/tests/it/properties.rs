//! What must hold for every text.

use promql_syntax::{
    ParseOptions, parse, parse_metric, parse_metric_selector, parse_series_desc, prettify,
};
use proptest::prelude::*;

/// Pieces from which texts are put together; most of the texts are wrong, some are queries.
const PIECES: &[&str] = &[
    "up",
    "a:b",
    "sum",
    "by",
    "without",
    "on",
    "ignoring",
    "group_left",
    "bool",
    "offset",
    "@",
    "start()",
    "end()",
    "step()",
    "range()",
    "max_of(1,2)",
    "and",
    "or",
    "unless",
    "atan2",
    "anchored",
    "smoothed",
    "fill(1)",
    "fill_left(2)",
    "rate",
    "info",
    "topk",
    "(",
    ")",
    "(",
    ")",
    "{",
    "}",
    "{a=\"b\"}",
    "{\"q\"}",
    "[5m]",
    "[5m:1m]",
    "[",
    "]",
    ",",
    ":",
    "=",
    "=~",
    "!=",
    "==",
    ">",
    "</",
    "+",
    "-",
    "*",
    "/",
    "%",
    "^",
    "5",
    "1.5e3",
    "0x1f",
    "inf",
    "nan",
    "5m",
    "1h30m",
    "\"s\"",
    "'t'",
    "`u`",
    "\"\\xff\"",
    "# c\n",
    "é",
    " ",
    "\n",
    "$",
    "\"",
    "\\",
    "stale",
    "_",
    "x3",
    "{{schema:1}}",
    "{{",
    "}}",
    "buckets:[1 2]",
    "1+2x3",
    "1e",
    "9999999999999999999",
];

fn pieces() -> impl Strategy<Value = String> {
    prop::collection::vec(prop::sample::select(PIECES), 0..14)
        .prop_flat_map(|pieces| prop_oneof![Just(pieces.concat()), Just(pieces.join(" "))])
}

/// Queries that are mostly right, from a small grammar.
fn queries() -> impl Strategy<Value = String> {
    let leaf = prop::sample::select(vec![
        "1",
        "5m",
        "-2",
        "up",
        "up{a=~\"b.*\"}",
        "{\"x.y\"}",
        "up offset -5m",
        "up @ 1.25",
        "time()",
        "vector(1)",
        "rate(up[5m])",
        "max_over_time(up[1h:step()] @ end())",
        "up[5m] anchored",
        "up smoothed offset (1m * 2)",
        "\"text\"",
    ])
    .prop_map(str::to_owned);
    leaf.prop_recursive(6, 40, 3, |inner| {
        let op = prop::sample::select(vec![
            "+",
            "-",
            "*",
            "/",
            "%",
            "^",
            "atan2",
            "==",
            "> bool",
            "</",
            "and",
            "or on (a)",
            "unless",
            "* on (a) group_left (b)",
            "+ fill (0)",
            "- ignoring (c) fill_right (-1)",
        ]);
        let around = prop::sample::select(vec![
            ("(", ")"),
            ("-", ""),
            ("sum(", ")"),
            ("sum by (a, \"b.c\") (", ")"),
            ("topk without () (3, ", ")"),
            ("abs(", ")"),
            ("(", ")[5m:]"),
            ("round(", ", 5)"),
            ("count_values(\"v\", ", ")"),
            ("info(", ", {z=\"1\"})"),
        ]);
        prop_oneof![
            (inner.clone(), op, inner.clone()).prop_map(|(a, op, b)| format!("{a} {op} {b}")),
            (around, inner).prop_map(|((before, after), a)| format!("{before}{a}{after}")),
        ]
    })
}

fn check(text: &str) -> Result<(), TestCaseError> {
    match parse(text, &ParseOptions::ALL) {
        Ok(expr) => {
            let printed = expr.to_string();
            for again in [&printed, &prettify(&expr)] {
                let again = match parse(again, &ParseOptions::ALL) {
                    Ok(again) => again,
                    Err(error) => panic!("{text} prints as {again}: {error}"),
                };
                prop_assert_eq!(again.to_string(), printed.as_str());
            }
            let mut fits = true;
            expr.walk(&mut |node| fits &= text.get(node.position()).is_some());
            prop_assert!(fits, "a position outside of {}", text);
        }
        Err(error) => {
            prop_assert!(!error.0.is_empty());
            prop_assert!(!error.to_string().is_empty());
        }
    }
    let _ = parse_metric(text);
    let _ = parse_metric_selector(text);
    let _ = parse_series_desc(text);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn any_text_is_read_or_refused(text in any::<String>()) {
        check(&text)?;
    }

    #[test]
    fn any_pieces_are_read_or_refused(text in pieces()) {
        check(&text)?;
    }

    #[test]
    fn queries_print_to_a_fixed_point(text in queries()) {
        check(&text)?;
    }
}

/// The generator is worth something only if most of what it makes is a query.
#[test]
fn many_generated_queries_are_accepted() {
    use proptest::strategy::ValueTree;
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let accepted = (0..500)
        .filter(|_| {
            let query = queries().new_tree(&mut runner).unwrap().current();
            parse(&query, &ParseOptions::ALL).is_ok()
        })
        .count();
    assert!(accepted > 150, "{accepted} of 500");
}
