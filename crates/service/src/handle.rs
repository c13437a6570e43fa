//! The service that every part of the router offers and wants, whatever it is made of.
//!
//! Each call takes such a service at the front of the router and another one for its backend. A
//! boxed service of tower's is copied for that, with everything in it, once for every box. This
//! one is a handle: taking it is counting, and a box within a box is none.

use std::any::{Any, TypeId};
use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use futures::future::BoxFuture;
use tower::{Service, ServiceExt};

use crate::{CallError, McpRequest, McpResponse};

type Answer = Result<McpResponse, CallError>;

/// The service every part of the router offers and wants: cloneable, sendable, boxed at the seams.
/// Clones are the same service.
///
/// It is always ready: a call waits by itself until the service behind it is, and loses nothing
/// when it is dropped meanwhile.
#[derive(Clone)]
pub struct McpService(Arc<dyn Serve>);

trait Serve: Send + Sync {
    fn serve(&self, request: McpRequest) -> BoxFuture<'static, Answer>;
}

/// A service, of which each call gets its own clone.
struct Cloned<S>(S);

impl McpService {
    /// Boxes a service.
    pub fn new<S>(service: S) -> Self
    where
        S: Service<McpRequest, Response = McpResponse, Error = CallError>
            + Clone
            + Send
            + Sync
            + 'static,
        S::Future: Send + 'static,
    {
        match (&service as &dyn Any).downcast_ref::<Self>() {
            Some(boxed) => boxed.clone(),
            None => Self(Arc::new(Cloned(service))),
        }
    }
}

impl<S> Serve for Cloned<S>
where
    S: Service<McpRequest, Response = McpResponse, Error = CallError> + Clone + Send + Sync,
    S::Future: Send + 'static,
    S: 'static,
{
    fn serve(&self, request: McpRequest) -> BoxFuture<'static, Answer> {
        let mut service = self.0.clone();
        // Nearly all are ready at once. One that is not is asked again by the future that waits.
        match service.poll_ready(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(Ok(())) if is_box::<S::Future>() => unboxed(service.call(request)),
            // Where it is made: one that is handed on first is moved once more.
            Poll::Ready(Ok(())) => Box::pin(service.call(request)),
            Poll::Ready(Err(error)) => Box::pin(std::future::ready(Err(error))),
            Poll::Pending => Box::pin(service.oneshot(request)),
        }
    }
}

/// Whether a future is a box already.
fn is_box<F: 'static>() -> bool {
    TypeId::of::<F>() == TypeId::of::<BoxFuture<'static, Answer>>()
}

/// The box that a future [is](is_box).
fn unboxed<F: 'static>(future: F) -> BoxFuture<'static, Answer> {
    let mut same = Some(future);
    let slot: &mut dyn Any = &mut same;
    match slot.downcast_mut().and_then(Option::take) {
        Some(future) => future,
        None => unreachable!("the types are the same"),
    }
}

impl Service<McpRequest> for McpService {
    type Response = McpResponse;
    type Error = CallError;
    type Future = BoxFuture<'static, Answer>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), CallError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: McpRequest) -> Self::Future {
        self.0.serve(request)
    }
}

impl fmt::Debug for McpService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("McpService(..)")
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use futures::FutureExt;
    use futures::task::AtomicWaker;
    use mcp_router_protocol::{Method, RawJson, RawParams};

    use super::*;
    use crate::{Reason, Sent};

    fn request() -> McpRequest {
        McpRequest::new(Method::ToolsCall, RawParams::default())
    }

    fn answers() -> McpService {
        McpService::new(tower::service_fn(|_: McpRequest| async {
            Ok(McpResponse::complete(RawJson::from_static("{}")))
        }))
    }

    #[test]
    fn a_box_within_a_box_is_the_same_box() {
        let service = answers();
        let again = McpService::new(service.clone());
        assert!(Arc::ptr_eq(&service.0, &again.0));
    }

    #[tokio::test]
    async fn futures_are_boxed_once_and_answer_all_the_same() {
        let inner = answers();
        let fresh = inner.clone().oneshot(request()).await;
        assert!(matches!(fresh, Ok(McpResponse::Ready(_))));
        // A service whose future is a box already.
        let outer = McpService::new(tower::service_fn(move |r| inner.clone().call(r)));
        let answer = outer.oneshot(request()).await;
        assert!(matches!(answer, Ok(McpResponse::Ready(_))));
    }

    /// Ready when it is told to be, or broken.
    #[derive(Clone, Default)]
    struct Slow(Arc<(AtomicBool, AtomicWaker)>);

    impl Service<McpRequest> for Slow {
        type Response = McpResponse;
        type Error = CallError;
        type Future = std::future::Ready<Answer>;

        fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), CallError>> {
            self.0.1.register(cx.waker());
            match self.0.0.load(Ordering::SeqCst) {
                true => Poll::Ready(Err(CallError::new(Reason::Draining, Sent::No))),
                false => Poll::Pending,
            }
        }

        fn call(&mut self, _: McpRequest) -> Self::Future {
            unreachable!("it is never ready")
        }
    }

    #[tokio::test]
    async fn a_call_waits_for_a_service_that_is_not_ready_and_hears_that_it_never_will_be() {
        let slow = Slow::default();
        let mut call = tokio::spawn(McpService::new(slow.clone()).oneshot(request()));
        tokio::task::yield_now().await;
        assert!((&mut call).now_or_never().is_none());
        slow.0.0.store(true, Ordering::SeqCst);
        slow.0.1.wake();
        let error = call.await.unwrap().unwrap_err();
        assert_eq!(error.reason, Reason::Draining);
        let at_once = McpService::new(slow).oneshot(request()).await;
        assert_eq!(at_once.unwrap_err().reason, Reason::Draining);
    }
}
