//! Session ids that carry their session.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use futures::future::BoxFuture;
use mcp_router_protocol::Method as McpMethod;

use super::*;
use crate::server::params::{HttpLimits, HttpTimes};
use crate::server::{Seals, WallClock};

const HOUR: u64 = 3600;

/// An edge with these keys, whose clock shows the seconds in `time`.
fn replica(keys: &[u8], time: &Arc<AtomicU64>) -> Edge {
    let secrets: Vec<_> = keys.iter().map(|key| [*key; 32]).collect();
    let time = time.clone();
    let now = move || SystemTime::UNIX_EPOCH + Duration::from_secs(time.load(Ordering::SeqCst));
    Edge::with(HttpParams {
        seals: Some(Seals::new(&secrets).unwrap()),
        clock: WallClock::new(now),
        ..HttpParams::default()
    })
}

fn time() -> Arc<AtomicU64> {
    Arc::new(AtomicU64::new(1_800_000_000))
}

async fn ping(edge: &Edge, id: &str) -> u16 {
    let ping = request("1", "ping", "{}");
    edge.post(&[(SESSION, id)], &ping).await.status.as_u16()
}

#[tokio::test]
async fn r41_f40_a_session_goes_on_wherever_the_key_is() {
    let time = time();
    let first = replica(&[1], &time);
    let declared = r#"{"roots":{},"elicitation":{}}"#;
    let id = first.session("2025-06-18", declared).await;
    let (second, third) = (replica(&[2, 1], &time), replica(&[2], &time));
    let h = [(SESSION, &*id)];
    assert_eq!(second.post(&h, &call("1", "echo")).await.status, 200);
    let seen = second.mock.last(&McpMethod::ToolsCall).context;
    let client = seen.client.clone();
    assert_eq!(client.name(), Some("t"));
    let capabilities = client.capabilities.clone().unwrap();
    assert_eq!(
        capabilities.as_str(),
        r#"{"roots":{},"elicitation":{"form":{}}}"#
    );
    assert!(!client.takes_input_required);
    // It is one session there, with all that belongs to one.
    second.post(&h, &call("2", "echo")).await;
    let again = second.mock.last(&McpMethod::ToolsCall).context;
    let ids = [seen, again].map(|c| c.session.clone().unwrap().id().clone());
    assert_eq!(ids[0], ids[1]);
    assert_ne!(ids[0].as_str(), id);
    assert_eq!(second.mock.count(&McpMethod::Listen), 0);
    second.mock.tools_changed();
    let mut stream = second.open("GET", "/mcp", &h, "").await.into_body();
    let asking = second.open("POST", "/mcp", &h, &call("3", "ask")).await;
    let mut asking = asking.into_body();
    assert!(event(&mut asking).await.unwrap().contains("roots/list"));
    let heard = tokio::spawn(async move { event(&mut stream).await });
    until(|| second.mock.count(&McpMethod::Listen) > 0).await;
    second.mock.tools_changed();
    assert!(heard.await.unwrap().unwrap().contains("list_changed"));
    assert_eq!(ping(&third, &id).await, 404, "another key");
}

#[tokio::test]
async fn r40_a_deleted_session_is_freed_though_no_other_goes() {
    let edge = Edge::new();
    let id = edge.session("2025-11-25", "{}").await;
    let h = [(SESSION, &*id)];
    assert_eq!(edge.post(&h, &call("1", "echo")).await.status, 200);
    let session = edge
        .mock
        .last(&McpMethod::ToolsCall)
        .context
        .session
        .clone();
    let held = Arc::downgrade(&session.unwrap().slot(&"key".into(), || ()));
    // The mock remembers requests, and with them their session.
    let freed = || {
        edge.mock.seen.lock().unwrap().clear();
        held.upgrade().is_none()
    };
    assert!(!freed());
    assert_eq!(edge.send("DELETE", "/mcp", &h, "").await.status, 204);
    until(freed).await;
}

