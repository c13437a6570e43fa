//! The merged lists as clients see them: order, pages, freshness, addresses of resources, news.

use std::collections::BTreeSet;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use mcp_router_tests::fixture::{Era, Fault, Fixture, FixtureBuilder, Rule};
use mcp_router_tests::harness::{ModernClient, Router, Scene, config, text, until};
use serde_json::{Value, json};

/// Every list: its method, and the members that hold the items and their keys.
const LISTS: [(&str, &str, &str); 4] = [
    ("tools/list", "tools", "name"),
    ("prompts/list", "prompts", "name"),
    ("resources/list", "resources", "uri"),
    (
        "resources/templates/list",
        "resourceTemplates",
        "uriTemplate",
    ),
];

async fn until_healthy(router: &Router, name: &str) {
    let what = format!("{name} is healthy");
    until(&what, async || {
        router.backend(name).await["healthy"] == true
    })
    .await;
}

/// The bytes of every list, each asked for with the same id.
async fn lists(router: &Router) -> Vec<String> {
    let session = router.legacy_session("2025-11-25").await;
    let mut texts = Vec::new();
    for (method, ..) in LISTS {
        let body = json!({"jsonrpc": "2.0", "id": 1, "method": method});
        texts.push(session.client().post("/mcp", body.to_string()).await.text());
    }
    texts
}

#[tokio::test]
async fn r13_lists_are_the_same_bytes_whatever_the_order_of_arrival() {
    let mut backends = Vec::new();
    for name in ["c", "a", "b"] {
        backends.push((name, Fixture::builder().name(name).tools(5).spawn().await));
    }
    let urls = || backends.iter().map(|(name, b)| (*name, b.url()));
    let mut all = Vec::new();
    // Each of them comes last once, and in the last round the file has another order.
    for late in 0..backends.len() {
        backends[late].1.go_down().await;
        let router = Router::start(&config(urls())).await;
        for (name, _) in backends
            .iter()
            .filter(|(name, _)| *name != backends[late].0)
        {
            until_healthy(&router, name).await;
        }
        backends[late].1.go_up().await;
        until_healthy(&router, backends[late].0).await;
        let first = lists(&router).await;
        assert_eq!(lists(&router).await, first, "the same router, asked again");
        all.push(first);
    }
    let router = Router::start(&config(urls().collect::<Vec<_>>().into_iter().rev())).await;
    router.until_ready().await;
    all.push(lists(&router).await);
    assert!(all.windows(2).all(|pair| pair[0] == pair[1]), "{all:#?}");
    let names: Value = serde_json::from_str(&all[0][0]).expect("JSON");
    let names = names["result"]["tools"].as_array().expect("tools").clone();
    let names: Vec<_> = names.iter().filter_map(|t| t["name"].as_str()).collect();
    let sorted: BTreeSet<_> = names[..names.len() - 4].iter().collect();
    assert!(
        sorted.into_iter().eq(&names[..names.len() - 4]),
        "bytewise: {names:?}"
    );
    assert!(
        names.ends_with(&[
            "list_backends",
            "get_backend_health",
            "get_routing_info",
            "reload_backends_config"
        ]),
        "ours last: {names:?}"
    );
}

/// Walks a list page by page, each page at the next of `clients`.
async fn walk(
    clients: &[ModernClient],
    (method, member, key): (&str, &str, &str),
) -> Vec<Vec<String>> {
    let (mut pages, mut params) = (Vec::new(), json!({}));
    for client in clients.iter().cycle() {
        let answer = client.request(method, params).await;
        let items = answer["result"][member].as_array();
        let items = items.unwrap_or_else(|| panic!("no {member}: {answer}"));
        let keys = items.iter().filter_map(|item| item[key].as_str());
        pages.push(keys.map(str::to_owned).collect());
        assert!(pages.len() < 100, "an endless list: {answer}");
        match answer["result"]["nextCursor"].as_str() {
            Some(cursor) => params = json!({"cursor": cursor}),
            None => break,
        }
    }
    pages
}

fn rich() -> FixtureBuilder {
    let mut builder = Fixture::builder().tools(20).page_size(3);
    for i in 0..8 {
        builder = builder
            .resource(&format!("memo://r{i}"), "r")
            .prompt(&format!("p{i}"));
    }
    builder
}

