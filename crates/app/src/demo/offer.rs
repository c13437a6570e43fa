//! What a demo backend offers, and how its answers are written.

use futures::future::{BoxFuture, FutureExt, ready};
use mcp_router_protocol::{ErrorObject, JsonError, RawJson, code};
use mcp_router_service::{McpResponse, RequestContext};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// One demo backend: its lists as a JSON text, and what answers to the names in them.
pub(super) trait Offer: Send + Sync + 'static {
    /// An object with `tools`, `prompts`, `resources` and `resourceTemplates`.
    fn lists(&self) -> &'static str;

    /// Runs a tool; `None` if there is none of this name.
    fn tool(&self, name: &str, call: Call) -> Option<Answer>;

    /// Renders a prompt.
    fn prompt(&self, _name: &str, _call: &Call) -> Option<String> {
        None
    }

    /// Reads a resource: its text.
    fn resource(&self, _uri: &str) -> Option<String> {
        None
    }

    /// The values that an argument of a prompt or template may take.
    fn values(&self, _argument: &str) -> &'static [&'static str] {
        &[]
    }

    /// Whether the backend pretends to be away.
    fn is_away(&self) -> bool {
        false
    }
}

/// What a tool is called with.
pub(super) struct Call {
    /// The arguments, an object.
    pub(super) arguments: RawJson,
    /// The rest of the request.
    pub(super) context: RequestContext,
}

/// An answer, now or later. Dropping it stops the tool.
pub(super) type Answer = BoxFuture<'static, McpResponse>;

impl Call {
    /// The arguments as `T`, or the result that tells the model what is wrong with them.
    pub(super) fn read<T: DeserializeOwned>(&self) -> Result<T, McpResponse> {
        self.arguments.read_owned().map_err(|error| {
            // They are JSON, or they would not be here: what is wrong is what they hold.
            let what = match error {
                JsonError::Syntax(what) => what,
                other => other.to_string(),
            };
            tool_error(&format!("Invalid arguments: {what}"))
        })
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ToolResult<'a> {
    content: [TextBlock<'a>; 1],
    #[serde(skip_serializing_if = "Option::is_none")]
    structured_content: Option<&'a RawJson>,
    is_error: bool,
}

/// One text block of a result or prompt.
#[derive(Serialize)]
pub(super) struct TextBlock<'a> {
    r#type: &'static str,
    text: &'a str,
}

impl<'a> TextBlock<'a> {
    pub(super) const fn new(text: &'a str) -> Self {
        Self {
            r#type: "text",
            text,
        }
    }
}

/// An answer that is there.
pub(super) fn now(response: McpResponse) -> Answer {
    ready(response).boxed()
}

/// A tool's text.
pub(super) fn tool_text(text: &str) -> McpResponse {
    tool_result(text, None, false)
}

/// A tool's structured result, and the same JSON as text.
pub(super) fn tool_value(value: &impl Serialize) -> McpResponse {
    let json = RawJson::of(value);
    tool_result(json.as_str(), Some(&json), false)
}

/// A tool's failure, for the model to read.
pub(super) fn tool_error(text: &str) -> McpResponse {
    tool_result(text, None, true)
}

fn tool_result(text: &str, structured: Option<&RawJson>, is_error: bool) -> McpResponse {
    McpResponse::complete(RawJson::of(&ToolResult {
        content: [TextBlock::new(text)],
        structured_content: structured,
        is_error,
    }))
}

/// The request names something that is not there.
pub(super) fn unknown(what: &str, name: &str) -> McpResponse {
    let text = format!("Unknown {what}: {}", name.escape_debug());
    McpResponse::error(ErrorObject::new(code::INVALID_PARAMS, text))
}
