//! Requests from a backend to the client, and the way back of their answers.
//!
//! Who is asked is settled before: see [`Mux`](super::mux::Mux) and the streams of single calls.
//! Who asks too much at once is refused: each question costs a task until it is answered.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::ArcSwapOption;
use mcp_router_observe::dropped::{self, Reason as Dropped};
use mcp_router_protocol::jsonrpc::response_parts;
use mcp_router_protocol::{ErrorObject, Method, RawJson, RawParams, RequestId, Revision};
use mcp_router_service::{ClientProfile, Origin, Pin, ServerRequest};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::task::AbortHandle;

use crate::client::able;
use crate::client::question;
use crate::client::rope::Rope;

/// Questions that wait for an answer at the same time, per conversation.
const OPEN: usize = 64;

/// Takes messages that answer a backend. Must not wait.
pub(crate) type Send = Arc<dyn Fn(Rope) + std::marker::Send + Sync>;

/// The asking side of one conversation with a backend.
pub(crate) struct Asks {
    send: Send,
    open: Arc<Semaphore>,
    /// What the backend may take back.
    waiting: Arc<Mutex<Waiting>>,
    /// The backend's revision, by its place among all.
    revision: AtomicU8,
    home: ArcSwapOption<Home>,
}

/// Where any replica can bring the answers of one conversation.
#[derive(Debug)]
pub(crate) struct Home {
    pub(crate) pin: Pin,
    /// The upstream session.
    pub(crate) session: Arc<str>,
}

/// Questions that wait for an answer. The number tells those apart that a backend gave one id.
type Waiting = HashMap<RequestId, (u64, AbortHandle)>;

impl Asks {
    pub(crate) fn new(send: Send) -> Self {
        Self {
            send,
            open: Arc::new(Semaphore::new(OPEN)),
            waiting: Arc::default(),
            revision: AtomicU8::new(place(Revision::NEWEST_LEGACY)),
            home: ArcSwapOption::empty(),
        }
    }

    /// From now on answers are written for a backend of `revision`, and can be brought to `home`
    /// by whoever gets them.
    pub(crate) fn speak(&self, revision: Revision, home: Option<Home>) {
        self.revision.store(place(revision), Ordering::Relaxed);
        self.home.store(home.map(Arc::new));
    }

    fn origin(&self, id: &RequestId) -> Option<Origin> {
        let home = self.home.load();
        let home = home.as_ref()?;
        Some(Origin {
            pin: home.pin.clone(),
            session: home.session.clone(),
            revision: self.revision(),
            id: id.clone(),
        })
    }

    fn revision(&self) -> Revision {
        let place = usize::from(self.revision.load(Ordering::Relaxed));
        let known = Revision::ALL.get(place).copied();
        known.unwrap_or(Revision::NEWEST_LEGACY)
    }

    /// Answers a `ping`; any other request is handed back.
    pub(crate) fn pong(&self, id: RequestId, method: Method) -> Option<(RequestId, Method)> {
        if method != Method::Ping {
            return Some((id, method));
        }
        self.answer(&id, Ok(&able::nothing()));
        None
    }

    /// Makes a question for `client` of what the backend asks, or refuses it. Once the returned
    /// request is answered or dropped, the backend gets its answer.
    pub(crate) fn take(
        &self,
        id: RequestId,
        method: Method,
        params: RawParams,
        client: &ClientProfile,
    ) -> Option<ServerRequest> {
        let (id, method) = self.pong(id, method)?;
        if let Some(error) = able::refusal(client, &method, &params) {
            self.refuse(&id, &method, &error, Dropped::ClientIncapable);
            return None;
        }
        let Ok(permit) = self.open.clone().try_acquire_owned() else {
            self.nobody(&id, &method, Dropped::BackendRequestsFull);
            return None;
        };
        let (reply, answer) = oneshot::channel();
        let origin = self.origin(&id).map(Box::new);
        self.wait(id, &method, answer, permit);
        Some(ServerRequest {
            method,
            params: question::to_inner(params),
            reply,
            origin,
        })
    }

    /// Brings the answer to the backend, once there is one.
    fn wait(
        &self,
        id: RequestId,
        method: &Method,
        answer: oneshot::Receiver<Result<RawJson, ErrorObject>>,
        permit: OwnedSemaphorePermit,
    ) {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let (send, method, revision) = (self.send.clone(), method.clone(), self.revision());
        let (waiting, key) = (self.waiting.clone(), id.clone());
        // Held until the question is in the table, so that it cannot leave before.
        let mut table = lock(&self.waiting);
        let task = tokio::spawn(async move {
            let answer: Result<RawJson, ErrorObject> =
                answer.await.unwrap_or_else(|_| Err(able::nobody(&method)));
            let answer = answer.map(|result| question::from_inner(&method, result, revision));
            send(Rope::new(response_parts(Some(&id), answer.as_ref())));
            let mut table = lock(&waiting);
            if table.get(&id).is_some_and(|(n, _)| *n == number) {
                table.remove(&id);
            }
            drop(permit);
        });
        table.insert(key, (number, task.abort_handle()));
    }

    /// The backend takes back what it asked: whoever was to answer sees that nobody waits.
    pub(crate) fn take_back(&self, params: &RawParams) {
        let id = params.get("requestId");
        let id = id.and_then(|id| RequestId::parse(id.bytes()).ok());
        if let Some((_, task)) = id.and_then(|id| lock(&self.waiting).remove(&id)) {
            task.abort();
        }
    }

