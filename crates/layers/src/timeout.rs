//! Ends an attempt that takes too long.
//!
//! A backend that accepts and never answers would hold its callers, their permits and their
//! clients' patience for ever. One attempt has `attempt` from its start to its first message, and
//! in a stream to its end, but never beyond the call's own [`Deadline`], which is a handle that
//! others move. Progress is a sign of life: it grants another `attempt` and moves the deadline.
//! Bytes, comments and log messages are none. From the moment at which the backend asks the client
//! something until the client has answered, the clock stands still, at most for [`CLIENT_WAIT`].
//!
//! It stands inside everything that counts failures, and directly around the edge: dropping the
//! edge's future or stream is what cancels the call at the backend.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use futures::Stream;
use mcp_router_protocol::Method;
use mcp_router_service::{
    Alarm, CallError, Deadline, Event, McpRequest, McpResponse, Pause, Reason, ResponseStream, Sent,
};
use pin_project_lite::pin_project;
use tokio::time::Instant;
use tower::{Layer, Service};

mod asked;

use asked::Asked;

/// Longest wait for the client in the middle of a call. A client has five minutes; whoever asks it
/// gives up then, in good order, and this is for those that do not.
pub const CLIENT_WAIT: Duration = Duration::from_secs(305);

/// Bounds each attempt in time. Innermost, directly around a backend's edge.
#[derive(Clone, Copy, Debug)]
pub struct TimeoutLayer {
    attempt: Duration,
}

/// A service whose attempts end; see [`TimeoutLayer`].
#[derive(Clone, Debug)]
pub struct Timeout<S> {
    inner: S,
    attempt: Duration,
}

pin_project! {
    /// The answer of a [`Timeout`].
    #[derive(Debug)]
    pub struct TimeoutFuture<F> {
        // Gone once the time is over: the backend hears of it before the caller does.
        #[pin]
        inner: Option<F>,
        timer: Option<Timer>,
    }
}

/// How long there is still, for the future first, then for the stream.
#[derive(Debug)]
struct Timer {
    /// The task's, from the first wait on.
    alarm: Option<Alarm>,
    deadline: Deadline,
    attempt: Duration,
    /// When the attempt itself is over.
    until: Instant,
    /// When to look at the time again.
    rings: Instant,
    /// Holds the deadline while the backend waits for the client.
    waiting: Option<Pause>,
}

struct Timed {
    inner: Option<ResponseStream>,
    timer: Timer,
    asked: Asked,
}

// === impl TimeoutLayer ===

impl TimeoutLayer {
    /// What `mcp-router` gives an attempt by default.
    pub const DEFAULT: Duration = Duration::from_secs(30);

    /// Gives each attempt `attempt`, or what remains of the call's deadline if that is less. A
    /// call that brings a time of its own (`context.attempt`) gets that instead.
    pub const fn new(attempt: Duration) -> Self {
        Self { attempt }
    }
}

impl<S> Layer<S> for TimeoutLayer {
    type Service = Timeout<S>;

    fn layer(&self, inner: S) -> Timeout<S> {
        Timeout {
            inner,
            attempt: self.attempt,
        }
    }
}

// === impl Timeout ===

impl<S> Service<McpRequest> for Timeout<S>
where
    S: Service<McpRequest, Response = McpResponse>,
    S::Error: Into<CallError>,
{
    type Response = McpResponse;
    type Error = CallError;
    type Future = TimeoutFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), CallError>> {
        self.inner.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, request: McpRequest) -> Self::Future {
        // A listen stream lives until one side ends it.
        let timer = (request.method != Method::Listen).then(|| {
            Timer::start(
                request.context.attempt.unwrap_or(self.attempt),
                request.context.deadline.clone(),
            )
        });
        let in_time = timer.as_ref().is_none_or(|(_, in_time)| *in_time);
        let timer = timer.map(|(timer, _)| timer);
        TimeoutFuture {
            inner: in_time.then(|| self.inner.call(request)),
            timer,
        }
    }
}

// === impl TimeoutFuture ===

impl<F, E> Future for TimeoutFuture<F>
where
    F: Future<Output = Result<McpResponse, E>>,
    E: Into<CallError>,
{
    type Output = Result<McpResponse, CallError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        let Some(inner) = this.inner.as_mut().as_pin_mut() else {
            let late = CallError::new(Reason::Timeout, Sent::No);
            return Poll::Ready(Err(late.detail("before it was sent").blameless()));
        };
        if let Poll::Ready(answer) = inner.poll(cx) {
            let answer = answer.map_err(Into::into)?;
            return Poll::Ready(Ok(match (answer, this.timer.take()) {
                (McpResponse::Stream(stream), Some(timer)) => {
                    McpResponse::Stream(ResponseStream::new(Timed {
                        inner: Some(stream),
                        timer,
                        asked: Asked::default(),
                    }))
                }
                (answer, _) => answer,
            }));
        }
        let Some(timer) = this.timer.as_mut() else {
            return Poll::Pending;
        };
        let over = std::task::ready!(timer.poll_over(cx));
        this.inner.set(None);
        Poll::Ready(Err(over))
    }
}

