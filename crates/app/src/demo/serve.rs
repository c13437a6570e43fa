//! Serves an [`Offer`] as a backend: lists, calls, reads, completion.

use std::sync::Arc;

use mcp_router_protocol::{ErrorObject, ItemKind, Method, RawJson, RawParams, code};
use mcp_router_service::{
    BackendInfo, CallError, McpRequest, McpResponse, McpService, Outcome, Reason, Sent,
};
use serde::{Deserialize, Serialize};

use super::offer::{Call, Offer, TextBlock, unknown};

const CAPABILITIES: RawJson = RawJson::from_static(
    r#"{"tools":{"listChanged":true},"prompts":{},"resources":{},"completions":{}}"#,
);

/// What a demo backend says of itself.
pub(super) fn info() -> BackendInfo {
    BackendInfo {
        capabilities: Some(CAPABILITIES),
        hop: "in process".to_owned(),
        ..BackendInfo::default()
    }
}

/// The offer as a service.
pub(super) fn service(offer: impl Offer) -> McpService {
    let offer = Arc::new(offer);
    McpService::new(tower::service_fn(move |request| {
        serve(offer.clone(), request)
    }))
}

async fn serve(offer: Arc<impl Offer>, request: McpRequest) -> Result<McpResponse, CallError> {
    if offer.is_away() {
        let error = CallError::new(Reason::ConnectFailed, Sent::No);
        return Err(error.detail("a pretended outage"));
    }
    if let Some(kind) = ItemKind::of_list_method(&request.method) {
        return Ok(list(&*offer, kind));
    }
    Ok(match &request.method {
        Method::ToolsCall => return Ok(call(&*offer, request).await),
        Method::PromptsGet => prompt(&*offer, request),
        Method::ResourcesRead => read(&*offer, &request.params),
        Method::Complete => complete(&*offer, &request.params),
        Method::Discover => discover(),
        method if method.is_notification() => McpResponse::Ready(Outcome::Accepted),
        _ => McpResponse::error(ErrorObject::new(code::METHOD_NOT_FOUND, "Method not found")),
    })
}

fn list(offer: &impl Offer, kind: ItemKind) -> McpResponse {
    let items = RawJson::from_static(offer.lists()).get(kind.member());
    let items = items.unwrap_or_else(|| RawJson::from_static("[]"));
    McpResponse::complete(RawJson::from_checked(
        format!(
            r#"{{"{}":{},"ttlMs":300000,"cacheScope":"public"}}"#,
            kind.member(),
            items.as_str()
        )
        .into(),
    ))
}

async fn call(offer: &impl Offer, request: McpRequest) -> McpResponse {
    let name = request.params.name().unwrap_or_default();
    match offer.tool(&name, to_call(request)) {
        Some(answer) => answer.await,
        None => unknown("tool", &name),
    }
}

fn to_call(request: McpRequest) -> Call {
    let arguments = request.params.arguments();
    Call {
        arguments: arguments.unwrap_or_else(|| RawJson::from_static("{}")),
        context: request.context.into_inner(),
    }
}

fn prompt(offer: &impl Offer, request: McpRequest) -> McpResponse {
    #[derive(Serialize)]
    struct Message<'a> {
        role: &'static str,
        content: TextBlock<'a>,
    }
    #[derive(Serialize)]
    struct Prompt<'a> {
        messages: [Message<'a>; 1],
    }
    let name = request.params.name().unwrap_or_default();
    let Some(text) = offer.prompt(&name, &to_call(request)) else {
        return unknown("prompt", &name);
    };
    let message = Message {
        role: "user",
        content: TextBlock::new(&text),
    };
    McpResponse::complete(RawJson::of(&Prompt {
        messages: [message],
    }))
}

fn read(offer: &impl Offer, params: &RawParams) -> McpResponse {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Content<'a> {
        uri: &'a str,
        mime_type: &'static str,
        text: String,
    }
    #[derive(Serialize)]
    struct Contents<'a> {
        contents: [Content<'a>; 1],
    }
    let uri = params.uri().unwrap_or_default();
    let Some(text) = offer.resource(&uri) else {
        return unknown_resource(&uri);
    };
    let content = Content {
        uri: &uri,
        mime_type: "text/plain",
        text,
    };
    McpResponse::complete(RawJson::of(&Contents {
        contents: [content],
    }))
}

fn unknown_resource(uri: &str) -> McpResponse {
    let data = format!(r#"{{"uri":{}}}"#, RawJson::of(uri).as_str());
    McpResponse::error(ErrorObject::with_data(
        code::INVALID_PARAMS,
        "Resource not found",
        Some(&RawJson::from_checked(data.into())),
    ))
}

fn complete(offer: &impl Offer, params: &RawParams) -> McpResponse {
    #[derive(Deserialize)]
    struct Argument {
        name: String,
        value: String,
    }
    let argument = params.get("argument").map(|a| a.read_owned::<Argument>());
    let Some(Ok(argument)) = argument else {
        let text = "params.argument needs `name` and `value`";
        return McpResponse::error(ErrorObject::new(code::INVALID_PARAMS, text));
    };
    let values = offer.values(&argument.name).iter();
    let fits: Vec<_> = values.filter(|v| v.starts_with(&argument.value)).collect();
    let result = format!(
        r#"{{"completion":{{"values":{},"total":{},"hasMore":false}}}}"#,
        RawJson::of(&fits).as_str(),
        fits.len()
    );
    McpResponse::complete(RawJson::from_checked(result.into()))
}

fn discover() -> McpResponse {
    let result = format!(r#"{{"capabilities":{}}}"#, CAPABILITIES.as_str());
    McpResponse::complete(RawJson::from_checked(result.into()))
}
