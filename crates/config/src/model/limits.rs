//! Bounds on what clients and backends may use up.

/// Each `None` leaves the default of the crate that obeys the limit. Counts are at least 1.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Limits {
    /// Open client connections.
    pub max_connections: Option<usize>,
    /// Requests being served at once, over all clients.
    pub max_in_flight: Option<usize>,
    /// Calls at once to one backend that sets no `max_concurrency`.
    pub max_in_flight_per_backend: Option<usize>,
    /// Calls at once to one child process that sets no `max_concurrency`.
    pub max_in_flight_per_child: Option<usize>,
    /// Processes that one command may have for single clients, where `session` is `per_client`.
    pub max_client_processes: Option<usize>,
    /// Calls waiting for one backend.
    pub max_queue_per_backend: Option<usize>,
    /// Calls that wait for what their client brings in its next request.
    pub max_parked_calls: Option<usize>,
    /// Of these, calls of one authenticated principal.
    pub max_parked_calls_per_principal: Option<usize>,
    /// How long one waits, in seconds.
    pub parked_call_seconds: Option<usize>,
    /// Open event streams to clients.
    pub max_streams: Option<usize>,
    /// Open event streams of one session.
    pub max_streams_per_session: Option<usize>,
    /// Legacy sessions held at once.
    pub max_sessions: Option<usize>,
    /// Bytes in one request body or line from a client.
    pub max_request_bytes: Option<usize>,
    /// Bytes in one answer, event or line from a backend.
    pub max_answer_bytes: Option<usize>,
    /// Bytes in the headers of one request.
    pub max_header_bytes: Option<usize>,
    /// Headers of one request.
    pub max_headers: Option<usize>,
    /// Requests in one JSON array.
    pub max_batch_items: Option<usize>,
    /// Items in one page of a list to a client.
    pub page_size: Option<usize>,
    /// Items of one kind taken from one backend.
    pub max_items_per_backend: Option<usize>,
}
