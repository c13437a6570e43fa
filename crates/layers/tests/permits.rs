//! The permits of a limit against a model, with callers that go away at any point: before their
//! turn, after their turn came and before they noticed, while they are served, in the middle of a
//! streamed answer.
//!
//! `STATE_MACHINE_STEPS` says how many steps to take at least.

mod steps;

use std::any::Any;
use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use mcp_router_layers::future::LimitFuture;
use mcp_router_layers::{Limit, LimitLayer, LimitParams};
use mcp_router_service::{CallError, HoldGuard, Reason, Sent};
use proptest::prelude::*;
use proptest::sample::Index;
use proptest_state_machine::{ReferenceStateMachine, StateMachineTest, prop_state_machine};
use tokio::sync::oneshot;
use tokio_test::task;
use tower::{Layer, Service};

const MAX_WAIT: u64 = 1000;

#[derive(Clone, Debug)]
enum Step {
    /// A call comes, and is polled once.
    Start,
    /// One that is served ends at its head, or goes on as a stream.
    Finish(Index, End),
    /// The stream of one ends, or its reader goes away: the same to a permit.
    EndStream(Index),
    /// A caller goes away.
    Cancel(Index),
    /// Whoever was woken looks.
    Settle,
    /// Milliseconds.
    Pass(u64),
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum End {
    Ready,
    Failed,
    Stream,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Phase {
    Waiting {
        until: u64,
    },
    /// Has its turn, and has not looked.
    Called,
    Served,
    Streaming,
}

#[derive(Clone, Debug)]
struct Model {
    max_concurrency: usize,
    max_queue: usize,
    now: u64,
    next: usize,
    /// By the order of arrival.
    calls: BTreeMap<usize, Phase>,
}

impl Model {
    fn count(&self, of: impl Fn(Phase) -> bool) -> usize {
        self.calls.values().filter(|phase| of(**phase)).count()
    }

    fn served(&self) -> usize {
        self.count(|p| matches!(p, Phase::Served | Phase::Streaming))
    }

    fn queued(&self) -> usize {
        self.count(|p| matches!(p, Phase::Waiting { .. } | Phase::Called))
    }

    fn pick(&self, at: &Index, of: impl Fn(Phase) -> bool) -> Option<usize> {
        let calls = self.calls.iter().filter(|(_, phase)| of(**phase));
        let ids: Vec<usize> = calls.map(|(id, _)| *id).collect();
        (!ids.is_empty()).then(|| ids[at.index(ids.len())])
    }

    /// Free permits go to those who have waited longest.
    fn hand_out(&mut self) {
        let taken = self.served() + self.count(|p| p == Phase::Called);
        let waiting = self.calls.values_mut();
        let waiting = waiting.filter(|p| matches!(p, Phase::Waiting { .. }));
        for phase in waiting.take(self.max_concurrency - taken) {
            *phase = Phase::Called;
        }
    }
}

impl ReferenceStateMachine for Model {
    type State = Self;
    type Transition = Step;

    fn init_state() -> BoxedStrategy<Self> {
        (1usize..4, 0usize..4)
            .prop_map(|(max_concurrency, max_queue)| Model {
                max_concurrency,
                max_queue,
                now: 0,
                next: 0,
                calls: BTreeMap::new(),
            })
            .boxed()
    }

    fn transitions(_: &Self) -> BoxedStrategy<Step> {
        let end = prop_oneof![Just(End::Ready), Just(End::Failed), Just(End::Stream)];
        prop_oneof![
            4 => Just(Step::Start),
            2 => (any::<Index>(), end).prop_map(|(at, end)| Step::Finish(at, end)),
            1 => any::<Index>().prop_map(Step::EndStream),
            2 => any::<Index>().prop_map(Step::Cancel),
            2 => Just(Step::Settle),
            1 => prop_oneof![1u64..300, 900u64..1100].prop_map(Step::Pass),
        ]
        .boxed()
    }

    fn apply(mut state: Self, step: &Step) -> Self {
        match step {
            Step::Start => {
                let id = state.next;
                state.next += 1;
                let taken = state.served() + state.count(|p| p == Phase::Called);
                if taken < state.max_concurrency {
                    state.calls.insert(id, Phase::Served);
                } else if state.queued() < state.max_queue {
                    let until = state.now + MAX_WAIT;
                    state.calls.insert(id, Phase::Waiting { until });
                }
            }
            Step::Finish(at, end) => {
                if let Some(id) = state.pick(at, |p| p == Phase::Served) {
                    if *end == End::Stream {
                        state.calls.insert(id, Phase::Streaming);
                    } else {
                        state.calls.remove(&id);
                    }
                }
            }
            Step::EndStream(at) => {
                if let Some(id) = state.pick(at, |p| p == Phase::Streaming) {
                    state.calls.remove(&id);
                }
            }
            Step::Cancel(at) => {
                if let Some(id) = state.pick(at, |p| p != Phase::Streaming) {
                    state.calls.remove(&id);
                }
            }
            Step::Settle => {
                let now = state.now;
                state.calls.retain(|_, phase| match *phase {
                    Phase::Waiting { until } => now < until,
                    _ => true,
                });
                for phase in state.calls.values_mut() {
                    if *phase == Phase::Called {
                        *phase = Phase::Served;
                    }
                }
            }
            Step::Pass(ms) => state.now += ms,
        }
        state.hand_out();
        state
    }
}

/// What the backend knows: who is with it, and how to end that.
#[derive(Clone, Default)]
struct Backend {
    serving: Arc<AtomicUsize>,
    ends: Arc<Mutex<BTreeMap<usize, oneshot::Sender<End>>>>,
}

/// Counts as one that the backend serves.
struct Serving(Arc<AtomicUsize>);

impl Drop for Serving {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// An answer that holds what it is told to until it is dropped, if it is a stream.
struct Answer {
    stream: Option<Serving>,
    guards: Vec<Box<dyn Any + Send>>,
}

impl HoldGuard for Answer {
    fn hold<G: Send + 'static>(mut self, guard: G) -> Self {
        if self.stream.is_some() {
            self.guards.push(Box::new(guard));
        }
        self
    }
}

impl Service<usize> for Backend {
    type Response = Answer;
    type Error = CallError;
    type Future = Pin<Box<dyn Future<Output = Result<Answer, CallError>>>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), CallError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, id: usize) -> Self::Future {
        self.serving.fetch_add(1, Ordering::SeqCst);
        let serving = Serving(self.serving.clone());
        let (send, end) = oneshot::channel();
        self.ends.lock().expect("no panic").insert(id, send);
        Box::pin(async move {
            let end = end.await.expect("the test ends every call");
            let lost = CallError::new(Reason::BackendLost, Sent::Unknown);
            let stream = match end {
                End::Failed => return Err(lost),
                End::Ready => None,
                End::Stream => Some(serving),
            };
            let guards = Vec::new();
            Ok(Answer { stream, guards })
        })
    }
}

