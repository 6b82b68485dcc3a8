//! The query log, the list of queries, and what a killed server leaves word of.

use std::fs;

use bench::process::free_address;

use crate::server::{ask, query, ready, start};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn queries_are_logged_listed_and_remembered() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("prometheus.yml");
    fs::write(&config, "global: {query_log_file: q.log}\n").unwrap();
    let address = free_address().unwrap();
    let mut server = start(folder.path(), &address, &["--query.max-concurrency=3"]);
    ready(&mut server, folder.path()).await;
    query(&server, "vector(1)").await;
    let (status, answer) = ask(&server, "/api/v1/queries").await;
    assert_eq!(status, 200);
    assert_eq!(answer["data"]["active"], serde_json::json!([]));
    let (status, answer) = ask(&server, "/api/v1/query?query=up&timeout=1ms&stats=1").await;
    assert!(status == 200 || status == 503, "{answer}");
    server.kill().unwrap();
    let log = fs::read_to_string(folder.path().join("q.log")).unwrap();
    let line: serde_json::Value = serde_json::from_str(log.lines().next().unwrap()).unwrap();
    assert_eq!(line["params"]["query"], "vector(1)");
    assert_eq!(
        line["httpRequest"],
        serde_json::json!({"clientIP": "127.0.0.1", "method": "GET", "path": "/api/v1/query"})
    );

    let active = folder.path().join("data/queries.active");
    let mut bytes = fs::read(&active).unwrap();
    assert_eq!(bytes.len(), 3_001);
    assert!(bytes[1..].iter().all(|&byte| byte == 0), "all have ended");
    let entry = br#"{"query":"slow","timestamp_sec":7}"#;
    bytes[1_001..1_001 + entry.len()].copy_from_slice(entry);
    bytes[2_000] = b',';
    fs::write(&active, bytes).unwrap();
    fs::write(&config, "global: {}\n").unwrap();
    let mut server = start(folder.path(), &address, &[]);
    ready(&mut server, folder.path()).await;
    query(&server, "vector(2)").await;
    server.kill().unwrap();
    let said = fs::read_to_string(folder.path().join("log")).unwrap();
    let expected = r#"queries="[{\"query\":\"slow\",\"timestamp_sec\":7}]""#;
    let line = said.lines().find(|line| line.contains("didn't finish"));
    assert!(line.is_some_and(|line| line.contains(expected)), "{said}");
    let after = fs::read_to_string(folder.path().join("q.log")).unwrap();
    assert_eq!(after, log, "nothing is logged without the key");
}
