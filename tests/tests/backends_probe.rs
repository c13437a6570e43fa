//! Finding out what speaks at a URL, whatever it says to a question that it does not know.

use mcp_router_tests::fixture::{Era, Fault, Fixture, FixtureBuilder, Rule};
use mcp_router_tests::harness::{Router, config, until};
use serde_json::{Value, json};

const PROBE: &str = "server/discover";

async fn works(router: &Router, name: &str) {
    let tool = format!("{name}.add");
    let answer = router.modern().call(&tool, json!({"a": 1, "b": 2})).await;
    assert_eq!(
        answer["result"]["content"][0]["text"], "3",
        "{name}: {answer}"
    );
}

fn legacy() -> FixtureBuilder {
    Fixture::builder().era(Era::Legacy)
}

#[tokio::test]
async fn r46_a_legacy_server_may_answer_the_probe_with_anything() {
    let status = |code, body: &str| Fault::Status {
        code,
        retry_after: None,
        body: Some(body.to_owned()),
    };
    let error = |code: i64| {
        json!({"jsonrpc": "2.0", "id": null, "error": {"code": code, "message": "no"}}).to_string()
    };
    let answers: [(&str, Fault); 17] = [
        (
            "bad-request",
            status(400, "Bad Request: Server not initialized"),
        ),
        ("bad-session", status(400, &error(-32000))),
        ("not-found", status(404, &error(-32601))),
        ("no-page", status(404, "<h1>Not Found</h1>")),
        ("no-method", status(405, "")),
        ("not-acceptable", status(406, &error(-32000))),
        ("no-media", status(415, "")),
        ("unprocessable", status(422, "{\"detail\":[]}")),
        ("broken", status(500, "Internal Server Error")),
        ("internal", status(500, &error(-32603))),
        ("empty", Fault::NotMcp),
        ("nonsense", Fault::InvalidJson),
        ("cut", Fault::TruncatedJson),
        ("foreign", Fault::OnlyUnknownId),
        ("page", Fault::Html),
        ("closing", Fault::Close),
        ("ending", Fault::SseCloseEarly),
    ];
    let mut backends = Vec::new();
    for (name, fault) in answers {
        let rule = Rule::new(fault).on(PROBE);
        backends.push((name, legacy().rule(rule).spawn().await));
    }
    let urls = backends
        .iter()
        .map(|(name, fixture)| (*name, fixture.url()));
    let router = Router::start(&config(urls)).await;
    for (name, fixture) in &backends {
        router.until_healthy(name).await;
        works(&router, name).await;
        let protocol = router.backend(name).await["protocol"].to_string();
        assert!(protocol.contains("2025-11-25"), "{name}: {protocol}");
        // Widely used servers serve other methods before `initialize`: only this one is asked. (The
        // page for health is none of MCP.)
        let methods = fixture.log().methods();
        let before = methods.iter().take_while(|m| *m != "initialize");
        assert!(
            before.into_iter().all(|m| m == PROBE || m == "health"),
            "{name}: {methods:?}"
        );
    }
}

#[tokio::test]
async fn r46_silence_to_the_probe_is_an_answer_too() {
    let silent = |fault| legacy().rule(Rule::new(fault).on(PROBE)).spawn();
    let (mute, stuck) = (
        silent(Fault::NeverAnswer).await,
        silent(Fault::SseSilent).await,
    );
    let urls = [("mute", mute.url()), ("stuck", stuck.url())];
    let router = Router::start(&config(urls)).await;
    for name in ["mute", "stuck"] {
        router.until_healthy(name).await;
        works(&router, name).await;
    }
}

#[tokio::test]
async fn r46_a_modern_server_is_never_asked_to_initialize() {
    let modern = Fixture::builder().era(Era::Modern).spawn().await;
    let dual = Fixture::builder().answer_as_sse().spawn().await;
    let router = Router::start(&config([("m", modern.url()), ("d", dual.url())])).await;
    for (name, fixture) in [("m", &modern), ("d", &dual)] {
        router.until_healthy(name).await;
        works(&router, name).await;
        let methods = fixture.log().methods();
        assert!(!methods.contains(&"initialize".to_owned()), "{methods:?}");
    }
}

