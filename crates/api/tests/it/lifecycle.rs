//! Health, readiness, reload, quit, own metrics, paths that are no routes, and panics.

use api::State;

use crate::support::{Rig, request, run};

/// T38: while the log is replayed the server is healthy and not ready, and shows how far it is.
#[test]
fn what_answers_before_and_after_it_is_ready() {
    let rig = Rig::new();
    run(async {
        for (state, stopping) in [(State::Starting, "false"), (State::Stopping, "true")] {
            rig.server.set_state(state);
            for path in [
                "/-/ready",
                "/federate?match[]=up",
                "/api/v1/query?query=1",
                "/api/v1/status/buildinfo",
                "/api/v1/series",
            ] {
                let answer = rig.get(path).await;
                assert_eq!(
                    (answer.status, answer.text()),
                    (503, "Service Unavailable"),
                    "{path}"
                );
                assert_eq!(answer.header("x-prometheus-stopping"), stopping);
            }
            for path in [
                "/-/healthy",
                "/metrics",
                "/query",
                "/version",
                "/api/v1/status/walreplay",
            ] {
                assert_eq!(rig.get(path).await.status, 200, "{path}");
            }
            assert_eq!(rig.metric("prometheus_ready").as_deref(), Some("0"));
        }
        rig.server.set_state(State::Starting);
        let answer = rig.get("/api/v1/notifications").await;
        assert_eq!(
            answer.text(),
            "{\"status\":\"success\",\"data\":[{\"text\":\"Prometheus is starting and replaying the write-ahead log (WAL).\",\"date\":\"1970-01-01T00:16:40Z\",\"active\":true}]}"
        );
        rig.server.set_state(State::Ready);
        assert_eq!(
            rig.get("/-/ready").await.text(),
            "Prometheus Server is Ready.\n"
        );
        assert_eq!(
            rig.get("/-/healthy").await.text(),
            "Prometheus Server is Healthy.\n"
        );
        assert_eq!(rig.metric("prometheus_ready").as_deref(), Some("1"));
    });
}

#[test]
fn reload_and_quit_need_the_flag_and_a_post() {
    let off = Rig::new();
    let mut on = Rig::with(|options| options.enable_lifecycle = true);
    run(async {
        for path in ["/-/reload", "/-/quit"] {
            let answer = off.post(path, "").await;
            assert_eq!(
                (answer.status, answer.text()),
                (403, "Lifecycle API is not enabled.")
            );
            for rig in [&off, &on] {
                let answer = rig.get(path).await;
                assert_eq!(
                    (answer.status, answer.text()),
                    (405, "Only POST or PUT requests allowed")
                );
            }
        }
        assert!(!off.quit.is_cancelled());

        let mut reloads = on.reloads.take().unwrap();
        let results = [Ok(()), Err("line 3: bad".to_owned())];
        let reloader = tokio::spawn(async move {
            for result in results {
                let answer = reloads.recv().await.unwrap();
                answer.send(result).unwrap();
            }
        });
        let answer = on.post("/-/reload", "").await;
        assert_eq!((answer.status, answer.text()), (200, ""));
        let answer = on.send(request("PUT", "/-/reload", &[], "")).await;
        assert_eq!(
            (answer.status, answer.text()),
            (500, "failed to reload config: line 3: bad\n")
        );
        reloader.await.unwrap();
        let answer = on.post("/-/reload", "").await;
        assert_eq!(
            answer.text(),
            "failed to reload config: the server is shutting down\n"
        );

        assert_eq!(
            on.post("/-/quit", "").await.text(),
            "Requesting termination... Goodbye!"
        );
        assert!(on.quit.is_cancelled());
        assert_eq!(
            on.post("/-/quit", "").await.text(),
            "Termination already in progress."
        );
    });
}

