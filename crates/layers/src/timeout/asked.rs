//! What a backend has asked of the client in one call, for as long as there is no answer.
//!
//! How long a call waits for its client is known only to whoever sees the answer go by. So each
//! answer comes through here on its way to the backend; other messages meanwhile say nothing.

use std::pin::Pin;
use std::task::{Context, Poll};

use mcp_router_protocol::{ErrorObject, RawJson};
use mcp_router_service::ServerRequest;
use tokio::sync::oneshot;

type Reply = Result<RawJson, ErrorObject>;

/// The requests of one call that are open.
#[derive(Debug, Default)]
pub(super) struct Asked(Vec<Question>);

#[derive(Debug)]
struct Question {
    client: oneshot::Receiver<Reply>,
    /// `None` once it was answered.
    backend: Option<oneshot::Sender<Reply>>,
}

impl Asked {
    pub(super) fn add(&mut self, request: &mut ServerRequest) {
        let (reply, client) = oneshot::channel();
        let backend = Some(std::mem::replace(&mut request.reply, reply));
        self.0.push(Question { client, backend });
    }

    /// Hands on the answers that are there. Whether one was the last that was waited for.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> bool {
        if self.0.is_empty() {
            return false;
        }
        self.0.retain_mut(|question| question.poll(cx).is_pending());
        self.0.is_empty()
    }
}

impl Question {
    /// Ready once nobody waits for an answer any more, or nobody gives one.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if let Poll::Ready(answer) = Pin::new(&mut self.client).poll(cx) {
            if let (Ok(answer), Some(backend)) = (answer, self.backend.take()) {
                // A backend that no longer waits is content with no answer.
                let _ = backend.send(answer);
            }
            return Poll::Ready(());
        }
        match &mut self.backend {
            Some(backend) => backend.poll_closed(cx),
            None => Poll::Ready(()),
        }
    }
}
