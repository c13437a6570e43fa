//! What all connections share.

use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::{Map, Value};
use tokio::sync::broadcast;

use super::tasks::Tasks;

/// How many unanswered `requestState`s are remembered; the oldest goes first.
const STATES: usize = 1024;
/// How many changes a slow listener may lag behind.
const CHANGES: usize = 64;
/// How long a legacy client may take to answer a request.
pub(super) const ANSWER: Duration = Duration::from_secs(60);

/// Which revisions the server speaks.
#[derive(Clone, Copy, Debug, Eq, PartialEq, clap::ValueEnum)]
pub(super) enum Era {
    /// All of them
    Both,
    /// Those before 2026-07-28
    Legacy,
    /// 2026-07-28 alone
    Modern,
}

impl Era {
    pub(super) fn has_legacy(self) -> bool {
        self != Self::Modern
    }

    pub(super) fn has_modern(self) -> bool {
        self != Self::Legacy
    }
}

/// What happened to the catalogue or to a resource.
#[derive(Clone, Debug)]
pub(super) enum Change {
    Tools,
    Prompts,
    Updated(&'static str),
}

#[derive(Debug)]
pub(super) struct Server {
    pub(super) era: Era,
    pub(super) changes: broadcast::Sender<Change>,
    /// Whether the tool, and the prompt, that come and go are there.
    extra_tool: AtomicBool,
    extra_prompt: AtomicBool,
    states: Mutex<States>,
    pub(super) tasks: Tasks,
}

/// The answers given so far, by the `requestState` that stands for them.
#[derive(Debug, Default)]
struct States {
    kept: HashMap<String, Map<String, Value>>,
    order: std::collections::VecDeque<String>,
}

impl Server {
    pub(super) fn new(era: Era) -> Self {
        Self {
            era,
            changes: broadcast::channel(CHANGES).0,
            extra_tool: AtomicBool::new(false),
            extra_prompt: AtomicBool::new(false),
            states: Mutex::default(),
            tasks: Tasks::default(),
        }
    }

    pub(super) fn has_extra_tool(&self) -> bool {
        self.extra_tool.load(Ordering::Relaxed)
    }

    pub(super) fn has_extra_prompt(&self) -> bool {
        self.extra_prompt.load(Ordering::Relaxed)
    }

    /// Adds or removes the tool that comes and goes, and tells everybody.
    pub(super) fn change_tools(&self) {
        self.extra_tool.fetch_xor(true, Ordering::Relaxed);
        // Nobody may be listening.
        let _ = self.changes.send(Change::Tools);
    }

    /// Adds or removes the prompt that comes and goes, and tells everybody.
    pub(super) fn change_prompts(&self) {
        self.extra_prompt.fetch_xor(true, Ordering::Relaxed);
        let _ = self.changes.send(Change::Prompts);
    }

    /// Tells everybody who subscribed that a resource changed.
    pub(super) fn update(&self, uri: &'static str) {
        let _ = self.changes.send(Change::Updated(uri));
    }

    /// A new unguessable token that stands for these answers: nothing else opens them, so a token that
    /// was tampered with is one that was never given out.
    pub(super) fn keep(&self, answers: Map<String, Value>) -> String {
        let token = unguessable();
        let mut states = lock(&self.states);
        if states.order.len() >= STATES
            && let Some(oldest) = states.order.pop_front()
        {
            states.kept.remove(&oldest);
        }
        states.order.push_back(token.clone());
        states.kept.insert(token.clone(), answers);
        token
    }

    /// The answers behind a token.
    pub(super) fn kept(&self, token: &str) -> Option<Map<String, Value>> {
        lock(&self.states).kept.get(token).cloned()
    }
}

/// A token that nobody guesses, in visible ASCII.
pub(super) fn unguessable() -> String {
    format!("{:016x}{:016x}", fastrand::u64(..), fastrand::u64(..))
}

/// Locks what no panic can leave half done.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}
