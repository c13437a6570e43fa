//! The names of all metrics, each with its labels and what it says.
//!
//! A dashboard breaks when a name or label changes, and silently. So all of them stand in one table,
//! and tests hold the table against what the router says, `docs/operations.md`, the dashboard and
//! the alert rules.

/// What a number may do.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    /// It only grows, from the start of the process.
    Counter,
    /// It is what it is now.
    Gauge,
    /// Numbers of events by size.
    Histogram,
}

/// A metric: one number for each combination of its labels.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Family {
    /// Its name, as in queries.
    pub name: &'static str,
    /// Counter, gauge or histogram.
    pub kind: Kind,
    /// The names of its labels. Their values are bounded in number.
    pub labels: &'static [&'static str],
    /// What it says, in a sentence without its full stop.
    pub help: &'static str,
}

macro_rules! families {
    ($(#[doc = $help:literal] $konst:ident = $kind:ident $name:literal [$($label:literal),*];)*) => {
        $(
            #[doc = $help]
            pub const $konst: Family = Family {
                name: $name,
                kind: Kind::$kind,
                labels: &[$($label),*],
                help: $help.trim_ascii(),
            };
        )*

        /// Every metric that the router's page has.
        pub const ALL: &[Family] = &[$($konst),*];
    };
}

// The documentation of each is what the page says of it: one line, without its full stop.
families! {
    /// Calls of clients that have ended: tools, prompts, resources and completion, not lists and not probes
    REQUESTS = Counter "mcp_router_requests_total" ["backend", "tool", "outcome"];
    /// How long these calls took at the router, from their arrival to their end
    REQUEST_DURATION = Histogram "mcp_router_request_duration_seconds" ["backend"];
    /// Attempts at a call beyond its first, under the backend that got them
    RETRIES = Counter "mcp_router_retries_total" ["backend"];
    /// The circuit of the backend, the worst of its endpoints: 0 closed, 1 half-open, 2 open
    CIRCUIT_STATE = Gauge "mcp_router_circuit_state" ["backend"];
    /// 1 while the backend is healthy: its items are listed, no probe of it fails, its circuit is closed
    BACKEND_UP = Gauge "mcp_router_backend_up" ["backend"];
    /// The current run of failures of the backend: calls, probes and connects
    BACKEND_FAILURES = Gauge "mcp_router_backend_failures" ["backend"];
    /// Calls that the endpoints of the backend are working on
    IN_FLIGHT = Gauge "mcp_router_in_flight" ["backend"];
    /// Requests of clients over HTTP that the router works on, however far they have come
    CLIENT_REQUESTS = Gauge "mcp_router_client_requests_in_flight" [];
    /// Streams to clients that stay open by themselves: for changes, and those of HTTP+SSE
    CLIENT_STREAMS = Gauge "mcp_router_client_streams" [];
    /// Sessions of clients in memory
    SESSIONS = Gauge "mcp_router_sessions" [];
    /// Sessions that were brought back from their ids
    SESSIONS_REVIVED = Counter "mcp_router_sessions_revived_total" [];
    /// Tasks of the runtime: a few for each backend, connection, stream and call
    TASKS = Gauge "mcp_router_tasks" [];
    /// Tools that the backend offers
    BACKEND_TOOLS = Gauge "mcp_router_backend_tools" ["backend"];
    /// Tools that a client of this kind is given, the router's own included
    EXPOSED_TOOLS = Gauge "mcp_router_exposed_tools" ["client_profile"];
    /// 1 while the router should get traffic, as /ready says
    READY = Gauge "mcp_router_ready" [];
    /// 1 if whoever reaches the listener can call every tool: it is beyond loopback, without authentication
    INSECURE_BIND = Gauge "mcp_router_insecure_bind" [];
    /// Attempts to take a new configuration, by how they went
    CONFIG_RELOADS = Counter "mcp_router_config_reloads_total" ["outcome"];
    /// Alerts and attempts to tell them, by kind of receiver and what became of them
    ALERTS = Counter "mcp_router_alerts_total" ["sink_type", "outcome"];
    /// Spans of calls that are traced, by whether the collector got them
    TRACE_SPANS = Counter "mcp_router_trace_spans_total" ["outcome"];
    /// Messages that were dropped or refused on purpose, by reason
    DROPPED_MESSAGES = Counter "mcp_router_dropped_messages_total" ["reason"];
    /// Log lines that were lost because nobody read them in time
    DROPPED_LOG_LINES = Counter "mcp_router_dropped_log_lines_total" [];
    /// The router that runs, always 1
    BUILD_INFO = Gauge "mcp_router_build_info" ["version"];
    /// Processes that the router started, and theirs, that are running
    CHILDREN = Gauge "mcp_router_children" [];
    /// Resident memory of these processes; the router's own is not in it
    CHILDREN_MEMORY = Gauge "mcp_router_children_resident_memory_bytes" [];
    /// Processor time of these processes and of those that have ended
    CHILDREN_CPU = Counter "mcp_router_children_cpu_seconds_total" [];
    /// Processor time of the router and all processes that it started, in seconds
    PROCESS_CPU = Counter "process_cpu_seconds_total" [];
    /// Resident memory of the router and all processes that it started
    PROCESS_MEMORY = Gauge "process_resident_memory_bytes" [];
    /// Virtual memory of the router alone
    PROCESS_VIRTUAL_MEMORY = Gauge "process_virtual_memory_bytes" [];
    /// File descriptors that the router has open
    PROCESS_OPEN_FDS = Gauge "process_open_fds" [];
    /// The most file descriptors that the router may have open
    PROCESS_MAX_FDS = Gauge "process_max_fds" [];
    /// Threads of the router
    PROCESS_THREADS = Gauge "process_threads" [];
    /// When the router was started, in seconds since 1970
    PROCESS_START_TIME = Gauge "process_start_time_seconds" [];
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn names_are_unique_and_tell_their_kind() {
        let names: HashSet<_> = ALL.iter().map(|family| family.name).collect();
        assert_eq!(names.len(), ALL.len());
        for family in ALL {
            let counter = family.kind == Kind::Counter;
            assert_eq!(family.name.ends_with("_total"), counter, "{}", family.name);
            assert!(!family.help.ends_with('.'), "{}", family.help);
        }
    }
}
