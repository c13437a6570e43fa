//! Gives everything below it a name.
//!
//! A failure that does not say whose it is helps nobody, and the edges and layers below do not
//! know what the operator called them. This is the outermost layer of a backend's stack: it notes
//! the backend on the call's trail and names it in every error, also in one that ends a stream.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures::StreamExt;
use mcp_router_protocol::BackendName;
use mcp_router_service::{CallError, McpRequest, McpResponse, ResponseStream};
use pin_project_lite::pin_project;
use tower::{Layer, Service};

/// Names a backend in errors and on the trail of calls. Outermost in the backend's stack.
#[derive(Clone, Debug)]
pub struct BackendLayer {
    name: BackendName,
}

/// A service with a name; see [`BackendLayer`].
#[derive(Clone, Debug)]
pub struct BackendService<S> {
    inner: S,
    name: BackendName,
}

pin_project! {
    /// The answer of a [`BackendService`].
    #[derive(Debug)]
    pub struct BackendFuture<F> {
        #[pin]
        inner: F,
        name: BackendName,
    }
}

// === impl BackendLayer ===

impl BackendLayer {
    /// Everything below is `name`'s.
    pub const fn new(name: BackendName) -> Self {
        Self { name }
    }
}

impl<S> Layer<S> for BackendLayer {
    type Service = BackendService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        BackendService {
            inner,
            name: self.name.clone(),
        }
    }
}

// === impl BackendService ===

impl<S> Service<McpRequest> for BackendService<S>
where
    S: Service<McpRequest, Response = McpResponse>,
    S::Error: Into<CallError>,
{
    type Response = McpResponse;
    type Error = CallError;
    type Future = BackendFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), CallError>> {
        let name = &self.name;
        self.inner.poll_ready(cx).map_err(|e| e.into().on(name))
    }

    fn call(&mut self, request: McpRequest) -> Self::Future {
        request.context.trail.visit(&self.name);
        BackendFuture {
            inner: self.inner.call(request),
            name: self.name.clone(),
        }
    }
}

// === impl BackendFuture ===

impl<F, E> Future for BackendFuture<F>
where
    F: Future<Output = Result<McpResponse, E>>,
    E: Into<CallError>,
{
    type Output = Result<McpResponse, CallError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let answer = ready!(this.inner.poll(cx));
        Poll::Ready(match answer {
            Err(error) => Err(error.into().on(this.name)),
            Ok(McpResponse::Stream(stream)) => {
                let name = this.name.clone();
                let named = stream.map(move |event| event.map_err(|e| e.on(&name)));
                Ok(McpResponse::Stream(ResponseStream::new(named)))
            }
            Ok(ready) => Ok(ready),
        })
    }
}

#[cfg(test)]
mod tests {
    use mcp_router_service::{Reason, Sent, Trail};
    use tower::ServiceExt;
    use tower_test::mock;

    use super::*;
    use crate::testing::{Backend, Mock, call, into_stream, next, secs, stream};

    fn named() -> (BackendService<Mock>, Backend) {
        let (service, backend) = mock::pair();
        let layer = BackendLayer::new("search".parse().unwrap());
        (layer.layer(service), backend)
    }

    #[tokio::test]
    async fn r44_errors_name_the_backend_and_calls_leave_a_trail() {
        let (service, mut backend) = named();
        let mut request = call(secs(30));
        request.context.trail = Trail::recording();
        let trail = request.context.trail.clone();
        let failing = async {
            let (_, respond) = backend.next_request().await.unwrap();
            respond.send_error(CallError::new(Reason::ConnectFailed, Sent::No));
        };
        let (answer, ()) = tokio::join!(service.oneshot(request), failing);
        assert_eq!(answer.unwrap_err().backend.unwrap().as_str(), "search");
        assert_eq!(trail.last(), (Some("search".parse().unwrap()), 1));
    }

    #[tokio::test]
    async fn an_error_that_ends_a_stream_names_the_backend_too() {
        let (service, mut backend) = named();
        let (feed, streamed, _alive) = stream();
        let answering = async {
            let (_, respond) = backend.next_request().await.unwrap();
            respond.send_response(streamed);
        };
        let (answer, ()) = tokio::join!(service.oneshot(call(secs(30))), answering);
        let mut events = into_stream(answer.unwrap());
        feed.send(Err(CallError::new(Reason::BackendLost, Sent::Unknown)))
            .unwrap();
        let error = next(&mut events).await.unwrap().unwrap_err();
        assert_eq!(error.backend.unwrap().as_str(), "search");
    }
}
