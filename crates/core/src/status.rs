//! How the backends fare, for people and probes.

use std::sync::Arc;
use std::time::SystemTime;

use mcp_router_health::CircuitState;
use mcp_router_layers::{Endpoint, Failure, Probe, Standing};
use mcp_router_observe::utc;
use mcp_router_protocol::ItemKind;
use serde::Serialize;
use tokio::time::Instant;

use crate::backend::{Cell, Live};
use crate::catalogue::{Notes, Snapshot};

/// Where a backend is in its life.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// No answer yet.
    Starting,
    /// Its items are listed.
    Ready,
    /// Nobody has needed it, or nobody for long: the next call connects to it or starts it. What it
    /// listed before still holds.
    Asleep,
    /// Lost, or never reached. The router goes on trying.
    Down,
    /// Switched off by `auto_start: false`.
    Disabled,
}

/// One backend, as `list_backends` and `/ready` show it. Nothing here is secret.
#[derive(Clone, Debug, Serialize)]
pub struct BackendStatus {
    /// Its name in the file.
    pub name: String,
    /// Where it is.
    pub url: String,
    /// Its namespace, if it has one.
    pub namespace: Option<String>,
    /// Lower is tried first.
    pub priority: u32,
    /// Whether its items are listed, no probe of it fails and no circuit of it is open.
    pub healthy: bool,
    /// `CLOSED`, `OPEN` or `HALF_OPEN`; the worst of its endpoints.
    pub circuit_state: &'static str,
    /// The current run of failures: of calls, probes and connects.
    pub error_count: u32,
    /// Calls that it is working on, all endpoints together.
    pub in_flight: usize,
    /// Whether the router started it.
    pub is_managed: bool,
    /// Whether the process the router started is there; false for URLs.
    pub is_running: bool,
    /// Whether a client registered it while the router ran; false for those of the file.
    pub registered: bool,
    /// Where it is in its life.
    pub state: State,
    /// The last failure, while it matters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_error: Option<String>,
    /// At what it failed last, since when, and when somebody tries again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_failure: Option<LastFailure>,
    /// How long an open circuit lets no call through, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_trial_seconds: Option<u64>,
    /// How long it has not been ready, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub down_seconds: Option<u64>,
    /// Revision and transport spoken with it.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub protocol: String,
    /// How many tools it has.
    pub tools: usize,
    /// How many prompts it has.
    pub prompts: usize,
    /// How many resources and resource templates it has.
    pub resources: usize,
    /// Listed items that cannot be offered, with names and reasons in the log.
    pub invalid_items: usize,
    /// Names that it lists and another backend of a lower priority number has; the first hundred.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub collisions: Vec<String>,
    /// Tools that cannot be offered to anybody as they are, with reasons; the first hundred.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub left_out: Vec<String>,
    /// Its endpoints, where there are several.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub endpoints: Vec<EndpointStatus>,
}

/// At what something failed last.
#[derive(Clone, Debug, Serialize)]
pub struct LastFailure {
    /// `connect`, `list`, `probe` or `call`.
    pub stage: &'static str,
    /// What went wrong.
    pub error: String,
    /// When it began to fail at this, in RFC 3339.
    pub since: String,
    /// When the router tries again by itself, in RFC 3339.
    pub next_retry: Option<String>,
}

/// One of the places behind a backend.
#[derive(Clone, Debug, Serialize)]
pub struct EndpointStatus {
    /// Its name: a URL without credentials, or the number of a process.
    pub endpoint: String,
    /// Whether calls go there as usual.
    pub usable: bool,
    /// `CLOSED`, `OPEN` or `HALF_OPEN`.
    pub circuit_state: &'static str,
    /// The current run of failures.
    pub error_count: u32,
    /// Calls that it is working on.
    pub in_flight: usize,
    /// At what it failed last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_failure: Option<LastFailure>,
}

/// Whether the router should get traffic.
#[derive(Clone, Debug, Serialize)]
pub struct Readiness {
    /// Every backend has answered or failed, or the wait at the start is over; and not draining.
    pub ready: bool,
    /// The router is stopping.
    pub draining: bool,
    /// Each backend, in the order of the file.
    pub backends: Vec<BackendStatus>,
}

