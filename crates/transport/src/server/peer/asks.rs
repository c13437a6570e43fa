//! What backends ask one client, and the client's answers.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use mcp_router_observe::dropped::{self, Reason as Dropped};
use mcp_router_protocol::{ErrorObject, RawJson, RequestId};
use mcp_router_service::Pause;
use tokio::sync::oneshot;

/// Most requests open at one client.
const MAX_OPEN: usize = 64;

type Reply = Result<RawJson, ErrorObject>;
type Table = HashMap<RequestId, oneshot::Sender<Reply>>;

/// Requests to the client that wait for its answer.
#[derive(Debug, Default)]
pub(crate) struct Asks {
    next: AtomicU64,
    open: Arc<Mutex<Table>>,
}

impl Asks {
    pub(crate) fn is_full(&self) -> bool {
        lock(&self.open).len() >= MAX_OPEN
    }

    /// Opens a request and names it. It ends with the client's answer, when the backend no longer
    /// waits, or after `limit`; `pause` stops the call's clock until then.
    pub(crate) fn open(
        &self,
        mut reply: oneshot::Sender<Reply>,
        pause: Option<Pause>,
        limit: Duration,
    ) -> RequestId {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let id = RequestId::string(&format!("router-{number}"));
        let (client, answer) = oneshot::channel();
        lock(&self.open).insert(id.clone(), client);
        let (table, key) = (self.open.clone(), id.clone());
        tokio::spawn(async move {
            tokio::select! {
                answer = answer => if let Ok(answer) = answer {
                    // A backend that went away meanwhile needs none.
                    let _ = reply.send(answer);
                },
                () = reply.closed() => {}
                () = tokio::time::sleep(limit) => {
                    tracing::info!("client did not answer a backend's request in time");
                }
            }
            drop(pause);
            lock(&table).remove(&key);
        });
        id
    }

    /// Takes a client's response. One that answers nothing open is late, or forged, and goes
    /// nowhere (B9).
    pub(crate) fn answer(&self, id: Option<&RequestId>, answer: Reply) {
        let waiting = id.and_then(|id| lock(&self.open).remove(id));
        match waiting {
            Some(waiting) => {
                let _ = waiting.send(answer);
            }
            None => dropped::count(Dropped::ClientAnswerUnknown),
        }
    }

    /// Tells every waiting backend that nobody answers.
    pub(crate) fn clear(&self) {
        lock(&self.open).clear();
    }
}

fn lock(table: &Mutex<Table>) -> MutexGuard<'_, Table> {
    table.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: Duration = Duration::from_secs(1);

    fn reply() -> Reply {
        Ok(RawJson::from_static("{}"))
    }

    #[tokio::test]
    async fn b9_an_answer_reaches_its_own_request_once() {
        let asks = Asks::default();
        let (first, first_answer) = oneshot::channel();
        let (second, second_answer) = oneshot::channel();
        let one = asks.open(first, None, S);
        let two = asks.open(second, None, S);
        assert_ne!(one, two);
        asks.answer(Some(&RequestId::string("forged")), reply());
        asks.answer(None, reply());
        asks.answer(Some(&two), reply());
        asks.answer(Some(&two), Err(ErrorObject::new(-1, "late")));
        assert_eq!(second_answer.await.unwrap(), reply());
        asks.clear();
        assert!(first_answer.await.is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_never_answers_holds_a_backend_for_the_limit_only() {
        let asks = Asks::default();
        let (reply, answer) = oneshot::channel();
        let start = tokio::time::Instant::now();
        asks.open(reply, None, 300 * S);
        assert!(answer.await.is_err());
        assert_eq!(start.elapsed(), 300 * S);
    }
}
