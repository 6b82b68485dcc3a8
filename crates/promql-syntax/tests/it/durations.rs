//! Durations that depend on the query's range and step.

use promql_syntax::ast::Expr;
use promql_syntax::{ParseOptions, parse, resolve_durations};

/// For a query over an hour by 15 s.
fn resolve(query: &str) -> Result<Expr, String> {
    let mut expr = match parse(query, &ParseOptions::ALL) {
        Ok(expr) => expr,
        Err(error) => panic!("{query}: {error}"),
    };
    match resolve_durations(&mut expr, 1_000_000, 4_600_000, 15_000) {
        Ok(()) => Ok(expr),
        Err(error) => Err(error.to_string()),
    }
}

#[test]
fn ranges_are_computed() {
    for (range, want_ms) in [
        ("5m", 300_000),
        ("step()", 15_000),
        ("range()", 3_600_000),
        ("-step() + 1m", 45_000),
        ("5m * 2 + 1m", 660_000),
        ("1m - -1m", 120_000),
        ("2 ^ 3 ^ 2", 512_000),
        ("10m / 4", 150_000),
        ("7 % 4", 3_000),
        ("max_of(1m, range() / 10)", 360_000),
        ("min_of(1m, step())", 15_000),
        ("(+5m)", 300_000),
        ("1.0006", 1_000),
        ("1 + 0.0006", 1_000),
    ] {
        let Ok(Expr::Matrix(matrix)) = resolve(&format!("up[{range}]")) else {
            panic!("{range} does not resolve");
        };
        assert_eq!(matrix.range.ms, want_ms, "{range}");
    }
}

#[test]
fn all_places_are_resolved() {
    let expr =
        resolve("sum_over_time((up offset (1m * 2))[range() * 1:step() * 2] offset -step())");
    let Ok(Expr::Call(call)) = expr else {
        panic!("a call");
    };
    let Expr::Subquery(subquery) = &call.args[0] else {
        panic!("a subquery");
    };
    assert_eq!(subquery.range.ms, 3_600_000);
    assert_eq!(subquery.step.as_ref().map(|step| step.ms), Some(30_000));
    assert_eq!(subquery.shift.offset.ms, -15_000);
    assert_eq!(subquery.expr.selectors()[0].shift.offset.ms, 120_000);
    // The arithmetic stays, for printing.
    assert_eq!(
        call.args[0].to_string(),
        "(up offset (1m * 2))[range() * 1:step() * 2] offset -step()"
    );
}

#[test]
fn impossible_durations_are_refused() {
    for (query, error) in [
        ("up[step() - 1m]", "3:14: duration must be greater than 0"),
        ("up[(0)]", "3:5: duration must be greater than 0"),
        ("up[1m / (step() - 15)]", "3:20: division by zero"),
        ("up[1m % (15 - step())]", "3:20: modulo by zero"),
        ("up[(0 - 1) ^ 0.5]", "4:16: duration is NaN or infinite"),
        ("up[10 ^ 400]", "3:11: duration is NaN or infinite"),
        ("up[10 ^ 40]", "3:10: duration is out of range"),
        ("up offset (0 - 10 ^ 40)", "11:22: duration is out of range"),
        (
            "up[1h:step() - 1h]",
            "6:17: duration must be greater than 0",
        ),
    ] {
        assert_eq!(
            resolve(query).map(|e| e.to_string()),
            Err(error.to_owned()),
            "{query}"
        );
    }
}