type Call = task::Spawn<LimitFuture<Backend, usize>>;

struct Sut {
    runtime: tokio::runtime::Runtime,
    limit: Limit<Backend>,
    backend: Backend,
    next: usize,
    calls: BTreeMap<usize, Call>,
    streams: BTreeMap<usize, Answer>,
}

impl Sut {
    fn start(&mut self) {
        let _entered = self.runtime.enter();
        let id = self.next;
        self.next += 1;
        let call = task::spawn(self.limit.call(id));
        self.calls.insert(id, call);
        self.poll(id);
    }

    fn poll(&mut self, id: usize) {
        let _entered = self.runtime.enter();
        let call = self.calls.get_mut(&id).expect("a call that is there");
        let Poll::Ready(result) = call.poll() else {
            return;
        };
        self.calls.remove(&id);
        match result {
            Ok(answer) if answer.stream.is_some() => {
                self.streams.insert(id, answer);
            }
            Ok(_) => {}
            Err(error) if error.reason == Reason::Overloaded => assert_eq!(error.sent, Sent::No),
            Err(error) => assert_eq!(error.reason, Reason::BackendLost),
        }
    }

    fn settle(&mut self) {
        for id in self.calls.keys().copied().collect::<Vec<_>>() {
            if self.calls.get_mut(&id).is_some_and(|call| call.is_woken()) {
                self.poll(id);
            }
        }
    }

