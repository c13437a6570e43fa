//! 2025-03-26 to 2025-11-25 over HTTP: the handshake, the session's id, arrays, and what clients
//! may get wrong inside a session.

use std::time::Duration;

use http::Method;
use mcp_router_tests::fixture::{Era, Fixture, LEGACY, MODERN};
use mcp_router_tests::harness::{
    HttpClient, LegacySession, Reply, Scene, exchange, modern_params, text,
};
use serde_json::{Value, json};

const L2: &str = "2025-03-26";

fn call(id: &Value, say: &str) -> Value {
    let params = json!({"name": "a.echo", "arguments": {"text": say}});
    json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": params})
}

fn initialize(version: &str) -> Value {
    let client = json!({"name": "c", "version": "1"});
    let params = json!({"protocolVersion": version, "capabilities": {}, "clientInfo": client});
    json!({"jsonrpc": "2.0", "id": "hi", "method": "initialize", "params": params})
}

fn refused(reply: &Reply, what: &str, status: u16, code: i64) {
    assert_eq!(reply.status, status, "{what}: {}", reply.text());
    assert_eq!(reply.code(), Some(code), "{what}: {}", reply.text());
}

#[tokio::test]
async fn r02_a_version_with_a_handshake_is_echoed_and_any_other_answered_with_the_newest() {
    let scene = Scene::new().await;
    let newest = LEGACY[0];
    let echoed = LEGACY.map(|version| (version, version));
    let others = [MODERN, "2027-01-01", "2024-01-01", "1.0", ""].map(|version| (version, newest));
    for (asked, agreed) in echoed.into_iter().chain(others) {
        let reply = scene
            .client()
            .post("/mcp", initialize(asked).to_string())
            .await;
        assert_eq!(reply.status, 200, "{asked}: {}", reply.text());
        let answer = reply.json();
        assert_eq!(answer["id"], "hi");
        let result = &answer["result"];
        assert_eq!(result["protocolVersion"], agreed, "{asked}: {answer}");
        assert_eq!(result["serverInfo"]["name"], "mcp-router", "{answer}");
        assert_eq!(
            result["capabilities"]["tools"]["listChanged"], true,
            "{answer}"
        );
        assert!(result.get("resultType").is_none(), "r29: {answer}");
        let id = reply.header("mcp-session-id").expect("a session id");
        assert!(id.bytes().all(|b| (0x21..=0x7e).contains(&b)), "{id}");
    }
    scene.works_untouched().await;
}

#[tokio::test]
async fn r04_r03_an_unknown_method_of_a_session_is_200_32601() {
    let scene = Scene::new().await;
    for revision in &LEGACY[..3] {
        let session = scene.session(revision).await;
        for method in [
            "no/such",
            "Tools/List",
            "server/discover",
            "subscriptions/listen",
            "tasks/get",
        ] {
            let reply = session.post(method, json!({})).await;
            refused(&reply, &format!("{revision} {method}"), 200, -32601);
        }
        // What modern clients must not ask belongs to these.
        let answer = session.request("ping", json!({})).await;
        assert_eq!(answer["result"], json!({}), "{answer}");
        let answer = session
            .request("logging/setLevel", json!({"level": "info"}))
            .await;
        assert_eq!(answer["result"], json!({}), "{answer}");
    }
    scene.works_untouched().await;
}

#[tokio::test]
async fn r29_r30_answers_are_plain_and_missing_resources_have_the_old_code() {
    let scene = Scene::new().await;
    let session = scene.session("2025-11-25").await;
    for (method, params) in [
        ("tools/list", json!({})),
        ("resources/list", json!({})),
        ("resources/templates/list", json!({})),
        ("prompts/list", json!({})),
        ("resources/read", json!({"uri": "a+memo://hello"})),
        (
            "tools/call",
            json!({"name": "a.echo", "arguments": {"text": "x"}}),
        ),
    ] {
        let answer = session.request(method, params).await;
        for member in ["resultType", "ttlMs", "cacheScope"] {
            assert!(answer["result"].get(member).is_none(), "{method}: {answer}");
        }
    }
    for uri in ["a+memo://nowhere", "b+memo://hello", "memo://hello"] {
        let reply = session.post("resources/read", json!({"uri": uri})).await;
        refused(&reply, uri, 200, -32002);
    }
    for params in [json!({"name": "a.nothing"}), json!({"name": 7}), json!({})] {
        let reply = session.post("tools/call", params.clone()).await;
        refused(&reply, &params.to_string(), 200, -32602);
    }
}

