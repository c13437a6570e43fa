//! The tasks and UI extensions, routed between modern peers.

use mcp_router_tests::fixture::{Era, Fixture};
use mcp_router_tests::harness::{
    ModernClient, Router, SseReader, child_entry, config, text, until,
};
use serde_json::{Value, json};

const TASKS: &str = "io.modelcontextprotocol/tasks";

async fn backend(name: &str, era: Era) -> Fixture {
    Fixture::builder()
        .name(name)
        .era(era)
        .tool("job")
        .spawn()
        .await
}

fn able(router: &Router) -> ModernClient {
    ModernClient::with_capabilities(router.addr(), json!({"extensions": {TASKS: {}}}))
}

/// A router with two backends of one era, ready.
async fn two(era: Era, sections: &str) -> (Router, [Fixture; 2]) {
    let backends = [backend("one", era).await, backend("two", era).await];
    let names = ["one", "two"];
    let urls = names
        .into_iter()
        .zip(&backends)
        .map(|(name, b)| (name, b.url()));
    let router = Router::start(&format!("{sections}\n{}", config(urls))).await;
    router.until_ready().await;
    for name in names {
        router.until_healthy(name).await;
    }
    (router, backends)
}

#[tokio::test]
async fn tasks_are_created_polled_and_cancelled_at_the_backend_that_made_them() {
    let keys = format!("server: {{ session_keys: [\"{}\"] }}", "k".repeat(32));
    let (router, backends) = two(Era::Modern, &keys).await;
    // Another replica with the key finds every task, too.
    let urls = ["one", "two"]
        .into_iter()
        .zip(&backends)
        .map(|(name, b)| (name, b.url()));
    let replica = Router::start(&format!("{keys}\n{}", config(urls))).await;
    replica.until_ready().await;
    for name in ["one", "two"] {
        replica.until_healthy(name).await;
    }
    let (client, other) = (able(&router), able(&replica));
    let discovered = client.request("server/discover", json!({})).await;
    let extensions = &discovered["result"]["capabilities"]["extensions"];
    assert_eq!(extensions[TASKS], json!({}), "{discovered}");
    let mut ids = Vec::new();
    for name in ["one", "two"] {
        let made = client.call(&format!("{name}.job"), json!({})).await;
        assert_eq!(made["result"]["resultType"], "task", "{made}");
        let id = made["result"]["taskId"].as_str().expect("an id").to_owned();
        assert!(!id.contains("task-"), "sealed: {id}");
        ids.push((name, id));
    }
    for (name, id) in &ids {
        let first = client.request("tasks/get", json!({"taskId": id})).await;
        assert_eq!(first["result"]["status"], "working", "{first}");
        let second = other.request("tasks/get", json!({"taskId": id})).await;
        assert_eq!(second["result"]["status"], "completed", "{second}");
        assert_eq!(second["result"]["resultType"], "complete", "{second}");
        assert_eq!(second["result"]["taskId"], **id, "{second}");
        let link = &second["result"]["result"]["content"][1]["uri"];
        assert_eq!(*link, format!("{name}+memo://hello"), "{second}");
        let read = client.request("resources/read", json!({"uri": link})).await;
        assert_eq!(
            read["result"]["contents"][0]["text"],
            "text of memo://hello"
        );
        let update = json!({"taskId": id, "inputResponses": {}});
        let updated = client.request("tasks/update", update).await;
        let result = &updated["result"];
        assert_eq!(result["resultType"], "complete", "{updated}");
        assert!(result.get("status").is_none(), "{updated}");
        client.request("tasks/cancel", json!({"taskId": id})).await;
        let last = client.request("tasks/get", json!({"taskId": id})).await;
        assert_eq!(last["result"]["status"], "cancelled", "{last}");
    }
    // Each backend has seen its own ids, in the body and in the header.
    for backend in &backends {
        for seen in backend.log().of("tasks/get") {
            let own = seen.params()["taskId"].as_str().expect("an id").to_owned();
            assert!(own.contains("-task-0"), "{own}");
            assert_eq!(seen.header("mcp-name"), Some(&*own));
        }
        assert_eq!(backend.log().count("tasks/get"), 3);
    }
}

