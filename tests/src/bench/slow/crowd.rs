//! Clients that never finish their first request.

use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use clap::Args;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout};

use super::CUT;
use crate::bench::table::print;

/// What it takes to see that they are gone with twenty thousand timers.
const OBSERVED: Duration = Duration::from_secs(3);

/// Half a head, so that the router is not told what it is waited for.
const BEGUN: &[u8] = b"POST /mcp HTTP/1.1\r\nHost: localhost\r\nX-Slow: ";

/// The hidden command that is the crowd.
#[derive(Args, Clone, Debug)]
pub(in crate::bench) struct CrowdCommand {
    /// Where to connect
    addr: SocketAddr,
    /// How many
    clients: usize,
}

/// What became of the slow clients.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize)]
pub(super) struct Fates {
    pub(super) connected: usize,
    pub(super) cut: usize,
    /// Cut later than they may be, or not at all.
    pub(super) late: usize,
}

/// The same, counted by many.
#[derive(Debug, Default)]
struct Count {
    connected: AtomicUsize,
    cut: AtomicUsize,
    late: AtomicUsize,
}

impl CrowdCommand {
    /// Connects all of them, waits until they are cut and prints what became of them as JSON.
    pub(in crate::bench) fn run(self) -> ExitCode {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        let fates = runtime.block_on(crowd(self.addr, self.clients));
        print(&serde_json::to_string(&fates).expect("counts are JSON"));
        ExitCode::SUCCESS
    }
}

/// All slow clients, from their connections to the end of the last one.
async fn crowd(addr: SocketAddr, clients: usize) -> Fates {
    let count = Arc::new(Count::default());
    // Connections that come faster than they are accepted are lost and tried again by the kernel
    // a second later, which measures the kernel.
    let connecting = Arc::new(Semaphore::new(100));
    let tasks: Vec<_> = (0..clients)
        .map(|_| {
            let (count, connecting) = (Arc::clone(&count), Arc::clone(&connecting));
            tokio::spawn(async move {
                let permit = connecting.acquire_owned().await;
                let connected = timeout(CUT, TcpStream::connect(addr)).await;
                drop(permit);
                if let Ok(Ok(stream)) = connected {
                    count.connected.fetch_add(1, Ordering::Relaxed);
                    drip(stream, &count).await;
                }
            })
        })
        .collect();
    for task in tasks {
        let _ = task.await;
    }
    Fates {
        connected: count.connected.load(Ordering::Relaxed),
        cut: count.cut.load(Ordering::Relaxed),
        late: count.late.load(Ordering::Relaxed),
    }
}

/// Half a head, and then a byte a second until the router has had enough.
async fn drip(mut stream: TcpStream, count: &Count) {
    let (start, mut cut) = (Instant::now(), false);
    let _ = stream.write_all(BEGUN).await;
    let mut heard = [0; 512];
    while !cut && start.elapsed() < 3 * CUT {
        // Closed, reset, or told that it took too long.
        cut = match timeout(Duration::from_secs(1), stream.read(&mut heard)).await {
            Ok(_) => true,
            Err(_) => stream.write_all(b"x").await.is_err(),
        };
    }
    count.cut.fetch_add(usize::from(cut), Ordering::Relaxed);
    if start.elapsed() > CUT + OBSERVED {
        count.late.fetch_add(1, Ordering::Relaxed);
    }
}
