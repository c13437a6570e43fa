//! What is said about a file that is wrong.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use common::{complaints, load_text, load_with};

#[test]
fn all_complaints_come_at_once_each_with_its_place() {
    let text = r#"
backends:
  - name: a
    url: http://h
    namespce: a
    priority: high
    health_check: { interval_seconds: 0 }
  - name: a
    url: ftp://h
    namespace: Bad.Name
    routes:
      - { pattern: "x", strategy: fallbak, fallback_to: c }
  - namespace: x
    command: "${NOT_SET}"
    args: [1]
routing:
  request_timeout_seconds: .5
  enable_namespace_prefixing: "maybe"
servr: {}
"#;
    let found = complaints(text, &[("MCP_PORT", "x")]);
    let expected = [
        "- MCP_PORT=`x`: must be a whole number between 1 and 65535",
        "5:5 unknown key `namespce` in backends[0]",
        "6:15 backends[0].priority must be a whole number",
        "7:39 backends[0].health_check.interval_seconds must be between 1 and 604800",
        "8:5 two backends are named `a`",
        "9:10 backends[1].url must start with http:// or https://",
        "10:16 backends[1].namespace must be 1 to 64 of a-z, 0-9, `_` and `-`",
        "12:35 backends[1].routes[0].strategy must be one of path, capability, fallback",
        "12:57 backends[1].routes[0].fallback_to names `c`, which is no backend",
        "13:5 backends[2].name is missing: every backend has a name",
        "14:14 backends[2].command: the variable `NOT_SET` is not set",
        "15:12 backends[2].args[0] must be text (in quotes, if it looks like something else)",
        "17:28 routing.request_timeout_seconds must be between 1 and 604800",
        "18:31 routing.enable_namespace_prefixing must be true or false",
        "19:1 unknown key `servr`",
    ];
    assert_eq!(found, expected);
}

#[test]
fn the_excerpt_shows_file_line_column_text_and_nearest_key() {
    let text = "backends:\n  - name: a\n    url: http://h\n    namespace: a\n    prioritty: 10\n";
    let shown = load_text(text).unwrap_err().to_string();
    for part in [
        "error: unknown key `prioritty` in backends[0]",
        "backends.yaml:5:5",
        "    prioritty: 10",
        "^^^^^^^^^",
        "did you mean `priority`?",
    ] {
        assert!(shown.contains(part), "{part} is missing in\n{shown}");
    }
}

#[test]
fn a_mistyped_key_is_not_said_to_be_missing_too() {
    let found = complaints(
        "backends: [{ nmae: a, ulr: 'http://h', namespace: a }]",
        &[],
    );
    assert_eq!(found.len(), 2, "{found:?}");
    let found = complaints("backends: [{ name: a }]", &[]);
    assert_eq!(found, ["1:12 backends[0] has neither `url` nor `command`"]);
    // Where it only warns, what is missing is what is wrong.
    let text = "backends: [{ name: a, url: 'http://h', namespce: a }]";
    let found = complaints(text, &[("MCP_CONFIG_LENIENT", "yes")]);
    assert!(
        found.len() == 1 && found[0].contains("namespace is missing"),
        "{found:?}"
    );
    let found = complaints("mcpServers: { a: { comand: c } }", &[]);
    assert!(
        found.len() == 1 && found[0].contains("neither `url` nor"),
        "{found:?}"
    );
}

#[test]
fn duplicate_names_show_both_lines() {
    let text = "backends:\n  - { name: a, url: 'http://h', namespace: a }\n  - { name: a, url: 'http://i', namespace: b }\n";
    let errors = load_text(text).unwrap_err();
    let complaint = &errors.complaints()[0];
    assert_eq!(complaint.place.unwrap().line, 3);
    assert_eq!(complaint.related.as_ref().unwrap().0.line, 2);
    let shown = errors.render(true);
    assert!(
        shown.contains("http://i") && shown.contains("the first"),
        "{shown}"
    );
}

