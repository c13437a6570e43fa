//! Backends that clients register.

use mcp_router_tests::fixture::Fixture;
use mcp_router_tests::harness::{
    ChildLog, Router, RouterBuilder, alive, config, fixture_program, text, until,
};
use serde_json::{Value, json};

use super::{manage, reload, tools, until_tool};

const PRIVATE: &str = "registration: { allow_private: true }\n";

async fn start(file: &str) -> Router {
    let router = allowed(file).start().await;
    router.until_ready().await;
    router
}

fn allowed(file: &str) -> RouterBuilder {
    let builder = Router::builder().config(file);
    builder.env("MCP_ALLOW_REGISTRATION", "true")
}

async fn register(router: &Router, arguments: Value) -> Value {
    manage(router, "register_backend", arguments).await
}

fn error(result: &Value) -> &str {
    assert_eq!(result["isError"], true, "{result}");
    result["content"][0]["text"].as_str().unwrap()
}

#[tokio::test]
async fn nobody_registers_anything_where_that_is_not_switched_on() {
    let a = Fixture::builder().spawn().await;
    let router = Router::start(&format!("{PRIVATE}{}", config([("a", a.url())]))).await;
    router.until_ready().await;
    let names = tools(&router).await;
    let own = &names[names.len() - 4..];
    let expected = [
        "list_backends",
        "get_backend_health",
        "get_routing_info",
        "reload_backends_config",
    ];
    assert_eq!(own, expected);
    for tool in ["register_backend", "unregister_backend"] {
        let arguments = json!({ "source": a.url(), "backend_name": "a" });
        let answer = router.modern().call(tool, arguments).await;
        assert_eq!(answer["error"]["code"], -32602, "{answer}");
    }
}

#[tokio::test]
async fn a_registered_backend_serves_at_once_survives_reloads_and_leaves_no_trace() {
    let look = json!({
        "name": "look", "inputSchema": { "type": "object" },
        "annotations": { "readOnlyHint": true },
    });
    let spawn = || Fixture::builder().tool_definition(&look).spawn();
    let (a, b) = (spawn().await, spawn().await);
    let file = format!("{PRIVATE}{}", config([("a", a.url())]));
    let router = start(&file).await;
    assert_eq!(tools(&router).await.last().unwrap(), "unregister_backend");
    let wanted = json!({ "source": b.url(), "name": "b", "namespace": "bb", "priority": 5 });
    let registered = register(&router, wanted.clone()).await;
    let exact = json!({
        "backend_name": "b", "namespace": "bb", "url": b.url(), "started": true,
        "message": "Backend 'b' registered successfully",
    });
    assert_eq!(registered["structuredContent"], exact);
    let told: Value =
        serde_json::from_str(registered["content"][0]["text"].as_str().unwrap()).unwrap();
    assert_eq!(told, exact);
    // At once: no list was asked for in between.
    let answer = router.modern().call("bb.echo", json!({"text": "x"})).await;
    assert_eq!(text(&answer), "x");
    let listed = router.backend("b").await;
    assert_eq!(
        (&listed["priority"], &listed["namespace"]),
        (&json!(5), &json!("bb"))
    );
    assert_eq!(
        error(&register(&router, wanted).await),
        "Backend 'b' already exists"
    );
    // What its tools say of themselves is not believed; what the file's say is.
    let repeats = async |tool: &str| {
        let info = manage(&router, "get_routing_info", json!({ "tool_name": tool })).await;
        info["structuredContent"]["fails_over_after"].clone()
    };
    assert_eq!(repeats("a.look").await, "failed");
    assert_eq!(repeats("bb.look").await, "refused");

    let listed = b.log().count("tools/list");
    let reloaded = reload(&router).await;
    assert_eq!(reloaded["removed"], json!([]), "{reloaded}");
    router.rewrite_config(&format!("{file}\n# another\n"));
    reload(&router).await;
    assert!(tools(&router).await.contains(&"bb.echo".to_owned()));
    assert_eq!(b.log().count("tools/list"), listed, "left alone");

    let gone = manage(
        &router,
        "unregister_backend",
        json!({ "backend_name": "b" }),
    )
    .await;
    let exact = json!({ "message": "Backend 'b' unregistered successfully" });
    assert_eq!(gone["structuredContent"], exact);
    assert!(!tools(&router).await.contains(&"bb.echo".to_owned()));
    let again = manage(
        &router,
        "unregister_backend",
        json!({ "backend_name": "b" }),
    )
    .await;
    assert_eq!(error(&again), "Backend not found: b");
    let of_file = manage(
        &router,
        "unregister_backend",
        json!({ "backend_name": "a" }),
    )
    .await;
    assert!(
        error(&of_file).contains("in the configuration file"),
        "{of_file}"
    );
}

