//! `mcp-router-http` as a child of the test.

use std::net::SocketAddr;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;
use tokio::process::{Child, Command};
use tokio::time::Instant;

use super::binary::binary;
use super::checked::assert_children_content;
use super::children::until;
use super::client::{HttpClient, Reply};
use super::legacy::LegacySession;
use super::logs::Logs;
use super::modern::ModernClient;
use super::process::{Usage, signal, usage};

/// How a router is to be started.
#[derive(Debug, Default)]
pub struct RouterBuilder {
    config: Option<String>,
    env: Vec<(String, String)>,
    args: Vec<String>,
    wrapper: Vec<String>,
}

impl RouterBuilder {
    /// The text of the configuration file.
    #[must_use]
    pub fn config(mut self, text: &str) -> Self {
        self.config = Some(text.to_owned());
        self
    }

    /// An environment variable. The test's own `MCP_*` and `RUST_LOG` are not inherited.
    #[must_use]
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.env.push((name.to_owned(), value.to_owned()));
        self
    }

    /// One more argument.
    #[must_use]
    pub fn arg(mut self, arg: &str) -> Self {
        self.args.push(arg.to_owned());
        self
    }

    /// A program (with arguments) that starts the router in its place, such as `taskset -c 0`. It
    /// must become the router by `exec`.
    #[must_use]
    pub fn wrapper(mut self, command: &[&str]) -> Self {
        self.wrapper = command.iter().map(|part| (*part).to_owned()).collect();
        self
    }

    /// The command for `program` with everything said here, its file in `folder`.
    pub(crate) fn command(&self, program: &str, folder: &TempDir) -> Command {
        let program = binary(program);
        let mut command = match self.wrapper.split_first() {
            Some((first, rest)) => {
                let mut command = Command::new(first);
                command.args(rest).arg(program);
                command
            }
            None => Command::new(program),
        };
        for (name, _) in std::env::vars_os() {
            let text = name.to_string_lossy();
            if text.starts_with("MCP_") || text.starts_with("OTEL_") || text == "RUST_LOG" {
                command.env_remove(&name);
            }
        }
        if let Some(text) = &self.config {
            let path = folder.path().join("backends.yaml");
            std::fs::write(&path, text).expect("a writable folder");
            command.arg("--config").arg(path);
        }
        command
            .args(["--log-format", "json"])
            .args(&self.args)
            .envs(self.env.iter().map(|(name, value)| (name, value)))
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        command
    }

    /// Starts `mcp-router-http` on a free port and waits until it listens.
    ///
    /// # Panics
    /// If it does not; its log is in the panic's text.
    pub async fn start(self) -> Router {
        let mut router = self.launch();
        let event = router.logs.event("listening").await;
        let addr = event["addr"].as_str().and_then(|addr| addr.parse().ok());
        router.addr = addr.unwrap_or_else(|| panic!("no address in {event}"));
        router
    }

    /// Starts `mcp-router-http` and waits for its end, for configurations that it must refuse.
    ///
    /// # Panics
    /// If it has not ended after 30 s.
    pub async fn fail(self) -> (ExitStatus, String) {
        let mut router = self.launch();
        let status = router.wait(Duration::from_secs(30)).await;
        (status, router.logs.text())
    }

    fn launch(self) -> Router {
        let folder = TempDir::new().expect("a temporary folder");
        let mut command = self.command("mcp-router-http", &folder);
        command.args(["--port", "0"]);
        let mut child = command.spawn().expect("the router starts");
        let pid = child.id().expect("it was not waited for");
        let logs = Logs::collect(child.stderr.take().expect("piped"));
        Router {
            stdout: Logs::collect(child.stdout.take().expect("piped")),
            child,
            pid,
            logs,
            folder,
            addr: SocketAddr::from(([127, 0, 0, 1], 0)),
        }
    }
}

/// A running `mcp-router-http`. Dropping it kills it.
#[derive(Debug)]
pub struct Router {
    child: Child,
    pid: u32,
    logs: Logs,
    stdout: Logs,
    folder: TempDir,
    addr: SocketAddr,
}

impl Drop for Router {
    fn drop(&mut self) {
        assert_children_content();
    }
}

impl Router {
    /// A router with nothing set.
    #[must_use]
    pub fn builder() -> RouterBuilder {
        RouterBuilder::default()
    }

