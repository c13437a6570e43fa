//! What becomes of connections, against a server that writes byte by byte what a test says.

use std::collections::VecDeque;
use std::sync::Mutex;

use bytes::Bytes;
use futures::FutureExt;
use futures::future::BoxFuture;
use http_body_util::{BodyExt, Full};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::time::{Instant, advance};

use super::*;
use crate::client::http::{ByteStream, Dial};

const HELLO: &str = "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello";

/// The far ends of connections that are still to be made.
#[derive(Debug, Default)]
struct Made(Mutex<VecDeque<DuplexStream>>);

impl Dial for Made {
    fn connect(&self, _: &str, _: u16) -> BoxFuture<'static, io::Result<Box<dyn ByteStream>>> {
        let next = self.0.lock().unwrap().pop_front();
        let next = next.ok_or(io::ErrorKind::ConnectionRefused);
        async { Ok(Box::new(next?) as Box<dyn ByteStream>) }.boxed()
    }
}

/// A wire that can make so many connections, and their servers.
fn wire<const N: usize>() -> (Arc<Wire>, Uri, [Server; N]) {
    let made = Arc::new(Made::default());
    let servers = std::array::from_fn(|_| {
        let (near, far) = duplex(64 << 10);
        made.0.lock().unwrap().push_back(near);
        Server(far)
    });
    let name = "fake".parse().unwrap();
    let mut params = HttpBackendParams::new(name, "http://fake:8/mcp").unwrap();
    params.dial = Some(made);
    params.idle_timeout = Duration::from_secs(4);
    (Arc::new(Wire::new(&params)), params.url, servers)
}

struct Server(DuplexStream);

impl Server {
    /// The next request, without a body.
    async fn asked(&mut self) -> String {
        let mut heard = Vec::new();
        while !heard.ends_with(b"\r\n\r\n") {
            let read = self.0.read_buf(&mut heard).await.unwrap();
            assert_ne!(read, 0, "closed after {heard:?}");
        }
        String::from_utf8(heard).unwrap()
    }

    async fn says(&mut self, text: &str) {
        self.0.write_all(text.as_bytes()).await.unwrap();
    }

    /// Waits until the other side has closed the connection.
    async fn closed(&mut self) {
        assert_eq!(self.0.read(&mut [0]).await.unwrap(), 0);
    }
}

async fn get(wire: &Wire, url: &Uri) -> Result<Reply, CallError> {
    let headers = wire.headers(HeaderMap::new());
    wire.send(Method::GET, url, headers, Rope::default(), None)
        .await
}

/// One request that is answered with a greeting.
async fn greeted(wire: &Wire, url: &Uri, server: &mut Server) {
    let serve = async {
        server.asked().await;
        server.says(HELLO).await;
    };
    let (reply, ()) = tokio::join!(get(wire, url), serve);
    let body = reply.unwrap().into_body().collect().await.unwrap();
    assert_eq!(body.to_bytes(), "hello");
}

#[tokio::test(start_paused = true)]
async fn requests_name_path_and_host_and_follow_each_other_on_one_connection() {
    let (wire, url, [mut one]) = wire();
    let asking = get(&wire, &url);
    let serve = async {
        let asked = one.asked().await;
        assert!(asked.starts_with("GET /mcp HTTP/1.1\r\n"), "{asked}");
        assert!(asked.contains("\r\nhost: fake:8\r\n"), "{asked}");
        one.says(HELLO).await;
    };
    let (reply, ()) = tokio::join!(asking, serve);
    drop(reply.unwrap().into_body().collect().await.unwrap());
    greeted(&wire, &url, &mut one).await;
}

#[tokio::test(start_paused = true)]
async fn r43_a_request_that_finds_its_connection_closed_is_written_once_over_another() {
    let (wire, url, [mut one, mut two]) = wire();
    greeted(&wire, &url, &mut one).await;
    drop(one);
    greeted(&wire, &url, &mut two).await;
    drop(two);
    // The third connection cannot be made, and the request was not written anywhere.
    let error = get(&wire, &url).await.unwrap_err();
    assert_eq!(
        (error.reason, error.sent),
        (Reason::ConnectFailed, Sent::No)
    );
}

#[tokio::test(start_paused = true)]
async fn r44_a_request_whose_connection_ends_before_the_answer_may_have_run() {
    let (wire, url, [mut one, mut two]) = wire();
    greeted(&wire, &url, &mut one).await;
    let serve = async {
        one.asked().await;
        drop(one);
    };
    let (reply, ()) = tokio::join!(get(&wire, &url), serve);
    let error = reply.unwrap_err();
    assert_eq!(
        (error.reason, error.sent),
        (Reason::BackendLost, Sent::Unknown)
    );
    greeted(&wire, &url, &mut two).await;
}

