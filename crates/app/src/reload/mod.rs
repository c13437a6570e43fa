//! Changing a running router to what its file says now, and to what clients register.
//!
//! Who edits a file at three in the morning must not lose a call for it, nor the sessions of
//! servers that have nothing to do with the edit. And whoever edited it wrongly wants to be told,
//! while everything goes on as it was.
//!
//! ```text
//! files, SIGHUP ──┐
//!                 ├─> Reloader (one task) ──> Router::update
//! tools ─ Control ┘        └─> Reloads: what became of it, for metrics, pages and tools
//! ```

mod address;
mod change;
mod control;
mod files;
mod register;
mod report;
mod task;
mod watch;

use std::path::PathBuf;
use std::sync::Arc;

use mcp_router_config::LoadInput;
use mcp_router_core::Router;
use tokio::sync::Notify;
use tokio_util::task::AbortOnDropHandle;

use crate::build::Plan;
use control::{Desk, desk};
use task::Reloader;

pub(crate) use address::PublicOnly;
pub(crate) use report::{Reload, ReloadReport, Reloads};

/// What a configuration was made from, to be read again.
#[derive(Clone, Debug)]
pub(crate) struct Origin {
    pub(crate) input: LoadInput,
    /// The file of the backends, and those that values came from.
    pub(crate) files: Vec<PathBuf>,
}

/// The way from a plan to a router that can be changed.
#[derive(Debug)]
pub(crate) struct Reloading {
    desk: Desk,
    origin: Origin,
}

impl Reloading {
    /// The plan of a router that can be changed, if its configuration came from a file. `exposed` if
    /// others than this machine may ask it, without having to say who they are.
    pub(crate) fn of(plan: Plan, reloads: &Reloads, exposed: bool) -> (Plan, Option<Self>) {
        let Some(origin) = plan.origin.clone() else {
            return (plan, None);
        };
        let registers = plan.config.server.allow_registration;
        if registers && exposed {
            tracing::warn!(
                "MCP_ALLOW_REGISTRATION has no effect: whoever reaches this address could have the \
                 router connect anywhere"
            );
        }
        let (control, desk) = desk(reloads.clone(), registers, exposed);
        (plan.managed(control), Some(Self { desk, origin }))
    }

    /// Changes the `router` that was built of `plan` until the handle is dropped. `hang_up` is told
    /// of each SIGHUP.
    pub(crate) fn start(
        self,
        router: Router,
        plan: Plan,
        hang_up: Arc<Notify>,
    ) -> AbortOnDropHandle<()> {
        let reloader = Reloader::new(router, plan, self.origin, self.desk, hang_up);
        AbortOnDropHandle::new(tokio::spawn(reloader.run()))
    }
}
