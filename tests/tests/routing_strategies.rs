//! `routes`, strategies, priorities and shared namespaces, as the file says them: which backend a
//! call reaches, and what `get_routing_info` says of it.

use mcp_router_tests::fixture::{Fixture, FixtureBuilder};
use mcp_router_tests::harness::{Router, text};
use serde_json::{Value, json};

/// A backend with this tool and no other.
fn only(tool: &str) -> FixtureBuilder {
    Fixture::builder().bare().tool(tool)
}

/// A router in front of these backends, each with its line of the file after `url`; ready, with
/// everybody healthy who is up.
async fn router(sections: &str, backends: &[(&str, &Fixture, &str)]) -> Router {
    let mut file = format!("{sections}\nbackends:\n");
    for (name, fixture, keys) in backends {
        let url = fixture.url();
        file += &format!("  - {{ name: {name}, url: \"{url}\", {keys} }}\n");
    }
    let router = Router::start(&file).await;
    router.until_ready().await;
    for (name, ..) in backends {
        router.until_healthy(name).await;
    }
    router
}

/// How often each backend was called.
fn calls<const N: usize>(backends: [&Fixture; N]) -> [usize; N] {
    backends.map(|b| b.log().count("tools/call"))
}

async fn echo(router: &Router, tool: &str) -> Value {
    router.modern().call(tool, json!({"text": "hello"})).await
}

#[tokio::test]
async fn capability_asks_only_who_lists_the_tool() {
    let (without, with) = (only("other").spawn().await, only("find").spawn().await);
    let router = router(
        "",
        &[
            ("without", &without, "namespace: n, priority: 1"),
            ("with", &with, "namespace: n, priority: 2"),
        ],
    )
    .await;
    assert_eq!(text(&echo(&router, "n.find").await), "hello");
    assert_eq!(calls([&without, &with]), [0, 1]);
}

#[tokio::test]
async fn a_path_route_reaches_a_backend_that_lists_no_such_tool() {
    let backend = only("listed").spawn().await;
    let routes = r#"namespace: n, routes: [{ pattern: "hidden_*", strategy: path }]"#;
    let router = router("", &[("a", &backend, routes)]).await;
    let answer = echo(&router, "n.hidden_tool").await;
    // The backend has none either, and it is the backend that says so.
    assert_eq!(answer["error"]["message"], "Unknown tool: hidden_tool");
    assert_eq!(calls([&backend]), [1]);
    // Patterns are of the backend's own names, and case counts.
    for miss in ["n.Hidden_tool", "n.n.hidden_tool", "n.other"] {
        assert_eq!(echo(&router, miss).await["error"]["code"], -32602, "{miss}");
    }
    assert_eq!(calls([&backend]), [1]);
}

#[tokio::test]
async fn the_default_strategy_holds_where_no_route_does_and_the_environment_beats_the_file() {
    let backend = only("listed").spawn().await;
    let file = |strategy: &str| {
        let url = backend.url();
        format!(
            "routing: {{ default_strategy: {strategy} }}\nbackends:\n  - {{ name: a, namespace: n, url: \"{url}\" }}\n"
        )
    };
    for (in_file, in_env, reached) in [
        ("path", None, true),
        ("capability", None, false),
        ("capability", Some("path"), true),
        ("path", Some("capability"), false),
    ] {
        let mut builder = Router::builder().config(&file(in_file));
        if let Some(strategy) = in_env {
            builder = builder.env("MCP_DEFAULT_STRATEGY", strategy);
        }
        let router = builder.start().await;
        router.until_ready().await;
        router.until_healthy("a").await;
        let [before] = calls([&backend]);
        echo(&router, "n.absent").await;
        let [after] = calls([&backend]);
        assert_eq!(after > before, reached, "{in_file}, {in_env:?}");
    }
}

#[tokio::test]
async fn a_fallback_route_moves_to_the_named_backend_and_then_to_the_rest() {
    let tool = "analyze_text";
    let first = only(tool).spawn().await;
    let (named, rest) = (only(tool).spawn().await, only(tool).spawn().await);
    let routes = r#"namespace: n, priority: 1, routes: [{ pattern: "analyze_*", strategy: fallback, fallback_to: named }]"#;
    let router = router(
        "",
        &[
            ("first", &first, routes),
            ("rest", &rest, "namespace: n, priority: 2"),
            ("named", &named, "namespace: elsewhere, priority: 3"),
        ],
    )
    .await;
    assert_eq!(text(&echo(&router, "n.analyze_text").await), "hello");
    assert_eq!(calls([&first, &named, &rest]), [1, 0, 0]);
    first.go_down().await;
    assert_eq!(text(&echo(&router, "n.analyze_text").await), "hello");
    assert_eq!(calls([&first, &named, &rest]), [1, 1, 0]);
    named.go_down().await;
    assert_eq!(text(&echo(&router, "n.analyze_text").await), "hello");
    assert_eq!(calls([&first, &named, &rest]), [1, 1, 1]);
}

#[tokio::test]
async fn of_a_shared_namespace_the_lowest_priority_is_called_until_it_is_gone() {
    let (low, high) = (only("t").spawn().await, only("t").spawn().await);
    let router = router(
        "",
        &[
            ("second", &low, "namespace: n, priority: 20"),
            ("first", &high, "namespace: n, priority: 10"),
        ],
    )
    .await;
    for _ in 0..3 {
        assert_eq!(text(&echo(&router, "n.t").await), "hello");
    }
    assert_eq!(calls([&high, &low]), [3, 0]);
    high.go_down().await;
    for _ in 0..3 {
        assert_eq!(text(&echo(&router, "n.t").await), "hello");
    }
    assert_eq!(calls([&high, &low]), [3, 3]);
}

#[tokio::test]
async fn get_routing_info_says_who_would_serve_why_and_who_is_next() {
    let (one, two) = (only("t").spawn().await, only("t").spawn().await);
    let router = router(
        "",
        &[
            ("one", &one, "namespace: n, priority: 1"),
            ("two", &two, "namespace: n, priority: 2"),
        ],
    )
    .await;
    let arguments = json!({"tool_name": "n.t"});
    let answer = router.modern().call("get_routing_info", arguments).await;
    let shown = answer["result"]["structuredContent"].to_string();
    for part in ["one", "two", "capability"] {
        assert!(shown.contains(part), "{part} is missing in {shown}");
    }
    assert_eq!(calls([&one, &two]), [0, 0]);
}

#[tokio::test]
async fn without_namespaces_the_lowest_priority_wins_a_collision_and_the_log_says_so() {
    let (one, two) = (only("t").spawn().await, only("t").spawn().await);
    let router = router(
        "routing: { enable_namespace_prefixing: false }",
        &[
            ("one", &one, "namespace: a, priority: 9"),
            ("two", &two, "namespace: b, priority: 3"),
        ],
    )
    .await;
    assert_eq!(text(&echo(&router, "t").await), "hello");
    assert_eq!(calls([&one, &two]), [0, 1]);
    router.logs().line("collision").await;
}
