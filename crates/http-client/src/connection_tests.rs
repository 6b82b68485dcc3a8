//! Exchanges with servers that do as the tests say, most of them badly.

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::*;
use crate::RequestOptions;

/// What a server does with one connection.
#[derive(Clone)]
enum Serve {
    /// Answers each request with the next of these texts; closes after the last one.
    Answers(Vec<Vec<u8>>),
    /// As before, but keeps the connection open and silent after the last one.
    ThenSilence(Vec<Vec<u8>>),
    /// Sends this once, then that for ever.
    Endless(Vec<u8>, Vec<u8>),
    /// Sends a text byte by byte, with a pause after each.
    Slowly(Vec<u8>),
}

struct Server {
    authority: String,
    connections: Arc<AtomicUsize>,
    /// What was received, over all connections.
    received: Arc<parking::Text>,
}

/// A text that grows.
mod parking {
    use std::sync::Mutex;

    #[derive(Default)]
    pub(super) struct Text(Mutex<String>);

    impl Text {
        pub(super) fn push(&self, text: &str) {
            self.0.lock().unwrap().push_str(text);
        }

        pub(super) fn get(&self) -> String {
            self.0.lock().unwrap().clone()
        }
    }
}

/// A server whose n-th connection is served by the n-th script; the last one serves the rest too.
async fn serve(scripts: Vec<Serve>) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let authority = listener.local_addr().unwrap().to_string();
    let connections = Arc::new(AtomicUsize::new(0));
    let received = Arc::new(parking::Text::default());
    let server = Server {
        authority,
        connections: Arc::clone(&connections),
        received: Arc::clone(&received),
    };
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let index = connections.fetch_add(1, Ordering::SeqCst);
            let script = scripts[index.min(scripts.len() - 1)].clone();
            tokio::spawn(run(stream, script, Arc::clone(&received)));
        }
    });
    server
}

async fn run(mut stream: TcpStream, script: Serve, received: Arc<parking::Text>) {
    let (answers, silence) = match script {
        Serve::Answers(answers) => (answers, false),
        Serve::ThenSilence(answers) => (answers, true),
        Serve::Endless(first, again) => {
            read_request(&mut stream, &received).await;
            let _ = stream.write_all(&first).await;
            while stream.write_all(&again).await.is_ok() {}
            return;
        }
        Serve::Slowly(text) => {
            read_request(&mut stream, &received).await;
            for byte in text {
                if stream.write_all(&[byte]).await.is_err() {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            return;
        }
    };
    for answer in answers {
        read_request(&mut stream, &received).await;
        let _ = stream.write_all(&answer).await;
    }
    if silence {
        let _ = stream.read_u8().await;
    }
}

async fn read_request(stream: &mut TcpStream, received: &parking::Text) {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => request.push(byte),
            Err(_) => return,
        }
    }
    received.push(&String::from_utf8(request).unwrap());
}

fn answer(head: &str, body: &[u8]) -> Vec<u8> {
    let mut bytes =
        format!("HTTP/1.1 {head}\r\nContent-Length: {}\r\n\r\n", body.len()).into_bytes();
    bytes.extend_from_slice(body);
    bytes
}

fn ok(body: &[u8]) -> Vec<u8> {
    answer("200 OK\r\nContent-Type: text/plain", body)
}

fn gzip(body: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(body).unwrap();
    encoder.finish().unwrap()
}

fn gzipped(packed: &[u8]) -> Vec<u8> {
    answer("200 OK\r\nContent-Encoding: gzip", packed)
}

fn options() -> RequestOptions {
    RequestOptions {
        headers: Vec::new(),
        accept_gzip: true,
        timeout: Duration::from_secs(5),
        body_bytes_max: 0,
        follow_redirects: true,
    }
}

fn request(server: &Server, options: RequestOptions) -> Request {
    Request::get(&format!("http://{}/metrics", server.authority), options).unwrap()
}

/// The body of one answer, or the error's text with `HOST` for the server's address.
async fn get_with(server: &Server, options: RequestOptions) -> Result<Vec<u8>, String> {
    let mut body = b"before".to_vec();
    match Connection::new()
        .get(&request(server, options), &mut body)
        .await
    {
        Ok(_) => Ok(body),
        Err(error) => {
            assert!(body.is_empty());
            Err(error.to_string().replace(&server.authority, "HOST"))
        }
    }
}

async fn get_from(script: Serve) -> Result<Vec<u8>, String> {
    get_with(&serve(vec![script]).await, options()).await
}

async fn get_once(answer: Vec<u8>) -> Result<Vec<u8>, String> {
    get_from(Serve::Answers(vec![answer])).await
}

