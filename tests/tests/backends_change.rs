//! Backends that come, go and change while clients are connected: who hears of it, and what the
//! lists say meanwhile.

use std::time::{Duration, Instant};

use mcp_router_tests::fixture::{Era, Fixture, FixtureBuilder};
use mcp_router_tests::harness::{
    LegacySession, Router, SseReader, StdioRouter, config, modern_params, until,
};
use serde_json::{Value, json};

const S: Duration = Duration::from_secs(1);

/// Every way in which a backend can tell of a change.
fn kinds() -> [(&'static str, FixtureBuilder); 4] {
    [
        ("modern", Fixture::builder().era(Era::Modern)),
        ("legacy", Fixture::builder().era(Era::Legacy)),
        (
            "old",
            Fixture::builder()
                .era(Era::Legacy)
                .versions(&["2025-03-26"]),
        ),
        ("sse", Fixture::builder().http_sse()),
    ]
}

/// Reads on until the change of `list` is announced.
async fn until_changed(events: &mut SseReader, list: &str) -> Value {
    loop {
        let message = events.message().await;
        if message["method"] == format!("notifications/{list}/list_changed") {
            return message;
        }
    }
}

/// Does what `change` does and sees to it that it is announced on every stream. The backend's own
/// stream may not be open yet, so the announcement is repeated until it is heard.
async fn heard_by_all(
    streams: &mut [&mut SseReader],
    list: &'static str,
    mut change: impl FnMut(usize),
) {
    let mut attempt = 0;
    for events in streams {
        let heard = until_changed(events, list);
        tokio::pin!(heard);
        loop {
            change(attempt);
            attempt += 1;
            tokio::select! {
                _ = &mut heard => break,
                () = tokio::time::sleep(2 * S) => {}
            }
        }
    }
}

#[tokio::test]
async fn list_changes_of_every_backend_reach_clients_of_both_eras_over_http() {
    for (name, builder) in kinds() {
        let fixture = builder.spawn().await;
        let router = Router::start(&config([(name, fixture.url())])).await;
        router.until_ready().await;
        router.until_healthy(name).await;
        let session = router.legacy_session("2025-06-18").await;
        let mut legacy = session.stream().await;
        let client = router.modern();
        let mut modern = client.listen().await;
        // R23: the acknowledgement is first.
        let first = modern.events.message().await;
        assert_eq!(first["method"], "notifications/subscriptions/acknowledged");
        let tag = first["params"]["_meta"]["io.modelcontextprotocol/subscriptionId"].clone();
        assert!(!tag.is_null(), "{first}");

        let mut streams = [&mut legacy.events, &mut modern.events];
        heard_by_all(&mut streams, "tools", |i| {
            fixture.add_tool(&format!("new-{i}"));
        })
        .await;
        let tools = session.tool_names().await;
        assert!(tools.contains(&format!("{name}.new-0")), "{tools:?}");
        heard_by_all(&mut streams, "prompts", |i| {
            fixture.add_prompt(&format!("p-{i}"));
        })
        .await;
        let added = |i: usize| fixture.add_resource(&format!("memo://r-{i}"), "r");
        heard_by_all(&mut streams, "resources", added).await;
        let resources = session.list("resources/list", "resources").await;
        let uri = format!("{name}+memo://r-0");
        assert!(resources.iter().any(|r| r["uri"] == uri), "{resources:?}");

        fixture.remove_tool("new-0");
        let message = until_changed(&mut modern.events, "tools").await;
        let meta = &message["params"]["_meta"];
        assert_eq!(
            meta["io.modelcontextprotocol/subscriptionId"], tag,
            "{message}"
        );
        let tools = session.tool_names().await;
        assert!(!tools.contains(&format!("{name}.new-0")), "{tools:?}");
        let gone = session.call(&format!("{name}.new-0"), json!({})).await;
        assert_eq!(gone["error"]["code"], -32602, "{gone}");
    }
}

#[tokio::test]
async fn r25_a_change_is_announced_on_exactly_one_stream_of_a_session() {
    let fixture = Fixture::builder().spawn().await;
    let router = Router::start(&config([("a", fixture.url())])).await;
    router.until_ready().await;
    router.until_healthy("a").await;
    let session = router.legacy_session("2025-11-25").await;
    let (mut first, mut second) = (session.stream().await, session.stream().await);
    let mut counts = [0, 0];
    let mut attempt = 0;
    while counts[0] + counts[1] == 0 {
        fixture.add_tool(&format!("t-{attempt}"));
        attempt += 1;
        let wait = tokio::time::sleep(2 * S);
        tokio::pin!(wait);
        loop {
            tokio::select! {
                event = first.events.next() => counts[0] += is_change(event.as_ref()),
                event = second.events.next() => counts[1] += is_change(event.as_ref()),
                () = &mut wait => break,
            }
        }
    }
    assert!(counts[0] == 0 || counts[1] == 0, "on both: {counts:?}");
    assert!(
        counts[0] + counts[1] <= attempt,
        "more than changes: {counts:?} of {attempt}"
    );
}

fn is_change(event: Option<&mcp_router_tests::harness::SseEvent>) -> usize {
    let event = event.expect("the stream stays open");
    usize::from(event.json()["method"] == "notifications/tools/list_changed")
}

#[tokio::test]
async fn list_changes_reach_stdio_clients_of_both_eras() {
    let fixture = Fixture::builder().spawn().await;
    let file = config([("a", fixture.url())]);
    let mut legacy = StdioRouter::start(&file);
    legacy.initialize("2025-11-25").await;
    legacy.request("tools/list", json!({})).await;
    let mut modern = StdioRouter::start(&file);
    modern.modern("tools/list", json!({})).await;
    let listen = json!({"notifications": {"toolsListChanged": true}});
    let id = modern
        .post("subscriptions/listen", modern_params(listen, &json!({})))
        .await;
    let first = modern.message().await;
    assert_eq!(
        first["method"], "notifications/subscriptions/acknowledged",
        "{first}"
    );
    // Both routers' own streams at the backend are open.
    fixture.log().wait_for("subscriptions/listen", 2).await;

    fixture.add_tool("late");

    for router in [&mut legacy, &mut modern] {
        loop {
            let message = router.message().await;
            assert!(message["id"].is_null(), "{message}");
            if message["method"] == "notifications/tools/list_changed" {
                break;
            }
        }
    }
    let listed = legacy.request("tools/list", json!({})).await;
    assert!(listed.to_string().contains("a.late"), "{listed}");
    // Cancelling ends the subscription.
    modern
        .notify("notifications/cancelled", json!({"requestId": id}))
        .await;
    let listed = modern.modern("tools/list", json!({})).await;
    assert!(listed.to_string().contains("a.late"), "{listed}");
}

#[tokio::test]
async fn f01_a_backend_that_is_refused_at_start_joins_when_it_appears() {
    let late = Fixture::builder().down().spawn().await;
    let there = Fixture::builder().spawn().await;
    let router = Router::start(&config([("late", late.url()), ("there", there.url())])).await;
    let took = router.until_ready().await;
    assert!(took < 10 * S, "ready without it, not after {took:?}");
    router.until_healthy("there").await;
    let session = router.legacy_session("2025-11-25").await;
    let mut stream = session.stream().await;
    assert!(
        !session
            .tool_names()
            .await
            .iter()
            .any(|t| t.starts_with("late."))
    );
    let away = session.call("late.add", json!({})).await;
    let failure = &away["result"]["_meta"]["mcp-router/failure"];
    assert_eq!(failure["reason"], "connect_failed", "{away}");
    assert_eq!(
        (&failure["backend"], &failure["sent"]),
        (&json!("late"), &json!("no"))
    );
    let down = router.backend("late").await;
    assert_eq!(
        (&down["healthy"], &down["state"]),
        (&json!(false), &json!("down"))
    );
    assert!(down["error_count"].as_u64() >= Some(1), "{down}");

    late.go_up().await;
    let start = Instant::now();
    until_changed(&mut stream.events, "tools").await;
    assert!(
        start.elapsed() < 31 * S,
        "one probe interval: {:?}",
        start.elapsed()
    );

    let answer = session.call("late.add", json!({"a": 1, "b": 2})).await;
    assert_eq!(answer["result"]["content"][0]["text"], "3", "{answer}");
    let up = router.backend("late").await;
    assert_eq!(
        (&up["healthy"], &up["error_count"]),
        (&json!(true), &json!(0)),
        "{up}"
    );
}

#[tokio::test]
async fn a_backend_that_goes_keeps_its_tools_listed_fails_calls_at_once_and_comes_back() {
    for (name, builder) in kinds() {
        let fixture = builder.spawn().await;
        let other = Fixture::builder().spawn().await;
        let file = config([(name, fixture.url()), ("other", other.url())]);
        let router = Router::start(&file).await;
        router.until_ready().await;
        router.until_healthy(name).await;
        router.until_healthy("other").await;
        let client = router.modern();
        let tool = format!("{name}.once");

        fixture.go_down().await;
        let start = Instant::now();
        let answer = client.call(&tool, json!({"nonce": "down"})).await;
        assert!(start.elapsed() < 10 * S, "{name}: {:?}", start.elapsed());
        let failure = &answer["result"]["_meta"]["mcp-router/failure"];
        assert_eq!(
            (&failure["backend"], &failure["sent"]),
            (&json!(name), &json!("no")),
            "{answer}"
        );
        router.until_down(name).await;
        let names = router.legacy_session("2025-11-25").await.tool_names().await;
        assert!(names.contains(&tool), "{name}: {names:?}");
        let answer = client.call("other.add", json!({"a": 1, "b": 1})).await;
        assert_eq!(answer["result"]["content"][0]["text"], "2", "{answer}");

        fixture.go_up().await;
        router.until_healthy(name).await;
        let answer = client.call(&tool, json!({"nonce": "up"})).await;
        assert_eq!(
            answer["result"]["content"][0]["text"], "executed 1 times",
            "{answer}"
        );
        assert_eq!(
            fixture.log().executions("down"),
            0,
            "r44: it said it did not run"
        );
    }
}

#[tokio::test]
async fn a_backend_that_stays_away_is_forgotten_after_its_time() {
    let fixture = Fixture::builder().spawn().await;
    let file = format!(
        "server: {{ stale_ttl_seconds: 1 }}\n{}",
        config([("a", fixture.url())])
    );
    let router = Router::start(&file).await;
    router.until_ready().await;
    router.until_healthy("a").await;
    let session = router.legacy_session("2025-11-25").await;
    fixture.go_down().await;
    session.call("a.add", json!({})).await;
    until("its tools are gone", async || {
        !session
            .tool_names()
            .await
            .iter()
            .any(|tool| tool.starts_with("a."))
    })
    .await;
    let answer = session.call("a.add", json!({})).await;
    let failed = answer["result"]["isError"] == true || answer["error"]["code"] == -32602;
    assert!(failed, "{answer}");
    fixture.go_up().await;
    until("its tools are back", async || {
        session.tool_names().await.contains(&"a.add".to_owned())
    })
    .await;
}

#[tokio::test]
async fn a_restart_of_the_connections_alone_loses_no_call() {
    for (name, builder) in kinds() {
        let fixture = builder.spawn().await;
        let router = Router::start(&config([(name, fixture.url())])).await;
        router.until_ready().await;
        router.until_healthy(name).await;
        let session = router.legacy_session("2025-11-25").await;
        for round in 0..5 {
            fixture.cut_connections();
            if name == "sse" {
                // Its conversation is its connection; a call may meet the gap, and says so.
                until_answered(&session, name, round).await;
                continue;
            }
            let tool = format!("{name}.add");
            let answer = session.call(&tool, json!({"a": round, "b": 1})).await;
            let failure = &answer["result"]["_meta"]["mcp-router/failure"];
            if failure.is_null() {
                let sum = (round + 1).to_string();
                assert_eq!(
                    answer["result"]["content"][0]["text"], sum,
                    "{name}: {answer}"
                );
            } else {
                // A connection that died while it was idle is found out by the next call.
                assert_eq!(failure["reason"], "backend_lost", "{name}: {answer}");
            }
            until_answered(&session, name, round).await;
        }
    }
}

async fn until_answered(session: &LegacySession, name: &str, round: i32) {
    let tool = format!("{name}.add");
    let sum = (round + 1).to_string();
    until("calls are answered again", async || {
        let answer = session.call(&tool, json!({"a": round, "b": 1})).await;
        answer["result"]["content"][0]["text"] == sum
    })
    .await;
}
