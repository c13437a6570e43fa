//! What became of alerts, for the metrics.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Kinds of receivers, as the file spells them.
const KINDS: [&str; 3] = ["webhook", "slack", "pagerduty"];

/// What became of an alert, or of one attempt to tell it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Fate {
    /// It was told.
    Sent,
    /// An attempt failed; another follows.
    Retried,
    /// The receiver refused it for good.
    Failed,
    /// Too many were waiting.
    Dropped,
    /// The backend's state had changed twice before it could be told.
    Overtaken,
}

impl Fate {
    /// Every fate there is.
    pub(crate) const ALL: [Self; 5] = [
        Self::Sent,
        Self::Retried,
        Self::Failed,
        Self::Dropped,
        Self::Overtaken,
    ];

    /// The word in metrics.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Sent => "sent",
            Self::Retried => "retried",
            Self::Failed => "failed",
            Self::Dropped => "dropped",
            Self::Overtaken => "overtaken",
        }
    }
}

/// Counters of alerts, by kind of receiver and fate. Clones share them.
#[derive(Clone, Debug, Default)]
pub(crate) struct AlertCounts(Arc<[[AtomicU64; Fate::ALL.len()]; KINDS.len()]>);

impl AlertCounts {
    pub(super) fn add(&self, kind: &str, fate: Fate, many: u64) {
        let row = KINDS.iter().position(|k| *k == kind);
        if let Some(row) = row {
            self.0[row][fate as usize].fetch_add(many, Ordering::Relaxed);
        }
    }

    /// Every counter since the start: kind of receiver, fate, number.
    pub(crate) fn all(&self) -> impl Iterator<Item = (&'static str, Fate, u64)> {
        let rows = KINDS.iter().zip(self.0.iter());
        rows.flat_map(|(kind, row)| {
            let of = |fate: Fate| (*kind, fate, row[fate as usize].load(Ordering::Relaxed));
            Fate::ALL.map(of)
        })
    }
}
