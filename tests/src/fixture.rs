//! An MCP backend that does what it is told, also the wrong thing.
//!
//! A router can be trusted as far as it was tested against backends that refuse, hang, lie and
//! die. Real servers do that rarely and never on demand. This one speaks every revision, over HTTP
//! and stdio, injects faults at the level of messages and bytes, and writes down all that reaches
//! it. It shares no code with the router, so that the two cannot agree on a mistake.
//!
//! ```no_run
//! use mcp_router_tests::fixture::{Era, Fault, Fixture, Rule};
//!
//! # async fn test() {
//! let backend = Fixture::builder().era(Era::Legacy).tool("x").spawn().await;
//! println!("{}", backend.url());
//! backend.set_fault(Rule::new(Fault::NeverAnswer).on("tools/call"));
//! // … drive a router …
//! backend.log().wait_for("tools/call", 1).await;
//! assert_eq!(backend.log().of("tools/call")[0].name.as_deref(), Some("x"));
//! # }
//! ```
//!
//! The tools: `echo{text}`, `mirror{…}` (its arguments byte for byte as `structuredContent`),
//! `add{a,b}`, `fail`, `sleep{ms}`, `big{bytes}`, `progress{n,ms}`, `once{nonce}` and the same
//! declared idempotent or read-only, `regional{region}` (bound to `Mcp-Param-Region`). Any tool
//! but `mirror` counts its execution if given a `nonce`, and says in `structuredContent` which
//! nonce it was, how often that ran and which fixture it is. The resources: `memo://hello` and
//! the template `memo://note/{id}`; the prompt: `greet{who}`, with completion.
//!
//! [`FixtureBuilder::asking`] adds tools that need something from the client first: `ask_elicit`,
//! `ask_sampling`, `ask_roots`, `ask_all`, `ask_twice`, `ask_url`, `ask_url_error`, `ask_state`,
//! `ask_forever`, all of them by `nonce`. [`FixtureBuilder::newsy`] adds `touch{uri}`, which says that
//! a resource was updated, `chatter{level,text}`, which logs, `grow{name}`, which adds a tool, and
//! `fate{nonce}`, which says whether a `sleep` was stopped.

mod ask;
mod builder;
mod catalogue;
mod checked;
pub mod command;
mod damage;
mod era;
mod fault;
mod http;
mod log;
mod message;
mod methods;
mod news;
mod state;
mod stdio;
mod tasks;
#[cfg(test)]
mod tests;
mod tls;
mod tools;

use std::net::SocketAddr;
use std::sync::Arc;

use serde_json::Value;

pub use self::builder::FixtureBuilder;
pub use self::era::{Era, LEGACY, MODERN, Wire};
pub use self::fault::{Fault, Rule};
pub use self::log::{Received, RequestLog};
pub use self::state::List;
pub use self::stdio::StdioFault;
pub use self::tls::{Authority, Certificate};

/// A running HTTP backend. Dropping it closes its connections and frees its port, and fails if the
/// router sent it what does not fit the schema of the revision spoken.
#[derive(Debug)]
pub struct Fixture {
    state: Arc<state::State>,
    door: http::Door,
}

impl Fixture {
    /// A backend with the built-in tools, speaking everything, on a free port.
    #[must_use]
    pub fn builder() -> FixtureBuilder {
        FixtureBuilder::default()
    }

    /// The MCP endpoint, for example `http://127.0.0.1:40001/mcp`.
    #[must_use]
    pub fn url(&self) -> String {
        let path = match self.state.settings.wire {
            Wire::Streamable => "/mcp",
            Wire::Sse => "/sse",
        };
        format!("{}{path}", self.base_url())
    }

    /// The endpoint without its path, for example `http://127.0.0.1:40001`.
    #[must_use]
    pub fn base_url(&self) -> String {
        let scheme = match self.state.tls() {
            Some(_) => "https",
            None => "http",
        };
        format!("{scheme}://{}", self.door.addr)
    }

