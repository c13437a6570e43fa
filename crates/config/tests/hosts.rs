//! Files of Claude Desktop, Claude Code, Cursor and VS Code, as they are.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use common::{complaints, load_text, load_with};
use mcp_router_config::{EndpointConfig, HttpTransport};
use secrecy::ExposeSecret;

#[test]
fn a_claude_desktop_file_works_as_it_is() {
    let text = "{\n\t\"globalShortcut\": \"Ctrl+Space\",\n\t\"mcpServers\": {\n\t\t\"My Files\": {\n\t\t\t\"command\": \"npx\",\n\t\t\t\"args\": [\"-y\", \"server-filesystem\", \"/data\"],\n\t\t\t\"env\": {\"KEY\": \"v\"}\n\t\t},\n\t\t\"zoo\": {\"command\": \"zoo\"},\n\t\t\"api\": {\"command\": \"api\"}\n\t}\n}\n";
    let loaded = load_text(text).unwrap();
    assert!(loaded.warnings.is_empty(), "{:?}", loaded.warnings);
    let names: Vec<&str> = loaded
        .config
        .backends
        .iter()
        .map(|b| b.name.as_str())
        .collect();
    assert_eq!(
        names,
        ["my-files", "zoo", "api"],
        "in the order of the file"
    );
    let files = &loaded.config.backends[0];
    assert_eq!(files.namespace.as_str(), "my-files");
    let EndpointConfig::Command(child) = &files.endpoint else {
        panic!("a command");
    };
    assert_eq!((child.program.as_str(), child.args.len()), ("npx", 3));
}

#[test]
fn a_cursor_or_claude_code_file_with_remote_servers_works() {
    let text = r#"{"mcpServers": {
        "a": {"type": "http", "url": "https://a.example/mcp", "headers": {"Authorization": "Bearer ${env:T}"}},
        "b": {"type": "sse", "url": "https://b.example/sse"},
        "c": {"serverUrl": "https://c.example/"},
        "d": {"type": "stdio", "command": "d", "disabled": true, "autoApprove": []},
        "e": {"url": "https://e.example/", "namespace": "shared", "priority": 3}
    }}"#;
    let loaded = load_with(text, &[("T", "x")]).unwrap();
    assert!(loaded.warnings.is_empty(), "{:?}", loaded.warnings);
    let transports: Vec<Option<HttpTransport>> = loaded
        .config
        .backends
        .iter()
        .map(|b| match &b.endpoint {
            EndpointConfig::Http(http) => Some(http.transport),
            _ => None,
        })
        .collect();
    let auto = Some(HttpTransport::Auto);
    assert_eq!(
        transports,
        [
            Some(HttpTransport::StreamableHttp),
            Some(HttpTransport::Sse),
            auto,
            None,
            auto
        ]
    );
    let EndpointConfig::Http(a) = &loaded.config.backends[0].endpoint else {
        panic!("a URL");
    };
    assert_eq!(a.headers[0].1.expose_secret(), "Bearer x");
    assert!(!loaded.config.backends[3].auto_start);
    assert_eq!(loaded.config.backends[4].namespace.as_str(), "shared");
    assert_eq!(loaded.config.backends[4].priority, 3);
}

#[test]
fn a_vs_code_file_with_comments_works() {
    let text = r#"{
        // our servers
        "inputs": [{"type": "promptString", "id": "k"}],
        "servers": {
            "github": {"type": "http", "url": "https://g.example/mcp/"}, /* more
            to come */
        },
    }"#;
    let loaded = load_text(text).unwrap();
    assert_eq!(loaded.config.backends[0].name.as_str(), "github");
}

#[test]
fn what_only_the_host_can_use_is_said_to_be_ignored() {
    let text = "mcpServers:\n  a:\n    command: c\n    envFile: .env\n    headers: {}\n";
    let loaded = load_text(text).unwrap();
    let warnings: Vec<String> = loaded.warnings.iter().map(ToString::to_string).collect();
    assert_eq!(warnings.len(), 2, "{warnings:?}");
    assert!(
        warnings[0].contains("`envFile`") && warnings[0].contains("line 4"),
        "{warnings:?}"
    );
}

#[test]
fn mistakes_have_places_here_too() {
    let text = "{\"mcpServers\": {\n  \"a b\": {\"command\": 5},\n  \"A B\": {\"command\": \"c\"},\n  \"***\": {\"command\": \"c\"},\n  \"x\": {\"type\": \"ws\", \"url\": \"http://h\"},\n  \"y\": {},\n  \"z\": {\"url\": \"${input:k}\"}\n}}";
    let found = complaints(text, &[]);
    let expected = [
        "2:22 mcpServers.a b.command must be text (in quotes, if it looks like something else)",
        "3:3 two backends are named `a-b`",
        "4:3 `***` has nothing that can be a namespace",
        "5:17 mcpServers.x.type must be stdio, http or sse",
        "6:8 mcpServers.y has neither `url` nor `command`",
    ];
    assert_eq!(found[..5], expected);
    assert!(
        found[5].starts_with("7:16 mcpServers.z.url: `input:k` is not a variable's name"),
        "{found:?}"
    );
    assert_eq!(found.len(), 6);
}

#[test]
fn our_sections_work_beside_a_hosts_but_not_two_lists_of_servers() {
    let both = "mcpServers: { a: { command: c } }\nrouting: { request_timeout_seconds: 5 }\n";
    assert_eq!(
        load_text(both)
            .unwrap()
            .config
            .routing
            .request_timeout
            .as_secs(),
        5
    );
    let two = "backends: []\nmcpServers: { a: { command: c } }\n";
    assert_eq!(
        complaints(two, &[]),
        ["2:1 `backends` and `mcpServers` in one file"]
    );
}
