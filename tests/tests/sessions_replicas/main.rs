//! Sessions that outlive the process that opened them: after a restart, and on replicas that share
//! nothing but a key.

mod kept;

use std::time::Duration;

use http::Method;
use mcp_router_tests::fixture::{Era, Fixture, LEGACY};
use mcp_router_tests::harness::{Balancer, LegacySession, Router, config, text, until};
use serde_json::{Value, json};

const S: Duration = Duration::from_secs(1);
const KEY: &str = "a key that replicas share, of 32 bytes at least";
const OTHER: &str = "another key that nobody shares, of 32 bytes or so";

fn with_key(key: &str, backends: &str) -> String {
    format!("server: {{ session_keys: [\"{key}\"] }}\n{backends}")
}

async fn start(file: &str) -> Router {
    let router = Router::start(file).await;
    router.until_ready().await;
    router
}

/// Two replicas with one configuration, and a balancer in front.
async fn pair(file: &str) -> ([Router; 2], Balancer) {
    let routers = [start(file).await, start(file).await];
    let balancer = Balancer::new(routers.iter().map(Router::addr)).await;
    (routers, balancer)
}

async fn kill(mut router: Router) {
    router.signal("KILL");
    router.wait(10 * S).await;
}

#[tokio::test]
async fn f40_the_same_ids_work_after_a_kill_and_a_restart_with_the_same_key() {
    let backends = [
        Fixture::builder().era(Era::Legacy).spawn().await,
        Fixture::builder().era(Era::Modern).spawn().await,
    ];
    let backends_file = config([("a", backends[0].url()), ("b", backends[1].url())]);
    let router = start(&with_key(KEY, &backends_file)).await;
    let mut sessions = Vec::new();
    for revision in &LEGACY[..3] {
        let session = router.legacy_session(revision).await;
        let answer = session.call("a.echo", json!({"text": "before"})).await;
        assert_eq!(text(&answer), "before", "{answer}");
        sessions.push(session);
    }
    let ended = router.legacy_session("2025-11-25").await;
    assert_eq!(ended.close().await.status, 204);
    kill(router).await;
    let router = start(&with_key(KEY, &backends_file)).await;
    for session in &sessions {
        let session = session.at(router.addr());
        for tool in ["a.echo", "b.echo"] {
            let answer = session.call(tool, json!({"text": "after"})).await;
            assert_eq!(text(&answer), "after", "{answer}");
        }
        assert!(session.tool_names().await.contains(&"a.echo".to_owned()));
    }
    kill(router).await;
    let router = start(&with_key(OTHER, &backends_file)).await;
    let lost = sessions[0].at(router.addr()).post("ping", json!({})).await;
    assert_eq!(lost.status, 404, "r40: another key");
}

#[tokio::test]
async fn f40_without_a_key_an_id_is_good_for_one_process() {
    let backend = Fixture::builder().spawn().await;
    let file = config([("a", backend.url())]);
    let router = start(&file).await;
    let session = router.legacy_session("2025-11-25").await;
    kill(router).await;
    let router = start(&file).await;
    let lost = session.at(router.addr()).post("ping", json!({})).await;
    assert_eq!(lost.status, 404);
}

#[tokio::test]
async fn r41_a_session_works_whichever_replica_a_request_hits_and_survives_the_death_of_one() {
    let backends = [
        Fixture::builder().era(Era::Legacy).spawn().await,
        Fixture::builder().era(Era::Modern).spawn().await,
    ];
    let backends_file = config([("a", backends[0].url()), ("b", backends[1].url())]);
    let ([one, two], balancer) = pair(&with_key(KEY, &backends_file)).await;
    let mut sessions = Vec::new();
    for revision in &LEGACY[..3] {
        sessions.push(balancer.legacy_session(revision).await);
    }
    let modern = balancer.modern();
    let everybody = async |what: &str| {
        for turn in 0..4 {
            for (session, tool) in sessions.iter().zip(["a.echo", "b.echo", "a.echo"]) {
                let answer = session.call(tool, json!({"text": what})).await;
                assert_eq!(text(&answer), what, "{turn}: {answer}");
            }
            let answer = modern.call("a.echo", json!({"text": what})).await;
            assert_eq!(text(&answer), what, "{turn}: {answer}");
        }
        let lists = sessions.iter().map(LegacySession::tool_names);
        let lists = futures::future::join_all(lists).await;
        assert!(lists.iter().all(|list| *list == lists[0]));
    };
    everybody("both").await;
    // The balancer takes turns: each has calls of its own to tell of.
    for router in [&one, &two] {
        router.logs().event("call").await;
    }
    kill(one).await;
    everybody("one of them").await;
    // R40: foreign ids are the same everywhere, whoever looks.
    for _ in 0..2 {
        let forged = format!("B{}", &sessions[0].id()[1..]);
        let client = balancer.client().with("mcp-session-id", &forged);
        let ping = r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#;
        assert_eq!(client.post("/mcp", ping).await.status, 404);
    }
}

