//! Replicas that die, hang, throttle and flap, behind breakers as in a real stack.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use mcp_router_health::BreakerParams;
use mcp_router_protocol::{Method, RawJson, RawParams};
use mcp_router_service::{
    CallError, McpRequest, McpResponse, Reason, RepeatAfter, Sent, Session, SessionId,
};
use tokio::sync::watch;
use tower::{Layer, ServiceExt};

use super::*;
use crate::testing::{call, secs, stream};
use crate::{Breaker, BreakerLayer};

mod affinity;
mod budget;
mod events;
mod failover;
mod faults;
mod spread;

/// What a replica does with a call.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Mood {
    /// Answers after so many milliseconds.
    Well(u64),
    /// Takes no connection; found out after so many milliseconds.
    Absent(u64),
    /// Takes the call, then goes away.
    Dies,
    /// 429, come back in so many seconds; 0: no word on that.
    Throttles(u64),
    /// Takes the call and never answers.
    Hangs,
    /// 400.
    Rejects,
    /// Answers with a stream that does not end.
    Streams,
}

/// A replica with its log: the witness of what ran.
#[derive(Clone)]
pub(super) struct Fake(Arc<Inner>);

struct Inner {
    key: String,
    mood: watch::Sender<Mood>,
    asked: AtomicUsize,
    /// Which calls began to run here, by the number in their name.
    ran: Mutex<Vec<String>>,
}

impl Fake {
    pub(super) fn new(key: &str, mood: Mood) -> Self {
        Self(Arc::new(Inner {
            key: key.to_owned(),
            mood: watch::Sender::new(mood),
            asked: AtomicUsize::new(0),
            ran: Mutex::default(),
        }))
    }

    pub(super) fn set(&self, mood: Mood) {
        self.0.mood.send_replace(mood);
    }

    /// How many calls came here, whatever became of them.
    pub(super) fn asked(&self) -> usize {
        self.0.asked.load(Ordering::Relaxed)
    }

    pub(super) fn ran(&self) -> Vec<String> {
        let ran = self.0.ran.lock();
        ran.unwrap_or_else(PoisonError::into_inner).clone()
    }

    async fn serve(self, request: McpRequest) -> Result<McpResponse, CallError> {
        let mut mood = self.0.mood.subscribe();
        self.0.asked.fetch_add(1, Ordering::Relaxed);
        let now = *mood.borrow_and_update();
        let run = || {
            let name = request.params.name().unwrap_or_default();
            self.0.ran.lock().unwrap().push(name);
        };
        match now {
            Mood::Absent(millis) => {
                tokio::time::sleep(Duration::from_millis(millis)).await;
                Err(CallError::new(Reason::ConnectFailed, Sent::No))
            }
            Mood::Throttles(seconds) => {
                Err(refused(429).retry_after((seconds > 0).then(|| secs(seconds))))
            }
            Mood::Rejects => Err(refused(400)),
            Mood::Dies => {
                run();
                Err(lost())
            }
            Mood::Hangs => {
                run();
                std::future::pending().await
            }
            Mood::Streams => {
                run();
                let (feed, response, _alive) = stream();
                std::mem::forget(feed); // the test drops the answer
                Ok(response)
            }
            Mood::Well(millis) => {
                run();
                tokio::select! {
                    () = tokio::time::sleep(Duration::from_millis(millis)) => Ok(self.signed()),
                    // Whoever dies takes its calls along.
                    _ = mood.wait_for(|m| !matches!(m, Mood::Well(_))) => Err(lost()),
                }
            }
        }
    }

    fn signed(&self) -> McpResponse {
        McpResponse::complete(RawJson::from_checked(format!("\"{}\"", self.0.key).into()))
    }
}

fn refused(status: u16) -> CallError {
    CallError::new(Reason::BackendStatus, Sent::RejectedUnexecuted).status(status)
}

fn lost() -> CallError {
    CallError::new(Reason::BackendLost, Sent::Unknown)
}

