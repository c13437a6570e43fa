//! What has been counted of each backend, all its tools together.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::{Backend, Meters};
use crate::call::Ending;

/// How far the counters of one backend have grown.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Totals {
    /// The backend.
    pub backend: Arc<str>,
    /// Calls that have ended.
    pub calls: u64,
    /// Of these, calls that the backend did not answer; those that clients gave up are not among
    /// them.
    pub failed: u64,
    /// How long all calls took together, in microseconds.
    pub micros: u64,
}

impl Meters {
    /// How far the counters of each backend have grown, in no order.
    pub fn totals(&self) -> Vec<Totals> {
        let backends = self.0.backends.load();
        let all = backends.iter();
        all.map(|(name, backend)| backend.totals(name)).collect()
    }
}

impl Backend {
    fn totals(&self, name: &Arc<str>) -> Totals {
        let tools = self.tools.load();
        let (mut calls, mut failed) = (0, 0);
        for tool in tools.values().chain([&self.other]) {
            for ending in Ending::ALL {
                let ended = tool.ended[*ending as usize].load(Ordering::Relaxed);
                calls += ended;
                if !ending.is_answer() && *ending != Ending::Cancelled {
                    failed += ended;
                }
            }
        }
        Totals {
            backend: name.clone(),
            calls,
            failed,
            micros: self.times.micros.load(Ordering::Relaxed),
        }
    }
}
