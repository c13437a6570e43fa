//! 2026-07-28 over HTTP: what each request must carry, and what it gets if it does not.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use mcp_router_tests::fixture::{Era, Fixture, LEGACY, MODERN};
use mcp_router_tests::harness::{HttpClient, Reply, Router, Scene, config, modern_params, text};
use serde_json::{Value, json};

/// A request and its headers, right until a test spoils it.
#[derive(Clone, Debug)]
struct Ask {
    headers: Vec<(String, String)>,
    body: Value,
}

impl Ask {
    fn new(method: &str, params: Value) -> Self {
        let name = params["name"].as_str().or(params["uri"].as_str());
        let mut headers = vec![
            ("mcp-protocol-version".to_owned(), MODERN.to_owned()),
            ("mcp-method".to_owned(), method.to_owned()),
        ];
        headers.extend(name.map(|name| ("mcp-name".to_owned(), name.to_owned())));
        let params = modern_params(params, &json!({}));
        let body = json!({"jsonrpc": "2.0", "id": "i-1", "method": method, "params": params});
        Self { headers, body }
    }

    /// A call that the backend would answer with `bad`, and thereby betray.
    fn call() -> Self {
        Self::new(
            "tools/call",
            json!({"name": "a.echo", "arguments": {"text": "bad"}}),
        )
    }

