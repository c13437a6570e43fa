//! `subscriptions/listen`: news about the merged lists and about resources, as a stream.
//!
//! A listener remembers which version of each list it told of; what changes meanwhile changes the
//! versions, not a queue. Updates of resources wait in a [mailbox](Mailbox), one for each. So a
//! slow client costs little and misses nothing. News of [tasks](TaskNews) are its own.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use futures::stream;
use mcp_router_protocol::{ErrorObject, Method, RawJson, RawParams, code};
use mcp_router_service::{
    CallError, Event, McpRequest, McpResponse, Outcome, ResponseStream, Session,
};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::subscribe::{self, SessionWatches, WATCHED};
use super::task_news::{TASK_IDS, TaskNews};
use super::{invalid_params, tasks};
use crate::hub::{Changes, Hub};
use crate::subscriptions::{Mailbox, Watch};

/// How long changes of lists are gathered before a client hears of them.
const COALESCE: Duration = Duration::from_millis(250);

/// The members of the filter, in the order of [`Changes`], with their notifications.
const KINDS: [(&str, Method); 3] = [
    ("toolsListChanged", Method::ToolsChanged),
    ("promptsListChanged", Method::PromptsChanged),
    ("resourcesListChanged", Method::ResourcesChanged),
];

struct Listener {
    changes: watch::Receiver<Changes>,
    told: Changes,
    wanted: [bool; 3],
    /// When gathered changes are told.
    due: Option<Instant>,
    mailbox: Arc<Mailbox>,
    /// The resources that the filter names, as the client spells them. Watched for as long as the
    /// stream is there.
    watches: Vec<(String, Watch)>,
    /// The tasks that it names.
    tasks: TaskNews,
    pending: VecDeque<Method>,
    draining: CancellationToken,
    stage: Stage,
}

enum Stage {
    /// The acknowledgement comes first (R23).
    Acknowledge,
    Listening,
    Ended,
}

/// Opens a stream: acknowledgement, then list changes of the kinds asked for and updates of the
/// resources asked for. In a legacy session it brings what the session subscribes to later, too.
pub(super) async fn listen(hub: &Arc<Hub>, request: &McpRequest) -> McpResponse {
    let filter = request.params.get("notifications");
    let member = |name: &str| filter.as_ref().and_then(|filter| filter.get(name));
    let wants = |name: &str| member(name).is_some_and(|value| value.as_str() == "true");
    let uris: Vec<String> = match member("resourceSubscriptions").map(|uris| uris.read_owned()) {
        None => Vec::new(),
        Some(Ok(uris)) => uris,
        Some(Err(_)) => return invalid_params("resourceSubscriptions must be an array of strings"),
    };
    let tasks = match tasks(hub, request, member(TASK_IDS)).await {
        Ok(tasks) => tasks,
        Err(error) => return McpResponse::error(error),
    };
    let mut changes = hub.changes.subscribe();
    let mut told = *changes.borrow_and_update();
    // Who listened elsewhere before may have missed any change.
    let resumes = request.context.session.as_ref();
    let resumes = resumes.is_some_and(Session::is_revived);
    let due = resumes.then(|| Instant::now() + COALESCE);
    if resumes {
        told = Changes::default();
    }
    let mailbox = match &request.context.session {
        Some(session) => {
            let mailbox = SessionWatches::of(session).mailbox.clone();
            hub.readers.enter(&request.context.principal, &mailbox);
            mailbox
        }
        None => Arc::default(),
    };
    let listener = Listener {
        told,
        changes,
        wanted: KINDS.map(|(name, _)| wants(name)),
        due,
        watches: watches(hub, uris, &mailbox).await,
        mailbox,
        tasks,
        pending: VecDeque::new(),
        draining: hub.draining.clone(),
        stage: Stage::Acknowledge,
    };
    McpResponse::Stream(ResponseStream::new(stream::unfold(
        listener,
        Listener::next,
    )))
}