    /// What reached this backend so far.
    #[must_use]
    pub fn log(&self) -> RequestLog {
        self.state.log.clone()
    }

    /// Adds a fault; the newest that fits a message strikes.
    pub fn set_fault(&self, rule: impl Into<Rule>) {
        self.state.faults.add(rule.into());
    }

    /// Ends all faults.
    pub fn clear_faults(&self) {
        self.state.faults.clear();
    }

    /// Refuses new connections and closes the open ones, as a stopped server does. Returns when all
    /// are closed: a request sent after that cannot get into one.
    pub async fn go_down(&self) {
        self.door.set_open(false).await;
        self.door.cut();
        self.door.until_closed().await;
    }

    /// Listens again, on the same port.
    pub async fn go_up(&self) {
        self.door.set_open(true).await;
    }

    /// Closes all open connections and goes on listening.
    pub fn cut_connections(&self) {
        self.door.cut();
    }

    /// Shows another certificate from now on, and closes all open connections.
    pub fn show(&self, authority: &Authority, certificate: Certificate) {
        let signed = authority.sign(certificate);
        *self.state.tls.lock().expect("no panic while holding it") = Some(signed);
        self.cut_connections();
    }

    /// Where it listens.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.door.addr
    }

    /// Forgets all sessions, as a restarted server does.
    pub fn forget_sessions(&self) {
        self.state.forget_sessions();
        self.state.wanted.forget();
    }

    /// Legacy sessions alive.
    #[must_use]
    pub fn open_sessions(&self) -> usize {
        self.state.open_sessions()
    }

    /// Adds an echoing tool and tells every listening client.
    pub fn add_tool(&self, name: &str) {
        self.edit(|catalogue| catalogue.tool(name));
        self.announce(List::Tools);
    }

    /// Adds or replaces a tool and tells every listening client.
    pub fn add_tool_definition(&self, definition: &Value) {
        self.edit(|catalogue| catalogue.tool_definition(definition));
        self.announce(List::Tools);
    }

    /// Removes a tool and tells every listening client.
    pub fn remove_tool(&self, name: &str) {
        self.edit(|catalogue| catalogue.tools.retain(|tool| tool.key != name));
        self.announce(List::Tools);
    }

    /// Adds a text resource and tells every listening client.
    pub fn add_resource(&self, uri: &str, name: &str) {
        self.edit(|catalogue| catalogue.resource(uri, name));
        self.announce(List::Resources);
    }

    /// Adds a prompt and tells every listening client.
    pub fn add_prompt(&self, name: &str) {
        self.edit(|catalogue| catalogue.prompt(name));
        self.announce(List::Prompts);
    }

    /// Sends `list_changed` without any change.
    pub fn announce(&self, list: List) {
        self.state.tell(news::News::List(list));
    }

    /// Tells everybody who subscribed to it that a resource was updated.
    pub fn announce_update(&self, uri: &str) {
        self.state.tell(news::News::Updated(uri.to_owned()));
    }

    /// Sends a log message outside any call, to legacy clients.
    pub fn announce_log(&self, level: &str, text: &str) {
        let news = news::News::Log(level.to_owned(), text.to_owned());
        self.state.tell(news);
    }

    /// The resources that legacy clients are subscribed to, sorted.
    #[must_use]
    pub fn subscribed(&self) -> Vec<String> {
        self.state.wanted.resources()
    }

    fn edit(&self, change: impl FnOnce(&mut catalogue::Catalogue)) {
        let mut catalogue = self
            .state
            .catalogue
            .write()
            .expect("no panic while listing");
        change(&mut catalogue);
    }
}

impl Drop for Fixture {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.state.log.assert_valid();
        }
    }
}

impl From<Fault> for Rule {
    fn from(fault: Fault) -> Self {
        Self::new(fault)
    }
}
