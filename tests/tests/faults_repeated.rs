//! What clients send again and again: old cursors, and names that nobody knows.

use futures::StreamExt;
use futures::stream;
use mcp_router_tests::fixture::{Era, Fixture};
use mcp_router_tests::harness::Scene;
use serde_json::{Value, json};

const LISTS: [(&str, &str); 2] = [("tools/list", "tools"), ("resources/list", "resources")];

fn rich() -> mcp_router_tests::fixture::FixtureBuilder {
    let mut builder = Fixture::builder().tools(12);
    for i in 0..12 {
        builder = builder.resource(&format!("memo://r{i}"), &format!("r{i}"));
    }
    builder
}

#[tokio::test]
async fn b22_a_cursor_used_again_gives_the_same_page_and_asks_no_backend() {
    let scene = Scene::with("server: { limits: { page_size: 5 } }", rich()).await;
    let session = scene.session("2025-11-25").await;
    let other = scene.session("2025-06-18").await;
    for (method, key) in LISTS {
        let first = session.request(method, json!({})).await;
        let cursor = first["result"]["nextCursor"].clone();
        let page = async |params: Value| {
            let answers = [
                session.request(method, params.clone()).await,
                other.request(method, params.clone()).await,
                scene.modern().request(method, params).await,
            ];
            let [mine, theirs, modern] = answers.map(|mut a| a["result"][key].take());
            assert!(mine.is_array(), "{method}: {mine}");
            assert_eq!(mine, theirs, "{method}");
            assert_eq!(mine, modern, "{method}");
            mine
        };
        let asked = scene.backend().log().count(method);
        let once = page(json!({"cursor": cursor})).await;
        for _ in 0..20 {
            assert_eq!(page(json!({"cursor": cursor})).await, once, "{method}");
        }
        assert_eq!(scene.backend().log().count(method), asked, "{method}");
    }
    assert_eq!(scene.caused().len(), 0, "{:?}", scene.caused());
}

#[tokio::test]
async fn b22_a_cursor_outlives_changes_of_the_list_or_is_refused() {
    let scene = Scene::with("server: { limits: { page_size: 5 } }", rich()).await;
    let session = scene.session("2025-11-25").await;
    let first = session.request("tools/list", json!({})).await;
    let cursor = first["result"]["nextCursor"].clone();
    let names = session.tool_names().await;
    // The page before the cursor's shrinks and grows; nothing may come twice or be left out.
    for change in 0..4 {
        let count = names.len() - 1 + usize::from(change % 2 == 1);
        if change % 2 == 0 {
            scene.backend().remove_tool("add");
        } else {
            scene.backend().add_tool("add");
        }
        mcp_router_tests::harness::until("the change is listed", async || {
            session.tool_names().await.len() == count
        })
        .await;
        let mut rest = Vec::new();
        let mut next = cursor.clone();
        while next.is_string() {
            let answer = session.request("tools/list", json!({"cursor": next})).await;
            if answer["error"].is_object() {
                assert_eq!(answer["error"]["code"], -32602, "{answer}");
                rest.clear();
                break;
            }
            let tools = answer["result"]["tools"].as_array().into_iter().flatten();
            rest.extend(tools.map(|t| t["name"].as_str().unwrap_or_default().to_owned()));
            next = answer["result"]["nextCursor"].clone();
        }
        // Either refused, or exactly what came behind the first page.
        assert!(
            rest.is_empty() || names.ends_with(&rest),
            "{rest:?} of {names:?}"
        );
    }
}

/// Distinct names asked for.
const UNKNOWN: u64 = 8_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn b37_names_that_nobody_knows_leave_nothing_behind() {
    let backend = Fixture::builder().era(Era::Modern);
    let scene = Scene::with("", backend).await;
    let ask = async |from: u64, to: u64| {
        let client = &scene.modern();
        let calls = stream::iter(from..to).map(|i| async move {
            // Half of them in a namespace that exists.
            let space = if i % 2 == 0 { "a" } else { "b" };
            let tool = format!("{space}.unknown-{i}-{}", "x".repeat(900));
            let answer = client.call(&tool, json!({})).await;
            assert_eq!(answer["error"]["code"], -32602, "{answer}");
        });
        calls.buffer_unordered(32).collect::<Vec<()>>().await;
    };
    // What any thousand calls leave behind: buffers, connections, allocators' pages.
    ask(0, UNKNOWN / 10).await;
    let (before, series) = (scene.router().usage().rss, series(&scene).await);
    ask(UNKNOWN / 10, UNKNOWN).await;
    let grown = scene.router().usage().rss.saturating_sub(before);
    // Kept once each, they would be 6.5 MB.
    println!("grown by {} KiB", grown >> 10);
    assert!(grown < 4 << 20, "grown by {} KiB", grown >> 10);
    assert!(
        self::series(&scene).await <= series + 8,
        "a series for each name"
    );
    let calls = scene.backend().log().count("tools/call");
    assert_eq!(calls, 1, "an unknown name reached a backend");
}

/// Lines of `/metrics`, 0 where there is no such page.
async fn series(scene: &Scene) -> usize {
    let reply = scene.client().get("/metrics").await;
    let page = (reply.status == 200).then(|| reply.text());
    page.map_or(0, |page| page.lines().count())
}
