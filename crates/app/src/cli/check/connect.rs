//! `check --connect`: reaches every backend and tells what was found.

use std::time::Duration;

use futures::future::join_all;
use mcp_router_config::{BackendConfig, Config};
use mcp_router_core::{BackendStatus, Router, State};
use mcp_router_protocol::{ItemKind, Profile};

use super::super::args::Cli;
use super::super::{FAILED, OK, serve, terminal};
use super::findings::{self, Renaming};
use super::report::{Reached, Report};

/// How long the request may take by which the latency is measured.
const PATIENCE: Duration = Duration::from_secs(5);

/// Connects to every backend, those that sleep until they are called included, and prints what
/// each speaks, offers and costs. One that cannot be reached is a failure; `auto_start: false` is
/// none.
pub(in super::super) fn connect(cli: &Cli, json: bool) -> u8 {
    serve::with_configured(cli, async |router: Router, config: Config| {
        router.ready().await;
        router.rouse().await;
        let report = report(&router, &config).await;
        let printed = match json {
            true => terminal::print_json(&report),
            false => terminal::print(&report.render(cli.colours.on_stdout())),
        };
        match printed {
            OK if report.unreachable() > 0 => FAILED,
            code => code,
        }
    })
}

async fn report(router: &Router, config: &Config) -> Report {
    let statuses = router.backends();
    let backends = join_all(statuses.iter().map(|status| reached(router, status))).await;
    let configured = |status: &BackendStatus| {
        let found = config.backends.iter();
        found.into_iter().find(|b| b.name.as_str() == status.name)
    };
    let listed = statuses.iter().filter(|status| is_listed(status));
    let unused = listed.filter_map(|status| {
        let backend: &BackendConfig = configured(status)?;
        let names = router.own_names(&status.name, ItemKind::Tool)?;
        Some(findings::unused(backend, &names))
    });
    Report {
        backends,
        unused: unused.flatten().collect(),
        renamed: renamings(router),
        tools: router.tools().len(),
    }
}

/// Whether what it offers is known.
fn is_listed(status: &BackendStatus) -> bool {
    matches!(status.state, State::Ready | State::Asleep)
}

async fn reached(router: &Router, status: &BackendStatus) -> Reached {
    let mut reached = Reached::of(status);
    if status.state != State::Ready {
        return reached;
    }
    match router.round_trip(&status.name, PATIENCE).await {
        Some(Ok(time)) => reached.latency_ms = Some(millis(time)),
        Some(Err(error)) => reached.failed(crate::report(&error)),
        None => {}
    }
    reached
}

/// In thousandths of a second, with one digit behind the point.
fn millis(time: Duration) -> f64 {
    (time.as_secs_f64() * 10_000.0).round() / 10.0
}

/// The tools whose names change, for each kind of host that changes any.
fn renamings(router: &Router) -> Vec<Renaming> {
    let all = Profile::ALL.into_iter();
    let all = all.map(|host| Renaming::of(host, &router.tools_for(host)));
    all.filter(|renaming| renaming.count > 0).collect()
}
