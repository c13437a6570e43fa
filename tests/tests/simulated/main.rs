//! Partitions, replicas that come and go, names that move: faults of a network, which is played in
//! memory here so that an hour takes a second and every run is the same.
//!
//! The same edges, layers and router as in the programs, put together by hand; only their
//! connections go through the played network.

#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

mod net;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures::StreamExt;
use mcp_router_core::Router;
use mcp_router_protocol::{Method, RawParams};
use mcp_router_service::{
    CallError, Event, McpRequest, McpResponse, Outcome, Reason, RequestContext, ResponseStream,
    Sent,
};
use serde_json::json;
use tokio::time::{Instant, sleep};
use tower::ServiceExt;

use net::{Network, Server, router};

const S: Duration = Duration::from_secs(1);

fn simulation(length: Duration) -> turmoil::Sim<'static> {
    turmoil::Builder::new()
        .simulation_duration(length)
        .tick_duration(Duration::from_millis(2))
        .rng_seed(7)
        .build()
}

async fn call(router: &Router, tool: &str) -> Result<(), CallError> {
    let params = RawParams::of(&json!({ "name": format!("there.{tool}"), "arguments": {} }));
    let request = McpRequest::new(Method::ToolsCall, params);
    let answer = router.clone().oneshot(request).await?;
    let outcome = answer.outcome().await?;
    assert!(matches!(outcome, Outcome::Complete(_)), "{outcome:?}");
    Ok(())
}

/// The router's own stream of changes, past its acknowledgement.
async fn changes(router: &Router) -> ResponseStream {
    let params = RawParams::of(&json!({ "notifications": { "toolsListChanged": true } }));
    let request = McpRequest::new(Method::Listen, params);
    let Ok(McpResponse::Stream(mut stream)) = router.clone().oneshot(request).await else {
        panic!("a listen stream")
    };
    let first = stream.next().await;
    assert!(matches!(first, Some(Ok(Event::Notification { .. }))));
    stream
}

async fn ready(router: &Router) {
    router.ready().await;
    while !router.tools().iter().any(|tool| tool.name == "there.look") {
        sleep(S / 10).await;
    }
}

#[test]
fn f7_a_silent_partition_costs_calls_their_deadline_and_streams_are_opened_again_within_a_minute() {
    let mut sim = simulation(300 * S);
    let there = Arc::new(Server::default());
    there.add("push");
    let server = there.clone();
    sim.host("a.test", move || server.clone().serve());
    sim.client("router", async move {
        let router = router(&Arc::default(), &["a.test"]);
        ready(&router).await;
        let mut news = changes(&router).await;
        call(&router, "push").await?;
        turmoil::partition("router", "a.test");
        // Nobody here can hear of it.
        there.add("late");
        let start = Instant::now();
        let failed = call(&router, "push").await.unwrap_err();
        let took = start.elapsed();
        assert_eq!(
            (failed.reason, failed.sent),
            (Reason::Timeout, Sent::Unknown)
        );
        assert!((30 * S..30 * S + S / 4).contains(&took), "{took:?}");
        turmoil::repair("router", "a.test");
        let healed = Instant::now();
        loop {
            tokio::time::timeout(60 * S, news.next()).await?;
            if router.tools().iter().any(|tool| tool.name == "there.late") {
                break;
            }
        }
        assert!(healed.elapsed() <= 60 * S, "{:?}", healed.elapsed());
        call(&router, "late").await?;
        assert_eq!(there.calls.load(Ordering::Relaxed), 2);
        Ok(())
    });
    sim.run().unwrap();
}

#[test]
fn f15_of_two_replicas_one_flaps_every_second_and_safe_calls_do_not_notice() {
    const MINUTES: u32 = 3;
    let mut sim = simulation(600 * S);
    let servers = [Arc::new(Server::default()), Arc::new(Server::default())];
    for (name, server) in ["a.test", "b.test"].into_iter().zip(servers.clone()) {
        sim.host(name, move || server.clone().serve());
    }
    sim.client("router", async move {
        let router = router(&Arc::default(), &["a.test", "b.test"]);
        ready(&router).await;
        let mut news = changes(&router).await;
        let told = tokio::spawn(async move {
            let mut told = 0;
            while let Ok(Some(_)) = tokio::time::timeout(MINUTES * 60 * S, news.next()).await {
                told += 1;
            }
            told
        });
        let context = RequestContext::default();
        let (start, mut calls, mut failed) = (Instant::now(), 0_u32, 0_u32);
        while start.elapsed() < MINUTES * 60 * S {
            let answer = router.call_tool(&context, "there.look", &json!({})).await;
            calls += 1;
            failed += u32::from(answer.is_err());
            sleep(S / 20).await;
        }
        assert!(
            calls > 1000 && failed * 100 <= calls,
            "{failed} of {calls} failed"
        );
        router.close().await;
        let told = told.await?;
        assert!(told <= 4 * MINUTES, "{told} changes were told");
        Ok(())
    });
    let mut flaps = 0;
    while !sim.step().unwrap() {
        let second = sim.elapsed().as_secs();
        // It has a few seconds to be found at all.
        if second > 5 + flaps {
            flaps = second - 5;
            match flaps % 2 {
                0 => sim.bounce("a.test"),
                _ => sim.crash("a.test"),
            }
        }
    }
    assert!(flaps > 100, "{flaps}");
    for server in &servers {
        // The one that flaps, too, when it is found to be there; that is looked for ever less often.
        let calls = server.calls.load(Ordering::Relaxed);
        assert!(calls > 5, "{calls} calls");
    }
}

#[test]
fn f18_a_name_that_moves_is_followed_within_30_seconds_and_no_connection_gets_older_than_5_minutes()
{
    let mut sim = simulation(900 * S);
    let (old, new) = (Arc::new(Server::default()), Arc::new(Server::default()));
    for (name, server) in [("old.test", &old), ("new.test", &new)] {
        let server = server.clone();
        sim.host(name, move || server.clone().serve());
    }
    sim.client("router", async move {
        let network = Arc::new(Network::default());
        network.point("service.test", "old.test");
        let router = router(&network, &["service.test"]);
        ready(&router).await;
        // Steady calls: their connection is never idle.
        let steady = async |time: Duration| {
            let start = Instant::now();
            while start.elapsed() < time {
                call(&router, "look").await?;
                sleep(S).await;
            }
            Ok::<_, CallError>(())
        };
        steady(320 * S).await?;
        // Used again and again, and then no more.
        let oldest = old.oldest.load(Ordering::Relaxed);
        assert!((100..=301).contains(&oldest), "{oldest} s");
        assert_eq!(new.calls.load(Ordering::Relaxed), 0);
        network.point("service.test", "new.test");
        steady(30 * S).await?;
        let before = old.calls.load(Ordering::Relaxed);
        steady(30 * S).await?;
        assert_eq!(old.calls.load(Ordering::Relaxed), before);
        assert!(new.calls.load(Ordering::Relaxed) >= 29);
        Ok(())
    });
    sim.run().unwrap();
}
