use super::*;

const HELLO: &str = r#"{"protocolVersion":"2024-11-05","capabilities":{}}"#;

/// Opens a connection; gives its stream and the URL to post to.
async fn connect(edge: &Edge) -> (Body, String) {
    let answer = edge.open("GET", "/sse", &[], "").await;
    assert_eq!(answer.status(), 200);
    let mut body = answer.into_body();
    let endpoint = event(&mut body).await.unwrap();
    let url = endpoint.strip_prefix("event: endpoint\ndata: ").unwrap();
    (body, url.trim_end().to_owned())
}

async fn post(edge: &Edge, url: &str, body: &str) -> Answer {
    edge.send("POST", url, &[("accept", "")], body).await
}

#[tokio::test]
async fn r1_2024_11_05_over_http_sse() {
    let edge = Edge::new();
    let (mut stream, url) = connect(&edge).await;
    let answer = post(&edge, &url, &request("1", "tools/list", "{}")).await;
    assert_eq!((answer.status.as_u16(), &*answer.text), (202, ""));
    assert!(
        event(&mut stream).await.unwrap().contains("-32600"),
        "initialize comes first"
    );
    assert_eq!(
        post(&edge, &url, &request("1", "initialize", HELLO))
            .await
            .status,
        202
    );
    let hello = event(&mut stream).await.unwrap();
    assert!(
        hello.contains(r#""protocolVersion":"2024-11-05""#),
        "{hello}"
    );
    post(&edge, &url, &call("2", "echo")).await;
    assert!(
        event(&mut stream)
            .await
            .unwrap()
            .contains(r#""id":2,"result""#)
    );
    edge.mock.tools_changed();
    assert!(
        event(&mut stream)
            .await
            .unwrap()
            .contains("tools/list_changed")
    );
    assert_eq!(post(&edge, &url, "{").await.code(), -32700);
    assert_eq!(post(&edge, &url, "[]").await.code(), -32600);
}

#[tokio::test]
async fn a_posting_url_dies_with_its_connection_and_cannot_be_guessed() {
    let edge = Edge::new();
    let (stream, url) = connect(&edge).await;
    let (_other, second) = connect(&edge).await;
    assert_ne!(url, second);
    post(&edge, &url, &request("1", "initialize", HELLO)).await;
    post(&edge, &url, &call("2", "hang")).await;
    edge.mock.hanging().await;
    for forged in [
        "/sse/messages",
        "/sse/messages?session_id=",
        "/sse/messages?session_id=AAAA",
    ] {
        assert_eq!(post(&edge, forged, "{}").await.status, 404);
    }
    drop(stream);
    assert_eq!(post(&edge, &url, &call("3", "echo")).await.status, 404);
    until(|| edge.mock.dropped() > 0).await;
}

#[tokio::test]
async fn f38_when_the_router_drains_calls_in_flight_get_their_answer_first() {
    let edge = Edge::new();
    tokio::time::pause();
    let (mut stream, url) = connect(&edge).await;
    post(&edge, &url, &request("1", "initialize", HELLO)).await;
    post(&edge, &url, &call("2", "later")).await;
    assert!(event(&mut stream).await.unwrap().contains(r#""id":1"#));
    edge.mock.drain();
    assert!(
        event(&mut stream)
            .await
            .unwrap()
            .contains(r#""id":2,"result""#)
    );
    assert_eq!(event(&mut stream).await, None);
}
