//! `subscriptions/listen`: news about the merged lists, as a stream.
//!
//! A listener remembers which version of each list it told of; what changes meanwhile changes the
//! versions, not a queue. So a slow client costs nothing and misses nothing.

use std::sync::Arc;
use std::time::Duration;

use futures::stream;
use mcp_router_protocol::{Method, RawJson, RawParams};
use mcp_router_service::{CallError, Event, McpResponse, Outcome, ResponseStream};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::hub::{Changes, Hub};

/// How long changes are gathered before a client hears of them.
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
    pending: Vec<Method>,
    draining: CancellationToken,
    stage: Stage,
}

enum Stage {
    /// The acknowledgement comes first (R23).
    Acknowledge,
    Listening,
    Ended,
}

/// Opens a stream: acknowledgement, then list changes of the kinds asked for. What the router
/// cannot tell of (resource subscriptions) is left out of the acknowledgement.
pub(super) fn listen(hub: &Arc<Hub>, params: &RawParams) -> McpResponse {
    let filter = params.get("notifications");
    let wants = |member: &str| {
        filter
            .as_ref()
            .and_then(|f| f.get(member))
            .is_some_and(|v| v.as_str() == "true")
    };
    let mut changes = hub.changes.subscribe();
    let told = *changes.borrow_and_update();
    let listener = Listener {
        told,
        changes,
        wanted: KINDS.map(|(member, _)| wants(member)),
        pending: Vec::new(),
        draining: hub.draining.clone(),
        stage: Stage::Acknowledge,
    };
    McpResponse::Stream(ResponseStream::new(stream::unfold(
        listener,
        Listener::next,
    )))
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
        while self.pending.is_empty() {
            let draining = self.draining.clone();
            tokio::select! {
                () = draining.cancelled() => return Some(self.end()),
                changed = self.changes.changed() => if changed.is_err() {
                    return Some(self.end());
                },
            }
            tokio::select! {
                () = draining.cancelled() => return Some(self.end()),
                () = tokio::time::sleep(COALESCE) => self.collect(),
            }
        }
        let method = self.pending.remove(0);
        Some((Ok(notification(method, RawParams::default())), self))
    }

    fn collect(&mut self) {
        let now = *self.changes.borrow_and_update();
        for (at, (_, method)) in KINDS.iter().enumerate() {
            if self.wanted[at] && now[at] != self.told[at] {
                self.pending.push(method.clone());
            }
        }
        self.told = now;
    }

    fn acknowledged(&self) -> RawParams {
        let honoured: Vec<_> = KINDS
            .iter()
            .zip(self.wanted)
            .filter(|(_, wanted)| *wanted)
            .map(|((member, _), _)| format!("\"{member}\":true"))
            .collect();
        let text = format!("{{\"notifications\":{{{}}}}}", honoured.join(","));
        RawParams::parse(Some(text.into())).unwrap_or_default()
    }

    fn end(mut self) -> (Result<Event, CallError>, Self) {
        self.stage = Stage::Ended;
        let result = RawJson::from_static(r#"{"resultType":"complete"}"#);
        (Ok(Event::Outcome(Outcome::Complete(result))), self)
    }
}

fn notification(method: Method, params: RawParams) -> Event {
    Event::Notification { method, params }
}
