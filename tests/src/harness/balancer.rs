//! What stands in front of replicas: connections in turn, no look at what is in them.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::task::AbortOnDropHandle;

use super::{HttpClient, LegacySession, ModernClient};

/// A plain TCP balancer. The next connection goes to the next replica; one that refuses is passed
/// over. Dropping it closes its port.
#[derive(Debug)]
pub struct Balancer {
    addr: SocketAddr,
    _accepting: AbortOnDropHandle<()>,
}

impl Balancer {
    /// In front of these addresses, on a free port of 127.0.0.1.
    ///
    /// # Panics
    /// If there is none.
    pub async fn new(replicas: impl IntoIterator<Item = SocketAddr>) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await;
        let listener = listener.expect("a free port");
        let addr = listener.local_addr().expect("it is bound");
        let replicas: Arc<[SocketAddr]> = replicas.into_iter().collect();
        let next = Arc::new(AtomicUsize::new(0));
        let accepting = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(pass(client, replicas.clone(), next.clone()));
            }
        });
        Self {
            addr,
            _accepting: AbortOnDropHandle::new(accepting),
        }
    }

    /// A raw client.
    #[must_use]
    pub fn client(&self) -> HttpClient {
        HttpClient::new(self.addr)
    }

    /// A client of the stateless revision.
    #[must_use]
    pub fn modern(&self) -> ModernClient {
        ModernClient::new(self.addr)
    }

    /// Where it listens.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// A new session of a legacy revision.
    pub async fn legacy_session(&self, revision: &str) -> LegacySession {
        LegacySession::open(self.addr, revision).await
    }
}

async fn pass(mut client: TcpStream, replicas: Arc<[SocketAddr]>, next: Arc<AtomicUsize>) {
    let first = next.fetch_add(1, Ordering::Relaxed);
    for turn in 0..replicas.len() {
        let replica = replicas[(first + turn) % replicas.len()];
        if let Ok(mut server) = TcpStream::connect(replica).await {
            // A connection that breaks is for both ends to notice.
            let _ = copy_bidirectional(&mut client, &mut server).await;
            return;
        }
    }
}
