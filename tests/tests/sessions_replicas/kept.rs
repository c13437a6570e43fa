//! Sessions at backends that keep something of each client (`session: per_client`): their ids carry
//! the upstream sessions, so any process that has the key goes on in the same ones, or ends them.

use std::collections::{BTreeMap, BTreeSet};

use http::Method;
use mcp_router_tests::fixture::{Era, Fixture};
use mcp_router_tests::harness::{LegacySession, Router, Streaming, text, until};
use serde_json::{Value, json};

use super::{KEY, kill, start, with_key};

const L4: &str = "2025-11-25";
const HELLO: &str = "a+memo://hello";

fn legacy() -> mcp_router_tests::fixture::FixtureBuilder {
    Fixture::builder().newsy().era(Era::Legacy)
}

/// A file with the backend `a` over these servers, which keep something of each client.
fn file(servers: &[&Fixture]) -> String {
    let urls: Vec<String> = servers.iter().map(|server| server.url()).collect();
    let urls = json!(urls);
    with_key(
        KEY,
        &format!("backends:\n  - {{ name: a, namespace: a, urls: {urls}, session: per_client }}\n"),
    )
}

async fn router(servers: &[&Fixture]) -> Router {
    let router = start(&file(servers)).await;
    router.until_healthy("a").await;
    router
}

async fn echo(session: &LegacySession, say: &str) -> Value {
    session.call("a.echo", json!({ "text": say })).await
}

/// Where each saying was heard: number of the server, and session there.
fn heard(servers: &[&Fixture]) -> BTreeMap<String, BTreeSet<(usize, String)>> {
    let mut heard: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
    for (at, server) in servers.iter().enumerate() {
        for call in server.log().of("tools/call") {
            let said = call.params()["arguments"]["text"]
                .as_str()
                .map(str::to_owned);
            let session = call.session().expect("a session").to_owned();
            let places = heard.entry(said.expect("a text")).or_default();
            places.insert((at, session));
        }
    }
    heard
}

/// Whether a DELETE for this session has reached the server.
fn deleted(server: &Fixture, session: &str) -> bool {
    let all = server.log().of("DELETE");
    all.iter().any(|delete| delete.session() == Some(session))
}

#[tokio::test]
async fn r41_r42_of_several_servers_each_client_stays_at_its_own_whichever_router_it_asks() {
    let servers = [legacy().spawn().await, legacy().spawn().await];
    let servers = [&servers[0], &servers[1]];
    let (one, two) = (router(&servers).await, router(&servers).await);
    // The other order in the file changes nothing.
    let turned = router(&[servers[1], servers[0]]).await;
    let mut sessions = Vec::new();
    for _ in 0..6 {
        sessions.push(one.legacy_session(L4).await);
    }
    for (number, session) in sessions.iter().enumerate() {
        let say = number.to_string();
        for router in [&two, &one, &turned, &two] {
            let answer = echo(&session.at(router.addr()), &say).await;
            assert_eq!(text(&answer), say, "{answer}");
        }
    }
    let heard = heard(&servers);
    assert_eq!(heard.len(), 6);
    assert!(heard.values().all(|places| places.len() == 1), "{heard:?}");
    let places: BTreeSet<_> = heard.values().flatten().collect();
    assert_eq!(places.len(), 6, "nobody shares one: {heard:?}");
    let used: BTreeSet<_> = places.iter().map(|(server, _)| server).collect();
    assert_eq!(used.len(), 2, "both servers are used: {heard:?}");
}

#[tokio::test]
async fn r40_delete_closes_what_a_session_carries_at_a_router_that_never_used_it() {
    let servers = [legacy().spawn().await, legacy().spawn().await];
    let servers = [&servers[0], &servers[1]];
    let one = router(&servers).await;
    let session = one.legacy_session(L4).await;
    assert_eq!(text(&echo(&session, "x").await), "x");
    let heard = heard(&servers);
    let (at, upstream) = heard["x"].first().expect("it was called").clone();
    // The one that opened it is gone for good.
    kill(one).await;
    let two = router(&servers).await;
    let there = session.at(two.addr());
    assert_eq!(there.close().await.status, 204);
    until("the upstream session is closed", async || {
        deleted(servers[at], &upstream)
    })
    .await;
    assert!(
        !deleted(servers[1 - at], &upstream),
        "where it is, and nowhere else"
    );
    assert_eq!(there.post("ping", json!({})).await.status, 404);
    for verb in [Method::GET, Method::DELETE] {
        let request = there.client().request(verb.clone(), "/mcp", "");
        assert_eq!(there.client().send(request).await.status, 404, "{verb}");
    }
}

