//! The requests of one client that are in flight, by the id the client gave them.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use futures::task::AtomicWaker;
use mcp_router_observe::dropped::{self, Reason as Dropped};
use mcp_router_protocol::{RawParams, RequestId};

type Table = HashMap<RequestId, Cancellation>;

/// Tells one call that its client cancelled it. A call is one task at a time, so this is a flag
/// and a waker, and needs no list of those who wait.
#[derive(Clone, Debug, Default)]
pub(crate) struct Cancellation(Arc<Flag>);

#[derive(Debug, Default)]
struct Flag {
    raised: AtomicBool,
    /// Whoever looked last.
    waiter: AtomicWaker,
}

impl Cancellation {
    fn cancel(&self) {
        self.0.raised.store(true, Ordering::Release);
        self.0.waiter.wake();
    }

    /// Ready once the client has cancelled. Only the task that asked last is woken.
    pub(crate) fn poll(&self, cx: &Context<'_>) -> Poll<()> {
        // The waker first: what comes between would be missed.
        self.0.waiter.register(cx.waker());
        match self.0.raised.load(Ordering::Acquire) {
            true => Poll::Ready(()),
            false => Poll::Pending,
        }
    }
}

/// In-flight requests. The lock is the client's own, held for one look-up.
#[derive(Clone, Debug, Default)]
pub(crate) struct Calls(Arc<Mutex<Table>>);

/// A request in flight; dropping it takes it off the table.
#[derive(Debug)]
pub(crate) struct Ticket {
    calls: Calls,
    id: RequestId,
    pub(crate) cancelled: Cancellation,
}

impl Calls {
    /// Enters a request; `None` if its id is in flight already (B8).
    pub(crate) fn enter(&self, id: &RequestId) -> Option<Ticket> {
        let cancelled = Cancellation::default();
        let mut table = self.lock();
        let Entry::Vacant(place) = table.entry(id.clone()) else {
            return None;
        };
        place.insert(cancelled.clone());
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
    use std::task::Waker;

    use super::*;

    fn is_cancelled(ticket: &Ticket) -> bool {
        let cx = Context::from_waker(Waker::noop());
        ticket.cancelled.poll(&cx).is_ready()
    }

    #[tokio::test]
    async fn r39_a_call_that_waits_is_woken_by_its_cancellation() {
        let calls = Calls::default();
        let ticket = calls.enter(&RequestId::number(1)).unwrap();
        let waiting = tokio::spawn(async move {
            std::future::poll_fn(|cx| ticket.cancelled.poll(cx)).await;
        });
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        calls.cancel_all();
        waiting.await.unwrap();
        assert!(calls.is_empty());
    }

    #[test]
    fn b8_an_id_is_taken_while_in_flight_and_free_afterwards() {
        let calls = Calls::default();
        let (one, text) = (RequestId::number(1), RequestId::string("1"));
        let first = calls.enter(&one).unwrap();
        assert!(calls.enter(&one).is_none());
        let other = calls.enter(&text).unwrap();
        drop(first);
        assert!(calls.enter(&one).is_some());
        assert!(!is_cancelled(&other));
    }

    #[test]
    fn b9_a_cancellation_reaches_its_own_call_alone() {
        let calls = Calls::default();
        let one = calls.enter(&RequestId::number(1)).unwrap();
        let two = calls.enter(&RequestId::number(2)).unwrap();
        for id in [r#"{"requestId":"1"}"#, r#"{"requestId":3}"#, "{}"] {
            calls.cancel(&RawParams::parse(Some(id.into())).unwrap());
        }
        assert!(!is_cancelled(&one));
        calls.cancel(&RawParams::parse(Some(r#"{"requestId":1}"#.into())).unwrap());
        assert!(is_cancelled(&one) && !is_cancelled(&two));
    }
}
