//! What operators and agents are told about a running router: `/health`, `/ready`, the management
//! tools, and the log of a call.

use std::time::Duration;

use mcp_router_tests::fixture::{Era, Fault, Fixture, Rule};
use mcp_router_tests::harness::{Router, child_entry, config, until};
use serde_json::{Value, json};

const S: Duration = Duration::from_secs(1);

#[tokio::test]
async fn ready_waits_for_every_backend_or_the_end_of_its_patience_and_health_for_nobody() {
    let there = Fixture::builder().spawn().await;
    let hangs = Fixture::builder().fault(Fault::NeverAnswer).spawn().await;
    let file = format!(
        "routing: {{ startup_wait_seconds: 4 }}\n{}",
        config([("there", there.url()), ("hangs", hangs.url())])
    );
    let router = Router::start(&file).await;
    assert_eq!(router.client().get("/health").await.status, 200);
    let early = router.ready().await;
    assert_eq!(early.status, 503, "{}", early.text());
    assert_eq!(early.json()["ready"], false);
    router.until_healthy("there").await;
    assert_eq!(router.ready().await.status, 503, "one is still missing");

    router.until_ready().await;

    let ready = router.ready().await.json();
    assert_eq!(
        (&ready["ready"], &ready["draining"]),
        (&json!(true), &json!(false))
    );
    let names: Vec<_> = ready["backends"]
        .as_array()
        .expect("a list")
        .iter()
        .collect();
    assert_eq!(
        (&names[0]["name"], &names[1]["name"]),
        (&json!("there"), &json!("hangs"))
    );
    assert_eq!(
        (&names[0]["healthy"], &names[1]["healthy"]),
        (&json!(true), &json!(false))
    );
    let health = router.client().get("/health").await;
    assert_eq!(health.json()["status"], "ok");
}

#[tokio::test]
async fn ready_is_503_while_draining_and_calls_are_served_on() {
    let fixture = Fixture::builder().spawn().await;
    let file = format!(
        "server: {{ drain: {{ serve_seconds: 3 }} }}\n{}",
        config([("a", fixture.url())])
    );
    let mut router = Router::start(&file).await;
    router.until_ready().await;
    router.until_healthy("a").await;
    router.signal("TERM");
    until("not ready", async || router.ready().await.status == 503).await;

    let ready = router.ready().await.json();
    assert_eq!(
        (&ready["ready"], &ready["draining"]),
        (&json!(false), &json!(true))
    );
    assert_eq!(
        router.client().get("/health").await.status,
        200,
        "alive all the same"
    );
    let answer = router.modern().call("a.add", json!({"a": 1, "b": 2})).await;
    assert_eq!(answer["result"]["content"][0]["text"], "3", "{answer}");
    assert!(router.wait(20 * S).await.success());
}

