use std::time::Duration;

use futures::stream;
use http_body::Frame;
use http_body_util::StreamBody;
use tokio::sync::mpsc;

use super::*;

fn limited(limits: HttpLimits) -> Edge {
    Edge::with(HttpParams {
        limits,
        ..HttpParams::default()
    })
}

use crate::server::params::HttpLimits;

/// Posts a body of chunks.
async fn post<S>(edge: &Edge, body: S) -> Answer
where
    S: futures::Stream<Item = Result<Frame<Bytes>, std::io::Error>> + Send + 'static,
{
    let request = Request::post("/mcp")
        .header("host", "localhost")
        .header("content-type", "application/json")
        .body(StreamBody::new(body))
        .unwrap();
    read(edge.http.clone().oneshot(request).await.unwrap()).await
}

#[tokio::test]
async fn b10_r54_too_large_is_413_declared_or_chunked_and_nothing_more_is_read() {
    let edge = limited(HttpLimits {
        body: 1000,
        ..HttpLimits::default()
    });
    let declared = edge.post(&[], &"x".repeat(1001)).await;
    assert_eq!(declared.status, 413);
    assert_eq!(declared.headers["connection"], "close");
    let (pulled, mut pulls) = mpsc::unbounded_channel();
    let endless = stream::repeat_with(move || {
        let _ = pulled.send(());
        Ok(Frame::data(Bytes::from_static(&[b' '; 100])))
    });
    assert_eq!(post(&edge, endless).await.status, 413);
    let mut count = 0;
    while pulls.try_recv().is_ok() {
        count += 1;
    }
    assert_eq!(count, 11);
    assert_eq!(
        edge.post(&[], &" ".repeat(1000)).await.code(),
        -32700,
        "the limit itself is fine"
    );
}

#[tokio::test]
async fn a_body_in_pieces_is_the_same_body() {
    let edge = Edge::new();
    let text = request(
        "1",
        "initialize",
        r#"{"protocolVersion":"2025-11-25","capabilities":{}}"#,
    );
    for size in [1, 7, 1000] {
        let pieces: Vec<_> = text
            .as_bytes()
            .chunks(size)
            .map(|c| Ok(Frame::data(Bytes::copy_from_slice(c))))
            .collect();
        assert_eq!(
            post(&edge, stream::iter(pieces)).await.status,
            200,
            "{size}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn b11_a_body_that_does_not_come_is_408_after_30_s() {
    let edge = Edge::new();
    let start = tokio::time::Instant::now();
    let some = stream::iter([Ok(Frame::data(Bytes::from_static(b"{")))]);
    let answer = post(&edge, futures::StreamExt::chain(some, stream::pending())).await;
    assert_eq!(answer.status, 408);
    assert_eq!(start.elapsed(), Duration::from_secs(30));
    assert!(edge.mock.seen.lock().unwrap().is_empty());
}

#[tokio::test]
async fn b12_a_body_that_breaks_off_is_400_and_reaches_nobody() {
    let edge = Edge::new();
    let text = Frame::data(Bytes::from(request("1", "ping", "{}")));
    let broken = stream::iter([Ok(text), Err(std::io::ErrorKind::ConnectionReset.into())]);
    assert_eq!(post(&edge, broken).await.status, 400);
}

#[tokio::test]
async fn a_full_router_says_so_before_it_reads() {
    let edge = limited(HttpLimits {
        in_flight: 1,
        ..HttpLimits::default()
    });
    let id = edge.session("2025-11-25", "{}").await;
    let h = [(SESSION, &*id)];
    let body = call("1", "hang");
    let probe = async {
        edge.mock.hanging().await;
        let unread = stream::poll_fn(|_| panic!("it must not be read"));
        post(&edge, unread).await
    };
    let full = tokio::select! {
        _ = edge.post(&h, &body) => panic!("it hangs"),
        full = probe => full,
    };
    assert_eq!(full.status, 503);
    assert_eq!(full.headers["retry-after"], "1");
}

#[tokio::test]
async fn r54_bodies_share_one_budget_and_give_it_back() {
    let edge = limited(HttpLimits {
        buffered: 64 << 10,
        ..HttpLimits::default()
    });
    let id = edge.session("2025-11-25", "{}").await;
    let h = [(SESSION, &*id)];
    let large = format!(
        r#"{{"jsonrpc":"2.0","id":1,"method":"ping","params":{{"x":"{}"}}}}"#,
        "y".repeat(48 << 10)
    );
    for _ in 0..3 {
        assert_eq!(edge.post(&h, &large).await.status, 200);
    }
    assert_eq!(edge.post(&h, &"x".repeat(80 << 10)).await.status, 503);
    assert_eq!(edge.post(&h, &large).await.status, 200);
}
