//! Clients with a handshake, in front of backends that end a call by saying what they need.

use mcp_router_tests::fixture::{Era, Fixture};
use mcp_router_tests::harness::{LegacySession, Scene, agreeable, everything};
use serde_json::{Value, json};

async fn scene() -> Scene {
    Scene::with("", Fixture::builder().era(Era::Modern).asking()).await
}

async fn session(scene: &Scene, revision: &str, capabilities: Value) -> LegacySession {
    LegacySession::open_with(scene.client(), revision, capabilities).await
}

/// What older revisions spell otherwise.
fn declared(revision: &str) -> Value {
    match revision {
        "2025-11-25" => everything(),
        _ => json!({"elicitation": {}, "sampling": {}, "roots": {"listChanged": true}}),
    }
}

#[tokio::test]
async fn r31_a_client_of_each_revision_is_asked_what_its_revision_has_words_for() {
    let scene = scene().await;
    for (revision, tools) in [
        ("2024-11-05", &["ask_sampling", "ask_roots"][..]),
        ("2025-03-26", &["ask_sampling", "ask_roots"]),
        (
            "2025-06-18",
            &["ask_elicit", "ask_all", "ask_twice", "ask_state"],
        ),
        (
            "2025-11-25",
            &["ask_elicit", "ask_all", "ask_twice", "ask_state", "ask_url"],
        ),
    ] {
        let session = session(&scene, revision, declared(revision)).await;
        for tool in tools {
            let nonce = format!("{revision}-{tool}");
            let talk = session
                .talk(&format!("a.{tool}"), json!({ "nonce": nonce }), |r| {
                    Ok(agreeable(r))
                })
                .await;
            let answers = talk.says()["answers"].as_array().map(Vec::len);
            assert_eq!(
                answers,
                Some(talk.asked.len()),
                "{nonce}: {}",
                talk.response
            );
            let expected: Vec<_> = talk.asked.iter().map(agreeable).collect();
            assert_eq!(talk.says()["answers"], json!(expected), "{nonce}");
            assert_eq!(scene.backend().log().executions(&nonce), 1, "{nonce}");
        }
    }
}

#[tokio::test]
async fn r32_each_round_is_a_request_of_its_own_that_carries_the_backends_state_untouched() {
    let scene = scene().await;
    let session = session(&scene, "2025-11-25", everything()).await;
    let talk = session
        .talk("a.ask_twice", json!({"nonce": "n"}), |r| Ok(agreeable(r)))
        .await;
    // The backend refuses a state that differs from the one it gave by a single byte.
    assert_eq!(talk.says()["executions"], 1, "{}", talk.response);
    let rounds = scene.backend().log().of("tools/call");
    let rounds: Vec<_> = rounds
        .iter()
        .filter(|r| r.name.as_deref() == Some("ask_twice"))
        .collect();
    assert_eq!(rounds.len(), 3);
    let mut ids: Vec<_> = rounds.iter().map(|r| r.id().to_string()).collect();
    ids.dedup();
    assert_eq!(ids.len(), 3, "{ids:?}");
    assert!(rounds[0].params().get("requestState").is_none());
    let keys = rounds[2].params()["inputResponses"].clone();
    assert_eq!(
        keys.as_object().map(serde_json::Map::len),
        Some(1),
        "of the last round alone"
    );
}

#[tokio::test]
async fn r31_a_url_is_shown_once_and_visits_have_an_id() {
    let scene = scene().await;
    let session = session(&scene, "2025-11-25", everything()).await;
    let arguments = json!({"nonce": "n", "again": 3});
    let talk = session
        .talk("a.ask_url", arguments, |r| Ok(agreeable(r)))
        .await;
    assert_eq!(talk.asked.len(), 1, "{:?}", talk.asked);
    let asked = &talk.asked[0]["params"];
    assert_eq!(asked["url"], "https://example.com/visit/n");
    assert!(asked["elicitationId"].is_string());
    assert_eq!(talk.says()["executions"], 1, "{}", talk.response);
}

#[tokio::test]
async fn r31_a_client_that_refuses_ends_the_call_and_one_that_is_never_left_alone_too() {
    let scene = scene().await;
    let session = session(&scene, "2025-11-25", everything()).await;
    let refusal = json!({"code": -1, "message": "no"});
    let refused = session
        .talk("a.ask_sampling", json!({"nonce": "n"}), |_| {
            Err(refusal.clone())
        })
        .await;
    let error = &refused.response["error"];
    assert_eq!(
        (&error["code"], &error["data"]["reason"]),
        (&json!(-32603), &json!("input_refused"))
    );
    let endless = session
        .talk("a.ask_forever", json!({"nonce": "n"}), |r| Ok(agreeable(r)))
        .await;
    assert_eq!(endless.asked.len(), 8);
    assert_eq!(
        endless.response["error"]["data"]["reason"],
        "too_many_rounds"
    );
    assert_eq!(scene.backend().log().executions("n"), 0);
    scene.works().await;
}

#[tokio::test]
async fn r35_a_legacy_client_is_told_what_it_lacks_and_asked_nothing() {
    let scene = scene().await;
    let all = json!({"elicitation": {}, "sampling": {}, "roots": {}});
    for (revision, capabilities, tool, lacks) in [
        ("2025-11-25", json!({}), "a.ask_roots", "roots"),
        ("2025-11-25", all.clone(), "a.ask_url", "elicitation.url"),
        (
            "2025-06-18",
            json!({"sampling": {}}),
            "a.ask_elicit",
            "elicitation",
        ),
        ("2025-03-26", all.clone(), "a.ask_elicit", "elicitation"),
        ("2024-11-05", all, "a.ask_elicit", "elicitation"),
    ] {
        let session = session(&scene, revision, capabilities).await;
        let talk = session
            .talk(tool, json!({"nonce": "n"}), |r| panic!("asked {r}"))
            .await;
        assert_eq!(talk.code(), Some(-32603), "{}", talk.response);
        let text = talk.response["error"]["message"]
            .as_str()
            .unwrap_or_default();
        assert!(text.contains(lacks), "{text}");
    }
    assert_eq!(scene.backend().log().executions("n"), 0);
}

#[tokio::test]
async fn r37_what_one_client_is_asked_no_other_one_sees() {
    let scene = scene().await;
    let talks = (0..8).map(|n| {
        let scene = &scene;
        async move {
            let session = session(scene, "2025-11-25", everything()).await;
            let message = format!("question {n}");
            let arguments = json!({"nonce": format!("n{n}"), "message": message});
            let name = json!({"action": "accept", "content": {"name": message}});
            let talk = session
                .talk("a.ask_elicit", arguments, |_| Ok(name.clone()))
                .await;
            assert_eq!(talk.asked.len(), 1);
            assert_eq!(talk.asked[0]["params"]["message"], message);
            assert_eq!(talk.says()["answers"][0], name);
        }
    });
    futures::future::join_all(talks).await;
}
