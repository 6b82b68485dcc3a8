//! The tools on the data folder of a server that runs.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use bench::process::free_address;

use crate::pages;
use crate::server::{query, ready, start};

fn tool(arguments: &[&str], data: &Path) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_promontory"))
        .arg("tsdb")
        .args(arguments)
        .arg(data)
        .output()
        .unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {error}");
    String::from_utf8(output.stdout).unwrap()
}

#[tokio::test]
async fn tools_read_what_a_running_server_has() {
    let scrapes = Arc::new(AtomicU64::new(0));
    let target = pages::serve(Arc::new(move |_: &str| {
        pages::page(&format!("shown {}\n", scrapes.fetch_add(1, Relaxed)))
    }))
    .await;
    let folder = tempfile::tempdir().unwrap();
    let config = format!(
        "global: {{scrape_interval: 50ms, scrape_timeout: 50ms}}\nscrape_configs:\n\
         - job_name: j\n  static_configs: [{{targets: ['{target}']}}]\n"
    );
    std::fs::write(folder.path().join("prometheus.yml"), config).unwrap();
    let address = free_address().unwrap();
    // Blocks of a second, so that some come and go while the tools read.
    let flags = [
        "--storage.tsdb.min-block-duration=1s",
        "--storage.tsdb.max-block-duration=9s",
    ];
    let mut server = start(folder.path(), &address, &flags);
    ready(&mut server, folder.path()).await;
    let data = folder.path().join("data");
    for _ in 0..3 {
        tokio::time::sleep(Duration::from_millis(700)).await;
        let shown = query(&server, "shown[1h]").await;
        let shown = shown[0]["values"].as_array().unwrap().clone();
        let dump = tool(&["dump-openmetrics", "--match=shown"], &data);
        for sample in shown {
            let value = sample[1].as_str().unwrap();
            let line = format!("}} {value} {:.3}\n", sample[0].as_f64().unwrap());
            assert!(dump.contains(&line), "{line}{dump}");
        }
        assert!(dump.ends_with("# EOF\n"));
        tool(&["dump"], &data);
        tool(&["list"], &data);
        tool(&["verify"], &data);
    }
    // The server noticed nothing.
    assert!(!query(&server, "up == 1").await.is_empty());
    let log = std::fs::read_to_string(folder.path().join("log")).unwrap();
    assert!(!log.contains("level=ERROR"), "{log}");
}