/// The next news of a task.
async fn news(events: &mut SseReader) -> Value {
    let message = events.message().await;
    assert_eq!(message["method"], "notifications/tasks", "{message}");
    message["params"].clone()
}

#[tokio::test]
async fn r23_news_of_tasks_come_from_every_backend_under_the_client_s_ids() {
    let http = backend("one", Era::Modern).await;
    let child = child_entry(
        "two",
        &["--era", "modern", "--name", "two", "--tool", "job"],
    );
    let file = format!("{}{child}", config([("one", http.url())]));
    let router = Router::start(&file).await;
    router.until_ready().await;
    let (client, other) = (able(&router), able(&router));
    let mut ids = Vec::new();
    for name in ["one", "two"] {
        router.until_healthy(name).await;
        let made = client.call(&format!("{name}.job"), json!({})).await;
        let id = made["result"]["taskId"].as_str().expect("an id").to_owned();
        ids.push(id);
    }
    let filter = json!({"notifications": {"toolsListChanged": true, "taskIds": ids}});
    let mut stream = client.open("subscriptions/listen", filter).await.events;
    let acknowledged = stream.message().await;
    let tag = "io.modelcontextprotocol/subscriptionId";
    let own = acknowledged["params"]["_meta"][tag].clone();
    let honoured = &acknowledged["params"]["notifications"];
    let mut expected = ids.clone();
    expected.sort();
    assert_eq!(honoured["taskIds"], json!(expected), "{acknowledged}");
    assert_eq!(honoured["toolsListChanged"], true, "{acknowledged}");
    // A second stream of somebody else's: each task is told where it was asked for.
    let filter = json!({"notifications": {"taskIds": [ids[1]]}});
    let mut second = other.open("subscriptions/listen", filter).await.events;
    second.message().await;

    for _ in 0..2 {
        client.request("tasks/get", json!({"taskId": ids[0]})).await;
    }
    let told = news(&mut stream).await;
    assert_eq!(
        (&told["taskId"], &told["_meta"][tag]),
        (&json!(ids[0]), &own)
    );
    assert_eq!(told["status"], "completed", "{told}");
    let link = &told["result"]["content"][1]["uri"];
    assert_eq!(*link, "one+memo://hello", "{told}");
    other
        .request("tasks/cancel", json!({"taskId": ids[1]}))
        .await;
    for events in [&mut stream, &mut second] {
        let told = news(events).await;
        assert_eq!(told["taskId"], *ids[1], "{told}");
        assert_eq!(told["status"], "cancelled", "{told}");
    }
    let asked = http.log().of("subscriptions/listen");
    let asked: Vec<_> = asked
        .iter()
        .map(|seen| seen.params()["notifications"]["taskIds"].clone())
        .filter(|ids| !ids.is_null())
        .collect();
    assert_eq!(asked, [json!(["one-task-0"])]);
}

#[tokio::test]
async fn clients_that_take_no_tasks_and_ids_that_nobody_gave_are_refused() {
    let (router, _backends) = two(Era::Modern, "").await;
    let made = able(&router).call("one.job", json!({})).await;
    let id = &made["result"]["taskId"];
    let required = json!({"requiredCapabilities": {"extensions": {TASKS: {}}}});
    let plain = router.modern();
    for method in ["tasks/get", "tasks/update", "tasks/cancel"] {
        let reply = plain.post(method, json!({"taskId": id})).await;
        assert_eq!(
            (reply.status.as_u16(), reply.code()),
            (400, Some(-32021)),
            "{}",
            reply.text()
        );
        assert_eq!(reply.json()["error"]["data"], required);
    }
    // The backend itself says that it cannot do without.
    let reply = plain.post("tools/call", json!({"name": "one.job"})).await;
    assert_eq!(reply.code(), Some(-32021), "{}", reply.text());
    let filter = json!({"notifications": {"taskIds": [id]}});
    let reply = plain.post("subscriptions/listen", filter).await;
    assert_eq!(
        (reply.status.as_u16(), reply.code()),
        (400, Some(-32021)),
        "{}",
        reply.text()
    );
    assert_eq!(reply.json()["error"]["data"], required);
    let filter = json!({"notifications": {"taskIds": [id, "one-task-0"]}});
    let reply = able(&router).post("subscriptions/listen", filter).await;
    assert_eq!(reply.code(), Some(-32602), "{}", reply.text());
    for wrong in ["one-task-0", "x"] {
        let reply = able(&router)
            .post("tasks/get", json!({"taskId": wrong}))
            .await;
        assert_eq!(
            (reply.status.as_u16(), reply.code()),
            (200, Some(-32602)),
            "{}",
            reply.text()
        );
    }
    let session = router.legacy_session("2025-11-25").await;
    for method in ["tasks/get", "tasks/result", "tasks/list"] {
        let answer = session.request(method, json!({"taskId": id})).await;
        assert_eq!(answer["error"]["code"], -32601, "{method}: {answer}");
    }
    let capabilities = &session.initialized["capabilities"];
    assert!(capabilities.get("tasks").is_none(), "{capabilities}");
    assert!(
        capabilities["extensions"].get(TASKS).is_none(),
        "{capabilities}"
    );
}

