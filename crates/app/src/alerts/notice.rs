//! What is told: which backend, since when, why.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use mcp_router_core::{BackendStatus, EndpointStatus, LastFailure, State};
use mcp_router_observe::printable;

/// Most endpoints that are named in one reason.
const NAMED: usize = 3;

/// How a backend is, as far as somebody has to be told.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Seen {
    pub(super) backend: Arc<str>,
    pub(super) namespace: Option<Arc<str>>,
    pub(super) health: Health,
    /// Why it is not well.
    pub(super) reason: String,
}

/// Whether a backend is as it should be.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Health {
    Well,
    Ailing,
    /// It sleeps, and has never been needed.
    Unknown,
    /// It is switched off.
    Off,
}

/// What happened to a backend.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Event {
    /// It is out.
    Unhealthy,
    /// It is well again, or nobody's business any more.
    Recovered,
}

/// One thing to tell.
#[derive(Clone, Debug)]
pub(super) struct Notice {
    pub(super) event: Event,
    pub(super) backend: Arc<str>,
    pub(super) namespace: Option<Arc<str>>,
    pub(super) reason: String,
    /// When the outage began.
    pub(super) since: SystemTime,
    /// When this was found.
    pub(super) at: SystemTime,
}

impl Event {
    /// The event as receivers see it.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Unhealthy => "backend_unhealthy",
            Self::Recovered => "backend_recovered",
        }
    }
}

impl Notice {
    /// How long the outage has lasted.
    pub(super) fn lasted(&self) -> Duration {
        self.at.duration_since(self.since).unwrap_or_default()
    }
}

impl Seen {
    pub(super) fn of(status: &BackendStatus) -> Self {
        Self {
            backend: status.name.as_str().into(),
            namespace: status.namespace.as_deref().map(Into::into),
            health: health(status),
            reason: reason(status),
        }
    }
}

fn health(status: &BackendStatus) -> Health {
    let quiet = status.circuit_state == "CLOSED" && status.last_failure.is_none();
    match status.state {
        _ if status.healthy => Health::Well,
        State::Disabled => Health::Off,
        State::Asleep if quiet => Health::Unknown,
        _ => Health::Ailing,
    }
}

/// The worst that is known, and of several endpoints which.
fn reason(status: &BackendStatus) -> String {
    let ailing = status.endpoints.iter();
    let mut ailing = ailing.filter(|e| !e.usable || e.circuit_state != "CLOSED");
    let named: Vec<_> = ailing.by_ref().take(NAMED).map(of_endpoint).collect();
    let more = ailing.count();
    let text = match (&named[..], &status.last_failure) {
        ([], Some(failure)) => of_failure(failure),
        ([], None) if status.circuit_state != "CLOSED" => "calls fail".to_owned(),
        ([], None) if status.state == State::Starting => "no answer since the start".to_owned(),
        ([], None) => status
            .last_error
            .clone()
            .unwrap_or_else(|| "not ready".to_owned()),
        (named, _) if more > 0 => format!("{}; and {more} more", named.join("; ")),
        (named, _) => named.join("; "),
    };
    match status.circuit_state {
        "CLOSED" => text,
        state => format!("{text} (circuit {state})"),
    }
}

fn of_endpoint(endpoint: &EndpointStatus) -> String {
    let why = endpoint.last_failure.as_ref().map(of_failure);
    let why = why.unwrap_or_else(|| "calls fail".to_owned());
    format!("endpoint {}: {why}", printable(&endpoint.endpoint))
}

fn of_failure(failure: &LastFailure) -> String {
    format!("{} failed: {}", failure.stage, printable(&failure.error))
}