#[tokio::test]
async fn sends_what_it_should() {
    let server = serve(vec![Serve::Answers(vec![ok(b"a 1\n")])]).await;
    let mut with_headers = options();
    with_headers.headers = vec![(http::header::ACCEPT, HeaderValue::from_static("text/plain"))];
    let request = Request::get(
        &format!("http://{}/metrics?x=y#z", server.authority),
        with_headers,
    )
    .unwrap();
    let mut body = Vec::new();
    let response = Connection::new().get(&request, &mut body).await.unwrap();
    assert_eq!(response.content_type(), "text/plain");
    assert_eq!(body, b"a 1\n");
    assert_eq!(
        server.received.get(),
        format!(
            "GET /metrics?x=y HTTP/1.1\r\naccept: text/plain\r\naccept-encoding: gzip\r\n\
             host: {}\r\n\r\n",
            server.authority
        )
    );
}

#[tokio::test]
async fn reads_bodies_of_every_framing() {
    assert_eq!(get_once(ok(b"")).await, Ok(vec![]));
    let chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\
                    3\r\nabc\r\n2;x=y\r\nde\r\n0\r\nTrailer: x\r\n\r\n";
    assert_eq!(get_once(chunked.to_vec()).await, Ok(b"abcde".to_vec()));
    let until_close = b"HTTP/1.0 200 OK\r\n\r\nabc";
    assert_eq!(get_once(until_close.to_vec()).await, Ok(b"abc".to_vec()));
    let informed = [
        &b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"[..],
        &ok(b"a"),
    ]
    .concat();
    assert_eq!(get_once(informed).await, Ok(b"a".to_vec()));
    let large = vec![b'x'; 3_000_000];
    assert_eq!(get_once(ok(&large)).await, Ok(large));
}

#[tokio::test]
async fn unpacks_gzip() {
    let page: Vec<u8> = (0..200_000u32)
        .flat_map(|n| (n * 7).to_le_bytes())
        .collect();
    let packed = gzip(&page);
    assert_eq!(get_once(gzipped(&packed)).await, Ok(page));
    let members = [gzip(b"abc"), gzip(b""), gzip(b"de")].concat();
    assert_eq!(get_once(gzipped(&members)).await, Ok(b"abcde".to_vec()));

    let packed = gzip(b"some text to pack");
    let mut wrong_sum = packed.clone();
    let at = wrong_sum.len() - 8;
    wrong_sum[at] ^= 1;
    let mut wrong_inside = packed.clone();
    wrong_inside[10] = 0xff;
    for (body, want) in [
        (&b""[..], "EOF"),
        (b"plain text", "gzip: invalid header"),
        (&packed[..5], "unexpected EOF"),
        (&packed[..packed.len() - 9], "unexpected EOF"),
        (&packed[..packed.len() - 1], "unexpected EOF"),
        (&wrong_sum, "gzip: invalid checksum"),
        (&[&packed[..], b"rest"].concat(), "gzip: invalid header"),
    ] {
        assert_eq!(get_once(gzipped(body)).await, Err(want.to_owned()));
    }
    let error = get_once(gzipped(&wrong_inside)).await.unwrap_err();
    assert!(
        error.starts_with("flate: corrupt input before offset "),
        "{error}"
    );
}

/// The trap: the limit counts unpacked bytes, and a body of just that size is too large.
#[tokio::test]
async fn bodies_have_a_bound() {
    let bounded = || RequestOptions {
        body_bytes_max: 1_000,
        ..options()
    };
    let refused = Err("body size limit exceeded".to_owned());
    for (size, want) in [(999, Ok(vec![b'x'; 999])), (1_000, refused.clone())] {
        let page = vec![b'x'; size];
        let server = serve(vec![Serve::Answers(vec![ok(&page)])]).await;
        assert_eq!(get_with(&server, bounded()).await, want);
        let server = serve(vec![Serve::Answers(vec![gzipped(&gzip(&page))])]).await;
        assert_eq!(get_with(&server, bounded()).await, want);
    }
    let head = b"HTTP/1.1 200 OK\r\n\r\n".to_vec();
    let endless = serve(vec![Serve::Endless(head, b"some text".to_vec())]).await;
    assert_eq!(get_with(&endless, bounded()).await, refused);
    // A bomb, and packed bytes that unpack to nothing for ever.
    let bomb = serve(vec![Serve::Answers(vec![gzipped(&gzip(&vec![
        0;
        1 << 24
    ]))])])
    .await;
    assert_eq!(get_with(&bomb, bounded()).await, refused);
    let head = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n".to_vec();
    let nothing = serve(vec![Serve::Endless(head, gzip(b""))]).await;
    assert_eq!(get_with(&nothing, bounded()).await, refused);
}

