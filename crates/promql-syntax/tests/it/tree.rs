//! The shape of trees: positions, precedence, types, and going through them.

use promql_syntax::ast::{AtModifier, Cardinality, DurationOp, Expr, ValueType};
use promql_syntax::{ParseOptions, parse};

fn tree(query: &str) -> Expr {
    match parse(query, &ParseOptions::ALL) {
        Ok(expr) => expr,
        Err(error) => panic!("{query}: {error}"),
    }
}

/// Each node as the part of the query that its position covers, parents first.
#[test]
fn positions_cover_the_nodes() {
    for (query, nodes) in [
        ("  up ", &["up"][..]),
        (
            "sum by (a) (up) + 1",
            &["sum by (a) (up) + 1", "sum by (a) (up)", "up", "1"],
        ),
        ("sum(up) by (a) ", &["sum(up) by (a)", "up"]),
        ("( sum ( up ) )", &["( sum ( up ) )", "sum ( up )", "up"]),
        ("- 5", &["- 5"]),
        ("-up", &["-up", "up"]),
        (
            "up{a=\"b\"} @ 10 offset 5m > 1",
            &[
                "up{a=\"b\"} @ 10 offset 5m > 1",
                "up{a=\"b\"} @ 10 offset 5m",
                "1",
            ],
        ),
        (
            "rate(up[5m] offset 1m)",
            &["rate(up[5m] offset 1m)", "up[5m] offset 1m"],
        ),
        (
            "(up)[5m:1m] @ end() ",
            &["(up)[5m:1m] @ end()", "(up)", "up"],
        ),
        ("topk(2, up)", &["topk(2, up)", "up", "2"]),
        ("f - on (a) g", &["f - on (a) g", "f", "g"]),
        ("\"é\" ", &["\"é\""]),
        ("up anchored", &["up"]),
    ] {
        let expr = tree(query);
        let mut found = Vec::new();
        expr.walk(&mut |node| found.push(&query[node.position()]));
        assert_eq!(found, nodes, "{query}");
    }
}

#[test]
fn operators_bind_as_in_prometheus() {
    for (query, grouped) in [
        ("1 + 2 * 3 ^ 4 ^ 5", "(1 + (2 * (3 ^ (4 ^ 5))))"),
        ("1 - 2 - 3", "((1 - 2) - 3)"),
        (
            "a or b and c == d + e * f",
            "(a or (b and (c == (d + (e * f)))))",
        ),
        ("a unless b and c or d", "(((a unless b) and c) or d)"),
        ("a * b atan2 c % d", "(((a * b) atan2 c) % d)"),
        ("a < b </ c >/ d", "(((a < b) </ c) >/ d)"),
        ("-a ^ b", "-((a ^ b))"),
        ("-a * b", "(-(a) * b)"),
        ("a ^ -b * c", "((a ^ -(b)) * c)"),
        ("a ^ -b ^ c", "(a ^ -((b ^ c)))"),
        ("2 * -3", "(2 * -3)"),
    ] {
        assert_eq!(group(&tree(query)), grouped, "{query}");
    }
}

fn group(expr: &Expr) -> String {
    match expr {
        Expr::Binary(b) => format!("({} {} {})", group(&b.lhs), b.op, group(&b.rhs)),
        Expr::Unary(u) => format!("{}({})", u.op, group(&u.expr)),
        other => other.to_string(),
    }
}

#[test]
fn types() {
    for (query, want) in [
        ("1 + 2", ValueType::Scalar),
        ("-(1)", ValueType::Scalar),
        ("time()", ValueType::Scalar),
        ("1 + up", ValueType::Vector),
        ("sum(up)", ValueType::Vector),
        ("(up[5m])", ValueType::Matrix),
        ("up[5m:]", ValueType::Matrix),
        ("\"a\"", ValueType::String),
    ] {
        assert_eq!(tree(query).value_type(), want, "{query}");
    }
    let names = [
        ValueType::Scalar,
        ValueType::Vector,
        ValueType::Matrix,
        ValueType::String,
    ]
    .map(|t| (t.as_str(), t.documented()));
    assert_eq!(
        names,
        [
            ("scalar", "scalar"),
            ("vector", "instant vector"),
            ("matrix", "range vector"),
            ("string", "string"),
        ]
    );
}

#[test]
fn matching_depends_on_operator_and_types() {
    for (query, want) in [
        ("a + b", Some(Cardinality::OneToOne)),
        ("a and b", Some(Cardinality::ManyToMany)),
        ("a or on (x) b", Some(Cardinality::ManyToMany)),
        ("a + on (x) group_left b", Some(Cardinality::ManyToOne)),
        ("a + on (x) group_right b", Some(Cardinality::OneToMany)),
        ("a + 1", None),
        ("1 + 2", None),
    ] {
        let Expr::Binary(binary) = tree(query) else {
            panic!("{query} is not binary");
        };
        assert_eq!(binary.matching.map(|m| m.cardinality), want, "{query}");
    }
}

#[test]
fn selectors_keep_what_was_written() {
    let query = "rate(up{a=\"b\"}[5m] @ 1.5 offset -1m) + {\"x\"} @ start() offset (1m * 2)";
    let expr = tree(query);
    let selectors = expr.selectors();
    let [up, x] = selectors[..] else {
        panic!("two selectors");
    };
    assert_eq!((up.name.as_str(), up.matchers.len()), ("up", 2));
    assert_eq!(up.matchers[1].to_string(), "__name__=\"up\"");
    assert_eq!(up.shift.at, Some(AtModifier::TimestampMs(1_500)));
    assert_eq!(
        (up.shift.offset.ms, &up.shift.offset.expr),
        (-60_000, &None)
    );
    assert_eq!((x.name.as_str(), x.matchers.len()), ("", 1));
    assert_eq!(x.shift.at, Some(AtModifier::Start));
    let offset = x.shift.offset.expr.as_ref().unwrap();
    assert_eq!((offset.op, offset.wrapped), (DurationOp::Mul, true));
    assert_eq!(&query[offset.position.clone()], "1m * 2");
}

#[test]
fn walks_change_trees() {
    let mut expr = tree("sum(a) + (b)");
    expr.walk_mut(&mut |node| {
        if let Expr::Vector(selector) = node {
            selector.name.push('x');
        }
    });
    let names: Vec<&str> = expr.selectors().iter().map(|s| s.name.as_str()).collect();
    assert_eq!(names, ["ax", "bx"]);
    assert_eq!(tree("((up))").without_parens().to_string(), "up");
}

#[test]
fn texts_that_are_no_utf8_keep_their_bytes() {
    let Expr::String(string) = tree(r#""a\xff""#) else {
        panic!("a string");
    };
    assert_eq!(string.value, "a\u{fffd}");
    assert_eq!(string.bytes.as_deref(), Some(&b"a\xff"[..]));
    assert_eq!(tree(r#"'a\xff'"#).to_string(), r#""a\xff""#);
}
