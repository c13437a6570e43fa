//! Keeps legacy calls alive when their connection breaks.
//!
//! Up to 2025-11-25 a broken connection is not a cancellation (R38): the tool goes on running, and
//! the client may ask for its effects later. Only for so long, though: nobody may ever ask.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use futures::future::BoxFuture;
use futures::{Stream, StreamExt};

use crate::server::call::{Head, Replies};
use crate::server::dialect::Wire;

/// A call that has not begun to be answered. Dropped, it goes on without its client.
pub(super) struct KeptCall {
    call: Option<BoxFuture<'static, Head>>,
    time: Duration,
}

impl KeptCall {
    pub(super) fn new(call: BoxFuture<'static, Head>, time: Duration) -> Self {
        Self {
            call: Some(call),
            time,
        }
    }

    /// The call itself, for who keeps it alive from now on.
    pub(super) fn into_call(mut self) -> Option<BoxFuture<'static, Head>> {
        self.call.take()
    }
}

impl Future for KeptCall {
    type Output = Head;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Head> {
        let Some(call) = &mut self.call else {
            return Poll::Ready(Head::Silent);
        };
        let head = std::task::ready!(call.as_mut().poll(cx));
        self.call = None;
        Poll::Ready(head)
    }
}

impl Drop for KeptCall {
    fn drop(&mut self) {
        if let Some(call) = self.call.take() {
            go_on(self.time, async move {
                if let Head::Stream(replies) = call.await {
                    finish(*replies).await;
                }
            });
        }
    }
}

/// The messages of a call. Dropped before the answer, the call goes on without its client.
pub(super) struct KeptReplies {
    replies: Option<Box<Replies>>,
    time: Duration,
}

impl KeptReplies {
    pub(super) fn new(replies: Box<Replies>, time: Duration) -> Self {
        Self {
            replies: Some(replies),
            time,
        }
    }
}

impl Stream for KeptReplies {
    type Item = Wire;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Wire>> {
        let Some(replies) = &mut self.replies else {
            return Poll::Ready(None);
        };
        let wire = std::task::ready!(replies.poll_next_unpin(cx));
        if replies.is_done() {
            self.replies = None;
        }
        Poll::Ready(wire)
    }
}

impl Drop for KeptReplies {
    fn drop(&mut self) {
        if let Some(replies) = self.replies.take() {
            go_on(self.time, finish(*replies));
        }
    }
}

async fn finish(mut replies: Replies) {
    replies.orphan();
    while replies.next().await.is_some() {}
}

fn go_on(time: Duration, call: impl Future<Output = ()> + Send + 'static) {
    // Outside a runtime everything is coming down anyway.
    if let Ok(runtime) = tokio::runtime::Handle::try_current() {
        runtime.spawn(async move {
            if tokio::time::timeout(time, call).await.is_err() {
                tracing::info!("a call whose client left was cancelled");
            }
        });
    }
}
