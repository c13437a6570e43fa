//! Changes, told to those who asked for them.

use serde_json::{Map, Value, json};
use tokio::sync::broadcast::{Receiver, error::RecvError};

use super::events::{Out, Outs, notification};
use super::server::{Change, Server};
use super::session::Session;

const TOOLS: &str = "toolsListChanged";
const PROMPTS: &str = "promptsListChanged";
const RESOURCES: &str = "resourcesListChanged";
const UPDATES: &str = "resourceSubscriptions";

impl Change {
    /// The notification that tells it, and its params.
    fn told(&self) -> (&'static str, Value) {
        match self {
            Self::Tools => ("notifications/tools/list_changed", json!({})),
            Self::Prompts => ("notifications/prompts/list_changed", json!({})),
            Self::Updated(uri) => ("notifications/resources/updated", json!({"uri": uri})),
        }
    }

    /// Whether a modern client asked for it.
    fn is_wanted(&self, honoured: &Map<String, Value>) -> bool {
        let asked = |key| honoured.get(key);
        match self {
            Self::Tools => asked(TOOLS).is_some(),
            Self::Prompts => asked(PROMPTS).is_some(),
            Self::Updated(uri) => asked(UPDATES)
                .and_then(Value::as_array)
                .is_some_and(|uris| uris.iter().any(|wanted| wanted == uri)),
        }
    }
}

/// A listen stream of the modern era: acknowledged first, then what was asked for, until the client goes.
pub(super) async fn until_gone(server: &Server, id: &Value, asked: &Value, out: &Outs) {
    let mut changes = server.changes.subscribe();
    let tag = json!({"io.modelcontextprotocol/subscriptionId": id});
    let honoured = honoured(asked);
    let acknowledged = json!({"notifications": honoured, "_meta": tag});
    let first = notification("notifications/subscriptions/acknowledged", acknowledged);
    if out.send(Out::Message(first)).is_err() {
        return;
    }
    while let Some(change) = next(&mut changes, out).await {
        if change.is_wanted(&honoured) {
            let (method, mut params) = change.told();
            params["_meta"] = tag.clone();
            let _ = out.send(Out::Message(notification(method, params)));
        }
    }
}

fn honoured(asked: &Value) -> Map<String, Value> {
    let wants = |value: &Value| value == true || value.is_array();
    asked
        .as_object()
        .into_iter()
        .flatten()
        .filter(|(key, value)| {
            [TOOLS, PROMPTS, RESOURCES, UPDATES].contains(&key.as_str()) && wants(value)
        })
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect()
}

/// All changes of lists, and those of the resources that it subscribed to, to a legacy client until it goes.
pub(super) async fn tell_all(server: &Server, session: &Session, out: &Outs) {
    let mut changes = server.changes.subscribe();
    while let Some(change) = next(&mut changes, out).await {
        let wanted = match &change {
            Change::Updated(uri) => session.is_subscribed(uri),
            Change::Tools | Change::Prompts => true,
        };
        if wanted {
            let (method, params) = change.told();
            let _ = out.send(Out::Message(notification(method, params)));
        }
    }
}

/// The next change, while there is a client to be told.
async fn next(changes: &mut Receiver<Change>, out: &Outs) -> Option<Change> {
    loop {
        let change = tokio::select! {
            change = changes.recv() => change,
            () = out.closed() => return None,
        };
        match change {
            Ok(change) => return Some(change),
            // Only a test that changes things hundreds of times a second gets here.
            Err(RecvError::Lagged(_)) => {}
            Err(RecvError::Closed) => return None,
        }
    }
}
