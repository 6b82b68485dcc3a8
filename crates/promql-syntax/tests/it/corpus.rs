//! The queries on which Prometheus tests its own parser, with what 3.14 says to each: acceptance,
//! normal form, text and position of the error.
//!
//! `corpus/*.txt` were filled in by a running server; their heads say how to read them.

use promql_syntax::{ParseOptions, parse, prettify};

const ACCEPTED: &str = include_str!("../corpus/accepted.txt");
const REFUSED: &str = include_str!("../corpus/refused.txt");
/// So that a file that is cut off, or not read to its end, is noticed.
const ROWS_MIN: usize = 350;

/// A query and what is said to it.
type Row = (String, String);

fn rows(text: &str, answer: &str) -> Vec<Row> {
    let mut fields: Vec<(&str, String)> = Vec::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        if let Some(rest) = line.strip_prefix("    ") {
            let (_, value) = fields.last_mut().expect("a row begins with a key");
            if !value.is_empty() {
                value.push('\n');
            }
            value.push_str(rest);
        } else if let Some((key, json)) = line.split_once("= ").filter(|(key, _)| is_key(key)) {
            fields.push((key, unquoted(json)));
        } else if let Some((key, rest)) = line.split_once(':') {
            fields.push((key, rest.strip_prefix(' ').unwrap_or(rest).to_owned()));
        } else {
            assert_eq!(line, "", "neither a field nor the end of a row");
        }
    }
    let row = |pair: &[(&str, String)]| {
        let [("input", query), (key, said)] = pair else {
            panic!("not a row: {pair:?}");
        };
        assert_eq!(*key, answer, "{query}");
        (query.clone(), said.clone())
    };
    fields.chunks(2).map(row).collect()
}

fn is_key(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_lowercase())
}

/// A JSON string without its quotes and escapes.
fn unquoted(json: &str) -> String {
    let inner = json.strip_prefix('"').and_then(|j| j.strip_suffix('"'));
    let mut chars = inner.expect("quotes").chars();
    let mut text = String::new();
    while let Some(c) = chars.next() {
        text.push(match c {
            '\\' => match chars.next().expect("what is escaped") {
                'n' => '\n',
                'r' => '\r',
                't' => '\t',
                plain @ ('"' | '\\') => plain,
                other => panic!("an escape that no row needs: {other}"),
            },
            plain => plain,
        });
    }
    text
}

/// All differences at once: one change of the grammar often touches many rows.
fn compare(rows: &[Row], got: impl Fn(&str) -> String) {
    let different: Vec<String> = rows
        .iter()
        .map(|(query, said)| (query, said, got(query)))
        .filter(|(_, said, got)| *said != got)
        .map(|(query, said, got)| format!("{query}\n  said {said}\n  got  {got}"))
        .collect();
    assert!(different.is_empty(), "{}", different.join("\n"));
}

#[test]
fn accepted_queries_have_the_same_normal_form() {
    compare(&rows(ACCEPTED, "ok"), |query| {
        match parse(query, &ParseOptions::ALL) {
            Ok(expr) => prettify(&expr),
            Err(error) => format!("refused: {error}"),
        }
    });
}

#[test]
fn refused_queries_have_the_same_error_and_position() {
    compare(&rows(REFUSED, "error"), |query| {
        match parse(query, &ParseOptions::ALL) {
            Ok(expr) => format!("accepted: {expr}"),
            Err(error) => error.to_string(),
        }
    });
}

#[test]
fn no_row_is_lost() {
    let (accepted, refused) = (rows(ACCEPTED, "ok"), rows(REFUSED, "error"));
    let inputs = |text: &str| text.lines().filter(|l| l.starts_with("input")).count();
    assert_eq!(accepted.len(), inputs(ACCEPTED));
    assert_eq!(refused.len(), inputs(REFUSED));
    assert!(accepted.len() + refused.len() >= ROWS_MIN);
}
