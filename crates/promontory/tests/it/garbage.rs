//! Everything that can be wrong from outside: each with its exact text, none with a consequence for
//! anything else. The texts are those that Prometheus 3.14 gives for the same input.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use bench::process::{Server, free_address};
use serde_json::Value;

use crate::pages::{self, Answer};
use crate::server::{ask, query, ready, start};

const TEXT: &str = "text/plain; version=0.0.4";
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Name, content type and page of a target, and the error that it shows.
const PAGES: &[(&str, &str, &[u8], &str)] = &[
    (
        "no_value",
        TEXT,
        b"up_a\n",
        "expected value after metric, got \"\\n\" (\"INVALID\") while parsing: \"up_a\\n\"",
    ),
    (
        "no_value_labels",
        TEXT,
        b"a{b=\"c\"}\n",
        "expected value after metric, got \"\\n\" (\"INVALID\") while parsing: \"a{b=\\\"c\\\"}\\n\"",
    ),
    (
        "bad_value",
        TEXT,
        b"a b\n",
        "strconv.ParseFloat: parsing \"b\": invalid syntax while parsing: \"a b\"",
    ),
    (
        "two_values",
        TEXT,
        b"a 1 2 3\n",
        "expected next entry after timestamp, got \"3\\n\" (\"TIMESTAMP\") while parsing: \"a 1 2 3\\n\"",
    ),
    (
        "unterminated_quote",
        TEXT,
        b"a{b=\"c} 1\n",
        "expected label value, got \"\\\"c} 1\\n\\n\" (\"INVALID\") while parsing: \"a{b=\\\"c} 1\\n\\n\"",
    ),
    (
        "unterminated_brace",
        TEXT,
        b"a{b=\"c\" 1\n",
        "expected label name, got \"1\" (\"INVALID\") while parsing: \"a{b=\\\"c\\\" 1\"",
    ),
    (
        "no_equal",
        TEXT,
        b"a{b\"c\"} 1\n",
        "expected equal, got \"\\\"c\\\"}\" (\"QSTRING\") while parsing: \"a{b\\\"c\\\"}\"",
    ),
    (
        "unquoted_value",
        TEXT,
        b"a{b=c} 1\n",
        "expected label value, got \"c\" (\"INVALID\") while parsing: \"a{b=c\"",
    ),
    (
        "bad_name",
        TEXT,
        b"1a 1\n",
        "expected a valid start token, got \"1\" (\"INVALID\") while parsing: \"1\"",
    ),
    (
        "bad_char",
        TEXT,
        b"a$ 1\n",
        "strconv.ParseFloat: parsing \"$\": invalid syntax while parsing: \"a$\"",
    ),
    (
        "bad_timestamp",
        TEXT,
        b"a 1 x\n",
        "expected timestamp or new record, got \"x\" (\"INVALID\") while parsing: \"a 1 x\"",
    ),
    (
        "float_timestamp",
        TEXT,
        b"a 1 1.5\n",
        "expected next entry after timestamp, got \".\" (\"INVALID\") while parsing: \"a 1 1.\"",
    ),
    (
        "hex_value",
        TEXT,
        b"a 0x1\n",
        "strconv.ParseFloat: parsing \"0x1\": invalid syntax while parsing: \"a 0x1\"",
    ),
    (
        "underscore_value",
        TEXT,
        b"a 1_0\n",
        "unsupported character in float while parsing: \"a 1_0\"",
    ),
    (
        "bad_utf8",
        TEXT,
        b"a{b=\"\xff\"} 1\n",
        "invalid UTF-8 label value: \"\\\"\\xff\\\"\"",
    ),
    (
        "bad_type",
        TEXT,
        b"# TYPE a foo\na 1\n",
        "invalid metric type \"foo\"",
    ),
    (
        "dup_label",
        TEXT,
        b"a{b=\"1\",b=\"2\"} 1\n",
        "label name \"b\" is not unique: invalid sample",
    ),
    (
        "empty_label_name",
        TEXT,
        b"a{=\"1\"} 1\n",
        "expected label name, got \"=\\\"\" (\"EQUAL\") while parsing: \"a{=\\\"\"",
    ),
    (
        "om_no_eof",
        OPEN_METRICS,
        b"a 1\n",
        "data does not end with # EOF",
    ),
    (
        "om_after_eof",
        OPEN_METRICS,
        b"# EOF\na 1\n",
        "unexpected data after # EOF",
    ),
    (
        "om_blank_line",
        OPEN_METRICS,
        b"a 1\n\n# EOF\n",
        "expected a valid start token, got \"\\n\" (\"INVALID\") while parsing: \"\\n\"",
    ),
    (
        "om_bad_exemplar",
        OPEN_METRICS,
        b"# TYPE a counter\na_total 1 # {b=\"c} 1\n# EOF\n",
        "expected label value, got \"\\\"c} 1\\n\" (\"INVALID\") while parsing: \"a_total 1 # {b=\\\"c} 1\\n\"",
    ),
    (
        "om_space",
        OPEN_METRICS,
        b"a  1\n# EOF\n",
        "expected value after metric, got \"  \" (\"INVALID\") while parsing: \"a  \"",
    ),
    (
        "html",
        "text/html",
        b"<html></html>",
        "received unsupported Content-Type \"text/html\" and no fallback_scrape_protocol specified for target",
    ),
    (
        "bad_type_header",
        "/",
        b"a 1\n",
        "cannot parse Content-Type \"/\" and no fallback_scrape_protocol for target\nmime: no media type",
    ),
    (
        "json",
        "application/json",
        b"{}",
        "received unsupported Content-Type \"application/json\" and no fallback_scrape_protocol specified for target",
    ),
    (
        "label_limit",
        TEXT,
        b"a{b=\"1\",c=\"2\",d=\"3\",e=\"4\"} 1\n",
        "label_limit exceeded (metric: a, number of labels: 7, limit: 6)",
    ),
];

