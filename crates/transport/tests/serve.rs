//! The accept loop over real sockets: what hostile, slow and silent peers get, and an orderly end.
#![expect(
    clippy::unwrap_used,
    reason = "in helpers of tests, failing is the point"
)]

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use mcp_router_protocol::{Method, RawJson};
use mcp_router_service::{CallError, McpRequest, McpResponse, McpService};
use mcp_router_transport::server::{HttpParams, HttpTimes, ServeOutcome, ServeParams, http, serve};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

/// Long enough for a busy machine, short enough to notice that something hangs.
const PATIENCE: Duration = Duration::from_secs(10);
/// What the servers under test wait for their peers.
const SHORT: Duration = Duration::from_millis(300);

struct Server {
    address: SocketAddr,
    stop: CancellationToken,
    done: JoinHandle<ServeOutcome>,
    /// Tool calls that reached the router.
    calls: Arc<AtomicUsize>,
    /// A unit for each call of `hang` that began, and for each that was dropped.
    began: mpsc::UnboundedReceiver<()>,
    dropped: mpsc::UnboundedReceiver<()>,
}

struct OnDrop(mpsc::UnboundedSender<()>);

impl Drop for OnDrop {
    fn drop(&mut self) {
        let _ = self.0.send(());
    }
}

impl Server {
    async fn new(serving: ServeParams) -> Self {
        let params = HttpParams {
            times: HttpTimes {
                body: SHORT,
                ..HttpTimes::default()
            },
            ..HttpParams::default()
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let calls = Arc::new(AtomicUsize::new(0));
        let (began, begins) = mpsc::unbounded_channel();
        let (dropped, drops) = mpsc::unbounded_channel();
        let count = calls.clone();
        let router = McpService::new(tower::service_fn(move |request: McpRequest| {
            let (count, began, dropped) = (count.clone(), began.clone(), dropped.clone());
            async move {
                if request.method == Method::ToolsCall {
                    count.fetch_add(1, Ordering::SeqCst);
                }
                tool(&request, &began, dropped).await
            }
        }));
        let stop = CancellationToken::new();
        let service = http(router, params);
        let done = tokio::spawn(serve(listener, service, serving, stop.clone()));
        Self {
            address,
            stop,
            done,
            calls,
            began: begins,
            dropped: drops,
        }
    }

    fn calls(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// Sends bytes on a connection of its own and reads until the server closes it.
    async fn exchange(&self, bytes: &[u8]) -> String {
        let mut stream = self.connect().await;
        stream.write_all(bytes).await.unwrap();
        to_end(&mut stream).await
    }
}

async fn tool(
    request: &McpRequest,
    began: &mpsc::UnboundedSender<()>,
    dropped: mpsc::UnboundedSender<()>,
) -> Result<McpResponse, CallError> {
    match request.params.name().unwrap_or_default().as_str() {
        "panic" => panic!("as the test wants it"),
        "hang" => {
            let _dropped = OnDrop(dropped);
            began.send(()).unwrap();
            std::future::pending().await
        }
        "later" => {
            began.send(()).unwrap();
            tokio::time::sleep(2 * SHORT).await;
            Ok(McpResponse::complete(RawJson::from_static(
                "{\"late\":true}",
            )))
        }
        "large" => {
            let text = format!("{{\"x\":\"{}\"}}", "y".repeat(32 << 20));
            Ok(McpResponse::complete(RawJson::from_checked(text.into())))
        }
        _ => Ok(McpResponse::complete(RawJson::from_static(
            "{\"done\":true}",
        ))),
    }
}

/// Everything until the server closes.
async fn to_end(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    // A reset is an end, too.
    let _ = timeout(PATIENCE, stream.read_to_end(&mut bytes))
        .await
        .expect("the server closes the connection");
    String::from_utf8(bytes).unwrap()
}

/// One answer on a connection that stays open.
async fn answer(stream: &mut TcpStream) -> String {
    let mut text = String::new();
    let mut buffer = [0; 4096];
    loop {
        let read = timeout(PATIENCE, stream.read(&mut buffer)).await;
        let count = read.expect("an answer comes").unwrap();
        assert_ne!(count, 0, "closed after {text:?}");
        text.push_str(std::str::from_utf8(&buffer[..count]).unwrap());
        let Some((head, body)) = text.split_once("\r\n\r\n") else {
            continue;
        };
        let length = head
            .lines()
            .find_map(|l| l.strip_prefix("content-length: "))
            .map_or(0, |l| l.parse().unwrap());
        if body.len() >= length {
            return text;
        }
    }
}

fn body(tool: &str) -> String {
    format!(
        r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"{tool}","_meta":{{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{{}}}}}}}}"#
    )
}