#[tokio::test]
async fn list_backends_and_get_backend_health_show_the_documented_fields_of_every_backend() {
    let there = Fixture::builder().spawn().await;
    let gone = Fixture::builder().down().spawn().await;
    let file = format!(
        "backends:
  - {{ name: zebra, namespace: z, url: \"{}\", priority: 3, headers: {{ X-Key: top-secret }} }}
  - {{ name: gone, namespace: g, url: \"{}?token=top-secret\" }}
  - {{ name: off, namespace: off, url: \"http://127.0.0.1:9/mcp\", auto_start: false }}
{}",
        there.url(),
        gone.url(),
        child_entry("kid", &[])
    );
    let router = Router::start(&file).await;
    router.until_ready().await;
    router.until_healthy("zebra").await;
    router.until_healthy("kid").await;
    let client = router.modern();
    let answer = client.call("list_backends", json!({})).await;
    let result = &answer["result"];
    assert_ne!(result["isError"], true, "{answer}");
    let list = result["structuredContent"]["result"]
        .as_array()
        .expect("a list")
        .clone();
    let names: Vec<_> = list.iter().map(|b| b["name"].clone()).collect();
    assert_eq!(
        names,
        ["zebra", "gone", "off", "kid"],
        "the order of the file"
    );
    let text = result["content"][0]["text"].as_str().expect("text");
    let bare: Value = serde_json::from_str(text).expect("JSON");
    assert_eq!(
        bare,
        Value::from(list.clone()),
        "the text is the bare array"
    );

    let fields = |b: &Value| {
        [
            "namespace",
            "priority",
            "healthy",
            "circuit_state",
            "is_managed",
            "is_running",
        ]
        .map(|key| {
            b.get(key)
                .unwrap_or_else(|| panic!("no {key} in {b}"))
                .clone()
        })
    };
    let row = |ns: &str, priority: u32, healthy: bool, managed: bool, running: bool| {
        [
            json!(ns),
            json!(priority),
            json!(healthy),
            json!("CLOSED"),
            json!(managed),
            json!(running),
        ]
    };
    assert_eq!(fields(&list[0]), row("z", 3, true, false, false));
    assert_eq!(fields(&list[1]), row("g", 10, false, false, false));
    assert_eq!(fields(&list[2]), row("off", 10, false, false, false));
    assert_eq!(fields(&list[3]), row("kid", 10, true, true, true));
    assert_eq!(list[0]["url"], there.url());
    assert_eq!(list[0]["error_count"], 0);
    assert!(list[1]["error_count"].as_u64() >= Some(1), "{}", list[1]);
    assert_eq!(list[2]["state"], "disabled");

    for backend in &list {
        let arguments = json!({"backend_name": backend["name"]});
        let answer = client.call("get_backend_health", arguments).await;
        let health = &answer["result"]["structuredContent"];
        for key in ["name", "healthy", "circuit_state"] {
            assert_eq!(health[key], backend[key], "{answer}");
        }
        assert!(health.get("error_count").is_some(), "{answer}");
    }
    let answer = client
        .call("get_backend_health", json!({"backend_name": "gone"}))
        .await;
    let health = &answer["result"]["structuredContent"];
    assert!(
        health["last_error"]
            .as_str()
            .is_some_and(|e| e.contains("refused")),
        "{answer}"
    );

    let unknown = client
        .call("get_backend_health", json!({"backend_name": "nope"}))
        .await;
    assert_eq!(unknown["result"]["isError"], true, "{unknown}");
    assert_eq!(
        unknown["result"]["content"][0]["text"],
        "Backend not found: nope"
    );
    let missing = client.call("get_backend_health", json!({})).await;
    assert_eq!(missing["error"]["code"], -32602, "{missing}");

    let ready = router.ready().await.text();
    for shown in [
        answer.to_string(),
        Value::from(list).to_string(),
        ready,
        router.logs().text(),
    ] {
        assert!(!shown.contains("top-secret"), "{shown}");
    }
}

#[tokio::test]
async fn b28_a_backend_cannot_shadow_the_management_tools() {
    let fixture = Fixture::builder()
        .tool("list_backends")
        .tool("register_backend")
        .spawn()
        .await;
    let file = format!(
        "routing: {{ enable_namespace_prefixing: false }}\n{}",
        config([("a", fixture.url())])
    );
    let router = Router::start(&file).await;
    router.until_ready().await;
    router.until_healthy("a").await;
    let names = router.legacy_session("2025-11-25").await.tool_names().await;
    let count = |name: &str| names.iter().filter(|n| *n == name).count();
    assert_eq!(
        (count("list_backends"), count("register_backend")),
        (1, 0),
        "{names:?}"
    );
    assert_eq!(
        count("echo"),
        1,
        "the others have their own names: {names:?}"
    );
    let answer = router.modern().call("list_backends", json!({})).await;
    assert!(
        answer["result"]["structuredContent"]["result"].is_array(),
        "{answer}"
    );
    assert_eq!(fixture.log().count("tools/call"), 0);
}

#[tokio::test]
async fn each_call_is_one_log_line_with_no_arguments_and_no_result() {
    let fixture = Fixture::builder().era(Era::Legacy).spawn().await;
    let router = Router::start(&config([("a", fixture.url())])).await;
    router.until_ready().await;
    router.until_healthy("a").await;
    let client = router.modern();
    client
        .call("a.echo", json!({"text": "in-the-arguments"}))
        .await;
    client.call("a.fail", json!({})).await;
    fixture.set_fault(Rule::new(Fault::Close).on("tools/call"));
    client
        .call("a.echo", json!({"text": "in-the-arguments"}))
        .await;
    let of_calls = |log: Vec<String>| -> Vec<Value> {
        let lines = log
            .into_iter()
            .filter(|line| line.contains("a.echo") || line.contains("a.fail"));
        lines
            .map(|line| serde_json::from_str(&line).expect("a JSON line"))
            .collect()
    };
    until("three calls are logged", async || {
        of_calls(router.logs().lines()).len() >= 3
    })
    .await;

    let calls = of_calls(router.logs().lines());
    assert_eq!(calls.len(), 3, "one line a call: {calls:?}");
    for call in &calls {
        let line = call.to_string();
        assert!(line.contains("\"a\""), "the backend: {line}");
        assert!(line.contains("harness"), "the client: {line}");
        assert!(line.contains("ms"), "the latency: {line}");
    }
    assert!(
        calls[2].to_string().contains("backend_lost"),
        "{}",
        calls[2]
    );
    assert!(!router.logs().contains("in-the-arguments"));
    assert_eq!(router.stdout().count(), 0, "logs go to stderr");
}

#[tokio::test]
async fn the_demo_fails_over_to_its_secondary_and_back() {
    let router = Router::builder().arg("--demo").start().await;
    router.until_ready().await;
    assert_eq!(router.logs().event("starting").await["backends"], 3);
    let client = router.modern();
    let served_by = async || {
        // A call may still meet the primary on its way out; that is told, not hidden.
        let answer = client.call("time.now", json!({})).await;
        answer["result"]["structuredContent"]["told_by"].clone()
    };
    assert_eq!(served_by().await, "time-primary");
    let answer = client.call("time.outage", json!({"seconds": 2})).await;
    assert_ne!(answer["result"]["isError"], true, "{answer}");
    until("the secondary answers", async || {
        served_by().await == "time-secondary"
    })
    .await;
    until("the primary is back", async || {
        served_by().await == "time-primary"
    })
    .await;
}

#[tokio::test]
async fn the_entrance_and_every_wrong_turn_point_to_mcp_and_the_pages() {
    let router = Router::start("backends: []\n").await;
    let client = router.client();
    let index = client.get("/").await;
    assert_eq!(index.status, 200);
    assert_eq!(index.json()["mcp"], "/mcp", "{}", index.text());
    let page = client.clone().with("accept", "text/html").get("/").await;
    for path in ["/mcp", "/ui", "/metrics", "/ready"] {
        let shown = format!(">{path}<");
        assert!(page.text().contains(&shown), "{}", page.text());
    }
    let posted = client.post("/", json!({}).to_string()).await;
    assert_eq!(posted.status, 405);
    assert_eq!(posted.headers["allow"], "GET, HEAD");
    assert!(posted.json()["error"]["code"].is_i64(), "{}", posted.text());
    // Some clients' documentation has them post there here: told where everything is.
    for place in ["MCP is served at /mcp", "/ui", "/metrics", "docs/"] {
        assert!(posted.text().contains(place), "{place}: {}", posted.text());
    }
    let lost = client.get("/nowhere").await;
    assert_eq!(lost.status, 404);
    for path in ["/mcp", "/ui", "/ready"] {
        assert!(lost.text().contains(path), "{}", lost.text());
    }
    let events = client.with("accept", "text/event-stream").get("/").await;
    assert_eq!(
        events.status, 406,
        "a client of HTTP+SSE must not wait here"
    );
}

#[tokio::test]
async fn the_dashboard_shows_backends_calls_and_catalogue_and_no_secret() {
    let there = Fixture::builder().tool("<b>bold</b>").spawn().await;
    let gone = Fixture::builder().down().spawn().await;
    let file = format!(
        "backends:
  - {{ name: there, namespace: a, url: \"{}\", headers: {{ X-Key: top-secret }} }}
  - {{ name: gone, namespace: g, url: \"{}?token=top-secret\" }}
",
        there.url(),
        gone.url()
    );
    let router = Router::start(&file).await;
    router.until_ready().await;
    router.until_healthy("there").await;
    let arguments = json!({"text": "in-the-arguments"});
    router.modern().call("a.echo", arguments).await;
    let client = router.client();
    let page = client.get("/ui").await;
    assert_eq!(page.status, 200);
    assert_eq!(page.headers["content-type"], "text/html; charset=utf-8");
    let policy = page.headers["content-security-policy"]
        .to_str()
        .expect("text");
    assert!(policy.starts_with("default-src 'none'"), "{policy}");
    let live = client.get("/ui/live").await.text();
    let found = client.get("/ui/catalogue?q=bold").await.text();
    let page = page.text();
    for shown in ["there", "healthy", "gone", "refused", "a.echo", "harness"] {
        assert!(page.contains(shown) && live.contains(shown), "{shown}");
    }
    for text in [&page, &found] {
        assert!(text.contains("a.&lt;b&gt;bold&lt;/b&gt;"), "{text}");
    }
    assert!(!found.contains("a.echo"), "{found}");
    for text in [&page, &live, &found] {
        assert!(!text.contains("<b>bold"), "{text}");
        assert!(!text.contains("top-secret"), "{text}");
        assert!(!text.contains("in-the-arguments"), "{text}");
    }
    for path in ["/ui", "/ui/live", "/"] {
        let foreign = client.clone().with("host", "evil.example").get(path).await;
        assert_eq!(foreign.status, 403, "{path} by a foreign name");
        let foreign = client.clone().with("origin", "https://evil.example");
        assert_eq!(foreign.get(path).await.status, 403, "{path} from elsewhere");
    }
}

#[tokio::test]
async fn the_dashboard_can_be_switched_off() {
    let router = Router::start("backends: []\nserver: { ui: false }\n").await;
    let client = router.client();
    for path in ["/ui", "/ui/", "/ui/live", "/ui/catalogue", "/ui/app.js"] {
        assert_eq!(client.get(path).await.status, 404, "{path}");
    }
    let index = client.get("/").await;
    assert!(!index.text().contains("/ui"), "{}", index.text());
}
