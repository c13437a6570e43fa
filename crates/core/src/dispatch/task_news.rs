//! News of tasks: `taskIds` in the filter of a listen stream.
//!
//! A task is its caller's alone. So nothing is shared as it is for resources: each listen stream
//! of a client has one of its own at every backend whose tasks it names, under its own
//! capabilities. What comes there is the whole state of a task; where a stream was lost, the states
//! are asked for once there is another, and nothing is missed.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use futures::future::join_all;
use futures::stream::{self, BoxStream, SelectAll};
use mcp_router_health::{Backoff, BackoffParams};
use mcp_router_observe::dropped::{self, Reason as Dropped};
use mcp_router_protocol::params::meta;
use mcp_router_protocol::{ErrorObject, Method, RawJson, RawParams, code};
use mcp_router_service::{
    CallError, Event, McpRequest, McpResponse, Outcome, Pin, Reason, RepeatAfter, RequestContext,
    ResponseStream, Sent,
};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::failover::send_to;
use super::subscribe::{WATCHED, WORD};
use super::tasks::{self, TASK_ID};
use super::uris::Uris;
use crate::backend::Cell;
use crate::hub::Hub;
use crate::subscriptions::{Answered, upstream};

/// The member of the filter.
pub(super) const TASK_IDS: &str = "taskIds";
/// How the names of news begin.
const NEWS: &str = "notifications/tasks";
/// The first wait before a stream is opened again, and the longest.
const FIRST: Duration = Duration::from_millis(500);
const LONGEST: Duration = Duration::from_secs(30);

/// News of the tasks that one listen stream names.
#[derive(Default)]
pub(super) struct TaskNews {
    homes: SelectAll<BoxStream<'static, (Method, RawParams)>>,
    /// Those that their backends tell of, as the client spells them.
    honoured: Vec<String>,
}

/// The tasks of one listen stream at one endpoint of a backend.
struct Home {
    hub: Arc<Hub>,
    /// What the client may, and where the tasks are.
    context: RequestContext,
    pin: Pin,
    /// The client's spellings of tasks that can still change, by the backend's own.
    ids: BTreeMap<String, Vec<String>>,
    open: Option<(ResponseStream, CancellationToken)>,
    waiting: VecDeque<(Method, RawParams)>,
    backoff: Backoff,
    rng: fastrand::Rng,
}

impl TaskNews {
    /// Begins to listen for the tasks that the client calls `asked`.
    ///
    /// # Errors
    /// What the client gets, if one of them is not its own, or its backend does not know it.
    pub(super) async fn open(
        hub: &Arc<Hub>,
        request: &McpRequest,
        mut asked: Vec<String>,
    ) -> Result<Self, ErrorObject> {
        asked.sort_unstable();
        asked.dedup();
        // What is beyond the bound is not acknowledged.
        asked.truncate(WATCHED);
        let mut homes: BTreeMap<(String, Arc<str>), Home> = BTreeMap::new();
        for asked in asked {
            let found = tasks::open(hub, &request.context.principal, &asked);
            let (pin, own) = found.ok_or_else(tasks::unknown)?;
            tasks::owner(hub, &pin).ok_or_else(tasks::unknown)?;
            let key = (pin.backend.to_string(), pin.endpoint.clone());
            let home = homes
                .entry(key)
                .or_insert_with(|| Home::new(hub, request, pin));
            home.ids.entry(own).or_default().push(asked);
        }
        let opening = homes.into_values().map(|mut home| async move {
            // Who takes longer is not promised anything: the client asks for the state instead.
            match timeout(WORD, home.open()).await {
                Ok(Ok(None)) => Ok(Some(home)),
                Ok(Ok(Some(refusal))) if refusal.code() == code::INVALID_PARAMS => Err(refusal),
                _ => Ok(None),
            }
        });
        let mut news = Self::default();
        for home in join_all(opening).await {
            let Some(home) = home.map_err(|_| tasks::unknown())? else {
                dropped::count(Dropped::TaskNewsRefused);
                continue;
            };
            news.honoured.extend(home.ids.values().flatten().cloned());
            news.homes.push(stream::unfold(home, Home::next).boxed());
        }
        news.honoured.sort_unstable();
        Ok(news)
    }

