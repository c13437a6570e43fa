//! Many lists made one: every item once, in one order, page by page, whoever owns it.

use mcp_router_tests::fixture::{Era, Fault, Fixture, Rule};
use mcp_router_tests::harness::{LegacySession, Router, child_entry, config, until};
use serde_json::{Value, json};

#[tokio::test]
async fn r14_every_page_of_every_backend_is_listed_once_and_in_one_order() {
    let a = Fixture::builder().tools(95).page_size(10).spawn().await;
    let b = Fixture::builder()
        .bare()
        .tools(30)
        .page_size(1)
        .spawn()
        .await;
    let file = format!(
        "server: {{ limits: {{ page_size: 7 }} }}\n{}{}",
        config([("a", a.url()), ("b", b.url())]),
        child_entry("c", &["--tools", "20", "--page-size", "3"])
    );
    let router = Router::start(&file).await;
    router.until_ready().await;
    for name in ["a", "b", "c"] {
        router.until_healthy(name).await;
    }
    let session = router.legacy_session("2025-11-25").await;
    let names = session.tool_names().await;
    assert_eq!(names.len(), (95 + 11) + 30 + (20 + 11) + 4, "{names:?}");
    let (own, backends) = names
        .split_last_chunk::<4>()
        .map(|(b, o)| (o, b))
        .expect("names");
    assert_eq!(
        own,
        &[
            "list_backends",
            "get_backend_health",
            "get_routing_info",
            "reload_backends_config"
        ],
        "ours come last"
    );
    assert!(backends.is_sorted(), "r13: {backends:?}");
    let mut once = backends.to_vec();
    once.dedup();
    assert_eq!(once.len(), backends.len());
    assert_eq!(session.tool_names().await, names, "r13");
    for cursor in ["nonsense", "", "at:7"] {
        let answer = session
            .request("tools/list", json!({"cursor": cursor}))
            .await;
        assert_eq!(answer["error"]["code"], -32602, "r15: {cursor:?}: {answer}");
    }
}

#[tokio::test]
async fn r13_the_order_is_the_same_whoever_came_first() {
    let names = ["c", "a", "b"];
    let mut backends = Vec::new();
    for _ in names {
        backends.push(Fixture::builder().down().spawn().await);
    }
    let file = config(names.iter().zip(&backends).map(|(n, b)| (*n, b.url())));
    let mut lists = Vec::new();
    for order in [[0, 1, 2], [2, 1, 0]] {
        let router = Router::start(&file).await;
        router.until_ready().await;
        for at in order {
            backends[at].go_up().await;
            router.until_healthy(names[at]).await;
        }
        let session = router.legacy_session("2025-11-25").await;
        lists.push(session.post("tools/list", json!({})).await.body);
        for backend in &backends {
            backend.go_down().await;
        }
    }
    assert!(!lists[0].is_empty());
    assert_eq!(lists[0], lists[1], "not byte for byte the same");
}

#[tokio::test]
async fn r16_the_merged_list_is_fresh_and_public_as_its_least_contributor() {
    let long = Fixture::builder().cache(200_000, true).spawn().await;
    let short = Fixture::builder().cache(20_000, true).spawn().await;
    let private = Fixture::builder().cache(100_000, false).spawn().await;
    let legacy = Fixture::builder()
        .era(Era::Legacy)
        .list_changed(false)
        .spawn()
        .await;
    let hint = async |backends: &[(&str, &Fixture)]| {
        let file = config(backends.iter().map(|(n, b)| (*n, b.url())));
        // With namespaces some hosts get names of their own, and nothing is public.
        let plain = "routing: { enable_namespace_prefixing: false }";
        let file = format!("{plain}\nserver: {{ limits: {{ page_size: 5 }} }}\n{file}");
        let router = Router::start(&file).await;
        router.until_ready().await;
        for (name, _) in backends {
            router.until_healthy(name).await;
        }
        pages(&router).await
    };
    for page in hint(&[("a", &long), ("b", &short)]).await {
        let ttl = page["ttlMs"].as_u64().expect("a number");
        assert!(ttl <= 20_000, "r16: {ttl}");
        assert_eq!(page["cacheScope"], "public");
    }
    for page in hint(&[("a", &long), ("b", &private)]).await {
        assert_eq!(page["cacheScope"], "private", "r16: one source is");
    }
    for page in hint(&[("a", &long), ("b", &legacy)]).await {
        assert_eq!(
            page["cacheScope"], "private",
            "r16: one source does not say"
        );
        assert_eq!(page["ttlMs"], 0, "r16: one source announces no change");
    }
}

/// The pages of `tools/list`, without the tools.
async fn pages(router: &Router) -> Vec<Value> {
    let (client, mut params, mut pages) = (router.modern(), json!({}), Vec::new());
    loop {
        let answer = client.request("tools/list", params).await;
        let page = answer["result"].clone();
        let next = page["nextCursor"].as_str().map(str::to_owned);
        assert!(page["tools"].is_array(), "{answer}");
        pages.push(page);
        match next {
            Some(cursor) => params = json!({"cursor": cursor}),
            None => break,
        }
    }
    assert!(pages.len() > 2, "several pages");
    pages
}

