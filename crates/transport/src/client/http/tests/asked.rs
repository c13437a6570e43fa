//! Servers that ask, and where their questions and answers come.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use mcp_router_protocol::RawJson;
use mcp_router_service::{ClientProfile, McpResponse};

use super::fake::*;
use super::streams::sse_backend;
use super::*;

fn from(capabilities: &'static str) -> McpRequest {
    let mut request = tool();
    request.context.client = Arc::new(ClientProfile {
        info: None,
        capabilities: Some(RawJson::from_static(capabilities)),
        takes_input_required: true,
        ..ClientProfile::default()
    });
    request
}

/// A tool that asks for sampling, and then gives `result` whatever it is told.
fn asks_then(result: &'static str) -> impl Fn(&Seen) -> Reply + Send + Sync + 'static {
    legacy(move |seen| {
        let ask = r#"{"jsonrpc":"2.0","id":"q","method":"sampling/createMessage","params":{}}"#;
        stream(&[event(ask), event(&seen.result(result))])
    })
}

#[tokio::test]
async fn r35_a_call_that_fails_for_want_of_a_capability_names_it_to_a_modern_client() {
    let fake = Fake::start(asks_then(r#"{"content":[],"isError":true}"#)).await;
    let Ok(Outcome::Error(error)) = answered(&edge(&fake), from("{}")).await else {
        panic!("expected an error");
    };
    assert_eq!(error.code(), -32021);
    let data = error.data().unwrap();
    assert_eq!(data.as_str(), r#"{"requiredCapabilities":{"sampling":{}}}"#);
    let refused = within(fake.until(|s| s.body["id"] == "q")).await;
    assert_eq!(refused.body["error"]["code"], -32601);
}

#[tokio::test]
async fn r35_a_backend_that_does_without_the_answer_has_done_its_work() {
    let fake = Fake::start(asks_then(r#"{"content":[]}"#)).await;
    let outcome = answered(&edge(&fake), from("{}")).await;
    assert!(matches!(outcome, Ok(Outcome::Complete(_))), "{outcome:?}");
}

#[tokio::test]
async fn r35_the_stream_for_questions_is_open_before_the_first_call() {
    let inner = legacy(|seen| json(seen.result(r#"{"said":"done"}"#)));
    let streams: Mutex<Vec<_>> = Mutex::default();
    let fake = Fake::start(move |seen| {
        if seen.method == "GET" {
            let (stream, reply) = open_stream();
            streams.lock().unwrap().push(stream);
            return reply;
        }
        inner(seen)
    });
    let fake = fake.await;
    let outcome = answered(&edge(&fake), from(r#"{"elicitation":{}}"#)).await;
    assert!(matches!(outcome, Ok(Outcome::Complete(_))));
    let order: Vec<_> = fake
        .seen()
        .into_iter()
        .filter(|s| s.header("mcp-session-id") == "s1")
        .map(|s| s.method.to_string() + s.rpc())
        .filter(|what| what == "GET" || what == "POSTtools/call")
        .collect();
    assert_eq!(order, ["GET", "POSTtools/call"]);
}

#[tokio::test]
async fn r48_an_answer_on_the_sessions_own_stream_ends_the_call() {
    let (own, reply) = open_stream();
    let standing = Mutex::new(Some(reply));
    let posts: Mutex<Vec<_>> = Mutex::default();
    let inner = legacy(move |_| {
        let (post, reply) = open_stream();
        post.send(": nothing yet\n\n".to_owned()).unwrap();
        posts.lock().unwrap().push(post);
        reply
    });
    let fake = Fake::start(move |seen| {
        if seen.method == "GET" && seen.header("mcp-session-id") == "s1" {
            return standing.lock().unwrap().take().unwrap();
        }
        inner(seen)
    });
    let fake = fake.await;
    let edge = edge(&fake);
    let call = tokio::spawn(edge.service.clone().oneshot(from(r#"{"roots":{}}"#)));
    let seen = within(fake.until(|s| s.rpc() == "tools/call")).await;
    own.send(event(&seen.result(r#"{"said":"elsewhere"}"#)))
        .unwrap();
    let answer = within(call).await.unwrap().unwrap();
    let McpResponse::Ready(Outcome::Complete(result)) = answer else {
        panic!("{answer:?}");
    };
    assert_eq!(result.get_str("said").unwrap(), "elsewhere");
}

#[tokio::test]
async fn r37_a_call_that_waits_holds_up_no_other_that_cannot_be_told_from_it() {
    let inner = sse_backend("/messages");
    let first = AtomicBool::new(true);
    let fake = Fake::start(move |seen| match seen.rpc() {
        "tools/call" if first.swap(false, Ordering::Relaxed) => status(202),
        _ => inner(seen),
    });
    let fake = fake.await;
    let edge = http(params(&format!("{}/sse", fake.url)));
    let able = r#"{"roots":{}}"#;
    let waiting = tokio::spawn(edge.service.clone().oneshot(from(able)));
    within(fake.until(|s| s.rpc() == "tools/call")).await;
    let Ok(Outcome::Complete(result)) = answered(&edge, from(able)).await else {
        panic!("expected a result");
    };
    assert_eq!(result.get_str("said").unwrap(), "over sse");
    // The router's own, that of the call that waits, and one more.
    let streams = fake.seen().iter().filter(|s| s.method == "GET").count();
    assert_eq!(streams, 3);
    waiting.abort();
}