impl BackendStatus {
    /// `known` is what the snapshot was made of.
    pub(crate) fn of(cell: &Cell, known: &Arc<Live>, snapshot: &Snapshot) -> Self {
        let now = cell.live.load();
        // Bad news at once; good news when clients see what it lists, which is a moment later.
        let live = if now.is_there() { known } else { &*now };
        let listing = &known.listing;
        let left_out = texts(&snapshot.lost.left_out, cell);
        let endpoints = &cell.endpoints;
        let count = |kind| listing.of(kind).len();
        let tools = listing.of(ItemKind::Tool).iter();
        let circuit = endpoints.iter().map(Endpoint::state).max_by_key(badness);
        let circuit = circuit.unwrap_or(CircuitState::Closed);
        let listed = matches!(live.state, State::Ready | State::Asleep) && listing.complete;
        let probed_down = endpoints.iter().any(|e| e.probe() == Probe::Down);
        let failures = endpoints.iter().map(Endpoint::failures).max();
        // An endpoint knows more: when its next probe is.
        let failure = endpoints.iter().find_map(Endpoint::last_failure);
        let failure = failure.or_else(|| live.failure.clone());
        let retry_in = endpoints.iter().filter_map(Endpoint::retry_in).min();
        Self {
            name: cell.meta.name.to_string(),
            url: cell.meta.url.clone(),
            namespace: cell.meta.namespace.as_ref().map(ToString::to_string),
            priority: cell.meta.priority,
            healthy: listed && !probed_down && circuit == CircuitState::Closed,
            circuit_state: circuit.as_str(),
            error_count: live.error_count.max(failures.unwrap_or(0)),
            in_flight: endpoints.iter().map(Endpoint::in_flight).sum(),
            is_managed: cell.meta.managed,
            registered: cell.meta.registered,
            is_running: cell.meta.managed && live.state == State::Ready,
            state: live.state,
            last_error: live
                .failure
                .as_ref()
                .or(failure.as_ref())
                .map(|f| f.text.to_string()),
            last_failure: failure.as_deref().map(LastFailure::of),
            next_trial_seconds: retry_in.map(|t| t.as_millis().div_ceil(1000) as u64),
            down_seconds: live.down_since.map(|t| t.elapsed().as_secs()),
            protocol: live.info.hop.clone(),
            tools: tools
                .filter(|t| cell.meta.policy.rules.offers(t.key()))
                .count(),
            prompts: count(ItemKind::Prompt),
            resources: count(ItemKind::Resource) + count(ItemKind::Template),
            invalid_items: listing.invalid() + left_out.len(),
            collisions: texts(&snapshot.lost.collisions, cell),
            left_out,
            endpoints: match &endpoints[..] {
                [] | [_] => Vec::new(),
                several => several.iter().map(EndpointStatus::of).collect(),
            },
        }
    }
}

impl EndpointStatus {
    fn of(endpoint: &Endpoint) -> Self {
        Self {
            endpoint: endpoint.key().to_string(),
            usable: endpoint.standing() == Standing::Usable,
            circuit_state: endpoint.state().as_str(),
            error_count: endpoint.failures(),
            in_flight: endpoint.in_flight(),
            last_failure: endpoint.last_failure().as_deref().map(LastFailure::of),
        }
    }
}

impl LastFailure {
    fn of(failure: &Failure) -> Self {
        // Kept on the clock that never jumps, shown on the wall's.
        let (now, wall) = (Instant::now(), SystemTime::now());
        let moment = |at: Instant| {
            let past = wall.checked_sub(now.saturating_duration_since(at));
            utc(past.unwrap_or(wall) + at.saturating_duration_since(now))
        };
        Self {
            stage: failure.stage.as_str(),
            error: failure.text.to_string(),
            since: moment(failure.since),
            next_retry: failure.next_retry.map(moment),
        }
    }
}

/// What is noted about a backend's items.
fn texts(notes: &Notes, cell: &Cell) -> Vec<String> {
    let notes = notes.get(&cell.id).into_iter().flatten();
    notes.map(ToString::to_string).collect()
}

/// States of a circuit from the best to the worst.
fn badness(state: &CircuitState) -> u8 {
    match state {
        CircuitState::Closed => 0,
        CircuitState::HalfOpen => 1,
        CircuitState::Open => 2,
    }
}
