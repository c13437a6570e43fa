//! nginx, to compare with.

use std::net::SocketAddr;
use std::process::Stdio;
use std::time::Duration;

use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio::process::{Child, Command};

use super::free_addr;
use crate::bench::machine;

/// nginx as a plain reverse proxy on core 0, one worker, upstream connections kept.
#[derive(Debug)]
pub(in crate::bench) struct Nginx {
    pub(in crate::bench) addr: SocketAddr,
    pub(in crate::bench) pid: u32,
    _child: Child,
    _folder: TempDir,
}

impl Nginx {
    /// Starts it in front of `backend`; `None` if there is no nginx.
    pub(in crate::bench) async fn start(backend: SocketAddr) -> Option<Self> {
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