fn head(tool: &str, more: &str) -> String {
    format!(
        "POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
         MCP-Protocol-Version: 2026-07-28\r\nMcp-Method: tools/call\r\nMcp-Name: {tool}\r\n{more}\r\n"
    )
}

fn call(tool: &str) -> String {
    let body = body(tool);
    format!(
        "{}{body}",
        head(tool, &format!("Content-Length: {}\r\n", body.len()))
    )
}

/// A call after which the server closes.
fn last_call(tool: &str) -> String {
    call(tool).replacen("Host:", "Connection: close\r\nHost:", 1)
}

fn quick() -> ServeParams {
    ServeParams {
        header_timeout: SHORT,
        idle_timeout: SHORT,
        write_stall: SHORT,
        ..ServeParams::default()
    }
}

#[tokio::test]
async fn b11_a_body_shorter_than_declared_is_cut_and_reaches_nobody() {
    let server = Server::new(ServeParams::default()).await;
    let short = format!("{}{{\"jsonrpc\"", head("echo", "Content-Length: 1000\r\n"));
    let text = server.exchange(short.as_bytes()).await;
    assert!(text.starts_with("HTTP/1.1 408"), "{text}");
    assert_eq!(server.calls(), 0);
}

#[tokio::test]
async fn b12_ambiguous_framing_yields_at_most_one_request() {
    let server = Server::new(quick()).await;
    let inner = call("echo");
    let text = body("echo");
    let chunk = format!("{:x}\r\n{text}\r\n0\r\n\r\n", text.len());
    let length = format!("Content-Length: {}\r\n", text.len());
    let cases = [
        (
            "length and chunks",
            format!(
                "{}0\r\n\r\n{inner}",
                head(
                    "echo",
                    "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n"
                )
            ),
        ),
        (
            "chunks and length",
            format!(
                "{}{chunk}",
                head(
                    "echo",
                    "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n"
                )
            ),
        ),
        (
            "two lengths",
            format!(
                "{}{text}",
                head("echo", &format!("{length}Content-Length: 3\r\n"))
            ),
        ),
        (
            "a signed length",
            format!("{}{text}", head("echo", "Content-Length: +10\r\n")),
        ),
        (
            "a bad chunk",
            format!(
                "{}zz\r\n{text}\r\n0\r\n\r\n",
                head("echo", "Transfer-Encoding: chunked\r\n")
            ),
        ),
        (
            "a chunk cut short",
            format!(
                "{}ffffffffffffffffff\r\n{text}",
                head("echo", "Transfer-Encoding: chunked\r\n")
            ),
        ),
        (
            "chunked is not last",
            format!(
                "{}{chunk}",
                head("echo", "Transfer-Encoding: chunked, gzip\r\n")
            ),
        ),
        (
            "a folded header",
            format!(
                "{}{text}",
                head("echo", &format!("X-Folded: a\r\n b\r\n{length}"))
            ),
        ),
        (
            "a space before the colon",
            format!(
                "{}{text}",
                head("echo", &format!("Content-Length : 3\r\n{length}"))
            ),
        ),
    ];
    for (what, bytes) in cases {
        let before = server.calls();
        let answers = server.exchange(bytes.as_bytes()).await;
        let reached = server.calls() - before;
        assert!(reached <= 1, "{what}: {reached} requests");
        let said = answers.matches("HTTP/1.1 ").count();
        assert!(said <= 1 + reached, "{what}: {answers}");
        if reached == 0 {
            assert!(answers.starts_with("HTTP/1.1 400"), "{what}: {answers:?}");
        }
    }
    let bare = last_call("echo").replace("\r\n", "\n");
    let before = server.calls();
    server.exchange(bare.as_bytes()).await;
    assert!(server.calls() - before <= 1);
}

#[tokio::test]
async fn b13_large_heads_are_431_and_414() {
    let server = Server::new(quick()).await;
    let head = |line: String| format!("GET /mcp HTTP/1.1\r\nHost: localhost\r\n{line}\r\n\r\n");
    for size in [17 << 10, 33 << 10, 200 << 10] {
        let text = server
            .exchange(head(format!("X: {}", "y".repeat(size))).as_bytes())
            .await;
        assert!(text.starts_with("HTTP/1.1 431"), "{size}: {text}");
    }
    let many: Vec<_> = (0..120).map(|n| format!("X-{n}: 1")).collect();
    let text = server.exchange(head(many.join("\r\n")).as_bytes()).await;
    assert!(text.starts_with("HTTP/1.1 431"), "{text}");
    let long = format!(
        "GET /{} HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "x".repeat(9 << 10)
    );
    let text = server.exchange(long.as_bytes()).await;
    assert!(text.starts_with("HTTP/1.1 414"), "{text}");
}

