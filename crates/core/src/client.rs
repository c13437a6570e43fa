//! Calls from the same process, without a socket.
//!
//! A program that embeds the router has no use for a client of its own next to it: these functions
//! ask it as an edge would, and give back what came.

use mcp_router_protocol::{ErrorObject, ItemKind, Method, RawJson, RawParams, item::Page};
use mcp_router_service::{CallError, Deadline, McpRequest, Outcome, RequestContext};
use serde::Serialize;
use tower::ServiceExt;

use crate::router::Router;

/// Why a call brought no result.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AskError {
    /// No answer came. The error says whose fault it is and whether the call may have run.
    #[error("no answer")]
    Failed(#[from] CallError),
    /// The answer is an error: an unknown name, parameters that the tool does not take.
    #[error("answered with error {}: {}", .0.code(), .0.message())]
    Refused(ErrorObject),
    /// The tool asks for input first, and says which. Needs a [`RequestContext`] whose client
    /// declares that it can take this.
    #[error("input is needed first")]
    NeedsInput(RawJson),
    /// The answer is not what the method promises.
    #[error("the answer is no result")]
    NoResult,
}

impl Router {
    /// Every tool that clients see, with its definition under its exposed name; the router's own
    /// come last. Waits for backends at the start as a client would.
    ///
    /// # Errors
    /// See [`AskError`].
    pub async fn list_tools(&self, context: &RequestContext) -> Result<Vec<RawJson>, AskError> {
        self.list(context, ItemKind::Tool).await
    }

    /// Everything of one kind that clients see.
    ///
    /// # Errors
    /// See [`AskError`].
    pub async fn list(
        &self,
        context: &RequestContext,
        kind: ItemKind,
    ) -> Result<Vec<RawJson>, AskError> {
        let mut items = Vec::new();
        let mut params = RawParams::default();
        loop {
            let method = kind.list_method();
            let result = self.ask(request(context, method, params)).await?;
            let page = Page::parse(kind, &result).map_err(|_| AskError::NoResult)?;
            items.extend(page.items.iter().map(|item| item.raw().clone()));
            let Some(cursor) = page.next_cursor else {
                return Ok(items);
            };
            let change = [("cursor", Some(&cursor.bytes()[..]))];
            let next = RawParams::default().with_members(&change);
            params = next.map_err(|_| AskError::NoResult)?;
        }
    }

    /// Calls a tool by its exposed name. `arguments` must serialize to an object. A tool that
    /// failed by its own account is a result whose `isError` is true.
    ///
    /// Dropping the future cancels the call. Whoever runs unannotated tools should not repeat one
    /// that [failed](AskError::Failed) with [`Sent::Unknown`](mcp_router_service::Sent::Unknown).
    ///
    /// # Errors
    /// See [`AskError`].
    pub async fn call_tool(
        &self,
        context: &RequestContext,
        name: &str,
        arguments: &impl Serialize,
    ) -> Result<RawJson, AskError> {
        let params = RawParams::of(&Named { name, arguments });
        self.ask(request(context, Method::ToolsCall, params)).await
    }

    /// Gets a prompt by its exposed name. `arguments` must serialize to an object of strings.
    ///
    /// # Errors
    /// See [`AskError`].
    pub async fn get_prompt(
        &self,
        context: &RequestContext,
        name: &str,
        arguments: &impl Serialize,
    ) -> Result<RawJson, AskError> {
        let params = RawParams::of(&Named { name, arguments });
        self.ask(request(context, Method::PromptsGet, params)).await
    }

    /// Reads a resource by its exposed URI.
    ///
    /// # Errors
    /// See [`AskError`].
    pub async fn read_resource(
        &self,
        context: &RequestContext,
        uri: &str,
    ) -> Result<RawJson, AskError> {
        let params = RawParams::of(&Located { uri });
        let method = Method::ResourcesRead;
        self.ask(request(context, method, params)).await
    }

    /// Sends any request and waits for its result. Notifications on the way (progress, log
    /// messages) are dropped and what a backend asks the client is refused: who wants to see them
    /// uses the router as the `Service` that it is.
    ///
    /// # Errors
    /// See [`AskError`].
    pub async fn ask(&self, request: McpRequest) -> Result<RawJson, AskError> {
        let answer = self.clone().oneshot(request).await?;
        match answer.outcome().await? {
            Outcome::Complete(result) => Ok(result),
            Outcome::Error(error) => Err(AskError::Refused(error)),
            Outcome::InputRequired(interim) => Err(AskError::NeedsInput(interim.result)),
            Outcome::Accepted => Err(AskError::NoResult),
        }
    }
}

/// Written as it is serialized: no tree of values, so no number changes on the way.
#[derive(Serialize)]
struct Named<'a, A> {
    name: &'a str,
    arguments: &'a A,
}

#[derive(Serialize)]
struct Located<'a> {
    uri: &'a str,
}

/// A request with a deadline of its own: a context may be used for any number of them.
fn request(context: &RequestContext, method: Method, params: RawParams) -> McpRequest {
    let context = RequestContext {
        deadline: Deadline::default(),
        ..context.clone()
    };
    McpRequest {
        method,
        params,
        context: context.into(),
    }
}
