//! Queries, selectors and series descriptions. What was understood is understood again once it is
//! printed, and printed the same, but where upstream's print says something else and ours says the
//! same: an infinity gets a sign, which binds otherwise (`Inf ^ a`), and an offset that was an
//! expression of one number becomes a duration.
#![no_main]

use libfuzzer_sys::fuzz_target;
use promql_syntax::{ParseOptions, parse, parse_metric, parse_metric_selector, prettify};

fuzz_target!(|input: &[u8]| {
    let Ok(text) = std::str::from_utf8(input) else {
        return;
    };
    let _ = parse_metric(text);
    let _ = parse_metric_selector(text);
    let _ = parse(text, &ParseOptions::default());
    let Ok(expr) = parse(text, &ParseOptions::ALL) else {
        return;
    };
    let printed = expr.to_string();
    let again = parse(&printed, &ParseOptions::ALL);
    let again = again.unwrap_or_else(|error| panic!("{printed}: {error}"));
    let plain = ParseOptions {
        duration_expressions: false,
        ..ParseOptions::ALL
    };
    if parse(text, &plain).is_ok() && !printed.contains("+Inf") {
        assert_eq!(again.to_string(), printed);
    }
    let _ = prettify(&expr);
});