/// The upstream sessions that calls of `a.echo` came in.
fn used(backend: &Fixture) -> Vec<String> {
    let calls = backend.log().of("tools/call");
    let used = calls.iter().filter_map(|call| call.session());
    let mut used: Vec<_> = used.map(str::to_owned).collect();
    used.sort_unstable();
    used.dedup();
    used
}

#[tokio::test]
async fn r42_a_client_of_a_backend_that_keeps_clients_apart_has_one_upstream_session_everywhere() {
    let backend = Fixture::builder().era(Era::Legacy).spawn().await;
    let url = backend.url();
    let file = with_key(
        KEY,
        &format!(
            "backends:\n  - {{ name: a, namespace: a, url: \"{url}\", session: per_client }}\n"
        ),
    );
    let ([one, two], balancer) = pair(&file).await;
    for router in [&one, &two] {
        router.until_healthy("a").await;
    }
    let client = balancer.legacy_session("2025-11-25").await;
    let echo = async |what: &str| {
        let answer = client.call("a.echo", json!({"text": what})).await;
        assert_eq!(text(&answer), what, "{answer}");
    };
    for _ in 0..4 {
        echo("both").await;
    }
    let upstream = used(&backend);
    assert_eq!(upstream.len(), 1, "one conversation, on both replicas");
    assert!(
        !client.id().contains(&upstream[0]),
        "and nobody reads which"
    );
    // A replica that is stopped in good order leaves it to the other one.
    let mut one = one;
    one.signal("TERM");
    assert!(one.wait(20 * S).await.success());
    for _ in 0..3 {
        echo("one of them").await;
    }
    assert_eq!(used(&backend), upstream);
    assert_eq!(client.close().await.status, 204);
    until("the upstream session is closed", async || {
        let deleted = backend.log().of("DELETE");
        deleted.iter().any(|d| d.session() == Some(&upstream[0]))
    })
    .await;
    drop(two);
}

#[tokio::test]
async fn r35_what_a_backend_asks_is_answered_through_any_replica() {
    let backend = Fixture::builder().era(Era::Legacy).asking().spawn().await;
    let file = with_key(KEY, &config([("a", backend.url())]));
    let ([one, two], _) = pair(&file).await;
    for router in [&one, &two] {
        router.until_healthy("a").await;
    }
    let able = json!({"elicitation": {}, "sampling": {}, "roots": {}});
    for revision in ["2025-06-18", "2025-11-25"] {
        let client = mcp_router_tests::harness::HttpClient::new(one.addr());
        let here = LegacySession::open_with(client, revision, able.clone()).await;
        let there = here.at(two.addr());
        let call = json!({"jsonrpc": "2.0", "id": "c", "method": "tools/call", "params":
            {"name": "a.ask_roots", "arguments": {"nonce": revision}}});
        let request = here
            .client()
            .request(Method::POST, "/mcp", call.to_string());
        let mut stream = here.client().open(request).await;
        let asked = stream.events.message().await;
        assert_eq!(asked["method"], "roots/list", "{asked}");
        let id = asked["id"].as_str().expect("a sealed id");
        assert!(
            !used(&backend).iter().any(|session| id.contains(session)),
            "r42"
        );
        let roots = json!({"roots": [{"uri": "file:///here"}]});
        let answer = json!({"jsonrpc": "2.0", "id": id, "result": roots});
        let taken = there.client().post("/mcp", answer.to_string()).await;
        assert_eq!(taken.status, 202);
        let ended = stream.events.until_response(&json!("c")).await;
        let result = &ended.last().expect("an answer")["result"];
        let heard = result["content"][0]["text"].as_str().unwrap_or_default();
        assert!(heard.contains("file:///here"), "{result}");
        assert_eq!(backend.log().executions(revision), 1);
    }
}

fn field(value: &Value, path: &str) -> Value {
    value.pointer(path).cloned().unwrap_or_default()
}

#[tokio::test]
async fn a_client_of_2025_11_25_comes_back_for_the_answer_of_a_call_that_runs_once() {
    let backend = Fixture::builder().era(Era::Modern).spawn().await;
    let router = start(&config([("a", backend.url())])).await;
    let session = router.legacy_session("2025-11-25").await;
    let params = json!({"name": "a.sleep", "arguments": {"ms": 1500}});
    let call = json!({"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": params});
    let request = session
        .client()
        .request(Method::POST, "/mcp", call.to_string());
    let mut stream = session.client().open(request).await;
    let first = stream.events.next().await.expect("a priming event");
    assert_eq!(first.data, "");
    assert!(first.retry.is_some());
    let last = first.id.expect("an id");
    drop(stream);
    let client = session.client().clone().with("last-event-id", &last);
    for _ in 0..2 {
        let again = client.open(client.request(Method::GET, "/mcp", "")).await;
        let mut events = again.events;
        let answer = events.message().await;
        assert_eq!(field(&answer, "/id"), json!(7));
        assert_eq!(text(&answer), "slept", "{answer}");
        assert_eq!(events.next().await, None);
    }
    assert_eq!(backend.log().count("tools/call"), 1);
    assert_eq!(backend.log().cancelled() + backend.log().abandoned(), 0);
}
