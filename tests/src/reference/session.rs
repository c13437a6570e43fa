//! A legacy client: what it said at `initialize`, what it was asked, and its streams to come back to.

use std::collections::{HashMap, HashSet};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use serde_json::{Value, json};
use tokio::sync::{mpsc, oneshot};
use tokio::task::AbortHandle;

use super::events::Out;
use super::server::{lock, unguessable};

/// The levels of the log, least severe first.
pub(super) const LEVELS: [&str; 8] = [
    "debug",
    "info",
    "notice",
    "warning",
    "error",
    "critical",
    "alert",
    "emergency",
];

/// Where a level stands.
pub(super) fn severity(level: &str) -> Option<usize> {
    LEVELS.iter().position(|known| *known == level)
}

/// One legacy session, whatever carries it.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) id: String,
    opened: Mutex<Opened>,
    next: AtomicU64,
    asked: Mutex<HashMap<String, oneshot::Sender<Value>>>,
    level: AtomicUsize,
    subscribed: Mutex<HashSet<String>>,
    paused: Mutex<HashMap<String, mpsc::UnboundedReceiver<Out>>>,
    pub(super) running: Running,
}

#[derive(Clone, Debug)]
struct Opened {
    revision: String,
    capabilities: Value,
}

impl Session {
    pub(super) fn new() -> Self {
        Self {
            id: unguessable(),
            opened: Mutex::new(Opened {
                revision: String::new(),
                capabilities: json!({}),
            }),
            next: AtomicU64::new(1),
            asked: Mutex::default(),
            level: AtomicUsize::new(0),
            subscribed: Mutex::default(),
            paused: Mutex::default(),
            running: Running::default(),
        }
    }

    pub(super) fn open(&self, revision: &str, capabilities: Value) {
        *lock(&self.opened) = Opened {
            revision: revision.to_owned(),
            capabilities,
        };
    }

    pub(super) fn revision(&self) -> String {
        lock(&self.opened).revision.clone()
    }

    pub(super) fn capabilities(&self) -> Value {
        lock(&self.opened).capabilities.clone()
    }

    pub(super) fn set_level(&self, level: usize) {
        self.level.store(level, Ordering::Relaxed);
    }

    pub(super) fn level(&self) -> usize {
        self.level.load(Ordering::Relaxed)
    }

    pub(super) fn subscribe(&self, uri: &str) {
        lock(&self.subscribed).insert(uri.to_owned());
    }

    pub(super) fn unsubscribe(&self, uri: &str) {
        lock(&self.subscribed).remove(uri);
    }

    pub(super) fn is_subscribed(&self, uri: &str) -> bool {
        lock(&self.subscribed).contains(uri)
    }

    /// A request to the client, and where its answer will arrive.
    pub(super) fn ask(&self, method: &str, params: &Value) -> (Value, oneshot::Receiver<Value>) {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let (answer, answered) = oneshot::channel();
        lock(&self.asked).insert(id.to_string(), answer);
        let request = json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params});
        (request, answered)
    }

    /// Takes the client's answer to an earlier request.
    pub(super) fn answered(&self, response: Value) {
        let id = response["id"].to_string();
        if let Some(waiting) = lock(&self.asked).remove(&id) {
            // Who asked may have been cancelled meanwhile.
            let _ = waiting.send(response);
        }
    }

    /// Keeps the rest of a stream for who comes back for it.
    pub(super) fn pause(&self, stream: String, rest: mpsc::UnboundedReceiver<Out>) {
        lock(&self.paused).insert(stream, rest);
    }

    pub(super) fn resume(&self, stream: &str) -> Option<mpsc::UnboundedReceiver<Out>> {
        lock(&self.paused).remove(stream)
    }
}

/// The calls that can be cancelled.
#[derive(Debug, Default)]
pub(super) struct Running(Mutex<HashMap<String, AbortHandle>>);

impl Running {
    pub(super) fn note(&self, id: &Value, task: AbortHandle) {
        let mut running = lock(&self.0);
        running.retain(|_, task| !task.is_finished());
        running.insert(id.to_string(), task);
    }

    pub(super) fn cancel(&self, id: &Value) {
        if let Some(task) = lock(&self.0).remove(&id.to_string()) {
            task.abort();
        }
    }
}
