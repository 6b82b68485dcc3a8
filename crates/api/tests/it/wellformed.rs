//! Calls that are right, each with its exact answer.

use crate::support::{Rig, request, run};

#[test]
fn right_calls() {
    let rig = Rig::new();
    run(async {
        for (path, data) in CALLS {
            let answer = rig.get(&format!("/api/v1/{path}")).await;
            let expected = format!("{{\"status\":\"success\",\"data\":{data}}}");
            assert_eq!(answer.text(), expected, "{path}");
            assert_eq!(answer.status, 200, "{path}");
            assert_eq!(answer.header("content-type"), "application/json", "{path}");
        }
    });
}

/// Path with query, and the data, with what may follow it.
#[rustfmt::skip]
const CALLS: &[(&str, &str)] = &[
    // Queries.
    ("query?query=1&time=1.5", r#"{"resultType":"scalar","result":[1.5,"1"]}"#),
    ("query?query=1e-7&time=-0.5", r#"{"resultType":"scalar","result":[-0.5,"0.0000001"]}"#),
    ("query?query=1", r#"{"resultType":"scalar","result":[1000,"1"]}"#),
    ("query?query=1&time=1970-01-01T00:00:02%2B00:00", r#"{"resultType":"scalar","result":[2,"1"]}"#),
    ("query?query=\"a<b\"&time=1", r#"{"resultType":"string","result":[1,"a\u003cb"]}"#),
    ("query?query=empty", r#"{"resultType":"vector","result":[]}"#),
    ("query?query=up&time=1", r#"{"resultType":"vector","result":[{"metric":{"__name__":"up","job":"a","path":"<&>"},"value":[1,"NaN"]},{"metric":{"__name__":"up","job":"a","path":"<&>"},"value":[1,"1e-07"]},{"metric":{"__name__":"up","job":"a","path":"<&>"},"value":[1,"-0"]}]}"#),
    ("query?query=up&time=1&limit=1", r#"{"resultType":"vector","result":[{"metric":{"__name__":"up","job":"a","path":"<&>"},"value":[1,"NaN"]}]},"warnings":["results truncated due to limit"]"#),
    ("query?query=1&time=1&limit=1", r#"{"resultType":"scalar","result":[1,"1"]}"#),
    ("query?query=empty&stats=true", r#"{"resultType":"vector","result":[],"stats":{"timings":{"evalTotalTime":0,"resultSortTime":0,"queryPreparationTime":0,"innerEvalTime":0,"execQueueTime":0,"execTotalTime":0.25},"samples":{"totalQueryableSamples":3,"samplesRead":2,"peakSamples":1}}}"#),
    ("query?query=empty&time=1&stats=all", r#"{"resultType":"vector","result":[],"stats":{"timings":{"evalTotalTime":0,"resultSortTime":0,"queryPreparationTime":0,"innerEvalTime":0,"execQueueTime":0,"execTotalTime":0.25},"samples":{"totalQueryableSamplesPerStep":[[1,3]],"totalQueryableSamples":3,"samplesRead":2,"peakSamples":1}}}"#),
    ("query?query=empty&stats=foo", r#"{"resultType":"vector","result":[],"stats":{"timings":{"evalTotalTime":0,"resultSortTime":0,"queryPreparationTime":0,"innerEvalTime":0,"execQueueTime":0,"execTotalTime":0.25},"samples":{"totalQueryableSamples":3,"samplesRead":2,"peakSamples":1}}},"warnings":["value \"foo\" for parameter \"stats\" is deprecated and will be rejected in the next major release, use \"true\" or \"all\""]"#),
    ("query?query=annotated", r#"{"resultType":"vector","result":[]},"warnings":["PromQL warning: w00 (1:1)","PromQL warning: w01 (1:1)","PromQL warning: w02 (1:1)","PromQL warning: w03 (1:1)","PromQL warning: w04 (1:1)","PromQL warning: w05 (1:1)","PromQL warning: w06 (1:1)","PromQL warning: w07 (1:1)","PromQL warning: w08 (1:1)","PromQL warning: w09 (1:1)","2 more warning annotations omitted"],"infos":["PromQL info: i00 (1:1)","PromQL info: i01 (1:1)","PromQL info: i02 (1:1)","PromQL info: i03 (1:1)","PromQL info: i04 (1:1)","PromQL info: i05 (1:1)","PromQL info: i06 (1:1)","PromQL info: i07 (1:1)","PromQL info: i08 (1:1)","PromQL info: i09 (1:1)","1 more info annotations omitted"]"#),
    ("query?query=options&time=0", r#"{"resultType":"string","result":[0,"None None"]}"#),
    ("query?query=options&time=0&lookback_delta=1m&timeout=2.5", r#"{"resultType":"string","result":[0,"Some(60000) Some(2.5s)"]}"#),
    ("query?query=options&time=0&lookback_delta=-5", r#"{"resultType":"string","result":[0,"None None"]}"#),
    ("query?query=histogram&time=1", r#"{"resultType":"vector","result":[{"metric":{"__name__":"up","job":"a","path":"<&>"},"histogram":[1,{"count":"7","sum":"0.25","buckets":[[1,"-1","-0.5","0.5"],[3,"-0.125","0.125","1"],[0,"0.5","1","2"],[0,"2","4","3.5"]]}]}]}"#),
    ("query_range?query=histograms&start=0&end=1&step=1", r#"{"resultType":"matrix","result":[{"metric":{"__name__":"up","job":"a","path":"<&>"},"values":[[0,"1"]],"histograms":[[1,{"count":"7","sum":"0.25","buckets":[[1,"-1","-0.5","0.5"],[3,"-0.125","0.125","1"],[0,"0.5","1","2"],[0,"2","4","3.5"]]}]]}]}"#),
    ("query_range?query=range&start=0&end=1&step=1", r#"{"resultType":"matrix","result":[{"metric":{"__name__":"up","job":"a","path":"<&>"},"values":[[0,"1"],[1.500,"+Inf"]]},{"metric":{},"values":[[0.001,"2.5"]]}]}"#),
    ("query_range?query=range&start=0&end=1&step=1&limit=1", r#"{"resultType":"matrix","result":[{"metric":{"__name__":"up","job":"a","path":"<&>"},"values":[[0,"1"],[1.500,"+Inf"]]}]},"warnings":["results truncated due to limit"]"#),
    ("query_range?query=steps&start=0&end=11000.9&step=1s", r#"{"resultType":"string","result":[0,"0 11000900 1000"]}"#),
    ("query_range?query=steps&start=1970-01-01T00:00:01.0019Z&end=1970-01-01T01:00:00%2B00:00&step=1m", r#"{"resultType":"string","result":[0,"1001 3600000 60000"]}"#),
    ("query_exemplars?query=rate(up[5m])+%2B+down{a=~\"b\"}&start=0&end=1.5", r#"[{"seriesLabels":{"__name__":"a_total","path":"<&>"},"exemplars":[{"labels":{"asked":"__name__=\"up\" or a=~\"b\",__name__=\"down\""},"value":"0.5","timestamp":0},{"labels":{},"value":"+Inf","timestamp":1.500}]}]"#),
    ("parse_query?query=1", r#"{"type":"numberLiteral","val":"1"}"#),
    // Series and labels.
    ("series?match[]=up", r#"[{"__name__":"up","instance":"one","job":"a"},{"__name__":"up","instance":"two","job":"a"}]"#),
    ("series?match[]=up&match[]={instance=\"one\"}", r#"[{"__name__":"up","instance":"one","job":"a"},{"__name__":"up","instance":"two","job":"a"}]"#),
    ("series?match[]=up&limit=1", r#"[{"__name__":"up","instance":"one","job":"a"}],"warnings":["results truncated due to limit"]"#),
    ("series?match[]={job=\"b\"}", r#"[{"__name__":"http.requests","job":"b","path":"/<a>\"\n"}]"#),
    ("series?match[]=nope", "[]"),
    ("labels", r#"["__name__","instance","job","path","zone"]"#),
    ("labels?limit=2", r#"["__name__","instance"],"warnings":["results truncated due to limit"]"#),
    ("labels?match[]=nope", "[]"),
    ("labels?match[]=old&match[]=sum", r#"["__name__","job","zone"]"#),
    ("label/job/values", r#"["a","b","c"]"#),
    ("label/job/values?match[]=up", r#"["a"]"#),
    ("label/job/values?match[]=up&match[]=old", r#"["a","c"]"#),
    ("label/path/values", r#"["/\u003ca\u003e\"\n"]"#),
    ("label/__name__/values?limit=1", r#"["http.requests"],"warnings":["results truncated due to limit"]"#),
    ("label/U__path/values", r#"["/\u003ca\u003e\"\n"]"#),
    ("label/a%20b/values", "[]"),
    // Metadata.
    ("metadata", r#"{"load":[{"type":"gauge","unit":"","help":"Load."}],"requests":[{"type":"counter","unit":"","help":"Requests \u003cserved\u003e."},{"type":"unknown","unit":"","help":""}]}"#),
    ("metadata?limit=1", r#"{"load":[{"type":"gauge","unit":"","help":"Load."}]}"#),
    ("metadata?limit=0", "{}"),
    ("metadata?limit=-1&metric=load", r#"{"load":[{"type":"gauge","unit":"","help":"Load."}]}"#),
    ("metadata?limit_per_metric=1&metric=requests", r#"{"requests":[{"type":"counter","unit":"","help":"Requests \u003cserved\u003e."}]}"#),
    ("metadata?metric=nope", "{}"),
    ("targets/metadata?match_target={job=\"b\"}", r#"[{"target":{"instance":"two:9100","job":"b"},"metric":"load","type":"gauge","help":"Load.","unit":""},{"target":{"instance":"two:9100","job":"b"},"metric":"requests","type":"unknown","help":"","unit":""}]"#),
    ("targets/metadata?metric=load&limit=1", r#"[{"target":{"instance":"one:9100","job":"a"},"type":"gauge","help":"Load.","unit":""}]"#),
    ("targets/metadata?metric=nope", "[]"),
    // Targets.
    ("scrape_pools", r#"{"scrapePools":["a","b"]}"#),
    ("targets?state=Active&scrapePool=a", r#"{"activeTargets":[{"discoveredLabels":{"__address__":"one:9100","job":"a"},"labels":{"instance":"one:9100","job":"a"},"scrapePool":"a","scrapeUrl":"http://one:9100/metrics?a=1\u0026b=2","globalUrl":"http://one:9100/metrics?a=1\u0026b=2","lastError":"connection refused","lastScrape":"1970-01-01T00:16:35.000000001Z","lastScrapeDuration":0.0125,"health":"down","scrapeInterval":"15s","scrapeTimeout":"10s"}],"droppedTargets":[],"droppedTargetCounts":null}"#),
    ("targets?scrapePool=b", r#"{"activeTargets":[{"discoveredLabels":{"__address__":"one:9100","job":"a"},"labels":{"instance":"one:9100","job":"a"},"scrapePool":"b","scrapeUrl":"http://one:9100/metrics?a=1\u0026b=2","globalUrl":"http://one:9100/metrics?a=1\u0026b=2","lastError":"","lastScrape":"0001-01-01T00:00:00Z","lastScrapeDuration":0,"health":"unknown","scrapeInterval":"15s","scrapeTimeout":"10s"}],"droppedTargets":[],"droppedTargetCounts":{"a":3,"b":0}}"#),
    ("targets?state=dropped", r#"{"activeTargets":[],"droppedTargets":[{"discoveredLabels":{"__address__":"gone"},"scrapePool":"a"}],"droppedTargetCounts":{"a":3,"b":0}}"#),
    ("targets?state=foo", r#"{"activeTargets":[],"droppedTargets":[],"droppedTargetCounts":null}"#),
    ("targets/relabel_steps?scrapePool=a&labels={\"a\":\"b\"}", r#"{"steps":[]}"#),
    // Rules.
    ("alerts", r#"{"alerts":[]}"#),
    ("rules", r#"{"groups":[]}"#),
    ("rules?type=ALERT&exclude_alerts=True&group_limit=5", r#"{"groups":[]}"#),
    ("alertmanagers", r#"{"activeAlertmanagers":[],"droppedAlertmanagers":[]}"#),
    // Status.
    ("status/config", r#"{"yaml":"global:\n  external_labels:\n    zone: \u003ceu\u003e\n"}"#),
    ("status/flags", r#"{"web.page-title":"a \u0026 b"}"#),
    ("status/buildinfo", r#"{"version":"3.14.0","revision":"","branch":"","buildUser":"","buildDate":"","goVersion":""}"#),
    ("status/walreplay", r#"{"min":1,"max":5,"current":3}"#),
    ("status/tsdb?limit=1", r#"{"headStats":{"numSeries":4,"numLabelPairs":9,"chunkCount":5,"minTime":1000,"maxTime":1000000},"seriesCountByMetricName":[{"name":"m0","value":10}],"labelValueCountByLabelName":[{"name":"l0","value":10}],"memoryInBytesByLabelName":[{"name":"b0","value":10}],"seriesCountByLabelValuePair":[{"name":"a=\u003c0","value":10}]}"#),
    ("status/tsdb/blocks", r#"{"blocks":[{"ulid":"01ARZ3NDEKTSV4RRFFQ69G5FAV","minTime":0,"maxTime":7200000,"stats":{"numSamples":960,"numSeries":2}}]}"#),
    ("notifications", "[]"),
];

#[test]
fn runtime_information() {
    let rig = Rig::new();
    run(async {
        let answer = rig.get("/api/v1/status/runtimeinfo").await;
        let cores = std::thread::available_parallelism().unwrap();
        let expected = format!(
            "{{\"status\":\"success\",\"data\":{{\"startTime\":\"1970-01-01T00:16:40Z\",\
             \"CWD\":\"/srv\",\"hostname\":\"box\",\"serverTime\":\"1970-01-01T00:16:40Z\",\
             \"reloadConfigSuccess\":true,\"lastConfigTime\":\"1970-01-01T00:15:00Z\",\
             \"corruptionCount\":2,\"goroutineCount\":7,\"GOMAXPROCS\":{cores},\
             \"GOMEMLIMIT\":9223372036854775807,\"GOGC\":\"\",\"GODEBUG\":\"\",\
             \"storageRetention\":\"15d\"}}}}"
        );
        assert_eq!(answer.text(), expected);
    });
}

#[test]
fn forms_come_before_the_url() {
    let rig = Rig::new();
    run(async {
        let answer = rig.post("/api/v1/query?query=up&time=5", "query=1").await;
        assert_eq!(
            answer.text(),
            "{\"status\":\"success\",\"data\":{\"resultType\":\"scalar\",\"result\":[5,\"1\"]}}"
        );
        let answer = rig
            .post("/api/v1/series", "match[]=old&match%5B%5D=sum")
            .await;
        assert_eq!(
            answer.text(),
            "{\"status\":\"success\",\"data\":[{\"__name__\":\"old\",\"job\":\"c\"},{\"__name__\":\"sum\",\"zone\":\"own\"}]}"
        );
    });
}

#[test]
fn other_origins() {
    let any = Rig::new();
    let some = Rig::with(|options| {
        options.cors_origin = gocompat::Regex::new_anchored("https?://(a|b)\\.example").unwrap();
    });
    run(async {
        for (rig, origin, allowed) in [
            (&any, "http://x", "http://x"),
            (&some, "https://a.example", "https://a.example"),
            (&some, "https://a.example.evil", ""),
        ] {
            let headers = [("origin", origin)];
            let answer = rig
                .send(request("GET", "/api/v1/query?query=1", &headers, ""))
                .await;
            assert_eq!(
                answer.header("access-control-allow-origin"),
                allowed,
                "{origin}"
            );
            assert_eq!(
                answer.header("access-control-allow-methods"),
                "GET, POST, OPTIONS"
            );
            assert_eq!(answer.header("access-control-expose-headers"), "Date");
            assert_eq!(
                answer.header("access-control-allow-headers"),
                "Accept, Authorization, Content-Type, Origin"
            );
            let answer = rig
                .send(request("OPTIONS", "/api/v1/nope", &headers, ""))
                .await;
            assert_eq!(answer.status, 204);
            assert_eq!(
                answer.header("access-control-allow-origin"),
                allowed,
                "{origin}"
            );
        }
        let answer = any.get("/api/v1/query?query=1").await;
        assert_eq!(answer.header("access-control-allow-methods"), "");
        let vary: Vec<_> = answer.headers.get_all("vary").iter().collect();
        assert_eq!(vary, ["Accept-Encoding", "Origin"]);
    });
}

#[test]
fn operators_stay_readable_among_the_features() {
    let rig = Rig::new();
    run(async {
        let answer = rig.get("/api/v1/features").await;
        assert!(answer.text().starts_with(
            "{\"status\":\"success\",\"data\":{\"api\":{\"admin\":false,\"exclude_alerts\":true,"
        ));
        assert!(answer.text().contains("\"tsdb\":{\"a&b\":true}"));
        assert!(answer.text().contains("\"<=\":true,\"==\":true,"));
    });
}
