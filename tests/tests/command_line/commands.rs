//! What a user types, and the exit codes they get: 0 done, 1 failed, 2 wrong file or usage.

use std::net::TcpListener;

use mcp_router_tests::harness::child_entry;
use serde_json::{Value, json};

use crate::run::{Run, run};

fn http(args: &[&str]) -> Run {
    run("mcp-router-http", &[], args, None)
}

#[test]
fn the_demo_needs_no_file_and_shows_its_tools() {
    for program in ["mcp-router-http", "mcp-router-stdio"] {
        let shown = run(program, &[], &["--demo", "tools"], None);
        assert_eq!(shown.code, Some(0), "{}", shown.err);
        for name in ["text.echo", "text.slugify", "time.now", "time-primary"] {
            assert!(shown.out.contains(name), "{}", shown.out);
        }
    }
    let shown = http(&["--demo", "tools", "--json"]);
    let tools: Value = serde_json::from_str(&shown.out).unwrap();
    assert_eq!(tools[0]["name"], tools[0]["definition"]["name"]);
}

#[test]
fn a_call_prints_its_result_and_fails_if_the_tool_fails() {
    let sum = http(&["--demo", "call", "text.add", r#"{"a":1,"b":2}"#]);
    assert_eq!(sum.code, Some(0), "{}", sum.err);
    let result: Value = serde_json::from_str(&sum.out).unwrap();
    assert_eq!(result["structuredContent"], json!({"sum": 3.0}));
    for (args, code) in [
        (&["--demo", "call", "text.fail"][..], 1),
        (&["--demo", "call", "no.such.tool"], 1),
        (&["--demo", "call", "text.add", "{"], 2),
        (&["--demo", "call", "text.add", "[]"], 2),
    ] {
        assert_eq!(http(args).code, Some(code), "{args:?}");
    }
}

#[test]
fn a_child_is_started_asked_and_stopped() {
    let file = format!("backends:\n{}", child_entry("kid", &[]));
    let args = ["call", "kid.add", r#"{"a":1,"b":2}"#];
    let sum = run("mcp-router-stdio", &[], &args, Some(&file));
    assert_eq!(sum.code, Some(0), "{}", sum.err);
    assert!(sum.out.contains('3'), "{}", sum.out);
}

#[test]
fn tools_names_what_is_not_there_and_fails_if_nothing_is() {
    let file = "backends: [{ name: gone, namespace: g, command: /nonexistent/program }]";
    let shown = run("mcp-router-http", &[], &["tools"], Some(file));
    assert_eq!(shown.code, Some(1), "{}", shown.out);
    assert!(shown.err.contains("\"gone\" is not there"), "{}", shown.err);
}

#[test]
fn a_taken_port_is_a_clear_failure() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let refused = http(&["--demo", "--port", &port]);
    assert_eq!(refused.code, Some(1));
    let sentence = format!("cannot listen on 127.0.0.1:{port}");
    assert!(refused.err.contains(&sentence), "{}", refused.err);
}

#[test]
fn wrong_files_and_variables_are_2_and_say_where() {
    for (env, file, said) in [
        (
            &[][..],
            Some("backends:\n  - { nam: x }\n"),
            "did you mean `name`",
        ),
        (&[], Some("backends: 5"), "backends"),
        (&[], Some("{"), "router.yaml"),
        (&[], None, "config/backends.yaml"),
        (&[("MCP_PORT", "no")], Some("backends: []"), "MCP_PORT"),
        (&[("RUST_LOG", "a=b=c")], Some("backends: []"), "RUST_LOG"),
    ] {
        let refused = run("mcp-router-http", env, &[], file);
        assert_eq!(refused.code, Some(2), "{said}: {}", refused.err);
        assert!(refused.err.contains(said), "{said}: {}", refused.err);
    }
}

#[test]
fn help_names_every_variable_and_the_schema_is_one() {
    let help = http(&["--help"]);
    assert_eq!(help.code, Some(0));
    for variable in mcp_router_config::VARIABLES {
        assert!(help.out.contains(variable.name), "{}", variable.name);
    }
    let schema: Value = serde_json::from_str(&http(&["schema"]).out).unwrap();
    assert_eq!(schema["type"], "object");
}
