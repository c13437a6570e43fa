//! Conversations that a client's session carries from one router to the next.

use std::sync::Arc;

use mcp_router_protocol::{RawJson, RequestId, Revision};
use mcp_router_service::{ClientProfile, Event, McpResponse, Sent, Session, SessionId};

use super::fake::*;
use super::*;

fn client() -> Session {
    let profile = ClientProfile {
        capabilities: Some(RawJson::from_static(r#"{"roots":{}}"#)),
        ..ClientProfile::default()
    };
    Session::open(SessionId::new("c"), Arc::new(profile)).0
}

/// A router's edge to a backend that keeps something for each client.
async fn keeping(fake: &Fake) -> (Connected, BackendInfo) {
    let mut params = params(&format!("{}/mcp", fake.url));
    params.session = SessionMode::PerClient;
    let mut edge = http(params);
    let info = connected(&mut edge.events).await;
    (edge, info)
}

fn by(session: &Session, method: Method) -> McpRequest {
    let mut request = match method {
        Method::ToolsCall => tool(),
        method => request(method, "{}"),
    };
    request.context.session = Some(session.clone());
    request.context.client = session.client().clone();
    request
}

/// In which session a call was made.
async fn called_in(edge: &Connected, session: &Session) -> Result<String, CallError> {
    match answered(edge, by(session, Method::ToolsCall)).await? {
        Outcome::Complete(result) => Ok(result.get_str("said").unwrap()),
        other => panic!("{other:?}"),
    }
}

fn says_session(seen: &Seen) -> Reply {
    let session = seen.header("mcp-session-id");
    json(seen.result(&format!(r#"{{"said":"{session}"}}"#)))
}

#[tokio::test]
async fn r41_what_is_opened_for_a_new_session_is_carried_and_gone_on_with_elsewhere() {
    let fake = Fake::start(legacy(says_session)).await;
    let (edge, info) = keeping(&fake).await;
    assert!(info.attach);
    let here = client();
    answered(&edge, by(&here, Method::Attach)).await.unwrap();
    let carried = here.carried("fake#0").expect("carried");
    assert_eq!(&*carried, "2025-06-18 s1");
    assert_eq!(called_in(&edge, &here).await.unwrap(), "s1");
    // Another process, which has the same session by its id alone.
    let (other, _) = keeping(&fake).await;
    let there = client();
    there.set_carried("fake#0", carried);
    let opened = fake.count("initialize");
    assert_eq!(called_in(&other, &there).await.unwrap(), "s1");
    assert_eq!(fake.count("initialize"), opened, "nothing new");
    let call = fake
        .seen()
        .into_iter()
        .rfind(|s| s.rpc() == "tools/call")
        .unwrap();
    assert_eq!(call.header("mcp-protocol-version"), "2025-06-18");
    there.close().await;
    let delete = within(fake.until(|s| s.method == "DELETE")).await;
    assert_eq!(delete.header("mcp-session-id"), "s1");
}

#[tokio::test]
async fn r45_a_lost_session_in_which_the_backend_kept_something_is_told_and_not_replaced() {
    let fake = Fake::start(legacy(|s| match s.header("mcp-session-id") {
        "s1" | "sX" => status(404),
        _ => says_session(s),
    }));
    let fake = fake.await;
    let (edge, _) = keeping(&fake).await;
    for carried in [None, Some("2025-06-18 sX")] {
        let session = client();
        if let Some(carried) = carried {
            session.set_carried("fake#0", carried);
        }
        let calls = fake.count("tools/call");
        let error = called_in(&edge, &session).await.unwrap_err();
        assert_eq!((error.status, error.sent), (Some(404), Sent::No));
        assert!(error.is_answer(), "nobody may repeat it");
        assert_eq!(fake.count("tools/call"), calls + 1);
        // The client has been told: it begins anew.
        let begun = called_in(&edge, &session).await.unwrap();
        assert!(["s2", "s3"].contains(&begun.as_str()), "{begun}");
    }
}

#[tokio::test]
async fn what_a_backend_asks_can_be_answered_through_another_replica() {
    let ask = r#"{"jsonrpc":"2.0","id":"q1","method":"roots/list"}"#;
    let (to_client, reply) = open_stream();
    to_client.send(event(ask)).unwrap();
    let replies = std::sync::Mutex::new(Some(reply));
    let fake = Fake::start(legacy(move |_| replies.lock().unwrap().take().unwrap())).await;
    let edge = edge(&fake);
    let session = client();
    let call = edge
        .service
        .clone()
        .oneshot(by(&session, Method::ToolsCall));
    let McpResponse::Stream(mut stream) = within(call).await.unwrap() else {
        panic!()
    };
    let Some(Ok(Event::ServerRequest(question))) = stream.next().await else {
        panic!()
    };
    let origin = question.origin.clone().expect("a way back");
    assert_eq!(origin.pin.backend.as_str(), "fake");
    assert_eq!(
        (&*origin.session, origin.revision),
        ("s1", Revision::V2025_06_18)
    );
    assert_eq!(origin.id, RequestId::string("q1"));
    let other = self::edge(&fake);
    let answer = Ok(RawJson::from_static(r#"{"roots":[]}"#));
    let brought = origin.answered(answer, mcp_router_service::RequestContext::default());
    answered(&other, brought).await.unwrap();
    let answer = within(fake.until(|s| s.body["id"] == "q1")).await;
    assert!(answer.body["result"]["roots"].is_array());
    assert_eq!(answer.header("mcp-session-id"), "s1");
    assert_eq!(answer.header("mcp-protocol-version"), "2025-06-18");
}