#[test]
fn secrets_show_in_no_complaint() {
    let texts = [
        // Below keys that hold secrets, with something wrong beside them.
        "backends: [{ name: a, url: 'http://h', namespace: a, headers: { A: 'swordfish\\n', host: swordfish }, priority: x }]",
        "backends: [{ name: a, command: c, env: { '': swordfish }, args: [5, swordfish], bad: 1 }]",
        // Mistyped.
        "backends: [{ name: a, url: 'http://h', namespace: a, headres: { Authorization: swordfish } }]",
        "backends: [{ name: a, url: 'http://h', namespace: a, api_key: swordfish }]",
        "headers: swordfish",
        "server: { session_keys: [swordfish] }",
        // Not parsable.
        "backends:\n  - headers: { Authorization: swordfish }\n  bad: [swordfish\n",
        "{\"mcpServers\": {\"a\": {\"env\": {\"K\": \"swordfish\"}}",
        "a: \"swordfish\n",
        "key: |\n  swordfish\n bad",
        // In a URL.
        "backends: [{ name: a, url: 'http://u:swordfish@h', namespace: a }]",
        "backends: [{ name: a, url: 'http://h:0?k=swordfish', namespace: a }]",
        // From a variable.
        "backends: [{ name: a, url: '${SECRET}', namespace: '${SECRET}', priority: '${SECRET}' }]",
        "backends: [{ name: a, url: 'http://h', namespace: a, transport: '${SECRET}', routes: [{ pattern: '[z-${SECRET}]' }] }]",
        // Twice.
        "backends: [{ name: a, command: c, env: { K: swordfish, K: swordfish } }]",
        "backends: [{ name: a, command: c, env: &e { K: swordfish }, envv: *e, headers: *e }]",
    ];
    for text in texts {
        let errors = load_with(text, &[("SECRET", "swordfish")]).unwrap_err();
        let shown = format!("{errors}\n{:?}", errors.complaints());
        assert!(!shown.contains("swordfish"), "{text}\n{shown}");
    }
}

#[test]
fn lenient_turns_unknown_keys_into_warnings_and_nothing_else() {
    let text = "backends: []\nservr: {}\n";
    let loaded = load_with(text, &[("MCP_CONFIG_LENIENT", "1")]).unwrap();
    let warning = loaded.warnings[0].to_string();
    assert!(
        warning.contains("unknown key `servr` is ignored; did you mean `server`"),
        "{warning}"
    );
    assert!(warning.contains("line 2"), "{warning}");
    let wrong = "backends: 5\nservr: {}\n";
    assert!(load_with(wrong, &[("MCP_CONFIG_LENIENT", "1")]).is_err());
}

#[test]
fn a_backend_is_at_one_place_and_has_the_keys_that_go_with_it() {
    for (backend, complaint) in [
        ("name: a, namespace: a", "has neither `url` nor `command`"),
        (
            "name: a, namespace: a, url: 'http://h', command: c",
            "command cannot be set beside `url`",
        ),
        (
            "name: a, namespace: a, url: 'http://h', env: {A: b}",
            "env has no effect with a URL",
        ),
        (
            "name: a, command: c, headers: {A: b}",
            "headers has no effect with a process",
        ),
        (
            "name: a, command: c, transport: sse",
            "transport can only be stdio or auto",
        ),
        (
            "name: a, namespace: a, url: 'http://h', transport: stdio",
            "cannot be stdio",
        ),
        (
            "name: a, namespace: a, url: 'http://h', replicas: 3",
            "can be a number only with",
        ),
        (
            "name: a, namespace: a, url: 'http://h', headers: {Content-Length: '5'}",
            "set by the router itself",
        ),
        (
            "name: a, namespace: a, url: 'http://h', headers: {'b c': '5'}",
            "not the name of a header",
        ),
        (
            "name: a, namespace: a, url: 'http://h', headers: {a: '1', A: '2'}",
            "appears twice",
        ),
        ("name: a, url: 'http://h'", "namespace is missing"),
        ("name: '***', command: c", "none can be made from the name"),
        ("name: \"a\\tb\", command: c", "name is not valid"),
        ("name: a, command: ''", "must not be empty"),
        (
            "name: a, command: c, max_concurrency: 0",
            "must be between 1 and",
        ),
        (
            "name: a, command: c, max_concurrency: 1.5",
            "must be a whole number",
        ),
        (
            "name: a, command: c, timeout_seconds: .nan",
            "must be between 1 and",
        ),
        (
            "name: a, command: c, priority: 99999999999",
            "must be between 0 and",
        ),
        ("name: a, command: c, cwd: [x]", "must be text"),
    ] {
        let found = complaints(&format!("backends: [{{ {backend} }}]"), &[]);
        assert!(
            found.len() == 1 && found[0].contains(complaint),
            "{backend}: {found:?}"
        );
    }
}

