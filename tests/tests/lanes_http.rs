//! Which conversation with an HTTP backend a call belongs to: who can be asked for the same shares
//! one, and what one client keeps at a backend is nobody else's.

use mcp_router_tests::fixture::{Era, Fixture};
use mcp_router_tests::harness::{ModernClient, Router, Scene, config};
use serde_json::{Value, json};

fn text(answer: &Value) -> &str {
    let text = answer["result"]["content"][0]["text"].as_str();
    text.unwrap_or_else(|| panic!("no text: {answer}"))
}

/// The sessions of the calls with these nonces, in order.
fn used(fixture: &Fixture, nonces: &[&str]) -> Vec<String> {
    let calls = fixture.log().of("tools/call");
    let of = |nonce: &&str| {
        let call = calls
            .iter()
            .find(|call| call.params()["arguments"]["text"] == **nonce);
        call.and_then(|call| call.session().map(str::to_owned))
            .unwrap_or_else(|| panic!("no call {nonce} in a session"))
    };
    nonces.iter().map(of).collect()
}

#[tokio::test]
async fn r35_who_can_be_asked_for_the_same_shares_a_session_and_nobody_else() {
    let scene = Scene::with("", Fixture::builder().era(Era::Legacy)).await;
    let addr = scene.router().addr();
    let [nothing, form, roots] = [
        json!({}),
        json!({"elicitation": {"form": {}}}),
        json!({"roots": {}}),
    ]
    .map(|capabilities| ModernClient::with_capabilities(addr, capabilities));
    for (client, say) in [
        (&nothing, "n1"),
        (&form, "f1"),
        (&roots, "r1"),
        (&form, "f2"),
        (&nothing, "n2"),
        (&roots, "r2"),
    ] {
        assert_eq!(
            text(&client.call("a.echo", json!({"text": say})).await),
            say
        );
    }
    let sessions = used(scene.backend(), &["n1", "f1", "r1", "n2", "f2", "r2"]);
    assert_eq!(sessions[..3], sessions[3..]);
    let [n, f, r] = &sessions[..3] else {
        unreachable!()
    };
    assert!(n != f && f != r && r != n, "{sessions:?}");
    let opened = scene.backend().log().of("initialize");
    let declared: Vec<Value> = opened
        .iter()
        .map(|call| call.params()["capabilities"].take())
        .collect();
    // The router's own conversation could bring anything to somebody.
    for capability in ["elicitation", "sampling", "roots"] {
        assert!(declared[0].get(capability).is_some(), "{}", declared[0]);
    }
    assert_eq!(
        declared[1..],
        [
            json!({}),
            json!({"elicitation": {"form": {}}}),
            json!({"roots": {}})
        ]
    );
}

#[tokio::test]
async fn r45_what_a_backend_kept_for_a_client_is_not_replaced_in_silence() {
    let fixture = Fixture::builder().era(Era::Legacy).spawn().await;
    let file = config([("a", fixture.url())]).replace(" }", ", session: per_client }");
    let router = Router::start(&file).await;
    router.until_ready().await;
    router.until_healthy("a").await;
    let session = router.legacy_session("2025-11-25").await;
    let call = async |nonce: &str| session.call("a.once", json!({ "nonce": nonce })).await;
    assert_eq!(text(&call("first").await), "executed 1 times");
    fixture.forget_sessions();
    let lost = call("lost").await;
    assert_eq!(lost["result"]["isError"], true, "{lost}");
    let failure = &lost["result"]["_meta"]["mcp-router/failure"];
    assert_eq!(failure["sent"], "no", "{lost}");
    assert!(text(&lost).contains("404"), "{lost}");
    assert_eq!(fixture.log().executions("lost"), 0);
    // Now that the client knows, it begins anew.
    assert_eq!(text(&call("anew").await), "executed 1 times");
}

#[tokio::test]
async fn each_legacy_client_of_an_http_sse_backend_has_a_stream_of_its_own() {
    let scene = Scene::with("", Fixture::builder().http_sse()).await;
    let (router, log) = (scene.router(), scene.backend().log());
    let own = log.count("initialize");
    let clients = [
        router.legacy_session("2025-11-25").await,
        router.legacy_session("2025-06-18").await,
    ];
    for client in clients.iter().chain(&clients) {
        assert_eq!(
            text(&client.call("a.echo", json!({"text": "x"})).await),
            "x"
        );
    }
    assert_eq!(log.count("initialize"), own + 2);
}

#[tokio::test]
async fn r37_clients_that_nobody_can_tell_apart_are_asked_their_own_questions_over_http_sse() {
    let scene = Scene::with("", Fixture::builder().http_sse().asking()).await;
    let can = json!({"elicitation": {"form": {}}});
    let talks = (0..4).map(|n| {
        let client = ModernClient::with_capabilities(scene.router().addr(), can.clone());
        async move {
            let message = format!("question {n}");
            let arguments = json!({"nonce": format!("n{n}"), "message": message});
            let talk = client.talk("a.ask_elicit", arguments).await;
            let asked = talk.asked[0]["inputRequests"].as_object().expect("one");
            let (_, asked) = asked.iter().next().expect("one");
            assert_eq!(asked["params"]["message"], message);
            assert_eq!(talk.says()["nonce"], format!("n{n}"), "{}", talk.response);
            assert_eq!(talk.says()["executions"], 1);
        }
    });
    futures::future::join_all(talks).await;
}
