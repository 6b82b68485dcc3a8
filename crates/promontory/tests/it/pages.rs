//! Targets: pages by path, served over loopback.

use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

/// The whole answer, head included, to a request for a path. An empty answer closes the connection.
pub(crate) type Answer = dyn Fn(&str) -> Vec<u8> + Send + Sync;

/// A page with status 200 and Prometheus's text type.
pub(crate) fn page(body: &str) -> Vec<u8> {
    answer(
        "200 OK",
        "Content-Type: text/plain; version=0.0.4\r\n",
        body.as_bytes(),
    )
}

/// An answer of any kind; `headers` are whole lines.
pub(crate) fn answer(status: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let length = body.len();
    let mut bytes =
        format!("HTTP/1.1 {status}\r\n{headers}Content-Length: {length}\r\n\r\n").into_bytes();
    bytes.extend_from_slice(body);
    bytes
}

/// Serves until the runtime ends; returns the address.
pub(crate) async fn serve(answer: Arc<Answer>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let answer = Arc::clone(&answer);
            tokio::spawn(async move {
                let mut request = [0; 8192];
                // Requests of a scraper fit in one read.
                while let Ok(n @ 1..) = stream.read(&mut request).await {
                    let text = String::from_utf8_lossy(&request[..n]).into_owned();
                    let path = text.split(' ').nth(1).unwrap_or("/");
                    if path.starts_with("/hang") {
                        tokio::time::sleep(Duration::from_secs(60)).await;
                    }
                    let bytes = answer(path);
                    if bytes.is_empty() || stream.write_all(&bytes).await.is_err() {
                        return;
                    }
                }
            });
        }
    });
    address
}
