//! The processes that are measured: backend, proxy, load generator.

use std::net::SocketAddr;
use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::net::TcpStream;
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use super::load::{Figures, Load, STARTED};
use super::machine;
use crate::harness::{Router, Usage, usage};

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

/// nginx as a plain reverse proxy on core 0, one worker, upstream connections kept.
#[derive(Debug)]
pub(super) struct Nginx {
    pub(super) addr: SocketAddr,
    pub(super) pid: u32,
    _child: Child,
    _folder: TempDir,
}

impl Nginx {
    /// Starts it in front of `backend`; `None` if there is no nginx.
    pub(super) async fn start(backend: SocketAddr) -> Option<Self> {
        machine::nginx_version()?;
        let folder = TempDir::new().expect("a temporary folder");
        let addr = free_addr();
        let config = nginx_config(addr, backend);
        std::fs::write(folder.path().join("nginx.conf"), config).expect("a writable folder");
        let mut command = match machine::on_core_0().split_first() {
            Some((first, rest)) => {
                let mut command = Command::new(first);
                command.args(rest).arg("nginx");
                command
            }
            None => Command::new("nginx"),
        };
        command
            .arg("-p")
            .arg(folder.path())
            .args(["-c", "nginx.conf"]);
        command.stdin(Stdio::null()).kill_on_drop(true);
        let child = command.spawn().expect("nginx starts");
        until_listening(addr).await;
        Some(Self {
            addr,
            pid: child.id().expect("it was not waited for"),
            _child: child,
            _folder: folder,
        })
    }
}

/// A port that is free now; whoever uses it has to be quick.
fn free_addr() -> SocketAddr {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener
        .local_addr()
        .expect("a bound socket has an address")
}

async fn until_listening(addr: SocketAddr) {
    for _ in 0..500 {
        if TcpStream::connect(addr).await.is_ok() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("nothing listens at {addr}");
}

fn nginx_config(addr: SocketAddr, backend: SocketAddr) -> String {
    // Buffers hold the largest body, so that no byte of it goes through a file.
    format!(
        "daemon off; master_process off; pid nginx.pid; error_log stderr crit;
events {{ worker_connections 1024; }}
http {{
  access_log off; client_max_body_size 8m; client_body_buffer_size 4m;
  client_body_temp_path b; proxy_temp_path p; fastcgi_temp_path f;
  uwsgi_temp_path u; scgi_temp_path s;
  keepalive_requests 100000000;
  upstream backend {{ server {backend}; keepalive 128; keepalive_requests 100000000; }}
  server {{
    listen {addr};
    location / {{
      proxy_pass http://backend; proxy_http_version 1.1; proxy_set_header Connection '';
      proxy_buffers 64 64k; proxy_buffer_size 64k; proxy_busy_buffers_size 128k;
    }}
  }}
}}
"
    )
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
    let before = pid.map(usage).unwrap_or_default();
    let figures = next().await;
    let after: Usage = pid.map(usage).unwrap_or_default();
    let load: Figures = figures
        .and_then(|line| serde_json::from_str(&line).ok())
        .expect("the load generator prints its figures");
    let _ = child.wait().await;
    let cpu = after.cpu.saturating_sub(before.cpu).as_secs_f64() * 1e6;
    #[expect(clippy::cast_precision_loss, reason = "counts of requests are small")]
    let requests = load.requests.max(1) as f64;
    Sample {
        load,
        cpu_us: cpu / requests,
        peak: after.peak_rss,
    }
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