#[tokio::test]
async fn says_what_the_server_says() {
    for (head, want) in [
        ("404 Not Found", "server returned HTTP status 404 Not Found"),
        (
            "500 Went Wrong",
            "server returned HTTP status 500 Went Wrong",
        ),
        (
            "204 No Content",
            "server returned HTTP status 204 No Content",
        ),
        ("302 Found", "server returned HTTP status 302 Found"),
        ("599 ", "server returned HTTP status 599"),
    ] {
        assert_eq!(get_once(answer(head, b"")).await, Err(want.to_owned()));
    }
}

#[tokio::test]
async fn broken_servers() {
    let get = |text: &'static str| get_once(text.as_bytes().to_vec());
    let no_answer = |reason: &str| Err(format!("Get \"http://HOST/metrics\": {reason}"));
    let malformed =
        no_answer("net/http: HTTP/1.x transport connection broken: malformed HTTP response");
    assert_eq!(get("").await, no_answer("EOF"));
    assert_eq!(get("HTTP/1.1 200 OK\r\nA: b").await, no_answer("EOF"));
    assert_eq!(get("SSH-2.0-OpenSSH_9.2\r\n").await, malformed);
    assert_eq!(get("HTTP/1.1 abc OK\r\n\r\n").await, malformed);
    let cut = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc";
    assert_eq!(get(cut).await, Err("unexpected EOF".to_owned()));
    let cut = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabc";
    assert_eq!(get(cut).await, Err("unexpected EOF".to_owned()));
    let wrong = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\nabc\r\n";
    let error = get(wrong).await.unwrap_err();
    assert!(error.starts_with("malformed chunked encoding"), "{error}");
    // More than was said is not part of the body.
    let more = "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nabc";
    assert_eq!(get(more).await, Ok(b"a".to_vec()));

    let endless = Serve::Endless(b"HTTP/1.1 200 OK\r\n".to_vec(), b"A: bcdefgh\r\n".to_vec());
    let too_large = no_answer("net/http: server response headers exceeded 32768 bytes; aborted");
    assert_eq!(get_from(endless).await, too_large);
    let long = Serve::Endless(b"HTTP/1.1 200 OK\r\nA: ".to_vec(), b"bcdefgh".to_vec());
    assert_eq!(get_from(long).await, too_large);
}

#[tokio::test]
async fn the_time_bounds_all_of_it() {
    let short = || RequestOptions {
        timeout: Duration::from_millis(100),
        ..options()
    };
    let in_head = Err("Get \"http://HOST/metrics\": context deadline exceeded".to_owned());
    let in_body = Err("context deadline exceeded".to_owned());
    let slow = "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabcdefghi";
    for (script, want) in [
        (Serve::ThenSilence(vec![vec![]]), &in_head),
        (Serve::Slowly(slow.as_bytes().to_vec()), &in_head),
        (
            Serve::ThenSilence(vec![slow.as_bytes()[..slow.len() - 1].to_vec()]),
            &in_body,
        ),
        (
            Serve::Endless(
                b"HTTP/1.1 100 Continue\r\n\r\n".to_vec(),
                b"HTTP/1.1 100 Continue\r\n\r\n".to_vec(),
            ),
            &in_head,
        ),
    ] {
        let server = serve(vec![script]).await;
        assert_eq!(&get_with(&server, short()).await, want);
    }
}

#[tokio::test]
async fn nobody_listens() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let request = Request::get(&format!("http://{address}/metrics"), options()).unwrap();
    let error = Connection::new()
        .get(&request, &mut Vec::new())
        .await
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "Get \"http://{address}/metrics\": dial tcp {address}: connect: connection refused"
        )
    );
    // Names that end so never exist.
    let request = Request::get("http://nobody.invalid/metrics", options()).unwrap();
    let error = Connection::new()
        .get(&request, &mut Vec::new())
        .await
        .unwrap_err()
        .to_string();
    let start = "Get \"http://nobody.invalid/metrics\": dial tcp: lookup nobody.invalid: ";
    assert!(error.starts_with(start), "{error}");
}

