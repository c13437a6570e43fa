//! What the operating system tells the process.

use std::io;
use std::sync::Arc;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::Notify;

/// The signals that mean something here, from the moment this exists.
pub(super) struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
    hung_up: Arc<Notify>,
}

impl Signals {
    /// Takes the signals over. Call it before anything that must be stopped in an orderly way.
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hang_up: signal(SignalKind::hangup())?,
            hung_up: Arc::default(),
        })
    }

    /// Told of each SIGHUP, while somebody waits for [`stop`](Self::stop).
    pub(super) fn hung_up(&self) -> Arc<Notify> {
        self.hung_up.clone()
    }

    /// Resolves with the name of the next signal that asks to stop. Safe to drop.
    pub(super) async fn stop(&mut self) -> &'static str {
        loop {
            tokio::select! {
                _ = self.terminate.recv() => return "SIGTERM",
                _ = self.interrupt.recv() => return "SIGINT",
                _ = self.hang_up.recv() => {
                    tracing::info!("SIGHUP");
                    self.hung_up.notify_one();
                }
            }
        }
    }
}
