//! Whose message is whose: ids and tokens keep their type and value, equal ones of different
//! clients do not meet, and nothing of a client's own hop reaches a backend.

use std::time::Duration;

use http::Method;
use mcp_router_tests::fixture::{Era, Fixture, MODERN};
use mcp_router_tests::harness::{
    ChildLog, LegacySession, ModernClient, Router, Scene, child_entry, text,
};
use serde_json::{Value, json};

/// Ids as clients write them.
const IDS: [&str; 12] = [
    "0",
    "-1",
    "7",
    "\"7\"",
    "9007199254740993",
    "9223372036854775807",
    "-9223372036854775808",
    "\"\"",
    "\"a\\u0000b\\/\"",
    "\"gr\u{fc}n \\u2603\"",
    "\"1e3\"",
    "\"null\"",
];

fn modern_meta(more: &str) -> String {
    format!(
        r#""_meta":{{"io.modelcontextprotocol/protocolVersion":"{MODERN}","io.modelcontextprotocol/clientCapabilities":{{}}{more}}}"#
    )
}

#[tokio::test]
async fn r21_ids_come_back_with_the_bytes_they_had() {
    let scene = Scene::new().await;
    let session = scene.session("2025-11-25").await;
    let modern = scene.client().with("mcp-protocol-version", MODERN);
    for id in IDS {
        let wanted = format!(r#""id":{id}"#);
        for (method, name, params) in [
            (
                "tools/call",
                "a.echo",
                r#""name":"a.echo","arguments":{"text":"x"}"#,
            ),
            ("tools/list", "", ""),
            ("resources/read", "a+memo://no", r#""uri":"a+memo://no""#),
            ("no/such", "", ""),
        ] {
            let legacy = format!(
                r#"{{"jsonrpc":"2.0","id":{id},"method":"{method}","params":{{{params}}}}}"#
            );
            let comma = if params.is_empty() { "" } else { "," };
            let stateless = format!(
                r#"{{"jsonrpc":"2.0","id":{id},"method":"{method}","params":{{{params}{comma}{}}}}}"#,
                modern_meta("")
            );
            let client = modern
                .clone()
                .with("mcp-method", method)
                .with("mcp-name", name);
            for reply in [
                session.client().post("/mcp", legacy).await,
                client.post("/mcp", stateless).await,
            ] {
                assert!(
                    reply.text().contains(&wanted),
                    "{method} {id}: {}",
                    reply.text()
                );
            }
        }
    }
    // What the backend saw was the router's own, and never the same twice on a connection.
    let seen = scene.caused();
    assert!(
        seen.iter()
            .all(|r| r.method != "tools/call" || r.id() != json!("null")),
        "{seen:#?}"
    );
}

#[tokio::test]
async fn r21_f11_equal_ids_of_many_clients_do_not_meet() {
    let scene = Scene::new().await;
    let mut sessions = Vec::new();
    for _ in 0..20 {
        sessions.push(scene.session("2025-11-25").await);
    }
    let client = scene.client();
    let round = async |n: usize, legacy: Option<&LegacySession>| {
        let say = format!("text-{n}");
        // Every one of them calls it 1.
        let call = json!({"name": "a.echo", "arguments": {"text": say}});
        let reply = match legacy {
            Some(session) => {
                let body =
                    json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": call});
                session.client().post("/mcp", body.to_string()).await
            }
            None => {
                client
                    .send(ModernClient::new(scene.router().addr()).prepare("tools/call", call))
                    .await
            }
        };
        let answer = reply.json();
        assert_eq!(
            (text(&answer), &answer["id"]),
            (say.as_str(), &json!(1)),
            "{answer}"
        );
    };
    for at in 0..5 {
        let legacy = sessions
            .iter()
            .enumerate()
            .map(|(n, s)| round(at * 1000 + n, Some(s)));
        let modern = (0..20).map(|n| round(at * 1000 + 500 + n, None));
        tokio::join!(
            futures::future::join_all(legacy),
            futures::future::join_all(modern)
        );
    }
}

/// The messages of a call of `a.progress` by a client of either era, its body written by hand.
async fn progress(
    scene: &Scene,
    session: Option<&LegacySession>,
    token: Option<&str>,
) -> Vec<String> {
    let token = token
        .map(|t| format!(r#""progressToken":{t}"#))
        .unwrap_or_default();
    let (client, meta) = match session {
        Some(session) => (session.client().clone(), format!(r#""_meta":{{{token}}}"#)),
        None => {
            let client = scene.client().with("mcp-protocol-version", MODERN);
            let client = client
                .with("mcp-method", "tools/call")
                .with("mcp-name", "a.progress");
            let comma = if token.is_empty() { "" } else { "," };
            (client, modern_meta(&format!("{comma}{token}")))
        }
    };
    let body = format!(
        r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"a.progress","arguments":{{"n":3,"ms":20}},{meta}}}}}"#
    );
    let mut stream = client
        .open(client.request(Method::POST, "/mcp", body))
        .await;
    let mut messages = Vec::new();
    if stream.headers["content-type"] == "application/json" {
        return messages;
    }
    while let Some(event) = stream.events.next().await {
        if !event.data.is_empty() {
            messages.push(event.data);
        }
    }
    messages
}

#[tokio::test]
async fn r21_r22_progress_carries_the_clients_token_in_order_and_ends_with_the_answer() {
    for era in [Era::Legacy, Era::Modern] {
        let scene = Scene::with("", Fixture::builder().era(era)).await;
        let session = scene.session("2025-11-25").await;
        for token in IDS {
            for session in [Some(&session), None] {
                let messages = progress(&scene, session, Some(token)).await;
                let (answer, before) = messages.split_last().expect("messages");
                assert!(
                    answer.contains(r#""id":1"#),
                    "the answer is last: {messages:#?}"
                );
                assert_eq!(before.len(), 3, "{messages:#?}");
                for (n, message) in before.iter().enumerate() {
                    let wanted = format!(r#""progressToken":{token}"#);
                    assert!(message.contains(&wanted), "{token}: {message}");
                    let step: Value = serde_json::from_str(message).expect("JSON");
                    assert_eq!(step["params"]["progress"], n + 1, "{messages:#?}");
                }
            }
        }
        // The router's own tokens were distinct, whatever the clients called theirs.
        let mut tokens: Vec<_> = scene.backend().log().of("tools/call");
        tokens.retain(|r| r.name.as_deref() == Some("progress"));
        let mut tokens: Vec<_> = tokens
            .iter()
            .map(|r| r.params()["_meta"]["progressToken"].to_string())
            .collect();
        assert_eq!(tokens.len(), 2 * IDS.len());
        tokens.sort();
        tokens.dedup();
        assert_eq!(tokens.len(), 2 * IDS.len(), "{era:?}: {tokens:?}");
    }
}

#[tokio::test]
async fn r22_without_a_token_there_is_no_progress_and_equal_tokens_do_not_meet() {
    let scene = Scene::new().await;
    let (one, two) = (
        scene.session("2025-11-25").await,
        scene.session("2025-06-18").await,
    );
    for session in [Some(&one), None] {
        let messages = progress(&scene, session, None).await;
        assert!(
            messages.iter().all(|m| !m.contains("progress\"")),
            "{messages:#?}"
        );
    }
    for seen in scene.caused() {
        assert!(
            seen.params()["_meta"]["progressToken"].is_null(),
            "{seen:?}"
        );
    }
    let both = async |session| progress(&scene, session, Some("\"same\"")).await.len();
    let lens = tokio::join!(both(Some(&one)), both(Some(&two)), both(None), both(None));
    assert_eq!(lens, (4, 4, 4, 4));
}

/// What a client and the proxies before it may send along; `sEcReT` marks what must stay here.
const FOREIGN: [(&str, &str); 16] = [
    ("authorization", "Bearer sEcReT-token"),
    ("cookie", "session=sEcReT"),
    ("proxy-authorization", "Basic sEcReT"),
    ("x-api-key", "sEcReT"),
    ("x-forwarded-for", "sEcReT.example"),
    ("x-forwarded-host", "sEcReT.example"),
    ("x-forwarded-proto", "https"),
    ("x-real-ip", "10.9.8.7"),
    ("forwarded", "for=10.9.8.7;host=sEcReT"),
    ("via", "1.1 sEcReT"),
    ("x-internal", "sEcReT"),
    ("x-mcp-router-principal", "sEcReT"),
    ("connection", "keep-alive, x-hop"),
    ("x-hop", "sEcReT"),
    ("te", "trailers"),
    ("last-event-id", "sEcReT"),
];

/// Calls `a.echo` in both eras and reads a resource, each request with all of [`FOREIGN`] on it.
async fn ask_with_foreign_headers(router: &Router) {
    let foreign = FOREIGN
        .iter()
        .fold(router.client(), |client, (name, value)| {
            client.with(name, value)
        });
    let session = LegacySession::open_with(foreign.clone(), "2025-11-25", json!({})).await;
    let answer = session.call("a.echo", json!({"text": "legacy"})).await;
    assert_eq!(text(&answer), "legacy", "{answer}");
    let mut request = router.modern().prepare(
        "tools/call",
        json!({"name": "a.echo", "arguments": {"text": "modern"}}),
    );
    let headers = foreign.request(Method::GET, "/", "");
    for (name, value) in headers.headers() {
        request.headers_mut().entry(name).or_insert(value.clone());
    }
    let answer = router.client().send(request).await.json();
    assert_eq!(text(&answer), "modern", "{answer}");
    session
        .request("resources/read", json!({"uri": "a+memo://hello"}))
        .await;
    session.close().await;
}

#[tokio::test]
async fn r50_no_header_of_a_client_reaches_a_child() {
    for era in ["legacy", "modern"] {
        let log = ChildLog::new();
        let kid = child_entry("a", &["--era", era, "--log-file", &log.path()]);
        let router = Router::start(&format!("backends:\n{kid}")).await;
        router.until_ready().await;
        router.until_healthy("a").await;
        ask_with_foreign_headers(&router).await;

        // Its stdin is written down message by message, so that nothing can hide.
        assert_eq!(log.received("tools/call").len(), 2);
        assert_eq!(log.received("resources/read").len(), 1);
        let received = std::fs::read_to_string(log.path()).expect("the child ran");
        for text in [received, router.logs().text()] {
            let leaked = text.contains("sEcReT") || text.contains("10.9.8.7");
            assert!(!leaked, "{era}: {text}");
        }
    }
}

#[tokio::test]
async fn r50_b19_no_header_of_a_client_reaches_a_backend_and_its_own_credential_does() {
    for era in [Era::Legacy, Era::Modern] {
        let backend = Fixture::builder().era(era).spawn().await;
        let file = format!(
            "backends:\n  - {{ name: a, namespace: a, url: \"{}\", headers: {{ Authorization: \"Bearer own\" }} }}",
            backend.url()
        );
        let router = Router::start(&file).await;
        router.until_ready().await;
        ask_with_foreign_headers(&router).await;

        let log = backend.log();
        assert_eq!(log.count("tools/call"), 2);
        for seen in log.requests() {
            let all = format!("{seen:?}").to_ascii_lowercase();
            assert!(
                !all.contains("secret") && !all.contains("10.9.8.7"),
                "{seen:?}"
            );
            assert_eq!(seen.header("authorization"), Some("Bearer own"), "{seen:?}");
            for name in seen.headers.keys() {
                let known = [
                    "host",
                    "accept",
                    "content-type",
                    "content-length",
                    "authorization",
                ];
                let name = name.as_str();
                let ours = name.starts_with("mcp-") || name == "user-agent";
                assert!(known.contains(&name) || ours, "{name}: {seen:?}");
            }
        }
        assert!(
            !router.logs().contains("sEcReT"),
            "{}",
            router.logs().text()
        );
    }
}

#[tokio::test]
async fn b19_forged_proxy_headers_open_no_door() {
    let scene = Scene::new().await;
    let own = scene.router().addr().to_string();
    for (name, value) in [
        ("x-forwarded-host", own.as_str()),
        ("forwarded", "host=localhost"),
    ] {
        let client = scene
            .client()
            .with("host", "evil.example")
            .with(name, value);
        assert_eq!(client.post("/mcp", "{}").await.status, 403, "{name}");
        let client = scene
            .client()
            .with("origin", "http://evil.example")
            .with(name, value);
        assert_eq!(client.post("/mcp", "{}").await.status, 403, "{name}");
    }
    scene.works_untouched().await;
}

#[tokio::test]
async fn r38_f34_a_stateless_client_that_leaves_cancels_and_a_legacy_one_does_not() {
    let scene = Scene::new().await;
    let log = scene.backend().log();
    let sleep =
        |nonce: &str, ms: u64| json!({"name": "a.sleep", "arguments": {"nonce": nonce, "ms": ms}});
    let leaving = tokio::spawn({
        let modern = scene.modern();
        let params = sleep("gone", 60_000);
        async move { modern.request("tools/call", params).await }
    });
    log.wait("the call", |log| log.executions("gone") == 1)
        .await;
    leaving.abort();
    log.wait("its end", |log| log.abandoned() == 1).await;

    let session = scene.session("2025-11-25").await;
    let client = session.client().clone();
    let body =
        json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": sleep("kept", 1500)});
    let leaving = tokio::spawn(async move { client.post("/mcp", body.to_string()).await });
    log.wait("the call", |log| log.executions("kept") == 1)
        .await;
    leaving.abort();
    // Longer than the call takes: had the leaving been taken for a cancellation, it would show.
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!((log.abandoned(), log.cancelled()), (1, 0));
    scene.works().await;
}
