//! Backends of every transport and era behind one router, called by clients of every era: what
//! comes out does not tell what is behind.

use mcp_router_tests::fixture::{Era, Fixture, FixtureBuilder, LEGACY, MODERN};
use mcp_router_tests::harness::{
    HttpClient, LegacySession, Router, StdioRouter, child_entry, until,
};
use serde_json::{Value, json};

/// One backend: its name, what the router must find out about it, and itself.
struct Kind {
    name: &'static str,
    protocol: &'static str,
    transport: &'static str,
    fixture: Fixture,
    /// The user gives only host and port.
    base: bool,
}

async fn kinds() -> Vec<Kind> {
    let legacy = |v: &[&str]| Fixture::builder().era(Era::Legacy).versions(v);
    let (l1, l2) = ("2024-11-05", "2025-03-26");
    let (l3, l4) = ("2025-06-18", "2025-11-25");
    let http = "streamable_http";
    let table: [(_, _, _, FixtureBuilder, _); 13] = [
        (
            "modern",
            MODERN,
            http,
            Fixture::builder().era(Era::Modern),
            false,
        ),
        ("dual", MODERN, http, Fixture::builder(), false),
        ("dual-base", MODERN, http, Fixture::builder(), true),
        (
            "modern-sse",
            MODERN,
            http,
            Fixture::builder().answer_as_sse(),
            false,
        ),
        ("l4", l4, http, legacy(&[l4]), false),
        ("l4-base", l4, http, legacy(&[l4]), true),
        ("l4-sse", l4, http, legacy(&[l4]).answer_as_sse(), false),
        (
            "l4-no-get",
            l4,
            http,
            legacy(&[l4]).standing_stream(false),
            false,
        ),
        ("l3", l3, http, legacy(&[l3]), false),
        (
            "l3-stateless",
            l3,
            http,
            legacy(&[l3]).sessions(false),
            false,
        ),
        ("l2", l2, http, legacy(&[l2]), false),
        ("l1-http", l1, http, legacy(&[l1]), false),
        (
            "l1-sse-base",
            l1,
            "sse",
            Fixture::builder().http_sse(),
            true,
        ),
    ];
    let mut kinds = Vec::new();
    for (name, protocol, transport, builder, base) in table {
        kinds.push(Kind {
            name,
            protocol,
            transport,
            fixture: builder.name(name).page_size(4).spawn().await,
            base,
        });
    }
    kinds.push(Kind {
        name: "l1-sse",
        protocol: l1,
        transport: "sse",
        fixture: Fixture::builder().http_sse().name("l1-sse").spawn().await,
        base: false,
    });
    kinds
}

fn config(kinds: &[Kind]) -> String {
    let mut text = "backends:\n".to_owned();
    for Kind {
        name,
        fixture,
        base,
        ..
    } in kinds
    {
        let url = if *base {
            fixture.base_url()
        } else {
            fixture.url()
        };
        text += &format!("  - {{ name: {name}, namespace: {name}, url: \"{url}\" }}\n");
    }
    text += &child_entry("child-old", &["--era", "legacy"]);
    text += &child_entry("child-new", &["--era", "modern"]);
    text
}

fn names(kinds: &[Kind]) -> Vec<&'static str> {
    let http = kinds.iter().map(|kind| kind.name);
    http.chain(["child-old", "child-new"]).collect()
}

async fn until_all_are_healthy(router: &Router) {
    until("every backend is healthy", async || {
        let ready: Value = router.ready().await.json();
        let all = ready["backends"].as_array().expect("a list").clone();
        all.iter().all(|b| b["healthy"] == true)
    })
    .await;
}

/// A way to ask, whatever the client.
#[derive(Debug)]
enum Client<'a> {
    Legacy(LegacySession),
    Modern(&'a Router),
    Stdio(Box<StdioRouter>),
    StdioModern(Box<StdioRouter>),
}

impl Client<'_> {
    async fn ask(&mut self, method: &str, params: Value) -> Value {
        let answer = match self {
            Self::Legacy(session) => session.request(method, params).await,
            Self::Modern(router) => router.modern().request(method, params).await,
            Self::Stdio(router) => router.request(method, params).await,
            Self::StdioModern(router) => router.modern(method, params).await,
        };
        let modern = matches!(self, Self::Modern(_) | Self::StdioModern(_));
        if answer["error"].is_null() {
            let tagged = answer["result"].get("resultType").is_some();
            assert_eq!(tagged, modern, "r29: {method}: {answer}");
        }
        answer
    }

    /// All items of a list, whatever its pages.
    async fn list(&mut self, method: &str, key: &str) -> Vec<Value> {
        let (mut items, mut params) = (Vec::new(), json!({}));
        loop {
            let answer = self.ask(method, params).await;
            let page = answer["result"][key].as_array();
            items.extend(page.unwrap_or_else(|| panic!("no {key}: {answer}")).clone());
            match answer["result"]["nextCursor"].as_str() {
                Some(cursor) => params = json!({"cursor": cursor}),
                None => return items,
            }
        }
    }
}

