//! A connector that gives up.
//!
//! The one we build on bounds each TCP attempt, not the name look-up before it: a name server
//! that never answers would hold a call for as long as the call lives (F17).

use std::task::{Context, Poll};
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use http::Uri;
use tower::{BoxError, Service};

/// There was no connection in time.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("no connection in time")]
pub(super) struct TimedOut;

/// Bounds everything its inner connector does.
#[derive(Clone, Debug)]
pub(super) struct Timed<C> {
    inner: C,
    limit: Duration,
}

impl<C> Timed<C> {
    pub(super) fn new(inner: C, limit: Duration) -> Self {
        Self { inner, limit }
    }
}

impl<C> Service<Uri> for Timed<C>
where
    C: Service<Uri>,
    C::Error: Into<BoxError>,
    C::Future: Send + 'static,
    C::Response: Send,
{
    type Response = C::Response;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<C::Response, BoxError>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let connecting = self.inner.call(uri);
        let limit = self.limit;
        async move {
            match tokio::time::timeout(limit, connecting).await {
                Ok(connected) => connected.map_err(Into::into),
                Err(_) => Err(TimedOut.into()),
            }
        }
        .boxed()
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use tower::ServiceExt;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn f4_f17_whatever_hangs_before_the_connection_ends_in_two_seconds() {
        let hangs = tower::service_fn(|_: Uri| pending::<Result<(), BoxError>>());
        let limit = Duration::from_secs(2);
        let start = tokio::time::Instant::now();
        let error = Timed::new(hangs, limit).oneshot(Uri::from_static("http://x/"));
        assert!(error.await.unwrap_err().is::<TimedOut>());
        assert_eq!(start.elapsed(), limit);
    }
}