    fn header(mut self, name: &str, value: &str) -> Self {
        self = self.without(name);
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    fn without(mut self, name: &str) -> Self {
        self.headers.retain(|(n, _)| n != name);
        self
    }

    /// Replaces a member of `_meta`; `null` removes it.
    fn meta(mut self, key: &str, value: Value) -> Self {
        let meta = self.body["params"]["_meta"].as_object_mut().expect("_meta");
        let key = format!("io.modelcontextprotocol/{key}");
        if value.is_null() {
            meta.remove(&key);
        } else {
            meta.insert(key, value);
        }
        self
    }

    /// Says this version in header and body.
    fn version(self, version: &str) -> Self {
        self.header("mcp-protocol-version", version)
            .meta("protocolVersion", json!(version))
    }

    fn without_meta(mut self) -> Self {
        self.body["params"]
            .as_object_mut()
            .expect("params")
            .remove("_meta");
        self
    }

    async fn send(&self, client: &HttpClient) -> Reply {
        let mut request = client.request(http::Method::POST, "/mcp", self.body.to_string());
        for (name, value) in &self.headers {
            let name: http::HeaderName = name.parse().expect("a name");
            request
                .headers_mut()
                .append(name, value.parse().expect("a value"));
        }
        client.send(request).await
    }

    /// Sends it and checks status, code and that the answer is for this request.
    async fn fails(&self, scene: &Scene, what: &str, status: u16, code: i64) -> Value {
        let reply = self.send(&scene.client()).await;
        assert_eq!(reply.status, status, "{what}: {}", reply.text());
        let answer = reply.json();
        assert_eq!(answer["error"]["code"], code, "{what}: {answer}");
        assert_eq!(answer["id"], "i-1", "{what}: {answer}");
        answer
    }

    async fn answers(&self, scene: &Scene, what: &str) -> Value {
        let reply = self.send(&scene.client()).await;
        assert_eq!(reply.status, 200, "{what}: {}", reply.text());
        let answer = reply.json();
        assert_eq!(
            answer["result"]["resultType"], "complete",
            "{what}: {answer}"
        );
        answer
    }
}

#[tokio::test]
async fn r03_removed_and_unknown_methods_are_404_32601() {
    let scene = Scene::new().await;
    for (method, params) in [
        (
            "initialize",
            json!({"protocolVersion": MODERN, "capabilities": {}, "clientInfo": {}}),
        ),
        ("ping", json!({})),
        ("logging/setLevel", json!({"level": "info"})),
        ("resources/subscribe", json!({"uri": "a+memo://hello"})),
        ("resources/unsubscribe", json!({"uri": "a+memo://hello"})),
        ("no/such/method", json!({})),
        ("Tools/List", json!({})),
        ("notifications/initialized", json!({})),
    ] {
        Ask::new(method, params)
            .fails(&scene, method, 404, -32601)
            .await;
    }
    scene.works_untouched().await;
}

#[tokio::test]
async fn r05_version_and_capabilities_are_required_and_client_info_is_not() {
    let scene = Scene::new().await;
    let caps = "clientCapabilities";
    for (what, ask) in [
        (
            "no version",
            Ask::call().meta("protocolVersion", Value::Null),
        ),
        ("no capabilities", Ask::call().meta(caps, Value::Null)),
        (
            "neither",
            Ask::call()
                .meta(caps, Value::Null)
                .meta("protocolVersion", Value::Null),
        ),
        ("no _meta", Ask::call().without_meta()),
        (
            "a version that is no text",
            Ask::call().meta("protocolVersion", json!(20_260_728)),
        ),
        (
            "capabilities that are no object",
            Ask::call().meta(caps, json!("all")),
        ),
        // The first rule that is broken decides: this one is before the headers.
        (
            "and a wrong header",
            Ask::call()
                .meta(caps, Value::Null)
                .header("mcp-method", "x"),
        ),
    ] {
        ask.fails(&scene, what, 400, -32602).await;
    }
    scene.works_untouched().await;
    Ask::call()
        .meta("clientInfo", Value::Null)
        .answers(&scene, "no clientInfo")
        .await;
}

#[tokio::test]
async fn r06_b18_a_header_and_a_body_of_different_versions_are_400_32020() {
    let scene = Scene::new().await;
    let with_header = |v: &str| Ask::call().header("mcp-protocol-version", v);
    for (what, ask) in [
        ("newer header", with_header("2027-01-01")),
        ("legacy header", with_header("2025-11-25")),
        ("header that is no version", with_header("latest")),
        ("empty header", with_header("")),
        ("no header", Ask::call().without("mcp-protocol-version")),
        // Unknown in the body: the difference is told before the version is judged.
        (
            "newer body",
            Ask::call().meta("protocolVersion", json!("2027-01-01")),
        ),
        (
            "legacy body",
            Ask::call().meta("protocolVersion", json!("2025-11-25")),
        ),
    ] {
        ask.fails(&scene, what, 400, -32020).await;
    }
    let mut twice = Ask::call();
    twice
        .headers
        .push(("mcp-protocol-version".to_owned(), MODERN.to_owned()));
    twice.fails(&scene, "header twice", 400, -32020).await;
    scene.works_untouched().await;
}

#[tokio::test]
async fn r07_an_unsupported_version_is_400_32022_naming_what_is_supported() {
    let scene = Scene::new().await;
    let all: Vec<_> = [MODERN].into_iter().chain(LEGACY).collect();
    for version in ["2027-01-01", "2026-07-29", "DRAFT-2026"] {
        let answer = Ask::call()
            .version(version)
            .fails(&scene, version, 400, -32022)
            .await;
        let data = &answer["error"]["data"];
        assert_eq!(*data, json!({"supported": all, "requested": version}));
    }
    // Who writes modern envelopes is not helped by a version that has none.
    for version in LEGACY {
        let answer = Ask::call()
            .version(version)
            .fails(&scene, version, 400, -32022)
            .await;
        let data = &answer["error"]["data"];
        assert_eq!(*data, json!({"supported": [MODERN], "requested": version}));
    }
    scene.works_untouched().await;
}

#[tokio::test]
async fn r08_b18_method_and_name_headers_must_be_those_of_the_body() {
    let scene = Scene::new().await;
    let prompt = Ask::new("prompts/get", json!({"name": "a.greet", "arguments": {}}));
    let resource = Ask::new("resources/read", json!({"uri": "a+memo://hello"}));
    for (what, ask) in [
        ("no method", Ask::call().without("mcp-method")),
        (
            "other method",
            Ask::call().header("mcp-method", "tools/list"),
        ),
        (
            "method in other case",
            Ask::call().header("mcp-method", "Tools/Call"),
        ),
        ("no tool", Ask::call().without("mcp-name")),
        ("other tool", Ask::call().header("mcp-name", "a.add")),
        (
            "tool in other case",
            Ask::call().header("mcp-name", "A.Echo"),
        ),
        (
            "the backend's own name",
            Ask::call().header("mcp-name", "echo"),
        ),
        ("no prompt", prompt.clone().without("mcp-name")),
        ("other prompt", prompt.header("mcp-name", "a.echo")),
        ("no resource", resource.clone().without("mcp-name")),
        (
            "other resource",
            resource.header("mcp-name", "a+memo://other"),
        ),
        (
            "list without method",
            Ask::new("tools/list", json!({})).without("mcp-method"),
        ),
    ] {
        ask.fails(&scene, what, 400, -32020).await;
    }
    let mut twice = Ask::call();
    twice
        .headers
        .push(("mcp-name".to_owned(), "a.echo".to_owned()));
    twice.fails(&scene, "name twice", 400, -32020).await;
    scene.works_untouched().await;
}

#[tokio::test]
async fn r08_whitespace_around_header_values_and_the_case_of_their_names_mean_nothing() {
    let scene = Scene::new().await;
    let body = Ask::call().body.to_string();
    let head = format!(
        "POST /mcp HTTP/1.1\r\nhOsT: {}\r\naccept: */*\r\nCONTENT-TYPE: application/json\r\n\
         MCP-PROTOCOL-VERSION:{MODERN}  \r\nmCp-MeThOd:  \t tools/call \t\r\n\
         MCP-NAME: \t a.echo\t\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        scene.router().addr(),
        body.len()
    );
    let raw = format!("{head}{body}");
    let limit = std::time::Duration::from_secs(20);
    let answer = mcp_router_tests::harness::exchange(scene.router().addr(), raw.as_bytes(), limit);
    let answer = String::from_utf8_lossy(&answer.await).into_owned();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(answer.contains(r#""text":"bad""#), "{answer}");
}

#[tokio::test]
async fn r09_b18_sentinels_are_decoded_refused_or_taken_literally() {
    let backend = Fixture::builder()
        .tool("größe")
        .tool(" x ")
        .tool("=?base64?");
    let scene = Scene::with("", backend).await;
    let sentinel = |text: &str| format!("=?base64?{}?=", STANDARD.encode(text));
    let call = |name: &str, header: &str| {
        let params = json!({"name": name, "arguments": {"text": "hi"}});
        let mut ask = Ask::call().header("mcp-name", header);
        ask.body["params"] = modern_params(params, &json!({}));
        ask
    };
    for (what, name, header) in [
        ("not ASCII", "a.größe", sentinel("a.größe")),
        ("not needed", "a.echo", sentinel("a.echo")),
        ("edge whitespace", "a. x ", sentinel("a. x ")),
        (
            "around it whitespace",
            "a.echo",
            format!("  {}\t", sentinel("a.echo")),
        ),
        (
            "incomplete is literal",
            "a.=?base64?",
            "a.=?base64?".to_owned(),
        ),
    ] {
        let answer = call(name, &header).answers(&scene, what).await;
        assert_eq!(text(&answer), "hi", "{what}: {answer}");
    }
    // R19: the backend gets its own name, spelled as a header must be.
    let seen = scene.caused();
    let header = |at: usize| {
        seen[at]
            .header("mcp-name")
            .expect("visible ASCII")
            .to_owned()
    };
    assert_eq!(
        (header(0), header(1), header(2)),
        (sentinel("größe"), "echo".to_owned(), sentinel(" x "))
    );

    let before = scene.caused().len();
    for (what, name, header) in [
        ("no base64", "a.echo", "=?base64?%%%?=".to_owned()),
        ("cut base64", "a.echo", "=?base64?YS5lY2h?=".to_owned()),
        ("no UTF-8", "a.echo", "=?base64?//79?=".to_owned()),
        ("nothing in it", "a.echo", "=?base64??=".to_owned()),
        ("another name", "a.echo", sentinel("a.add")),
        ("encoded twice", "a.echo", sentinel(&sentinel("a.echo"))),
        (
            "incomplete is not decoded",
            "a.echo",
            "=?base64?YS5lY2hv".to_owned(),
        ),
    ] {
        call(name, &header).fails(&scene, what, 400, -32020).await;
    }
    // An incomplete one that body and header agree on is a name like any other; nobody has it.
    let literal = "=?base64?YS5lY2hv";
    call(literal, literal)
        .fails(&scene, "literal", 200, -32602)
        .await;
    scene.works().await;
    assert_eq!(scene.caused().len(), before);
}

#[tokio::test]
async fn r10_session_ids_and_event_ids_mean_nothing_and_get_and_delete_are_405() {
    let scene = Scene::new().await;
    let session = scene.session("2025-11-25").await;
    for id in ["no-such-session", session.id(), "../.."] {
        let ask = Ask::call()
            .header("mcp-session-id", id)
            .header("last-event-id", "7");
        let reply = ask.send(&scene.client()).await;
        assert_eq!(reply.status, 200, "{id}: {}", reply.text());
        assert_eq!(reply.header("mcp-session-id"), None, "{id}");
        assert_eq!(text(&reply.json()), "bad", "{id}");
    }
    for id in ["", session.id()] {
        let client = scene
            .client()
            .with("mcp-protocol-version", MODERN)
            .with("mcp-session-id", id);
        for reply in [client.get("/mcp").await, client.delete("/mcp").await] {
            assert_eq!(reply.status, 405, "{}", reply.text());
            assert_eq!(reply.header("allow"), Some("POST"));
        }
    }
    // Above all the DELETE has ended nothing.
    let answer = session.call("a.echo", json!({"text": "still here"})).await;
    assert_eq!(text(&answer), "still here", "{answer}");
}

#[tokio::test]
async fn r12_notifications_are_202_and_empty_and_reach_nobody() {
    let scene = Scene::new().await;
    for method in [
        "notifications/cancelled",
        "notifications/initialized",
        "notifications/any",
    ] {
        let mut ask = Ask::new(method, json!({"requestId": "x"}));
        ask.body.as_object_mut().expect("a message").remove("id");
        let reply = ask.send(&scene.client()).await;
        assert_eq!(
            (reply.status.as_u16(), reply.body.len()),
            (202, 0),
            "{method}"
        );
    }
    scene.works_untouched().await;
}

#[tokio::test]
async fn unknown_names_and_wrong_parameters_are_200_32602() {
    let scene = Scene::new().await;
    for (method, params) in [
        ("tools/call", json!({"name": "a.nothing", "arguments": {}})),
        ("tools/call", json!({"name": "b.echo", "arguments": {}})),
        ("tools/call", json!({"name": "echo", "arguments": {}})),
        ("tools/call", json!({"name": "", "arguments": {}})),
        (
            "tools/call",
            json!({"name": "a.ec\u{200b}ho", "arguments": {}}),
        ),
        ("prompts/get", json!({"name": "a.nothing"})),
        ("prompts/get", json!({"name": "a.echo"})),
        ("tools/list", json!({"cursor": "not-ours"})),
    ] {
        let mut ask = Ask::new(method, params.clone());
        if let Some(name) = params["name"].as_str() {
            // B24: a name that no header can hold is sent as a sentinel.
            let name = format!("=?base64?{}?=", STANDARD.encode(name));
            ask = ask.header("mcp-name", &name);
        }
        ask.fails(&scene, &params.to_string(), 200, -32602).await;
    }
    let missing = Ask::new("resources/read", json!({"uri": "b+memo://hello"}));
    let answer = missing.fails(&scene, "foreign", 200, -32602).await;
    assert_eq!(
        answer["error"]["data"]["uri"], "b+memo://hello",
        "r30: {answer}"
    );
    Ask::new("tools/call", json!({"arguments": {}}))
        .fails(&scene, "no name", 200, -32602)
        .await;
    scene.works_untouched().await;
}

#[tokio::test]
async fn r27_every_result_names_the_router_whatever_the_backend_calls_itself() {
    let info = |result: &Value| result["_meta"]["io.modelcontextprotocol/serverInfo"].clone();
    for (kind, backend) in [
        ("signs", Fixture::builder().era(Era::Modern).signs()),
        ("modern", Fixture::builder().era(Era::Modern)),
        ("legacy", Fixture::builder().era(Era::Legacy)),
    ] {
        let backend = backend.spawn().await;
        let router = Router::start(&config([("a", backend.url())])).await;
        router.until_ready().await;
        router.until_healthy("a").await;
        let client = router.modern();
        let discovered = client.request("server/discover", json!({})).await;
        let own = info(&discovered["result"]);
        assert_eq!(own["name"], "mcp-router", "{kind}: {discovered}");
        let reference = json!({"type": "ref/prompt", "name": "a.greet"});
        let argument = json!({"name": "who", "value": "al"});
        for (method, params, whose) in [
            ("tools/list", json!({}), false),
            ("resources/list", json!({}), false),
            ("tools/call", json!({"name": "list_backends"}), false),
            (
                "tools/call",
                json!({"name": "a.echo", "arguments": {"text": "x"}}),
                true,
            ),
            (
                "prompts/get",
                json!({"name": "a.greet", "arguments": {"who": "x"}}),
                true,
            ),
            ("resources/read", json!({"uri": "a+memo://hello"}), true),
            (
                "completion/complete",
                json!({"ref": reference, "argument": argument}),
                true,
            ),
        ] {
            let answer = client.request(method, params).await;
            let result = &answer["result"];
            assert_eq!(info(result), own, "{kind} {method}: {answer}");
            assert_eq!(result["resultType"], "complete", "{kind} {method}");
            // What else it says there is its own.
            let kept = (whose && kind == "signs").then_some(json!(1.0));
            let kept = kept.unwrap_or_default();
            assert_eq!(result["_meta"]["fixture/kept"], kept, "{kind} {method}");
        }
        let session = router.legacy_session("2025-11-25").await;
        let answer = session.call("a.echo", json!({"text": "x"})).await;
        assert_eq!(info(&answer["result"]), Value::Null, "{kind}: {answer}");
        let kept = &answer["result"]["_meta"]["fixture/kept"];
        assert_eq!(kept.is_null(), kind != "signs", "{kind}: {answer}");
    }
}