/// Everything a client can do, at the backend `ns`.
async fn exercise(client: &mut Client<'_>, ns: &str) {
    let call = json!({"name": format!("{ns}.add"), "arguments": {"a": 20, "b": 22}});
    let answer = client.ask("tools/call", call).await;
    assert_eq!(
        answer["result"]["content"][0]["text"], "42",
        "{ns}: {answer}"
    );

    let failing = json!({"name": format!("{ns}.fail"), "arguments": {}});
    let answer = client.ask("tools/call", failing).await;
    assert_eq!(answer["result"]["isError"], true, "{ns}: {answer}");
    assert!(
        answer["result"]["_meta"]["mcp-router/failure"].is_null(),
        "the tool's own failure: {answer}"
    );

    let greet = json!({"name": format!("{ns}.greet"), "arguments": {"who": "you"}});
    let answer = client.ask("prompts/get", greet).await;
    let text = &answer["result"]["messages"][0]["content"]["text"];
    assert_eq!(text, "Hello, you! (greet)", "{ns}: {answer}");

    let uri = format!("{ns}+memo://hello");
    let answer = client.ask("resources/read", json!({"uri": uri})).await;
    let contents = &answer["result"]["contents"][0];
    assert_eq!(contents["text"], "text of memo://hello", "{ns}: {answer}");
    assert_eq!(contents["uri"], uri, "r20: {answer}");

    let missing = json!({"uri": format!("{ns}+memo://nowhere")});
    let answer = client.ask("resources/read", missing).await;
    let modern = matches!(client, Client::Modern(_) | Client::StdioModern(_));
    let code = if modern { -32602 } else { -32002 };
    assert_eq!(answer["error"]["code"], code, "r30: {ns}: {answer}");

    let reference = json!({"type": "ref/prompt", "name": format!("{ns}.greet")});
    let params = json!({"ref": reference, "argument": {"name": "who", "value": "al"}});
    let answer = client.ask("completion/complete", params).await;
    let values = &answer["result"]["completion"]["values"];
    assert_eq!(*values, json!(["alice", "albert"]), "{ns}: {answer}");
}

#[tokio::test]
async fn r01_every_client_reaches_every_backend() {
    let kinds = kinds().await;
    let config = config(&kinds);
    let router = Router::start(&config).await;
    until_all_are_healthy(&router).await;
    for kind in &kinds {
        let found = router.backend(kind.name).await["protocol"].to_string();
        assert!(found.contains(kind.protocol), "{}: {found}", kind.name);
        assert!(found.contains(kind.transport), "{}: {found}", kind.name);
    }
    let mut clients = vec![Client::Modern(&router)];
    for revision in LEGACY {
        clients.push(Client::Legacy(router.legacy_session(revision).await));
    }
    let mut old = StdioRouter::start(&config);
    old.initialize("2025-11-25").await;
    clients.push(Client::Stdio(Box::new(old)));
    clients.push(Client::StdioModern(Box::new(StdioRouter::start(&config))));
    let mut lists = Vec::new();
    for client in &mut clients {
        for name in names(&kinds) {
            exercise(client, name).await;
        }
        let tools = client.list("tools/list", "tools").await;
        let tools: Vec<_> = tools.iter().map(|tool| tool["name"].to_string()).collect();
        // R14: eleven built-in tools of each, over pages of four, and ours.
        assert_eq!(tools.len(), names(&kinds).len() * 11 + 4, "{tools:?}");
        lists.push(tools);
    }
    assert!(lists.iter().all(|list| *list == lists[0]), "r13: {lists:?}");
}

#[tokio::test]
async fn r19_backends_see_their_own_names_in_body_and_headers() {
    let kinds = kinds().await;
    let router = Router::start(&config(&kinds)).await;
    until_all_are_healthy(&router).await;
    for kind in &kinds {
        exercise(&mut Client::Modern(&router), kind.name).await;
        let log = kind.fixture.log();
        let modern = kind.protocol == MODERN;
        for (method, name) in [
            ("tools/call", "add"),
            ("prompts/get", "greet"),
            ("resources/read", "memo://hello"),
        ] {
            let seen = log.of(method);
            let seen = seen.iter().find(|r| r.name.as_deref() == Some(name));
            let seen = seen.unwrap_or_else(|| panic!("{}: no {name} in {seen:?}", kind.name));
            assert_eq!(
                seen.header("mcp-name"),
                modern.then_some(name),
                "{}",
                kind.name
            );
            assert_eq!(seen.header("mcp-method"), modern.then_some(method));
            let version = seen.header("mcp-protocol-version");
            let wanted =
                (kind.transport != "sse" && kind.protocol >= "2025-06-18").then_some(kind.protocol);
            assert_eq!(version, wanted, "{}", kind.name);
            let session = seen.session().is_some();
            let stateful = !modern && kind.transport != "sse" && kind.name != "l3-stateless";
            assert_eq!(session, stateful, "{}: {seen:?}", kind.name);
            // Protocol keys are the hop's: legacy servers see none, modern ones the router's.
            let meta = seen.params()["_meta"].to_string();
            assert_eq!(
                meta.contains("io.modelcontextprotocol/"),
                modern,
                "{}: {meta}",
                kind.name
            );
        }
        let reference = log.of("completion/complete")[0].params()["ref"]["name"].clone();
        assert_eq!(reference, "greet", "{}", kind.name);
    }
}

