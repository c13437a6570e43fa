//! The requests of one client that are in flight, by the id the client gave them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use mcp_router_observe::dropped::{self, Reason as Dropped};
use mcp_router_protocol::{RawParams, RequestId};
use tokio_util::sync::CancellationToken;

type Table = HashMap<RequestId, CancellationToken>;

/// In-flight requests. The lock is the client's own, held for one look-up.
#[derive(Clone, Debug, Default)]
pub(crate) struct Calls(Arc<Mutex<Table>>);

/// A request in flight; dropping it takes it off the table.
#[derive(Debug)]
pub(crate) struct Ticket {
    calls: Calls,
    id: RequestId,
    /// Fires when the client cancels.
    pub(crate) cancelled: CancellationToken,
}

impl Calls {
    /// Enters a request; `None` if its id is in flight already (B8).
    pub(crate) fn enter(&self, id: &RequestId) -> Option<Ticket> {
        let cancelled = CancellationToken::new();
        let mut table = self.lock();
        if table.contains_key(id) {
            return None;
        }
        table.insert(id.clone(), cancelled.clone());
        drop(table);
        Some(Ticket {
            calls: self.clone(),
            id: id.clone(),
            cancelled,
        })
    }

    /// Obeys `notifications/cancelled`. One that names nothing in flight is late, or forged, and
    /// changes nothing (B9).
    pub(crate) fn cancel(&self, params: &RawParams) {
        let id = params
            .get("requestId")
            .and_then(|id| RequestId::parse(id.bytes()).ok());
        let token = id.and_then(|id| self.lock().get(&id).cloned());
        match token {
            Some(token) => token.cancel(),
            None => dropped::count(Dropped::ClientCancelUnknown),
        }
    }

    pub(crate) fn cancel_all(&self) {
        let tokens: Vec<_> = self.lock().values().cloned().collect();
        for token in tokens {
            token.cancel();
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.lock().is_empty()
    }

    /// The data behind a poisoned lock is whole: nothing panics while it is held.
    fn lock(&self) -> MutexGuard<'_, Table> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.calls.lock().remove(&self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn b8_an_id_is_taken_while_in_flight_and_free_afterwards() {
        let calls = Calls::default();
        let (one, text) = (RequestId::number(1), RequestId::string("1"));
        let first = calls.enter(&one).unwrap();
        assert!(calls.enter(&one).is_none());
        let other = calls.enter(&text).unwrap();
        drop(first);
        assert!(calls.enter(&one).is_some());
        assert!(!other.cancelled.is_cancelled());
    }

    #[test]
    fn b9_a_cancellation_reaches_its_own_call_alone() {
        let calls = Calls::default();
        let one = calls.enter(&RequestId::number(1)).unwrap();
        let two = calls.enter(&RequestId::number(2)).unwrap();
        for id in [r#"{"requestId":"1"}"#, r#"{"requestId":3}"#, "{}"] {
            calls.cancel(&RawParams::parse(Some(id.into())).unwrap());
        }
        assert!(!one.cancelled.is_cancelled());
        calls.cancel(&RawParams::parse(Some(r#"{"requestId":1}"#.into())).unwrap());
        assert!(one.cancelled.is_cancelled() && !two.cancelled.is_cancelled());
    }
}
