//! Sessions at legacy backends: opened, found lost, opened again, closed.

use std::time::Duration;

use mcp_router_tests::fixture::{Era, Fault, Fixture, Rule};
use mcp_router_tests::harness::{Router, config};
use serde_json::{Value, json};

const S: Duration = Duration::from_secs(1);

async fn start(fixture: &Fixture) -> Router {
    let router = Router::start(&config([("a", fixture.url())])).await;
    router.until_ready().await;
    router.until_healthy("a").await;
    router
}

fn executed(answer: &Value) -> &str {
    let text = answer["result"]["content"][0]["text"].as_str();
    text.unwrap_or_else(|| panic!("no text: {answer}"))
}

#[tokio::test]
async fn r45_f25_a_forgotten_session_is_opened_again_once_and_the_call_sent_once_more() {
    let fixture = Fixture::builder().era(Era::Legacy).spawn().await;
    let router = start(&fixture).await;
    let session = router.legacy_session("2025-11-25").await;
    assert_eq!(
        executed(&session.call("a.once", json!({"nonce": "0"})).await),
        "executed 1 times"
    );
    for round in 1..=3 {
        fixture.forget_sessions();
        fixture.log().clear();
        let nonce = format!("own {round}");
        let answer = session.call("a.once", json!({"nonce": nonce})).await;
        assert_eq!(executed(&answer), "executed 1 times", "{answer}");
        // The first was refused unexecuted, the second one ran.
        let calls = fixture.log().of("tools/call");
        let calls = calls
            .iter()
            .filter(|c| c.body.windows(3).any(|w| w == b"own"));
        assert_eq!(calls.count(), 2, "{:?}", fixture.log().methods());
    }
    // The shared session, that of clients without one, heals in the same way.
    fixture.forget_sessions();
    let answer = router
        .modern()
        .call("a.once", json!({"nonce": "shared"}))
        .await;
    assert_eq!(executed(&answer), "executed 1 times", "{answer}");
    assert_eq!(fixture.log().executions("shared"), 1);
    // A listing in the background may have met two losses in a row, and is repeated.
    router.until_healthy("a").await;
}

#[tokio::test]
async fn r45_many_calls_on_a_forgotten_session_open_one_between_them() {
    let fixture = Fixture::builder().era(Era::Legacy).spawn().await;
    let router = start(&fixture).await;
    let session = router.legacy_session("2025-11-25").await;
    session.call("a.once", json!({"nonce": "first"})).await;
    fixture.forget_sessions();
    fixture.log().clear();
    let calls = (0..20).map(|i| session.call("a.once", json!({"nonce": i.to_string()})));
    for answer in futures::future::join_all(calls).await {
        assert_eq!(executed(&answer), "executed 1 times", "{answer}");
    }
    let opened = fixture.log().count("initialize");
    // One for this client, and one for the router's own conversation if it noticed meanwhile.
    assert!((1..=2).contains(&opened), "{opened} sessions for 20 calls");
}

#[tokio::test]
async fn r45_r43_a_session_that_is_gone_again_at_once_is_not_tried_for_ever() {
    let fixture = Fixture::builder().era(Era::Legacy).spawn().await;
    let router = start(&fixture).await;
    fixture.set_fault(Rule::new(Fault::SessionGone).on("tools/call"));
    let answer = router.modern().call("a.once", json!({"nonce": "n"})).await;
    assert_eq!(answer["result"]["isError"], true, "{answer}");
    let failure = &answer["result"]["_meta"]["mcp-router/failure"];
    assert_eq!(
        failure["sent"], "no",
        "r44: a lost session proves it: {answer}"
    );
    // Three attempts, each with one new session and one resend.
    assert_eq!(fixture.log().count("tools/call"), 6, "one resend");
    assert_eq!(fixture.log().executions("n"), 0);
}