/// Name and whole answer of a target that is wrong before its page is read, and the error.
fn answers() -> Vec<(&'static str, Vec<u8>, &'static str)> {
    let gzip = "Content-Type: text/plain\r\nContent-Encoding: gzip\r\n";
    let text = "Content-Type: text/plain\r\n";
    let too_many: String = (0..11).map(|n| format!("a{{n=\"{n}\"}} 1\n")).collect();
    let long_name = format!("a{{{}=\"1\"}} 1\n", "b".repeat(41));
    let long_value = format!("a{{b=\"{}\"}} 1\n", "c".repeat(61));
    vec![
        (
            "status_500",
            pages::answer("500 Internal Server Error", text, b"oops"),
            "server returned HTTP status 500 Internal Server Error",
        ),
        (
            "status_404",
            pages::answer("404 Not Found", text, b"gone"),
            "server returned HTTP status 404 Not Found",
        ),
        (
            "no_type",
            pages::answer("200 OK", "", b"a 1\n"),
            "non-compliant scrape target sending blank Content-Type and no fallback_scrape_protocol specified for target",
        ),
        (
            "bad_gzip",
            pages::answer("200 OK", gzip, b"a 1\na 1\na 1\n"),
            "gzip: invalid header",
        ),
        (
            "torn_gzip",
            pages::answer("200 OK", gzip, b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"),
            "unexpected EOF",
        ),
        (
            "redirect_loop",
            pages::answer("302 Found", "Location: /redirect_loop\r\n", b""),
            "Get \"/redirect_loop\": stopped after 10 redirects",
        ),
        (
            "redirect_nowhere",
            pages::answer("302 Found", "", b""),
            "server returned HTTP status 302 Found",
        ),
        (
            "too_big",
            pages::page(&"a 1\n".repeat(2_000)),
            "body size limit exceeded",
        ),
        ("too_many", pages::page(&too_many), "sample limit exceeded"),
        (
            "label_name_length",
            pages::page(&long_name),
            "label_name_length_limit exceeded (metric: a, label name: bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb, length: 41, limit: 40)",
        ),
        (
            "label_value_length",
            pages::page(&long_value),
            "label_value_length_limit exceeded (metric: a, label name: b, value: \"cccccccccccccccccccccccccccccccccccccccccccccccccc\", length: 61, limit: 60)",
        ),
        (
            "hang",
            Vec::new(),
            "Get \"http://ADDRESS/hang\": context deadline exceeded",
        ),
        ("closed", Vec::new(), "Get \"http://ADDRESS/closed\": EOF"),
        ("good", pages::page("a 1\n"), ""),
    ]
}

/// Path and query of a call, and its status, error type and error.
const CALLS: &[(&str, u16, &str, &str)] = &[
    (
        "/api/v1/query",
        400,
        "bad_data",
        "invalid parameter \"query\": unknown position: parse error: no expression found in input",
    ),
    (
        "/api/v1/query?query=",
        400,
        "bad_data",
        "invalid parameter \"query\": unknown position: parse error: no expression found in input",
    ),
    (
        "/api/v1/query?query=up%7B",
        400,
        "bad_data",
        "invalid parameter \"query\": 1:4: parse error: unexpected end of input inside braces",
    ),
    (
        "/api/v1/query?query=sum(",
        400,
        "bad_data",
        "invalid parameter \"query\": 1:5: parse error: unclosed left parenthesis",
    ),
    (
        "/api/v1/query?query=rate(up)",
        400,
        "bad_data",
        "invalid parameter \"query\": 1:6: parse error: expected type range vector in call to function \"rate\", got instant vector",
    ),
    (
        "/api/v1/query?query=nope(up)",
        400,
        "bad_data",
        "invalid parameter \"query\": 1:1: parse error: unknown function with name \"nope\"",
    ),
    (
        "/api/v1/query?query=up%20%2B",
        400,
        "bad_data",
        "invalid parameter \"query\": 1:5: parse error: unexpected end of input",
    ),
    (
        "/api/v1/query?query=up%5B5m%5D%5B5m%5D",
        400,
        "bad_data",
        "invalid parameter \"query\": 1:7: parse error: ranges only allowed for vector selectors",
    ),
    (
        "/api/v1/query?query=%7B%7D",
        400,
        "bad_data",
        "invalid parameter \"query\": 1:1: parse error: vector selector must contain at least one non-empty matcher",
    ),
    (
        "/api/v1/query?query=up%7Ba%3D~%22(%22%7D",
        400,
        "bad_data",
        "invalid parameter \"query\": 1:4: parse error: error parsing regexp: missing closing ): `(`",
    ),
    (
        "/api/v1/query?query=up&time=abc",
        400,
        "bad_data",
        "invalid parameter \"time\": invalid time value for 'time': cannot parse \"abc\" to a valid timestamp",
    ),
    (
        "/api/v1/query?query=up&timeout=abc",
        400,
        "bad_data",
        "invalid parameter \"timeout\": cannot parse \"abc\" to a valid duration",
    ),
    (
        "/api/v1/query?query=up&timeout=0s",
        // Upstream says one of three things, by chance.
        503,
        "timeout",
        "query timed out in query execution",
    ),
    (
        "/api/v1/query?query=up&limit=-1",
        400,
        "bad_data",
        "invalid parameter \"limit\": limit must be non-negative",
    ),
    (
        "/api/v1/query?query=up&limit=x",
        400,
        "bad_data",
        "invalid parameter \"limit\": strconv.Atoi: parsing \"x\": invalid syntax",
    ),
    (
        "/api/v1/query?query=up&lookback_delta=x",
        400,
        "bad_data",
        "error parsing lookback delta duration: cannot parse \"x\" to a valid duration",
    ),
    (
        "/api/v1/query?query=1%20%3C%202",
        400,
        "bad_data",
        "invalid parameter \"query\": 1:3: parse error: comparisons between scalars must use BOOL modifier",
    ),
    (
        "/api/v1/query?query=%22a%22%20%2B%201",
        400,
        "bad_data",
        "invalid parameter \"query\": 1:1: parse error: binary expression must contain only scalar and instant vector types",
    ),
    (
        "/api/v1/query?query=up%20offset%20x",
        400,
        "bad_data",
        "invalid parameter \"query\": 1:11: parse error: unexpected identifier \"x\" in offset, expected number, duration, step(), or range()",
    ),
    (
        "/api/v1/query?query=topk(up)",
        400,
        "bad_data",
        "invalid parameter \"query\": 1:1: parse error: wrong number of arguments for aggregate expression provided, expected 2, got 1",
    ),
    (
        "/api/v1/query?query=up%20and%201",
        400,
        "bad_data",
        "invalid parameter \"query\": 1:1: parse error: set operator \"and\" not allowed in binary scalar expression",
    ),
    (
        "/api/v1/query?query=label_replace(up,%221%22,%22%22,%22%22,%22(%22)",
        422,
        "execution",
        "invalid regular expression in label_replace(): (",
    ),
    (
        "/api/v1/query?query=sort_by_label(up,%22a%22)",
        400,
        "bad_data",
        "invalid parameter \"query\": 1:1: parse error: function \"sort_by_label\" is not enabled",
    ),
    (
        "/api/v1/query?query=up%20or%20on(a)%20group_left%20up",
        400,
        "bad_data",
        "invalid parameter \"query\": 1:1: parse error: no grouping allowed for \"or\" operation",
    ),
    (
        "/api/v1/query?query=foo%7B__name__%3D%22bar%22%7D",
        400,
        "bad_data",
        "invalid parameter \"query\": 1:1: parse error: metric name must not be set twice: \"foo\" or \"bar\"",
    ),
    (
        "/api/v1/query?query=%22%5Cx%22",
        400,
        "bad_data",
        "invalid parameter \"query\": 1:1: parse error: illegal character U+0022 '\"' in escape sequence",
    ),
    (
        "/api/v1/query_range?query=up",
        400,
        "bad_data",
        "invalid parameter \"start\": cannot parse \"\" to a valid timestamp",
    ),
    (
        "/api/v1/query_range?query=up&start=0",
        400,
        "bad_data",
        "invalid parameter \"end\": cannot parse \"\" to a valid timestamp",
    ),
    (
        "/api/v1/query_range?query=up&start=0&end=1",
        400,
        "bad_data",
        "invalid parameter \"step\": cannot parse \"\" to a valid duration",
    ),
    (
        "/api/v1/query_range?query=up&start=0&end=1&step=0",
        400,
        "bad_data",
        "invalid parameter \"step\": zero or negative query resolution step widths are not accepted. Try a positive integer",
    ),
    (
        "/api/v1/query_range?query=up&start=0&end=1&step=-1",
        400,
        "bad_data",
        "invalid parameter \"step\": zero or negative query resolution step widths are not accepted. Try a positive integer",
    ),
    (
        "/api/v1/query_range?query=up&start=0&end=1&step=x",
        400,
        "bad_data",
        "invalid parameter \"step\": cannot parse \"x\" to a valid duration",
    ),
    (
        "/api/v1/query_range?query=up&start=1&end=0&step=1",
        400,
        "bad_data",
        "invalid parameter \"end\": end timestamp must not be before start time",
    ),
    (
        "/api/v1/query_range?query=up&start=0&end=100000&step=1",
        400,
        "bad_data",
        "exceeded maximum resolution of 11,000 points per timeseries. Try decreasing the query resolution (?step=XX)",
    ),
    (
        "/api/v1/query_range?query=up%5B5m%5D&start=0&end=1&step=1",
        400,
        "bad_data",
        "invalid parameter \"query\": invalid expression type \"range vector\" for range query, must be Scalar or instant Vector",
    ),
    (
        "/api/v1/query_range?query=%22a%22&start=0&end=1&step=1",
        400,
        "bad_data",
        "invalid parameter \"query\": invalid expression type \"string\" for range query, must be Scalar or instant Vector",
    ),
    (
        "/api/v1/query_range?query=up&start=x&end=1&step=1",
        400,
        "bad_data",
        "invalid parameter \"start\": cannot parse \"x\" to a valid timestamp",
    ),
    (
        "/api/v1/series",
        400,
        "bad_data",
        "no match[] parameter provided",
    ),
    (
        "/api/v1/series?match[]=",
        400,
        "bad_data",
        "invalid parameter \"match[]\": unknown position: parse error: unexpected end of input",
    ),
    (
        "/api/v1/series?match[]=%7B%7D",
        400,
        "bad_data",
        "invalid parameter \"match[]\": match[] must contain at least one non-empty matcher",
    ),
    (
        "/api/v1/series?match[]=up%7B",
        400,
        "bad_data",
        "invalid parameter \"match[]\": 1:4: parse error: unexpected end of input inside braces",
    ),
    (
        "/api/v1/series?match[]=up&start=x",
        400,
        "bad_data",
        "invalid parameter \"start\": invalid time value for 'start': cannot parse \"x\" to a valid timestamp",
    ),
    (
        "/api/v1/series?match[]=up&limit=x",
        400,
        "bad_data",
        "invalid parameter \"limit\": strconv.Atoi: parsing \"x\": invalid syntax",
    ),
    (
        "/api/v1/labels?match[]=%7Ba%3D%22%22%7D",
        400,
        "bad_data",
        "match[] must contain at least one non-empty matcher",
    ),
    (
        "/api/v1/labels?start=x",
        400,
        "bad_data",
        "invalid parameter \"start\": invalid time value for 'start': cannot parse \"x\" to a valid timestamp",
    ),
    (
        "/api/v1/label/1a/values?start=x",
        400,
        "bad_data",
        "invalid parameter \"start\": invalid time value for 'start': cannot parse \"x\" to a valid timestamp",
    ),
    (
        "/api/v1/metadata?limit=x",
        400,
        "bad_data",
        "limit must be a number",
    ),
    (
        "/api/v1/targets/metadata?limit=x",
        400,
        "bad_data",
        "limit must be a number",
    ),
    (
        "/api/v1/targets/metadata?match_target=%7B",
        400,
        "bad_data",
        "invalid parameter \"match_target\": 1:2: parse error: unexpected end of input inside braces",
    ),
    (
        "/api/v1/format_query?query=sum(",
        400,
        "bad_data",
        "invalid parameter \"query\": 1:5: parse error: unclosed left parenthesis",
    ),
    (
        "/api/v1/parse_query?query=sum(",
        400,
        "bad_data",
        "invalid parameter \"query\": 1:5: parse error: unclosed left parenthesis",
    ),
    (
        "/api/v1/status/tsdb?limit=x",
        400,
        "bad_data",
        "limit must be a positive number",
    ),
    (
        "/api/v1/status/tsdb?limit=0",
        400,
        "bad_data",
        "limit must be a positive number",
    ),
    (
        "/api/v1/query_exemplars?query=sum(",
        400,
        "bad_data",
        "1:5: parse error: unclosed left parenthesis",
    ),
];

/// Calls that are answered with a plain text.
const PLAIN: &[(&str, u16, &str)] = &[
    ("/nope", 404, "404 page not found\n"),
    ("/api/v1/nope", 404, "404 page not found\n"),
    (
        "/api/v1/label//values",
        307,
        "<a href=\"/api/v1/label/values\">Temporary Redirect</a>.\n\n",
    ),
    ("/api/v1/write", 405, "Method Not Allowed\n"),
    (
        "/federate?match[]=%7B",
        400,
        "1:2: parse error: unexpected end of input inside braces\n",
    ),
];

/// Configurations that are refused, and what the refusal says.
const CONFIGS: &[(&str, &str)] = &[
    (
        "nonsense: 1",
        "line 1: field nonsense not found in type config.plain",
    ),
    (
        "global: {scrape_interval: x}",
        "not a valid duration string: \"x\"",
    ),
    (
        "global: {scrape_interval: 5s, scrape_timeout: 10s}",
        "global scrape timeout greater than scrape interval",
    ),
    (
        "scrape_configs: [{job_name: a}, {job_name: a}]",
        "found multiple scrape configs with job name \"a\"",
    ),
    ("scrape_configs: [{}]", "job_name is empty"),
    (
        "scrape_configs: [{job_name: a, metrics_pth: /m}]",
        "field metrics_pth not found in type config.ScrapeConfig",
    ),
    (
        "scrape_configs: [{job_name: a, basic_auth: {username: u}}]",
        "basic_auth is not supported yet",
    ),
    (
        "remote_write: [{url: 'http://x'}]",
        "remote_write is not supported yet",
    ),
    (
        "scrape_configs: [{job_name: a, relabel_configs: [{action: nope}]}]",
        "unknown relabel action \"nope\"",
    ),
    (
        "scrape_configs: [{job_name: a, relabel_configs: [{regex: '('}]}]",
        "missing closing )",
    ),
    (
        "scrape_configs: [{job_name: a, static_configs: [{targets: ['http://x/']}]}]",
        "\"http://x/\" is not a valid hostname",
    ),
    ("a: [", "yaml"),
];

/// A target that is well.
const GOOD: &str = "good";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_from_outside_breaks_anything_else() {
    let answers = answers();
    let mut expected: BTreeMap<&str, String> = BTreeMap::new();
    let mut served: BTreeMap<String, Vec<u8>> = BTreeMap::new();
    for (name, kind, body, error) in PAGES {
        let headers = format!("Content-Type: {kind}\r\n");
        served.insert((*name).to_owned(), pages::answer("200 OK", &headers, body));
        expected.insert(name, (*error).to_owned());
    }
    for (name, answer, error) in answers {
        served.insert(name.to_owned(), answer);
        expected.insert(name, error.to_owned());
    }
    let answer: Arc<Answer> = Arc::new(move |path: &str| {
        served
            .get(path.trim_start_matches('/'))
            .cloned()
            .unwrap_or_default()
    });
    let target = pages::serve(answer).await;
    let folder = tempfile::tempdir().unwrap();
    write_config(folder.path(), &target, expected.keys());
    let address = free_address().unwrap();
    let mut server = start(folder.path(), &address, &["--web.enable-lifecycle"]);
    ready(&mut server, folder.path()).await;

    let shown = settled(&server, expected.len()).await;
    for (name, error) in &expected {
        let error = error.replace("ADDRESS", &target);
        assert_eq!(shown.get(*name), Some(&error), "target {name}");
    }
    for (path, status, kind, error) in CALLS {
        let (got_status, body) = ask(&server, path).await;
        let got = (
            got_status,
            body["errorType"].as_str(),
            body["error"].as_str(),
        );
        assert_eq!(got, (*status, Some(*kind), Some(*error)), "{path}: {body}");
    }
    for (path, status, text) in PLAIN {
        let (got_status, body) = ask(&server, path).await;
        assert_eq!(
            (got_status, body.as_str()),
            (*status, Some(*text)),
            "{path}"
        );
    }
    // Whatever happened meanwhile: the good target was scraped all the time, the others fail.
    let up = query(&server, "count by (job) (up == 1)").await;
    assert_eq!(up.len(), 1, "{up:?}");
    assert_eq!(up[0]["metric"]["job"], GOOD);
    let count = query(&server, "count_over_time(a[1m])").await;
    let count: f64 = count[0]["value"][1].as_str().unwrap().parse().unwrap();
    assert!(count >= 4.0, "the good target was scraped {count} times");
}

#[test]
fn a_bad_configuration_is_refused_by_name() {
    for (text, error) in CONFIGS {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("prometheus.yml");
        std::fs::write(&file, text).unwrap();
        let output = Command::new(env!("CARGO_BIN_EXE_promontory"))
            .arg(format!("--config.file={}", file.display()))
            .arg(format!(
                "--storage.tsdb.path={}",
                folder.path().join("data").display()
            ))
            .arg("--web.listen-address=127.0.0.1:0")
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{text}: {said}");
        assert!(said.contains(error), "{text}: {said}");
        assert!(said.contains(&file.display().to_string()), "{text}: {said}");
    }
}

fn write_config<'a>(folder: &Path, target: &str, names: impl Iterator<Item = &'a &'a str>) {
    let mut config =
        String::from("global: {scrape_interval: 500ms, scrape_timeout: 450ms}\nscrape_configs:\n");
    for name in names {
        config.push_str(&format!(
            "- job_name: {name}\n  metrics_path: /{name}\n  body_size_limit: 4KB\n  \
             sample_limit: 10\n  label_limit: 6\n  label_name_length_limit: 40\n  \
             label_value_length_limit: 60\n  static_configs: [{{targets: ['{target}']}}]\n"
        ));
    }
    std::fs::write(folder.join("prometheus.yml"), config).unwrap();
}

/// The last error of every target by its pool, once all have been scraped and the good one has
/// been scraped a few times.
async fn settled(server: &Server, targets: usize) -> BTreeMap<String, String> {
    for _ in 0..150 {
        let (_, answer) = ask(server, "/api/v1/targets?state=active").await;
        let active = answer["data"]["activeTargets"].as_array().unwrap();
        let scraped = active.iter().filter(|t| t["health"] != "unknown").count();
        let good = query(server, "count_over_time(a[1m]) >= 4").await;
        if scraped == targets && !good.is_empty() {
            let text = |value: &Value| value.as_str().unwrap().to_owned();
            return active
                .iter()
                .map(|t| (text(&t["scrapePool"]), text(&t["lastError"])))
                .collect();
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("not all targets have been scraped in 15 s");
}