#[tokio::test]
async fn keeps_the_connection_and_the_memory_of_the_body() {
    let page = vec![b'x'; 500_000];
    let packed = gzip(&page);
    let answers = vec![
        ok(&page),
        gzipped(&packed),
        answer("404 Not Found", b"not here"),
        ok(&page),
    ];
    let server = serve(vec![Serve::ThenSilence(answers)]).await;
    let request = request(&server, options());
    let mut connection = Connection::new();
    let mut body = Vec::new();
    connection.get(&request, &mut body).await.unwrap();
    let memory = (body.as_ptr(), body.capacity());
    connection.get(&request, &mut body).await.unwrap();
    assert_eq!(body, page);
    assert!(connection.get(&request, &mut body).await.is_err());
    connection.get(&request, &mut body).await.unwrap();
    assert_eq!(body, page);
    assert_eq!((body.as_ptr(), body.capacity()), memory);
    assert_eq!(server.connections.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn dials_again_when_the_kept_connection_is_gone() {
    // The first connection closes after one answer, the second after it got a request.
    let server = serve(vec![
        Serve::Answers(vec![ok(b"1")]),
        Serve::Answers(vec![ok(b"2"), vec![]]),
        Serve::Answers(vec![ok(b"3")]),
    ])
    .await;
    let request = request(&server, options());
    let mut connection = Connection::new();
    let mut body = Vec::new();
    for want in [b"1", b"2", b"3"] {
        connection.get(&request, &mut body).await.unwrap();
        assert_eq!(body, want);
    }
    assert_eq!(server.connections.load(Ordering::SeqCst), 3);
    // A fresh connection that breaks is not tried again.
    let broken = serve(vec![Serve::Answers(vec![vec![]])]).await;
    let error = get_with(&broken, options()).await.unwrap_err();
    assert_eq!(error, "Get \"http://HOST/metrics\": EOF");
    assert_eq!(broken.connections.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn an_exchange_may_be_dropped() {
    let silent = Serve::ThenSilence(vec![ok(b"1"), vec![]]);
    let server = serve(vec![silent, Serve::Answers(vec![ok(b"2")])]).await;
    let request = request(&server, options());
    let mut connection = Connection::new();
    let mut body = Vec::new();
    connection.get(&request, &mut body).await.unwrap();
    let dropped = tokio::time::timeout(
        Duration::from_millis(30),
        connection.get(&request, &mut body),
    );
    assert!(dropped.await.is_err());
    connection.get(&request, &mut body).await.unwrap();
    assert_eq!(body, b"2");
}

fn redirect(status: &str, to: &str) -> Vec<u8> {
    answer(&format!("{status}\r\nLocation: {to}"), b"moved")
}

#[tokio::test]
async fn follows_redirects() {
    let other = serve(vec![Serve::Answers(vec![ok(b"there")])]).await;
    let server = serve(vec![Serve::Answers(vec![
        redirect("301 Moved Permanently", "b?c"),
        redirect(
            "308 Permanent Redirect",
            &format!("http://{}/x", other.authority),
        ),
    ])])
    .await;
    let mut with_secret = options();
    with_secret.headers = vec![(AUTHORIZATION, HeaderValue::from_static("secret"))];
    assert_eq!(get_with(&server, with_secret).await, Ok(b"there".to_vec()));
    assert_eq!(server.connections.load(Ordering::SeqCst), 1);
    assert!(server.received.get().contains("GET /b?c HTTP/1.1"));
    assert!(other.received.get().contains("GET /x HTTP/1.1"));
    // Both are the same host here, by different ports.
    assert!(other.received.get().contains("secret"));
}

#[test]
fn secrets_go_to_no_other_host() {
    let mut hop = Hop {
        url: Url::parse("http://one/x").unwrap(),
        headers: HeaderMap::new(),
    };
    for name in [AUTHORIZATION, COOKIE, LOCATION] {
        hop.headers.insert(name, HeaderValue::from_static("secret"));
    }
    hop.redirect("/y").unwrap();
    assert_eq!(hop.headers.len(), 3);
    hop.redirect("http://two/y").unwrap();
    assert_eq!(hop.headers.len(), 1);
}

#[tokio::test]
async fn redirects_end() {
    let found = redirect("302 Found", "/loop");
    let looping = || Serve::Answers(vec![found.clone(); 20]);
    let server = serve(vec![looping()]).await;
    assert_eq!(
        get_with(&server, options()).await,
        Err("Get \"/loop\": stopped after 10 redirects".to_owned())
    );
    assert_eq!(server.received.get().matches("GET").count(), 10);
    let server = serve(vec![looping()]).await;
    let stay = RequestOptions {
        follow_redirects: false,
        ..options()
    };
    assert_eq!(
        get_with(&server, stay).await,
        Err("server returned HTTP status 302 Found".to_owned())
    );
    let to_tls = redirect("302 Found", "https://example.org/");
    assert_eq!(
        get_once(to_tls).await,
        Err("Get \"https://example.org/\": TLS is not supported yet".to_owned())
    );
}
