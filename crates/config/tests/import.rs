//! Other programs' files, converted: the result loads, and nothing is lost without a word.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use common::load_with;
use mcp_router_config::{EndpointConfig, HttpTransport, Imported, Secrets, import};
use secrecy::ExposeSecret;

fn imported(text: &str) -> Imported {
    import("servers.json".into(), text, Secrets::Keep).unwrap()
}

fn notes(imported: &Imported) -> Vec<String> {
    imported.notes.iter().map(ToString::to_string).collect()
}

#[test]
fn a_hosts_file_becomes_backends_that_load() {
    let text = r#"{
        // comments are fine
        "globalShortcut": "x",
        "mcpServers": {
            "My Files": {
                "command": "npx", "args": ["-y", "fs", "/data"], "env": {"LEVEL": 3},
                "autoApprove": ["x"], "disabled": true
            },
            "api": {
                "type": "http", "url": "https://api.example/mcp",
                "headers": {"X-Team": "blue"}, "envFile": ".env"
            },
            "old": {"type": "sse", "serverUrl": "https://old.example/sse"}
        },
    }"#;
    let imported = imported(text);
    let notes = notes(&imported);
    assert_eq!(notes.len(), 2, "{notes:?}");
    assert!(
        notes[0].contains("`My Files` is called `my-files`"),
        "{notes:?}"
    );
    assert!(
        notes[1].contains("`envFile` has no counterpart"),
        "{notes:?}"
    );
    assert!(notes[1].ends_with("(line 11)"), "{notes:?}");
    assert!(
        imported.yaml.contains("  # `envFile` has no counterpart"),
        "{}",
        imported.yaml
    );

    let loaded = load_with(&imported.yaml, &[]).unwrap();
    assert!(loaded.warnings.is_empty(), "{:?}", loaded.warnings);
    let [files, api, old] = &loaded.config.backends[..] else {
        panic!("three backends: {}", imported.yaml);
    };
    assert!(!files.auto_start && api.auto_start);
    let EndpointConfig::Command(child) = &files.endpoint else {
        panic!("a command");
    };
    assert_eq!(child.args, ["-y", "fs", "/data"]);
    assert_eq!(child.env[0].1.expose_secret(), "3");
    let transport = |backend: &mcp_router_config::BackendConfig| match &backend.endpoint {
        EndpointConfig::Http(http) => http.transport,
        _ => panic!("a URL"),
    };
    assert_eq!(transport(api), HttpTransport::StreamableHttp);
    assert_eq!(transport(old), HttpTransport::Sse);
    assert_eq!(api.namespace.as_str(), "api");
}

#[test]
fn settings_of_editors_and_projects_are_found_and_names_stay_apart() {
    let code = r#"{"mcp": {"inputs": [], "servers": {"gh": {"url": "https://g.example/",
        "headers": {"Authorization": "Bearer ${input:github_token}"}}}}}"#;
    let first = imported(code);
    assert!(
        first.yaml.contains("Bearer ${GITHUB_TOKEN:-}"),
        "{}",
        first.yaml
    );
    assert!(
        notes(&first)[0].contains("${input:github_token}"),
        "{:?}",
        notes(&first)
    );
    load_with(&first.yaml, &[]).unwrap();

    let claude = r#"{"mcpServers": {"a": {"command": "x"}}, "projects": {
        "/home/me/p": {"mcpServers": {"A": {"command": "y"}}, "history": []}}}"#;
    let second = imported(claude);
    let loaded = load_with(&second.yaml, &[]).unwrap();
    let names: Vec<_> = loaded
        .config
        .backends
        .iter()
        .map(|b| b.name.as_str())
        .collect();
    assert_eq!(names, ["a", "a-2"]);
}

const LIST: &str = r#"
version: 1
servers:
  - name: Primary DB
    endpoint: db.internal:8080/mcp
    auth: { type: bearer, token: "${DB_TOKEN}" }
    priority: high
    tools: [query]
  - name: search
    endpoint: https://search.example/mcp
    auth: { type: api_key, header: X-Search-Key, key: abc }
    priority: medium
    timeout: 30
  - { name: legacy, url: "http://old.example/sse", transport: sse, priority: low, auth: none }
  - { name: keyed, url: "http://k.example/mcp", auth: { type: bearer, token_env: KEYED_TOKEN } }
  - { name: sso, url: "http://sso.example/mcp", auth: { type: oauth2 } }
  - { name: nowhere, description: "no address" }