    /// Those of the tasks that the client is told of.
    pub(super) fn honoured(&self) -> &[String] {
        &self.honoured
    }

    /// The next news. Waits for ever if there can be none. Safe to drop.
    pub(super) async fn next(&mut self) -> (Method, RawParams) {
        match self.homes.next().await {
            Some(news) => news,
            None => std::future::pending().await,
        }
    }
}

impl Home {
    fn new(hub: &Arc<Hub>, request: &McpRequest, pin: Pin) -> Self {
        let backoff = BackoffParams::RECONNECT.capped(LONGEST).starting(FIRST);
        Self {
            hub: hub.clone(),
            context: RequestContext {
                principal: request.context.principal.clone(),
                client: request.context.client.clone(),
                pin: Some(pin.clone()),
                ..RequestContext::default()
            },
            pin,
            ids: BTreeMap::new(),
            open: None,
            waiting: VecDeque::new(),
            backoff: Backoff::new(backoff),
            rng: fastrand::Rng::new(),
        }
    }

    /// The next news; `None` when no task here can change any more.
    async fn next(mut self) -> Option<((Method, RawParams), Self)> {
        loop {
            if let Some(news) = self.waiting.pop_front() {
                return Some((news, self));
            }
            if self.ids.is_empty() {
                return None;
            }
            let Some((stream, stop)) = &mut self.open else {
                sleep(self.backoff.next(&mut self.rng)).await;
                if self.reopen().await {
                    continue;
                }
                return None;
            };
            let event = tokio::select! {
                biased;
                event = stream.next() => event,
                // The backend is removed, or another one stands in its place.
                () = stop.cancelled() => None,
            };
            match event {
                Some(Ok(Event::Notification { method, params })) => self.tell(method, &params),
                Some(Ok(Event::ServerRequest(request))) => {
                    dropped::count_of(Dropped::BackendRequestForbidden, &request.method);
                    request.refuse();
                }
                Some(Ok(Event::Outcome(_)) | Err(_)) | None => self.open = None,
            }
        }
    }

    /// Opens the stream; the backend's refusal, if it does not want to.
    async fn open(&mut self) -> Result<Option<ErrorObject>, CallError> {
        let cell = self.owner()?;
        let sources = cell.sources.as_ref();
        let gone = || CallError::new(Reason::NoBackend, Sent::No);
        let service = sources.ok_or_else(gone)?.at(&self.pin.endpoint);
        let stop = cell.stop.clone();
        // Not held while the stream is: a backend that is removed must be able to end.
        drop(cell);
        let ids: Vec<&str> = self.ids.keys().map(String::as_str).collect();
        let filter = serde_json::json!({ "notifications": { TASK_IDS: ids } });
        let (params, context) = (RawParams::of(&filter), self.context.clone());
        match upstream::open(service, params, TASK_IDS, context).await? {
            Answered::Open(stream, honoured) => {
                if let Some(honoured) = honoured {
                    self.ids.retain(|own, _| honoured.contains(own));
                }
                self.open = Some((stream, stop));
                self.backoff.reset();
                Ok(None)
            }
            Answered::No(refusal) => Ok(Some(refusal)),
        }
    }

    /// Opens the stream again and asks what was missed; false if there is nothing to hope for.
    async fn reopen(&mut self) -> bool {
        let backend = self.pin.backend.clone();
        match self.open().await {
            Ok(None) => {
                self.catch_up().await;
                true
            }
            Ok(Some(refusal)) => {
                tracing::debug!(%backend, code = refusal.code(), "no more news of tasks");
                dropped::count(Dropped::TaskNewsRefused);
                false
            }
            Err(error) => {
                tracing::debug!(%backend, %error, "no news of tasks for now");
                let there = tasks::owner(&self.hub, &self.pin).is_some();
                if !there {
                    dropped::count(Dropped::TaskNewsRefused);
                }
                there
            }
        }
    }

