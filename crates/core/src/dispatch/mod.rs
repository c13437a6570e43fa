//! One request, from the snapshot to the backend that serves it.

mod call;
mod complete;
mod discover;
mod failover;
mod headers;
mod info;
mod internal;
mod level;
mod list;
mod listen;
pub(crate) mod manage;
mod pinned;
mod read;
pub(crate) mod subscribe;
mod task_news;
mod tasks;
mod uris;

use std::sync::Arc;

use futures::FutureExt;
use mcp_router_protocol::{ErrorObject, ItemKind, Method, code};
use mcp_router_service::{CallError, McpRequest, McpResponse, Outcome};

use crate::hub::Hub;

/// Serves one request.
///
/// # Errors
/// What happened to it at the backend; everything the router itself has to say is an answer.
pub(crate) async fn dispatch(hub: Arc<Hub>, request: McpRequest) -> Result<McpResponse, CallError> {
    match request.method {
        Method::ToolsCall => call::call(&hub, ItemKind::Tool, request).await,
        Method::PromptsGet => call::call(&hub, ItemKind::Prompt, request).await,
        // In boxes of their own: whatever a call has no need of is moved with every call.
        Method::ResourcesRead => read::read(&hub, request).boxed().await,
        _ => other(&hub, request).boxed().await,
    }
}

async fn other(hub: &Arc<Hub>, request: McpRequest) -> Result<McpResponse, CallError> {
    if let Some(kind) = ItemKind::of_list_method(&request.method) {
        return Ok(list::list(hub, kind, &request).await);
    }
    match request.method {
        Method::Complete => complete::complete(hub, request).await,
        Method::Discover => Ok(discover::discover(&hub.snapshot.load())),
        Method::Listen => Ok(listen::listen(hub, &request).await),
        Method::SetLevel if request.context.session.is_some() => {
            Ok(level::set(hub, &request).await)
        }
        Method::ResourcesSubscribe if let Some(session) = &request.context.session => {
            subscribe::subscribe(hub, session, &request).await
        }
        Method::ResourcesUnsubscribe if let Some(session) = &request.context.session => {
            subscribe::unsubscribe(hub, session, &request).await
        }
        ref about if tasks::is_about_task(about) && request.context.client.takes_input_required => {
            tasks::relay(hub, request).await
        }
        Method::Attach => Ok(internal::attach(hub, &request).await),
        Method::Detach => Ok(internal::detach(hub, &request).await),
        Method::Answer => internal::answer(hub, request).await,
        method if method.is_notification() => Ok(McpResponse::Ready(Outcome::Accepted)),
        method => {
            let text = format!("Method not found: {}", method.as_str().escape_debug());
            Ok(McpResponse::error(ErrorObject::new(
                code::METHOD_NOT_FOUND,
                text,
            )))
        }
    }
}

/// -32602: the request is wrong, whoever would serve it.
fn invalid_params(text: impl AsRef<str>) -> McpResponse {
    McpResponse::error(ErrorObject::new(code::INVALID_PARAMS, text))
}

#[cfg(test)]
mod tests {
    use mcp_router_protocol::RawParams;

    use super::*;
    use crate::Router;

    /// It is moved into a box for every call, whatever of it that call needs.
    #[tokio::test]
    async fn what_a_call_is_moved_with_is_small() {
        let router = Router::builder().build().unwrap();
        let request = McpRequest::new(Method::ToolsCall, RawParams::default());
        let size = size_of_val(&dispatch(router.hub, request));
        assert!(size <= 2048, "{size}");
    }
}