#[tokio::test]
async fn f36_silent_slow_and_idle_peers_are_cut() {
    let server = Server::new(ServeParams {
        idle_timeout: 2 * SHORT,
        ..quick()
    })
    .await;
    let start = Instant::now();
    assert_eq!(server.exchange(b"").await, "");
    assert!(start.elapsed() >= SHORT);
    // Drips more often than the timeout, and never ends its head.
    let mut slow = server.connect().await;
    let start = Instant::now();
    let (mut reading, mut writing) = slow.split();
    let drip = async {
        for byte in b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Long: xxxxxxxxxxxxx"
            .iter()
            .cycle()
        {
            if writing.write_all(&[*byte]).await.is_err() {
                break;
            }
            tokio::time::sleep(SHORT / 10).await;
        }
        std::future::pending::<()>().await;
    };
    let mut said = Vec::new();
    tokio::select! {
        () = drip => {}
        ended = timeout(PATIENCE, reading.read_to_end(&mut said)) => drop(ended.unwrap()),
    }
    assert!(start.elapsed() < 4 * SHORT, "{:?}", start.elapsed());
    // Idle ones get their own time.
    let mut idle = server.connect().await;
    idle.write_all(call("echo").as_bytes()).await.unwrap();
    answer(&mut idle).await;
    let start = Instant::now();
    assert_eq!(to_end(&mut idle).await, "");
    assert!(start.elapsed() >= 2 * SHORT - SHORT / 10);
}

#[tokio::test]
async fn a_call_may_take_longer_than_any_of_the_peers_times() {
    let server = Server::new(quick()).await;
    let mut stream = server.connect().await;
    for _ in 0..2 {
        stream.write_all(call("later").as_bytes()).await.unwrap();
        assert!(answer(&mut stream).await.contains("late"));
    }
}

#[tokio::test]
async fn f35_a_client_that_does_not_read_is_cut() {
    let server = Server::new(quick()).await;
    let mut stream = server.connect().await;
    stream.write_all(call("large").as_bytes()).await.unwrap();
    // Reading begins when the server has given up: nothing else ends the connection so soon.
    server.stop.cancel();
    let outcome = timeout(PATIENCE, server.done).await.unwrap().unwrap();
    assert_eq!(outcome.cut, 0);
    let mut count = 0;
    let mut buffer = vec![0; 1 << 20];
    while let Ok(read) = timeout(PATIENCE, stream.read(&mut buffer)).await.unwrap() {
        if read == 0 {
            break;
        }
        count += read;
    }
    assert!(count < 32 << 20, "{count} bytes came");
}

#[tokio::test]
async fn b10_a_refusal_is_read_even_while_the_client_still_sends() {
    let server = Server::new(ServeParams::default()).await;
    let size = 12 << 20;
    let mut stream = server.connect().await;
    let head = head("echo", &format!("Content-Length: {size}\r\n"));
    stream.write_all(head.as_bytes()).await.unwrap();
    let chunk = vec![b' '; 1 << 20];
    for _ in 0..12 {
        stream.write_all(&chunk).await.unwrap();
    }
    let text = to_end(&mut stream).await;
    assert!(text.starts_with("HTTP/1.1 413"), "{text}");
    assert!(text.contains("connection: close"));
}

