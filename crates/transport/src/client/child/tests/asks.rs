//! What a process asks that all clients share.

use std::sync::Arc;

use mcp_router_protocol::RawJson;
use mcp_router_service::{ClientProfile, Principal, ServerRequest};

use super::*;

/// A child that asks for roots during each call, and answers with what it got.
fn asking() -> Connected {
    let script = r#"serve() { case "$l" in
        *server/discover*) fail -32601;;
        *\"initialize\"*) case "$l" in *sampling*elicitation*roots*) hello;; *) fail -32600;; esac;;
        *tools/call*) c=$i; say '{"jsonrpc":"2.0","id":"ask-'$c'","method":"roots/list"}';;
        *\"id\":\"ask-*) c=${l#*ask-}; c=${c%%\"*}; i=$c
            case "$l" in *result*) text answered;; *-32601*) text incapable;; *) text nobody;; esac;;
        esac; }
        each serve"#;
    start(script)
}

fn by(principal: &str, capabilities: &'static str) -> McpRequest {
    let mut request = request("{}");
    if !principal.is_empty() {
        request.context.principal = Principal::Named(principal.into());
    }
    request.context.client = Arc::new(ClientProfile {
        capabilities: Some(RawJson::from_static(capabilities)),
        ..ClientProfile::default()
    });
    request
}

const ABLE: &str = r#"{"roots":{}}"#;

/// The question that came in a call, answered; and what the child made of it.
async fn asked(edge: &Connected, request: McpRequest) -> (Option<ServerRequest>, String) {
    let answer = within(SOON, edge.service.clone().oneshot(request)).await;
    let (question, outcome) = match answer.unwrap() {
        McpResponse::Ready(outcome) => (None, outcome),
        McpResponse::Stream(mut stream) => {
            let Some(Ok(Event::ServerRequest(mut question))) = stream.next().await else {
                panic!("no question")
            };
            let (unused, _) = tokio::sync::oneshot::channel();
            let reply = std::mem::replace(&mut question.reply, unused);
            let roots = RawJson::from_static(r#"{"roots":[]}"#);
            reply.send(Ok(roots)).unwrap();
            let Some(Ok(Event::Outcome(outcome))) = within(SOON, stream.next()).await else {
                panic!("no outcome")
            };
            (Some(question), outcome)
        }
    };
    let Outcome::Complete(result) = outcome else {
        panic!("{outcome:?}")
    };
    let made = ["answered", "incapable", "nobody"];
    let made = made.into_iter().find(|made| result.as_str().contains(made));
    (question, made.expect("a text").to_owned())
}

#[tokio::test]
async fn r35_a_question_reaches_the_one_call_whose_client_declared_it() {
    let edge = asking();
    let (question, made) = asked(&edge, by("", ABLE)).await;
    assert_eq!(made, "answered");
    let question = question.unwrap();
    assert_eq!(question.method, Method::RootsList);
    assert!(question.origin.is_none(), "no other router reaches it");
    let (question, made) = asked(&edge, by("", r#"{"sampling":{}}"#)).await;
    assert!(question.is_none() && made == "incapable", "{made}");
    let (question, made) = asked(&edge, by("", "{}")).await;
    assert!(question.is_none() && made == "nobody", "{made}");
    (edge.close)().await;
}

#[tokio::test]
async fn r37_calls_of_clients_that_nobody_can_tell_apart_are_asked_one_after_the_other() {
    let edge = asking();
    // The first question shows that the child asks.
    assert_eq!(asked(&edge, by("", ABLE)).await.1, "answered");
    let calls = (0..5).map(|_| asked(&edge, by("", ABLE)));
    for (question, made) in futures::future::join_all(calls).await {
        assert!(question.is_some() && made == "answered", "{made}");
    }
    (edge.close)().await;
}
