//! What backends ask one client, and the client's answers.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use mcp_router_observe::dropped::{self, Reason as Dropped};
use mcp_router_protocol::jsonrpc::MAX_ID_LEN;
use mcp_router_protocol::{ErrorObject, RawJson, RequestId};
use mcp_router_service::seal::Sealer;
use mcp_router_service::{Origin, Pause, SessionId};
use tokio::sync::oneshot;

/// Most requests open at one client.
const MAX_OPEN: usize = 64;

type Reply = Result<RawJson, ErrorObject>;
type Table = HashMap<RequestId, oneshot::Sender<Reply>>;

/// How clients of one edge are asked.
#[derive(Clone, Debug)]
pub(crate) struct Asking {
    /// How long a client may take to answer.
    pub(crate) limit: Duration,
    /// What any replica opens, and this process' name among them. `None` where the client can
    /// reach no other.
    pub(crate) shared: Option<(Sealer, Arc<str>)>,
}

impl Asking {
    /// Of clients that are bound to this process.
    pub(crate) const fn here(limit: Duration) -> Self {
        Self {
            limit,
            shared: None,
        }
    }
}

/// Requests to the client that wait for its answer.
#[derive(Debug)]
pub(crate) struct Asks {
    asking: Asking,
    /// What ids are sealed for: the session's own name.
    bound: SessionId,
    next: AtomicU64,
    open: Arc<Mutex<Table>>,
}

impl Asks {
    pub(crate) fn new(asking: Asking, bound: SessionId) -> Self {
        Self {
            asking,
            bound,
            next: AtomicU64::new(0),
            open: Arc::default(),
        }
    }

    pub(crate) fn is_full(&self) -> bool {
        lock(&self.open).len() >= MAX_OPEN
    }

    /// Opens a request and names it. It ends with the client's answer, when the backend no longer
    /// waits, or when the time is over; `pause` stops the call's clock until then.
    pub(crate) fn open(
        &self,
        mut reply: oneshot::Sender<Reply>,
        origin: Option<&Origin>,
        pause: Option<Pause>,
    ) -> RequestId {
        let id = self.name(origin);
        let (client, answer) = oneshot::channel();
        lock(&self.open).insert(id.clone(), client);
        let (table, key, limit) = (self.open.clone(), id.clone(), self.asking.limit);
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

    fn name(&self, origin: Option<&Origin>) -> RequestId {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let Some((sealer, replica)) = &self.asking.shared else {
            return RequestId::string(&format!("router-{number}"));
        };
        let seal = |origin: Vec<u8>| {
            let head = format!("{replica} {number} ");
            sealer.seal(&[head.as_bytes(), &origin].concat(), self.bound())
        };
        let sealed = seal(origin.map(Origin::to_text).unwrap_or_default());
        // An upstream session with an endless id can be answered through this process alone.
        let fits = sealed.len() < MAX_ID_LEN - 2;
        RequestId::string(&if fits { sealed } else { seal(Vec::new()) })
    }

    fn bound(&self) -> &[u8] {
        self.bound.as_str().as_bytes()
    }

    /// Takes a client's response. One to what another replica asked is handed back, with the way
    /// to the backend; one that answers nothing open is late, or forged, and goes nowhere (B9).
    pub(crate) fn answer(&self, id: Option<&RequestId>, answer: Reply) -> Option<(Origin, Reply)> {
        let waiting = id.and_then(|id| lock(&self.open).remove(id));
        if let Some(waiting) = waiting {
            let _ = waiting.send(answer);
            return None;
        }
        let elsewhere = id.and_then(|id| self.elsewhere(id));
        match elsewhere {
            Some(Some(origin)) => return Some((origin, answer)),
            Some(None) => dropped::count(Dropped::ClientAnswerLost),
            None => dropped::count(Dropped::ClientAnswerUnknown),
        }
        None
    }

    /// Whether another replica asked under this id, and if so, from where.
    fn elsewhere(&self, id: &RequestId) -> Option<Option<Origin>> {
        let (sealer, replica) = self.asking.shared.as_ref()?;
        let sealed = sealer.open(&id.as_text()?, self.bound())?;
        let mut parts = sealed.splitn(3, |byte| *byte == b' ');
        let (asker, _, origin) = (parts.next()?, parts.next()?, parts.next()?);
        (asker != replica.as_bytes()).then(|| Origin::from_text(origin))
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
    use mcp_router_protocol::Revision;
    use mcp_router_service::Pin;
    use mcp_router_service::seal::Purpose;

    use super::*;

    const S: Duration = Duration::from_secs(1);

    fn reply() -> Reply {
        Ok(RawJson::from_static("{}"))
    }

    #[tokio::test]
    async fn b9_an_answer_reaches_its_own_request_once() {
        let asks = Asks::new(Asking::here(S), SessionId::new("s"));
        let (first, first_answer) = oneshot::channel();
        let (second, second_answer) = oneshot::channel();
        let one = asks.open(first, None, None);
        let two = asks.open(second, None, None);
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
        let asks = Asks::new(Asking::here(300 * S), SessionId::new("s"));
        let (reply, answer) = oneshot::channel();
        let start = tokio::time::Instant::now();
        asks.open(reply, None, None);
        assert!(answer.await.is_err());
        assert_eq!(start.elapsed(), 300 * S);
    }

    #[tokio::test]
    async fn an_answer_finds_its_way_from_a_replica_that_did_not_ask() {
        let sealer = Sealer::new(&[[1; 32]], Purpose::RequestId).unwrap();
        let replica = |name: &str, session: &'static str| {
            let shared = Some((sealer.clone(), name.into()));
            Asks::new(Asking { limit: S, shared }, SessionId::new(session))
        };
        let (one, two) = (replica("one", "s"), replica("two", "s"));
        let origin = Origin {
            pin: Pin {
                backend: "db".parse().unwrap(),
                endpoint: "db#0".into(),
            },
            session: "upstream-secret".into(),
            revision: Revision::V2025_11_25,
            id: RequestId::number(7),
        };
        let ask = |origin: Option<&Origin>| one.open(oneshot::channel().0, origin, None);
        let id = ask(Some(&origin));
        assert!(!id.to_string().contains("upstream"), "r42");
        let (way, answer) = two.answer(Some(&id), reply()).unwrap();
        assert_eq!((way, answer), (origin.clone(), reply()));
        // Only a replica of the same session, never an outsider, and never who asked itself.
        assert!(replica("two", "other").answer(Some(&id), reply()).is_none());
        assert!(two.answer(Some(&ask(None)), reply()).is_none());
        one.clear();
        assert!(one.answer(Some(&id), reply()).is_none());
        let forged = RequestId::string(&format!("A{}", id.as_text().unwrap()));
        assert!(two.answer(Some(&forged), reply()).is_none());
        let endless = Origin {
            session: "x".repeat(2000).into(),
            ..origin
        };
        assert!(ask(Some(&endless)).json().len() <= MAX_ID_LEN);
    }
}