    /// Tells the backend that nobody can answer, and counts why.
    pub(crate) fn nobody(&self, id: &RequestId, method: &Method, why: Dropped) {
        self.refuse(id, method, &able::nobody(method), why);
    }

    /// Answers the backend with an error, and counts why.
    pub(crate) fn refuse(
        &self,
        id: &RequestId,
        method: &Method,
        error: &ErrorObject,
        why: Dropped,
    ) {
        dropped::count_of(why, method);
        self.answer(id, Err(error));
    }

    fn answer(&self, id: &RequestId, answer: Result<&RawJson, &ErrorObject>) {
        (self.send)(Rope::new(response_parts(Some(id), answer)));
    }
}

/// The table is whole even where a panic poisoned it: nothing panics while it is held.
fn lock(table: &Mutex<Waiting>) -> MutexGuard<'_, Waiting> {
    table.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The place of a revision in [`Revision::ALL`].
fn place(revision: Revision) -> u8 {
    let place = Revision::ALL.iter().position(|r| *r == revision);
    place.and_then(|p| u8::try_from(p).ok()).unwrap_or(0)
}

impl fmt::Debug for Asks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Asks").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use bytes::Buf;
    use tokio::sync::mpsc;

    use super::*;

    fn asks() -> (Asks, mpsc::UnboundedReceiver<String>) {
        let (sent, received) = mpsc::unbounded_channel();
        let send = move |mut rope: Rope| {
            let bytes = rope.copy_to_bytes(rope.remaining());
            sent.send(String::from_utf8(bytes.to_vec()).unwrap())
                .unwrap();
        };
        (Asks::new(Arc::new(send)), received)
    }

    fn client(capabilities: &'static str) -> ClientProfile {
        ClientProfile {
            capabilities: Some(RawJson::from_static(capabilities)),
            ..ClientProfile::default()
        }
    }

    #[tokio::test]
    async fn pings_are_answered_and_undeclared_requests_refused() {
        let (asks, mut sent) = asks();
        let client = client(r#"{"roots":{}}"#);
        let id = RequestId::string("a");
        let none = RawParams::default;
        assert!(
            asks.take(id.clone(), Method::Ping, none(), &client)
                .is_none()
        );
        assert_eq!(
            sent.recv().await.unwrap(),
            r#"{"jsonrpc":"2.0","id":"a","result":{}}"#
        );
        for method in [Method::Elicit, Method::CreateMessage, Method::from("x/y")] {
            assert!(asks.take(id.clone(), method, none(), &client).is_none());
            assert!(sent.recv().await.unwrap().contains("-32601"));
        }
    }

    #[tokio::test]
    async fn r35_a_declared_request_is_answered_by_the_client_or_by_its_absence() {
        let (asks, mut sent) = asks();
        let able = client(r#"{"roots":{},"sampling":{}}"#);
        let ask = |method| asks.take(RequestId::number(5), method, RawParams::default(), &able);
        let take = || ask(Method::RootsList);
        let request = take().unwrap();
        request
            .reply
            .send(Ok(RawJson::from_static(r#"{"roots":[]}"#)))
            .unwrap();
        assert_eq!(
            sent.recv().await.unwrap(),
            r#"{"jsonrpc":"2.0","id":5,"result":{"roots":[]}}"#
        );
        for (method, code) in [(Method::RootsList, "-32603"), (Method::CreateMessage, "-1")] {
            drop(ask(method));
            let answer = sent.recv().await.unwrap();
            assert!(answer.contains(&format!(r#""code":{code},"#)), "{answer}");
        }
        let open: Vec<_> = std::iter::from_fn(take).take(OPEN + 1).collect();
        assert_eq!(open.len(), OPEN);
        assert!(sent.recv().await.unwrap().contains("error"));
    }

    #[tokio::test]
    async fn what_a_backend_takes_back_is_waited_for_no_longer() {
        let (asks, mut sent) = asks();
        let able = client(r#"{"roots":{}}"#);
        let ask = |id| asks.take(id, Method::RootsList, RawParams::default(), &able);
        let mut first = ask(RequestId::string("a")).unwrap();
        let second = ask(RequestId::number(1)).unwrap();
        for id in ["7", "\"a\""] {
            let text = format!(r#"{{"requestId":{id}}}"#);
            asks.take_back(&RawParams::parse(Some(text.into())).unwrap());
        }
        first.reply.closed().await;
        drop(second);
        assert!(sent.recv().await.unwrap().contains(r#""id":1"#));
        assert!(lock(&asks.waiting).is_empty());
    }

    #[tokio::test]
    async fn an_answer_is_written_for_the_backends_revision() {
        let (asks, mut sent) = asks();
        asks.speak(Revision::V2025_06_18, None);
        let able = client(r#"{"sampling":{}}"#);
        let asked = asks.take(
            RequestId::number(1),
            Method::CreateMessage,
            RawParams::default(),
            &able,
        );
        let array = RawJson::from_static(r#"{"content":[{"type":"text","text":"a"}]}"#);
        asked.unwrap().reply.send(Ok(array)).unwrap();
        assert_eq!(
            sent.recv().await.unwrap(),
            r#"{"jsonrpc":"2.0","id":1,"result":{"content":{"type":"text","text":"a"}}}"#
        );
    }
}
