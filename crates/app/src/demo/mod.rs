//! Backends inside this process, so that a newcomer needs nothing but the binary.
//!
//! Two namespaces: `time` has one backend, `text` a primary and a secondary that offer the same
//! tools. `text.take_down` takes the primary away for some seconds; calls then go to the
//! secondary, `list_backends` shows it, and the primary comes back by itself.

mod clock;
mod server;
mod text;

use mcp_router_core::Backend;
use server::DemoServer;

/// The demo's backends, in the order in which they are listed.
///
/// Call it inside a tokio runtime: the primary's way back runs as a task.
pub fn backends() -> Vec<Backend> {
    let clock = DemoServer::new(&clock::CLOCK);
    let primary = DemoServer::new(&text::PRIMARY);
    let secondary = DemoServer::new(&text::SECONDARY);
    [
        ("clock", "time", 10, clock),
        ("text-primary", "text", 10, primary),
        ("text-secondary", "text", 20, secondary),
    ]
    .into_iter()
    .filter_map(|(name, namespace, priority, (server, events))| {
        // Fixed texts that are valid names; a demo without one backend is better than none.
        let (name, namespace) = (name.parse().ok()?, namespace.parse().ok()?);
        let backend = Backend::new(name, server)
            .namespace(namespace)
            .priority(priority);
        Some(backend.events(events).url_text("demo: in this process"))
    })
    .collect()
}
