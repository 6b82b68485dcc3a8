//! The binary under test, and questions to it.

use std::path::Path;
use std::time::Duration;

use bench::process::{Server, get};
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// What a start may take; a debug build on a busy machine.
const START_MAX: Duration = Duration::from_secs(60);

/// Starts the binary on `address` with the files `prometheus.yml` and `data` of `folder`.
pub(crate) fn start(folder: &Path, address: &str, flags: &[&str]) -> Server {
    let mut arguments = vec![
        format!("--config.file={}", folder.join("prometheus.yml").display()),
        format!("--storage.tsdb.path={}", folder.join("data").display()),
        format!("--web.listen-address={address}"),
    ];
    arguments.extend(flags.iter().map(|flag| (*flag).to_owned()));
    let binary = Path::new(env!("CARGO_BIN_EXE_promontory"));
    let log = folder.join("log");
    Server::start("promontory", binary, &arguments, address, &log).unwrap()
}

/// Waits until it answers queries; shows its log if it does not.
pub(crate) async fn ready(server: &mut Server, folder: &Path) {
    if let Err(error) = server.wait_ready(START_MAX).await {
        let log = std::fs::read_to_string(folder.join("log")).unwrap_or_default();
        panic!("{error:#}\n{log}");
    }
}

/// Status and body of a GET.
pub(crate) async fn ask(server: &Server, path: &str) -> (u16, Value) {
    let (status, body) = get(&format!("{}{path}", server.url)).await.unwrap();
    let body = serde_json::from_str(&body).unwrap_or(Value::String(body));
    (status, body)
}

/// A text as it stands in a form.
pub(crate) fn encoded(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b if b.is_ascii_alphanumeric() => char::from(b).to_string(),
            b => format!("%{b:02X}"),
        })
        .collect()
}

/// Status and body of a request with a form of any length.
pub(crate) async fn send(server: &Server, method: &str, path: &str, form: &str) -> (u16, Value) {
    let address = server.url.trim_start_matches("http://");
    let mut stream = TcpStream::connect(address).await.unwrap();
    let head = format!(
        "{method} {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\
         Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n",
        form.len()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(form.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    let answer = String::from_utf8_lossy(&answer);
    let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
    let body = answer.split_once("\r\n\r\n").unwrap().1;
    let body = serde_json::from_str(body).unwrap_or(Value::String(body.to_owned()));
    (status, body)
}

/// `data.result` of an instant query that must succeed.
pub(crate) async fn query(server: &Server, query: &str) -> Vec<Value> {
    let path = format!("/api/v1/query?query={}", encoded(query));
    let (status, answer) = ask(server, &path).await;
    assert_eq!(status, 200, "{query}: {answer}");
    answer["data"]["result"].as_array().unwrap().clone()
}
