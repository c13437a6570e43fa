//! Whose upstream session a call uses.

use std::sync::Arc;

use mcp_router_protocol::RawJson;
use mcp_router_service::{ClientProfile, Event, McpResponse, Session, SessionId};

use super::fake::*;
use super::*;

fn client(name: &str, capabilities: &'static str) -> Session {
    let profile = ClientProfile {
        info: Some(RawJson::from_static(r#"{"name":"c"}"#)),
        capabilities: Some(RawJson::from_static(capabilities)),
        takes_input_required: false,
        ..ClientProfile::default()
    };
    Session::open(SessionId::new(name), Arc::new(profile)).0
}

async fn says_to(edge: &Connected, session: &Session) -> String {
    let mut request = tool();
    request.context.session = Some(session.clone());
    request.context.client = session.client().clone();
    match answered(edge, request).await {
        Ok(Outcome::Complete(result)) => result.get_str("said").unwrap(),
        other => panic!("{other:?}"),
    }
}

/// A tool that says in which session it was called.
fn says_session(seen: &Seen) -> Reply {
    let session = seen.header("mcp-session-id");
    json(seen.result(&format!(r#"{{"said":"{session}"}}"#)))
}

#[tokio::test]
async fn clients_of_a_stateful_backend_have_sessions_of_their_own() {
    let fake = Fake::start(legacy(says_session)).await;
    let edge = edge(&fake);
    let (a, b) = (
        client("a", r#"{"roots":{},"sampling":{},"x":{}}"#),
        client("b", "{}"),
    );
    assert_eq!(said(&edge).await, "s1", "s0 is the router's own");
    assert_eq!(fake.count("initialize"), 2, "opened at the first call");
    for _ in 0..2 {
        assert_eq!(says_to(&edge, &a).await, "s2");
        assert_eq!(says_to(&edge, &b).await, "s3");
    }
    let seen = fake.seen();
    let declared: Vec<_> = seen
        .iter()
        .filter(|s| s.rpc() == "initialize")
        .map(|s| s.body["params"]["capabilities"].to_string())
        .collect();
    // The router's own conversation could bring anything to somebody.
    for capability in ["sampling", "elicitation", "roots", "extensions"] {
        assert!(declared[0].contains(capability), "{}", declared[0]);
    }
    assert_eq!(declared[1..], ["{}", r#"{"roots":{},"sampling":{}}"#, "{}"]);
    a.close().await;
    let delete = within(fake.until(|s| s.method == "DELETE")).await;
    assert_eq!(delete.header("mcp-session-id"), "s2");
    within((edge.close)()).await;
    let seen = fake.seen();
    let mut closed: Vec<_> = seen
        .iter()
        .filter(|s| s.method == "DELETE")
        .map(|s| s.header("mcp-session-id"))
        .collect();
    closed.sort_unstable();
    assert_eq!(closed, ["s0", "s1", "s2", "s3"]);
}

#[tokio::test]
async fn concurrent_first_calls_of_one_client_open_one_session() {
    let fake = Fake::start(legacy(says_session)).await;
    let edge = edge(&fake);
    let a = client("a", "{}");
    let calls = futures::future::join_all((0..10).map(|_| says_to(&edge, &a)));
    assert!(calls.await.iter().all(|s| s == "s1"));
    assert_eq!(fake.count("initialize"), 2);
}

#[tokio::test]
async fn one_session_serves_all_where_it_is_configured_or_the_backend_has_none() {
    for stateless in [true, false] {
        let inner = legacy(says_session);
        let fake = Fake::start(move |seen| match inner(seen) {
            Reply::Whole(status, headers, body) if stateless => {
                let kept = headers.into_iter().filter(|h| h.0 != "mcp-session-id");
                Reply::Whole(status, kept.collect(), body)
            }
            reply => reply,
        });
        let fake = fake.await;
        let mut params = params(&format!("{}/mcp", fake.url));
        if !stateless {
            params.session = SessionMode::Shared;
        }
        let edge = http(params);
        let expected = if stateless { "" } else { "s0" };
        assert_eq!(says_to(&edge, &client("a", "{}")).await, expected);
        assert_eq!(fake.count("initialize"), 1);
    }
}

#[tokio::test]
async fn a_session_that_is_closed_already_opens_nothing_that_stays() {
    let fake = Fake::start(legacy(says_session)).await;
    let edge = edge(&fake);
    let a = client("a", "{}");
    a.close().await;
    let mut request = tool();
    request.context.session = Some(a);
    assert!(answered(&edge, request).await.is_err());
    let delete = within(fake.until(|s| s.method == "DELETE")).await;
    assert_eq!(delete.header("mcp-session-id"), "s1");
}

#[tokio::test]
async fn r35_a_question_on_the_calls_stream_reaches_the_client_and_its_answer_the_backend() {
    let ask = r#"{"jsonrpc":"2.0","id":"q1","method":"roots/list"}"#;
    let (to_client, reply) = open_stream();
    to_client.send(event(ask)).unwrap();
    let replies = std::sync::Mutex::new(Some(reply));
    let fake = Fake::start(legacy(move |_| replies.lock().unwrap().take().unwrap())).await;
    let edge = edge(&fake);
    let a = client("a", r#"{"roots":{}}"#);
    let mut request = tool();
    request.context.session = Some(a.clone());
    request.context.client = a.client().clone();
    let answer = within(edge.service.clone().oneshot(request)).await.unwrap();
    let McpResponse::Stream(mut stream) = answer else {
        panic!()
    };
    let Some(Ok(Event::ServerRequest(question))) = stream.next().await else {
        panic!()
    };
    question
        .reply
        .send(Ok(RawJson::from_static(r#"{"roots":[]}"#)))
        .unwrap();
    let answered = within(fake.until(|s| s.body["id"] == "q1")).await;
    assert!(answered.body["result"]["roots"].is_array());
    assert_eq!(answered.header("mcp-session-id"), "s1");
    let call = fake.until(|s| s.rpc() == "tools/call").await;
    to_client
        .send(event(&call.result(r#"{"said":"done"}"#)))
        .unwrap();
    let last = within(stream.next()).await;
    assert!(matches!(
        last,
        Some(Ok(Event::Outcome(Outcome::Complete(_))))
    ));
}

#[tokio::test]
async fn r35_a_question_on_the_sessions_own_stream_reaches_the_newest_call() {
    let (to_router, reply) = open_stream();
    let replies = std::sync::Mutex::new(Some(reply));
    let inner = legacy(|_| Reply::Never);
    let fake = Fake::start(move |seen| {
        if seen.method == "GET" && seen.header("mcp-session-id") == "s1" {
            return replies.lock().unwrap().take().unwrap();
        }
        inner(seen)
    });
    let fake = fake.await;
    let edge = edge(&fake);
    let a = client("a", r#"{"elicitation":{}}"#);
    let mut request = tool();
    request.context.session = Some(a.clone());
    request.context.client = a.client().clone();
    let call = tokio::spawn(edge.service.clone().oneshot(request));
    fake.until(|s| s.rpc() == "tools/call").await;
    within(fake.until(|s| s.method == "GET" && s.header("mcp-session-id") == "s1")).await;
    let ask = r#"{"jsonrpc":"2.0","id":9,"method":"elicitation/create","params":{}}"#;
    to_router.send(event(ask)).unwrap();
    let McpResponse::Stream(mut stream) = within(call).await.unwrap().unwrap() else {
        panic!()
    };
    let Some(Ok(Event::ServerRequest(question))) = stream.next().await else {
        panic!()
    };
    assert_eq!(question.method, Method::Elicit);
    a.close().await;
}

#[tokio::test]
async fn r22_progress_on_the_sessions_own_stream_reaches_its_call() {
    let (to_router, reply) = open_stream();
    let replies = std::sync::Mutex::new(Some(reply));
    let inner = legacy(|_| Reply::Never);
    let fake = Fake::start(move |seen| {
        if seen.method == "GET" && seen.header("mcp-session-id") == "s1" {
            return replies.lock().unwrap().take().unwrap();
        }
        inner(seen)
    });
    let fake = fake.await;
    let edge = edge(&fake);
    let a = client("a", "{}");
    let mut request = tool();
    request.context.session = Some(a.clone());
    request.context.wants_progress = true;
    let call = tokio::spawn(edge.service.clone().oneshot(request));
    let asked = within(fake.until(|s| s.rpc() == "tools/call")).await;
    within(fake.until(|s| s.method == "GET" && s.header("mcp-session-id") == "s1")).await;
    let token = &asked.body["params"]["_meta"]["progressToken"];
    let told = format!(
        r#"{{"jsonrpc":"2.0","method":"notifications/progress","params":{{"progressToken":{token},"progress":1}}}}"#
    );
    to_router.send(event(&told)).unwrap();
    let McpResponse::Stream(mut stream) = within(call).await.unwrap().unwrap() else {
        panic!()
    };
    let Some(Ok(Event::Notification { method, .. })) = stream.next().await else {
        panic!()
    };
    assert_eq!(method, Method::Progress);
    a.close().await;
}

#[tokio::test]
async fn nobody_is_asked_in_a_session_that_all_share() {
    let tool = |s: &Seen| {
        let ask = r#"{"jsonrpc":"2.0","id":1,"method":"sampling/createMessage","params":{}}"#;
        let ping = r#"{"jsonrpc":"2.0","id":2,"method":"ping"}"#;
        stream(&[event(ask), event(ping), event(&s.result(r#"{"said":"x"}"#))])
    };
    let fake = Fake::start(legacy(tool)).await;
    assert_eq!(said(&edge(&fake)).await, "x");
    let refused = within(fake.until(|s| s.body["error"].is_object())).await;
    assert_eq!(refused.body["error"]["code"], -32601);
    let pong = within(fake.until(|s| s.body["id"] == 2 && s.body["result"].is_object())).await;
    assert_eq!(pong.header("mcp-session-id"), "s1");
}

#[tokio::test]
async fn a_clients_notification_reaches_its_own_session_only() {
    let fake = Fake::start(legacy(says_session)).await;
    let edge = edge(&fake);
    let changed = request(Method::RootsChanged, "{}");
    assert!(matches!(
        answered(&edge, changed.clone()).await,
        Ok(Outcome::Accepted)
    ));
    let mut own = changed;
    let a = client("a", r#"{"roots":{}}"#);
    own.context.session = Some(a.clone());
    // Nothing is opened for it.
    assert!(matches!(
        answered(&edge, own.clone()).await,
        Ok(Outcome::Accepted)
    ));
    assert_eq!(fake.count("initialize"), 1);
    assert_eq!(says_to(&edge, &a).await, "s1");
    assert!(matches!(answered(&edge, own).await, Ok(Outcome::Accepted)));
    let seen = fake
        .until(|s| s.rpc() == "notifications/roots/list_changed")
        .await;
    assert_eq!(seen.header("mcp-session-id"), "s1");
    assert_eq!(fake.count("notifications/roots/list_changed"), 1);
}

#[tokio::test]
async fn a_thousand_clients_that_left_leave_nothing() {
    let fake = Fake::start(legacy(says_session)).await;
    let (connected, edge) = start(params(&format!("{}/mcp", fake.url)));
    let clients: Vec<_> = (0..1000).map(|n| client(&n.to_string(), "{}")).collect();
    for some in clients.chunks(50) {
        futures::future::join_all(some.iter().map(|one| says_to(&connected, one))).await;
    }
    assert_eq!(edge.lanes.own_count(), 1000);
    for one in &clients {
        one.close().await;
    }
    assert_eq!(edge.lanes.own_count(), 0);
    let deleted = |s: &&Seen| s.method == "DELETE";
    assert_eq!(fake.seen().iter().filter(deleted).count(), 1000);
}

#[tokio::test]
async fn a_conversation_that_nobody_uses_any_more_is_ended_and_another_opened_when_needed() {
    let fake = Fake::start(legacy(says_session)).await;
    let (connected, edge) = start(params(&format!("{}/mcp", fake.url)));
    let able = client("a", r#"{"elicitation":{}}"#);
    let said = async || {
        let mut request = tool();
        request.context.client = able.client().clone();
        match answered(&connected, request).await {
            Ok(Outcome::Complete(result)) => result.get_str("said").unwrap(),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(said().await, "s1");
    assert_eq!(said().await, "s1");
    edge.lanes.pool.close_idle(&edge).await;
    assert_eq!(
        fake.seen().iter().filter(|s| s.method == "DELETE").count(),
        0
    );
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(300)).await;
    tokio::time::resume();
    edge.lanes.pool.close_idle(&edge).await;
    let delete = within(fake.until(|s| s.method == "DELETE")).await;
    assert_eq!(delete.header("mcp-session-id"), "s1");
    assert_eq!(said().await, "s2");
}