#[tokio::test]
async fn r11_b02_arrays_are_for_2025_03_26_and_bounded_there() {
    let scene = Scene::new().await;
    let session = scene.session(L2).await;
    let batch = json!([call(&json!(1), "one"), call(&json!("1"), "two"),
        {"jsonrpc": "2.0", "method": "notifications/progress", "params": {"progressToken": 1}},
        {"jsonrpc": "2.0", "id": 3, "method": "no/such"}, {"jsonrpc": "1.0", "id": 4}, 5]);
    let reply = session.client().post("/mcp", batch.to_string()).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    let answers = reply.messages();
    assert_eq!(answers.len(), 5, "{answers:#?}");
    let find = |id: Value| {
        answers
            .iter()
            .find(|a| a["id"] == id)
            .cloned()
            .unwrap_or_default()
    };
    assert_eq!(text(&find(json!(1))), "one", "{answers:#?}");
    assert_eq!(text(&find(json!("1"))), "two", "{answers:#?}");
    assert_eq!(find(json!(3))["error"]["code"], -32601);
    assert_eq!(find(json!(4))["error"]["code"], -32600);
    let before = scene.caused().len();

    let told = json!([{"jsonrpc": "2.0", "method": "notifications/any"}]);
    let reply = session.client().post("/mcp", told.to_string()).await;
    assert_eq!((reply.status.as_u16(), reply.body.len()), (202, 0), "r12");
    let many: Vec<_> = (0..51).map(|n| call(&json!(n), "bad")).collect();
    for (what, batch) in [
        ("empty", json!([])),
        ("51 items", Value::from(many)),
        (
            "initialize inside",
            json!([call(&json!(1), "bad"), initialize(L2)]),
        ),
    ] {
        let reply = session.client().post("/mcp", batch.to_string()).await;
        refused(&reply, what, 400, -32600);
    }
    let mut others = vec![scene.client()];
    for revision in LEGACY.iter().filter(|revision| **revision != L2) {
        others.push(scene.session(revision).await.client().clone());
    }
    let modern = scene
        .client()
        .with("mcp-protocol-version", MODERN)
        .with("mcp-method", "tools/call");
    others.push(modern);
    for client in others {
        let reply = client
            .post("/mcp", json!([call(&json!(1), "bad")]).to_string())
            .await;
        refused(&reply, "another revision", 400, -32600);
        let reply = client
            .post("/mcp", json!([initialize(L2)]).to_string())
            .await;
        refused(&reply, "another revision", 400, -32600);
    }
    scene.works().await;
    assert_eq!(scene.caused().len(), before, "{:#?}", scene.caused());
}

#[tokio::test]
async fn r12_b09_notifications_and_responses_are_202_and_empty_and_answer_nothing() {
    let scene = Scene::new().await;
    let session = scene.session("2025-11-25").await;
    for body in [
        json!({"jsonrpc": "2.0", "method": "notifications/initialized"}),
        json!({"jsonrpc": "2.0", "method": "notifications/any", "params": {}}),
        json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 99}}),
        json!({"jsonrpc": "2.0", "method": "notifications/progress",
            "params": {"progressToken": "forged", "progress": 1}}),
        json!({"jsonrpc": "2.0", "id": 99, "result": {"forged": true}}),
        json!({"jsonrpc": "2.0", "id": "AAAA", "error": {"code": -1, "message": "forged"}}),
    ] {
        let reply = session.client().post("/mcp", body.to_string()).await;
        assert_eq!(
            (reply.status.as_u16(), reply.body.len()),
            (202, 0),
            "{body}"
        );
    }
    let answer = session.call("a.echo", json!({"text": "well"})).await;
    assert_eq!(text(&answer), "well", "{answer}");
    let forged = scene
        .caused()
        .iter()
        .any(|r| r.body.windows(6).any(|w| w == b"forged"));
    assert!(!forged, "{:#?}", scene.caused());
}

