//! Merged lists: order, pages, caching, collisions.

use mcp_router_protocol::{ItemKind, Method, RawJson, code};
use mcp_router_service::seal::{Purpose, Sealer};
use mcp_router_service::{BackendEvent, BackendInfo};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::mock::{Mock, ask, names, router};
use crate::{Router, RouterBuilder, Transition};

#[tokio::test(start_paused = true)]
async fn items_are_told_with_all_who_serve_them_and_a_version_that_grows_with_them() {
    let (first, first_events) = Mock::new(&["q"]);
    let (second, second_events) = Mock::new(&["q", "z"]);
    let namespace: mcp_router_protocol::Namespace = "n".parse().unwrap();
    let router = router(
        Router::builder()
            .backend(
                first
                    .as_backend("first", first_events)
                    .namespace(namespace.clone()),
            )
            .backend(
                second
                    .as_backend("second", second_events)
                    .namespace(namespace),
            ),
    );
    assert!(router.items(ItemKind::Tool).is_empty());
    let before = router.catalogue_version();
    first.connect();
    second.connect();
    router.ready().await;
    let items = router.items(ItemKind::Tool);
    let told: Vec<_> = items
        .iter()
        .map(|i| (&*i.exposed, &i.backends[..]))
        .collect();
    let both = ["first".to_owned(), "second".to_owned()];
    assert_eq!(told, [("n.q", &both[..]), ("n.z", &both[1..])]);
    assert_eq!(items[0].definition.get_str("name").as_deref(), Some("n.q"));
    assert!(router.items(ItemKind::Prompt).is_empty());
    assert!(router.catalogue_version() > before);
    // Clients see the same when those who serve it change places; who looks at them does not.
    let before = router.catalogue_version();
    let told = *router.hub.changes.borrow();
    let turned = ["second", "first"].map(|name| name.parse().unwrap());
    let next = turned
        .into_iter()
        .fold(Router::builder(), RouterBuilder::keep);
    router.update(next, Transition::default()).await.unwrap();
    assert_eq!(
        router.items(ItemKind::Tool)[0].backends,
        ["second", "first"]
    );
    assert!(router.catalogue_version() > before);
    assert_eq!(*router.hub.changes.borrow(), told);
    let before = router.catalogue_version();
    router.hub.publish();
    assert_eq!(router.catalogue_version(), before);
}

#[tokio::test(start_paused = true)]
async fn r13_order_does_not_depend_on_arrival() {
    let mut seen = Vec::new();
    for late_first in [false, true] {
        let (a, events_a) = Mock::new(&["z", "a"]);
        let (b, events_b) = Mock::new(&["m", "a"]);
        let router = router(
            Router::builder()
                .backend(a.as_backend("a", events_a).namespace("a".parse().unwrap()))
                .backend(b.as_backend("b", events_b).namespace("b".parse().unwrap())),
        );
        let (first, second) = if late_first { (&b, &a) } else { (&a, &b) };
        first.connect();
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        second.connect();
        seen.push(
            ask(&router, Method::ToolsList, json!({}))
                .await
                .unwrap()
                .to_string(),
        );
        assert_eq!(
            names(&router, ItemKind::Tool).await,
            ["a.a", "a.z", "b.a", "b.m"]
        );
    }
    assert_eq!(seen[0], seen[1]);
}

