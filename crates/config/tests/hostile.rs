//! Files that mean harm, or are broken: an error with a line, soon, and never a panic.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use std::time::{Duration, Instant};

use common::{complaints, load_text, load_with};
use proptest::prelude::*;

/// The complaint about `text`, which must come at once.
fn refused(text: &str) -> String {
    let start = Instant::now();
    let found = complaints(text, &[]);
    // Far above what it takes, far below what an unbounded reader would.
    assert!(
        start.elapsed() < Duration::from_secs(5),
        "took {:?}",
        start.elapsed()
    );
    found[0].clone()
}

#[test]
fn b33_an_alias_bomb_is_refused_with_its_line() {
    let mut text = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for level in 1..20 {
        let below = vec![format!("*a{}", level - 1); 10].join(", ");
        text += &format!("a{level}: &a{level} [{below}]\n");
    }
    assert!(refused(&text).contains("more than 100000 values"));
    assert!(refused(&text).starts_with("5:"), "{}", refused(&text));
}

#[test]
fn b33_a_long_text_repeated_by_aliases_is_refused() {
    let text = format!(
        "a: &a {}\nb: [{}]\n",
        "x".repeat(1 << 20),
        vec!["*a"; 10_000].join(",")
    );
    assert!(refused(&text).contains("more than 100000 values"));
}

#[test]
fn b33_an_alias_within_itself_is_refused() {
    assert!(refused("a: &a [*a]\n").contains("within the value it stands for"));
}

#[test]
fn b33_a_duplicate_key_is_refused_with_both_lines() {
    let errors = load_text("backends: []\nrouting: {}\nbackends: []\n").unwrap_err();
    let complaint = &errors.complaints()[0];
    assert!(complaint.message.contains("`backends` appears twice"));
    assert_eq!(complaint.place.unwrap().line, 3);
    assert_eq!(complaint.related.as_ref().unwrap().0.line, 1);
    let json = "{\"mcpServers\": {\"a\": {}, \"\\u0061\": {}}}";
    assert!(
        refused(json).contains("`a` appears twice"),
        "{}",
        refused(json)
    );
}

#[test]
fn b33_a_huge_file_is_refused_with_a_line() {
    let text = "a: b\n".repeat(1 << 20);
    let found = refused(&text);
    assert!(found.contains("larger than 4 MiB"), "{found}");
    assert!(found.starts_with("838861:"), "{found}");
    // A file without an end, of which a reader must not want the whole.
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("sparse.yaml");
    std::fs::File::create(&path)
        .unwrap()
        .set_len(1 << 30)
        .unwrap();
    let input = mcp_router_config::LoadInput {
        path: Some(path),
        ..Default::default()
    };
    let start = Instant::now();
    assert!(
        mcp_router_config::load(&input)
            .unwrap_err()
            .to_string()
            .contains("4 MiB")
    );
    assert!(start.elapsed() < Duration::from_secs(5));
}

#[test]
fn b33_deep_nesting_is_refused_at_once() {
    for text in [
        "[".repeat(100_000),
        format!("a: {}", "{a: ".repeat(10_000)),
        "- ".repeat(50_000),
    ] {
        assert!(
            refused(&text).contains("deeper than 64 levels"),
            "{}",
            refused(&text)
        );
    }
    let text = format!(
        "a: &a {}1{}\nb: {}*a{}\n",
        "[".repeat(40),
        "]".repeat(40),
        "[".repeat(40),
        "]".repeat(40)
    );
    assert!(refused(&text).contains("deeper than 64 levels"));
}

#[test]
fn many_wrong_keys_do_not_take_longer_than_few() {
    let text: String = (0..90_000).map(|key| format!("k{key}: v\n")).collect();
    let start = Instant::now();
    let errors = load_text(&text).unwrap_err();
    assert!(errors.to_string().contains("… and 89950 more"));
    assert!(
        start.elapsed() < Duration::from_secs(20),
        "took {:?}",
        start.elapsed()
    );
}

