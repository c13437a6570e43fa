//! Counts the calls that the router routes for clients.
//!
//! Every call passes here, so counting costs it a few additions: whoever sends it to a backend
//! leaves the counters of that backend's tool on its way ([`Meters::tool`]), and the end of the call
//! finds them there. No map is searched and no lock is taken.

use std::any::Any;
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;

use super::family::{REQUEST_DURATION, REQUESTS, RETRIES};
use super::page::{Page, Source};
use crate::call::{CallEnd, CallSink, Ending, Visit};

/// The label of all tools that no backend has listed.
pub const OTHER: &str = "other";

/// The most tools of one backend that are told apart; those beyond are [`OTHER`].
pub const MAX_TOOLS: usize = 1_000;

/// The bounds of the classes of duration, in microseconds; one more class holds what is longer.
const BOUNDS: [u64; 16] = [
    1_000,
    2_500,
    5_000,
    10_000,
    25_000,
    50_000,
    100_000,
    250_000,
    500_000,
    1_000_000,
    2_500_000,
    5_000_000,
    10_000_000,
    30_000_000,
    60_000_000,
    300_000_000,
];

/// Counts calls by backend, tool and ending. Clones count together.
///
/// It keeps what it has counted of a backend until it is told to [forget](Self::retain) it.
#[derive(Clone, Debug, Default)]
pub struct Meters(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    backends: Map<Backend>,
    /// Calls that no backend got.
    nobody: Backend,
}

/// A map that is read far more often than it grows: whoever adds to it makes a new one, and nobody
/// ever waits for anybody.
type Map<V> = ArcSwap<HashMap<Arc<str>, Arc<V>>>;

#[derive(Debug)]
struct Backend {
    times: Arc<Times>,
    tools: Map<Tool>,
    other: Arc<Tool>,
}

/// The counters of a tool of a backend, and what all its tools count together.
#[derive(Debug, Default)]
struct Tool {
    ended: [AtomicU64; Ending::ALL.len()],
    times: Arc<Times>,
}

#[derive(Debug, Default)]
struct Times {
    micros: AtomicU64,
    classes: [AtomicU64; BOUNDS.len() + 1],
    retries: AtomicU64,
}

// === impl Meters ===

impl Meters {
    /// Nothing counted yet. Calls of these tools, which are the router's own, are told apart from
    /// others that no backend got.
    pub fn new<'a>(own: impl IntoIterator<Item = &'a str>) -> Self {
        let meters = Self::default();
        for name in own {
            meters.0.nobody.tool(name);
        }
        meters
    }

    /// The counters of a tool that the backend lists, to be left as the mark of a
    /// [visit](crate::call::Visit::mark). Keep it: finding it means searching.
    pub fn tool(&self, backend: &str, tool: &str) -> Arc<dyn Any + Send + Sync> {
        self.backend(backend).tool(tool)
    }

    /// The counters of everything that the backend does not list.
    pub fn other(&self, backend: &str) -> Arc<dyn Any + Send + Sync> {
        self.backend(backend).other.clone()
    }

    /// Forgets all backends but these.
    pub fn retain(&self, keep: impl Fn(&str) -> bool) {
        if self.0.backends.load().keys().all(|name| keep(name)) {
            return;
        }
        self.0.backends.rcu(|backends| {
            let kept = backends.iter().filter(|(name, _)| keep(name));
            kept.map(|(name, backend)| (name.clone(), backend.clone()))
                .collect::<HashMap<_, _>>()
        });
    }

    fn backend(&self, name: &str) -> Arc<Backend> {
        found(&self.0.backends, name, usize::MAX, Backend::default).unwrap_or_default()
    }

    /// Counts attempts that repeat earlier ones.
    fn repeated(&self, end: &CallEnd<'_>) {
        let visits = end.earlier.iter().chain(&end.last);
        for (at, visit) in visits.enumerate() {
            let first = u32::from(at == 0);
            let repeats = u64::from(visit.attempts.saturating_sub(first));
            match mark(visit) {
                _ if repeats == 0 => {}
                Some(tool) => tool.times.repeat(repeats),
                None => self.backend(visit.backend).times.repeat(repeats),
            }
        }
    }
}

impl CallSink for Meters {
    fn ended(&self, end: &CallEnd<'_>) {
        if end.attempts > 1 {
            self.repeated(end);
        }
        let here = end.last.as_ref();
        let marked = here
            .filter(|visit| end.backend == Some(visit.backend))
            .and_then(mark);
        if let Some(tool) = marked {
            tool.count(end);
            return;
        }
        // It was to go somewhere and never did, or nobody left a mark.
        match end.backend {
            Some(backend) => self.backend(backend).other.count(end),
            None => {
                let own = self.0.nobody.tools.load();
                let own = end.tool.and_then(|tool| own.get(tool));
                own.unwrap_or(&self.0.nobody.other).count(end);
            }
        }
    }
}

