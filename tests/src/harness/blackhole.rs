//! An address whose connections neither come about nor fail.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::{TcpListener, TcpSocket, TcpStream};

/// Drops every SYN, as a firewall does, until it is dropped itself.
///
/// Linux drops them for a listener whose queue of connections that wait to be accepted is full.
#[derive(Debug)]
pub struct Blackhole {
    addr: SocketAddr,
    _listener: TcpListener,
    _queued: Vec<TcpStream>,
}

impl Blackhole {
    /// One on a free port of 127.0.0.1.
    ///
    /// # Panics
    /// If connections come about in spite of all.
    pub async fn new() -> Self {
        Self::at(SocketAddr::from(([127, 0, 0, 1], 0))).await
    }

    /// One at this address, where nobody listens any more.
    ///
    /// # Panics
    /// As [`Blackhole::new`], and if somebody does.
    pub async fn at(addr: SocketAddr) -> Self {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.set_reuseaddr(true).expect("a socket takes options");
        socket.bind(addr).expect("a free port");
        let listener = socket.listen(1).expect("a listener");
        let addr = listener.local_addr().expect("it is bound");
        let mut queued = Vec::new();
        // What is written down in `listen` is a hint: fill the queue until it shows.
        while queued.len() < 64 {
            let connecting = TcpStream::connect(addr);
            match tokio::time::timeout(Duration::from_millis(300), connecting).await {
                Ok(connected) => queued.push(connected.expect("a listener refuses nobody")),
                Err(_) => {
                    return Self {
                        addr,
                        _listener: listener,
                        _queued: queued,
                    };
                }
            }
        }
        panic!("the queue of {addr} is never full");
    }

    /// An MCP endpoint there.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}/mcp", self.addr)
    }
}
