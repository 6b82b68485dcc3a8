//! Over real sockets: one server, a path for every kind of target.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use config::{ScrapeConfig, TargetGroup};
use discovery::TargetSets;
use model::{Labels, Matcher};
use parking_lot::Mutex;
use storage::memory::MemoryStore;
use storage::{Queryable, Samples, SelectHints};
use telemetry::Registry;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use super::support::configuration;
use crate::{GlobalUrlOptions, ScrapeManager, ScrapeOptions, TargetStatus};

/// What the server saw.
#[derive(Default)]
struct Seen {
    connections: AtomicUsize,
    /// The last request's head, by path.
    heads: Mutex<BTreeMap<String, String>>,
}

async fn serve(listener: TcpListener, seen: Arc<Seen>) {
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        seen.connections.fetch_add(1, Relaxed);
        tokio::spawn(converse(stream, Arc::clone(&seen)));
    }
}

/// Answers requests on one connection until the client goes.
async fn converse(mut stream: TcpStream, seen: Arc<Seen>) -> std::io::Result<()> {
    let mut received = Vec::new();
    loop {
        let mut part = [0; 4096];
        let count = stream.read(&mut part).await?;
        if count == 0 {
            return Ok(());
        }
        received.extend_from_slice(&part[..count]);
        if !received.ends_with(b"\r\n\r\n") {
            continue;
        }
        let head = String::from_utf8(std::mem::take(&mut received)).unwrap();
        let path = head.split(' ').nth(1).unwrap().to_owned();
        seen.heads.lock().insert(path.clone(), head);
        let text = "text/plain; version=0.0.4";
        let ok = |headers: &str, body: &[u8]| reply("200 OK", text, headers, body);
        let answer = match path.as_str() {
            "/plain" => ok("", b"a 1\n"),
            "/gzip" => ok("Content-Encoding: gzip\r\n", &gzip(b"a 2\n")),
            "/large" => ok("", large_page().as_bytes()),
            "/json" => reply("200 OK", "application/json", "", b"{}"),
            "/500" => reply("500 Internal Server Error", text, "", b"no"),
            "/not-gzip" => ok("Content-Encoding: gzip\r\n", b"a 2\n"),
            "/garbage" => b"\x00\xff\xfe garbage \x01\r\n\r\n".to_vec(),
            "/binary" => ok("", &[0xff; 64]),
            "/silent" => Vec::new(),
            _ => reply("404 Not Found", text, "", b""),
        };
        stream.write_all(&answer).await?;
    }
}

fn reply(status: &str, content_type: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let mut answer = format!(
        "HTTP/1.1 {status}\r\nContent-Type: {content_type}\r\n{headers}Content-Length: {}\r\n\r\n",
        body.len()
    )
    .into_bytes();
    answer.extend_from_slice(body);
    answer
}

fn gzip(body: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(body).unwrap();
    encoder.finish().unwrap()
}

/// More than is read on a worker of the runtime.
fn large_page() -> String {
    (0..60_000).fold(String::new(), |page, at| {
        page + &format!("large{{number=\"{at:08}\"}} {at}\n")
    })
}

fn job(path: &str) -> ScrapeConfig {
    ScrapeConfig {
        job_name: path.to_owned(),
        metrics_path: format!("/{path}"),
        scrape_interval_ms: 100,
        scrape_timeout_ms: 100,
        ..ScrapeConfig::default()
    }
}

fn count_of(store: &MemoryStore, name: &str, job: &str) -> (usize, usize) {
    let querier = store.querier(i64::MIN, i64::MAX).unwrap();
    let matchers = [Matcher::equal("__name__", name), Matcher::equal("job", job)];
    let found = querier
        .select(false, &SelectHints::default(), &matchers)
        .unwrap();
    let mut samples = Samples::default();
    for series in &found.series {
        series.read(i64::MIN, i64::MAX, &mut samples).unwrap();
    }
    (found.series.len(), samples.timestamps.len())
}

