//! The program that is counted: built, started, called, ended.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, ChildStdin, Command};

use crate::bench::load::Load;
use crate::bench::process::sample;
use crate::harness::ModernClient;

/// How to start it, and how to load it.
#[derive(Clone, Debug)]
pub(super) struct Stack {
    pub(super) program: PathBuf,
    pub(super) backend: String,
    /// `off`, `silent` or `on`.
    pub(super) layers: &'static str,
    pub(super) log: &'static str,
    pub(super) connections: usize,
}

/// `examples/stack.rs` as a program, built in the profile of this one.
pub(super) fn path() -> PathBuf {
    let own = std::env::current_exe().expect("the path of this program");
    let folder = own.parent().expect("a program is in a folder");
    let profile = match folder.file_name().and_then(|name| name.to_str()) {
        Some("debug") | None => "dev",
        Some(profile) => profile,
    };
    let target = folder.parent().expect("cargo's layout");
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let status = std::process::Command::new(cargo)
        .args(["build", "--quiet", "--profile", profile, "--target-dir"])
        .arg(target)
        .args(["-p", "mcp-router-tests", "--example", "stack"])
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(".."))
        .status()
        .expect("cargo runs");
    assert!(status.success(), "the example `stack` does not build");
    folder.join("examples").join("stack")
}

/// A running one. It ends with this value.
pub(super) struct Running<'a> {
    stack: &'a Stack,
    addr: SocketAddr,
    child: Child,
    stdin: ChildStdin,
}

impl<'a> Running<'a> {
    /// Starts it, by the program and arguments in `wrapper` if there are any, and waits until it
    /// lists the backend's tools.
    pub(super) async fn start(stack: &'a Stack, wrapper: &[&str]) -> Self {
        let mut command = match wrapper.split_first() {
            Some((first, rest)) => {
                let mut command = Command::new(first);
                command.args(rest).arg(&stack.program);
                command
            }
            None => Command::new(&stack.program),
        };
        command
            .args(["--backend", &stack.backend, "--layers", stack.layers])
            .args(["--log", stack.log])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true);
        let mut child = command.spawn().expect("the stack starts");
        let stdin = child.stdin.take().expect("piped");
        let stdout = child.stdout.take().expect("piped");
        let line = BufReader::new(stdout).lines().next_line().await;
        let addr = line.ok().flatten().and_then(|line| line.parse().ok());
        let running = Self {
            stack,
            addr: addr.expect("the stack says where it listens"),
            child,
            stdin,
        };
        running.until_listed().await;
        running
    }

    async fn until_listed(&self) {
        let client = ModernClient::new(self.addr);
        for _ in 0..600 {
            let list = client.request("tools/list", serde_json::json!({})).await;
            if list["result"]["tools"].to_string().contains("bench.echo") {
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("the stack does not list the backend's tools");
    }

    /// Its process.
    pub(super) fn pid(&self) -> u32 {
        self.child.id().expect("it was not waited for")
    }

    /// Sends it so many calls.
    pub(super) async fn serve(&self, calls: u64) {
        let load = Load {
            calls,
            connections: self.stack.connections,
            warm_ms: 0,
            run_ms: 300_000,
            ..Load::new(self.addr, vec!["bench.echo".to_owned()])
        };
        let figures = sample(&load, None).await.load;
        assert!(
            figures.requests == calls && figures.errors == 0,
            "not every call was answered well: {figures:?}"
        );
    }

    /// Ends it in good order, so that whoever counts can tell.
    pub(super) async fn end(mut self) {
        drop(self.stdin);
        let ended = tokio::time::timeout(Duration::from_secs(30), self.child.wait()).await;
        assert!(ended.is_ok(), "the stack does not end");
    }
}
