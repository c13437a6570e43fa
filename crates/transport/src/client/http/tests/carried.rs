//! Conversations that a client's session carries from one router to the next.

use std::sync::Arc;

use mcp_router_protocol::{RawJson, RequestId, Revision};
use mcp_router_service::{ClientProfile, Event, McpResponse, Reason, Sent, Session, SessionId};

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

/// Under what sessions carry the one of the only endpoint there is.
const KEY: &str = "fake#cbf29ce484222325";

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
    let carried = here.carried(KEY).expect("carried");
    assert_eq!(&*carried, "2025-06-18 s1");
    assert_eq!(called_in(&edge, &here).await.unwrap(), "s1");
    // Another process, which has the same session by its id alone.
    let (other, _) = keeping(&fake).await;
    let there = client();
    there.set_carried(KEY, carried);
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
            session.set_carried(KEY, carried);
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

/// A session that another process has opened, with an upstream session `s1` in its id.
fn revived() -> Session {
    let session = client();
    session.set_revived();
    session.set_carried(KEY, "2025-06-18 s1");
    session
}

fn deletes(fake: &Fake) -> Vec<String> {
    let seen = fake.seen();
    let deleted = seen.iter().filter(|s| s.method == "DELETE");
    deleted
        .map(|s| s.header("mcp-session-id").to_owned())
        .collect()
}

#[tokio::test]
async fn r40_what_is_carried_is_closed_where_nobody_has_used_it() {
    for gone in [200, 404, 405] {
        let inner = legacy(says_session);
        let fake = Fake::start(move |seen| match seen.method.as_str() {
            "DELETE" => status(gone),
            _ => inner(seen),
        });
        let fake = fake.await;
        let (edge, _) = keeping(&fake).await;
        answered(&edge, by(&revived(), Method::Detach))
            .await
            .unwrap();
        assert_eq!(deletes(&fake), ["s1"], "{gone}");
        // Nothing is carried here, or it is for another endpoint.
        let other = client();
        other.set_carried("fake#0123456789abcdef", "2025-06-18 s9");
        for session in [client(), other] {
            answered(&edge, by(&session, Method::Detach)).await.unwrap();
        }
        assert_eq!(deletes(&fake).len(), 1);
        assert_eq!(fake.count("initialize"), 1, "nobody opened anything");
    }
}

#[tokio::test]
async fn what_was_opened_here_is_closed_once_with_its_session() {
    let fake = Fake::start(legacy(says_session)).await;
    let (edge, _) = keeping(&fake).await;
    let session = revived();
    assert_eq!(called_in(&edge, &session).await.unwrap(), "s1");
    answered(&edge, by(&session, Method::Detach)).await.unwrap();
    assert!(deletes(&fake).is_empty());
    session.close().await;
    assert_eq!(deletes(&fake), ["s1"]);
}

#[tokio::test]
async fn a_backend_that_is_away_is_not_waited_for_at_the_end_of_a_session() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/mcp", listener.local_addr().unwrap());
    drop(listener);
    let edge = http(params(&url));
    let away = answered(&edge, by(&revived(), Method::Detach)).await;
    assert_eq!(away.unwrap_err().reason, Reason::ConnectFailed);
    // Where there is nothing to close, nobody even looks.
    answered(&edge, by(&client(), Method::Detach))
        .await
        .unwrap();
}

#[tokio::test]
async fn a_session_that_comes_back_goes_on_in_what_it_carries_and_opens_nothing_else() {
    let fake = Fake::start(legacy(says_session)).await;
    let (edge, _) = keeping(&fake).await;
    let bare = client();
    bare.set_revived();
    answered(&edge, by(&bare, Method::Attach)).await.unwrap();
    answered(&edge, by(&revived(), Method::Attach))
        .await
        .unwrap();
    within(fake.until(|s| s.method == "GET" && s.header("mcp-session-id") == "s1")).await;
    assert_eq!(fake.count("initialize"), 1, "the router's own");
}

#[tokio::test]
async fn r41_news_in_a_session_that_is_carried_are_its_clients_whoever_subscribed() {
    let (told, reply) = open_stream();
    let replies = std::sync::Mutex::new(Some(reply));
    let inner = legacy(says_session);
    let fake = Fake::start(move |seen| {
        let own = seen.method == "GET" && seen.header("mcp-session-id") == "s1";
        let reply = own.then(|| replies.lock().unwrap().take()).flatten();
        reply.unwrap_or_else(|| inner(seen))
    });
    let fake = fake.await;
    let (mut edge, _) = keeping(&fake).await;
    let session = revived();
    answered(&edge, by(&session, Method::Attach)).await.unwrap();
    let update =
        r#"{"jsonrpc":"2.0","method":"notifications/resources/updated","params":{"uri":"x:a"}}"#;
    told.send(event(update)).unwrap();
    loop {
        if let BackendEvent::Notification {
            method,
            params,
            scope,
        } = next(&mut edge.events).await
        {
            assert_eq!(method, Method::ResourceUpdated);
            assert_eq!(params.uri().as_deref(), Some("x:a"));
            let mcp_router_service::Scope::Session(whose) = scope else {
                panic!("everybody's")
            };
            assert_eq!(whose.id(), session.id());
            break;
        }
    }
}

#[tokio::test]
async fn r41_a_stream_that_another_replica_has_is_asked_for_again() {
    let inner = legacy(says_session);
    let asked = std::sync::atomic::AtomicUsize::new(0);
    let fake = Fake::start(move |seen| {
        if seen.method == "GET" && seen.header("mcp-session-id") == "s1" {
            return match asked.fetch_add(1, std::sync::atomic::Ordering::SeqCst) {
                0 => status(409),
                _ => open_stream().1,
            };
        }
        inner(seen)
    });
    let fake = fake.await;
    let (edge, _) = keeping(&fake).await;
    answered(&edge, by(&revived(), Method::Attach))
        .await
        .unwrap();
    let own = |s: &&Seen| s.method == "GET" && s.header("mcp-session-id") == "s1";
    let again = async {
        while fake.seen().iter().filter(own).count() < 2 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    within(again).await;
}

#[tokio::test]
async fn f41_what_is_kept_of_a_client_outlives_a_change_of_the_backends_settings() {
    let fake = Fake::start(legacy(says_session)).await;
    let (before, _) = keeping(&fake).await;
    let here = client();
    answered(&before, by(&here, Method::Attach)).await.unwrap();
    assert_eq!(called_in(&before, &here).await.unwrap(), "s1");
    (before.close)().await;
    assert_eq!(deletes(&fake), ["s0"], "the router's own");
    let (after, _) = keeping(&fake).await;
    assert_eq!(called_in(&after, &here).await.unwrap(), "s1");
    here.close().await;
    assert_eq!(deletes(&fake), ["s0", "s1"]);
}
