//! `parse_query` and `format_query`: `queries.txt` has queries, each with what 3.14 answers to both.

use crate::support::{Rig, run};

#[test]
fn queries_are_parsed_and_formatted_as_upstream() {
    let rig = Rig::new();
    let cases: Vec<&str> = include_str!("queries.txt").lines().collect();
    let mut count = 0;
    run(async {
        for case in cases
            .split(|line| line.is_empty())
            .filter(|case| !case.is_empty())
        {
            let [query, parsed, formatted] = case else {
                panic!("a case has three lines: {case:?}");
            };
            let encoded: String = query.bytes().map(|byte| format!("%{byte:02x}")).collect();
            for (path, expected) in [("parse_query", parsed), ("format_query", formatted)] {
                let answer = rig.get(&format!("/api/v1/{path}?query={encoded}")).await;
                assert_eq!(answer.text(), *expected, "{path} {query}");
            }
            count += 1;
        }
    });
    assert!(count > 30, "{count}");
}
