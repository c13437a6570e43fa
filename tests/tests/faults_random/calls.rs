//! Those who call: clients of both eras, each with a plan of its own.

use std::time::{Duration, Instant};

use mcp_router_tests::harness::{LegacySession, ModernClient, Reply, Seen, failure};
use serde_json::{Value, json};

use super::scene::{Scene, TARGETS};

/// The longest that a call may take: two attempts of a second at each of two candidates, and
/// what a busy machine adds. How exact deadlines are is the subject of other tests.
const LIMIT: Duration = Duration::from_secs(15);

/// One call and where it was sent.
#[derive(Clone)]
pub(crate) struct Made {
    pub(crate) target: &'static str,
    pub(crate) seen: Seen,
}

enum Client {
    Modern(ModernClient),
    Legacy(LegacySession),
}

impl Client {
    async fn post(&self, method: &str, params: Value) -> Reply {
        match self {
            Self::Modern(client) => client.post(method, params).await,
            Self::Legacy(session) => session.post(method, params).await,
        }
    }
}

/// One client with its plan.
pub(crate) struct Caller {
    client: Client,
    number: u64,
    random: fastrand::Rng,
}

/// What is called, and what of it is known to the judge.
struct Plan {
    method: &'static str,
    params: Value,
    /// Whether the tool says that it may run more than once.
    safe: bool,
    /// When the client loses patience.
    leaves: Option<Duration>,
}

impl Caller {
    pub(crate) async fn new(scene: &Scene, seed: u64, number: u64) -> Self {
        let client = match number % 4 {
            0 => Client::Legacy(scene.router.legacy_session("2025-11-25").await),
            1 => Client::Legacy(scene.router.legacy_session("2025-06-18").await),
            _ => Client::Modern(scene.router.modern()),
        };
        Self {
            client,
            number,
            random: fastrand::Rng::with_seed(seed.wrapping_add(number + 1)),
        }
    }

    /// Makes so many calls, one after another.
    pub(crate) async fn make(&mut self, count: u64) -> Vec<Made> {
        let mut made = Vec::new();
        for at in 0..count {
            let nonce = format!("n-{}-{at}-", self.number);
            let target = TARGETS[self.random.usize(..TARGETS.len())];
            let plan = self.plan(target, &nonce);
            let start = Instant::now();
            let calling = self.client.post(plan.method, plan.params);
            let reply = match plan.leaves {
                Some(after) => tokio::time::timeout(after, calling).await.ok(),
                None => Some(calling.await),
            };
            let messages = reply.map(|reply| reply.messages());
            let took = start.elapsed();
            let answer = messages.as_ref().and_then(|m| m.last());
            if answer
                .and_then(failure)
                .is_some_and(|f| f["reason"] == "circuit_open")
            {
                // As a client would that has read when the next trial is, if less patiently.
                let pause = Duration::from_millis(self.random.u64(..100));
                tokio::time::sleep(pause).await;
            }
            let seen = Seen {
                nonce,
                repeatable: plan.safe || target == "trusted",
                took,
                limit: LIMIT,
                messages,
            };
            made.push(Made { target, seen });
        }
        made
    }

    /// Ends its session, if it has one.
    pub(crate) async fn leave(self) {
        if let Client::Legacy(session) = self.client {
            let ended = session.close().await;
            assert_eq!(ended.status, 204, "{}", ended.text());
        }
    }

    fn plan(&mut self, target: &str, nonce: &str) -> Plan {
        let tool = |name: &str, arguments: Value| {
            let name = format!("{target}.{name}");
            json!({"name": name, "arguments": arguments})
        };
        let with = |params: Value, safe: bool| Plan {
            method: "tools/call",
            params,
            safe,
            leaves: None,
        };
        let random = &mut self.random;
        match random.u8(..100) {
            ..45 => with(tool("once", json!({"nonce": nonce})), false),
            45..60 => with(tool("once_idempotent", json!({"nonce": nonce})), true),
            60..70 => with(tool("once_read_only", json!({"nonce": nonce})), true),
            70..78 => {
                let arguments = json!({"nonce": nonce, "n": 3, "ms": random.u8(..5)});
                let mut params = tool("progress", arguments);
                params["_meta"] = json!({"progressToken": nonce});
                with(params, false)
            }
            78..84 => {
                let arguments = json!({"nonce": nonce, "ms": random.u8(..40)});
                with(tool("sleep", arguments), false)
            }
            84..92 => Plan {
                method: "prompts/get",
                ..with(tool("greet", json!({"who": nonce})), true)
            },
            92.. => {
                let arguments = json!({"nonce": nonce, "ms": 300});
                Plan {
                    leaves: Some(Duration::from_millis(random.u64(1..60))),
                    ..with(tool("sleep", arguments), false)
                }
            }
        }
    }
}
