//! A pretended outage: what losing a backend looks like, without losing one.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::StreamExt;
use mcp_router_service::{BackendEvent, BackendInfo, CallError, EventStream, Reason, Sent};
use tokio::sync::mpsc;
use tokio::time::Instant;

/// The outage of one backend. Clones are the same one.
#[derive(Clone)]
pub(super) struct Outage(Arc<Inner>);

struct Inner {
    until: Mutex<Option<Instant>>,
    events: mpsc::Sender<BackendEvent>,
    info: BackendInfo,
}

impl Outage {
    /// No outage yet; the stream tells of the connection, now and after every outage.
    pub(super) fn new(info: BackendInfo) -> (Self, EventStream) {
        let (events, receiver) = mpsc::channel(16);
        // There is room: nothing was sent yet.
        let _ = events.try_send(BackendEvent::Connected(info.clone()));
        let outage = Self(Arc::new(Inner {
            until: Mutex::new(None),
            events,
            info,
        }));
        let stream = futures::stream::unfold(receiver, |mut receiver| async {
            Some((receiver.recv().await?, receiver))
        });
        (outage, stream.boxed())
    }

    /// Whether the backend is away now.
    pub(super) fn is_on(&self) -> bool {
        self.until().is_some_and(|until| Instant::now() < until)
    }

    /// Goes away for `time`. A later outage replaces an earlier one.
    pub(super) fn begin(&self, time: Duration) {
        let until = Instant::now() + time;
        *self.until() = Some(until);
        let outage = self.clone();
        tokio::spawn(async move { outage.run(until, time).await });
    }

    async fn run(&self, until: Instant, time: Duration) {
        let error = CallError::new(Reason::ConnectFailed, Sent::No).detail("a pretended outage");
        let lost = BackendEvent::Lost {
            error,
            retry_in: time,
        };
        if self.0.events.send(lost).await.is_err() {
            return; // the router is gone
        }
        tokio::select! {
            () = tokio::time::sleep_until(until) => {}
            () = self.0.events.closed() => return,
        }
        if !self.is_on() {
            let back = BackendEvent::Connected(self.0.info.clone());
            // Nobody is left to tell if this fails.
            let _ = self.0.events.send(back).await;
        }
    }

    fn until(&self) -> MutexGuard<'_, Option<Instant>> {
        let until = &self.0.until;
        until.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