impl Service<McpRequest> for Fake {
    type Response = McpResponse;
    type Error = CallError;
    type Future = BoxFuture<'static, Result<McpResponse, CallError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), CallError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: McpRequest) -> Self::Future {
        self.clone().serve(request).boxed()
    }
}

/// Some replicas, `a`, `b`, `c`, …, and the balance over them.
pub(super) struct Scene {
    pub(super) fakes: Vec<Fake>,
    pub(super) endpoints: Vec<Endpoint>,
    pub(super) balance: Balance<Breaker<Fake>>,
}

pub(super) fn name() -> BackendName {
    "search".parse().unwrap()
}

pub(super) fn keys() -> impl Iterator<Item = String> {
    ('a'..='z').map(String::from)
}

impl Scene {
    pub(super) fn of(policy: Policy, moods: &[Mood]) -> Self {
        Self::with(policy, moods, |replica| replica)
    }

    pub(super) fn round_robin(moods: &[Mood]) -> Self {
        Self::of(Policy::RoundRobin, moods)
    }

    pub(super) fn with(
        policy: Policy,
        moods: &[Mood],
        dress: impl Fn(Replica<Breaker<Fake>>) -> Replica<Breaker<Fake>>,
    ) -> Self {
        Self::breaking(policy, moods, BreakerParams::default(), dress)
    }

    pub(super) fn breaking(
        policy: Policy,
        moods: &[Mood],
        breaker: BreakerParams,
        dress: impl Fn(Replica<Breaker<Fake>>) -> Replica<Breaker<Fake>>,
    ) -> Self {
        let pairs: Vec<_> = keys()
            .zip(moods)
            .map(|(key, mood)| {
                let endpoint = Endpoint::new(key.as_str(), breaker);
                (Fake::new(&key, *mood), endpoint)
            })
            .collect();
        let replicas = pairs.iter().map(|(fake, endpoint)| {
            let stack = BreakerLayer::new(endpoint.clone()).layer(fake.clone());
            dress(Replica::new(stack, endpoint.clone()))
        });
        let params = BalanceParams {
            policy,
            ..BalanceParams::default()
        };
        let balance = Balance::seeded(&name(), params, replicas.collect(), 1).service;
        let (fakes, endpoints) = pairs.into_iter().unzip();
        Self {
            fakes,
            endpoints,
            balance,
        }
    }

    /// One call: who answered.
    pub(super) async fn ask(&self, request: McpRequest) -> Result<String, CallError> {
        let answer = self.balance.clone().oneshot(request).await?;
        match answer.outcome().await? {
            mcp_router_service::Outcome::Complete(text) => {
                Ok(text.as_str().trim_matches('"').to_owned())
            }
            other => panic!("{other:?}"),
        }
    }

    pub(super) fn asked(&self) -> Vec<usize> {
        self.fakes.iter().map(Fake::asked).collect()
    }
}

/// A call that must not run twice.
pub(super) fn once() -> McpRequest {
    call(secs(30))
}

/// A call that may run any number of times.
pub(super) fn safe() -> McpRequest {
    let mut request = once();
    request.context.repeat.after = RepeatAfter::Failed;
    request
}

/// A call named after its number, for the log of what ran.
pub(super) fn numbered(number: usize, safe: bool) -> McpRequest {
    let params = format!(r#"{{"name":"{number}"}}"#);
    let params = RawParams::parse(Some(params.into())).unwrap();
    let mut request = McpRequest::new(Method::ToolsCall, params);
    if safe {
        request.context.repeat.after = RepeatAfter::Failed;
    }
    request
}

pub(super) fn session(id: &str) -> Session {
    // Nothing is sent to the client here.
    Session::open(SessionId::new(id), Arc::default()).0
}

pub(super) fn of(session: &Session, mut request: McpRequest) -> McpRequest {
    request.context.session = Some(session.clone());
    request
}