#[tokio::test]
async fn b21_r40_whatever_is_wrong_with_an_id_the_answer_is_the_same() {
    let time = time();
    let edge = replica(&[1], &time);
    let good = edge.session("2025-11-25", "{}").await;
    let ended = edge.session("2025-11-25", "{}").await;
    let deleted = edge.send("DELETE", "/mcp", &[(SESSION, &ended)], "").await;
    assert_eq!((deleted.status.as_u16(), &*deleted.text), (204, ""));
    let other = replica(&[2], &time).session("2025-11-25", "{}").await;
    time.fetch_sub(30 * HOUR, Ordering::SeqCst);
    let expired = edge.session("2025-11-25", "{}").await;
    time.fetch_add(30 * HOUR, Ordering::SeqCst);
    // In memory it lives by a clock that nobody sets.
    assert_eq!(ping(&edge, &expired).await, 200);
    edge.http.close().await;
    let flipped = format!("B{}", &good[1..]);
    let cut = &good[..good.len() - 1];
    let long = format!("{good}{good}{}", "A".repeat(5000));
    let mut answers = Vec::new();
    for id in [
        &*ended, &*other, &*expired, &*flipped, cut, &*long, "../..", "x",
    ] {
        for verb in ["POST", "GET", "DELETE"] {
            let body = request("1", "ping", "{}");
            let answer = edge.send(verb, "/mcp", &[(SESSION, id)], &body).await;
            answers.push((answer.status.as_u16(), answer.text));
        }
    }
    answers.dedup();
    assert_eq!(answers.len(), 1, "{answers:?}");
    assert_eq!(answers[0].0, 404);
    assert_eq!(ping(&edge, &good).await, 200, "the good one comes back");
}

#[tokio::test]
async fn r40_an_id_is_its_principals_on_every_replica() {
    let time = time();
    let first = replica(&[1], &time);
    let id = first.session("2025-11-25", "{}").await;
    for edge in [&first, &replica(&[1], &time)] {
        let request = Request::post("/mcp")
            .header("host", "localhost")
            .header("content-type", "application/json")
            .header(SESSION, &id)
            .extension(Principal::Named("mallory".into()))
            .body(Full::new(Bytes::from(request("1", "ping", "{}"))))
            .unwrap();
        let answer = edge.http.clone().oneshot(request).await.unwrap();
        assert_eq!(answer.status(), 404);
    }
}

#[tokio::test(start_paused = true)]
async fn f43_a_clock_that_is_set_moves_no_session_that_is_in_memory() {
    let time = time();
    let edge = replica(&[1], &time);
    let id = edge.session("2025-11-25", "{}").await;
    for step in [HOUR, 100 * HOUR] {
        time.fetch_add(step, Ordering::SeqCst);
        assert_eq!(ping(&edge, &id).await, 200);
    }
    time.fetch_sub(300 * HOUR, Ordering::SeqCst);
    assert_eq!(ping(&edge, &id).await, 200);
    // A day is a day, whatever the clock on the wall says.
    tokio::time::sleep(Duration::from_secs(23 * HOUR)).await;
    assert_eq!(ping(&edge, &id).await, 200);
    tokio::time::sleep(Duration::from_secs(HOUR + 1)).await;
    assert_eq!(ping(&edge, &id).await, 404);
}

#[tokio::test]
async fn f43_an_id_is_good_for_a_day_give_or_take_a_minute() {
    let time = time();
    let edge = replica(&[1], &time);
    let id = edge.session("2025-11-25", "{}").await;
    let made = time.load(Ordering::SeqCst);
    for (now, status) in [
        (made - 60, 200),
        (made - 61, 404),
        (made + 24 * HOUR + 60, 200),
        (made + 24 * HOUR + 61, 404),
    ] {
        time.store(now, Ordering::SeqCst);
        assert_eq!(ping(&replica(&[1], &time), &id).await, status);
    }
}

#[tokio::test]
async fn r40_r41_a_client_that_says_more_than_4_kib_has_a_session_in_one_process() {
    let time = time();
    let edge = replica(&[1], &time);
    let name = "n".repeat(10_000);
    let params = format!(
        r#"{{"protocolVersion":"2025-11-25","capabilities":{{}},"clientInfo":{{"name":"{name}","version":"1"}}}}"#
    );
    let answer = edge.post(&[], &request("1", "initialize", &params)).await;
    let id = answer.headers[SESSION].to_str().unwrap();
    assert!(id.len() < 64, "stored, not carried");
    assert_eq!(ping(&edge, id).await, 200);
    assert_eq!(ping(&replica(&[1], &time), id).await, 404);
    let h = [(SESSION, id)];
    assert_eq!(edge.send("DELETE", "/mcp", &h, "").await.status, 204);
    assert_eq!(ping(&edge, id).await, 404);
}

