//! Calls that are wrong, each with its exact answer: those of 3.14.

use crate::support::{Rig, run};

#[test]
fn wrong_calls_are_answered_as_upstream() {
    let rig = Rig::new();
    run(async {
        for (path, kind, error) in CALLS {
            let answer = rig.get(&format!("/api/v1/{path}")).await;
            let status = match *kind {
                "bad_data" => 400,
                "execution" => 422,
                "canceled" => 499,
                "timeout" => 503,
                "internal" | "unavailable" => 500,
                other => panic!("{other}"),
            };
            let error = error.replace('\\', "\\\\").replace('"', "\\\"");
            let expected =
                format!("{{\"status\":\"error\",\"errorType\":\"{kind}\",\"error\":\"{error}\"}}");
            assert_eq!(answer.text(), expected, "{path}");
            assert_eq!(answer.status, status, "{path}");
            assert_eq!(answer.header("content-type"), "application/json", "{path}");
        }
    });
}

/// Path with query, error type, error.
#[rustfmt::skip]
const CALLS: &[(&str, &str, &str)] = &[
    // Queries.
    ("query", "bad_data", r#"invalid parameter "query": unknown position: parse error: no expression found in input"#),
    ("query?query=1%2B%2B", "bad_data", r#"invalid parameter "query": 1:4: parse error: unexpected end of input"#),
    ("query?query=1&limit=a", "bad_data", r#"invalid parameter "limit": strconv.Atoi: parsing "a": invalid syntax"#),
    ("query?query=1&limit=99999999999999999999", "bad_data", r#"invalid parameter "limit": strconv.Atoi: parsing "99999999999999999999": value out of range"#),
    ("query?query=1&limit=-1", "bad_data", r#"invalid parameter "limit": limit must be non-negative"#),
    ("query?query=1&time=abc", "bad_data", r#"invalid parameter "time": invalid time value for 'time': cannot parse "abc" to a valid timestamp"#),
    ("query?query=1&time=2020-02-30T00:00:00Z", "bad_data", r#"invalid parameter "time": invalid time value for 'time': cannot parse "2020-02-30T00:00:00Z" to a valid timestamp"#),
    ("query?query=1&timeout=abc", "bad_data", r#"invalid parameter "timeout": cannot parse "abc" to a valid duration"#),
    ("query?query=1&timeout=-1s", "bad_data", r#"invalid parameter "timeout": cannot parse "-1s" to a valid duration"#),
    ("query?query=1&timeout=0", "timeout", "query timed out in query execution"),
    ("query?query=1&lookback_delta=xx", "bad_data", r#"error parsing lookback delta duration: cannot parse "xx" to a valid duration"#),
    ("query?query=timeout", "timeout", "query timed out in expression evaluation"),
    ("query?query=canceled", "canceled", "query was canceled in expression evaluation"),
    ("query?query=big", "execution", "query processing would load too many samples into memory in query execution"),
    ("query?query=broken", "internal", "corrupt data: block x"),
    ("query?query=closed", "unavailable", "TSDB not ready"),
    ("query?query=many-to-many", "execution", "multiple matches for labels: many-to-one matching must be explicit (group_left/group_right)"),
    ("query_range?query=1", "bad_data", r#"invalid parameter "start": cannot parse "" to a valid timestamp"#),
    ("query_range?query=1&start=0", "bad_data", r#"invalid parameter "end": cannot parse "" to a valid timestamp"#),
    ("query_range?query=1&start=0&end=1", "bad_data", r#"invalid parameter "step": cannot parse "" to a valid duration"#),
    ("query_range?query=1&start=0&end=1&step=1&limit=x", "bad_data", r#"invalid parameter "limit": strconv.Atoi: parsing "x": invalid syntax"#),
    ("query_range?query=1&start=x&end=1&step=1", "bad_data", r#"invalid parameter "start": cannot parse "x" to a valid timestamp"#),
    ("query_range?query=1&start=2&end=1&step=1", "bad_data", r#"invalid parameter "end": end timestamp must not be before start time"#),
    ("query_range?query=1&start=0&end=1&step=0", "bad_data", r#"invalid parameter "step": zero or negative query resolution step widths are not accepted. Try a positive integer"#),
    ("query_range?query=1&start=0&end=1&step=-1", "bad_data", r#"invalid parameter "step": zero or negative query resolution step widths are not accepted. Try a positive integer"#),
    ("query_range?query=1&start=0&end=1&step=1e40", "bad_data", r#"invalid parameter "step": cannot parse "1e40" to a valid duration. It overflows int64"#),
    ("query_range?query=1&start=0&end=11001&step=1", "bad_data", "exceeded maximum resolution of 11,000 points per timeseries. Try decreasing the query resolution (?step=XX)"),
    ("query_range?query=1&start=0&end=1&step=1&timeout=1x", "bad_data", r#"invalid parameter "timeout": cannot parse "1x" to a valid duration"#),
    ("query_range?query=up[1m]&start=0&end=1&step=1", "bad_data", r#"invalid parameter "query": invalid expression type "range vector" for range query, must be Scalar or instant Vector"#),
    ("query_exemplars?query=up&start=x", "bad_data", r#"invalid parameter "start": invalid time value for 'start': cannot parse "x" to a valid timestamp"#),
    ("query_exemplars?query=up&start=2&end=1", "bad_data", "end timestamp must not be before start timestamp"),
    ("query_exemplars", "bad_data", "unknown position: parse error: no expression found in input"),
    ("format_query", "bad_data", r#"invalid parameter "query": unknown position: parse error: no expression found in input"#),
    ("parse_query?query=(", "bad_data", r#"invalid parameter "query": 1:2: parse error: unclosed left parenthesis"#),
    // Series and labels.
    ("series", "bad_data", "no match[] parameter provided"),
    ("series?match[]=", "bad_data", r#"invalid parameter "match[]": unknown position: parse error: unexpected end of input"#),
    ("series?match[]={}", "bad_data", r#"invalid parameter "match[]": match[] must contain at least one non-empty matcher"#),
    ("series?match[]=up&match[]={a=~\".*\"}", "bad_data", r#"invalid parameter "match[]": match[] must contain at least one non-empty matcher"#),
    ("series?match[]=a{b=~\"(\"}", "bad_data", r#"invalid parameter "match[]": 1:3: parse error: error parsing regexp: missing closing ): `(`"#),
    ("series?match[]=a&%zz", "bad_data", r#"error parsing form values: invalid URL escape "%zz""#),
    ("series?match[]=a&a;b", "bad_data", "error parsing form values: invalid semicolon separator in query"),
    ("series?match[]=a&start=x", "bad_data", r#"invalid parameter "start": invalid time value for 'start': cannot parse "x" to a valid timestamp"#),
    ("series?match[]=a&limit=x", "bad_data", r#"invalid parameter "limit": strconv.Atoi: parsing "x": invalid syntax"#),
    ("labels?match[]=(", "bad_data", r#"1:1: parse error: unexpected "(""#),
    ("labels?match[]={a=\"\"}", "bad_data", "match[] must contain at least one non-empty matcher"),
    ("labels?end=x", "bad_data", r#"invalid parameter "end": invalid time value for 'end': cannot parse "x" to a valid timestamp"#),
    ("labels?limit=-2", "bad_data", r#"invalid parameter "limit": limit must be non-negative"#),
    ("label/U__/values", "bad_data", r#"invalid label name: """#),
    ("label/job/values?limit=1.5", "bad_data", r#"invalid parameter "limit": strconv.Atoi: parsing "1.5": invalid syntax"#),
    // Metadata and targets.
    ("metadata?limit=a", "bad_data", "limit must be a number"),
    ("metadata?limit_per_metric=a", "bad_data", "limit_per_metric must be a number"),
    ("targets/metadata?limit=a", "bad_data", "limit must be a number"),
    ("targets/metadata?match_target=(", "bad_data", r#"invalid parameter "match_target": 1:1: parse error: unexpected "(""#),
    ("scrape_pools/config", "bad_data", "no scrapePool parameter provided"),
    ("scrape_pools/config?scrapePool=nope", "bad_data", r#"error retrieving scrape config: scrape pool "nope" not found"#),
    ("targets/relabel_steps", "bad_data", "no scrapePool parameter provided"),
    ("targets/relabel_steps?scrapePool=x", "bad_data", "no labels parameter provided"),
    ("targets/relabel_steps?scrapePool=x&labels={}", "bad_data", r#"error retrieving scrape config: scrape pool "x" not found"#),
    // Rules.
    ("rules?type=x", "bad_data", r#"invalid parameter "type": not supported value "x""#),
    ("rules?group_limit=0", "bad_data", r#"invalid parameter "group_limit": group_limit needs to be greater than 0"#),
    ("rules?group_limit=a", "bad_data", r#"invalid parameter "group_limit": group_limit needs to be a valid number: strconv.ParseInt: parsing "a": invalid syntax"#),
    ("rules?group_next_token=a", "bad_data", r#"invalid parameter "group_next_token": group_limit needs to be present in order to paginate over the groups"#),
    ("rules?group_limit=1&group_next_token=a", "bad_data", r#"invalid parameter "group_next_token": invalid group_next_token 'a'. were rule groups changed?"#),
    ("rules?exclude_alerts=x", "bad_data", r#"invalid parameter "exclude_alerts": error converting exclude_alerts: strconv.ParseBool: parsing "x": invalid syntax"#),
    ("rules?match[]={}", "bad_data", "match[] must contain at least one non-empty matcher"),
    // Status.
    ("status/tsdb?limit=0", "bad_data", "limit must be a positive number"),
    ("status/tsdb?limit=x", "bad_data", "limit must be a positive number"),
    ("status/tsdb?limit=10001", "bad_data", "limit must not exceed 10000"),
    ("search/metric_names", "unavailable", "search API disabled"),
];

#[test]
fn wrong_bodies() {
    let rig = Rig::new();
    run(async {
        let too_large = format!("query={}", "a".repeat(10 << 20));
        let answer = rig.post("/api/v1/query", &too_large).await;
        let text = "{\"status\":\"error\",\"errorType\":\"bad_data\",\"error\":\"error parsing form values: http: POST too large\"}";
        assert_eq!((answer.status, answer.text()), (400, text));

        for (method, kind, expected) in [
            (
                "POST",
                "text/plain",
                "unknown position: parse error: no expression found in input",
            ),
            (
                "POST",
                "multipart/form-data; boundary=x",
                "multipart forms are not supported",
            ),
        ] {
            let headers = [("content-type", kind)];
            let request = crate::support::request(method, "/api/v1/query", &headers, "query=1");
            let answer = rig.send(request).await;
            assert_eq!(answer.status, 400, "{kind}");
            assert!(answer.text().contains(expected), "{}", answer.text());
        }
    });
}

#[test]
fn what_is_switched_off_or_missing_says_so() {
    let rig = Rig::new();
    let admin = Rig::with(|options| options.enable_admin_api = true);
    run(async {
        for path in ["delete_series", "clean_tombstones", "snapshot"] {
            let path = format!("/api/v1/admin/tsdb/{path}");
            let answer = rig.post(&path, "match[]=up").await;
            let text = "{\"status\":\"error\",\"errorType\":\"unavailable\",\"error\":\"admin APIs disabled\"}";
            assert_eq!((answer.status, answer.text()), (500, text));
        }
        for (path, form, status, expected) in [
            ("delete_series", "match[]=up", 204, ""),
            (
                "delete_series",
                "match[]=up&match[]={a!=\"\"}&start=1&end=2",
                204,
                "",
            ),
            ("delete_series", "", 400, "no match[] parameter provided"),
            (
                "delete_series",
                "match[]=up&start=x",
                400,
                "invalid parameter \\\"start\\\"",
            ),
            (
                "delete_series",
                "match[]=up{",
                400,
                "invalid parameter \\\"match[]\\\"",
            ),
            (
                "delete_series",
                "match[]=up&start=0.013",
                500,
                "disk on fire",
            ),
            ("clean_tombstones", "", 204, ""),
            ("snapshot", "skip_head=1", 200, "{\"name\":\""),
            (
                "snapshot",
                "skip_head=x",
                400,
                "unable to parse boolean: strconv.ParseBool: parsing",
            ),
            ("snapshot", "", 500, "create snapshot: no room for the head"),
        ] {
            let path = format!("/api/v1/admin/tsdb/{path}");
            let answer = admin.post(&path, form).await;
            let text = answer.text();
            assert_eq!(answer.status, status, "{path} {form}: {text}");
            assert!(text.contains(expected), "{path} {form}: {text}");
            assert!(status != 204 || text.is_empty(), "{text}");
        }
        for (path, text) in [
            (
                "write",
                "remote write receiver needs to be enabled with --web.enable-remote-write-receiver\n",
            ),
            (
                "otlp/v1/metrics",
                "otlp write receiver needs to be enabled with --web.enable-otlp-receiver\n",
            ),
            ("read", "remote read is not supported yet\n"),
        ] {
            let answer = rig.post(&format!("/api/v1/{path}"), "").await;
            assert_eq!((answer.status, answer.text()), (404, text));
            assert_eq!(answer.header("x-content-type-options"), "nosniff");
        }
    });
}
