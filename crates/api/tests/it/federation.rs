//! `/federate`, and T19: untyped, with external labels, an empty instance, timestamps, and without
//! what has ended.

use crate::support::{Rig, request, run};

#[test]
fn newest_samples_as_text() {
    let rig = Rig::new();
    run(async {
        let answer = rig
            .get("/federate?match[]=up&match[]={job=~\"a|c\"}&match[]=sum")
            .await;
        assert_eq!(
            answer.text(),
            "# TYPE sum untyped\n\
             sum{zone=\"own\",instance=\"\",job=\"never used\"} NaN 1000000\n\
             # TYPE up untyped\n\
             up{instance=\"one\",job=\"a\",zone=\"eu\"} 1 995000\n"
        );
        assert_eq!(
            answer.header("content-type"),
            "text/plain; version=0.0.4; charset=utf-8; escaping=underscores"
        );
        let answer = rig.get("/federate").await;
        assert_eq!((answer.status, answer.text()), (200, ""));
        let answer = rig.get("/federate?match[]=(").await;
        assert_eq!(
            (answer.status, answer.text()),
            (400, "1:1: parse error: unexpected \"(\"\n")
        );
    });
}

#[test]
fn names_beyond_ascii_are_escaped_unless_the_client_takes_them() {
    let rig = Rig::new();
    run(async {
        for (accept, escaping, expected) in [
            (
                "text/plain",
                "underscores",
                "# TYPE http_requests untyped\nhttp_requests{job=\"b\",path=\"/<a>\\\"\\n\",instance=\"\",zone=\"eu\"} 1.234567e+06 999000\n",
            ),
            (
                "text/plain;version=1.0.0;escaping=allow-utf-8;q=0.5",
                "allow-utf-8",
                "# TYPE \"http.requests\" untyped\n{\"http.requests\",job=\"b\",path=\"/<a>\\\"\\n\",instance=\"\",zone=\"eu\"} 1.234567e+06 999000\n",
            ),
        ] {
            let path = "/federate?match[]={job=\"b\"}";
            let answer = rig
                .send(request("GET", path, &[("accept", accept)], ""))
                .await;
            assert_eq!(answer.text(), expected, "{accept}");
            assert!(answer.header("content-type").ends_with(escaping));
        }
    });
}