#[tokio::test]
async fn f14_r54_endless_lists_are_refused_and_hurt_nobody() {
    for fault in [Fault::EndlessCursor, Fault::RepeatedCursor] {
        let endless = Fixture::builder().rule(Rule::new(fault.clone()).on("tools/list"));
        let (endless, well) = (endless.spawn().await, Fixture::builder().spawn().await);
        let file = config([("endless", endless.url()), ("well", well.url())]);
        let router = Router::start(&file).await;
        router.until_ready().await;
        router.until_healthy("well").await;
        until("the endless list is given up", async || {
            router.backend("endless").await["error_count"].as_u64() >= Some(1)
        })
        .await;
        let pages = endless.log().count("tools/list");
        assert!(pages <= 600, "{fault:?}: {pages} pages asked for");
        let session = router.legacy_session("2025-11-25").await;
        let answer = session.call("well.add", json!({"a": 1, "b": 1})).await;
        assert_eq!(answer["result"]["content"][0]["text"], "2", "{answer}");
    }
}

#[tokio::test]
async fn without_namespaces_the_lowest_priority_number_owns_a_name_and_the_collision_is_logged() {
    let first = Fixture::builder()
        .name("first")
        .tool("only-first")
        .spawn()
        .await;
    let second = Fixture::builder()
        .name("second")
        .tool("only-second")
        .spawn()
        .await;
    let file = format!(
        "routing: {{ enable_namespace_prefixing: false }}
backends:
  - {{ name: second, namespace: s, url: \"{}\", priority: 20 }}
  - {{ name: first, namespace: f, url: \"{}\", priority: 5 }}\n",
        second.url(),
        first.url()
    );
    let router = Router::start(&file).await;
    router.until_ready().await;
    router.until_healthy("first").await;
    router.until_healthy("second").await;
    let session = router.legacy_session("2025-11-25").await;
    let names = session.tool_names().await;
    assert_eq!(
        names.iter().filter(|n| *n == "once").count(),
        1,
        "{names:?}"
    );
    for (tool, owner, other) in [
        ("once", &first, &second),
        ("only-first", &first, &second),
        ("only-second", &second, &first),
    ] {
        let nonce = format!("for {tool}");
        let answer = session.call(tool, json!({"nonce": nonce})).await;
        assert_ne!(answer["result"]["isError"], true, "{answer}");
        let ran = (
            owner.log().executions(&nonce),
            other.log().executions(&nonce),
        );
        assert_eq!(ran, (1, 0), "{tool}");
    }
    router.logs().line("collision").await;
}

#[tokio::test]
async fn backends_of_one_namespace_are_one_set_of_tools_and_stand_in_for_each_other() {
    let first = Fixture::builder().name("first").spawn().await;
    let second = Fixture::builder()
        .name("second")
        .tool("extra")
        .spawn()
        .await;
    let file = format!(
        "backends:
  - {{ name: first, namespace: same, url: \"{}\", priority: 1 }}
  - {{ name: second, namespace: same, url: \"{}\", priority: 2 }}\n",
        first.url(),
        second.url()
    );
    let router = Router::start(&file).await;
    router.until_ready().await;
    router.until_healthy("first").await;
    router.until_healthy("second").await;
    let session = router.legacy_session("2025-11-25").await;
    let names = session.tool_names().await;
    let count = |name: &str| names.iter().filter(|n| *n == name).count();
    assert_eq!(
        (count("same.once"), count("same.extra")),
        (1, 1),
        "{names:?}"
    );
    ran_at(&session, "same.once", [&first, &second], (1, 0)).await;
    ran_at(&session, "same.extra", [&first, &second], (0, 1)).await;

    first.go_down().await;
    // Whoever calls now finds out; from then on the other one is asked.
    until("the first is known to be away", async || {
        session.call("same.echo", json!({"text": "x"})).await;
        router.backend("first").await["healthy"] == false
    })
    .await;
    ran_at(&session, "same.once", [&first, &second], (0, 1)).await;
    first.go_up().await;
    router.until_healthy("first").await;
    ran_at(&session, "same.once", [&first, &second], (1, 0)).await;
}

/// Calls `tool` once and says how often it ran where.
async fn ran_at(session: &LegacySession, tool: &str, backends: [&Fixture; 2], wanted: (u64, u64)) {
    let nonce = format!("{:016x}", fastrand::u64(..));
    let answer = session.call(tool, json!({"nonce": nonce})).await;
    assert_ne!(answer["result"]["isError"], true, "{answer}");
    let ran = backends.map(|backend| backend.log().executions(&nonce));
    assert_eq!((ran[0], ran[1]), wanted, "{tool}");
}
