//! The real binaries, started as a user starts them, and clients that can misbehave.
//!
//! What the router promises is promised of the programs, not of functions. So the tests start
//! `mcp-router-http` and `mcp-router-stdio` with a file and an environment, speak to them through
//! sockets and pipes, and watch log, exit code and `/proc`. The clients here are raw on purpose:
//! a test of a wrong header must be able to send one.
//!
//! ```no_run
//! use mcp_router_tests::fixture::Fixture;
//! use mcp_router_tests::harness::{Router, config};
//! use serde_json::json;
//!
//! # async fn test() {
//! let backend = Fixture::builder().spawn().await;
//! let router = Router::start(&config([("a", backend.url())])).await;
//! router.until_ready().await;
//! let session = router.legacy_session("2025-11-25").await;
//! let result = session.call("a.add", json!({"a": 1, "b": 2})).await;
//! assert_eq!(result["result"]["content"][0]["text"], "3");
//! # }
//! ```
//!
//! The binaries are brought up to date with `cargo build` once per test program, in the profile of
//! that program. `MCP_ROUTER_BIN_DIR` names a folder with ready ones instead.

mod balancer;
mod binary;
mod blackhole;
mod checked;
mod children;
mod client;
mod legacy;
mod logs;
mod modern;
mod oracle;
mod process;
mod raw;
mod router;
mod scene;
mod sse;
mod stdio;
mod talk;

use std::fmt::Write as _;

use serde_json::Value;

pub use self::balancer::Balancer;
pub use self::binary::{binary, fixture_program};
pub use self::blackhole::Blackhole;
pub use self::children::{ChildLog, until};
pub use self::client::{BoxError, HttpClient, Reply, Streaming};
pub use self::legacy::LegacySession;
pub use self::logs::Logs;
pub use self::modern::{ModernClient, modern_params};
pub use self::oracle::{Baseline, Fate, Seen, failure};
pub use self::process::{Usage, alive, descendants, signal, usage};
pub use self::raw::exchange;
pub use self::router::{Router, RouterBuilder};
pub use self::scene::{Scene, text};
pub use self::sse::{SseEvent, SseReader};
pub use self::stdio::StdioRouter;
pub use self::talk::{Talk, again, agreeable, everything};

/// A configuration file with these backends, each under a namespace of its own name, health
/// checks left at their defaults.
#[must_use]
pub fn config<N: AsRef<str>, U: AsRef<str>>(backends: impl IntoIterator<Item = (N, U)>) -> String {
    let mut text = String::from("backends:\n");
    for (name, url) in backends {
        let (name, url) = (name.as_ref(), url.as_ref());
        let _ = writeln!(
            text,
            "  - {{ name: {name}, namespace: {name}, url: \"{url}\" }}"
        );
    }
    text
}

/// One more entry for [`config`]: the fixture as a child process, started with these arguments of
/// `fixture stdio`, under a namespace of its own name.
#[must_use]
pub fn child_entry(name: &str, args: &[&str]) -> String {
    let program = Value::from(fixture_program().to_string_lossy());
    let checks = checked::child_args();
    let args: Vec<_> = std::iter::once("stdio")
        .chain(args.iter().copied())
        .chain(checks.iter().map(String::as_str))
        .collect();
    let args = Value::from(args);
    // JSON is YAML, quotes and all.
    format!("  - {{ name: {name}, namespace: {name}, command: {program}, args: {args} }}\n")
}
