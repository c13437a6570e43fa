//! The listener.

use std::io;
use std::net::SocketAddr;

use mcp_router_config::ServerConfig;
use tokio::net::TcpListener;

use super::RunError;

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

async fn bind(host: &str, port: u16) -> io::Result<Listener> {
    let socket = TcpListener::bind((host, port)).await?;
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