fn mark<'a>(visit: &Visit<'a>) -> Option<&'a Tool> {
    visit.mark?.downcast_ref()
}

// === impl Backend ===

impl Default for Backend {
    fn default() -> Self {
        let times = Arc::<Times>::default();
        Self {
            tools: Map::default(),
            other: Arc::new(Tool::of(&times)),
            times,
        }
    }
}

impl Backend {
    fn tool(&self, name: &str) -> Arc<Tool> {
        let tool = || Tool::of(&self.times);
        found(&self.tools, name, MAX_TOOLS, tool).unwrap_or_else(|| self.other.clone())
    }
}

/// What stands under the name, put there by now if there was nothing; `None` if it has no room.
fn found<V>(map: &Map<V>, name: &str, room: usize, new: impl Fn() -> V) -> Option<Arc<V>> {
    if let Some(known) = map.load().get(name) {
        return Some(known.clone());
    }
    let value = Arc::new(new());
    map.rcu(|all| {
        let mut all = HashMap::clone(all);
        if all.len() < room {
            all.entry(name.into()).or_insert_with(|| value.clone());
        }
        all
    });
    map.load().get(name).cloned()
}

// === impl Tool ===

impl Tool {
    fn of(times: &Arc<Times>) -> Self {
        Self {
            times: times.clone(),
            ..Self::default()
        }
    }

    fn count(&self, end: &CallEnd<'_>) {
        self.ended[end.outcome as usize].fetch_add(1, Ordering::Relaxed);
        self.times.count(end.duration);
    }
}

// === impl Times ===

impl Times {
    fn count(&self, duration: Duration) {
        let micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        let class = BOUNDS.partition_point(|bound| *bound < micros);
        self.classes[class].fetch_add(1, Ordering::Relaxed);
        self.micros.fetch_add(micros, Ordering::Relaxed);
    }

    fn repeat(&self, n: u64) {
        self.retries.fetch_add(n, Ordering::Relaxed);
    }

    fn sum(&self) -> f64 {
        self.micros.load(Ordering::Relaxed) as f64 / 1e6
    }

    fn buckets(&self) -> Vec<(f64, u64)> {
        let bounds = BOUNDS.iter().map(|micros| *micros as f64 / 1e6);
        let counts = self.classes.iter().map(|n| n.load(Ordering::Relaxed));
        bounds.chain([f64::INFINITY]).zip(counts).collect()
    }
}

// === the page ===

impl Source for Meters {
    fn write(&self, page: &mut Page<'_>) -> fmt::Result {
        let backends = self.0.backends.load();
        let mut all: Vec<(&str, &Backend)> = backends.iter().map(|(n, b)| (&**n, &**b)).collect();
        all.sort_unstable_by_key(|(name, _)| *name);
        page.numbers(&RETRIES, all.iter().map(|(name, b)| ([*name], b.retries())))?;
        all.push(("", &self.0.nobody));
        let times = |(name, b): &(_, &Backend)| (*name, b.times.sum(), b.times.buckets());
        page.histograms(&REQUEST_DURATION, all.iter().map(times))?;
        let ended: Vec<_> = all.iter().flat_map(|(name, b)| b.ended(name)).collect();
        let numbers = ended.iter().map(|one| one.number());
        page.numbers(&REQUESTS, numbers)
    }
}

/// How many calls of a tool of a backend ended so.
struct Ended<'a> {
    backend: &'a str,
    tool: Arc<str>,
    outcome: Ending,
    calls: u64,
}

impl Ended<'_> {
    fn number(&self) -> ([&str; 3], f64) {
        let labels = [self.backend, &self.tool, self.outcome.as_str()];
        (labels, self.calls as f64)
    }
}

impl Backend {
    fn retries(&self) -> f64 {
        self.times.retries.load(Ordering::Relaxed) as f64
    }

    /// What has been counted, sorted by tool. What was never seen is left out.
    fn ended<'a>(&self, backend: &'a str) -> Vec<Ended<'a>> {
        let tools = self.tools.load();
        let mut tools: Vec<_> = tools.iter().map(|(n, t)| (n.clone(), t.clone())).collect();
        tools.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        tools.push((OTHER.into(), self.other.clone()));
        let mut found = Vec::new();
        for (name, tool) in tools {
            for outcome in Ending::ALL {
                let calls = tool.ended[*outcome as usize].load(Ordering::Relaxed);
                found.extend((calls > 0).then(|| Ended {
                    backend,
                    tool: name.clone(),
                    outcome: *outcome,
                    calls,
                }));
            }
        }
        found
    }
}

mod totals;

pub use totals::Totals;

#[cfg(test)]
mod tests;
