//! What the router knows about itself and its backends.

use std::fmt;
use std::net::SocketAddr;

use mcp_router_core::Router;
use mcp_router_observe::metrics::family::{
    BACKEND_FAILURES, BACKEND_TOOLS, BACKEND_UP, BUILD_INFO, CIRCUIT_STATE, CONFIG_RELOADS,
    EXPOSED_TOOLS, IN_FLIGHT, INSECURE_BIND, READY, TASKS,
};
use mcp_router_observe::metrics::{Meters, Page, Source};
use mcp_router_protocol::Profile;
use tokio::runtime::Handle;

use crate::reload::{Reload, Reloads};

/// How each backend fares.
#[derive(Debug)]
pub(super) struct Backends {
    router: Router,
    meters: Meters,
}

impl Backends {
    pub(super) const fn new(router: Router, meters: Meters) -> Self {
        Self { router, meters }
    }
}

impl Source for Backends {
    fn write(&self, page: &mut Page<'_>) -> fmt::Result {
        let all = self.router.backends();
        // What a backend that was removed has counted would stay for ever otherwise.
        self.meters
            .retain(|name| all.iter().any(|backend| backend.name == name));
        let by_name = |number: fn(&mcp_router_core::BackendStatus) -> f64| {
            let all = all.iter();
            all.map(move |backend| ([backend.name.as_str()], number(backend)))
        };
        page.numbers(&BACKEND_UP, by_name(|b| f64::from(u8::from(b.healthy))))?;
        page.numbers(&CIRCUIT_STATE, by_name(|b| circuit(b.circuit_state)))?;
        page.numbers(&BACKEND_FAILURES, by_name(|b| f64::from(b.error_count)))?;
        page.numbers(&IN_FLIGHT, by_name(|b| b.in_flight as f64))?;
        page.numbers(&BACKEND_TOOLS, by_name(|b| b.tools as f64))
    }
}

fn circuit(state: &str) -> f64 {
    match state {
        "CLOSED" => 0.0,
        "HALF_OPEN" => 1.0,
        _ => 2.0,
    }
}

/// How many tools clients are given.
#[derive(Debug)]
pub(super) struct Exposed(pub(super) Router);

impl Source for Exposed {
    fn write(&self, page: &mut Page<'_>) -> fmt::Result {
        let tools = self.0.exposure().tools as f64;
        let profiles = Profile::ALL.map(|profile| ([profile.as_str()], tools));
        page.numbers(&EXPOSED_TOOLS, profiles)
    }
}

/// Whether it should get traffic, and what it is.
#[derive(Debug)]
pub(super) struct State(pub(super) Router);

impl Source for State {
    fn write(&self, page: &mut Page<'_>) -> fmt::Result {
        page.one(&READY, f64::from(u8::from(self.0.readiness().ready)))?;
        page.numbers(&BUILD_INFO, [([env!("CARGO_PKG_VERSION")], 1.0)])?;
        match Handle::try_current() {
            Ok(runtime) => page.one(&TASKS, runtime.metrics().num_alive_tasks() as f64),
            Err(_) => Ok(()),
        }
    }
}

/// What became of the attempts to reload.
#[derive(Debug)]
pub(super) struct Reloaded(pub(super) Reloads);

impl Source for Reloaded {
    fn write(&self, page: &mut Page<'_>) -> fmt::Result {
        let counts = Reload::ALL.map(|how| ([how.as_str()], self.0.count(how) as f64));
        page.numbers(&CONFIG_RELOADS, counts)
    }
}

/// Where the listener is.
#[derive(Debug)]
pub(super) struct Bound(pub(super) SocketAddr);

impl Source for Bound {
    fn write(&self, page: &mut Page<'_>) -> fmt::Result {
        // There is no authentication yet.
        let insecure = !self.0.ip().is_loopback();
        page.one(&INSECURE_BIND, f64::from(u8::from(insecure)))
    }
}