#[tokio::test]
async fn the_file_wins_over_a_registered_backend_of_the_same_name() {
    let (a, b) = (
        Fixture::builder().spawn().await,
        Fixture::builder().spawn().await,
    );
    let router = start(&format!("{PRIVATE}{}", config([("a", a.url())]))).await;
    register(
        &router,
        json!({ "source": b.url(), "name": "b", "auto_start": false }),
    )
    .await;
    assert_eq!(router.backend("b").await["state"], "disabled");
    router.rewrite_config(&format!(
        "{PRIVATE}{}",
        config([("a", a.url()), ("b", b.url())])
    ));
    let reloaded = reload(&router).await;
    assert_eq!(reloaded["updated"], json!(["b"]), "{reloaded}");
    until_tool(&router, "b.echo", true).await;
    router.rewrite_config(&format!("{PRIVATE}{}", config([("a", a.url())])));
    assert_eq!(reload(&router).await["removed"], json!(["b"]));
}

#[tokio::test]
async fn b32_only_urls_on_the_internet_are_registered() {
    let a = Fixture::builder().spawn().await;
    let router = start(&config([("a", a.url())])).await;
    let port = a.addr().port();
    let local = format!("http://localhost:{port}/mcp");
    let decimal = format!("http://2130706433:{port}/mcp");
    let octal = format!("http://0177.0.0.1:{port}/mcp");
    for source in [
        a.url().as_str(),
        &local,
        &decimal,
        &octal,
        "http://0x7f.1/",
        "http://[::1]/",
        "http://[::ffff:127.0.0.1]/",
        "http://[::ffff:7f00:1]/",
        "http://10.0.0.1/",
        "http://172.16.3.4/",
        "http://192.168.1.1/",
        "http://169.254.169.254/latest/meta-data/",
        "http://100.64.1.1/",
        "http://0.0.0.0/",
        "http://[fe80::1]/",
        "http://[fec0::1]/",
        "http://[fd00::1]/",
        "http://[2002:7f00:1::]/",
        "http://[64:ff9b::7f00:1]/",
        "http://user:pw@example.com/",
        "ftp://example.com/",
        "file:///etc/passwd",
        "mcp-server-time",
        "github:owner/repo",
        "sh -c 'touch /tmp/x'",
        "/bin/sh",
        "npx -y server; id",
        "${HOME}",
        "",
    ] {
        let refused = register(&router, json!({ "source": source, "name": "x" })).await;
        assert!(
            error(&refused).starts_with("Not registered: "),
            "{source}: {refused}"
        );
    }
    for wrong in [
        json!({}),
        json!({ "source": 1 }),
        json!({ "source": "x", "priority": -1 }),
    ] {
        let answer = router.modern().call("register_backend", wrong).await;
        assert_eq!(answer["error"]["code"], -32602, "{answer}");
    }
    // Nothing was there for a moment either.
    assert_eq!(a.log().count("tools/list"), 1, "the file's own");
    let listed = manage(&router, "list_backends", json!({})).await;
    assert_eq!(
        listed["structuredContent"]["result"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
}

#[tokio::test]
async fn processes_are_started_that_the_operator_has_allowed_and_stopped_when_they_go() {
    let a = Fixture::builder().spawn().await;
    let program = fixture_program().to_string_lossy().into_owned();
    let rules = json!({ "allow_commands": [program] });
    let router = start(&format!(
        "registration: {rules}\n{}",
        config([("a", a.url())])
    ))
    .await;
    let log = ChildLog::new();
    let source = format!("{program} stdio --log-file {}", log.path());
    let registered = register(&router, json!({ "source": source, "name": "child" })).await;
    assert_eq!(
        registered["structuredContent"]["started"], true,
        "{registered}"
    );
    until_tool(&router, "child.echo", true).await;
    let status = router.backend("child").await;
    assert_eq!(
        (&status["is_managed"], &status["is_running"]),
        (&json!(true), &json!(true))
    );
    let of_the_file = router.backend("a").await;
    assert_eq!(
        (&status["registered"], &of_the_file["registered"]),
        (&json!(true), &json!(false))
    );
    let pid = log.pids("started")[0];
    manage(
        &router,
        "unregister_backend",
        json!({ "backend_name": "child" }),
    )
    .await;
    until("the process is gone", async || !alive(pid)).await;
}

#[tokio::test]
async fn tools_change_nothing_where_strangers_can_call_them() {
    let a = Fixture::builder().spawn().await;
    let file = format!("{PRIVATE}{}", config([("a", a.url())]));
    let router = allowed(&file).arg("--host").arg("0.0.0.0").start().await;
    let warned = router
        .logs()
        .line("MCP_ALLOW_REGISTRATION has no effect")
        .await;
    assert!(warned.contains("WARN"), "{warned}");
    let at = std::net::SocketAddr::from(([127, 0, 0, 1], router.addr().port()));
    let client = mcp_router_tests::harness::ModernClient::new(at);
    until("it is ready", async || {
        client.call("list_backends", json!({})).await["result"].is_object()
    })
    .await;
    let answer = client
        .call("register_backend", json!({ "source": a.url() }))
        .await;
    assert_eq!(answer["error"]["code"], -32602, "{answer}");
    let answer = client.call("reload_backends_config", json!({})).await;
    assert!(error(&answer["result"]).contains("disabled"), "{answer}");
}