#[tokio::test]
async fn each_legacy_client_has_an_upstream_session_and_delete_closes_it() {
    let fixture = Fixture::builder().era(Era::Legacy).spawn().await;
    let router = start(&fixture).await;
    let (one, two) = (
        router.legacy_session("2025-11-25").await,
        router.legacy_session("2025-06-18").await,
    );
    for session in [&one, &two, &one, &two] {
        session.call("a.echo", json!({"text": "x"})).await;
    }
    let calls = fixture.log().of("tools/call");
    let used: Vec<_> = calls
        .iter()
        .map(|c| c.session().expect("a session"))
        .collect();
    assert_eq!((used[0], used[1]), (used[2], used[3]), "each keeps its own");
    assert_ne!(used[0], used[1], "two clients in one session");
    // R42: what the clients hold says nothing about it.
    assert!(!one.id().contains(used[0]) && !two.id().contains(used[1]));
    let open = fixture.open_sessions();

    assert!(one.close().await.status.is_success());
    fixture.log().wait_for("DELETE", 1).await;
    let deleted = fixture.log().of("DELETE");
    assert_eq!(deleted[0].session(), Some(used[0]));
    assert_eq!(fixture.open_sessions(), open - 1);
    assert_eq!(one.post("ping", json!({})).await.status, 404, "r40");
    assert_eq!(
        executed(&two.call("a.echo", json!({"text": "x"})).await),
        "x"
    );
}

#[tokio::test]
async fn f38_every_upstream_session_is_closed_at_the_end() {
    let backends = [
        Fixture::builder().era(Era::Legacy).spawn().await,
        Fixture::builder()
            .era(Era::Legacy)
            .versions(&["2025-03-26"])
            .spawn()
            .await,
    ];
    let file = config([("a", backends[0].url()), ("b", backends[1].url())]);
    let mut router = Router::start(&file).await;
    router.until_ready().await;
    let mut sessions = Vec::new();
    for revision in ["2025-03-26", "2025-11-25", "2025-11-25"] {
        let session = router.legacy_session(revision).await;
        for tool in ["a.echo", "b.echo"] {
            assert_eq!(
                executed(&session.call(tool, json!({"text": "x"})).await),
                "x"
            );
        }
        sessions.push(session);
    }
    for backend in &backends {
        assert_eq!(
            backend.open_sessions(),
            4,
            "three clients' and the router's own"
        );
    }
    router.signal("TERM");
    assert!(router.wait(15 * S).await.success());
    for backend in &backends {
        assert_eq!(backend.open_sessions(), 0, "left behind");
        assert_eq!(backend.log().count("DELETE"), 4);
    }
}

#[tokio::test]
async fn f38_of_many_calls_in_flight_at_sigterm_none_is_lost() {
    let backends = [
        Fixture::builder().era(Era::Legacy).spawn().await,
        Fixture::builder().era(Era::Modern).spawn().await,
        Fixture::builder().http_sse().spawn().await,
    ];
    let names = ["a", "b", "c"];
    let file = config(names.iter().zip(&backends).map(|(n, b)| (*n, b.url())));
    let mut router = Router::start(&file).await;
    router.until_ready().await;
    let session = router.legacy_session("2025-11-25").await;
    let client = router.modern();
    let tools = names.map(|name| format!("{name}.sleep"));
    let mut calls: Vec<futures::future::BoxFuture<'_, Value>> = Vec::new();
    for tool in &tools {
        for _ in 0..10 {
            calls.push(Box::pin(session.call(tool, json!({"ms": 2000}))));
            calls.push(Box::pin(client.call(tool, json!({"ms": 2000}))));
        }
    }
    let running = futures::future::join_all(calls);
    let stopped = async {
        for backend in &backends {
            backend.log().wait_for("tools/call", 20).await;
        }
        router.signal("TERM");
    };
    let (answers, ()) = tokio::join!(running, stopped);
    for answer in answers {
        assert_eq!(executed(&answer), "slept", "{answer}");
    }
    assert!(router.wait(15 * S).await.success());
}
