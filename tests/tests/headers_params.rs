//! Arguments that are repeated in headers, from modern clients to modern backends over HTTP.

use http::StatusCode;
use mcp_router_tests::fixture::{Era, Fixture, FixtureBuilder};
use mcp_router_tests::harness::{Reply, Router, Scene, config, text};
use serde_json::{Value, json};

fn marked(name: &str, region: &Value) -> Value {
    let properties = json!({"region": region, "text": {"type": "string"}});
    json!({"name": name, "inputSchema": {"type": "object", "properties": properties}})
}

/// A backend with one tool whose marks are in order and several where they are not.
fn backend() -> FixtureBuilder {
    let string = |mark: &str| json!({"type": "string", "x-mcp-header": mark});
    let deep = json!({"type": "object", "properties": {
        "n": {"type": "integer", "x-mcp-header": "Limit"},
    }});
    let mut builder = Fixture::builder().era(Era::Modern).tool("plain");
    for tool in [
        marked("deep", &deep),
        marked("empty", &string("")),
        marked("spaced", &string("Two words")),
        marked("number", &json!({"type": "number", "x-mcp-header": "N"})),
        marked("listed", &json!({"type": "array", "items": string("Item")})),
    ] {
        builder = builder.tool_definition(&tool);
    }
    builder
}

/// A call with these headers beside those that every call has.
async fn call(router: &Router, tool: &str, arguments: Value, headers: &[(&str, &str)]) -> Reply {
    let client = router.modern();
    let params = json!({"name": tool, "arguments": arguments});
    let mut request = client.prepare("tools/call", params);
    for (name, value) in headers {
        let name: http::HeaderName = name.parse().expect("a name");
        let value = http::HeaderValue::from_bytes(value.as_bytes()).expect("a value");
        request.headers_mut().append(name, value);
    }
    client.send(request).await
}

async fn tools(router: &Router) -> Vec<Value> {
    let answer = router.modern().request("tools/list", json!({})).await;
    answer["result"]["tools"].as_array().expect("tools").clone()
}

#[tokio::test]
async fn r26_tools_with_invalid_marks_are_left_out_of_the_list_and_named() {
    let scene = Scene::with("", backend()).await;
    let tools = tools(scene.router()).await;
    let names: Vec<_> = tools.iter().filter_map(|t| t["name"].as_str()).collect();
    for name in ["a.plain", "a.regional", "a.deep", "a.echo"] {
        assert!(names.contains(&name), "{names:?}");
    }
    let status = scene.router().backend("a").await;
    for name in ["empty", "spaced", "number", "listed"] {
        assert!(!names.contains(&&*format!("a.{name}")), "{names:?}");
        let left_out = status["left_out"].as_array().expect("what was left out");
        let told = |text: &Value| text.as_str().is_some_and(|t| t.starts_with(name));
        assert!(left_out.iter().any(told), "{name}: {status}");
        let logged = format!("\"item\":\"{name}\"");
        scene.router().logs().line(&logged).await;
    }
    assert_eq!(status["invalid_items"], 4, "{status}");
}

#[tokio::test]
async fn r26_marked_arguments_reach_the_backend_in_headers_and_clients_are_checked() {
    let scene = Scene::with("", backend()).await;
    let router = scene.router();
    let encoded = "=?base64?Z3LDtsOfZQ==?=";
    for (region, header) in [
        ("us-west1", "us-west1"),
        ("größe", encoded),
        (" x ", "=?base64?IHgg?="),
    ] {
        let arguments = json!({"region": region, "text": "ok"});
        let reply = call(
            router,
            "a.regional",
            arguments,
            &[("mcp-param-region", header)],
        )
        .await;
        assert_eq!(text(&reply.json()), "ok", "{}", reply.text());
        let seen = scene.backend().log().of("tools/call");
        assert_eq!(
            seen.last().and_then(|r| r.header("mcp-param-region")),
            Some(header)
        );
    }
    let before = scene.backend().log().count("tools/call");
    let wrong: [(Value, &[(&str, &str)]); 5] = [
        (json!({"region": "eu"}), &[]),
        (json!({"region": "eu"}), &[("Mcp-Param-Region", "us")]),
        (
            json!({"region": "eu"}),
            &[("mcp-param-region", "eu"), ("mcp-param-region", "eu")],
        ),
        (
            json!({"region": "eu"}),
            &[("mcp-param-region", "=?base64?%%?=")],
        ),
        (json!({"region": null}), &[("mcp-param-region", "eu")]),
    ];
    for (arguments, headers) in wrong {
        let reply = call(router, "a.regional", arguments.clone(), headers).await;
        let case = format!("{arguments} {headers:?}: {}", reply.text());
        assert_eq!(
            (reply.status, reply.code()),
            (StatusCode::BAD_REQUEST, Some(-32020)),
            "{case}"
        );
    }
    assert_eq!(
        scene.backend().log().count("tools/call"),
        before,
        "nothing arrived"
    );
    for (n, header) in [(json!(42), "42.0"), (json!(-7), "-7")] {
        let arguments = json!({"region": {"n": n}, "text": "ok"});
        let reply = call(router, "a.deep", arguments, &[("mcp-param-limit", header)]).await;
        assert_eq!(text(&reply.json()), "ok", "{}", reply.text());
        let seen = scene.backend().log().of("tools/call");
        let sent = seen
            .last()
            .and_then(|r| r.header("mcp-param-limit").map(str::to_owned));
        assert_eq!(sent, Some(n.to_string()));
    }
}