/// Waits until every target was scraped `times` times.
async fn scraped(store: &MemoryStore, jobs: &[ScrapeConfig], times: usize) {
    let waited = tokio::time::timeout(Duration::from_secs(20), async {
        let is_done = |job: &ScrapeConfig| count_of(store, "up", &job.job_name).1 >= times;
        while !jobs.iter().all(is_done) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    waited.await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn targets_of_every_kind() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let seen = Arc::new(Seen::default());
    tokio::spawn(serve(listener, Arc::clone(&seen)));
    // A port that nobody listens on.
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let closed_address = closed.local_addr().unwrap().to_string();
    drop(closed);

    let mut jobs: Vec<ScrapeConfig> = [
        "plain", "gzip", "large", "json", "500", "not-gzip", "garbage", "binary", "silent",
        "closed", "limited", "identity",
    ]
    .map(job)
    .to_vec();
    for job in &mut jobs {
        match job.job_name.as_str() {
            // Reading it takes a while in a test's build.
            "large" => (job.scrape_interval_ms, job.scrape_timeout_ms) = (500, 500),
            "limited" => {
                job.metrics_path = "/plain".to_owned();
                job.limits.body_size_limit = 3;
            }
            "identity" => job.enable_compression = false,
            _ => {}
        }
    }
    let store = MemoryStore::new();
    let clock = clock::SystemClock::shared();
    let manager = ScrapeManager::new(
        Arc::new(store.clone()),
        Arc::clone(&clock),
        &Registry::new(clock),
        ScrapeOptions {
            user_agent: "Tester/1".to_owned(),
            host_name: Some("test".to_owned()),
            global_url: GlobalUrlOptions {
                listen_address: "0.0.0.0:9090".to_owned(),
                host: "example.com".to_owned(),
                scheme: "http".to_owned(),
            },
            ..ScrapeOptions::default()
        },
    );
    manager.apply_config(&configuration(&jobs)).unwrap();
    let sets = jobs.iter().map(|job| {
        let target = match job.job_name.as_str() {
            "closed" => closed_address.clone(),
            _ => address.clone(),
        };
        let group = TargetGroup {
            targets: vec![target],
            labels: Labels::empty(),
            source: "0".to_owned(),
        };
        (job.job_name.clone(), vec![Arc::new(group)])
    });
    let (_sender, updates) = watch::channel(Arc::new(sets.collect::<TargetSets>()));
    let running = tokio::spawn(Arc::clone(&manager).run(updates));
    scraped(&store, &jobs, 1).await;

    let target = |job: &str| -> TargetStatus {
        let pools = manager.snapshot().into_iter();
        let mut pool = pools.into_iter().find(|pool| pool.name == job).unwrap();
        pool.active.remove(0)
    };
    let get = |path: &str, reason: &str| format!("Get \"http://{address}/{path}\": {reason}");
    for (job, error) in [
        ("plain", String::new()),
        ("gzip", String::new()),
        ("large", String::new()),
        (
            "json",
            "received unsupported Content-Type \"application/json\" and no \
             fallback_scrape_protocol specified for target"
                .to_owned(),
        ),
        (
            "500",
            "server returned HTTP status 500 Internal Server Error".to_owned(),
        ),
        ("not-gzip", "gzip: invalid header".to_owned()),
        (
            "binary",
            "expected a valid start token, got \"\\xff\" (\"INVALID\") while parsing: \"\\xff\""
                .to_owned(),
        ),
        ("silent", get("silent", "context deadline exceeded")),
        (
            "closed",
            format!(
                "Get \"http://{closed_address}/closed\": dial tcp {closed_address}: connect: \
                 connection refused"
            ),
        ),
        ("limited", "body size limit exceeded".to_owned()),
        (
            "identity",
            "server returned HTTP status 404 Not Found".to_owned(),
        ),
    ] {
        // On a busy machine a scrape may time out that usually does not: the next one will not.
        for _ in 0..200 {
            if target(job).last_error == error {
                break;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        assert_eq!(target(job).last_error, error, "{job}");
    }
    let garbage = target("garbage").last_error;
    assert!(garbage.starts_with(&get("garbage", "")), "{garbage}");
    assert_eq!(count_of(&store, "large", "large").0, 60_000);
    assert_eq!(count_of(&store, "a", "gzip").0, 1);
    assert_eq!(count_of(&store, "a", "limited").0, 0);

    let head = seen.heads.lock()["/plain"].to_ascii_lowercase();
    for line in [
        "accept: application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,",
        "accept-encoding: gzip\r\n",
        "user-agent: tester/1\r\n",
        "x-prometheus-scrape-timeout-seconds: 0.1\r\n",
    ] {
        assert!(head.contains(line), "{line:?} in {head}");
    }
    let head = seen.heads.lock()["/identity"].to_ascii_lowercase();
    assert!(head.contains("accept-encoding: identity\r\n"), "{head}");

    // Those that answer properly are asked over one connection each.
    let before = seen.connections.load(Relaxed);
    let (_, plain_before) = count_of(&store, "a", "plain");
    let bad = ["not-gzip", "garbage", "silent", "closed", "limited"];
    let good: Vec<ScrapeConfig> = jobs
        .iter()
        .filter(|job| !bad.contains(&job.job_name.as_str()) && job.job_name != "large")
        .cloned()
        .collect();
    scraped(&store, &good, plain_before + 3).await;
    let dialled = seen.connections.load(Relaxed) - before;
    // Only the bad ones, of which a few came round since.
    assert!(dialled <= 6 * bad.len(), "{dialled}");
    manager.stop().await;
    running.await.unwrap();
}
