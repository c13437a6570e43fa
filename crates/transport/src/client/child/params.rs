//! What a child process is started with.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use mcp_router_protocol::BackendName;
use secrecy::SecretString;

use crate::client::Identity;
use crate::client::backoff::BackoffParams;

/// How to start one child process, and within which limits. Take [`new`](Self::new) and change
/// what differs.
#[derive(Clone)]
pub struct ChildParams {
    /// The backend, for logs.
    pub name: BackendName,
    /// The program, found by the `PATH` that the child gets. No shell is ever involved.
    pub command: String,
    /// Its arguments, each passed as it is.
    pub args: Vec<String>,
    /// Set in its environment, beside `PATH`, `HOME`, `LANG` and `TMPDIR` of the router's own,
    /// which these may replace. Nothing else of the router's environment reaches the child.
    pub env: Vec<(String, SecretString)>,
    /// Where it runs; the router's own directory if absent.
    pub cwd: Option<PathBuf>,
    /// Longest line on its standard output, in bytes. A longer one ends the child.
    pub line_limit: usize,
    /// Messages that wait to be written, at most. Further ones are refused as overloaded.
    pub write_queue: usize,
    /// How long the child may keep silent to `server/discover` before `initialize` is tried.
    pub probe_timeout: Duration,
    /// How long `initialize` may take. Package runners download first.
    pub handshake_timeout: Duration,
    /// How long a child may take to end after its standard input was closed, and again after
    /// SIGTERM, before it is killed.
    pub stop_timeout: Duration,
    /// Waits between restarts.
    pub backoff: BackoffParams,
    /// After this time up, the next restart waits as briefly as the first.
    pub stable_after: Duration,
    /// Lines of standard error logged per second; what is beyond is counted.
    pub stderr_lines_per_second: u32,
    /// Start at the first call, not at once; and stop after [`idle_after`](Self::idle_after).
    pub lazy: bool,
    /// How long a lazy child lives without a call.
    pub idle_after: Duration,
    /// A process of its own for each client session, at most so many at once; `None`: one for all.
    /// There is one for the router's own questions, and for clients without sessions, in any case.
    pub processes_for_clients: Option<usize>,
    /// Who the router says it is.
    pub identity: Identity,
}

impl ChildParams {
    /// Processes for single clients that are enough for most, for whoever wants them.
    pub const MOST_PROCESSES: usize = 16;

    /// Parameters for `command` with every limit at its default.
    pub fn new(name: BackendName, command: impl Into<String>) -> Self {
        Self {
            name,
            command: command.into(),
            args: Vec::new(),
            env: Vec::new(),
            cwd: None,
            line_limit: 16 << 20,
            write_queue: 64,
            probe_timeout: Duration::from_secs(10),
            handshake_timeout: Duration::from_secs(120),
            stop_timeout: Duration::from_secs(5),
            backoff: BackoffParams::default(),
            stable_after: Duration::from_secs(60),
            stderr_lines_per_second: 100,
            lazy: false,
            idle_after: Duration::from_secs(300),
            processes_for_clients: None,
            identity: Identity::default(),
        }
    }
}

impl fmt::Debug for ChildParams {
    /// Without arguments and values: they hold credentials.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let keys: Vec<_> = self.env.iter().map(|(key, _)| key).collect();
        f.debug_struct("ChildParams")
            .field("name", &self.name)
            .field("command", &self.command)
            .field("args", &self.args.len())
            .field("env", &keys)
            .field("cwd", &self.cwd)
            .finish_non_exhaustive()
    }
}
