//! What is asked, and what it may cost.

use crate::bench::process::QUIET;
use crate::fixture::Era;

/// One load.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scenario {
    name: &'static str,
    pub(super) kind: Kind,
    pub(super) payload: usize,
    pub(super) connections: usize,
    /// What `RUST_LOG` is for the router.
    pub(super) log: &'static str,
}

/// By what it is judged.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Kind {
    /// A call of a few bytes.
    Small,
    /// A call whose payload costs more than the call; CPU at most so many times the forwarder's.
    Large(f64),
    /// `tools/list`.
    List,
    /// Nothing: to see what something costs.
    Shown,
}

/// Every load, in the order of the table. The log is on unless the name says so: a router that
/// does not tell of its calls is not the one that people run.
pub(super) const SCENARIOS: [Scenario; 7] = [
    Scenario::call("small call", Kind::Small, 2, 1),
    Scenario::call("small call", Kind::Small, 2, 16),
    Scenario::call("small call", Kind::Small, 2, 64),
    Scenario {
        log: QUIET,
        ..Scenario::call("small call without request log", Kind::Shown, 2, 16)
    },
    Scenario::call("64 KiB call", Kind::Large(1.8), 64 << 10, 16),
    Scenario::call("1 MiB call", Kind::Large(2.0), 1 << 20, 4),
    Scenario::call("tools/list", Kind::List, 0, 16),
];

impl Scenario {
    const fn call(name: &'static str, kind: Kind, payload: usize, connections: usize) -> Self {
        Self {
            name,
            kind,
            payload,
            connections,
            log: "info",
        }
    }

    /// Its name in this era's rows.
    pub(super) fn title(&self, era: Era) -> String {
        let revision = if era == Era::Legacy {
            "2025-11-25"
        } else {
            "2026-07-28"
        };
        format!("{revision} {}, {} at a time", self.name, self.connections)
    }

    /// How many times the forwarder's CPU it may cost.
    pub(super) fn cpu_limit(&self, era: Era) -> Option<f64> {
        match self.kind {
            Kind::Small if era == Era::Modern => Some(1.6),
            Kind::Small if self.connections == 1 => Some(1.4),
            Kind::Small => Some(1.5),
            Kind::Large(limit) => Some(limit),
            Kind::List | Kind::Shown => None,
        }
    }

    /// Whether its latency is judged: with more than one connection it is the queue's.
    pub(super) fn judges_latency(&self) -> bool {
        self.kind == Kind::Small && self.connections == 1
    }

    /// The tool to call; none for a list.
    pub(super) fn tool(&self) -> Option<&'static str> {
        (self.kind != Kind::List).then_some("echo")
    }
}
