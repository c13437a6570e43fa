//! Servers that this program itself is: the plain forwarder, and the one that only writes.

use std::net::SocketAddr;
use std::process::Stdio;

use tokio::process::{Child, Command};

use super::spawn;
use crate::bench::machine;

/// This program as a server on core 0. Dropping it kills it.
#[derive(Debug)]
pub(in crate::bench) struct OwnServer {
    pub(in crate::bench) addr: SocketAddr,
    pub(in crate::bench) pid: u32,
    _child: Child,
}

impl OwnServer {
    /// Starts it with these arguments; it prints where it listens.
    pub(in crate::bench) async fn start(args: &[&str]) -> Self {
        let program = std::env::current_exe().expect("the path of this program");
        let mut command = match machine::on_core_0().split_first() {
            Some((first, rest)) => {
                let mut command = Command::new(first);
                command.args(rest).arg(program);
                command
            }
            None => Command::new(program),
        };
        command.args(args).stdin(Stdio::null());
        let (child, mut lines) = spawn(command);
        let line = lines.next_line().await.ok().flatten();
        Self {
            addr: line
                .and_then(|line| line.parse().ok())
                .expect("it says where it listens"),
            pid: child.id().expect("it was not waited for"),
            _child: child,
        }
    }
}