    /// Asks for the states of all tasks.
    async fn catch_up(&mut self) {
        let Ok(cell) = self.owner() else {
            return;
        };
        let all: Vec<String> = self.ids.keys().cloned().collect();
        for own in all {
            match state(&cell, self.context.clone(), &own).await {
                Ok(state) => self.tell(Method::from(NEWS), &state),
                Err(error) => {
                    tracing::debug!(backend = %self.pin.backend, %error, "state of a task unknown");
                }
            }
        }
    }

    /// Queues what a backend says of a task, once for each id that the client has of it.
    fn tell(&mut self, method: Method, params: &RawParams) {
        let own = params.get(TASK_ID).and_then(|id| id.read_owned().ok());
        let own: String = own.unwrap_or_default();
        let Some(asked) = self
            .ids
            .get(&own)
            .filter(|_| method.as_str().starts_with(NEWS))
        else {
            return dropped::count_of(Dropped::BackendNotificationUnwanted, &method);
        };
        let result = params.get("result").map(|result| self.shown(&result));
        for asked in asked {
            let id = RawJson::of(asked);
            let result = result.as_ref().map(|r| ("result", Some(&r.bytes()[..])));
            let changes: Vec<_> = [(TASK_ID, Some(&id.bytes()[..]))]
                .into_iter()
                .chain(result)
                .collect();
            match params.with_members(&changes) {
                Ok(params) => self.waiting.push_back((method.clone(), params)),
                Err(_) => dropped::count_of(Dropped::BackendNotificationUnwanted, &method),
            }
        }
        if is_final(params) {
            self.ids.remove(&own);
        }
    }

    /// A task's result with its resources as this client knows them.
    fn shown(&self, result: &RawJson) -> RawJson {
        let Ok(cell) = self.owner() else {
            return result.clone();
        };
        let prefixed = self.hub.snapshot.load().prefixed;
        Uris::new(&self.hub, prefixed, &cell, &self.context.principal).rewrite(result)
    }

    fn owner(&self) -> Result<Arc<Cell>, CallError> {
        let gone = || CallError::new(Reason::NoBackend, Sent::No);
        tasks::owner(&self.hub, &self.pin).ok_or_else(gone)
    }
}

/// What `tasks/get` says, as news.
async fn state(
    cell: &Arc<Cell>,
    context: RequestContext,
    own: &str,
) -> Result<RawParams, CallError> {
    let params = RawParams::of(&serde_json::json!({ TASK_ID: own }));
    let mut request = McpRequest::new(Method::from("tasks/get"), params);
    request.context = context.into();
    request.context.repeat.after = RepeatAfter::Failed;
    let wrong = |text: &'static str| {
        let error = CallError::new(Reason::ProtocolError, Sent::Unknown);
        error.detail(text)
    };
    let state = match send_to(cell, request).await? {
        McpResponse::Ready(Outcome::Complete(state)) => state,
        _ => return Err(wrong("no state of a task")),
    };
    let params = RawParams::parse(Some(state.into_bytes()));
    let params = params.map_err(|_| wrong("a task is no object"))?;
    let own = meta::HOP.map(|key| (key, None));
    let params = match params.meta() {
        Some(_) => params.with_meta(&own),
        None => Ok(params),
    };
    let plain = params.and_then(|p| p.with_members(&[("resultType", None)]));
    plain.map_err(|e| wrong("a task is no object").because(e))
}

/// Whether a task that is in this state stays in it.
fn is_final(state: &RawParams) -> bool {
    let status = state.get("status");
    status.is_some_and(|s| {
        matches!(
            s.as_str(),
            r#""completed""# | r#""failed""# | r#""cancelled""#
        )
    })
}