#[tokio::test]
async fn a_base_url_finds_mcp_then_sse_and_an_exact_one_is_taken_at_its_word() {
    let (streamable, sse) = (
        legacy().spawn().await,
        Fixture::builder().http_sse().spawn().await,
    );
    let file = format!(
        "backends:
  - {{ name: bare, namespace: bare, url: \"{}\" }}
  - {{ name: slash, namespace: slash, url: \"{}/\" }}
  - {{ name: sse, namespace: sse, url: \"{}\" }}
  - {{ name: told, namespace: told, url: \"{}\", transport: sse }}
  - {{ name: wrong, namespace: wrong, url: \"{}/elsewhere\" }}\n",
        streamable.base_url(),
        streamable.base_url(),
        sse.base_url(),
        sse.url(),
        streamable.base_url(),
    );
    let router = Router::start(&file).await;
    for name in ["bare", "slash", "sse", "told"] {
        router.until_healthy(name).await;
        works(&router, name).await;
    }
    let wrong = router.backend("wrong").await;
    assert_eq!(wrong["healthy"], false, "{wrong}");
    assert!(wrong["last_error"].to_string().contains("404"), "{wrong}");
}

#[tokio::test]
async fn a_finding_is_remembered_and_a_changed_server_found_again() {
    let fixture = legacy().spawn().await;
    let router = Router::start(&config([("a", fixture.url())])).await;
    router.until_healthy("a").await;
    let port = fixture.url();
    // The same address, another server: upgraded while the router runs.
    let port: u16 = port
        .split([':', '/'])
        .find_map(|part| part.parse().ok())
        .expect("a port");
    drop(fixture);
    until("the loss is seen", async || {
        router.modern().call("a.add", json!({})).await;
        router.backend("a").await["healthy"] == false
    })
    .await;
    let upgraded = Fixture::builder().era(Era::Modern).port(port).spawn().await;
    router.until_healthy("a").await;
    works(&router, "a").await;
    let protocol = router.backend("a").await["protocol"].to_string();
    assert!(protocol.contains("2026-07-28"), "{protocol}");
    assert!(upgraded.log().count("tools/call") > 0);
}

#[tokio::test]
async fn r50_no_header_of_the_client_reaches_a_backend() {
    let (old, new) = (
        legacy().spawn().await,
        Fixture::builder().era(Era::Modern).spawn().await,
    );
    let sse = Fixture::builder().http_sse().spawn().await;
    let file = format!(
        "backends:
  - {{ name: old, namespace: old, url: \"{}\", headers: {{ Authorization: Bearer-own }} }}
  - {{ name: new, namespace: new, url: \"{}\", headers: {{ X-Own: configured }} }}
  - {{ name: sse, namespace: sse, url: \"{}\" }}\n",
        old.url(),
        new.url(),
        sse.url()
    );
    let router = Router::start(&file).await;
    router.until_ready().await;
    let secrets = [
        ("authorization", "Bearer client-secret"),
        ("cookie", "id=client-secret"),
        ("x-forwarded-for", "client-secret"),
        ("x-api-key", "client-secret"),
        ("mcp-param-region", "client-secret"),
    ];
    let client = secrets
        .iter()
        .fold(router.client(), |c, (n, v)| c.with(n, v));
    let initialize = json!({"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "x", "version": "1"}});
    let body = json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": initialize});
    let reply = client.post("/mcp", body.to_string()).await;
    let session = reply
        .header("mcp-session-id")
        .expect("a session")
        .to_owned();
    let client = client.with("mcp-session-id", &session);
    for name in ["old", "new", "sse"] {
        router.until_healthy(name).await;
        let call = json!({"name": format!("{name}.add"), "arguments": {"a": 1, "b": 2}});
        let body = json!({"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": call});
        let answer = client.post("/mcp", body.to_string()).await.json();
        assert_eq!(answer["result"]["content"][0]["text"], "3", "{answer}");
    }
    for (fixture, own) in [
        (&old, Some(("authorization", "Bearer-own"))),
        (&new, Some(("x-own", "configured"))),
        (&sse, None),
    ] {
        for received in fixture.log().requests() {
            let headers = format!("{:?}", received.headers);
            assert!(!headers.contains("client-secret"), "{headers}");
            assert!(!headers.contains(&session), "our session id: {headers}");
            if let Some((name, value)) = own {
                assert_eq!(received.header(name), Some(value), "{headers}");
            }
        }
    }
    let told: Value = router.backend("old").await;
    for text in [router.logs().text(), told.to_string()] {
        assert!(
            !text.contains("Bearer-own") && !text.contains("client-secret"),
            "{text}"
        );
    }
}
