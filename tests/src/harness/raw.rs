//! Bytes on a socket, for requests that no HTTP library would send.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Writes `bytes` to a new connection and gives what comes back until the peer closes or `limit`
/// has passed. A connection that is reset ends the answer like one that is closed.
///
/// # Panics
/// If the connection is refused.
pub async fn exchange(addr: SocketAddr, bytes: &[u8], limit: Duration) -> Vec<u8> {
    let mut stream = TcpStream::connect(addr).await.expect("a listener");
    // A peer that refuses early may close before it has read everything.
    let _ = stream.write_all(bytes).await;
    let mut answer = Vec::new();
    let _ = tokio::time::timeout(limit, stream.read_to_end(&mut answer)).await;
    answer
}
