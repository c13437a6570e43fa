//! What must be remembered to judge a message: the revision agreed on, and what was asked.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, MutexGuard};

use serde_json::Value;

use super::{Sender, check, enabled};
use crate::fixture::MODERN;

/// The version key of a stateless request.
const VERSION: &str = "io.modelcontextprotocol/protocolVersion";

/// What the router offers by itself, and so what it speaks where nothing was agreed on.
const NEWEST_LEGACY: &str = "2025-11-25";

/// A message of the router, judged.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Verdict {
    /// The revision that it was sent in.
    pub revision: String,
    /// What is wrong with it.
    pub wrong: Option<String>,
}

/// One talk of a peer with the router: a session, a pipe, or a stateless request.
#[derive(Debug, Default)]
pub struct Conversation {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    revision: Option<String>,
    /// The router itself asked in the stateless way, as it does a server of whom it knows nothing.
    asks_stateless: bool,
    /// Method and statelessness of the peer's requests, by id as JSON text.
    asked: HashMap<String, (String, bool)>,
}

/// Sessions, by id or by the URL that their client posts to.
static OPEN: LazyLock<Mutex<HashMap<String, Arc<Conversation>>>> = LazyLock::new(Mutex::default);

impl Conversation {
    /// The conversation of which `key` is the session's id or URL; a new one if there is none.
    ///
    /// # Panics
    /// Never in practice: only if another check panicked in the middle of its bookkeeping.
    #[must_use]
    pub fn at(key: &str) -> Arc<Self> {
        let mut open = OPEN.lock().expect("no panic while looking up");
        Arc::clone(open.entry(key.to_owned()).or_default())
    }

    /// Makes it known by `key`, unless another one is already.
    ///
    /// # Panics
    /// As [`Conversation::at`].
    pub fn known_as(self: &Arc<Self>, key: &str) {
        let mut open = OPEN.lock().expect("no panic while looking up");
        open.entry(key.to_owned()).or_insert_with(|| self.clone());
    }

    /// A stateless request.
    #[must_use]
    pub fn stateless() -> Arc<Self> {
        Self::speaking(MODERN)
    }

    /// One in which this revision is spoken.
    #[must_use]
    pub fn speaking(revision: &str) -> Arc<Self> {
        let inner = Inner {
            revision: Some(revision.to_owned()),
            ..Inner::default()
        };
        let inner = Mutex::new(inner);
        Arc::new(Self { inner })
    }

    /// The peer sends this; what is no JSON is nobody's question.
    pub fn sent(&self, body: &[u8]) {
        if !enabled() {
            return;
        }
        let Ok(message) = serde_json::from_slice::<Value>(body) else {
            return;
        };
        let mut inner = self.lock();
        for message in messages(&message) {
            if let (Some(method), Some(id)) = (message["method"].as_str(), message.get("id")) {
                let asked = (method.to_owned(), is_stateless(message));
                inner.asked.insert(id.to_string(), asked);
            } else if let Some(agreed) = message["result"]["protocolVersion"].as_str() {
                // A server's answer to `initialize`: no other answer has this member.
                inner.revision = Some(agreed.to_owned());
            }
        }
    }

    /// The client gets this from the router.
    ///
    /// # Panics
    /// If it does not fit the schema of the revision spoken.
    pub fn received(&self, message: &Value) {
        if !enabled() {
            return;
        }
        for verdict in self.judge(Sender::Server, message) {
            if let Some(wrong) = verdict.wrong {
                panic!("the router sent what is {wrong}");
            }
        }
    }

    /// Judges one message, or each of an array, that the router sends here as `sender`.
    ///
    /// # Panics
    /// As [`Conversation::at`].
    pub fn judge(&self, sender: Sender, message: &Value) -> Vec<Verdict> {
        let is_array = message.is_array();
        let one = |message: &Value| {
            let revision = match sender {
                Sender::Client => self.towards_server(message),
                Sender::Server => self.revision(message),
            };
            let asked = |id: &Value| {
                let asked = self.lock().asked.get(&id.to_string()).cloned();
                asked.map(|(method, _)| method)
            };
            let array = is_array && revision != "2025-03-26";
            let wrong = match array {
                true => Some(format!("not valid in {revision}: an array of messages")),
                false => check(&revision, sender, message, asked).err(),
            };
            Verdict { revision, wrong }
        };
        messages(message).iter().map(one).collect()
    }

    /// The revision that the router, as a client, sends `message` in.
    fn towards_server(&self, message: &Value) -> String {
        let mut inner = self.lock();
        if is_stateless(message) {
            inner.asks_stateless = true;
            return MODERN.to_owned();
        }
        if message["method"] == "initialize" {
            let offered = message["params"]["protocolVersion"].as_str();
            return offered.unwrap_or_default().to_owned();
        }
        let fallback = match inner.asks_stateless {
            true => MODERN,
            false => NEWEST_LEGACY,
        };
        inner
            .revision
            .clone()
            .unwrap_or_else(|| fallback.to_owned())
    }

    /// The revision that `message` is sent in, noted if that is what it is about.
    fn revision(&self, message: &Value) -> String {
        let mut inner = self.lock();
        let asked = inner.asked.get(&message["id"].to_string()).cloned();
        let response = message.get("method").is_none();
        if let (true, Some((method, stateless))) = (response, asked) {
            if stateless {
                return MODERN.to_owned();
            }
            let agreed = message["result"]["protocolVersion"].as_str();
            if let (Some(agreed), "initialize") = (agreed, &*method) {
                inner.revision = Some(agreed.to_owned());
            }
        }
        let tagged = &message["params"]["_meta"]["io.modelcontextprotocol/subscriptionId"];
        if !tagged.is_null() {
            return MODERN.to_owned();
        }
        let fallback = || {
            let only_stateless = inner.asked.values().all(|(_, stateless)| *stateless);
            let name = if only_stateless && !inner.asked.is_empty() {
                MODERN
            } else {
                NEWEST_LEGACY
            };
            name.to_owned()
        };
        inner.revision.clone().unwrap_or_else(fallback)
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().expect("no panic while noting")
    }
}

/// Whether a message says that it is of the stateless revision (or a later one).
#[must_use]
pub(crate) fn is_stateless(message: &Value) -> bool {
    message["params"]["_meta"][VERSION].is_string()
}

/// The messages of an array, or the one.
fn messages(message: &Value) -> &[Value] {
    match message.as_array() {
        Some(batch) => batch,
        None => std::slice::from_ref(message),
    }
}
