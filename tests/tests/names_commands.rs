//! Names and addresses as operators look at them, and as URL parsers leave them.

use std::process::Output;

use mcp_router_tests::fixture::Fixture;
use mcp_router_tests::harness::{Router, Scene, binary, config, text};
use serde_json::{Value, json};
use tokio::process::Command;

async fn run(file: &str, args: &[&str]) -> (Output, String) {
    let folder = tempfile::TempDir::new().expect("a folder");
    let path = folder.path().join("backends.yaml");
    std::fs::write(&path, file).expect("a writable folder");
    let mut command = Command::new(binary("mcp-router-http"));
    command
        .arg("--config")
        .arg(&path)
        .args(args)
        .env("RUST_LOG", "off");
    let output = command.output().await.expect("it runs");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    (output, text)
}

#[tokio::test]
async fn tools_as_a_host_shows_what_it_gets_and_what_was_renamed() {
    let backend = Fixture::builder()
        .bare()
        .tool("with space")
        .tool("plain")
        .spawn()
        .await;
    let file = config([("a", backend.url())]);
    let (_, plain) = run(&file, &["tools"]).await;
    assert!(
        plain.contains("a.plain") && !plain.contains("RENAMED"),
        "{plain}"
    );
    let (_, shown) = run(&file, &["tools", "--as", "claude-desktop"]).await;
    let line = shown.lines().find(|line| line.starts_with("a__plain"));
    assert!(line.is_some_and(|line| line.contains("a.plain")), "{shown}");
    assert!(shown.contains("RENAMED FROM"), "{shown}");
    // A host is known by what it calls itself, too.
    let (_, same) = run(&file, &["tools", "--as", "claude-ai"]).await;
    assert_eq!(same, shown);
    let (_, shown) = run(&file, &["tools", "--json", "--as", "cursor"]).await;
    let tools: Value = serde_json::from_str(&shown).expect("JSON");
    for tool in tools.as_array().expect("an array") {
        let name = tool["name"].as_str().expect("a name");
        assert_eq!(tool["definition"]["name"], name, "{tool}");
        let (done, said) = run(&file, &["call", name, r#"{"text": "hi"}"#]).await;
        assert_eq!(done.status.code(), Some(0), "{name}: {said}");
        assert!(said.contains("\"hi\""), "{name}: {said}");
    }
    let (wrong, _) = run(&file, &["tools", "--as", "netscape"]).await;
    assert_eq!(wrong.status.code(), Some(2));
    let said = String::from_utf8_lossy(&wrong.stderr);
    assert!(said.contains("claude-desktop"), "{said}");
}

#[tokio::test]
async fn r20_an_address_that_a_url_parser_has_rewritten_is_read_as_the_one_listed() {
    let own = [
        "x-odd+s://a//b/../c",
        "memo://a/./b%20c",
        "db://h:005432/./t",
    ];
    let mut builder = Fixture::builder().bare();
    for uri in own {
        builder = builder.resource(uri, "r");
    }
    let scene = Scene::with("", builder.tool("echo")).await;
    for (asked, own) in [
        ("a+x-odd+s://a//c", own[0]),
        ("a+memo://a/b%20c", own[1]),
        ("a+db://h:5432/t", own[2]),
    ] {
        let answer = scene
            .modern()
            .request("resources/read", json!({"uri": asked}))
            .await;
        let contents = &answer["result"]["contents"][0];
        assert_eq!(
            contents["text"],
            format!("text of {own}"),
            "{asked}: {answer}"
        );
        assert_eq!(contents["uri"], asked, "{answer}");
    }
    scene.works().await;
}

#[tokio::test]
async fn without_namespaces_hosts_get_names_that_fit_and_an_address_may_have_a_prefix() {
    let one = Fixture::builder()
        .bare()
        .tool("one.tool")
        .resource("memo://hello", "one");
    let two = Fixture::builder()
        .bare()
        .tool("two tool")
        .resource("memo://hello", "two");
    let (one, two) = (one.spawn().await, two.spawn().await);
    let file = config([("one", one.url()), ("two", two.url())]);
    let file = format!("routing: {{ enable_namespace_prefixing: false }}\n{file}");
    let router = Router::start(&file).await;
    router.until_ready().await;
    for name in ["one", "two"] {
        router.until_healthy(name).await;
    }
    let info = json!({"io.modelcontextprotocol/clientInfo": {"name": "claude-ai", "version": "1"}});
    let listed = router
        .modern()
        .request("tools/list", json!({"_meta": info}))
        .await;
    let tools = listed["result"]["tools"].as_array().expect("tools");
    let names: Vec<_> = tools.iter().filter_map(|t| t["name"].as_str()).collect();
    assert_eq!(names[0], "one__tool", "{names:?}");
    assert!(names[1].starts_with("two_tool_"), "{names:?}");
    for name in [names[0], names[1], "one.tool", "two tool"] {
        let answer = router.modern().call(name, json!({"text": "hi"})).await;
        assert_eq!(text(&answer), "hi", "{name}: {answer}");
    }
    for (uri, backend) in [("memo://hello", &one), ("two+memo://hello", &two)] {
        let before = backend.log().count("resources/read");
        let answer = router
            .modern()
            .request("resources/read", json!({"uri": uri}))
            .await;
        assert_eq!(answer["result"]["contents"][0]["uri"], uri, "{answer}");
        assert_eq!(backend.log().count("resources/read"), before + 1, "{uri}");
    }
}
