//! Stateless clients, in front of backends that ask in the middle of a call.

use mcp_router_tests::fixture::{Era, Fixture, FixtureBuilder};
use mcp_router_tests::harness::{
    ModernClient, Router, Scene, again, child_entry, config, everything,
};
use serde_json::{Value, json};

fn legacy() -> FixtureBuilder {
    Fixture::builder().era(Era::Legacy).asking()
}

fn client(router: &Router) -> ModernClient {
    ModernClient::with_capabilities(router.addr(), everything())
}

#[tokio::test]
async fn r33_a_call_waits_for_its_client_and_runs_once_behind_every_transport() {
    let (http, sse) = (legacy().spawn().await, legacy().http_sse().spawn().await);
    let mut file = config([("http", http.url()), ("sse", sse.url())]);
    file += &child_entry("child", &["--era", "legacy", "--asking"]);
    let router = Router::start(&file).await;
    router.until_ready().await;
    let client = client(&router);
    for backend in ["http", "sse", "child"] {
        for (tool, rounds) in [
            ("ask_elicit", 1),
            ("ask_sampling", 1),
            ("ask_roots", 1),
            ("ask_twice", 2),
        ] {
            let nonce = format!("{backend} {tool}");
            let talk = client
                .talk(&format!("{backend}.{tool}"), json!({ "nonce": nonce }))
                .await;
            assert_eq!(talk.asked.len(), rounds, "{nonce}: {}", talk.response);
            let says = talk.says();
            assert_eq!(says["executions"], 1, "{nonce}: {}", talk.response);
            assert_eq!(
                says["answers"].as_array().map(Vec::len),
                Some(rounds),
                "{says}"
            );
            assert!(says["answers"][0].get("error").is_none(), "{says}");
        }
    }
}

#[tokio::test]
async fn r33_what_is_asked_together_is_one_round_and_answers_that_are_missing_are_asked_for_again()
{
    let scene = Scene::with("", legacy()).await;
    let client = client(scene.router());
    let params = json!({"name": "a.ask_all", "arguments": {"nonce": "n"}});
    let first = client.request("tools/call", params.clone()).await["result"].take();
    let requests = first["inputRequests"].as_object().expect("requests");
    assert_eq!(requests.len(), 3, "{first}");
    let mut next = again(&params, &first);
    let (missing, _) = requests.iter().next().expect("one");
    next["inputResponses"]
        .as_object_mut()
        .expect("an object")
        .remove(missing);
    let second = client.request("tools/call", next).await["result"].take();
    assert_eq!(second["resultType"], "input_required", "{second}");
    let keys: Vec<_> = second["inputRequests"]
        .as_object()
        .expect("one")
        .keys()
        .collect();
    assert_eq!(keys, [missing]);
    assert_ne!(first["requestState"], second["requestState"]);
    let last = client.request("tools/call", again(&params, &second)).await["result"].take();
    assert_eq!(last["structuredContent"]["executions"], 1, "{last}");
    assert_eq!(last["resultType"], "complete");
}

#[tokio::test]
async fn r33_a_round_that_is_sent_twice_is_answered_twice_and_runs_once() {
    let scene = Scene::with("", legacy()).await;
    let client = client(scene.router());
    let params = json!({"name": "a.ask_elicit", "arguments": {"nonce": "n"}});
    let first = client.request("tools/call", params.clone()).await["result"].take();
    let next = again(&params, &first);
    let once = client.request("tools/call", next.clone()).await["result"].take();
    let twice = client.request("tools/call", next).await["result"].take();
    assert_eq!(once, twice);
    assert_eq!(scene.backend().log().executions("n"), 1);
}

#[tokio::test]
async fn r34_a_state_is_good_for_its_own_call_alone() {
    for backend in [legacy(), Fixture::builder().era(Era::Modern).asking()] {
        let scene = Scene::with("", backend).await;
        let client = client(scene.router());
        let params = json!({"name": "a.ask_elicit", "arguments": {"nonce": "n"}});
        let first = client.request("tools/call", params.clone()).await["result"].take();
        let good = again(&params, &first);
        let state = good["requestState"].as_str().expect("a state").to_owned();
        let seen = scene.backend().log().count("tools/call");
        let change = |key: &str, value: Value| {
            let mut params = good.clone();
            params[key] = value;
            params
        };
        for wrong in [
            change(
                "requestState",
                json!(format!("{}x", &state[..state.len() - 1])),
            ),
            change("requestState", json!(state.to_lowercase())),
            change("requestState", json!("")),
            change("requestState", json!({})),
            change("arguments", json!({"nonce": "m"})),
            change("name", json!("a.ask_roots")),
        ] {
            let answer = client.post("tools/call", wrong).await;
            assert_eq!((answer.status.as_u16(), answer.code()), (200, Some(-32602)));
        }
        assert_eq!(
            scene.backend().log().count("tools/call"),
            seen,
            "nothing went through"
        );
        let last = client.request("tools/call", good).await;
        assert_eq!(
            last["result"]["structuredContent"]["executions"], 1,
            "{last}"
        );
    }
}