    fn pass(&self, ms: u64) {
        let time = Duration::from_millis(ms);
        self.runtime.block_on(tokio::time::advance(time));
    }
}

/// The model before the step picked what the model after it no longer shows.
fn gone<T>(ours: &BTreeMap<usize, T>, model: &Model, now: impl Fn(Phase) -> bool) -> Option<usize> {
    let left = |id: &usize| !model.calls.get(id).is_some_and(|phase| now(*phase));
    ours.keys().copied().find(left)
}

impl StateMachineTest for Sut {
    type SystemUnderTest = Self;
    type Reference = Model;

    fn init_test(model: &Model) -> Self {
        let layer = LimitLayer::new(LimitParams {
            max_concurrency: model.max_concurrency,
            max_queue: model.max_queue,
            max_wait: Duration::from_millis(MAX_WAIT),
        });
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let backend = Backend::default();
        Self {
            runtime: runtime
                .enable_time()
                .start_paused(true)
                .build()
                .expect("a runtime"),
            limit: layer.layer(backend.clone()),
            backend,
            next: 0,
            calls: BTreeMap::new(),
            streams: BTreeMap::new(),
        }
    }

    fn apply(mut sut: Self, model: &Model, step: Step) -> Self {
        match step {
            Step::Start => sut.start(),
            Step::Finish(_, end) => {
                let served = |p: Phase| p != Phase::Streaming;
                if let Some(id) = gone(&sut.calls, model, served) {
                    let sender = sut.backend.ends.lock().expect("no panic").remove(&id);
                    sender.expect("it is served").send(end).ok();
                    sut.poll(id);
                }
            }
            Step::EndStream(_) => {
                if let Some(id) = gone(&sut.streams, model, |_| true) {
                    sut.streams.remove(&id);
                }
            }
            Step::Cancel(_) => {
                if let Some(id) = gone(&sut.calls, model, |_| true) {
                    sut.calls.remove(&id);
                }
            }
            Step::Settle => sut.settle(),
            Step::Pass(ms) => sut.pass(ms),
        }
        sut
    }

    fn check_invariants(sut: &Self, model: &Model) {
        let serving = sut.backend.serving.load(Ordering::SeqCst);
        assert_eq!(serving, model.served());
        assert!(serving <= model.max_concurrency);
        let mut ours: Vec<usize> = sut
            .calls
            .keys()
            .chain(sut.streams.keys())
            .copied()
            .collect();
        ours.sort_unstable();
        assert_eq!(ours, model.calls.keys().copied().collect::<Vec<_>>());
    }

    /// I7: at rest every permit and every place in the queue is back.
    fn teardown(mut sut: Self, model: Model) {
        sut.calls.clear();
        sut.streams.clear();
        assert_eq!(sut.backend.serving.load(Ordering::SeqCst), 0);
        let room = model.max_concurrency + model.max_queue;
        for n in 0..room + 1 {
            sut.start();
            let serving = sut.backend.serving.load(Ordering::SeqCst);
            assert_eq!(serving, (n + 1).min(model.max_concurrency));
            assert_eq!(sut.calls.len(), (n + 1).min(room));
        }
    }
}

prop_state_machine! {
    #![proptest_config(steps::config())]
    #[test]
    fn i7_permits_are_as_the_rules_say(sequential steps::RANGE => Sut);
}