#[tokio::test]
async fn tasks_of_2025_11_25_are_ignored_and_tools_that_need_them_left_out() {
    let backend = Fixture::builder().era(Era::Legacy).tool("job");
    let tool = |name: &str, support: &str| json!({"name": name, "inputSchema": {"type": "object"}, "execution": {"taskSupport": support}});
    let backend = backend.tool_definition(&tool("must", "required"));
    let backend = backend
        .tool_definition(&tool("may", "optional"))
        .spawn()
        .await;
    let router = Router::start(&config([("a", backend.url())])).await;
    router.until_ready().await;
    router.until_healthy("a").await;
    let session = router.legacy_session("2025-11-25").await;
    let params = json!({"name": "a.job", "arguments": {}, "task": {"ttl": 1000}});
    let answer = session.request("tools/call", params).await;
    assert_eq!(text(&answer), "no task", "{answer}");
    let seen = backend.log().of("tools/call");
    assert!(seen[0].params().get("task").is_none(), "{seen:?}");
    let legacy = session.list("tools/list", "tools").await;
    let modern = router.modern().request("tools/list", json!({})).await;
    let modern = modern["result"]["tools"].as_array().expect("tools").clone();
    let find = |all: &[Value], name: &str| all.iter().find(|t| t["name"] == name).cloned();
    for all in [&legacy, &modern] {
        assert_eq!(find(all, "a.must"), None);
    }
    let may = find(&legacy, "a.may").expect("a tool");
    assert_eq!(may["execution"]["taskSupport"], "optional", "{may}");
    let may = find(&modern, "a.may").expect("a tool");
    assert!(may.get("execution").is_none(), "{may}");
    let status = router.backend("a").await;
    assert!(
        status["left_out"][0]
            .as_str()
            .is_some_and(|t| t.starts_with("must: ")),
        "{status}"
    );
}

#[tokio::test]
async fn user_interfaces_are_found_by_the_address_that_their_tools_name() {
    let ui = json!({"resourceUri": "ui://weather/view", "visibility": ["model"]});
    let tool = json!({"name": "weather", "inputSchema": {"type": "object"}, "_meta": {"ui": ui}});
    let backend = Fixture::builder().tool_definition(&tool);
    let backend = backend.resource("ui://weather/view", "view").spawn().await;
    let router = Router::start(&config([("a_b", backend.url())])).await;
    router.until_ready().await;
    until("the tool is there", async || {
        router.backend("a_b").await["healthy"] == true
    })
    .await;
    let session = router.legacy_session("2025-06-18").await;
    for tools in [
        session.list("tools/list", "tools").await,
        router.modern().request("tools/list", json!({})).await["result"]["tools"]
            .as_array()
            .expect("tools")
            .clone(),
    ] {
        let tool = tools
            .iter()
            .find(|t| t["name"] == "a_b.weather")
            .expect("a tool");
        let uri = &tool["_meta"]["ui"]["resourceUri"];
        assert_eq!(uri, "ui://x.a.b/weather/view", "{tool}");
        assert_eq!(
            tool["_meta"]["ui"]["visibility"],
            json!(["model"]),
            "{tool}"
        );
        let answer = session.request("resources/read", json!({"uri": uri})).await;
        let contents = &answer["result"]["contents"][0];
        assert_eq!(contents["text"], "text of ui://weather/view", "{answer}");
        assert_eq!(contents["uri"], *uri, "{answer}");
    }
}