#[tokio::test]
async fn r14_every_item_of_every_backend_page_comes_once_on_any_replica() {
    let (modern, legacy) = (rich().era(Era::Modern), rich().era(Era::Legacy));
    let backends = [("new", modern.spawn().await), ("old", legacy.spawn().await)];
    let file = format!(
        "server: {{ limits: {{ page_size: 7 }}, session_keys: [\"{}\"] }}\n{}",
        "k".repeat(32),
        config(backends.iter().map(|(name, b)| (*name, b.url())))
    );
    let replicas = [Router::start(&file).await, Router::start(&file).await];
    for router in &replicas {
        router.until_ready().await;
        for (name, _) in &backends {
            until_healthy(router, name).await;
        }
    }
    let clients = replicas.each_ref().map(Router::modern);
    for (list, (wanted, own)) in LISTS.into_iter().zip([(31, 4), (9, 0), (9, 0), (1, 0)]) {
        let pages = walk(&clients, list).await;
        let keys: Vec<_> = pages.iter().flatten().collect();
        assert_eq!(keys.len(), 2 * wanted + own, "{list:?}: {pages:#?}");
        let distinct: BTreeSet<_> = keys.iter().collect();
        assert_eq!(distinct.len(), keys.len(), "{list:?}: {pages:#?}");
        let (last, full) = pages.split_last().expect("a page");
        assert!(
            full.iter().all(|page| page.len() == 7) && last.len() <= 7,
            "{pages:#?}"
        );
    }
}

#[tokio::test]
async fn r15_a_cursor_that_is_not_ours_is_32602_in_both_eras() {
    let scene = Scene::with("server: { limits: { page_size: 3 } }", rich()).await;
    let other = Scene::with("server: { limits: { page_size: 3 } }", rich()).await;
    let next = async |scene: &Scene, method: &str| {
        let answer = scene.modern().request(method, json!({})).await;
        answer["result"]["nextCursor"]
            .as_str()
            .expect("another page")
            .to_owned()
    };
    let good = next(&scene, "tools/list").await;
    let flip = |at: usize| {
        let mut bytes = good.clone().into_bytes();
        bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
        json!(String::from_utf8(bytes).expect("ASCII"))
    };
    let mut bad = vec![
        json!(""),
        json!("not-ours"),
        json!("at:3"),
        json!(URL_SAFE_NO_PAD.encode([0; 64])),
        json!(good[1..]),
        json!(format!("{good}A")),
        json!(next(&scene, "resources/list").await),
        json!(next(&other, "tools/list").await),
        json!("x".repeat(100_000)),
        json!(3),
        json!(["a"]),
    ];
    // The last character may hold bits that are no part of any byte.
    bad.extend((0..good.len() - 1).step_by(7).map(flip));
    let session = scene.session("2025-11-25").await;
    for cursor in bad {
        let params = json!({"cursor": cursor});
        for reply in [
            session.post("tools/list", params.clone()).await,
            scene.modern().post("tools/list", params.clone()).await,
        ] {
            assert_eq!(reply.status, 200, "{cursor}: {}", reply.text());
            assert_eq!(reply.code(), Some(-32602), "{cursor}: {}", reply.text());
        }
    }
    let answer = scene
        .modern()
        .request("tools/list", json!({"cursor": good}))
        .await;
    assert_eq!(
        answer["result"]["tools"].as_array().map(Vec::len),
        Some(3),
        "{answer}"
    );
}

#[tokio::test]
async fn r16_lists_say_how_long_and_for_whom_they_are_good_the_same_on_all_pages() {
    let spawn = async |public| rich().era(Era::Modern).cache(40_000, public).spawn().await;
    let (open, closed) = (spawn(true).await, spawn(false).await);
    let legacy = rich().era(Era::Legacy).spawn().await;
    let cases = [
        (vec![("a", &open)], "public"),
        (vec![("a", &open), ("b", &closed)], "private"),
        (vec![("a", &open), ("b", &legacy)], "private"),
    ];
    for (backends, scope) in cases {
        let file = config(backends.iter().map(|(name, b)| (*name, b.url())));
        let file = format!("server: {{ limits: {{ page_size: 4 }} }}\n{file}");
        let router = Router::start(&file).await;
        router.until_ready().await;
        for (method, ..) in LISTS {
            let mut params = json!({});
            loop {
                let answer = router.modern().request(method, params).await;
                let result = &answer["result"];
                // Some hosts get other names of tools and prompts than this client.
                let spelled = matches!(method, "tools/list" | "prompts/list");
                let scope = if spelled { "private" } else { scope };
                assert_eq!(result["cacheScope"], scope, "{method}: {answer}");
                let ttl = result["ttlMs"].as_u64();
                assert!(ttl.is_some_and(|ttl| ttl <= 40_000), "{method}: {answer}");
                match result["nextCursor"].as_str() {
                    Some(cursor) => params = json!({"cursor": cursor}),
                    None => break,
                }
            }
        }
        let answer = router.modern().request("server/discover", json!({})).await;
        let result = &answer["result"];
        assert_eq!(result["cacheScope"], scope, "{answer}");
        let ttl = result["ttlMs"].as_u64();
        assert!(ttl.is_some_and(|ttl| ttl <= 40_000), "{answer}");
        let read = json!({"uri": "a+memo://hello"});
        let answer = router.modern().request("resources/read", read).await;
        let result = &answer["result"];
        assert!(
            result["ttlMs"].is_u64() && result["cacheScope"].is_string(),
            "{answer}"
        );
    }
}

