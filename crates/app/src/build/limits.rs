//! The configuration's limits as parameters of the client edges. What the file does not say, the
//! edges decide.

use std::time::Duration;

use mcp_router_config::Config;
use mcp_router_core::Parking;
use mcp_router_service::seal::KeyError;
use mcp_router_transport::server::{HttpParams, Page, Seals, ServeParams, StdioParams};

/// How much longer than the operator says an edge waits for calls in flight: the calls themselves
/// are ended in time (by the drain layer), and their answers are still to be written.
const GRACE: Duration = Duration::from_secs(1);

/// Parameters of the HTTP edge.
///
/// # Errors
/// If the keys cannot be used.
pub(crate) fn http_params(config: &Config, pages: Vec<Page>) -> Result<HttpParams, KeyError> {
    let server = &config.server;
    let keys = super::keys(config);
    let mut params = HttpParams {
        pages,
        // None: the edge makes its own, and knows that nobody shares them.
        seals: match keys.is_empty() {
            true => None,
            false => Some(Seals::new(&keys)?),
        },
        allowed_hosts: server.allowed_hosts.clone(),
        allowed_origins: server.allowed_origins.clone(),
        identity: super::edge::identity(config),
        ..HttpParams::default()
    };
    let (limits, from) = (&mut params.limits, &server.limits);
    set(&mut limits.in_flight, from.max_in_flight);
    set(&mut limits.streams, from.max_streams);
    set(
        &mut limits.streams_per_session,
        from.max_streams_per_session,
    );
    set(&mut limits.sessions, from.max_sessions);
    set(&mut limits.body, from.max_request_bytes);
    set(&mut limits.batch, from.max_batch_items);
    set(&mut limits.header_bytes, from.max_header_bytes);
    set(&mut limits.headers, from.max_headers);
    set(&mut limits.buffered, super::memory::share());
    Ok(params)
}

/// Bounds for calls that wait for their clients.
pub(super) fn parking(config: &Config) -> Parking {
    let limits = &config.server.limits;
    let mut parking = Parking::default();
    set(&mut parking.calls, limits.max_parked_calls);
    set(
        &mut parking.calls_per_principal,
        limits.max_parked_calls_per_principal,
    );
    if let Some(seconds) = limits.parked_call_seconds {
        parking.life = Duration::from_secs(seconds as u64);
    }
    parking
}

/// Parameters of the accept loop.
pub(crate) fn serve_params(config: &Config) -> ServeParams {
    let limits = &config.server.limits;
    let mut params = ServeParams {
        drain: config.server.drain + GRACE,
        ..ServeParams::default()
    };
    params.connections = limits.max_connections.or(params.connections);
    set(&mut params.headers, limits.max_headers);
    // A head that is allowed must fit, with its names, its request line and what came with it.
    let head = limits.max_header_bytes.map_or(0, |bytes| 2 * bytes);
    params.buffer = params.buffer.max(head);
    params
}

/// Parameters of the stdio edge.
pub(crate) fn stdio_params(config: &Config) -> StdioParams {
    let limits = &config.server.limits;
    let mut params = StdioParams {
        drain: config.server.drain + GRACE,
        identity: super::edge::identity(config),
        ..StdioParams::default()
    };
    set(&mut params.line, limits.max_request_bytes);
    set(&mut params.in_flight, limits.max_in_flight);
    set(&mut params.batch, limits.max_batch_items);
    params
}

fn set(default: &mut usize, configured: Option<usize>) {
    if let Some(value) = configured {
        *default = value;
    }
}
