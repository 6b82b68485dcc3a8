//! Large answers, compression, and clients that go away.

use std::io::Read as _;
use std::sync::atomic::Ordering;
use std::time::Duration;

use http_body_util::BodyExt as _;

use crate::support::{CANCELED, COLUMN_POINTS, COLUMNS, MANY, Rig, request, run};

fn expected_many() -> String {
    let mut text =
        String::from("{\"status\":\"success\",\"data\":{\"resultType\":\"vector\",\"result\":[");
    for at in 0..MANY {
        let comma = if at > 0 { "," } else { "" };
        text.push_str(&format!(
            "{comma}{{\"metric\":{{\"at\":\"{at}\"}},\"value\":[1,\"{at}\"]}}"
        ));
    }
    text.push_str("]}}");
    text
}

#[test]
fn large_answers_leave_in_chunks() {
    let rig = Rig::new();
    let path = "/api/v1/query?query=many&time=1";
    run(async {
        let response = rig.server.handle(request("GET", path, &[], "")).await;
        let mut body = response.into_body();
        let (mut text, mut frames) = (Vec::new(), 0);
        while let Some(frame) = body.frame().await {
            text.extend_from_slice(frame.unwrap().data_ref().unwrap());
            frames += 1;
        }
        assert_eq!(String::from_utf8(text).unwrap(), expected_many());
        assert!(frames > 3, "{frames}");
    });
}

#[test]
fn pieces_that_are_written_side_by_side_leave_in_order() {
    let rig = Rig::new();
    let path = "/api/v1/query?query=columns&time=1";
    let mut expected =
        String::from("{\"status\":\"success\",\"data\":{\"resultType\":\"matrix\",\"result\":[");
    for at in 0..COLUMNS {
        let point = |step: usize| match step % 2 {
            0 => format!("[{},\"{at}\"]", 1 + step / 2),
            _ => format!("[{}.500,\"{at}\"]", 1 + step / 2),
        };
        let points: Vec<String> = (0..COLUMN_POINTS).map(point).collect();
        let comma = if at > 0 { "," } else { "" };
        expected.push_str(&format!(
            "{comma}{{\"metric\":{{\"at\":\"{at}\"}},\"values\":[{}]}}",
            points.join(",")
        ));
    }
    expected.push_str("]}}");
    run(async {
        let answer = rig.send(request("GET", path, &[], "")).await;
        assert!(answer.text() == expected);
        // A client that stops reading ends the writer, whoever writes.
        let response = rig.server.handle(request("GET", path, &[], "")).await;
        drop(response);
    });
}

#[test]
fn answers_are_compressed_as_asked() {
    let rig = Rig::new();
    run(async {
        for (accept, encoding) in [
            ("gzip, deflate", "gzip"),
            ("br, deflate ,gzip", "deflate"),
            ("br", ""),
            ("", ""),
        ] {
            for (path, expected) in [
                ("/api/v1/query?query=many&time=1", Some(expected_many())),
                ("/metrics", None),
            ] {
                let headers = [("accept-encoding", accept)];
                let answer = rig.send(request("GET", path, &headers, "")).await;
                assert_eq!(
                    answer.header("content-encoding"),
                    encoding,
                    "{accept} {path}"
                );
                assert_eq!(
                    answer.headers.get_all("vary").iter().next().unwrap(),
                    "Accept-Encoding"
                );
                let mut text = String::new();
                match encoding {
                    "gzip" => {
                        flate2::read::GzDecoder::new(&answer.bytes[..]).read_to_string(&mut text)
                    }
                    "deflate" => {
                        flate2::read::ZlibDecoder::new(&answer.bytes[..]).read_to_string(&mut text)
                    }
                    _ => (&answer.bytes[..]).read_to_string(&mut text),
                }
                .unwrap();
                match expected {
                    Some(expected) => assert!(text == expected, "{accept}"),
                    None => assert!(text.contains("# HELP prometheus_ready ")),
                }
            }
        }
        let headers = [("accept-encoding", "gzip")];
        let answer = rig
            .send(request("GET", "/api/v1/query?query=1", &headers, ""))
            .await;
        assert_eq!(
            answer.header("content-encoding"),
            "",
            "small answers stay as they are"
        );
    });
}

#[test]
fn a_client_that_goes_away_cancels_its_query() {
    let rig = Rig::new();
    run(async {
        let asked = rig.get("/api/v1/query?query=wait");
        assert!(
            tokio::time::timeout(Duration::from_millis(20), asked)
                .await
                .is_err()
        );
        // The runtime waits for the thread when it ends.
        let lines = "prometheus_http_requests_total{handler=\"/api/v1/query\",code=\"499\"}";
        assert_eq!(rig.metric(lines).as_deref(), Some("1"));
    });
    assert!(CANCELED.load(Ordering::SeqCst));
}

#[test]
fn a_client_that_stops_reading_ends_the_writer() {
    let rig = Rig::new();
    run(async {
        let path = "/api/v1/query?query=many";
        let response = rig.server.handle(request("GET", path, &[], "")).await;
        let mut body = response.into_body();
        let first = body.frame().await.unwrap().unwrap();
        assert!(!first.data_ref().unwrap().is_empty());
        drop(body);
        // The runtime waits for the thread when it ends: this test ends only if the writer does.
    });
}

#[test]
fn a_query_that_is_not_there_cannot_be_cancelled() {
    let rig = Rig::new();
    run(async {
        let list = rig.get("/api/v1/queries").await;
        assert_eq!(
            list.text(),
            r#"{"status":"success","data":{"active":[],"slow":[]}}"#
        );
        for id in ["7", "x", "-1"] {
            let path = format!("/api/v1/queries/{id}");
            let answer = rig.send(request("DELETE", &path, &[], "")).await;
            assert_eq!(answer.status, 404);
            let expected = format!(
                r#"{{"status":"error","errorType":"not_found","error":"no query \"{id}\" waits or runs"}}"#
            );
            assert_eq!(answer.text(), expected);
        }
    });
}