#[tokio::test]
async fn r17_no_answer_to_one_client_is_served_to_another() {
    let scene = Scene::with("", Fixture::builder().cache(60_000, false)).await;
    for (method, params) in [
        ("resources/read", json!({"uri": "a+memo://hello"})),
        (
            "prompts/get",
            json!({"name": "a.greet", "arguments": {"who": "me"}}),
        ),
        (
            "tools/call",
            json!({"name": "a.echo", "arguments": {"text": "mine"}}),
        ),
    ] {
        for token in ["Bearer one", "Bearer two", "Bearer one"] {
            let mut request = scene.modern().prepare(method, params.clone());
            let token = token.parse().expect("a value");
            request.headers_mut().insert("authorization", token);
            let answer = scene.client().send(request).await.json();
            assert_eq!(answer["result"]["resultType"], "complete", "{answer}");
        }
        // Private answers are never kept: each caller's question is asked on its own.
        assert_eq!(
            scene.backend().log().count(method),
            3 + usize::from(method == "tools/call")
        );
    }
}

#[tokio::test]
async fn r18_healthy_backends_are_listed_while_others_hang_refuse_or_talk_nonsense() {
    let well = Fixture::builder().spawn().await;
    let hangs = Fixture::builder().fault(Fault::NeverAnswer).spawn().await;
    let silent = Fixture::builder()
        .rule(Rule::new(Fault::NeverAnswer).on("tools/list"))
        .spawn()
        .await;
    let down = Fixture::builder().down().spawn().await;
    let garbage = Fixture::builder().garbage().spawn().await;
    let all = [
        ("well", &well),
        ("hangs", &hangs),
        ("silent", &silent),
        ("down", &down),
        ("garbage", &garbage),
    ];
    let router = Router::start(&config(all.map(|(name, b)| (name, b.url())))).await;
    // Asked before anything is ready, the first list waits for the start and no longer.
    let session = router.legacy_session("2025-11-25").await;
    for client in [&session, &router.legacy_session("2025-03-26").await] {
        let names = client.tool_names().await;
        assert!(names.contains(&"well.echo".to_owned()), "{names:?}");
        assert!(
            names
                .iter()
                .all(|n| n.starts_with("well.") || !n.contains('.')),
            "{names:?}"
        );
    }
    for (method, member, _) in LISTS {
        assert!(!session.list(method, member).await.is_empty(), "{method}");
    }
    let answer = router
        .modern()
        .call("well.add", json!({"a": 1, "b": 2}))
        .await;
    assert_eq!(text(&answer), "3", "{answer}");
    assert_eq!(router.backend("well").await["healthy"], true);
    for name in ["hangs", "silent", "down", "garbage"] {
        let backend = router.backend(name).await;
        assert_eq!(backend["healthy"], false, "{backend}");
    }
}

/// Addresses that simple prefixes break.
const URIS: [&str; 9] = [
    "config://server",
    "urn:a:b",
    "file:///etc/x%20y.txt",
    "https://example.com/a/b?q=1&r=%2F#frag",
    "mailto:me@example.com",
    "db://user:pw@host:5432/t",
    "x-odd+scheme://a//b/../c",
    "ui://widget/main",
    "memo://größe/☃",
];

