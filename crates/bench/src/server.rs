//! Serves a fleet over HTTP on one loopback port: host `n` at `/host/n/metrics`.
//!
//! One listener, keep-alive, a task a connection. Each scrape of a host moves its values on and
//! renders the page anew into a buffer that the connection keeps.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use anyhow::Context as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Mutex;

use crate::fleet::{FleetOptions, Host};

/// A request is a few hundred bytes; more is not from a scraper.
const REQUEST_BYTES_MAX: usize = 16 << 10;

/// A running fleet; it stops when this is dropped.
#[derive(Debug)]
pub struct FleetServer {
    address: SocketAddr,
    hosts: Arc<Vec<Mutex<Host>>>,
    scrapes: Arc<AtomicU64>,
    samples: Arc<AtomicU64>,
    accept: tokio::task::JoinHandle<()>,
}

impl Drop for FleetServer {
    fn drop(&mut self) {
        self.accept.abort();
    }
}

impl FleetServer {
    /// Starts on a free loopback port. `jitter_max` delays each answer by a random time below it.
    ///
    /// # Errors
    /// If no port can be had.
    pub async fn start(
        options: &FleetOptions,
        jitter_max: Duration,
    ) -> anyhow::Result<FleetServer> {
        let listener = TcpListener::bind("127.0.0.1:0")
            .await
            .context("bind the fleet's port")?;
        let address = listener.local_addr()?;
        let hosts: Vec<_> = (0..options.hosts)
            .map(|n| Mutex::new(Host::new(options, n)))
            .collect();
        let hosts = Arc::new(hosts);
        let (scrapes, samples) = (Arc::<AtomicU64>::default(), Arc::<AtomicU64>::default());
        let shared = (
            Arc::clone(&hosts),
            Arc::clone(&scrapes),
            Arc::clone(&samples),
        );
        let accept = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (hosts, scrapes, samples) = shared.clone();
                tokio::spawn(async move {
                    // A scraper that goes away ends its connection only.
                    let _ = serve(stream, &hosts, &scrapes, &samples, jitter_max).await;
                });
            }
        });
        Ok(FleetServer {
            address,
            hosts,
            scrapes,
            samples,
            accept,
        })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The hosts, which answer with what they are moved on to.
    #[must_use]
    pub fn hosts(&self) -> &[Mutex<Host>] {
        &self.hosts
    }

    /// Scrapes and samples answered so far.
    #[must_use]
    pub fn served(&self) -> (u64, u64) {
        (self.scrapes.load(Relaxed), self.samples.load(Relaxed))
    }

    /// The `file_sd` document that a script would write from its inventory.
    pub async fn file_sd(&self) -> String {
        let mut groups = Vec::with_capacity(self.hosts.len());
        for (index, host) in self.hosts.iter().enumerate() {
            let name = host.lock().await.name().to_owned();
            groups.push(serde_json::json!({
                "targets": [self.address.to_string()],
                "labels": {
                    "__metrics_path__": format!("/host/{index}/metrics"),
                    "instance": format!("{name}:9273"),
                },
            }));
        }
        serde_json::Value::Array(groups).to_string()
    }
}

async fn serve(
    mut stream: TcpStream,
    hosts: &[Mutex<Host>],
    scrapes: &AtomicU64,
    samples: &AtomicU64,
    jitter_max: Duration,
) -> anyhow::Result<()> {
    stream.set_nodelay(true)?;
    let mut request = Vec::new();
    let (mut page, mut answer) = (String::new(), Vec::new());
    loop {
        request.clear();
        while !request.windows(4).any(|w| w == b"\r\n\r\n") {
            anyhow::ensure!(request.len() < REQUEST_BYTES_MAX, "request too long");
            if stream.read_buf(&mut request).await? == 0 {
                return Ok(());
            }
        }
        if !jitter_max.is_zero() {
            tokio::time::sleep(jitter_max.mul_f64(fastrand::f64())).await;
        }
        page.clear();
        let status = match host_of(&request).and_then(|index| hosts.get(index)) {
            Some(host) => {
                let mut host = host.lock().await;
                host.advance();
                host.render(&mut page);
                scrapes.fetch_add(1, Relaxed);
                samples.fetch_add(host.series_count() as u64, Relaxed);
                "200 OK"
            }
            None => "404 Not Found",
        };
        answer.clear();
        answer.extend_from_slice(
            format!(
                "HTTP/1.1 {status}\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\n\
                 Content-Length: {}\r\n\r\n",
                page.len()
            )
            .as_bytes(),
        );
        answer.extend_from_slice(page.as_bytes());
        stream.write_all(&answer).await?;
    }
}

/// `GET /host/12/metrics HTTP/1.1` → 12
fn host_of(request: &[u8]) -> Option<usize> {
    let line = std::str::from_utf8(request.split(|&b| b == b'\r').next()?).ok()?;
    let path = line.split(' ').nth(1)?;
    path.strip_prefix("/host/")?
        .strip_suffix("/metrics")?
        .parse()
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn serves_each_host_and_refuses_others() {
        let options = FleetOptions {
            hosts: 2,
            containers: 1,
            ..FleetOptions::default()
        };
        let server = FleetServer::start(&options, Duration::ZERO).await.unwrap();
        let mut stream = TcpStream::connect(server.address()).await.unwrap();
        for (path, status, text) in [
            ("/host/0/metrics", "200", "host=\"web-0000\""),
            ("/host/1/metrics", "200", "host=\"db-0001\""),
            ("/host/2/metrics", "404", ""),
        ] {
            stream
                .write_all(format!("GET {path} HTTP/1.1\r\n\r\n").as_bytes())
                .await
                .unwrap();
            let mut answer = Vec::new();
            let body_at = loop {
                stream.read_buf(&mut answer).await.unwrap();
                if let Some(at) = answer.windows(4).position(|w| w == b"\r\n\r\n") {
                    break at + 4;
                }
            };
            let head = String::from_utf8_lossy(&answer[..body_at]).into_owned();
            assert!(head.starts_with(&format!("HTTP/1.1 {status}")), "{head}");
            let length: usize = head
                .lines()
                .find_map(|l| l.strip_prefix("Content-Length: "))
                .unwrap()
                .parse()
                .unwrap();
            while answer.len() < body_at + length {
                stream.read_buf(&mut answer).await.unwrap();
            }
            assert!(String::from_utf8_lossy(&answer).contains(text));
        }
        assert_eq!(server.served().0, 2);
        assert!(
            server
                .file_sd()
                .await
                .contains("\"instance\":\"db-0001:9273\"")
        );
    }
}
