//! Clients that come, do what clients do, and go.

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;

use crate::harness::LegacySession;

/// Visits at a time; more means that they have stopped ending.
const AT_ONCE: usize = 200;

/// What a whole visit may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// The visits so far.
#[derive(Debug, Default)]
pub(super) struct Visits {
    well: Cell<u64>,
    failed: Cell<u64>,
    first: RefCell<Option<String>>,
}

impl Visits {
    /// So many a second until `over`, and until the last one has gone.
    pub(super) async fn receive(&self, addr: SocketAddr, rate: f64, over: &CancellationToken) {
        let mut clock = interval(Duration::from_secs_f64(1.0 / rate));
        clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut visits = JoinSet::new();
        let mut number = 0_usize;
        loop {
            tokio::select! {
                () = over.cancelled() => break,
                Some(ended) = visits.join_next() => self.ended(ended.map_err(|e| e.to_string())),
                _ = clock.tick(), if visits.len() < AT_ONCE => {
                    visits.spawn(timeout(PATIENCE, visit(addr, number)));
                    number += 1;
                }
            }
        }
        while let Some(ended) = visits.join_next().await {
            self.ended(ended.map_err(|error| error.to_string()));
        }
    }

    fn ended(&self, ended: Result<Result<Result<(), String>, impl ToString>, String>) {
        let outcome = ended.and_then(|timed| timed.unwrap_or_else(|late| Err(late.to_string())));
        match outcome {
            Ok(()) => self.well.set(self.well.get() + 1),
            Err(text) => {
                self.failed.set(self.failed.get() + 1);
                self.first.borrow_mut().get_or_insert(text);
            }
        }
    }

    pub(super) fn well(&self) -> u64 {
        self.well.get()
    }

    pub(super) fn failed(&self) -> u64 {
        self.failed.get()
    }

    pub(super) fn first(&self) -> Option<String> {
        self.first.borrow().clone()
    }
}

/// One client from its hello to its goodbye.
async fn visit(addr: SocketAddr, number: usize) -> Result<(), String> {
    let session = LegacySession::open(addr, "2025-11-25").await;
    let stream = session.stream().await;
    expect(
        stream.status == 200,
        "the standing stream is open",
        &Value::Null,
    )?;
    let tools = session.request("tools/list", json!({})).await;
    expect(
        tools["result"]["tools"].is_array(),
        "tools are listed",
        &tools,
    )?;
    let backend = format!("b{}", number % super::BACKENDS);
    for text in ["one", "two"] {
        let answer = session
            .call(&format!("{backend}.echo"), json!({"text": text}))
            .await;
        let said = &answer["result"]["content"][0]["text"];
        expect(said == text, "the echo comes back", &answer)?;
    }
    let progress = json!({
        "name": format!("{backend}.progress"),
        "arguments": {"n": 3, "ms": 20},
        "_meta": {"progressToken": number},
    });
    let reply = session.post("tools/call", progress).await;
    let messages = reply.messages();
    let done = messages.last().cloned().unwrap_or_default();
    expect(
        done["result"].is_object(),
        "a call with progress ends",
        &done,
    )?;
    // Leaves in the middle of this one.
    let asleep = json!({"name": format!("{backend}.sleep"), "arguments": {"ms": 2000}});
    let leaving = session.post("tools/call", asleep);
    let left = timeout(Duration::from_millis(100), leaving).await;
    expect(left.is_err(), "a long call takes long", &Value::Null)?;
    let closed = session.close().await;
    expect(closed.status.is_success(), "the session ends", &Value::Null)
}

fn expect(met: bool, what: &str, seen: &Value) -> Result<(), String> {
    if met {
        return Ok(());
    }
    let mut seen = seen.to_string();
    seen.truncate(seen.floor_char_boundary(300));
    Err(format!("not so: {what}; {seen}"))
}
