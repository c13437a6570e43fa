//! Acknowledgements of listen streams that share a channel with everything else.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use mcp_router_protocol::RawParams;
use mcp_router_protocol::params::meta;
use tokio::sync::oneshot;

/// Those that are waited for, by the id of their request.
#[derive(Debug, Default)]
pub(crate) struct Acks(Mutex<BTreeMap<u64, oneshot::Sender<RawParams>>>);

impl Acks {
    /// Waits for the acknowledgement of request `id`. Dropping the receiver ends that.
    pub(crate) fn expect(&self, id: u64) -> oneshot::Receiver<RawParams> {
        let (sender, receiver) = oneshot::channel();
        let mut waiting = self.lock();
        waiting.retain(|_, waiting| !waiting.is_closed());
        waiting.insert(id, sender);
        receiver
    }

    /// One has come. Those that nobody waits for say nothing new.
    pub(super) fn come(&self, params: RawParams) {
        let id = params.meta_value(meta::SUBSCRIPTION_ID);
        let id = id.and_then(|id| id.read::<u64>().ok());
        let waiting = id.and_then(|id| self.lock().remove(&id));
        if let Some(waiting) = waiting {
            // Its stream may have been dropped this very moment.
            let _ = waiting.send(params);
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<u64, oneshot::Sender<RawParams>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