#[tokio::test]
async fn an_id_carries_what_was_opened_upstream_at_initialize() {
    let time = time();
    let first = replica(&[1], &time);
    first.mock.attach("a#0", "upstream-secret");
    let id = first.session("2025-11-25", "{}").await;
    assert!(!id.contains("upstream"), "r42");
    let second = replica(&[1], &time);
    second.post(&[(SESSION, &id)], &call("1", "echo")).await;
    let session = second
        .mock
        .last(&McpMethod::ToolsCall)
        .context
        .session
        .clone();
    let session = session.unwrap();
    assert_eq!(session.carried("a#0").as_deref(), Some("upstream-secret"));
    // Going away is not the end: what is carried stays open for the others.
    let (told, hears) = tokio::sync::oneshot::channel();
    let hooked = session.clone();
    let hook = move || -> BoxFuture<'static, ()> {
        async move { told.send(hooked.is_suspended()).unwrap() }.boxed()
    };
    assert!(session.on_close(hook).is_ok());
    second.http.close().await;
    assert!(hears.await.unwrap());
}

#[tokio::test(start_paused = true)]
async fn initialize_waits_five_seconds_for_upstream_sessions_and_no_longer() {
    let edge = Edge::new();
    edge.mock.attach_never();
    let start = tokio::time::Instant::now();
    let id = edge.session("2025-11-25", "{}").await;
    assert_eq!(start.elapsed(), Duration::from_secs(5));
    assert_eq!(ping(&edge, &id).await, 200);
}

#[tokio::test]
async fn many_requests_at_once_bring_back_one_session() {
    let time = time();
    let id = replica(&[1], &time).session("2025-11-25", "{}").await;
    let edge = replica(&[1], &time);
    let h = [(SESSION, &*id)];
    let bodies: Vec<_> = (0..20).map(|n| call(&n.to_string(), "echo")).collect();
    let calls = bodies.iter().map(|body| edge.post(&h, body));
    for answer in futures::future::join_all(calls).await {
        assert_eq!(answer.status, 200);
    }
    let key = "slot".into();
    let seen = edge.mock.seen.lock().unwrap();
    let sessions = seen.iter().filter_map(|r| r.context.session.as_ref());
    let slots: Vec<_> = sessions.map(|s| s.slot(&key, || 1_u8)).collect();
    assert_eq!(slots.len(), 20);
    assert!(slots.iter().all(|slot| Arc::ptr_eq(slot, &slots[0])));
}

#[tokio::test(start_paused = true)]
async fn without_a_key_sessions_are_put_away_and_come_back_in_the_same_process() {
    let edge = Edge::with(HttpParams {
        limits: HttpLimits {
            sessions: 1,
            ..HttpLimits::default()
        },
        times: HttpTimes {
            session_idle: Duration::from_secs(60),
            ..HttpTimes::default()
        },
        ..HttpParams::default()
    });
    let one = edge.session("2025-11-25", "{}").await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    let two = edge.session("2025-11-25", "{}").await;
    for id in [&one, &two, &one] {
        tokio::time::sleep(Duration::from_secs(2)).await;
        assert_eq!(ping(&edge, id).await, 200);
    }
    assert_eq!(ping(&Edge::new(), &one).await, 404, "another process");
}

#[tokio::test]
async fn r41_an_id_that_the_previous_key_sealed_still_opens_and_new_ones_are_the_first_keys() {
    let time = time();
    let old = replica(&[1], &time).session("2025-11-25", "{}").await;
    let rotated = replica(&[2, 1], &time);
    let new = rotated.session("2025-11-25", "{}").await;
    assert_eq!(
        (ping(&rotated, &old).await, ping(&rotated, &new).await),
        (200, 200)
    );
    // Where the previous key is not known any more, or the first one not yet.
    let (later, before) = (replica(&[2], &time), replica(&[1], &time));
    assert_eq!(
        (ping(&later, &old).await, ping(&later, &new).await),
        (404, 200)
    );
    assert_eq!(
        (ping(&before, &old).await, ping(&before, &new).await),
        (200, 404)
    );
}

