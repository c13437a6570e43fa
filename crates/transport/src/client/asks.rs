//! Requests from a backend to the client, and the way back of their answers.
//!
//! A backend may only ask what the client declared; asked for more, a client would break off.
//! Who asks too much at once is refused: each question costs a task until it is answered.

use std::fmt;
use std::sync::Arc;

use mcp_router_observe::dropped::{self, Reason as Dropped};
use mcp_router_protocol::jsonrpc::response_parts;
use mcp_router_protocol::{ErrorObject, Method, RawJson, RawParams, RequestId, code};
use mcp_router_service::ServerRequest;
use tokio::sync::{Semaphore, oneshot};

use crate::client::rope::Rope;

/// Questions that wait for an answer at the same time, per conversation.
const OPEN: usize = 64;

/// Takes messages that answer a backend. Must not wait.
pub(crate) type Send = Arc<dyn Fn(Rope) + std::marker::Send + Sync>;

/// The asking side of one conversation with a backend.
pub(crate) struct Asks {
    /// What was declared to the backend: an object.
    declared: RawJson,
    send: Send,
    open: Arc<Semaphore>,
}

impl Asks {
    pub(crate) fn new(declared: RawJson, send: Send) -> Self {
        Self {
            declared,
            send,
            open: Arc::new(Semaphore::new(OPEN)),
        }
    }

    /// Whether the backend may ask for anything at all.
    pub(crate) fn any(&self) -> bool {
        ["sampling", "elicitation", "roots"]
            .iter()
            .any(|c| self.declared.get(c).is_some())
    }

    /// Answers `ping` and whatever was not declared at once; hands back what is for the client.
    /// Once the returned request is answered or dropped, the backend gets its answer.
    pub(crate) fn take(
        &self,
        id: RequestId,
        method: Method,
        params: RawParams,
    ) -> Option<ServerRequest> {
        let capability = match method {
            Method::Ping => {
                self.answer(&id, Ok(&RawJson::from_static("{}")));
                return None;
            }
            Method::CreateMessage => "sampling",
            Method::Elicit => "elicitation",
            Method::RootsList => "roots",
            _ => "",
        };
        if self.declared.get(capability).is_none() {
            dropped::count_of(Dropped::ClientIncapable, &method);
            let error = ErrorObject::new(code::METHOD_NOT_FOUND, "not declared by the client");
            self.answer(&id, Err(&error));
            return None;
        }
        let Ok(permit) = self.open.clone().try_acquire_owned() else {
            dropped::count_of(Dropped::BackendRequestsFull, &method);
            self.refuse(&id);
            return None;
        };
        let (reply, answer) = oneshot::channel();
        let send = self.send.clone();
        tokio::spawn(async move {
            let answer: Result<RawJson, ErrorObject> =
                answer.await.unwrap_or_else(|_| Err(nobody()));
            send(Rope::new(response_parts(Some(&id), answer.as_ref())));
            drop(permit);
        });
        Some(ServerRequest {
            method,
            params,
            reply,
            origin: None,
        })
    }

    /// Tells the backend that nobody can answer.
    pub(crate) fn refuse(&self, id: &RequestId) {
        self.answer(id, Err(&nobody()));
    }

    fn answer(&self, id: &RequestId, answer: Result<&RawJson, &ErrorObject>) {
        (self.send)(Rope::new(response_parts(Some(id), answer)));
    }
}

impl fmt::Debug for Asks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Asks").finish_non_exhaustive()
    }
}

fn nobody() -> ErrorObject {
    ErrorObject::new(code::INTERNAL_ERROR, "nobody is there to answer")
}

#[cfg(test)]
mod tests {
    use bytes::Buf;
    use tokio::sync::mpsc;

    use super::*;

    fn asks(declared: &'static str) -> (Asks, mpsc::UnboundedReceiver<String>) {
        let (sent, received) = mpsc::unbounded_channel();
        let send = move |mut rope: Rope| {
            let bytes = rope.copy_to_bytes(rope.remaining());
            sent.send(String::from_utf8(bytes.to_vec()).unwrap())
                .unwrap();
        };
        (
            Asks::new(RawJson::from_static(declared), Arc::new(send)),
            received,
        )
    }

    #[tokio::test]
    async fn pings_are_answered_and_undeclared_requests_refused() {
        let (asks, mut sent) = asks(r#"{"roots":{}}"#);
        let id = RequestId::string("a");
        let none = RawParams::default;
        assert!(asks.take(id.clone(), Method::Ping, none()).is_none());
        assert_eq!(
            sent.recv().await.unwrap(),
            r#"{"jsonrpc":"2.0","id":"a","result":{}}"#
        );
        for method in [Method::Elicit, Method::CreateMessage, Method::from("x/y")] {
            assert!(asks.take(id.clone(), method, none()).is_none());
            assert!(sent.recv().await.unwrap().contains("-32601"));
        }
    }

    #[tokio::test]
    async fn r35_a_declared_request_is_answered_by_the_client_or_by_its_absence() {
        let (asks, mut sent) = asks(r#"{"roots":{}}"#);
        let take = || {
            asks.take(
                RequestId::number(5),
                Method::RootsList,
                RawParams::default(),
            )
        };
        let request = take().unwrap();
        request
            .reply
            .send(Ok(RawJson::from_static(r#"{"roots":[]}"#)))
            .unwrap();
        assert_eq!(
            sent.recv().await.unwrap(),
            r#"{"jsonrpc":"2.0","id":5,"result":{"roots":[]}}"#
        );
        drop(take());
        assert!(sent.recv().await.unwrap().contains("nobody is there"));
        let open: Vec<_> = std::iter::from_fn(take).take(OPEN + 1).collect();
        assert_eq!(open.len(), OPEN);
        assert!(sent.recv().await.unwrap().contains("error"));
    }
}
