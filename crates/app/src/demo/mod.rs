//! The backends of `--demo`: inside this process, without a file and without a network.
//!
//! A newcomer has no MCP server at hand, and a router without backends shows nothing. These show
//! everything the router does: two namespaces, one of them served by a primary and a secondary
//! (call `time.outage` and watch `time.now` move), tools that answer, stream progress or fail, a
//! resource, a template, a prompt and completion.

mod clock;
mod offer;
mod outage;
mod serve;
mod text;

use mcp_router_core::Backend;
use mcp_router_protocol::{BackendName, Namespace};
use mcp_router_service::McpService;

use clock::Clock;
use outage::Outage;
use text::Text;

/// A demo backend before the layers are around it.
pub(crate) struct Demo {
    /// Its name, as in a file.
    pub(crate) name: BackendName,
    /// What the stack of layers goes around.
    pub(crate) service: McpService,
    /// Everything about it that is not a call.
    pub(crate) describe: Box<dyn FnOnce(Backend) -> Backend + Send>,
}

/// All demo backends, in the order of a file.
pub(crate) fn backends() -> Vec<Demo> {
    vec![
        plain("text", "text", Text),
        clock("time-primary", 10),
        clock("time-secondary", 20),
    ]
}

fn plain(name: &'static str, ns: &'static str, offer: impl offer::Offer) -> Demo {
    Demo {
        name: backend_name(name),
        service: serve::service(offer),
        describe: Box::new(move |b| b.namespace(namespace(ns)).url_text("demo:text")),
    }
}

fn clock(name: &'static str, priority: u32) -> Demo {
    let (outage, events) = Outage::new(serve::info());
    Demo {
        name: backend_name(name),
        service: serve::service(Clock::new(name, outage)),
        describe: Box::new(move |b| {
            b.namespace(namespace("time"))
                .priority(priority)
                .url_text("demo:time")
                .events(events)
        }),
    }
}

#[expect(clippy::unwrap_used, reason = "every name is a literal in this file")]
fn backend_name(text: &'static str) -> BackendName {
    text.parse().unwrap()
}

#[expect(clippy::unwrap_used, reason = "every name is a literal in this file")]
fn namespace(text: &'static str) -> Namespace {
    text.parse().unwrap()
}

#[cfg(test)]
mod tests;