#[test]
fn paths_that_are_no_routes() {
    let rig = Rig::new();
    run(async {
        for (method, path, status, header, text) in [
            (
                "GET",
                "/nope",
                404,
                ("x-content-type-options", "nosniff"),
                "404 page not found\n",
            ),
            (
                "GET",
                "/api/v1/nope",
                404,
                ("content-type", "text/plain; charset=utf-8"),
                "404 page not found\n",
            ),
            (
                "DELETE",
                "/api/v1/query",
                405,
                ("allow", "GET, OPTIONS, POST"),
                "Method Not Allowed\n",
            ),
            (
                "HEAD",
                "/metrics",
                405,
                ("allow", "GET, OPTIONS"),
                "Method Not Allowed\n",
            ),
            ("OPTIONS", "/metrics", 200, ("allow", "GET, OPTIONS"), ""),
            (
                "GET",
                "//metrics?a=b",
                307,
                ("location", "/metrics?a=b"),
                "<a href=\"/metrics?a=b\">Temporary Redirect</a>.\n\n",
            ),
            (
                "GET",
                "/Metrics",
                301,
                ("location", "/metrics"),
                "<a href=\"/metrics\">Moved Permanently</a>.\n\n",
            ),
        ] {
            let answer = rig.send(request(method, path, &[], "")).await;
            assert_eq!(
                (answer.status, answer.text()),
                (status, text),
                "{method} {path}"
            );
            assert_eq!(answer.header(header.0), header.1, "{method} {path}");
        }
    });
}

#[test]
fn requests_are_counted() {
    let rig = Rig::new();
    run(async {
        let requests = "prometheus_http_requests_total{handler=\"/api/v1/query\",code=\"200\"}";
        assert_eq!(rig.metric(requests).as_deref(), Some("0"));
        rig.get("/api/v1/query?query=1").await;
        rig.get("/api/v1/query").await;
        rig.get("/nope").await;
        assert_eq!(rig.metric(requests).as_deref(), Some("1"));
        let bad = "prometheus_http_requests_total{handler=\"/api/v1/query\",code=\"400\"}";
        assert_eq!(rig.metric(bad).as_deref(), Some("1"));
        let sizes = "prometheus_http_response_size_bytes_count{handler=\"/api/v1/query\"}";
        assert_eq!(rig.metric(sizes).as_deref(), Some("2"));
        let bytes = "prometheus_http_response_size_bytes_sum{handler=\"/api/v1/query\"}";
        let expected =
            "{\"status\":\"success\",\"data\":{\"resultType\":\"scalar\",\"result\":[1000,\"1\"]}}"
                .len()
                + 140;
        assert_eq!(rig.metric(bytes), Some(expected.to_string()));
        let slow =
            "prometheus_http_request_duration_seconds_bucket{handler=\"/api/v1/query\",le=\"120\"}";
        assert_eq!(rig.metric(slow).as_deref(), Some("2"));

        let answer = rig.get("/metrics").await;
        assert_eq!(
            answer.header("content-type"),
            "text/plain; version=0.0.4; charset=utf-8; escaping=underscores"
        );
        assert!(
            answer
                .text()
                .contains("# TYPE prometheus_http_requests_total counter\n")
        );
        assert_eq!(rig.get("/metrics/host").await.text(), "node_load1 0.5\n");
        let version = rig.get("/version").await;
        assert_eq!(
            version.text(),
            "{\"version\":\"3.14.0\",\"revision\":\"\",\"branch\":\"\",\"buildUser\":\"\",\"buildDate\":\"\",\"goVersion\":\"\"}\n"
        );
    });
}

#[test]
fn a_panic_is_an_answer() {
    let rig = Rig::new();
    run(async {
        let answer = rig.get("/api/v1/query?query=panic").await;
        assert_eq!(answer.status, 500);
        assert!(
            answer
                .text()
                .starts_with("{\"status\":\"error\",\"errorType\":\"internal\"")
        );
        assert_eq!(rig.get("/api/v1/query?query=1").await.status, 200);
    });
}