"#;

#[test]
fn lists_of_servers_keep_their_order_of_preference_and_their_credentials() {
    let imported = imported(LIST);
    let variables = [("DB_TOKEN", "t0ken"), ("KEYED_TOKEN", "k3y")];
    let loaded = load_with(&imported.yaml, &variables).unwrap();
    let backends = &loaded.config.backends;
    let priorities: Vec<_> = backends
        .iter()
        .map(|b| (b.name.as_str(), b.priority))
        .collect();
    let expected = [
        ("primary-db", 5),
        ("search", 10),
        ("legacy", 20),
        ("keyed", 10),
        ("sso", 10),
    ];
    assert_eq!(priorities, expected);
    let headers = |at: usize| match &backends[at].endpoint {
        EndpointConfig::Http(http) => http.headers.iter(),
        _ => panic!("a URL"),
    };
    let header = |at| {
        headers(at)
            .map(|(n, v)| format!("{n}: {}", v.expose_secret()))
            .next()
    };
    assert_eq!(header(0).as_deref(), Some("authorization: Bearer t0ken"));
    assert_eq!(header(1).as_deref(), Some("x-search-key: abc"));
    assert_eq!(header(2), None);
    assert_eq!(header(3).as_deref(), Some("authorization: Bearer k3y"));
    let notes = notes(&imported).join("\n");
    for said in [
        "version has no counterpart",
        "`Primary DB` is called `primary-db`",
        "`tools` lists names and was left out",
        "`timeout` says no unit",
        "gets no tokens by itself",
        "nowhere has neither a URL nor a command",
        "headers.X-Search-Key looks like a secret",
    ] {
        assert!(notes.contains(said), "{said} is not in:\n{notes}");
    }
}

#[test]
fn secrets_can_be_left_out_of_the_file() {
    let text = r#"{"mcpServers": {"gh": {
        "command": "gh-mcp", "args": ["--api-key=hunter2", "--token", "hunter3", "--verbose"],
        "env": {"GITHUB_TOKEN": "hunter4", "LEVEL": "info", "SET": "${SET}"}
    }, "web": {"url": "https://w.example/mcp", "headers": {"Authorization": "Bearer hunter5"}}}}"#;
    let kept = imported(text);
    assert!(kept.yaml.contains("hunter4"), "{}", kept.yaml);
    assert!(kept.variables.is_empty());
    assert!(
        !notes(&kept).join("\n").contains("hunter"),
        "{:?}",
        notes(&kept)
    );

    let hidden = import("f".into(), text, Secrets::Hide).unwrap();
    assert!(!hidden.yaml.contains("hunter"), "{}", hidden.yaml);
    assert!(
        !hidden.json.to_string().contains("hunter"),
        "{}",
        hidden.json
    );
    let wanted = [
        "GITHUB_TOKEN",
        "GH_API_KEY",
        "GH_TOKEN",
        "WEB_AUTHORIZATION",
    ];
    assert_eq!(hidden.variables, wanted);
    let set = wanted.map(|name| (name, "s3cret"));
    let variables = [&set[..], &[("SET", "x")]].concat();
    let loaded = load_with(&hidden.yaml, &variables).unwrap();
    let EndpointConfig::Command(gh) = &loaded.config.backends[0].endpoint else {
        panic!("a command");
    };
    assert_eq!(
        gh.args,
        ["--api-key=s3cret", "--token", "s3cret", "--verbose"]
    );
    let EndpointConfig::Http(web) = &loaded.config.backends[1].endpoint else {
        panic!("a URL");
    };
    assert_eq!(web.headers[0].1.expose_secret(), "Bearer s3cret");
}

#[test]
fn what_is_no_list_of_servers_is_refused_with_a_reason() {
    for (text, why) in [
        ("backends: []", "is one of ours already"),
        ("a: 1", "names no MCP servers"),
        ("[]", "names no MCP servers"),
        ("{\"mcpServers\": {}}", "names no MCP servers"),
        ("{\"mcpServers\": ", "f:2"),
    ] {
        let refused = import("f".into(), text, Secrets::Keep)
            .unwrap_err()
            .to_string();
        assert!(refused.contains(why), "{text}: {refused}");
    }
}
