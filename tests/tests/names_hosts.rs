//! Names that hosts can take, from the file to the wire and back.

use mcp_router_tests::fixture::{Fixture, FixtureBuilder};
use mcp_router_tests::harness::{HttpClient, Scene, config, text};
use serde_json::{Value, json};

/// What hosts call themselves, and the longest name that each gets from a server `mcp-router`.
const HOSTS: [(&str, usize); 6] = [
    ("claude-ai", 64),
    ("claude-ai (via mcp-remote 0.1.37)", 64),
    ("claude-code", 64 - "mcp__mcp-router__".len()),
    ("cursor-vscode", 60 - "mcp-router ".len()),
    ("Visual Studio Code", 46),
    ("openai-mcp", 64),
];

fn backend() -> FixtureBuilder {
    Fixture::builder()
        .bare()
        .tool("echo")
        .tool("with space")
        .tool("dotted.name")
        .tool(&"long".repeat(30))
        .prompt("hello")
}

fn modern(client: &str, params: Value) -> Value {
    let mut params = params;
    params["_meta"]["io.modelcontextprotocol/clientInfo"] = json!({"name": client, "version": "1"});
    params
}

/// All items of a list, as a modern client of this name gets them.
async fn listed(scene: &Scene, client: &str, method: &str, member: &str) -> Vec<String> {
    let answer = scene
        .modern()
        .request(method, modern(client, json!({})))
        .await;
    let items = answer["result"][member].as_array();
    let items = items.unwrap_or_else(|| panic!("no {member}: {answer}"));
    let names = items.iter().filter_map(|item| item["name"].as_str());
    names.map(str::to_owned).collect()
}

#[tokio::test]
async fn names_fit_what_each_host_takes_and_calls_by_any_of_them_arrive() {
    let scene = Scene::with("", backend()).await;
    let mut spellings = listed(&scene, "harness", "tools/list", "tools").await;
    assert!(
        spellings.contains(&"a.dotted.name".to_owned()),
        "{spellings:?}"
    );
    for (host, longest) in HOSTS {
        let names = listed(&scene, host, "tools/list", "tools").await;
        assert_eq!(names.len(), spellings.len().min(8), "{host}: {names:?}");
        let fit = |c: char| c.is_ascii_alphanumeric() || "_-".contains(c);
        for name in &names {
            assert!(name.len() <= longest, "{host}: {name}");
            assert!(name.chars().all(fit), "{host}: {name}");
        }
        let own = names.len() - 4;
        assert!(names[..own].is_sorted(), "{host}: {names:?}");
        assert!(
            names[own..].contains(&"list_backends".to_owned()),
            "{names:?}"
        );
        assert!(names.contains(&"a__dotted__name".to_owned()), "{names:?}");
        let prompts = listed(&scene, host, "prompts/list", "prompts").await;
        assert_eq!(prompts, ["a__hello"], "{host}");
        spellings.extend(names[..own].iter().cloned());
        spellings.truncate(8);
        for name in &names[..own] {
            let answer = scene.modern().call(name, json!({"text": "x"})).await;
            assert_eq!(text(&answer), "x", "{host}: {name}: {answer}");
        }
    }
    // The backend has seen its own names alone.
    for seen in scene.backend().log().of("tools/call") {
        let name = seen.name.unwrap_or_default();
        let own = ["echo", "with space", "dotted.name"];
        assert!(own.contains(&&*name) || name == "long".repeat(30), "{name}");
    }
    // The log has operators' names.
    scene.router().logs().line("a.dotted.name").await;
}

#[tokio::test]
async fn legacy_hosts_are_known_by_what_they_say_in_initialize() {
    let scene = Scene::with("", backend()).await;
    let client = HttpClient::new(scene.router().addr());
    let params = json!({
        "protocolVersion": "2025-06-18", "capabilities": {},
        "clientInfo": {"name": "claude-ai", "version": "0.1.0"},
    });
    let post = async |client: &HttpClient, method: &str, params: Value| {
        let body = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
        client.post("/mcp", body.to_string()).await
    };
    let reply = post(&client, "initialize", params).await;
    let session = reply
        .header("mcp-session-id")
        .expect("a session")
        .to_owned();
    let client = client.with("mcp-session-id", &session);
    let answer = post(&client, "tools/list", json!({})).await.json();
    let name = &answer["result"]["tools"][0]["name"];
    assert_eq!(name, "a__dotted__name", "{answer}");
    for name in ["a__echo", "a.echo"] {
        let params = json!({"name": name, "arguments": {"text": "hi"}});
        let answer = post(&client, "tools/call", params).await.json();
        assert_eq!(text(&answer), "hi", "{name}: {answer}");
    }
    let params = json!({"name": "a__hello"});
    let answer = post(&client, "prompts/get", params).await.json();
    assert!(answer["result"]["messages"].is_array(), "{answer}");
}

#[tokio::test]
async fn the_separator_of_the_file_gives_everybody_names_that_fit() {
    let scene = Scene::with("routing: { namespace_separator: \"__\" }", backend()).await;
    let names = listed(&scene, "harness", "tools/list", "tools").await;
    assert_eq!(names[0], "a__dotted__name", "{names:?}");
    let longest = names.iter().map(String::len).max();
    assert_eq!(longest, Some(64), "{names:?}");
    for name in ["a__echo", "a.echo"] {
        let answer = scene.modern().call(name, json!({"text": "hi"})).await;
        assert_eq!(text(&answer), "hi", "{name}: {answer}");
    }
    let backend = Fixture::builder().spawn().await;
    let file = config([("a", backend.url())]);
    for wrong in ["_", ":", "dot"] {
        let file = format!("routing: {{ namespace_separator: \"{wrong}\" }}\n{file}");
        let router = mcp_router_tests::harness::Router::builder().config(&file);
        let (status, log) = router.fail().await;
        assert_eq!(status.code(), Some(2), "{log}");
        assert!(log.contains("namespace_separator must be one of"), "{log}");
    }
}

#[tokio::test]
async fn a_router_behind_a_router_is_called_by_names_with_two_namespaces() {
    let inner = Scene::with("", backend()).await;
    let file = config([("far", inner.router().url("/mcp"))]);
    let outer = mcp_router_tests::harness::Router::start(&file).await;
    outer.until_ready().await;
    outer.until_healthy("far").await;
    let names = outer.legacy_session("2025-11-25").await.tool_names().await;
    for name in ["far.a.echo", "far.list_backends", "list_backends"] {
        assert!(names.contains(&name.to_owned()), "{name}: {names:?}");
    }
    for name in ["far.a.echo", "far__a__echo"] {
        let answer = outer.modern().call(name, json!({"text": "hi"})).await;
        assert_eq!(text(&answer), "hi", "{name}: {answer}");
    }
    let seen = inner.backend().log().of("tools/call");
    assert!(
        seen.iter().all(|call| call.name.as_deref() == Some("echo")),
        "{seen:?}"
    );
    let far = outer.modern().call("far.list_backends", json!({})).await;
    assert_eq!(
        far["result"]["structuredContent"]["result"][0]["name"], "a",
        "{far}"
    );
}