#[tokio::test]
async fn r40_what_an_id_carries_is_closed_by_delete_wherever_it_arrives() {
    let time = time();
    let first = replica(&[1], &time);
    first.mock.attach("a#0", "upstream");
    let id = first.session("2025-11-25", "{}").await;
    let second = replica(&[1], &time);
    let h = [(SESSION, &*id)];
    assert_eq!(second.send("DELETE", "/mcp", &h, "").await.status, 204);
    until(|| second.mock.count(&McpMethod::Detach) > 0).await;
    let session = second
        .mock
        .last(&McpMethod::Detach)
        .context
        .session
        .clone()
        .unwrap();
    assert_eq!(session.carried("a#0").as_deref(), Some("upstream"));
    until(|| session.is_closed()).await;
    assert_eq!(ping(&second, &id).await, 404);
    assert_eq!(second.sessions().ended, 1);
    // Nothing is said of sessions that carry nothing.
    let plain = second.session("2025-11-25", "{}").await;
    let h = [(SESSION, &*plain)];
    assert_eq!(second.send("DELETE", "/mcp", &h, "").await.status, 204);
    assert_eq!(second.mock.count(&McpMethod::Detach), 1);
}

#[tokio::test(start_paused = true)]
async fn a_backend_that_does_not_hear_of_the_end_does_not_keep_the_session() {
    let time = time();
    let edge = replica(&[1], &time);
    edge.mock.attach("a#0", "upstream");
    let id = edge.session("2025-11-25", "{}").await;
    edge.post(&[(SESSION, &id)], &call("1", "echo")).await;
    let session = edge
        .mock
        .last(&McpMethod::ToolsCall)
        .context
        .session
        .clone()
        .unwrap();
    edge.mock.detach_never();
    let start = tokio::time::Instant::now();
    edge.send("DELETE", "/mcp", &[(SESSION, &id)], "").await;
    assert_eq!(start.elapsed(), Duration::ZERO, "nobody waits for it");
    while !session.is_closed() {
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert!(start.elapsed() <= Duration::from_secs(6));
    }
}

#[tokio::test]
async fn r41_what_a_session_carries_is_gone_on_with_when_its_client_listens() {
    let time = time();
    let first = replica(&[1], &time);
    first.mock.attach("a#0", "upstream");
    let id = first.session("2025-11-25", "{}").await;
    assert!(
        !first
            .mock
            .last(&McpMethod::Attach)
            .context
            .session
            .clone()
            .unwrap()
            .is_revived()
    );
    let second = replica(&[1], &time);
    let h = [(SESSION, &*id)];
    assert_eq!(ping(&second, &id).await, 200);
    assert_eq!(second.mock.count(&McpMethod::Attach), 0, "no need yet");
    let mut stream = second.open("GET", "/mcp", &h, "").await.into_body();
    let heard = tokio::spawn(async move { event(&mut stream).await });
    until(|| second.mock.count(&McpMethod::Attach) > 0).await;
    let session = second
        .mock
        .last(&McpMethod::Attach)
        .context
        .session
        .clone()
        .unwrap();
    assert!(session.is_revived() && session.carries_any());
    assert_eq!(second.sessions().revived, 1);
    heard.abort();
}

#[tokio::test(start_paused = true)]
async fn ten_thousand_sessions_that_ended_or_expired_leave_nothing() {
    let edge = Edge::with(HttpParams {
        seals: Some(Seals::new(&[[1; 32]]).unwrap()),
        limits: HttpLimits {
            sessions: 20_000,
            ..HttpLimits::default()
        },
        ..HttpParams::default()
    });
    let day = Duration::from_secs(24 * HOUR);
    let open = async |count: usize| {
        let mut ids = Vec::new();
        for _ in 0..count {
            ids.push(edge.session("2025-11-25", "{}").await);
        }
        assert_eq!(edge.sessions().open, count);
        ids
    };
    for id in open(10_000).await {
        let ended = edge.send("DELETE", "/mcp", &[(SESSION, &*id)], "").await;
        assert_eq!(ended.status, 204);
    }
    assert_eq!((edge.sessions().open, edge.sessions().ended), (0, 10_000));
    // Their ids are remembered for as long as they would be good.
    tokio::time::sleep(day).await;
    assert_eq!(edge.sessions().ended, 10_000);
    tokio::time::sleep(Duration::from_secs(180)).await;
    assert_eq!(edge.sessions().ended, 0);
    open(500).await;
    tokio::time::sleep(day + Duration::from_secs(180)).await;
    assert_eq!((edge.sessions().open, edge.sessions().ended), (0, 0));
}