#[test]
fn what_is_no_configuration_says_so() {
    for (text, part) in [
        ("", "file is empty"),
        ("# only a comment\n", "file is empty"),
        ("---\n~\n", "file is empty"),
        ("{}\n---\n{}\n", "more than one YAML document"),
        ("hello", "the file must be a map"),
        ("- a\n", "the file must be a map"),
        ("a: !Secret b\n", "tags have no meaning"),
        ("? [a]\n: b\n", "a key must be plain text"),
        ("a: [1, 2\nb: 3\n", "not valid YAML"),
        ("a: *nowhere\n", "not valid YAML"),
        ("{\"mcpServers\": ", "not valid YAML"),
        ("1: a\n", "has a key that is not text"),
        ("a: b: c\n", "not valid YAML"),
        ("<<: 5\nbackends: []\n", "cannot be merged"),
        ("backends: []\n\0", "not valid YAML"),
    ] {
        let found = complaints(text, &[]);
        assert!(found[0].contains(part), "{text:?}: {found:?}");
        assert!(!found[0].starts_with('-'), "no place: {found:?}");
    }
    let broken = load_with(b"backends:\n  - \xff\n", &[])
        .unwrap_err()
        .to_string();
    assert!(
        broken.contains("backends.yaml:2: not valid UTF-8"),
        "{broken}"
    );
}

#[test]
fn a_byte_order_mark_and_any_line_ends_are_no_mistake() {
    for text in [
        "\u{feff}backends: []\n",
        "backends: []\r\nrouting:\r\n  retry: {}\r\n",
        "backends: []\rrouting: {}\r",
    ] {
        assert!(load_text(text).is_ok(), "{text:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn any_text_is_loaded_or_refused(text in any::<String>()) {
        let _ = load_text(&text).map_err(|errors| errors.to_string());
    }

    #[test]
    fn anything_like_yaml_is_loaded_or_refused(
        text in r#"([ ]{0,4}(- |\? |[a-z]{1,3}: ?|&a |\*a|<<: |![a-z]|\[|\]|\{|\}|"|'|\||>|#|,|\$\{|\\|é|[0-9.]{1,3}|null|~|\n|\t|\r)){0,40}"#,
    ) {
        let _ = load_text(&text).map_err(|errors| errors.render(true));
    }

    #[test]
    fn a_file_with_one_byte_changed_is_loaded_or_refused(at in any::<prop::sample::Index>(), byte: u8) {
        let mut text = include_bytes!("fixtures/python-router.yaml").to_vec();
        let at = at.index(text.len());
        text[at] = byte;
        let _ = load_with(&text, &[]).map_err(|errors| errors.to_string());
    }

    #[test]
    fn any_name_and_pattern_is_loaded_or_refused(name in any::<String>(), pattern in any::<String>()) {
        let quoted = |text: &str| serde_json::to_string(text).unwrap();
        let (name, pattern) = (name.replace("${", ""), pattern.replace("${", ""));
        let text = format!(
            "{{\"backends\": [{{\"name\": {}, \"namespace\": \"n\", \"url\": \"http://h\", \"routes\": [{{\"pattern\": {}}}]}}]}}",
            quoted(&name), quoted(&pattern),
        );
        if let Ok(loaded) = load_text(&text) {
            let backend = &loaded.config.backends[0];
            prop_assert_eq!(backend.name.as_str(), name);
            prop_assert_eq!(backend.routes[0].pattern.as_str(), pattern);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// A backend that is left out without a word would be found out by the first call to it.
    #[test]
    fn no_backend_is_dropped_in_silence(
        keys in prop::collection::btree_set(
            prop::sample::select(vec![
                "name: a", "namespace: n", "url: 'http://h'", "source: 'http://h'", "command: c",
                "urls: ['http://h']", "replicas: [{ url: 'http://h' }]", "namespce: n", "ulr: x",
                "headers: { A: b }", "env: { A: b }", "priority: ~", "source2: x", "lazy: false",
            ]),
            0..6,
        ),
        lenient: bool,
    ) {
        let keys: Vec<&str> = keys.into_iter().collect();
        let text = format!("backends: [{{ {} }}]", keys.join(", "));
        let lenient = if lenient { "1" } else { "0" };
        if let Ok(loaded) = load_with(&text, &[("MCP_CONFIG_LENIENT", lenient)]) {
            prop_assert!(loaded.config.backends.len() == 1, "{}", text);
        }
    }
}