async fn all_pages(router: &Router, kind: ItemKind) -> Vec<String> {
    let mut all = Vec::new();
    let mut params = json!({});
    loop {
        let page = ask(router, kind.list_method(), params).await.unwrap();
        assert_eq!(page["cacheScope"], "private");
        all.extend(
            page[kind.member()]
                .as_array()
                .unwrap()
                .iter()
                .map(|t| t[kind.key()].to_string()),
        );
        match page.get("nextCursor") {
            Some(cursor) => params = json!({ "cursor": cursor }),
            None => return all,
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]
    #[test]
    fn r14_every_item_comes_exactly_once_whatever_the_page_sizes(
        upstream in prop::collection::vec(prop::collection::hash_set("[a-z]{1,6}", 0..5), 1..5),
        size in 1usize..7,
    ) {
        let rt = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
        rt.block_on(async {
            let pages: Vec<Vec<&str>> = upstream.iter().map(|p| p.iter().map(String::as_str).collect()).collect();
            let pages: Vec<&[&str]> = pages.iter().map(|p| &p[..]).collect();
            let (mock, backend) = Mock::backend("ns", &[]);
            mock.list(ItemKind::Tool, &pages);
            let sealer = Sealer::new(&[[7u8; 32]], Purpose::Cursor).unwrap();
            let router = router(Router::builder().page_size(size).cursor_sealer(sealer).backend(backend));
            let listed = all_pages(&router, ItemKind::Tool).await;
            let mut expected: Vec<String> = pages.concat().iter().map(|n| format!("\"ns.{n}\"")).collect();
            expected.sort();
            expected.dedup();
            let own = ["list_backends", "get_backend_health", "get_routing_info"];
            expected.extend(own.map(|n| format!("\"{n}\"")));
            assert_eq!(listed, expected);
        });
    }
}

#[tokio::test(start_paused = true)]
async fn r14_a_cursor_works_on_every_replica_with_the_key() {
    let replica = || {
        let sealer = Sealer::new(&[[7u8; 32]], Purpose::Cursor).unwrap();
        let (_, backend) = Mock::backend("ns", &["a", "b", "c"]);
        router(
            Router::builder()
                .page_size(2)
                .cursor_sealer(sealer)
                .backend(backend),
        )
    };
    let page = ask(&replica(), Method::ToolsList, json!({})).await.unwrap();
    let next = ask(
        &replica(),
        Method::ToolsList,
        json!({ "cursor": page["nextCursor"] }),
    )
    .await;
    assert_eq!(next.unwrap()["tools"][0]["name"], "ns.c");
}

#[tokio::test(start_paused = true)]
async fn r15_bad_cursors_are_invalid_params() {
    let (_, backend) = Mock::backend("ns", &["a", "b", "c"]);
    let router = router(Router::builder().page_size(2).backend(backend));
    let page = ask(&router, Method::ToolsList, json!({})).await.unwrap();
    let other_list = ask(
        &router,
        Method::PromptsList,
        json!({ "cursor": page["nextCursor"] }),
    );
    assert_eq!(other_list.await, Err(code::INVALID_PARAMS));
    for cursor in [json!(""), json!("x"), json!(1), json!(null), json!({})] {
        let answer = ask(&router, Method::ToolsList, json!({ "cursor": cursor })).await;
        assert_eq!(answer, Err(code::INVALID_PARAMS), "{cursor}");
    }
}

#[tokio::test(start_paused = true)]
async fn r16_lists_say_how_long_and_for_whom_they_are_good() {
    let (_, backend) = Mock::backend("ns", &["a"]);
    let router = router(Router::builder().backend(backend));
    let list = ask(&router, Method::ToolsList, json!({})).await.unwrap();
    assert_eq!(
        (&list["ttlMs"], &list["cacheScope"]),
        (&json!(60_000), &json!("private"))
    );
    // Declared without `listChanged`: may be old at once.
    let list = ask(&router, Method::PromptsList, json!({})).await.unwrap();
    assert_eq!(list["ttlMs"], 0);
}

#[tokio::test(start_paused = true)]
async fn b28_on_a_collision_the_lowest_priority_number_wins_and_ours_are_reserved() {
    let (_, events) = Mock::new(&[]);
    drop(events);
    let make = |name: &str, priority, tools: &[&str]| {
        let (mock, events) = Mock::new(tools);
        mock.connect();
        (
            mock.clone(),
            mock.as_backend(name, events).priority(priority),
        )
    };
    let (first, a) = make("a", 20, &["x", "list_backends"]);
    let (second, b) = make("b", 10, &["x"]);
    let router = router(Router::builder().namespaces(false).backend(a).backend(b));
    assert_eq!(names(&router, ItemKind::Tool).await, ["x"]);
    ask(&router, Method::ToolsCall, json!({ "name": "x" }))
        .await
        .unwrap();
    assert_eq!((first.calls().len(), second.calls().len()), (0, 1));
    let own = ask(
        &router,
        Method::ToolsCall,
        json!({ "name": "list_backends" }),
    )
    .await
    .unwrap();
    assert_eq!(own["structuredContent"]["result"][0]["name"], "a");
}

#[tokio::test(start_paused = true)]
async fn definitions_pass_byte_for_byte_under_their_new_name() {
    let (mock, backend) = Mock::backend("ns", &[]);
    mock.list(ItemKind::Tool, &[&["t"]]);
    let router = router(Router::builder().backend(backend));
    router.ready().await;
    let own = RawJson::of(&json!({ "name": "t", "description": "d" }));
    let exposed = own.as_str().replace("\"t\"", "\"ns.t\"");
    assert_eq!(router.tools()[0].definition.as_str(), exposed);
}

#[tokio::test(start_paused = true)]
async fn every_kind_is_merged() {
    let (mock, backend) = Mock::backend("a_b", &[]);
    mock.list(ItemKind::Prompt, &[&["p"]]);
    mock.list(ItemKind::Resource, &[&["config://x"]]);
    mock.list(ItemKind::Template, &[&["config://{k}"]]);
    let router = router(Router::builder().backend(backend));
    assert_eq!(names(&router, ItemKind::Prompt).await, ["a_b.p"]);
    assert_eq!(
        names(&router, ItemKind::Resource).await,
        ["x.a.b+config://x"]
    );
    assert_eq!(
        names(&router, ItemKind::Template).await,
        ["x.a.b+config://{k}"]
    );
    let discover: Value = ask(&router, Method::Discover, json!({})).await.unwrap();
    assert_eq!(
        discover["capabilities"]["prompts"],
        json!({ "listChanged": true })
    );
}

#[tokio::test(start_paused = true)]
async fn what_any_backend_can_the_router_can_and_nothing_more() {
    let (one, events_one) = Mock::new(&["t"]);
    let (two, events_two) = Mock::new(&["t"]);
    let connect = |mock: &Mock, capabilities: &'static str, instructions: Option<&str>| {
        mock.event(BackendEvent::Connected(BackendInfo {
            capabilities: Some(RawJson::from_static(capabilities)),
            instructions: instructions.map(str::to_owned),
            ..BackendInfo::default()
        }));
    };
    connect(
        &one,
        r#"{"tools":{},"resources":{"subscribe":true},"experimental":{"x":{}}}"#,
        Some("Read first."),
    );
    connect(
        &two,
        r#"{"logging":{},"extensions":{"io.modelcontextprotocol/ui":{"a":1},"x/y":{}}}"#,
        Some(&"ä".repeat(5000)),
    );
    let router = router(
        Router::builder()
            .backend(
                one.as_backend("one", events_one)
                    .namespace("one".parse().unwrap()),
            )
            .backend(two.as_backend("two", events_two)),
    );
    router.ready().await;
    let said = ask(&router, Method::Discover, json!({})).await.unwrap();
    assert_eq!(
        said["capabilities"],
        json!({
            "tools": {"listChanged": true},
            "resources": {"listChanged": true, "subscribe": true},
            "logging": {},
            "extensions": {"io.modelcontextprotocol/ui": {"a": 1}},
        })
    );
    let text = said["instructions"].as_str().unwrap();
    assert!(
        text.starts_with("## one\nRead first.\n\n## two\nää"),
        "{text}"
    );
    assert!(text.len() < 4200, "{}", text.len());
}
