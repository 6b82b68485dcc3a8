//! No query can take the stack.

use promql_syntax::{DEPTH_MAX, ParseOptions, parse, prettify};

const TOO_DEEP: &str = "expression is nested too deeply, more than 400 levels";

#[test]
fn deep_queries_have_a_limit() {
    const MANY: usize = 100_000;
    for query in [
        "(".repeat(MANY),
        format!("{}1{}", "(".repeat(MANY), ")".repeat(MANY)),
        "-".repeat(MANY),
        "sum(".repeat(MANY),
        "abs(".repeat(MANY),
        "x + ".repeat(MANY),
        "1 ^ ".repeat(MANY),
        format!("x{}", "[1m:]".repeat(MANY)),
        format!("x[{}", "(".repeat(MANY)),
        format!("x[{}", "-".repeat(MANY)),
        format!("x[{}", "1 + ".repeat(MANY)),
        format!("x[{}", "1 ^ ".repeat(MANY)),
        format!("x[{}", "max_of(1,".repeat(MANY)),
        format!("x offset {}", "-".repeat(MANY)),
        format!("x offset {}", "-(".repeat(MANY)),
    ] {
        let error = parse(&query, &ParseOptions::ALL).unwrap_err();
        assert_eq!(error.first().message, TOO_DEEP, "{}", &query[..20]);
    }
}

/// On the stack of a worker thread, everything that goes through a tree, at the limit.
#[test]
fn the_limit_fits_the_stack() {
    let most = DEPTH_MAX - 1;
    let queries = [
        format!("{}1{}", "(".repeat(most), ")".repeat(most)),
        format!("{}x", "-".repeat(most)),
        vec!["x"; DEPTH_MAX].join(" + "),
        vec!["x"; most].join(" ^ "),
        format!("{}x{}", "abs(".repeat(most), ")".repeat(most)),
        format!("{}x{}", "sum(".repeat(most), ")".repeat(most)),
        format!("x[{}]", vec!["1"; most].join(" + ")),
        format!("x[{}1{}]", "(".repeat(most - 1), ")".repeat(most - 1)),
    ];
    let work = move || {
        for query in queries {
            let expr = parse(&query, &ParseOptions::ALL).unwrap();
            assert!(prettify(&expr).len() >= expr.to_string().len());
            drop(expr.clone());
        }
    };
    std::thread::Builder::new()
        .stack_size(2 << 20)
        .spawn(work)
        .unwrap()
        .join()
        .unwrap();
}

/// A list is not deep, so its length has no limit.
#[test]
fn wide_queries_have_none() {
    let labels = vec!["l"; 10_000].join(", ");
    let args = vec!["\"l\""; 10_000].join(", ");
    for query in [
        format!("sum by ({labels}) (x)"),
        format!("sort_by_label(x, {args})"),
    ] {
        assert_eq!(
            parse(&query, &ParseOptions::ALL).unwrap().to_string(),
            query
        );
    }
}
