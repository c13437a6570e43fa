//! The router as it runs in life: its log goes to a file.

use std::fs::File;
use std::net::SocketAddr;
use std::process::Stdio;
use std::time::Duration;

use serde_json::json;
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio::process::Child;
use tokio::time::Instant;

use super::cpu::CpuTime;
use super::free_addr;
use crate::bench::machine;
use crate::harness::{LegacySession, ModernClient, Router};

/// How long a router may take for what it has to do.
const PATIENCE: Duration = Duration::from_secs(30);

/// A running router on core 0, whose log nobody reads. Dropping it kills it.
#[derive(Debug)]
pub(in crate::bench) struct Logged {
    pub(in crate::bench) addr: SocketAddr,
    pub(in crate::bench) pid: u32,
    /// When it was started.
    pub(in crate::bench) since: Instant,
    _child: Child,
    _folders: [TempDir; 2],
}

impl Logged {
    /// Starts it with this configuration file and this `RUST_LOG`. It need not listen yet.
    pub(in crate::bench) fn launch(config: &str, log: &str) -> Self {
        // The configuration's folder is watched: a log that is written there is news, too.
        let [folder, logs] = [(); 2].map(|()| TempDir::new().expect("a temporary folder"));
        let file = File::create(logs.path().join("log")).expect("a writable folder");
        let addr = free_addr();
        let mut command = Router::builder()
            .config(config)
            .env("RUST_LOG", log)
            .wrapper(machine::on_core_0())
            .command("mcp-router-http", &folder);
        command
            .args(["--port", &addr.port().to_string()])
            .stdout(Stdio::null())
            .stderr(file);
        let since = Instant::now();
        let child = command.spawn().expect("the router starts");
        Self {
            addr,
            pid: child.id().expect("it was not waited for"),
            since,
            _child: child,
            _folders: [folder, logs],
        }
    }

    /// Starts it and waits until it lists the tools of these namespaces.
    pub(in crate::bench) async fn start(config: &str, log: &str, namespaces: &[&str]) -> Self {
        let router = Self::launch(config, log);
        router.until_open().await;
        router.until_listed(namespaces).await;
        router
    }

    /// Waits until its port is open; how long after the start that was.
    pub(in crate::bench) async fn until_open(&self) -> Duration {
        while TcpStream::connect(self.addr).await.is_err() {
            self.patience("the port is closed");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        self.since.elapsed()
    }

    /// Waits until it lists the tools of these namespaces; how long after the start that was.
    pub(in crate::bench) async fn until_listed(&self, namespaces: &[&str]) -> Duration {
        let client = ModernClient::new(self.addr);
        loop {
            let reply = client.post("tools/list", json!({})).await;
            let took = self.since.elapsed();
            let text = reply.text();
            if namespaces
                .iter()
                .all(|name| text.contains(&format!("\"{name}.echo\"")))
            {
                return took;
            }
            self.patience("not every backend is listed");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    fn patience(&self, trouble: &str) {
        assert!(self.since.elapsed() < PATIENCE, "{trouble}");
    }

    /// CPU time that it and its children have used so far.
    pub(in crate::bench) fn cpu(&self) -> Duration {
        CpuTime::of(self.pid).since(&CpuTime::default())
    }

    /// A new session.
    pub(in crate::bench) async fn session(&self) -> LegacySession {
        LegacySession::open(self.addr, "2025-11-25").await
    }
}
