//! What only connections show: limits, time-outs, keep-alive and the graceful end.

use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::support::{Rig, run};

struct Running {
    address: std::net::SocketAddr,
    shutdown: CancellationToken,
    task: JoinHandle<()>,
}

async fn start(rig: &Rig) -> Running {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let shutdown = CancellationToken::new();
    let (server, stop) = (rig.server.clone(), shutdown.clone());
    let task = tokio::spawn(async move { server.serve(vec![listener], stop).await });
    Running {
        address,
        shutdown,
        task,
    }
}

/// Sends a request on an open connection and reads the answer, whose length is in its head.
async fn ask(stream: &mut TcpStream, path: &str) -> String {
    let head = format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut text = String::new();
    loop {
        let mut buffer = [0; 4096];
        let count = stream.read(&mut buffer).await.unwrap();
        text.push_str(std::str::from_utf8(&buffer[..count]).unwrap());
        let whole = text.split_once("\r\n\r\n").is_some_and(|(head, body)| {
            let length = head
                .lines()
                .find_map(|line| line.strip_prefix("content-length: "));
            length.is_some_and(|length| length.parse() == Ok(body.len()))
        });
        if whole || count == 0 {
            return text;
        }
    }
}

#[test]
fn connections_are_kept_and_end_with_the_server() {
    let rig = Rig::new();
    run(async {
        let running = start(&rig).await;
        let mut stream = TcpStream::connect(running.address).await.unwrap();
        for _ in 0..2 {
            let answer = ask(&mut stream, "/-/healthy").await;
            assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
            assert!(
                answer.ends_with("Prometheus Server is Healthy.\n"),
                "{answer}"
            );
            assert!(answer.contains("\r\ndate: "), "{answer}");
        }
        running.shutdown.cancel();
        running.task.await.unwrap();
        assert_eq!(stream.read(&mut [0; 1]).await.unwrap(), 0);
        let closed = "net_conntrack_listener_conn_closed_total{listener_name=\"http\"}";
        assert_eq!(rig.metric(closed).as_deref(), Some("1"));
    });
}

#[test]
fn selectors_may_be_typed_as_they_are() {
    let rig = Rig::new();
    run(async {
        let running = start(&rig).await;
        for path in [
            "/api/v1/series?match[]={job=\"c\"}",
            "/api/v1/series?match[]={job=~\"c|^`<>\"}",
        ] {
            let mut stream = TcpStream::connect(running.address).await.unwrap();
            let answer = ask(&mut stream, path).await;
            let expected = "[{\"__name__\":\"old\",\"job\":\"c\"}]}";
            assert!(answer.ends_with(expected), "{answer}");
        }
        running.shutdown.cancel();
        running.task.await.unwrap();
    });
}

#[test]
fn connections_beyond_the_limit_wait() {
    let rig = Rig::with(|options| options.max_connections = 1);
    run(async {
        let running = start(&rig).await;
        let mut first = TcpStream::connect(running.address).await.unwrap();
        ask(&mut first, "/-/healthy").await;
        let mut second = TcpStream::connect(running.address).await.unwrap();
        let early = tokio::time::timeout(Duration::from_millis(50), ask(&mut second, "/-/healthy"));
        assert!(early.await.is_err());
        drop(first);
        let mut answer = [0; 15];
        second.read_exact(&mut answer).await.unwrap();
        assert_eq!(&answer, b"HTTP/1.1 200 OK");
        drop(second);
        running.shutdown.cancel();
        running.task.await.unwrap();
    });
}

#[test]
fn idle_connections_and_slow_requests_end() {
    let rig = Rig::with(|options| options.read_timeout = Duration::from_millis(50));
    run(async {
        let running = start(&rig).await;
        for sent in ["", "GET /-/healthy HTTP/1.1\r\nHo"] {
            let mut stream = TcpStream::connect(running.address).await.unwrap();
            stream.write_all(sent.as_bytes()).await.unwrap();
            let mut rest = Vec::new();
            let ended = tokio::time::timeout(Duration::from_secs(5), stream.read_to_end(&mut rest));
            assert!(ended.await.is_ok(), "{sent}");
        }
        let mut stream = TcpStream::connect(running.address).await.unwrap();
        let slow = "POST /api/v1/query HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\nContent-Type: \
                    application/x-www-form-urlencoded\r\n\r\nque";
        stream.write_all(slow.as_bytes()).await.unwrap();
        let mut answer = vec![0; 512];
        let count = stream.read(&mut answer).await.unwrap();
        let answer = String::from_utf8_lossy(&answer[..count]);
        assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
        assert!(answer.contains("reading the body timed out"), "{answer}");
        running.shutdown.cancel();
        running.task.await.unwrap();
    });
}

#[test]
fn a_head_that_is_too_long_is_refused() {
    let rig = Rig::new();
    run(async {
        let running = start(&rig).await;
        let mut stream = TcpStream::connect(running.address).await.unwrap();
        let head = format!(
            "GET /-/healthy HTTP/1.1\r\nHost: x\r\nLong: {}\r\n\r\n",
            "a".repeat(2 << 20)
        );
        // The server may hang up while this is written.
        let _ = stream.write_all(head.as_bytes()).await;
        let mut answer = [0; 12];
        if stream.read_exact(&mut answer).await.is_ok() {
            assert_eq!(&answer, b"HTTP/1.1 431");
        }
        let mut other = TcpStream::connect(running.address).await.unwrap();
        assert!(
            ask(&mut other, "/-/healthy")
                .await
                .starts_with("HTTP/1.1 200")
        );
        drop((stream, other));
        running.shutdown.cancel();
        running.task.await.unwrap();
    });
}
