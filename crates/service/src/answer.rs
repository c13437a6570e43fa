//! How layers look at answers without knowing what they are.

use std::pin::Pin;
use std::task::{Context, Poll};

use futures::Stream;
use pin_project_lite::pin_project;

use crate::{CallError, McpResponse, Outcome, Reason, ResponseStream, Sent};

/// What an answer or error says about the one who gave it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Class {
    /// It works: a result, or an error about the request itself.
    Success,
    /// It does not work: no connection, timeout, 5xx, no MCP.
    Failure,
    /// It asks for fewer calls (429): no failure in a run of failures, one in a rate of them.
    Throttled,
    /// Says nothing: the router's own refusal, another 4xx.
    Neutral,
}

/// How an answer, or the error in its place, is judged.
pub trait Classify {
    /// Success, failure or neither.
    fn class(&self) -> Class;
    /// What is known about the request that led to it.
    fn sent(&self) -> Sent {
        Sent::Unknown
    }
}

impl Classify for McpResponse {
    /// The head of a stream is judged as a success; its end is judged where it is seen.
    fn class(&self) -> Class {
        Class::Success
    }
}

impl Classify for CallError {
    fn class(&self) -> Class {
        match self.reason {
            Reason::NoBackend
            | Reason::CircuitOpen
            | Reason::Overloaded
            | Reason::Draining
            | Reason::Internal => Class::Neutral,
            _ if self.status == Some(429) => Class::Throttled,
            _ if self.status.is_some_and(|s| (400..500).contains(&s)) => Class::Neutral,
            _ => Class::Failure,
        }
    }

    fn sent(&self) -> Sent {
        self.sent
    }
}

/// Holds a guard (permit, gauge, timer) until the answer has ended.
pub trait HoldGuard: Sized {
    /// The answer, with `guard` inside. The default is for answers that end at their head.
    #[must_use]
    fn hold<G: Send + 'static>(self, guard: G) -> Self {
        drop(guard);
        self
    }
}

impl HoldGuard for McpResponse {
    fn hold<G: Send + 'static>(self, guard: G) -> Self {
        match self {
            Self::Ready(_) => self,
            Self::Stream(stream) => Self::Stream(ResponseStream::new(Held {
                stream,
                guard: Some(guard),
            })),
        }
    }
}

impl HoldGuard for Outcome {}

pin_project! {
    struct Held<S, G> {
        #[pin]
        stream: S,
        guard: Option<G>,
    }
}

impl<S: Stream, G> Stream for Held<S, G> {
    type Item = S::Item;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<S::Item>> {
        let this = self.project();
        let item = std::task::ready!(this.stream.poll_next(cx));
        if item.is_none() {
            this.guard.take();
        }
        Poll::Ready(item)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use futures::StreamExt;
    use mcp_router_protocol::RawJson;

    use super::*;
    use crate::Event;

    #[tokio::test]
    async fn a_guard_lives_as_long_as_the_stream() {
        let guard = Arc::new(());
        let outcome = Event::Outcome(Outcome::Complete(RawJson::from_static("{}")));
        let stream = ResponseStream::new(futures::stream::iter([Ok(outcome)]));
        let McpResponse::Stream(mut held) = McpResponse::Stream(stream).hold(guard.clone()) else {
            panic!("a stream stays one")
        };
        assert_eq!(Arc::strong_count(&guard), 2);
        while held.next().await.is_some() {}
        assert_eq!(Arc::strong_count(&guard), 1);
    }

    #[test]
    fn a_guard_of_a_ready_answer_ends_at_once() {
        let guard = Arc::new(());
        let _ready = McpResponse::complete(RawJson::from_static("{}")).hold(guard.clone());
        assert_eq!(Arc::strong_count(&guard), 1);
    }
}
