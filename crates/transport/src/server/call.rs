//! One call, from the router's answer to the messages the client gets.
//!
//! A panic behind the edge must cost its own request alone (F46), a cancelled call must fall
//! silent (R39), and every other one must end in exactly one answer (I1). All three are settled
//! here, for every transport.

use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll};

use futures::{FutureExt, Stream, StreamExt};
use mcp_router_service::{
    CallError, McpRequest, McpResponse, McpService, Reason, ResponseStream, Sent,
};
use tokio::sync::OwnedSemaphorePermit;
use tower::Service;

use super::dialect::{Exchange, Said, Wire};
use super::peer::{Cancellation, Ticket};

/// What a call holds until it ends.
#[derive(Debug, Default)]
pub(crate) struct Hold {
    /// Its place in the table of requests that can be cancelled.
    pub(crate) ticket: Option<Ticket>,
    /// Its share of the router's limits: its place, and that of its body.
    pub(crate) permits: [Option<OwnedSemaphorePermit>; 2],
}

impl Hold {
    fn cancelled(&self) -> Option<Cancellation> {
        self.ticket.as_ref().map(|t| t.cancelled.clone())
    }
}

/// How a call begins to be answered.
#[derive(Debug)]
pub(crate) enum Head {
    /// There is nothing but the answer.
    Answer(Wire),
    /// Messages come before it.
    Stream(Box<Replies>),
    /// The client cancelled: it gets nothing.
    Silent,
}

/// Sends `request` through the router. Dropping the future or what it gives cancels the call.
pub(crate) async fn start(
    router: McpService,
    request: McpRequest,
    exchange: Exchange,
    hold: Hold,
) -> Head {
    let Some(cancelled) = hold.cancelled() else {
        return first(router, request, exchange, hold).await;
    };
    let mut first = std::pin::pin!(first(router, request, exchange, hold));
    poll_fn(|cx| match cancelled.poll(cx) {
        Poll::Ready(()) => Poll::Ready(Head::Silent),
        Poll::Pending => first.as_mut().poll(cx),
    })
    .await
}

async fn first(router: McpService, request: McpRequest, exchange: Exchange, hold: Hold) -> Head {
    let mut router = router;
    let answer = AssertUnwindSafe(async move { router.call(request).await }).catch_unwind();
    let stream = match answer.await {
        Ok(Ok(McpResponse::Ready(outcome))) => return Head::Answer(exchange.outcome(outcome)),
        Ok(Ok(McpResponse::Stream(stream))) => stream,
        Ok(Err(error)) => return Head::Answer(exchange.failure(error)),
        Err(_) => return Head::Answer(exchange.failure(panicked())),
    };
    // In its box at once: the future of a call that is answered has no room for it.
    let mut replies = Box::new(Replies::new(stream, exchange, hold));
    // Events that this client does not get must not open a stream for nothing.
    match replies.next().await {
        None => Head::Silent,
        Some(answer) if replies.is_done() => Head::Answer(answer),
        Some(message) => {
            replies.first = Some(message);
            Head::Stream(replies)
        }
    }
}

fn panicked() -> CallError {
    tracing::error!("a handler panicked; its request gets an error");
    CallError::new(Reason::Internal, Sent::Unknown)
}

/// The messages of one call. Ends after its answer, or without one when the client cancelled.
#[derive(Debug)]
pub(crate) struct Replies {
    first: Option<Wire>,
    /// `None` once the answer was given.
    stream: Option<ResponseStream>,
    exchange: Exchange,
    hold: Hold,
    cancelled: Option<Cancellation>,
}

impl Replies {
    fn new(stream: ResponseStream, exchange: Exchange, hold: Hold) -> Self {
        let cancelled = hold.cancelled();
        Self {
            first: None,
            stream: Some(stream),
            exchange,
            hold,
            cancelled,
        }
    }

    /// Whether the answer was given.
    pub(crate) const fn is_done(&self) -> bool {
        self.stream.is_none()
    }

    /// The call's id and whether it is a subscription.
    pub(crate) const fn exchange(&self) -> &Exchange {
        &self.exchange
    }

    /// Nobody listens any more: what backends ask is refused from now on.
    pub(crate) fn orphan(&mut self) {
        self.exchange.orphan();
    }

    fn end(&mut self) {
        self.stream = None;
        self.cancelled = None;
        self.hold = Hold::default();
    }

    fn said(&self, item: Option<Result<mcp_router_service::Event, CallError>>) -> Said {
        match item {
            Some(Ok(event)) => self.exchange.event(event),
            Some(Err(error)) => Said::Answer(self.exchange.failure(error)),
            None => {
                let error = CallError::new(Reason::BackendLost, Sent::Unknown);
                Said::Answer(self.exchange.failure(error))
            }
        }
    }
}

impl Stream for Replies {
    type Item = Wire;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Wire>> {
        if let Some(first) = self.first.take() {
            return Poll::Ready(Some(first));
        }
        if let Some(cancelled) = &self.cancelled
            && cancelled.poll(cx).is_ready()
        {
            self.end();
        }
        loop {
            let Some(stream) = &mut self.stream else {
                return Poll::Ready(None);
            };
            let item = catch_unwind(AssertUnwindSafe(|| Pin::new(stream).poll_next(cx)));
            let item = match item {
                Ok(poll) => std::task::ready!(poll),
                Err(_) => Some(Err(panicked())),
            };
            match self.said(item) {
                Said::Nothing => {}
                Said::Message(wire) => return Poll::Ready(Some(wire)),
                Said::Answer(wire) => {
                    self.end();
                    return Poll::Ready(Some(wire));
                }
            }
        }
    }
}