#[tokio::test]
async fn r20_every_listed_resource_can_be_read_by_its_address() {
    for namespace in ["a", "with_underscore", "9-digits"] {
        let mut builder = Fixture::builder().bare();
        for uri in URIS {
            builder = builder.resource(uri, "r");
        }
        let backend = builder.spawn().await;
        let (url, other) = (backend.url(), Fixture::builder().spawn().await);
        let file = format!(
            "backends:\n  - {{ name: one, namespace: {namespace}, url: \"{url}\" }}\n\
             \x20 - {{ name: two, namespace: two, url: \"{}\" }}\n",
            other.url()
        );
        let router = Router::start(&file).await;
        router.until_ready().await;
        let session = router.legacy_session("2025-11-25").await;
        let listed = session.list("resources/list", "resources").await;
        assert_eq!(listed.len(), URIS.len() + 1, "{listed:#?}");
        let mut read = BTreeSet::new();
        for item in listed.iter().filter(|item| item["name"] == "r") {
            let uri = item["uri"].as_str().expect("a URI");
            let scheme = uri.split(':').next().expect("a scheme");
            let legal = |c: char| c.is_ascii_alphanumeric() || "+-.".contains(c);
            let starts_well = scheme.starts_with(|c: char| c.is_ascii_alphabetic());
            assert!(starts_well && scheme.chars().all(legal), "{uri}");
            // What URL parsers do to it: schemes in lower case, nothing else.
            for spelling in [uri.to_owned(), shout_scheme(uri)] {
                let answer = session
                    .request("resources/read", json!({"uri": spelling}))
                    .await;
                let contents = &answer["result"]["contents"][0];
                assert_eq!(contents["uri"], *spelling, "echoed: {answer}");
                let own = contents["text"]
                    .as_str()
                    .and_then(|t| t.strip_prefix("text of "));
                read.insert(own.unwrap_or_else(|| panic!("{answer}")).to_owned());
            }
        }
        assert_eq!(read, URIS.map(str::to_owned).into(), "{namespace}");
        // The backend has seen its own spelling alone.
        for seen in backend.log().of("resources/read") {
            assert!(
                URIS.contains(&seen.name.as_deref().unwrap_or_default()),
                "{seen:?}"
            );
        }
    }
}

/// The same URI with the namespace's part of the scheme in upper case.
fn shout_scheme(uri: &str) -> String {
    match uri.split_once('+') {
        Some((alias, rest)) if !uri.starts_with("ui:") => {
            format!("{}+{rest}", alias.to_uppercase())
        }
        _ => uri.to_owned(),
    }
}

#[tokio::test]
async fn r20_the_spelling_of_the_python_router_and_what_parsers_make_of_it_are_understood() {
    let scene = Scene::with("", Fixture::builder().resource("config://server", "c")).await;
    let session = scene.session("2025-11-25").await;
    for (asked, own) in [
        ("a://config://server", "config://server"),
        ("a://config//server", "config://server"),
        ("a+memo://note/7", "memo://note/7"),
        ("a://memo//note/7", "memo://note/7"),
    ] {
        let answer = session
            .request("resources/read", json!({"uri": asked}))
            .await;
        let contents = &answer["result"]["contents"][0];
        assert_eq!(
            contents["text"],
            format!("text of {own}"),
            "{asked}: {answer}"
        );
        assert_eq!(contents["uri"], asked, "{answer}");
    }
}

#[tokio::test]
async fn r23_a_listen_stream_is_acknowledged_first_and_tells_only_what_was_asked_for() {
    let scene = Scene::new().await;
    let asked = json!({"toolsListChanged": true, "promptsListChanged": false, "unheardOf": true});
    let params = json!({"notifications": asked});
    let request = scene.modern().prepare("subscriptions/listen", params);
    let mut stream = scene.client().open(request).await;
    assert_eq!(stream.headers["content-type"], "text/event-stream");
    assert_eq!(stream.headers["x-accel-buffering"], "no");
    let first = stream.events.message().await;
    assert_eq!(
        first["method"], "notifications/subscriptions/acknowledged",
        "{first}"
    );
    assert_eq!(
        first["params"]["notifications"],
        json!({"toolsListChanged": true}),
        "{first}"
    );
    let tag = |message: &Value| {
        message["params"]["_meta"]["io.modelcontextprotocol/subscriptionId"].clone()
    };
    let id = tag(&first);
    assert!(id.is_number(), "{first}");
    let mut all = scene.modern().listen().await;
    all.events.message().await;
    // Nobody asked for prompts on the first stream; the other one shows when they were told.
    scene.backend().add_prompt("new");
    let told = all.events.message().await;
    assert_eq!(
        told["method"], "notifications/prompts/list_changed",
        "{told}"
    );
    scene.backend().add_tool("new");
    for events in [&mut all.events, &mut stream.events] {
        let told = events.message().await;
        assert_eq!(told["method"], "notifications/tools/list_changed", "{told}");
    }
    let session = scene.session("2025-11-25").await;
    assert!(session.tool_names().await.contains(&"a.new".to_owned()));
}
