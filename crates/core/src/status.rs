//! How the backends fare, for people and probes.

use serde::Serialize;

use crate::backend::Cell;

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
    /// Whether its items are listed and nothing has been heard to the contrary.
    pub healthy: bool,
    /// `CLOSED`, `OPEN` or `HALF_OPEN`.
    pub circuit_state: &'static str,
    /// The current run of failures.
    pub error_count: u32,
    /// Whether the router started it.
    pub is_managed: bool,
    /// Whether the process the router started is there; false for URLs.
    pub is_running: bool,
    /// Where it is in its life.
    pub state: State,
    /// The last failure.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_error: Option<String>,
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
    pub(crate) fn of(cell: &Cell) -> Self {
        use mcp_router_protocol::ItemKind;
        let live = cell.live.load();
        let count = |kind| live.listing.of(kind).len();
        Self {
            name: cell.meta.name.to_string(),
            url: cell.meta.url.clone(),
            namespace: cell.meta.namespace.as_ref().map(ToString::to_string),
            priority: cell.meta.priority,
            healthy: matches!(live.state, State::Ready | State::Asleep) && live.listing.complete,
            // There is no breaker in the stack yet, and a circuit without one is closed.
            circuit_state: "CLOSED",
            error_count: live.error_count,
            is_managed: cell.meta.managed,
            is_running: cell.meta.managed && live.state == State::Ready,
            state: live.state,
            last_error: live.last_error.as_deref().map(str::to_owned),
            down_seconds: live.down_since.map(|t| t.elapsed().as_secs()),
            protocol: live.info.hop.clone(),
            tools: count(ItemKind::Tool),
            prompts: count(ItemKind::Prompt),
            resources: count(ItemKind::Resource) + count(ItemKind::Template),
            invalid_items: live.listing.invalid(),
        }
    }
}
