//! The catalogue against a model: backends that come, go, fall ill, change what they have and are
//! forgotten, with callers that go away in the middle of a call or of a list.
//!
//! `STATE_MACHINE_STEPS` says how many steps to take at least.

mod backend;
mod model;

use std::time::Duration;

use backend::Fake;
use futures::stream::StreamExt;
use mcp_router_core::{AskError, Router};
use mcp_router_protocol::{ItemKind, Method, RawParams};
use mcp_router_service::{Event, McpRequest, McpResponse, RequestContext, ResponseStream};
use model::{BACKENDS, Member, Model, Step, TTL, name_of, step_time};
use proptest::prelude::ProptestConfig;
use proptest_state_machine::{StateMachineTest, prop_state_machine};
use serde_json::json;
use tokio::runtime::Runtime;
use tower::ServiceExt;

/// A router with its backends, and a client that listens for changes.
struct Sut {
    runtime: Runtime,
    router: Router,
    backends: Vec<Fake>,
    changes: ResponseStream,
    listed: Vec<String>,
}

impl StateMachineTest for Sut {
    type SystemUnderTest = Self;
    type Reference = Model;

    fn init_test(model: &Model) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .expect("well");
        let (router, backends, changes) = runtime.block_on(async {
            let mut builder = Router::builder()
                .page_size(2)
                .stale_ttl(Duration::from_secs(TTL));
            let mut backends = Vec::new();
            for (at, member) in model.members.iter().enumerate() {
                let (fake, backend) = Fake::new(BACKENDS[at], member.tools.clone());
                fake.connect();
                builder = builder.backend(backend);
                backends.push(fake);
            }
            let router = builder.build().expect("well");
            router.ready().await;
            let changes = listen(&router).await;
            (router, backends, changes)
        });
        let mut sut = Self {
            runtime,
            router,
            backends,
            changes,
            listed: Vec::new(),
        };
        sut.listed = sut.list();
        assert_eq!(sut.listed, model.listed());
        sut
    }

    fn apply(mut sut: Self, model: &Model, step: Step) -> Self {
        let connected = |at: usize| model.members[at].connected;
        let backends = &sut.backends;
        match &step {
            Step::Tools(at, tools) => {
                backends[*at].set(tools.clone());
                backends[*at].changed(connected(*at));
            }
            Step::Lose(at) => backends[*at].lose(),
            Step::Connect(at) => backends[*at].connect(),
            Step::Sick(at, sick) => {
                backends[*at].sicken(*sick);
                backends[*at].changed(connected(*at));
            }
            Step::Call(..) | Step::GiveUp(..) | Step::Pass => {}
        }
        sut.settle();
        match &step {
            Step::Call(namespace, tool) => sut.call(model, namespace, *tool),
            Step::GiveUp(namespace, tool) => sut.give_up(namespace, *tool),
            _ => {}
        }
        let listed = sut.list();
        assert_eq!(listed, model.listed(), "{step:?}");
        // A list that changes and changes back within a step is rightly told.
        let told = sut.told();
        assert!(told || listed == sut.listed, "{step:?}: nobody was told");
        sut.listed = listed;
        let healthy = sut.router.backends();
        let healthy: Vec<bool> = healthy.iter().map(|b| b.healthy).collect();
        let well: Vec<bool> = model.members.iter().map(Member::is_well).collect();
        assert_eq!(healthy, well, "{step:?}");
        sut
    }

    fn teardown(sut: Self, _: Model) {
        let Self {
            runtime,
            router,
            changes,
            ..
        } = sut;
        runtime.block_on(async {
            router.close().await;
            drop(changes);
            // i7: the supervisors have ended.
            tokio::time::sleep(Duration::from_secs(1)).await;
            let alive = tokio::runtime::Handle::current()
                .metrics()
                .num_alive_tasks();
            assert_eq!(alive, 0, "tasks left");
        });
    }
}

impl Sut {
    fn settle(&self) {
        let step = async { tokio::time::sleep(step_time()).await };
        self.runtime.block_on(step);
    }

    /// All pages, as clients see them, the router's own left out.
    fn list(&self) -> Vec<String> {
        let all = self.runtime.block_on(async {
            let context = RequestContext::default();
            self.router.list(&context, ItemKind::Tool).await
        });
        let names = all
            .expect("well")
            .into_iter()
            .filter_map(|t| t.get_str("name"));
        names.filter(|name| name.contains('.')).collect()
    }

    fn call(&self, model: &Model, namespace: &str, tool: u8) {
        let name = name_of(namespace, tool);
        let answer = self.runtime.block_on(async {
            let context = RequestContext::default();
            self.router.call_tool(&context, &name, &json!({})).await
        });
        match (model.owner(namespace, tool), answer) {
            (Some(owner), Ok(result)) => {
                assert_eq!(result.get_str("by").as_deref(), Some(BACKENDS[owner].0));
            }
            (None, Err(AskError::Refused(_) | AskError::Failed(_))) => {}
            (expected, got) => panic!("{name}: {expected:?}, got {got:?}"),
        }
    }

    /// A call and a list that are dropped after one look at them.
    fn give_up(&self, namespace: &str, tool: u8) {
        let name = name_of(namespace, tool);
        self.runtime.block_on(async {
            let context = RequestContext::default();
            for fake in &self.backends {
                fake.hang(true);
            }
            let arguments = json!({});
            let mut call = Box::pin(self.router.call_tool(&context, &name, &arguments));
            if futures::poll!(call.as_mut()).is_pending() {
                tokio::task::yield_now().await;
            }
            drop(call);
            let mut list = Box::pin(self.router.list_tools(&context));
            let _ = futures::poll!(list.as_mut());
            drop(list);
            for fake in &self.backends {
                fake.hang(false);
                assert_eq!(fake.in_flight(), 0, "a dropped call goes on");
            }
        });
    }

    /// Whether the listener heard of a change of tools since it was asked last.
    fn told(&mut self) -> bool {
        self.runtime.block_on(async {
            let mut told = false;
            let soon = Duration::from_secs(1);
            while let Ok(event) = tokio::time::timeout(soon, self.changes.next()).await {
                match event.expect("open").expect("well") {
                    Event::Notification { method, .. } => told |= method == Method::ToolsChanged,
                    other => panic!("{other:?}"),
                }
            }
            told
        })
    }
}

async fn listen(router: &Router) -> ResponseStream {
    let params = RawParams::of(&json!({ "notifications": { "toolsListChanged": true } }));
    let request = McpRequest::new(Method::Listen, params);
    let McpResponse::Stream(mut stream) = router.clone().oneshot(request).await.expect("well")
    else {
        panic!("no stream");
    };
    // The first event says what is listened to.
    stream.next().await.expect("open").expect("well");
    stream
}

fn config() -> ProptestConfig {
    let steps = std::env::var("STATE_MACHINE_STEPS");
    let steps = steps.map_or(2_000, |s| s.parse().expect("a number of steps"));
    ProptestConfig {
        cases: steps / 20,
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

prop_state_machine! {
    #![proptest_config(config())]
    #[test]
    fn r13_the_catalogue_is_what_the_backends_listed_last(sequential 1..40 => Sut);
}
