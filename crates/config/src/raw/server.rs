//! The section `server`.

use schemars::JsonSchema;
use serde::Deserialize;

/// What belongs to the router itself.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(rename = "Server")]
pub(crate) struct RawServer {
    /// `Host` values accepted beside the loopback names.
    pub(crate) allowed_hosts: Option<Vec<String>>,
    /// `Origin` values accepted beside the loopback ones.
    pub(crate) allowed_origins: Option<Vec<String>>,
    /// How long calls in flight may take when the router stops.
    #[schemars(range(min = 0, max = 604_800))]
    pub(crate) drain_seconds: Option<f64>,
    /// More about stopping.
    pub(crate) drain: Option<RawDrain>,
    /// How long the items of a backend that went away stay listed.
    #[schemars(range(min = 0, max = 604_800))]
    pub(crate) stale_ttl_seconds: Option<f64>,
    /// Keys for what clients keep for the router, session ids above all: the first seals, all
    /// open. Replicas share them; clocks of replicas may differ by a minute. With none, sessions
    /// end with the process.
    pub(crate) session_keys: Option<Vec<String>>,
    /// Whether the [dashboard](dashboard.md) is served at `/ui`; over HTTP alone.
    pub(crate) ui: Option<bool>,
    /// Bounds on what clients and backends may use up.
    pub(crate) limits: Option<RawLimits>,
}

/// More about stopping.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(rename = "Drain")]
pub(crate) struct RawDrain {
    /// How long to go on serving, not ready, before that.
    #[schemars(range(min = 0, max = 604_800))]
    pub(crate) serve_seconds: Option<f64>,
}

/// Bounds on what clients and backends may use up.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(rename = "Limits")]
pub(crate) struct RawLimits {
    /// Open client connections; never more than 45 % of the file descriptors.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub(crate) max_connections: Option<usize>,
    /// Requests being served at once, over all clients.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub(crate) max_in_flight: Option<usize>,
    /// Calls at once to a server that sets no `max_concurrency`.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub(crate) max_in_flight_per_backend: Option<usize>,
    /// The same for a child process.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub(crate) max_in_flight_per_child: Option<usize>,
    /// Processes at once of one command with `session: per_client`, beside the one for all; the
    /// calls of further clients are refused as `overloaded`.
    #[schemars(range(min = 1, max = 10_000))]
    pub(crate) max_client_processes: Option<usize>,
    /// Calls waiting for one backend.
    #[schemars(range(min = 0, max = 1_000_000))]
    pub(crate) max_queue_per_backend: Option<usize>,
    /// Calls that wait for what their client brings in its next request.
    #[schemars(range(min = 1, max = 100_000))]
    pub(crate) max_parked_calls: Option<usize>,
    /// Of these, calls of one authenticated principal.
    #[schemars(range(min = 1, max = 100_000))]
    pub(crate) max_parked_calls_per_principal: Option<usize>,
    /// How long such a call waits before it is cancelled.
    #[schemars(range(min = 1, max = 300))]
    pub(crate) parked_call_seconds: Option<usize>,
    /// Open event streams to clients.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub(crate) max_streams: Option<usize>,
    /// Open event streams of one session.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub(crate) max_streams_per_session: Option<usize>,
    /// Legacy sessions in memory at once; beyond that those silent longest make room, and come
    /// back with their next request.
    #[schemars(range(min = 1, max = 10_000_000))]
    pub(crate) max_sessions: Option<usize>,
    /// One request body or line from a client.
    #[schemars(range(min = 1024, max = 1_073_741_824))]
    pub(crate) max_request_bytes: Option<usize>,
    /// One answer, event or line from a backend.
    #[schemars(range(min = 1024, max = 1_073_741_824))]
    pub(crate) max_answer_bytes: Option<usize>,
    /// Headers of one request.
    #[schemars(range(min = 1024, max = 1_048_576))]
    pub(crate) max_header_bytes: Option<usize>,
    /// Headers of one request.
    #[schemars(range(min = 16, max = 10_000))]
    pub(crate) max_headers: Option<usize>,
    /// Requests in one JSON array.
    #[schemars(range(min = 1, max = 10_000))]
    pub(crate) max_batch_items: Option<usize>,
    /// Items in one page of a list to a client.
    #[schemars(range(min = 1, max = 100_000))]
    pub(crate) page_size: Option<usize>,
    /// Items of one kind taken from one backend.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub(crate) max_items_per_backend: Option<usize>,
}
