//! The listener.

use std::io;
use std::net::SocketAddr;

use mcp_router_config::ServerConfig;
use tokio::net::{TcpListener, TcpSocket, lookup_host};

use super::RunError;

/// How many connections may wait to be accepted; the kernel takes less if `somaxconn` is lower.
/// With the 128 that `TcpListener::bind` asks for, a few hundred clients that connect at once
/// overflow it, and whose SYN is dropped tries again after a second.
const BACKLOG: u32 = 4096;

/// A bound socket and where it is.
pub(super) struct Listener {
    pub(super) socket: TcpListener,
    pub(super) addr: SocketAddr,
}

/// Binds the configured address. Without authentication, an address beyond this machine is worth
/// a warning.
pub(super) async fn listen(server: &ServerConfig) -> Result<Listener, RunError> {
    let bind_error = |source| RunError::Bind {
        address: address(&server.host, server.port),
        source,
    };
    let listener = bind(&server.host, server.port).await.map_err(bind_error)?;
    if !listener.addr.ip().is_loopback() {
        tracing::warn!(
            addr = %listener.addr,
            "listening beyond loopback without authentication: whoever reaches this address can \
             call every tool"
        );
        if server.allowed_hosts.is_empty() {
            tracing::warn!(
                "`server.allowed_hosts` is empty: requests by any other host name than the \
                 socket's own address are refused"
            );
        }
    }
    Ok(listener)
}

/// Takes the first address of the host that can be had.
async fn bind(host: &str, port: u16) -> io::Result<Listener> {
    let mut failed = None;
    for addr in lookup_host((host, port)).await? {
        match bind_one(addr) {
            Ok(listener) => return Ok(listener),
            Err(error) => failed = Some(error),
        }
    }
    Err(failed.unwrap_or_else(|| {
        io::Error::new(io::ErrorKind::AddrNotAvailable, "the host has no address")
    }))
}

fn bind_one(addr: SocketAddr) -> io::Result<Listener> {
    let socket = match addr {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    // A restarted router must not wait for the last one's connections to be forgotten.
    #[cfg(not(windows))]
    socket.set_reuseaddr(true)?;
    socket.bind(addr)?;
    let socket = socket.listen(BACKLOG)?;
    let addr = socket.local_addr()?;
    Ok(Listener { socket, addr })
}

fn address(host: &str, port: u16) -> String {
    if host.contains(':') {
        format!("[{host}]:{port}")
    } else {
        format!("{host}:{port}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A client that connects is in the queue until it is accepted; nobody accepts here.
    #[tokio::test]
    async fn hundreds_may_connect_at_once() {
        let listener = bind("127.0.0.1", 0).await.unwrap();
        let connect = (0..600).map(|_| tokio::net::TcpStream::connect(listener.addr));
        let connected = futures::future::try_join_all(connect);
        // With too short a queue the rest would wait for ever.
        let all = tokio::time::timeout(std::time::Duration::from_secs(30), connected).await;
        assert_eq!(all.expect("room for all").unwrap().len(), 600);
    }

    #[tokio::test]
    async fn a_taken_port_is_an_error_and_a_free_one_is_told() {
        let first = bind("127.0.0.1", 0).await.unwrap();
        assert_ne!(first.addr.port(), 0);
        let second = bind("127.0.0.1", first.addr.port()).await;
        assert_eq!(second.err().unwrap().kind(), io::ErrorKind::AddrInUse);
        assert_eq!(address("::1", 80), "[::1]:80");
        assert_eq!(address("localhost", 80), "localhost:80");
    }
}