/// The URI of the next update; other news are passed over.
async fn updated(stream: &mut Streaming) -> String {
    loop {
        let message = stream.events.message().await;
        if message["method"] == "notifications/resources/updated" {
            return message["params"]["uri"].as_str().expect("a URI").to_owned();
        }
    }
}

#[tokio::test]
async fn r41_what_a_client_subscribed_to_in_its_own_session_outlives_the_router() {
    let server = legacy().spawn().await;
    let one = router(&[&server]).await;
    let session = one.legacy_session(L4).await;
    let mut stream = session.stream().await;
    let asked = session
        .request("resources/subscribe", json!({ "uri": HELLO }))
        .await;
    assert_eq!(asked["result"], json!({}), "{asked}");
    server.announce_update("memo://hello");
    assert_eq!(updated(&mut stream).await, HELLO);
    kill(one).await;
    let two = router(&[&server]).await;
    let there = session.at(two.addr());
    let mut stream = there.stream().await;
    // It may have missed that the lists changed, and is told once.
    assert!(
        stream.events.message().await["method"]
            .as_str()
            .is_some_and(|method| method.ends_with("list_changed"))
    );
    until(
        "the new router hears the server in that session",
        async || {
            let log = server.log();
            let streams = log.of("GET");
            let own = log.of("resources/subscribe");
            let own = own[0].session().expect("in a session");
            streams
                .iter()
                .filter(|get| get.session() == Some(own))
                .count()
                >= 2
        },
    )
    .await;
    server.announce_update("memo://hello");
    assert_eq!(updated(&mut stream).await, HELLO);
    assert_eq!(server.log().count("resources/subscribe"), 1);
}

#[tokio::test]
async fn r45_the_server_that_kept_something_of_a_client_is_not_replaced_in_silence() {
    let servers = [legacy().spawn().await, legacy().spawn().await];
    let servers = [&servers[0], &servers[1]];
    let router = router(&servers).await;
    let session = router.legacy_session(L4).await;
    assert_eq!(text(&echo(&session, "x").await), "x");
    let at = heard(&servers)["x"].first().expect("it was called").0;
    servers[at].go_down().await;
    let lost = echo(&session, "y").await;
    assert_eq!(lost["result"]["isError"], true, "{lost}");
    assert_eq!(
        lost["result"]["_meta"]["mcp-router/failure"]["sent"], "no",
        "{lost}"
    );
    // Others are served by the one that is left.
    let other = router.legacy_session(L4).await;
    assert_eq!(text(&echo(&other, "z").await), "z");
    until("the client begins anew at the other server", async || {
        echo(&session, "w").await["result"]["isError"] != true
    })
    .await;
    assert_eq!(
        heard(&servers)["w"].first().expect("it was called").0,
        1 - at
    );
}

#[tokio::test]
async fn f41_what_a_server_keeps_of_a_client_outlives_a_change_of_its_settings() {
    let server = legacy().spawn().await;
    let router = router(&[&server]).await;
    let session = router.legacy_session(L4).await;
    assert_eq!(text(&echo(&session, "x").await), "x");
    let greeted = server.log().count("initialize");
    let slower = file(&[&server]).replace("session:", "timeout_seconds: 29, session:");
    router.rewrite_config(&slower);
    until("the new settings are in use", async || {
        server.log().count("initialize") > greeted
    })
    .await;
    router.until_healthy("a").await;
    assert_eq!(text(&echo(&session, "x").await), "x");
    assert_eq!(heard(&[&server])["x"].len(), 1, "one upstream session");
}
