//! Makes a query that two servers answer differently smaller.

use promql_syntax::ast::{Expr, ValueType};
use promql_syntax::{ParseOptions, parse};

/// The queries that are left when one part gives way to a part of its own, or to a number; the
/// shortest first, none longer than `query`.
pub(super) fn smaller(query: &str) -> Vec<String> {
    let Ok(expr) = parse(query, &ParseOptions::ALL) else {
        return Vec::new();
    };
    let mut found = Vec::new();
    expr.walk(&mut |outer: &Expr| {
        let place = outer.position();
        let mut put = |part: &str| {
            let text = [&query[..place.start], part, &query[place.end..]].concat();
            if text.len() < query.len() && parse(&text, &ParseOptions::ALL).is_ok() {
                found.push(text);
            }
        };
        outer.walk(&mut |inner: &Expr| {
            if inner.value_type() == outer.value_type() {
                let text = &query[inner.position()];
                put(text);
                put(&format!("({text})"));
            }
        });
        match outer.value_type() {
            ValueType::Scalar => put("1"),
            ValueType::Vector => {
                put("a");
                put("(a)");
                put("vector(1)");
            }
            _ => {}
        }
    });
    found.sort_unstable_by_key(|text| (text.len(), text.clone()));
    found.dedup();
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_left_out() {
        let found = smaller("sum by (x) (rate(b[5m])) + -abs(b)");
        for wanted in ["a", "abs(b)", "rate(b[5m])", "rate(b[5m]) + -abs(b)"] {
            assert!(
                found.iter().any(|text| text == wanted),
                "{wanted} of {found:?}"
            );
        }
        assert!(smaller("a").is_empty());
        assert!(smaller("no query").is_empty());
    }
}
