//! The first message decides: an outcome is an answer at once, anything else begins a stream.

use std::future::Future;

use futures::stream;
use mcp_router_service::{CallError, Event, McpResponse, ResponseStream};

/// The messages of one call, however they come.
pub(crate) trait Source: Send + 'static {
    /// The next one. After an outcome or an error it is not asked again. May be dropped while it
    /// waits, and asked again, without losing anything.
    fn next(&mut self) -> impl Future<Output = Result<Event, CallError>> + Send;
}

/// The answer that `source` gives, as the waist wants it. Dropping the answer drops the source.
pub(crate) async fn respond<S: Source>(mut source: S) -> Result<McpResponse, CallError> {
    let first = source.next().await?;
    if let Event::Outcome(outcome) = first {
        return Ok(McpResponse::Ready(outcome));
    }
    let rest = stream::unfold((Some(source), Some(first)), |(source, first)| async move {
        let mut source = source?;
        let event = match first {
            Some(event) => Ok(event),
            None => source.next().await,
        };
        let more = !matches!(event, Ok(Event::Outcome(_)) | Err(_));
        Some((event, (more.then_some(source), None)))
    });
    Ok(McpResponse::Stream(ResponseStream::new(rest)))
}
