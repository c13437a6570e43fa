//! `import`: what comes out is what `check` takes.

use std::fs;

use tempfile::TempDir;

use crate::run::run;

const HOST: &str = r#"{"mcpServers": {
    "Files": {"command": "npx", "args": ["-y", "fs"], "env": {"API_TOKEN": "hunter2"}},
    "web": {"type": "http", "url": "https://w.example/mcp", "oauth": {}}
}}"#;

fn import(text: &str, flags: &[&str]) -> crate::run::Run {
    let folder = TempDir::new().expect("a folder");
    let path = folder.path().join("servers.json");
    fs::write(&path, text).expect("a writable folder");
    let path = path.to_string_lossy();
    run(
        "mcp-router-http",
        &[],
        &[&["import", &path], flags].concat(),
        None,
    )
}

#[test]
fn what_comes_out_is_accepted_and_what_was_left_out_is_told() {
    let made = import(HOST, &[]);
    assert_eq!(made.code, Some(0), "{}", made.err);
    assert!(
        made.err
            .contains("servers.json:3: `oauth` has no counterpart"),
        "{}",
        made.err
    );
    assert!(
        made.err.contains("${API_TOKEN}") && !made.err.contains("hunter2"),
        "{}",
        made.err
    );
    let checked = run("mcp-router-http", &[], &["check"], Some(&made.out));
    assert_eq!(checked.code, Some(0), "{}\n{}", made.out, checked.err);
    assert!(checked.out.contains("name: files") && checked.out.contains("w.example"));
}

#[test]
fn secrets_stay_out_of_the_file_where_that_is_wanted() {
    let made = import(HOST, &["--hide-secrets"]);
    assert!(
        !made.out.contains("hunter2") && !made.err.contains("hunter2"),
        "{}",
        made.out
    );
    assert!(
        made.err
            .contains("to be set before the file is used: API_TOKEN"),
        "{}",
        made.err
    );
    let unset = run("mcp-router-http", &[], &["check"], Some(&made.out));
    assert_eq!(unset.code, Some(2));
    assert!(
        unset.err.contains("`API_TOKEN` is not set"),
        "{}",
        unset.err
    );
    let set = run(
        "mcp-router-http",
        &[("API_TOKEN", "x")],
        &["check"],
        Some(&made.out),
    );
    assert_eq!(set.code, Some(0), "{}", set.err);
}

#[test]
fn what_cannot_be_converted_is_2_with_the_reason() {
    for (text, said) in [
        ("{", "servers.json:2"),
        ("{}", "names no MCP servers"),
        ("backends: []", "ours already"),
    ] {
        let refused = import(text, &[]);
        assert_eq!((refused.code, &*refused.out), (Some(2), ""), "{text}");
        assert!(refused.err.contains(said), "{text}: {}", refused.err);
    }
}