#[tokio::test(start_paused = true)]
async fn f20_an_idle_connection_is_closed_in_time_though_nobody_calls() {
    let (wire, url, [mut one, mut two]) = wire();
    greeted(&wire, &url, &mut one).await;
    let start = Instant::now();
    one.closed().await;
    assert!(start.elapsed() <= Duration::from_secs(8));
    greeted(&wire, &url, &mut two).await;
    advance(Duration::from_millis(3999)).await;
    greeted(&wire, &url, &mut two).await;
    advance(Duration::from_millis(4000)).await;
    assert!(get(&wire, &url).await.is_err(), "it is too old");
}

#[tokio::test(start_paused = true)]
async fn f34_a_call_that_is_given_up_closes_its_connection() {
    let (wire, url, [mut one, mut two]) = wire();
    let mut call = Box::pin(get(&wire, &url));
    tokio::select! {
        _ = &mut call => panic!("nobody answers"),
        _ = one.asked() => drop(call),
    }
    one.closed().await;
    // Nor is one kept of which the response was not read to its end.
    let serve = async {
        two.asked().await;
        two.says(&HELLO[..HELLO.len() - 1]).await;
    };
    let (reply, ()) = tokio::join!(get(&wire, &url), serve);
    drop(reply);
    two.closed().await;
}

#[tokio::test(start_paused = true)]
async fn a_response_that_is_left_alone_once_it_is_all_there_costs_no_connection() {
    let (wire, url, [mut one]) = wire();
    let serve = async {
        one.asked().await;
        let head = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
        one.says(&format!("{head}5\r\nhello\r\n0\r\n\r\n")).await;
    };
    let (reply, ()) = tokio::join!(get(&wire, &url), serve);
    let mut body = reply.unwrap().into_body();
    let first = body.frame().await.unwrap().unwrap();
    assert_eq!(first.into_data().unwrap(), Bytes::from_static(b"hello"));
    drop(body);
    greeted(&wire, &url, &mut one).await;
}

#[tokio::test(start_paused = true)]
async fn f18_what_was_opened_before_a_renewal_is_used_no_more() {
    let (wire, url, [mut one, mut two, mut three]) = wire();
    greeted(&wire, &url, &mut one).await;
    let serve = async {
        one.asked().await;
        wire.renew();
        one.says(HELLO).await;
    };
    let (reply, ()) = tokio::join!(get(&wire, &url), serve);
    drop(reply.unwrap().into_body().collect().await.unwrap());
    one.closed().await;
    greeted(&wire, &url, &mut two).await;
    wire.renew();
    two.closed().await;
    greeted(&wire, &url, &mut three).await;
}

#[tokio::test(start_paused = true)]
async fn a_body_in_pieces_wakes_whoever_reads_it_now() {
    let (wire, url, [mut one]) = wire();
    let serve = async {
        one.asked().await;
        one.says("HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\n")
            .await;
    };
    let (reply, ()) = tokio::join!(get(&wire, &url), serve);
    let mut body = reply.unwrap().into_body();
    // Asked for in one task, and read in another.
    assert!(body.frame().now_or_never().is_none());
    let reading = tokio::spawn(async move { body.collect().await.unwrap().to_bytes() });
    for piece in ["ab", "cd", "ef"] {
        tokio::task::yield_now().await;
        one.says(piece).await;
    }
    assert_eq!(reading.await.unwrap(), "abcdef");
}

#[tokio::test]
async fn f8_a_shared_connection_serves_everybody_until_nonsense_comes_on_it() {
    let (wire, url, []) = wire();
    let (near, far) = duplex(64 << 10);
    let serve = service_fn(|request: Request<Incoming>| async move {
        let told = format!("{} {}", request.uri(), request.headers().len());
        Ok::<_, std::convert::Infallible>(Response::new(Full::<Bytes>::from(told)))
    });
    let server = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
    tokio::spawn(server.serve_connection(TokioIo::new(far), serve));
    let client = http2::Builder::new(TokioExecutor::new());
    let (shared, connection) = client.handshake(TokioIo::new(near)).await.unwrap();
    tokio::spawn(connection);
    wire.idle.load().clone().share(shared);
    let told = async || get(&wire, &url).await.unwrap().into_body().collect().await;
    let (one, two) = tokio::join!(told(), told());
    for told in [one, two] {
        // The host is in the URL; beside it there is who we are.
        assert_eq!(told.unwrap().to_bytes(), "http://fake:8/mcp 1");
    }
    get(&wire, &url).await.unwrap().body_mut().poison();
    let error = get(&wire, &url).await.unwrap_err();
    assert_eq!(error.reason, Reason::ConnectFailed);
}