/// What a request with this session id gets, for each verb.
async fn verbs(client: &HttpClient) -> Vec<Reply> {
    let body = call(&json!("i"), "bad").to_string();
    vec![
        client.post("/mcp", body).await,
        client.get("/mcp").await,
        client.delete("/mcp").await,
    ]
}

#[tokio::test]
async fn r40_no_session_id_is_400_and_one_that_is_not_open_404() {
    let scene = Scene::new().await;
    for reply in verbs(&scene.client()).await {
        assert_eq!(reply.status, 400, "{}", reply.text());
    }
    let session = scene.session("2025-11-25").await;
    let other = scene.session("2025-11-25").await;
    assert_ne!(session.id(), other.id());
    let ended = session.close().await;
    assert_eq!((ended.status.as_u16(), ended.body.len()), (204, 0));

    let flipped = {
        let (first, rest) = other.id().split_at(1);
        format!("{}{rest}", if first == "A" { "B" } else { "A" })
    };
    let cut = &other.id()[1..];
    let mut answers = Vec::new();
    for id in [
        session.id(),
        "unknown",
        &flipped,
        cut,
        "0",
        &other.id().to_lowercase(),
    ] {
        for reply in verbs(&scene.client().with("mcp-session-id", id)).await {
            assert_eq!(reply.status, 404, "{id}: {}", reply.text());
            answers.push(reply.text());
        }
    }
    // B21: the answer does not tell why.
    assert!(
        answers.windows(2).all(|pair| pair[0] == pair[1]),
        "{answers:?}"
    );
    let before = scene.caused().len();
    let answer = other.call("a.echo", json!({"text": "well"})).await;
    assert_eq!(text(&answer), "well", "{answer}");
    scene.works().await;
    assert_eq!(scene.caused().len(), before + 1, "{:#?}", scene.caused());
}

#[tokio::test]
async fn r40_the_end_of_a_session_closes_what_was_opened_for_it() {
    let backend = Fixture::builder().era(Era::Legacy);
    let scene = Scene::with("", backend).await;
    let session = scene.session("2025-11-25").await;
    session.call("a.echo", json!({"text": "x"})).await;
    let upstream = scene.caused()[0]
        .session()
        .expect("an upstream session")
        .to_owned();
    assert_ne!(upstream, session.id());
    let deleted = |log: &mcp_router_tests::fixture::RequestLog| {
        log.of("DELETE")
            .iter()
            .any(|r| r.session() == Some(&upstream))
    };
    assert!(!deleted(&scene.backend().log()));
    session.close().await;
    scene
        .backend()
        .log()
        .wait("the DELETE of the session", deleted)
        .await;
    scene.works().await;
}

#[tokio::test]
async fn b20_b21_odd_session_ids_are_404_and_never_more() {
    let scene = Scene::new().await;
    let long = "A".repeat(10 << 10);
    for id in [
        "../..",
        "../../../etc/passwd",
        "..%2f..",
        "%00",
        "a b",
        "\"",
        "{}",
        "*",
        &long,
    ] {
        for reply in verbs(&scene.client().with("mcp-session-id", id)).await {
            assert_eq!(reply.status, 404, "{id}: {}", reply.text());
            let echoed = id.len() > 4 && reply.text().contains(id);
            assert!(!echoed, "{}", reply.text());
        }
    }
    let addr = scene.router().addr();
    let raw = async |id: &[u8]| {
        let body = call(&json!(1), "bad").to_string();
        let head = format!(
            "POST /mcp HTTP/1.1\r\nhost: {addr}\r\naccept: */*\r\ncontent-type: application/json\r\n\
             content-length: {}\r\nconnection: close\r\nmcp-session-id: ",
            body.len()
        );
        let bytes = [head.as_bytes(), id, b"\r\n\r\n", body.as_bytes()].concat();
        let answer = exchange(addr, &bytes, Duration::from_secs(20)).await;
        String::from_utf8_lossy(&answer).into_owned()
    };
    // No header can hold a NUL; one that holds 64 KiB is over the limit of all headers (B13).
    let nul = raw(b"a\0b").await;
    assert!(nul.starts_with("HTTP/1.1 400"), "{nul}");
    let huge = raw("A".repeat(64 << 10).as_bytes()).await;
    assert!(huge.starts_with("HTTP/1.1 431"), "{huge}");
    let latin = raw(b"\xff\xfe").await;
    assert!(latin.starts_with("HTTP/1.1 404"), "{latin}");
    scene.works_untouched().await;
}