#[tokio::test]
async fn r34_calls_wait_in_one_replica_and_states_of_stateless_backends_are_good_in_all() {
    let key = "server: { session_keys: [\"0123456789abcdef0123456789abcdef\"] }\n";
    let (old, new) = (
        legacy().spawn().await,
        Fixture::builder().era(Era::Modern).asking().spawn().await,
    );
    let file = format!("{key}{}", config([("old", old.url()), ("new", new.url())]));
    let replicas = [Router::start(&file).await, Router::start(&file).await];
    for router in &replicas {
        router.until_ready().await;
    }
    let [one, other] = replicas.each_ref().map(client);
    let params = |backend: &str| json!({"name": format!("{backend}.ask_elicit"), "arguments": {"nonce": "n"}});
    let modern = one.request("tools/call", params("new")).await["result"].take();
    let elsewhere = other
        .request("tools/call", again(&params("new"), &modern))
        .await;
    assert_eq!(
        elsewhere["result"]["structuredContent"]["executions"], 1,
        "{elsewhere}"
    );

    let parked = one.request("tools/call", params("old")).await["result"].take();
    let round = again(&params("old"), &parked);
    let lost = other.request("tools/call", round.clone()).await;
    let error = &lost["error"];
    assert_eq!(
        (&error["code"], &error["data"]["reason"]),
        (&json!(-32603), &json!("state_lost"))
    );
    let found = one.request("tools/call", round).await;
    assert_eq!(
        found["result"]["structuredContent"]["executions"], 1,
        "{found}"
    );
}

#[tokio::test]
async fn r32_rounds_between_stateless_peers_go_through_with_a_state_that_nobody_reads() {
    let scene = Scene::with("", Fixture::builder().era(Era::Modern).asking()).await;
    let client = client(scene.router());
    for (tool, rounds) in [
        ("ask_all", 1),
        ("ask_twice", 2),
        ("ask_state", 2),
        ("ask_url", 1),
    ] {
        let talk = client
            .talk(&format!("a.{tool}"), json!({ "nonce": tool }))
            .await;
        assert_eq!(talk.asked.len(), rounds, "{}", talk.response);
        assert_eq!(talk.says()["executions"], 1, "{}", talk.response);
        for interim in &talk.asked {
            let state = interim["requestState"].as_str().expect("a state");
            assert!(!state.contains("answers"), "{state}");
        }
    }
}

#[tokio::test]
async fn r30_a_visit_that_comes_as_an_error_is_asked_for_and_the_call_made_afresh() {
    let scene = Scene::with("", legacy()).await;
    let talk = client(scene.router())
        .talk("a.ask_url_error", json!({"nonce": "n"}))
        .await;
    assert_eq!(talk.asked.len(), 1, "{}", talk.response);
    let (_, request) = talk.asked[0]["inputRequests"]
        .as_object()
        .expect("one")
        .iter()
        .next()
        .expect("one");
    let url = json!({"mode": "url", "url": "https://example.com/visit/n", "message": "Please say yes there"});
    assert_eq!(
        *request,
        json!({"method": "elicitation/create", "params": url})
    );
    assert_eq!(talk.says()["executions"], 1, "{}", talk.response);
    let form = json!({"elicitation": {"form": {}}});
    let poor = ModernClient::with_capabilities(scene.router().addr(), form);
    let params = json!({"name": "a.ask_url_error", "arguments": {"nonce": "m"}});
    let refused = poor.post("tools/call", params).await;
    assert_eq!(
        (refused.status.as_u16(), refused.code()),
        (400, Some(-32021))
    );
}

#[tokio::test]
async fn r35_a_stateless_client_is_not_asked_what_it_did_not_declare() {
    let scene = Scene::with("", Fixture::builder().era(Era::Modern).asking()).await;
    let poor = ModernClient::with_capabilities(scene.router().addr(), json!({"roots": {}}));
    let params = json!({"name": "a.ask_elicit", "arguments": {"nonce": "n"}});
    let refused = poor.post("tools/call", params).await;
    assert_eq!(
        (refused.status.as_u16(), refused.code()),
        (400, Some(-32021))
    );
    let required = refused.json()["error"]["data"]["requiredCapabilities"].take();
    assert_eq!(required, json!({"elicitation": {"form": {}}}));
    // A backend that asks nevertheless ends the call.
    let scene = Scene::with("", legacy()).await;
    let poor = ModernClient::with_capabilities(scene.router().addr(), json!({"roots": {}}));
    let talk = poor.talk("a.ask_elicit", json!({"nonce": "n"})).await;
    assert_eq!(talk.asked.len(), 0);
    assert_eq!(talk.code(), Some(-32021), "{}", talk.response);
}

#[tokio::test]
async fn r37_calls_at_the_same_time_are_asked_their_own_questions() {
    let scene = Scene::with("", legacy()).await;
    let talks = (0..8).map(|n| {
        let client = client(scene.router());
        async move {
            let message = format!("question {n}");
            let arguments = json!({"nonce": format!("n{n}"), "message": message});
            let talk = client.talk("a.ask_elicit", arguments).await;
            let (_, asked) = talk.asked[0]["inputRequests"]
                .as_object()
                .expect("one")
                .iter()
                .next()
                .expect("one");
            assert_eq!(asked["params"]["message"], message);
            assert_eq!(talk.says()["nonce"], format!("n{n}"), "{}", talk.response);
            assert_eq!(talk.says()["executions"], 1);
        }
    });
    futures::future::join_all(talks).await;
}
