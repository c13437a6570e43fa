//! What became of the attempts to reload.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use mcp_router_observe::utc;
use serde::Serialize;

/// How a reload went.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Reload {
    /// Something is different now.
    Applied,
    /// The file says what it said before.
    Unchanged,
    /// The file is wrong, and everything is as it was.
    Refused,
}

impl Reload {
    /// All of them.
    pub(crate) const ALL: [Self; 3] = [Self::Applied, Self::Unchanged, Self::Refused];

    /// The word for it in metrics and logs.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Applied => "applied",
            Self::Unchanged => "unchanged",
            Self::Refused => "refused",
        }
    }
}

/// One reload. No secret is in it.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct ReloadReport {
    /// When it was over, in UTC.
    pub(crate) time: String,
    /// What asked for it: `file`, `signal` or `tool`.
    pub(crate) trigger: &'static str,
    /// How it went: one of the words of [`Reload`].
    pub(crate) outcome: &'static str,
    /// Backends that were not there before.
    pub(crate) added: Vec<String>,
    /// Backends that are gone.
    pub(crate) removed: Vec<String>,
    /// Backends that were replaced by others of their name.
    pub(crate) updated: Vec<String>,
    /// What is wrong with the file, each with its line.
    pub(crate) errors: Vec<String>,
    /// What else the operator should know: keys that only a restart applies.
    pub(crate) warnings: Vec<String>,
}

impl ReloadReport {
    /// Nothing has happened yet.
    pub(crate) fn new(trigger: &'static str) -> Self {
        Self {
            time: String::new(),
            trigger,
            outcome: Reload::Unchanged.as_str(),
            added: Vec::new(),
            removed: Vec::new(),
            updated: Vec::new(),
            errors: Vec::new(),
            warnings: Vec::new(),
        }
    }
}

/// The last reload, and how many went how. Clones are the same.
#[derive(Clone, Debug, Default)]
pub(crate) struct Reloads(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    last: Mutex<Option<Arc<ReloadReport>>>,
    counts: [AtomicU64; Reload::ALL.len()],
}

impl Reloads {
    /// The last one since the start, if there was any.
    pub(crate) fn last(&self) -> Option<Arc<ReloadReport>> {
        let last = self.0.last.lock().unwrap_or_else(PoisonError::into_inner);
        last.clone()
    }

    /// How many since the start went this way.
    pub(crate) fn count(&self, how: Reload) -> u64 {
        self.0.counts[how as usize].load(Ordering::Relaxed)
    }

    /// Takes one that is over.
    pub(crate) fn note(&self, how: Reload, mut report: ReloadReport) -> Arc<ReloadReport> {
        report.time = utc(SystemTime::now());
        report.outcome = how.as_str();
        let report = Arc::new(report);
        self.0.counts[how as usize].fetch_add(1, Ordering::Relaxed);
        let mut last = self.0.last.lock().unwrap_or_else(PoisonError::into_inner);
        *last = Some(report.clone());
        report
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_one_is_shown_and_all_are_counted() {
        let reloads = Reloads::default();
        assert!(reloads.last().is_none());
        reloads.note(Reload::Applied, ReloadReport::new("file"));
        reloads.note(Reload::Refused, ReloadReport::new("tool"));
        let last = reloads.last().unwrap();
        assert_eq!((last.trigger, last.outcome), ("tool", "refused"));
        assert!(last.time.ends_with('Z'), "{}", last.time);
        let counts = Reload::ALL.map(|how| reloads.count(how));
        assert_eq!(counts, [1, 0, 1]);
    }
}