// === impl Timed ===

impl Stream for Timed {
    type Item = Result<Event, CallError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        let Some(inner) = this.inner.as_mut() else {
            return Poll::Ready(None);
        };
        if this.asked.poll(cx) {
            this.timer.answered();
        }
        if let Poll::Ready(mut item) = Pin::new(inner).poll_next(cx) {
            match &mut item {
                // An answer that is there is never thrown away for being late.
                Some(Ok(Event::Outcome(_))) => {}
                Some(Ok(event)) => {
                    if let Event::ServerRequest(request) = event {
                        this.asked.add(request);
                        // To be woken by the answer, however soon it comes.
                        this.asked.poll(cx);
                    }
                    this.timer.saw(event);
                    // A backend that always has one more event would never let the timer be
                    // asked: whatever it says, the hard cap holds.
                    if let Some(over) = this.timer.over() {
                        this.inner = None;
                        return Poll::Ready(Some(Err(over)));
                    }
                }
                Some(Err(_)) | None => this.inner = None,
            }
            return Poll::Ready(item);
        }
        let over = std::task::ready!(this.timer.poll_over(cx));
        this.inner = None;
        Poll::Ready(Some(Err(over)))
    }
}

// === impl Timer ===

impl Timer {
    /// Starts the attempt; and whether there is time for one.
    fn start(attempt: Duration, deadline: Deadline) -> (Self, bool) {
        let now = Instant::now();
        let (until, deadline_at) = (now + attempt, deadline.instant_at(now));
        let timer = Self {
            alarm: None,
            deadline,
            attempt,
            until,
            rings: until.min(deadline_at),
            waiting: None,
        };
        (timer, now < deadline_at)
    }

    /// Grants the attempt `time` from now.
    fn grant(&mut self, time: Duration) {
        self.until = Instant::now() + time;
        self.rings = self.end();
    }

    fn end(&self) -> Instant {
        match self.waiting {
            // The deadline stands still; only the wait itself is bounded.
            Some(_) => self.until,
            None => self.until.min(self.deadline.instant()),
        }
    }

    fn saw(&mut self, event: &Event) {
        match event {
            Event::ServerRequest(_) => {
                self.waiting = Some(self.deadline.pause(CLIENT_WAIT));
                self.grant(CLIENT_WAIT);
            }
            // While it waits for the client, nothing that it says makes the wait shorter.
            Event::Notification { method, .. }
                if *method == Method::Progress && self.waiting.is_none() =>
            {
                self.deadline.extend(self.attempt);
                self.grant(self.attempt);
            }
            Event::Notification { .. } | Event::Outcome(_) => {}
        }
    }

    /// The client has answered everything: the backend has the time of an attempt again.
    fn answered(&mut self) {
        if self.waiting.take().is_some() {
            self.grant(self.attempt);
        }
    }

    /// The error, if there is no time left.
    fn over(&mut self) -> Option<CallError> {
        let end = self.end();
        if Instant::now() < end {
            return None;
        }
        let error = CallError::new(Reason::Timeout, Sent::Unknown);
        Some(match self.waiting.take() {
            Some(_) => error.detail("waiting for the client").blameless(),
            None if end < self.until => error.detail("at the deadline of the call"),
            None => error.detail(format!("after {}", seconds(self.attempt))),
        })
    }

    /// Waits for the end. The deadline may have moved since `rings` was set; it only ever moves
    /// away, so looking again when the alarm rings is enough.
    fn poll_over(&mut self, cx: &mut Context<'_>) -> Poll<CallError> {
        loop {
            let alarm = self.alarm.get_or_insert_with(Alarm::kept);
            std::task::ready!(alarm.poll(self.rings, cx));
            if let Some(error) = self.over() {
                return Poll::Ready(error);
            }
            self.rings = self.end();
        }
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        if let Some(alarm) = &mut self.alarm {
            alarm.keep();
        }
    }
}

/// A duration for people: `30 s`, `0.25 s`.
fn seconds(d: Duration) -> String {
    format!("{} s", d.as_secs_f64())
}

#[cfg(test)]
mod tests;