#[tokio::test]
async fn f46_a_panic_costs_its_own_request_alone() {
    let server = Server::new(ServeParams::default()).await;
    let mut stream = server.connect().await;
    stream.write_all(call("panic").as_bytes()).await.unwrap();
    let text = answer(&mut stream).await;
    assert!(text.contains(r#""reason":"internal""#), "{text}");
    stream.write_all(call("echo").as_bytes()).await.unwrap();
    assert!(answer(&mut stream).await.contains("done"));
}

#[tokio::test]
async fn f34_a_modern_client_that_leaves_cancels_its_call() {
    let mut server = Server::new(ServeParams::default()).await;
    let mut stream = server.connect().await;
    stream.write_all(call("hang").as_bytes()).await.unwrap();
    server.began.recv().await.unwrap();
    let start = Instant::now();
    drop(stream);
    timeout(PATIENCE, server.dropped.recv())
        .await
        .unwrap()
        .unwrap();
    assert!(start.elapsed() < Duration::from_millis(250));
}

#[tokio::test]
async fn b38_an_upgrade_is_ignored_and_connect_is_405() {
    let server = Server::new(quick()).await;
    let upgrade = last_call("echo").replacen("Host:", "Upgrade: websocket\r\nHost:", 1);
    let text = server.exchange(upgrade.as_bytes()).await;
    assert!(text.starts_with("HTTP/1.1 200"), "{text}");
    let connect = b"CONNECT localhost:1 HTTP/1.1\r\nHost: localhost:1\r\n\r\n";
    let text = server.exchange(connect).await;
    assert!(text.starts_with("HTTP/1.1 405"), "{text}");
}

#[tokio::test]
async fn connections_beyond_the_limit_wait_for_room() {
    let server = Server::new(ServeParams {
        connections: Some(1),
        ..ServeParams::default()
    })
    .await;
    let mut first = server.connect().await;
    first.write_all(call("echo").as_bytes()).await.unwrap();
    answer(&mut first).await;
    let mut second = server.connect().await;
    second.write_all(call("echo").as_bytes()).await.unwrap();
    assert!(
        timeout(SHORT, second.readable()).await.is_err(),
        "there is no room"
    );
    drop(first);
    assert!(answer(&mut second).await.contains("done"));
}

#[tokio::test]
async fn f36_who_has_brought_no_request_makes_room() {
    let server = Server::new(ServeParams {
        connections: Some(3),
        ..ServeParams::default()
    })
    .await;
    // One of those that were here is a client like any other.
    let mut good = server.connect().await;
    good.write_all(call("echo").as_bytes()).await.unwrap();
    assert!(answer(&mut good).await.starts_with("HTTP/1.1 200"));
    let mut crowd = Vec::new();
    for _ in 0..6 {
        let mut slow = server.connect().await;
        slow.write_all(b"POST /mcp HTTP/1.1\r\nX-Slow: ")
            .await
            .unwrap();
        crowd.push(slow);
    }
    // Long before the heads of the others would be too late.
    let last = server.exchange(last_call("echo").as_bytes()).await;
    assert!(last.starts_with("HTTP/1.1 200"), "{last}");
    assert_eq!(to_end(&mut crowd[0]).await, "");
    good.write_all(call("echo").as_bytes()).await.unwrap();
    assert!(answer(&mut good).await.starts_with("HTTP/1.1 200"));
}

#[tokio::test]
async fn f38_at_the_end_calls_finish_and_idle_connections_close() {
    let mut server = Server::new(ServeParams::default()).await;
    let mut idle = server.connect().await;
    idle.write_all(call("echo").as_bytes()).await.unwrap();
    answer(&mut idle).await;
    let mut busy = server.connect().await;
    busy.write_all(call("later").as_bytes()).await.unwrap();
    server.began.recv().await.unwrap();
    server.stop.cancel();
    // A request that was on its way when the end came is answered, too.
    idle.write_all(call("echo").as_bytes()).await.unwrap();
    assert!(to_end(&mut idle).await.contains("done"));
    let text = to_end(&mut busy).await;
    assert!(
        text.contains("late") && text.contains("connection: close"),
        "{text}"
    );
    let outcome = timeout(PATIENCE, server.done).await.unwrap().unwrap();
    assert_eq!(outcome, ServeOutcome { cut: 0 });
    assert!(TcpStream::connect(server.address).await.is_err());
}

#[tokio::test]
async fn f38_a_call_that_hangs_does_not_hold_the_end_beyond_the_drain_time() {
    let mut server = Server::new(ServeParams {
        drain: SHORT,
        ..ServeParams::default()
    })
    .await;
    let mut stream = server.connect().await;
    stream.write_all(call("hang").as_bytes()).await.unwrap();
    server.began.recv().await.unwrap();
    let start = Instant::now();
    server.stop.cancel();
    let outcome = timeout(PATIENCE, server.done).await.unwrap().unwrap();
    assert_eq!(outcome, ServeOutcome { cut: 1 });
    assert!(start.elapsed() >= SHORT && start.elapsed() < SHORT + PATIENCE / 5);
    timeout(PATIENCE, server.dropped.recv())
        .await
        .unwrap()
        .unwrap();
}

#[tokio::test]
async fn with_nothing_in_flight_the_end_comes_at_once() {
    let server = Server::new(ServeParams::default()).await;
    let mut idle = server.connect().await;
    idle.write_all(call("echo").as_bytes()).await.unwrap();
    answer(&mut idle).await;
    let start = Instant::now();
    server.stop.cancel();
    timeout(PATIENCE, server.done).await.unwrap().unwrap();
    assert!(
        start.elapsed() < Duration::from_secs(1),
        "{:?}",
        start.elapsed()
    );
}
