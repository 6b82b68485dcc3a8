//! Single series and selectors, as `match[]` and the test language take them.

use model::Labels;
use promql_syntax::{parse_metric, parse_metric_selector, parse_metric_selectors};

fn show(labels: &Labels) -> String {
    let pairs: Vec<String> = labels
        .iter()
        .map(|(name, value)| model::Matcher::equal(name, value).to_string())
        .collect();
    format!("{{{}}}", pairs.join(", "))
}

fn check(text: &str, found: Result<String, promql_syntax::ParseErrors>, want: Result<&str, &str>) {
    let found = found.map_err(|error| error.to_string().replacen("parse error: ", "", 1));
    assert_eq!(found.as_deref().map_err(String::as_str), want, "{text}");
}

#[test]
fn metrics() {
    for (text, want) in [
        ("up", Ok(r#"{__name__="up"}"#)),
        ("", Ok("{}")),
        ("{}", Ok("{}")),
        ("up{}", Ok(r#"{__name__="up"}"#)),
        (r#"up{a="b"}"#, Ok(r#"{__name__="up", a="b"}"#)),
        (r#"up{a="b",}"#, Ok(r#"{__name__="up", a="b"}"#)),
        (r#"{a="b",c="d"}"#, Ok(r#"{a="b", c="d"}"#)),
        (r#"{"up"}"#, Ok(r#"{__name__="up"}"#)),
        (r#"{"a.b","c.d"="e"}"#, Ok(r#"{__name__="a.b", "c.d"="e"}"#)),
        (r#"up{a=""}"#, Ok(r#"{__name__="up"}"#)),
        (r#"sum{by="x"}"#, Ok(r#"{__name__="sum", by="x"}"#)),
        (r#"up{__name__="down"}"#, Ok(r#"{__name__="up"}"#)),
        (
            r#"up{a!="b"}"#,
            Err(r#"1:5: unexpected <op:!=> in label set, expected "=""#),
        ),
        (
            r#"up{a="b""#,
            Err("1:9: unexpected end of input inside braces"),
        ),
        (
            "up{a=b}",
            Err(r#"1:6: unexpected identifier "b" in label set, expected string"#),
        ),
        (
            "up{a}",
            Err(r#"1:5: unexpected "}" in label set, expected "=""#),
        ),
        (
            r#"up{"a" "b"}"#,
            Err(r#"1:8: unexpected string "\"b\"" in label set, expected "," or "}""#),
        ),
        ("up x", Err(r#"1:4: unexpected identifier "x""#)),
        ("up[5m]", Err(r#"1:3: unexpected "[""#)),
        (
            r#"{a="b" c="d"}"#,
            Err(r#"1:8: unexpected identifier "c" in label set, expected "," or "}""#),
        ),
        (r#"up{a="b"} 1"#, Err(r#"1:11: unexpected number "1""#)),
        (" up ", Ok(r#"{__name__="up"}"#)),
        ("1", Err(r#"1:1: unexpected number "1""#)),
        (
            r#"{a="1",a="2"}"#,
            Err(r#"1:8: label name "a" is not unique"#),
        ),
        (
            r#"{"up",__name__="x"}"#,
            Err(r#"1:7: label name "__name__" is not unique"#),
        ),
    ] {
        check(text, parse_metric(text).map(|labels| show(&labels)), want);
    }
}

#[test]
fn selectors() {
    for (text, want) in [
        ("up", Ok(r#"__name__="up""#)),
        (r#"up{a="b"}"#, Ok(r#"a="b",__name__="up""#)),
        (r#"{a="b"}"#, Ok(r#"a="b""#)),
        ("{}", Ok("")),
        (
            r#"{a=~"x.*",b!="c",d!~"e"}"#,
            Ok(r#"a=~"x.*",b!="c",d!~"e""#),
        ),
        (r#"{"a.b"}"#, Ok(r#"__name__="a.b""#)),
        (r#"up{__name__="x"}"#, Ok(r#"__name__="x",__name__="up""#)),
        ("up[5m]", Err(r#"1:3: unexpected "[""#)),
        ("up offset 5m", Err("1:4: unexpected <offset>")),
        ("up + 1", Err("1:4: unexpected <op:+>")),
        ("", Err("unknown position: unexpected end of input")),
        ("sum(up)", Err(r#"1:4: unexpected "(""#)),
        (
            r#"up{a=~"("}"#,
            Err("1:4: error parsing regexp: missing closing ): `(`"),
        ),
        ("(up)", Err(r#"1:1: unexpected "(""#)),
        ("sum", Ok(r#"__name__="sum""#)),
        ("up{", Err("1:4: unexpected end of input inside braces")),
    ] {
        let found = parse_metric_selector(text).map(|matchers| {
            let matchers: Vec<String> = matchers.iter().map(ToString::to_string).collect();
            matchers.join(",")
        });
        check(text, found, want);
    }
}

#[test]
fn several_selectors() {
    let sets = parse_metric_selectors(["up", r#"{a="b",c="d"}"#]).unwrap();
    assert_eq!(sets.iter().map(Vec::len).collect::<Vec<_>>(), [1, 2]);
    let error = parse_metric_selectors(["up", "{"]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "1:2: parse error: unexpected end of input inside braces"
    );
}

/// Nothing that is stored can be equal to it, so a matcher cannot mean it.
#[test]
fn refuse_values_that_are_no_text() {
    check(
        "up",
        parse_metric_selector(r#"up{a="\xff"}"#).map(|_| String::new()),
        Err(r#"1:6: error unquoting string "\"\\xff\"": invalid UTF-8"#),
    );
}
