//! The page and the redirects to it. T33: links with parameters of the old graph page still work.

use crate::support::{Rig, request, run};

#[test]
fn redirects() {
    let root = Rig::new();
    let prefixed = Rig::with(|options| {
        options.external_path = "/ext".to_owned();
        options.route_prefix = "/in".to_owned();
    });
    run(async {
        for (rig, path, status, location) in [
            (&root, "/", 302, "/query"),
            (&root, "/graph", 302, "/query"),
            (
                &root,
                "/graph?g0.expr=up%7B%7D&g0.tab=0",
                302,
                "/query?g0.expr=up%7B%7D&g0.tab=0",
            ),
            (&prefixed, "/", 302, "/in"),
            (&prefixed, "/in", 301, "/in/"),
            (&prefixed, "/in/", 302, "/ext/query"),
            (&prefixed, "/in/graph?a=b", 302, "/ext/query?a=b"),
        ] {
            let answer = rig.get(path).await;
            assert_eq!(
                (answer.status, answer.header("location")),
                (status, location),
                "{path}"
            );
        }
        let answer = prefixed.get("/in/api/v1/query?query=1").await;
        assert_eq!(answer.status, 200);
        assert_eq!(prefixed.get("/api/v1/query?query=1").await.status, 404);
    });
}

#[test]
fn every_page_is_the_page() {
    let rig = Rig::with(|options| {
        options.page_title = "<Title> & \"more\"".to_owned();
        options.route_prefix = "/in".to_owned();
    });
    run(async {
        for path in [
            "query",
            "targets",
            "status",
            "tsdb-status",
            "flags",
            "config",
            "alerts",
        ] {
            let answer = rig.get(&format!("/in/{path}")).await;
            assert_eq!(answer.status, 200, "{path}");
            assert_eq!(answer.header("content-type"), "text/html; charset=utf-8");
            assert_eq!(answer.header("cache-control"), "no-store");
            assert!(
                answer
                    .header("content-security-policy")
                    .contains("script-src 'self';")
            );
            let text = answer.text();
            assert!(
                text.contains("&lt;Title&gt; &amp; &#34;more&#34;"),
                "{text}"
            );
            assert!(!text.contains("__PROMONTORY"), "{text}");
        }
        for path in [
            "/in/assets/nope.js",
            "/in/assets/../../etc",
            "/in/favicon.ico",
        ] {
            let answer = rig.get(path).await;
            assert_ne!(answer.status, 200, "{path}");
        }
        let answer = rig.send(request("POST", "/in/query", &[], "")).await;
        assert_eq!(answer.status, 405);
    });
}
