//! A backend whose tools, health and connection the test commands.

use std::collections::BTreeSet;
use std::future::pending;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use futures::future::BoxFuture;
use futures::stream::StreamExt;
use mcp_router_core::Backend;
use mcp_router_protocol::{ItemKind, Method, RawJson};
use mcp_router_service::{
    BackendEvent, BackendInfo, CallError, McpRequest, McpResponse, Reason, Sent,
};
use serde_json::json;
use tokio::sync::mpsc;
use tower::Service;

use crate::model::tool;

#[derive(Clone)]
pub(crate) struct Fake(Arc<State>);

struct State {
    name: &'static str,
    tools: Mutex<BTreeSet<u8>>,
    sick: Mutex<bool>,
    hangs: Mutex<bool>,
    in_flight: AtomicUsize,
    events: mpsc::UnboundedSender<BackendEvent>,
}

/// Counts as a call until it is dropped.
struct Working(Arc<State>);

impl Drop for Working {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Fake {
    pub(crate) fn new(
        (name, namespace, priority): (&'static str, &str, u32),
        tools: BTreeSet<u8>,
    ) -> (Self, Backend) {
        let (events, mut receiver) = mpsc::unbounded_channel();
        let fake = Self(Arc::new(State {
            name,
            tools: Mutex::new(tools),
            sick: Mutex::default(),
            hangs: Mutex::default(),
            in_flight: AtomicUsize::new(0),
            events,
        }));
        let stream = futures::stream::poll_fn(move |cx| receiver.poll_recv(cx)).boxed();
        let backend = Backend::new(name.parse().expect("a name"), fake.clone())
            .namespace(namespace.parse().expect("a name"))
            .priority(priority)
            .events(stream);
        (fake, backend)
    }

    pub(crate) fn set(&self, tools: BTreeSet<u8>) {
        *self.0.tools.lock().expect("nobody panics here") = tools;
    }

    pub(crate) fn sicken(&self, sick: bool) {
        *self.0.sick.lock().expect("nobody panics here") = sick;
    }

    pub(crate) fn hang(&self, hang: bool) {
        *self.0.hangs.lock().expect("nobody panics here") = hang;
    }

    pub(crate) fn in_flight(&self) -> usize {
        self.0.in_flight.load(Ordering::Relaxed)
    }

    pub(crate) fn connect(&self) {
        let capabilities = RawJson::from_static(r#"{"tools":{"listChanged":true}}"#);
        self.tell(BackendEvent::Connected(BackendInfo {
            capabilities: Some(capabilities),
            ..BackendInfo::default()
        }));
    }

    pub(crate) fn lose(&self) {
        self.tell(BackendEvent::Lost {
            error: CallError::new(Reason::ConnectFailed, Sent::No),
            retry_in: Duration::from_secs(1),
        });
    }

    /// Says that its tools have changed, if there is a connection to say it over.
    pub(crate) fn changed(&self, connected: bool) {
        if connected {
            self.tell(BackendEvent::Changed(ItemKind::Tool));
        }
    }

    fn tell(&self, event: BackendEvent) {
        self.0.events.send(event).expect("its supervisor lives");
    }

    fn list(&self) -> Result<McpResponse, CallError> {
        if *self.0.sick.lock().expect("nobody panics here") {
            return Err(CallError::new(Reason::BackendLost, Sent::Unknown));
        }
        let tools = self.0.tools.lock().expect("nobody panics here");
        let tools: Vec<_> = tools.iter().map(|t| json!({ "name": tool(*t) })).collect();
        Ok(McpResponse::complete(RawJson::of(
            &json!({ "tools": tools }),
        )))
    }
}

impl Service<McpRequest> for Fake {
    type Response = McpResponse;
    type Error = CallError;
    type Future = BoxFuture<'static, Result<McpResponse, CallError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), CallError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: McpRequest) -> Self::Future {
        let fake = self.clone();
        Box::pin(async move {
            if request.method == Method::ToolsList {
                return fake.list();
            }
            fake.0.in_flight.fetch_add(1, Ordering::Relaxed);
            let _working = Working(fake.0.clone());
            if *fake.0.hangs.lock().expect("nobody panics here") {
                pending::<()>().await;
            }
            let result = json!({ "content": [], "by": fake.0.name });
            Ok(McpResponse::complete(RawJson::of(&result)))
        })
    }
}
