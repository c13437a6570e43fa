//! Processes that belong to single clients.

use std::sync::Arc;

use mcp_router_protocol::RawJson;
use mcp_router_service::{ClientProfile, Session, SessionId};

use super::*;

fn client(name: &str, capabilities: &'static str) -> Session {
    let profile = ClientProfile {
        info: Some(RawJson::from_static(r#"{"name":"c","version":"1"}"#)),
        capabilities: Some(RawJson::from_static(capabilities)),
        takes_input_required: false,
        ..ClientProfile::default()
    };
    Session::open(SessionId::new(name), Arc::new(profile)).0
}

/// A child whose tool says its own number and what was declared to it.
fn edge(most: usize) -> Connected {
    let script = r#"serve() { case "$l" in
        *server/discover*) fail -32601;;
        *\"initialize\"*) d=${l#*\"capabilities\":}; d=${d%%,\"clientInfo\"*}; hello;;
        *roots/list_changed*) d=changed;;
        *tools/call*) ok '{"pid":"'$$'","declared":"'"$(printf %s "$d" | tr -d '"')"'"}';; esac; }
        each serve"#;
    let mut params = params(script);
    params.processes_for_clients = Some(most);
    child(params)
}

async fn answer_to(edge: &Connected, session: Option<&Session>) -> Result<RawJson, CallError> {
    let mut request = request("{}");
    request.context.session = session.cloned();
    if let Some(session) = session {
        request.context.client = session.client().clone();
    }
    let answer = within(SOON, edge.service.clone().oneshot(request)).await?;
    match answer.outcome().await? {
        Outcome::Complete(result) => Ok(result),
        other => panic!("{other:?}"),
    }
}

async fn pid(edge: &Connected, session: Option<&Session>) -> String {
    let answer = answer_to(edge, session).await.unwrap();
    answer.get_str("pid").unwrap()
}

#[tokio::test]
async fn each_client_has_a_process_that_ends_with_its_session() {
    let mut edge = edge(8);
    within(SOON, connected(&mut edge.events)).await;
    let (a, b) = (client("a", r#"{"roots":{},"x":1}"#), client("b", "{}"));
    let shared = pid(&edge, None).await;
    let (of_a, of_b) = (pid(&edge, Some(&a)).await, pid(&edge, Some(&b)).await);
    assert!(of_a != of_b && of_a != shared && of_b != shared);
    assert_eq!(pid(&edge, Some(&a)).await, of_a);
    assert_eq!(pid(&edge, None).await, shared);
    // Each is told what its own client can do.
    let declared = answer_to(&edge, Some(&a)).await.unwrap();
    assert_eq!(declared.get_str("declared").unwrap(), "{roots:{}}");
    within(SOON, a.close()).await;
    gone(&of_a).await;
    assert_eq!(pid(&edge, Some(&b)).await, of_b);
    let error = answer_to(&edge, Some(&a)).await.unwrap_err();
    assert_eq!((error.reason, error.sent), (Reason::Draining, Sent::No));
    within(SOON, (edge.close)()).await;
    gone(&of_b).await;
    gone(&shared).await;
}

#[tokio::test]
async fn there_are_only_so_many_and_an_ended_one_makes_room() {
    let edge = edge(1);
    let (a, b) = (client("a", "{}"), client("b", "{}"));
    let of_a = pid(&edge, Some(&a)).await;
    let error = answer_to(&edge, Some(&b)).await.unwrap_err();
    assert_eq!((error.reason, error.sent), (Reason::Overloaded, Sent::No));
    assert!(error.to_string().contains("of their own"), "{error}");
    assert_ne!(pid(&edge, None).await, of_a, "the shared one is there");
    within(SOON, a.close()).await;
    assert_ne!(pid(&edge, Some(&b)).await, of_a);
    (edge.close)().await;
}

#[tokio::test]
async fn a_clients_notification_reaches_its_own_process_alone() {
    let edge = edge(8);
    let (a, b) = (client("a", "{}"), client("b", "{}"));
    for session in [&a, &b] {
        pid(&edge, Some(session)).await;
    }
    let mut changed = McpRequest::new(Method::RootsChanged, RawParams::default());
    changed.context.session = Some(a.clone());
    let taken = edge.service.clone().oneshot(changed).await.unwrap();
    assert!(matches!(taken, McpResponse::Ready(Outcome::Accepted)));
    for (session, expected) in [(&a, "changed"), (&b, "{}")] {
        let answer = answer_to(&edge, Some(session)).await.unwrap();
        assert_eq!(answer.get_str("declared").unwrap(), expected);
    }
    (edge.close)().await;
}
