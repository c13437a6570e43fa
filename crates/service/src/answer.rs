//! How layers look at answers without knowing what they are.

use std::pin::Pin;
use std::task::{Context, Poll};

use futures::Stream;
use pin_project_lite::pin_project;

use crate::{CallError, Event, McpResponse, Outcome, Pin as Place, Reason, ResponseStream, Sent};

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
            _ if self.is_blameless() => Class::Neutral,
            // A tool with a large answer is no backend that does not work.
            Reason::NoBackend
            | Reason::CircuitOpen
            | Reason::Overloaded
            | Reason::Draining
            | Reason::TooLarge
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

impl Classify for tower::BoxError {
    /// An error of somebody else's layer is a failure; one of ours is what it says.
    fn class(&self) -> Class {
        let own = self.downcast_ref::<CallError>();
        own.map_or(Class::Failure, CallError::class)
    }

    fn sent(&self) -> Sent {
        let own = self.downcast_ref::<CallError>();
        own.map_or(Sent::Unknown, |own| own.sent)
    }
}

/// A guard that knows where its call runs.
pub trait Serving {
    /// The backend and endpoint.
    fn place(&self) -> Place;
}

/// Holds a guard (permit, gauge, timer) until the answer has ended, or until the client is asked
/// something in the middle of it: a call that waits for somebody's lunch break works on nothing,
/// and must not keep others from working.
pub trait HoldGuard: Sized {
    /// The answer, with `guard` inside. The default is for answers that end at their head.
    #[must_use]
    fn hold<G: Send + 'static>(self, guard: G) -> Self {
        drop(guard);
        self
    }

    /// As [`hold`](Self::hold), and notes on an interim answer where it came from. The default
    /// notes nothing.
    #[must_use]
    fn hold_noting<G: Serving + Send + 'static>(self, guard: G) -> Self {
        self.hold(guard)
    }

    /// Tells `watch` how the answer ended, once it has, or that it is a success when the client is
    /// asked something in the middle: the backend works, and what follows takes as long as its
    /// client likes. An answer that is given up before drops `watch` unheard. The default is for answers that end at their head.
    #[must_use]
    fn watch<W>(self, watch: W) -> Self
    where
        Self: Classify,
        W: FnOnce(Class, Option<&CallError>) + Send + 'static,
    {
        watch(self.class(), None);
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
                place: None,
            })),
        }
    }

    fn hold_noting<G: Serving + Send + 'static>(self, guard: G) -> Self {
        match self {
            Self::Ready(mut outcome) => {
                if let Outcome::InputRequired(interim) = &mut outcome {
                    interim.by.get_or_insert_with(|| Box::new(guard.place()));
                }
                Self::Ready(outcome)
            }
            Self::Stream(stream) => Self::Stream(ResponseStream::new(Held {
                stream,
                guard: Some(guard),
                place: Some(G::place),
            })),
        }
    }

    fn watch<W>(self, watch: W) -> Self
    where
        W: FnOnce(Class, Option<&CallError>) + Send + 'static,
    {
        match self {
            Self::Ready(_) => {
                watch(Class::Success, None);
                self
            }
            Self::Stream(stream) => Self::Stream(ResponseStream::new(Watched {
                stream,
                watch: Some(watch),
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
        // How the guard says where the call runs, if it knows.
        place: Option<fn(&G) -> Place>,
    }
}

impl<S, G> Stream for Held<S, G>
where
    S: Stream<Item = Result<Event, CallError>>,
{
    type Item = S::Item;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<S::Item>> {
        let this = self.project();
        let mut item = std::task::ready!(this.stream.poll_next(cx));
        match &mut item {
            // Only the guard of a call that never asked anything still knows; the others are
            // legacy, and end in no interim answer.
            Some(Ok(Event::Outcome(Outcome::InputRequired(interim)))) => {
                if let (Some(guard), Some(place)) = (&this.guard, this.place) {
                    interim.by.get_or_insert_with(|| Box::new(place(guard)));
                }
            }
            Some(Ok(Event::ServerRequest(_))) | None => drop(this.guard.take()),
            Some(_) => {}
        }
        Poll::Ready(item)
    }
}

pin_project! {
    struct Watched<S, W> {
        #[pin]
        stream: S,
        watch: Option<W>,
    }
}

impl<S, W> Stream for Watched<S, W>
where
    S: Stream<Item = Result<Event, CallError>>,
    W: FnOnce(Class, Option<&CallError>),
{
    type Item = S::Item;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<S::Item>> {
        let this = self.project();
        let item = std::task::ready!(this.stream.poll_next(cx));
        let (class, error) = match &item {
            Some(Ok(Event::Outcome(_) | Event::ServerRequest(_))) => (Class::Success, None),
            Some(Ok(Event::Notification { .. })) => return Poll::Ready(item),
            Some(Err(error)) => (error.class(), Some(error)),
            // Broken off in the middle.
            None => (Class::Failure, None),
        };
        if let Some(watch) = this.watch.take() {
            watch(class, error);
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

    #[tokio::test]
    async fn a_stream_is_judged_by_its_end_and_not_by_its_head() {
        let outcome = || {
            Ok(Event::Outcome(Outcome::Complete(RawJson::from_static(
                "{}",
            ))))
        };
        let notification = || {
            Ok(Event::Notification {
                method: mcp_router_protocol::Method::Progress,
                params: mcp_router_protocol::RawParams::default(),
            })
        };
        let lost = || Err(CallError::new(Reason::BackendLost, Sent::Unknown));
        for (events, read, expected) in [
            (vec![notification(), outcome()], 9, Some(Class::Success)),
            (vec![notification(), lost()], 9, Some(Class::Failure)),
            (vec![notification()], 9, Some(Class::Failure)),
            (vec![notification(), outcome()], 1, None),
        ] {
            let (tell, told) = std::sync::mpsc::channel();
            let stream = ResponseStream::new(futures::stream::iter(events));
            let watch = move |class, _: Option<&CallError>| tell.send(class).unwrap();
            let McpResponse::Stream(watched) = McpResponse::Stream(stream).watch(watch) else {
                panic!("a stream stays one")
            };
            watched.take(read).collect::<Vec<_>>().await;
            assert_eq!(told.recv().ok(), expected);
        }
    }

    #[test]
    fn errors_are_judged_by_what_they_say_of_the_backend() {
        let error = |reason| CallError::new(reason, Sent::Unknown);
        let status = |status| error(Reason::BackendStatus).status(status);
        for (error, expected) in [
            (error(Reason::Timeout), Class::Failure),
            (error(Reason::Timeout).blameless(), Class::Neutral),
            (error(Reason::ConnectFailed), Class::Failure),
            (error(Reason::ProtocolError), Class::Failure),
            (error(Reason::TooLarge), Class::Neutral),
            (error(Reason::Overloaded), Class::Neutral),
            (status(500), Class::Failure),
            (status(503), Class::Failure),
            (status(429), Class::Throttled),
            (status(404), Class::Neutral),
        ] {
            assert_eq!(error.class(), expected, "{error:?}");
            assert_eq!(tower::BoxError::from(error).class(), expected);
        }
        assert_eq!(tower::BoxError::from("foreign").class(), Class::Failure);
    }

    fn asks() -> Result<Event, CallError> {
        Ok(Event::ServerRequest(crate::ServerRequest {
            method: mcp_router_protocol::Method::RootsList,
            params: mcp_router_protocol::RawParams::default(),
            reply: tokio::sync::oneshot::channel().0,
            origin: None,
        }))
    }

    fn interim() -> Outcome {
        Outcome::InputRequired(RawJson::from_static("{}").into())
    }

    #[tokio::test]
    async fn a_call_that_waits_for_its_client_holds_nothing_and_is_judged_by_then() {
        let guard = Arc::new(());
        let (tell, told) = std::sync::mpsc::channel();
        let stream =
            ResponseStream::new(futures::stream::iter([asks()]).chain(futures::stream::pending()));
        let watch = move |class, _: Option<&CallError>| tell.send(class).unwrap();
        let answer = McpResponse::Stream(stream).hold(guard.clone()).watch(watch);
        let McpResponse::Stream(mut held) = answer else {
            panic!("a stream stays one")
        };
        assert_eq!(Arc::strong_count(&guard), 2);
        held.next().await;
        assert_eq!(Arc::strong_count(&guard), 1);
        assert_eq!(told.recv(), Ok(Class::Success));
    }

    #[tokio::test]
    async fn an_interim_answer_says_where_it_came_from() {
        struct There;
        impl Serving for There {
            fn place(&self) -> Place {
                Place {
                    backend: "b".parse().unwrap(),
                    endpoint: "e".into(),
                }
            }
        }
        let by = |outcome: Outcome| match outcome {
            Outcome::InputRequired(interim) => *interim.by.unwrap(),
            other => panic!("{other:?}"),
        };
        let ready = McpResponse::Ready(interim()).hold_noting(There);
        assert_eq!(by(ready.outcome().await.unwrap()), There.place());
        let stream = futures::stream::iter([Ok(Event::Outcome(interim()))]);
        let stream = McpResponse::Stream(ResponseStream::new(stream)).hold_noting(There);
        let mut noted = crate::Interim::from(RawJson::from_static("{}"));
        assert_eq!(by(stream.outcome().await.unwrap()), There.place());
        noted.on(&"other".parse().unwrap());
        noted.on(&"b".parse().unwrap());
        assert_eq!(noted.by.unwrap().backend.as_str(), "other");
    }

    #[test]
    fn a_guard_of_a_ready_answer_ends_at_once() {
        let guard = Arc::new(());
        let _ready = McpResponse::complete(RawJson::from_static("{}")).hold(guard.clone());
        assert_eq!(Arc::strong_count(&guard), 1);
    }
}
