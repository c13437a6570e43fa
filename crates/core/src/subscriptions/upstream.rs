//! One listen stream at a backend, from its request to what the backend says to it.

use std::collections::HashSet;
use std::time::Duration;

use futures::stream::{self, StreamExt};
use mcp_router_protocol::{ErrorObject, Method, RawParams};
use mcp_router_service::{
    CallError, Deadline, Event, McpRequest, McpResponse, McpService, Outcome, Reason,
    RequestContext, ResponseStream, Sent, SharedContext,
};
use tokio::time::timeout;
use tower::ServiceExt;

/// How long a backend may take to say what it honours.
const OPENING: Duration = Duration::from_secs(30);
/// How long a stream may last, for layers that measure calls.
const FOR_EVER: Duration = Duration::from_secs(365 * 24 * 3600);

/// What a backend says to a filter.
pub(crate) enum Answered {
    /// It watches these; everything that was asked for, if it does not say.
    Open(ResponseStream, Option<HashSet<String>>),
    /// It watches nothing.
    No(ErrorObject),
}

/// Asks for news of everything that the array `member` of the filter in `params` names. `context`
/// is that of whoever wants them, its deadline apart.
///
/// # Errors
/// If the backend cannot be asked, or does not answer in time.
pub(crate) async fn open(
    service: McpService,
    params: RawParams,
    member: &str,
    context: RequestContext,
) -> Result<Answered, CallError> {
    let request = McpRequest {
        context: SharedContext::from(RequestContext {
            deadline: Deadline::with_cap(FOR_EVER, FOR_EVER),
            ..context
        }),
        ..McpRequest::new(Method::Listen, params)
    };
    match timeout(OPENING, answered(service, request, member)).await {
        Ok(answered) => answered,
        Err(_) => Err(CallError::new(Reason::Timeout, Sent::Unknown)),
    }
}

async fn answered(
    service: McpService,
    request: McpRequest,
    member: &str,
) -> Result<Answered, CallError> {
    let mut stream = match service.oneshot(request).await? {
        McpResponse::Stream(stream) => stream,
        McpResponse::Ready(Outcome::Error(error)) => return Ok(Answered::No(error)),
        McpResponse::Ready(_) => {
            let error = CallError::new(Reason::ProtocolError, Sent::Unknown);
            return Err(error.detail("a subscription that ends at once"));
        }
    };
    match stream.next().await {
        Some(Ok(Event::Notification {
            method: Method::SubscriptionsAcknowledged,
            params,
        })) => {
            let honoured = acknowledged(&params, member);
            Ok(Answered::Open(stream, Some(honoured)))
        }
        // It does not say what it honours, and tells news already.
        Some(Ok(news @ Event::Notification { .. })) => {
            let rest = stream::iter([Ok(news)]).chain(stream);
            Ok(Answered::Open(ResponseStream::new(rest), None))
        }
        Some(Ok(Event::Outcome(Outcome::Error(error)))) => Ok(Answered::No(error)),
        Some(Err(error)) => Err(error),
        Some(Ok(_)) | None => Err(CallError::new(Reason::BackendLost, Sent::Unknown)),
    }
}

/// What an acknowledgement honours.
fn acknowledged(params: &RawParams, member: &str) -> HashSet<String> {
    let filter = params.get("notifications");
    let honoured = filter.and_then(|f| f.get(member));
    honoured
        .and_then(|honoured| honoured.read_owned().ok())
        .unwrap_or_default()
}