#[tokio::test]
async fn an_unsupported_version_header_in_a_session_is_400_32600() {
    let scene = Scene::new().await;
    let session = scene.session("2025-06-18").await;
    for version in ["1.0", "2025-01-01", "0000-00-00"] {
        let client = session
            .client()
            .clone()
            .with("mcp-protocol-version", version);
        let reply = client
            .post("/mcp", call(&json!(1), "bad").to_string())
            .await;
        refused(&reply, version, 400, -32600);
    }
    scene.works_untouched().await;
    // Absent: the version that was negotiated.
    let client = session.client().clone().with("mcp-protocol-version", "");
    let reply = client
        .post("/mcp", call(&json!(1), "well").to_string())
        .await;
    assert_eq!((reply.status.as_u16(), text(&reply.json())), (200, "well"));
}

#[tokio::test]
async fn b08_an_id_in_flight_is_400_32600_and_the_first_call_unharmed() {
    let scene = Scene::new().await;
    let session = scene.session("2025-11-25").await;
    let other = scene.session("2025-11-25").await;
    let sleep = |nonce: &str| {
        let arguments = json!({"ms": 1500, "nonce": nonce});
        let params = json!({"name": "a.sleep", "arguments": arguments});
        json!({"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": params}).to_string()
    };
    let first = session.client().post("/mcp", sleep("first"));
    let others = async {
        scene
            .backend()
            .log()
            .wait("the first call", |log| log.executions("first") == 1)
            .await;
        let again = session
            .client()
            .post("/mcp", call(&json!(7), "bad").to_string())
            .await;
        refused(&again, "in flight", 400, -32600);
        // Another type is another id, and so is another session's.
        for (client, id) in [(session.client(), json!("7")), (other.client(), json!(7))] {
            let reply = client.post("/mcp", call(&id, "well").to_string()).await;
            assert_eq!(text(&reply.json()), "well", "{}", reply.text());
        }
    };
    let (first, ()) = tokio::join!(first, others);
    assert_eq!(text(&first.json()), "slept", "{}", first.text());
    assert_eq!(first.json()["id"], 7);
    // And now it is free.
    let reply = session
        .client()
        .post("/mcp", call(&json!(7), "well").to_string())
        .await;
    assert_eq!(text(&reply.json()), "well", "{}", reply.text());
    let bad = scene
        .caused()
        .iter()
        .any(|r| r.json()["params"]["arguments"]["text"] == "bad");
    assert!(!bad, "{:#?}", scene.caused());
}

#[tokio::test]
async fn b09_nobody_cancels_the_calls_of_another_session() {
    let scene = Scene::new().await;
    let (victim, rogue) = (
        scene.session("2025-11-25").await,
        scene.session("2025-11-25").await,
    );
    let sleep = json!({"name": "a.sleep", "arguments": {"ms": 1500, "nonce": "v"}});
    let request = json!({"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": sleep});
    let running = victim.client().post("/mcp", request.to_string());
    let attack = async {
        scene
            .backend()
            .log()
            .wait("the call", |log| log.executions("v") == 1)
            .await;
        let upstream = scene.caused()[0].id();
        for id in [json!(7), json!("7"), upstream] {
            let reply = rogue
                .notify("notifications/cancelled", json!({"requestId": id}))
                .await;
            assert_eq!(reply.status, 202);
            let forged = json!({"jsonrpc": "2.0", "id": id, "result": {"content": []}});
            assert_eq!(
                rogue.client().post("/mcp", forged.to_string()).await.status,
                202
            );
        }
    };
    let (answer, ()) = tokio::join!(running, attack);
    assert_eq!(text(&answer.json()), "slept", "{}", answer.text());
    assert_eq!(
        (
            scene.backend().log().cancelled(),
            scene.backend().log().abandoned()
        ),
        (0, 0)
    );
}