#[tokio::test]
async fn arguments_and_results_pass_byte_for_byte() {
    let kinds = kinds().await;
    let router = Router::start(&config(&kinds)).await;
    until_all_are_healthy(&router).await;
    // Nothing of this survives a parser that reads numbers or strings.
    let odd = r#"{"n":1.00000000000000000000000001,"e":-1E+400,"s":"\u00e9\/\uD83D\uDE00", "z" : [ ] ,"big":123456789012345678901234567890}"#;
    let session = router.legacy_session("2025-06-18").await;
    for name in names(&kinds) {
        let params = format!(r#"{{"name":"{name}.mirror","arguments":{odd}}}"#);
        let body = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{params}}}"#);
        let text = session.client().post("/mcp", body).await.text();
        assert!(text.contains(odd), "{name}: {text}");

        let meta = format!(
            r#"{{"io.modelcontextprotocol/protocolVersion":"{MODERN}","io.modelcontextprotocol/clientCapabilities":{{}}}}"#
        );
        let params = format!(r#"{{"name":"{name}.mirror","arguments":{odd},"_meta":{meta}}}"#);
        let body = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{params}}}"#);
        let client = HttpClient::new(router.addr())
            .with("mcp-protocol-version", MODERN)
            .with("mcp-method", "tools/call")
            .with("mcp-name", &format!("{name}.mirror"));
        let text = client.post("/mcp", body).await.text();
        assert!(text.contains(odd), "{name}: {text}");
    }
}

#[tokio::test]
async fn r27_unknown_meta_and_trace_context_reach_every_backend() {
    let kinds = kinds().await;
    let router = Router::start(&config(&kinds)).await;
    until_all_are_healthy(&router).await;
    let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    for kind in &kinds {
        let meta =
            json!({"example.com/mine": {"a": [1]}, "traceparent": trace, "tracestate": "x=1"});
        let call = json!({"name": format!("{}.add", kind.name), "arguments": {}, "_meta": meta});
        router.modern().request("tools/call", call.clone()).await;
        router
            .legacy_session("2025-11-25")
            .await
            .request("tools/call", call)
            .await;
        let seen = kind.fixture.log().of("tools/call");
        assert_eq!(seen.len(), 2, "{}", kind.name);
        for call in seen {
            let meta = &call.params()["_meta"];
            assert_eq!(meta["example.com/mine"], json!({"a": [1]}), "{}", kind.name);
            assert_eq!(meta["traceparent"], trace, "{}", kind.name);
            assert_eq!(meta["tracestate"], "x=1", "{}", kind.name);
        }
    }
}

#[tokio::test]
async fn r22_progress_crosses_every_pair_of_eras() {
    let kinds = kinds().await;
    let router = Router::start(&config(&kinds)).await;
    until_all_are_healthy(&router).await;
    let session = router.legacy_session("2025-06-18").await;
    for name in names(&kinds) {
        let call = json!({
            "name": format!("{name}.progress"), "arguments": {"n": 3},
            "_meta": {"progressToken": "tok"},
        });
        let legacy = session.post("tools/call", call.clone()).await.messages();
        let modern = router.modern().post("tools/call", call).await.messages();
        for messages in [legacy, modern] {
            let (answer, before) = messages.split_last().expect("messages");
            assert_eq!(
                answer["result"]["content"][0]["text"], "done",
                "{name}: {answer}"
            );
            let seen: Vec<_> = before
                .iter()
                .filter(|m| m["method"] == "notifications/progress")
                .map(|m| {
                    (
                        m["params"]["progressToken"].clone(),
                        m["params"]["progress"].clone(),
                    )
                })
                .collect();
            let wanted: Vec<_> = (1..=3).map(|n| (json!("tok"), json!(n))).collect();
            assert_eq!(seen, wanted, "{name}: {before:?}");
        }
        // Without a token there is none, whatever the backend would like.
        let call = json!({"name": format!("{name}.progress"), "arguments": {"n": 3}});
        let messages = session.post("tools/call", call).await.messages();
        let progress = |m: &&Value| m["method"] == "notifications/progress";
        assert_eq!(
            messages.iter().filter(progress).count(),
            0,
            "{name}: {messages:?}"
        );
    }
}