#[tokio::test]
async fn r26_headers_nobody_marked_travel_on_and_clients_without_headers_need_none() {
    let scene = Scene::with("", backend()).await;
    let headers = [("mcp-param-tenant", "blue"), ("mcp-param-region", "eu")];
    let reply = call(
        scene.router(),
        "a.regional",
        json!({"region": "eu", "text": "ok"}),
        &headers,
    )
    .await;
    assert_eq!(text(&reply.json()), "ok", "{}", reply.text());
    let seen = scene.backend().log().of("tools/call");
    let last = seen.last().expect("a call");
    assert_eq!(last.header("mcp-param-tenant"), Some("blue"));
    // A legacy client knows nothing of marks; the backend gets its header all the same.
    for revision in ["2024-11-05", "2025-11-25"] {
        let session = scene.session(revision).await;
        let answer = session
            .call("a.regional", json!({"region": "us", "text": "ok"}))
            .await;
        assert_eq!(text(&answer), "ok", "{answer}");
        let seen = scene.backend().log().of("tools/call");
        assert_eq!(
            seen.last().and_then(|r| r.header("mcp-param-region")),
            Some("us")
        );
    }
}

#[tokio::test]
async fn r26_backends_that_take_no_headers_lose_their_marks_and_keep_their_tools() {
    let old = backend().era(Era::Legacy).spawn().await;
    let router = Router::start(&config([("old", old.url())])).await;
    router.until_ready().await;
    let tools = tools(&router).await;
    let marked = tools
        .iter()
        .filter(|t| t.to_string().contains("x-mcp-header"));
    assert_eq!(marked.count(), 0, "{tools:#?}");
    assert!(tools.iter().any(|t| t["name"] == "old.empty"), "{tools:#?}");
    let reply = call(
        &router,
        "old.regional",
        json!({"region": "eu", "text": "ok"}),
        &[],
    )
    .await;
    assert_eq!(text(&reply.json()), "ok", "{}", reply.text());
    let seen = old.log().of("tools/call");
    assert_eq!(seen.last().and_then(|r| r.header("mcp-param-region")), None);
}

#[tokio::test]
async fn r26_a_backend_that_misses_a_header_is_listed_again_and_the_call_resent_once() {
    let builder = backend().list_changed(false);
    let scene = Scene::with("", builder.tool_definition(&json!({"name": "regional"}))).await;
    // The backend has checked all along; only its list did not say so.
    let region = json!({"type": "string", "x-mcp-header": "Region"});
    scene
        .backend()
        .add_tool_definition(&marked("regional", &region));
    let lists = scene.backend().log().count("tools/list");
    let session = scene.session("2025-11-25").await;
    let answer = session
        .call("a.regional", json!({"region": "eu", "text": "ok"}))
        .await;
    assert_eq!(text(&answer), "ok", "{answer}");
    assert!(scene.backend().log().count("tools/list") > lists);
    let seen = scene.backend().log().of("tools/call");
    let regional: Vec<_> = seen
        .iter()
        .filter(|r| r.name.as_deref() == Some("regional"))
        .collect();
    let sent = regional.iter().map(|r| r.header("mcp-param-region"));
    assert_eq!(sent.collect::<Vec<_>>(), [None, Some("eu")]);
}
