//! A real file system that becomes full: a small one in memory, which only root may mount. Without
//! that, the test says so; `tsdb` has the same on a disk of its own.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use bench::process::{Server, free_address};

use crate::limits::notice;
use crate::pages;
use crate::server::{ask, query, ready, start};

/// A mounted file system; unmounted when dropped.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn mount(at: &Path) -> Option<SmallDisk> {
        std::fs::create_dir_all(at).unwrap();
        let mount = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=4m", "tmpfs"])
            .arg(at)
            .output();
        match mount {
            Ok(output) if output.status.success() => Some(SmallDisk(at.to_owned())),
            _ => None,
        }
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

/// Times and values of `shown`.
async fn shown(server: &Server) -> Vec<(f64, String)> {
    let found = query(server, "shown[1h]").await;
    let values = found
        .first()
        .map(|series| series["values"].as_array().unwrap().clone());
    let values = values.unwrap_or_default().into_iter();
    values
        .map(|sample| {
            (
                sample[0].as_f64().unwrap(),
                sample[1].as_str().unwrap().to_owned(),
            )
        })
        .collect()
}

#[tokio::test]
async fn a_full_file_system_stops_ingestion_until_there_is_room() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let Some(_mounted) = SmallDisk::mount(&data) else {
        println!("skipped: no file system can be mounted here");
        return;
    };
    let scrapes = Arc::new(AtomicU64::new(0));
    let target = pages::serve(Arc::new(move |_: &str| {
        pages::page(&format!("shown {}\n", scrapes.fetch_add(1, Relaxed)))
    }))
    .await;
    let config = format!(
        "global: {{scrape_interval: 50ms, scrape_timeout: 50ms}}\nscrape_configs:\n\
         - job_name: j\n  static_configs: [{{targets: ['{target}']}}]\n"
    );
    std::fs::write(folder.path().join("prometheus.yml"), config).unwrap();
    let address = free_address().unwrap();
    let mut server = start(folder.path(), &address, &[]);
    ready(&mut server, folder.path()).await;
    while shown(&server).await.len() < 5 {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }

    let filler = data.join("filler");
    // As much as goes in: writing ends with an error.
    let _ = std::fs::write(&filler, vec![1; 8 << 20]);
    notice(&server, "The disk of the data folder is full").await;
    let before = shown(&server).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(
        shown(&server).await,
        before,
        "nothing more is taken, all is answered"
    );
    let (_, targets) = ask(&server, "/api/v1/targets").await;
    let error = &targets["data"]["activeTargets"][0]["lastError"];
    assert_eq!(error, "write to the log failed: no space left on device");

    std::fs::remove_file(&filler).unwrap();
    for _ in 0..200 {
        if shown(&server).await.len() > before.len() + 3 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let after = shown(&server).await;
    assert!(after.len() > before.len() + 3, "it goes on by itself");
    assert_eq!(after[..before.len()], before);
    let (_, notices) = ask(&server, "/api/v1/notifications").await;
    assert_eq!(notices["data"].as_array().unwrap().len(), 0, "{notices}");

    server.kill().unwrap();
    let mut server = start(folder.path(), &address, &[]);
    ready(&mut server, folder.path()).await;
    let again = shown(&server).await;
    assert_eq!(again[..after.len()], after, "nothing was lost");
    server.kill().unwrap();
}