#[test]
fn every_number_out_of_range_is_refused() {
    for (section, key, wrong) in [
        ("routing", "capability_cache_ttl_seconds", "0"),
        ("routing", "startup_wait_seconds", "-1"),
        ("routing", "retry", "{ max_attempts: 0 }"),
        ("routing", "retry", "{ backoff_multiplier: 0.5 }"),
        ("routing", "retry", "{ max_backoff_seconds: -1 }"),
        ("server", "drain_seconds", "-0.1"),
        ("server", "stale_ttl_seconds", ".inf"),
        ("server", "session_keys", "[short]"),
        ("server", "allowed_hosts", "['http://x']"),
        ("server", "allowed_origins", "['*']"),
        ("server", "limits", "{ max_connections: 0 }"),
        ("server", "limits", "{ max_request_bytes: 10 }"),
        ("server", "limits", "{ page_size: 18446744073709551616 }"),
    ] {
        let text = format!("backends: []\n{section}: {{ {key}: {wrong} }}\n");
        let found = complaints(&text, &[]);
        assert_eq!(found.len(), 1, "{text}{found:?}");
        assert!(found[0].starts_with("2:"), "{found:?}");
    }
    for breaker in [
        "failure_threshold: 0",
        "timeout_seconds: 0",
        "half_open_attempts: 0",
    ] {
        let text =
            format!("backends: [{{ name: a, command: c, circuit_breaker: {{ {breaker} }} }}]");
        assert_eq!(complaints(&text, &[]).len(), 1, "{text}");
    }
}

#[test]
fn a_gap_that_cannot_be_filled_is_one_complaint_wherever_it_is() {
    let text = "
backends:
  - { name: a, namespace: a, url: 'http://h', headers: { A: '${NOPE}' } }
  - { name: b, command: c, args: ['${NOPE}'], env: { K: '${NOPE}' }, timeout_seconds: '${NOPE}' }
  - { name: '${NOPE}', command: '${NOPE}' }
server: { session_keys: ['${file:/nonexistent/key}'] }
";
    let found = complaints(text, &[]);
    assert_eq!(found.len(), 7, "{found:#?}");
    assert!(
        found
            .iter()
            .all(|f| f.contains("not set") || f.contains("cannot be read")),
        "{found:#?}"
    );
    let nulls = complaints(
        "backends: [{ name: b, command: c, args: [~], env: { K: } }]",
        &[],
    );
    assert_eq!(nulls.len(), 2, "{nulls:?}");
}

#[test]
fn an_alias_keeps_the_place_of_what_it_stands_for() {
    let text = "backends:\n  - { name: a, command: c, env: &e { K: 5 } }\n  - { name: b, command: c, env: *e }\n";
    let found = complaints(text, &[]);
    assert!(
        found[0].starts_with("2:") && found[1].starts_with("2:"),
        "{found:?}"
    );
    assert!(found[1].contains("backends[1].env.K"), "{found:?}");
}