/// The tasks that a modern client wants to hear of; others have none.
async fn tasks(
    hub: &Arc<Hub>,
    request: &McpRequest,
    ids: Option<RawJson>,
) -> Result<TaskNews, ErrorObject> {
    let client = &request.context.client;
    let Some(ids) = ids.filter(|_| client.takes_input_required) else {
        return Ok(TaskNews::default());
    };
    if !tasks::declares(client) {
        return Err(tasks::undeclared());
    }
    let Ok(ids) = ids.read_owned::<Vec<String>>() else {
        let text = "taskIds must be an array of strings";
        return Err(ErrorObject::new(code::INVALID_PARAMS, text));
    };
    TaskNews::open(hub, request, ids).await
}

async fn watches(hub: &Hub, mut uris: Vec<String>, mailbox: &Arc<Mailbox>) -> Vec<(String, Watch)> {
    if uris.is_empty() {
        return Vec::new();
    }
    hub.ready().await;
    let snapshot = hub.snapshot.load_full();
    uris.sort_unstable();
    uris.dedup();
    // What is beyond the bound is not acknowledged.
    let begun = uris.iter().take(WATCHED);
    let begun = begun.filter_map(|asked| subscribe::begin(&snapshot, asked, mailbox));
    subscribe::honoured(begun.collect()).await
}

impl Listener {
    async fn next(mut self) -> Option<(Result<Event, CallError>, Self)> {
        match self.stage {
            Stage::Acknowledge => {
                self.stage = Stage::Listening;
                let event = notification(Method::SubscriptionsAcknowledged, self.acknowledged());
                return Some((Ok(event), self));
            }
            Stage::Listening => {}
            Stage::Ended => return None,
        }
        loop {
            if let Some(method) = self.pending.pop_front() {
                return Some((Ok(notification(method, RawParams::default())), self));
            }
            if let Some((method, params)) = self.mailbox.take() {
                return Some((Ok(notification(method, params)), self));
            }
            let due = async {
                match self.due {
                    Some(due) => sleep_until(due).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = self.draining.cancelled() => return Some(self.end()),
                changed = self.changes.changed(), if self.due.is_none() => match changed {
                    Ok(()) => self.due = Some(Instant::now() + COALESCE),
                    Err(_) => return Some(self.end()),
                },
                () = due => self.collect(),
                () = self.mailbox.news() => {}
                (method, params) = self.tasks.next() => {
                    return Some((Ok(notification(method, params)), self));
                }
            }
        }
    }

    fn collect(&mut self) {
        self.due = None;
        let now = *self.changes.borrow_and_update();
        for (at, (_, method)) in KINDS.iter().enumerate() {
            if self.wanted[at] && now[at] != self.told[at] {
                self.pending.push_back(method.clone());
            }
        }
        self.told = now;
    }

    /// What the client will hear of, and nothing else.
    fn acknowledged(&self) -> RawParams {
        let kinds = KINDS.iter().zip(self.wanted);
        let kinds = kinds.filter(|(_, wanted)| *wanted);
        let mut honoured: serde_json::Map<_, _> = kinds
            .map(|((member, _), _)| ((*member).to_owned(), true.into()))
            .collect();
        if !self.watches.is_empty() {
            let uris: Vec<_> = self.watches.iter().map(|(asked, _)| &**asked).collect();
            honoured.insert("resourceSubscriptions".to_owned(), uris.into());
        }
        if !self.tasks.honoured().is_empty() {
            honoured.insert(TASK_IDS.to_owned(), self.tasks.honoured().into());
        }
        RawParams::of(&serde_json::json!({ "notifications": honoured }))
    }

    fn end(mut self) -> (Result<Event, CallError>, Self) {
        self.stage = Stage::Ended;
        self.watches.clear();
        self.tasks = TaskNews::default();
        let result = RawJson::from_static(r#"{"resultType":"complete"}"#);
        (Ok(Event::Outcome(Outcome::Complete(result))), self)
    }
}

fn notification(method: Method, params: RawParams) -> Event {
    Event::Notification { method, params }
}
