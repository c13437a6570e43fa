//! The processes that are measured: backend, proxy, load generator.

mod cpu;
mod logged;
mod nginx;
mod own;

use std::net::SocketAddr;
use std::process::Stdio;

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use self::cpu::CpuTime;
pub(super) use self::logged::Logged;
pub(super) use self::nginx::Nginx;
pub(super) use self::own::OwnServer;
use super::load::{Figures, Load, STARTED};
use super::machine;
use crate::harness::{Router, usage};

/// Backends in a process of their own. They end with this value.
#[derive(Debug)]
pub(super) struct Backends {
    /// Their MCP endpoints.
    pub(super) urls: Vec<String>,
    _stdin: ChildStdin,
    _child: Child,
}

impl Backends {
    /// Starts backends as the arguments of `fixture http` say.
    pub(super) async fn start(args: &[&str]) -> Self {
        let mut command = own_program(&["fixture", "http", "--no-log"]);
        command.args(args).stdin(Stdio::piped());
        let (mut child, mut lines) = spawn(command);
        let hello = lines.next_line().await.ok().flatten();
        let hello: Value = hello
            .and_then(|line| serde_json::from_str(&line).ok())
            .expect("the fixture says where it listens");
        let urls = hello["urls"].as_array().into_iter().flatten();
        Self {
            urls: urls.filter_map(Value::as_str).map(str::to_owned).collect(),
            _stdin: child.stdin.take().expect("piped"),
            _child: child,
        }
    }

    /// Where the first one listens.
    pub(super) fn addr(&self) -> SocketAddr {
        let authority = self.urls[0].trim_start_matches("http://");
        let authority = authority.split('/').next().unwrap_or_default();
        authority
            .parse()
            .expect("the fixture prints socket addresses")
    }
}

/// Starts the router on core 0 with this `RUST_LOG`, which must leave the line that names the
/// address on.
pub(super) async fn start_router(config: &str, log: &str) -> Router {
    Router::builder()
        .config(config)
        .env("RUST_LOG", log)
        .wrapper(machine::on_core_0())
        .start()
        .await
}

/// `RUST_LOG` without the request log, to compare with a proxy whose access log is off.
pub(super) const QUIET: &str = "warn,mcp_router_app=info";

/// A port that is free now; whoever uses it has to be quick.
fn free_addr() -> SocketAddr {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener
        .local_addr()
        .expect("a bound socket has an address")
}

/// What a load did to a process.
#[derive(Clone, Debug, Default)]
pub(super) struct Sample {
    pub(super) load: Figures,
    /// CPU time of the measured process tree per request, microseconds.
    pub(super) cpu_us: f64,
    /// Its highest memory so far, bytes.
    pub(super) peak: u64,
}

/// Puts `load` on a target and measures the process tree of `pid` meanwhile.
pub(super) async fn sample(load: &Load, pid: Option<u32>) -> Sample {
    let (mut child, mut lines) = spawn(load_command(load));
    let mut next = async || lines.next_line().await.ok().flatten();
    let started = next().await;
    assert_eq!(
        started.as_deref(),
        Some(STARTED),
        "the load generator starts"
    );
    let before = pid.map(CpuTime::of);
    let figures = next().await;
    let after = pid.map(CpuTime::of);
    let peak = pid.map_or(0, |pid| usage(pid).peak_rss);
    let load: Figures = figures
        .and_then(|line| serde_json::from_str(&line).ok())
        .expect("the load generator prints its figures");
    let _ = child.wait().await;
    let spent = after
        .zip(before)
        .map(|(after, before)| after.since(&before));
    let cpu = spent.unwrap_or_default().as_secs_f64() * 1e6;
    #[expect(clippy::cast_precision_loss, reason = "counts of requests are small")]
    let requests = load.requests.max(1) as f64;
    Sample {
        load,
        cpu_us: cpu / requests,
        peak,
    }
}

/// Runs this program with these arguments where it takes the least time from the others, and gives
/// the line that it prints at its end.
pub(super) async fn in_background(args: &[&str]) -> String {
    let mut parts = machine::as_usual().iter().chain(&["nice", "-n", "19"]);
    let mut command = Command::new(parts.next().expect("one at least"));
    command
        .args(parts)
        .arg(std::env::current_exe().expect("the path of this program"))
        .args(args)
        .stdin(Stdio::null());
    let (mut child, mut lines) = spawn(command);
    let line = lines.next_line().await.ok().flatten();
    let _ = child.wait().await;
    line.expect("the program prints what it has to tell")
}

fn load_command(load: &Load) -> Command {
    let text = serde_json::to_string(load).expect("a load is JSON");
    let mut command = own_program(&["load", &text]);
    command.stdin(Stdio::null());
    command
}

fn own_program(args: &[&str]) -> Command {
    let mut command = Command::new(std::env::current_exe().expect("the path of this program"));
    command.args(args);
    command
}

fn spawn(mut command: Command) -> (Child, Lines<BufReader<ChildStdout>>) {
    let mut child = command
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("this program can be started again");
    let stdout = child.stdout.take().expect("piped");
    (child, BufReader::new(stdout).lines())
}