    /// Starts a router with this configuration file.
    ///
    /// # Panics
    /// As [`RouterBuilder::start`].
    pub async fn start(config: &str) -> Self {
        Self::builder().config(config).start().await
    }

    /// Where it listens.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// A URL at this router.
    #[must_use]
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.addr)
    }

    /// Its process.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// What it logs.
    #[must_use]
    pub fn logs(&self) -> &Logs {
        &self.logs
    }

    /// What it writes to stdout.
    #[must_use]
    pub fn stdout(&self) -> &Logs {
        &self.stdout
    }

    /// What it and its children have used.
    #[must_use]
    pub fn usage(&self) -> Usage {
        usage(self.pid)
    }

    /// A raw client.
    #[must_use]
    pub fn client(&self) -> HttpClient {
        HttpClient::new(self.addr)
    }

    /// A new session of a legacy revision.
    pub async fn legacy_session(&self, revision: &str) -> LegacySession {
        LegacySession::open(self.addr, revision).await
    }

    /// A client of the stateless revision.
    #[must_use]
    pub fn modern(&self) -> ModernClient {
        ModernClient::new(self.addr)
    }

    /// What `/ready` says now.
    pub async fn ready(&self) -> Reply {
        self.client().get("/ready").await
    }

    /// Asks `/ready` until it is 200; how long that took.
    ///
    /// # Panics
    /// If it is not after 30 s.
    pub async fn until_ready(&self) -> Duration {
        let start = Instant::now();
        loop {
            let reply = self.ready().await;
            if reply.status == 200 {
                return start.elapsed();
            }
            assert!(
                start.elapsed() < Duration::from_secs(30),
                "not ready: {}",
                reply.text()
            );
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// The text of `/metrics`.
    pub async fn metrics(&self) -> String {
        self.client().get("/metrics").await.text()
    }

    /// The value of one series in `/metrics`, written as there, for example `up{backend="a"}`.
    pub async fn metric(&self, series: &str) -> Option<f64> {
        let metrics = self.metrics().await;
        let line = metrics.lines().find_map(|line| line.strip_prefix(series))?;
        line.split_whitespace().next()?.parse().ok()
    }

    /// What the management tool `list_backends` says about one backend.
    ///
    /// # Panics
    /// If the router has no such backend.
    pub async fn backend(&self, name: &str) -> Value {
        let answer = self
            .modern()
            .call("list_backends", serde_json::json!({}))
            .await;
        let list = answer["result"]["structuredContent"]["result"].as_array();
        let found = list.into_iter().flatten().find(|b| b["name"] == name);
        found
            .cloned()
            .unwrap_or_else(|| panic!("no backend {name} in {answer}"))
    }

    /// Waits until `list_backends` shows this backend as healthy.
    ///
    /// # Panics
    /// If it does not within 30 s.
    pub async fn until_healthy(&self, name: &str) {
        let what = format!("{name} is healthy");
        until(&what, async || self.backend(name).await["healthy"] == true).await;
    }

    /// Waits until `list_backends` shows this backend as not healthy.
    ///
    /// # Panics
    /// If it does not within 30 s.
    pub async fn until_down(&self, name: &str) {
        let what = format!("{name} is down");
        until(&what, async || self.backend(name).await["healthy"] == false).await;
    }

    /// Replaces the configuration file, as an editor does: beside it, then by renaming.
    ///
    /// # Panics
    /// If that cannot be done.
    pub fn rewrite_config(&self, text: &str) {
        let new = self.folder.path().join("backends.yaml.new");
        std::fs::write(&new, text).expect("a writable folder");
        std::fs::rename(&new, self.folder.path().join("backends.yaml")).expect("a rename");
    }

    /// Sends a signal such as `TERM` or `HUP`.
    pub fn signal(&self, name: &str) {
        signal(self.pid, name);
    }

    /// Waits for its end.
    ///
    /// # Panics
    /// If it has not ended within `limit`.
    pub async fn wait(&mut self, limit: Duration) -> ExitStatus {
        match tokio::time::timeout(limit, self.child.wait()).await {
            Ok(status) => {
                self.logs.ended().await;
                status.expect("a child can be waited for")
            }
            Err(_) => panic!(
                "still running after {limit:?}; the log:\n{}",
                self.logs.text()
            ),
        }
    }
}