#[tokio::test]
async fn r39_a_cancelled_call_gets_no_answer_and_its_backend_is_told() {
    let scene = Scene::with("", Fixture::builder().era(Era::Legacy)).await;
    let session = scene.session("2025-11-25").await;
    let sleep = json!({"name": "a.sleep", "arguments": {"ms": 60_000, "nonce": "n"}});
    let request = json!({"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": sleep});
    let running = session.client().post("/mcp", request.to_string());
    let log = scene.backend().log();
    let cancel = async {
        log.wait("the call", |log| log.executions("n") == 1).await;
        session
            .notify("notifications/cancelled", json!({"requestId": 7}))
            .await;
        log.wait_for("notifications/cancelled", 1).await;
        log.wait("its end", |log| log.cancelled() + log.abandoned() == 1)
            .await;
        let told = log.of("notifications/cancelled")[0].clone();
        let call = log.of("tools/call").pop().expect("the call");
        assert_eq!(told.params()["requestId"], call.id(), "{told:?}");
        assert_eq!(told.session(), call.session(), "{told:?}");
    };
    let (reply, ()) = tokio::join!(running, cancel);
    assert!(!reply.text().contains("\"id\""), "{}", reply.text());
}

#[tokio::test]
async fn r25_a_change_is_told_once_on_the_newest_stream() {
    let scene = Scene::new().await;
    let session = scene.session("2025-11-25").await;
    let mut older = session.stream().await;
    let mut newer = session.stream().await;
    assert_eq!((older.status.as_u16(), newer.status.as_u16()), (200, 200));
    assert_eq!(newer.headers["content-type"], "text/event-stream");
    for at in 0..2 {
        scene.backend().add_tool(&format!("new-{at}"));
        let told = newer.events.message().await;
        assert_eq!(told["method"], "notifications/tools/list_changed", "{told}");
        assert!(
            told.get("id").is_none() && told["params"]["_meta"].is_null(),
            "{told}"
        );
    }
    // With the newest gone, the other one is told; what came before did not come there.
    drop(newer);
    let names = session.tool_names().await;
    assert!(names.contains(&"a.new-1".to_owned()), "{names:?}");
    scene.backend().add_prompt("new");
    let told = older.events.message().await;
    assert_eq!(
        told["method"], "notifications/prompts/list_changed",
        "{told}"
    );
}

#[tokio::test]
async fn r01_both_eras_and_every_revision_share_one_endpoint() {
    let scene = Scene::new().await;
    let mut sessions = Vec::new();
    for revision in LEGACY {
        let session = scene.session(revision).await;
        assert_eq!(session.initialized["protocolVersion"], revision);
        sessions.push(session);
    }
    let modern = scene.modern();
    let all = async |n: usize| {
        let say = json!({"text": n.to_string()});
        let legacy = sessions
            .iter()
            .map(|s: &LegacySession| s.call("a.echo", say.clone()));
        let (mut answers, last) = tokio::join!(
            futures::future::join_all(legacy),
            modern.call("a.echo", say.clone())
        );
        answers.push(last);
        for answer in answers {
            assert_eq!(text(&answer), n.to_string(), "{answer}");
        }
    };
    futures::future::join_all((0..10).map(all)).await;
    // A modern request stays one, also with a session's headers on it.
    let params = modern_params(json!({}), &json!({}));
    let body = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": params});
    let client = sessions[0]
        .client()
        .clone()
        .with("mcp-protocol-version", MODERN);
    let request = client.with("mcp-method", "tools/list");
    let request = request.request(Method::POST, "/mcp", body.to_string());
    let answer = scene.client().send(request).await.json();
    assert_eq!(answer["result"]["resultType"], "complete", "{answer}");
}
