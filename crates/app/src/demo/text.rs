//! The demo's `text` namespace: tools, a resource, a template and a prompt with completion, by a
//! primary and a secondary.

use mcp_router_protocol::{Method, RawParams};
use serde_json::{Value, json};

use super::server::{Offer, Run, Tool};

const GREETINGS: [&str; 4] = ["friendly", "formal", "french", "frugal"];

pub(super) static PRIMARY: Offer = Offer {
    role: "primary",
    instructions: "Works with short texts.",
    tools: &[ECHO, ADD, SLUGIFY, WHO, FAIL, TAKE_DOWN],
    other,
};

/// Offers the same, but cannot be taken down.
pub(super) static SECONDARY: Offer = Offer {
    role: "secondary",
    instructions: "",
    tools: &[ECHO, ADD, SLUGIFY, WHO, FAIL],
    other,
};

const ECHO: Tool = Tool {
    name: "echo",
    description: "Answers with the same text.",
    properties: || json!({ "text": { "type": "string" } }),
    run: Run::Now(|_, arguments| Ok(string(arguments, "text")?.to_owned())),
};

const ADD: Tool = Tool {
    name: "add",
    description: "Adds two numbers.",
    properties: || json!({ "a": { "type": "number" }, "b": { "type": "number" } }),
    run: Run::Now(|_, arguments| {
        let number = |name: &str| {
            arguments[name]
                .as_f64()
                .ok_or_else(|| format!("`{name}` must be a number"))
        };
        Ok((number("a")? + number("b")?).to_string())
    }),
};

const SLUGIFY: Tool = Tool {
    name: "slugify",
    description: "Turns a text into a part of a URL.",
    properties: || json!({ "text": { "type": "string" } }),
    run: Run::Now(|_, arguments| {
        let words = string(arguments, "text")?.split(|c: char| !c.is_alphanumeric());
        let words: Vec<_> = words
            .filter(|w| !w.is_empty())
            .map(str::to_lowercase)
            .collect();
        Ok(words.join("-"))
    }),
};

const WHO: Tool = Tool {
    name: "who",
    description: "Tells which of the two servers of this namespace answers.",
    properties: || json!({}),
    run: Run::Now(|offer, _| Ok(offer.role.to_owned())),
};

const FAIL: Tool = Tool {
    name: "fail",
    description: "Fails, to show what that looks like.",
    properties: || json!({}),
    run: Run::Now(|_, _| Err("this tool always fails".to_owned())),
};

const TAKE_DOWN: Tool = Tool {
    name: "take_down",
    description: "Takes the primary server away for some seconds, to show what the router does.",
    properties: || json!({ "seconds": { "type": "integer", "minimum": 1, "maximum": 600 } }),
    run: Run::TakeDown,
};

fn string<'a>(arguments: &'a Value, name: &str) -> Result<&'a str, String> {
    arguments[name]
        .as_str()
        .ok_or_else(|| format!("`{name}` must be a text"))
}

fn other(method: &Method, params: &RawParams) -> Option<Value> {
    let style = || params.arguments().and_then(|a| a.get_str("style"));
    Some(match method {
        Method::PromptsList => json!({ "prompts": [{
            "name": "greet",
            "description": "Writes a greeting in a style.",
            "arguments": [{ "name": "style", "description": "How to greet.", "required": true }],
        }] }),
        Method::PromptsGet => {
            let text = format!("Write a {} greeting.", style().unwrap_or_default());
            json!({ "messages": [{ "role": "user", "content": { "type": "text", "text": text } }] })
        }
        Method::Complete => {
            let typed = params
                .get("argument")
                .and_then(|a| a.get_str("value"))
                .unwrap_or_default();
            let values: Vec<_> = GREETINGS.iter().filter(|g| g.starts_with(&typed)).collect();
            json!({ "completion": { "values": values, "total": values.len(), "hasMore": false } })
        }
        Method::ResourcesList => json!({ "resources": [{
            "uri": "demo://readme", "name": "readme", "mimeType": "text/plain",
            "description": "What this demo shows.",
        }] }),
        Method::ResourceTemplatesList => json!({ "resourceTemplates": [{
            "uriTemplate": "demo://greeting/{name}", "name": "greeting",
            "description": "A greeting for somebody.",
        }] }),
        Method::ResourcesRead => {
            let uri = params.uri().unwrap_or_default();
            let text = match uri.strip_prefix("demo://") {
                Some("readme") => README.to_owned(),
                Some(path) => format!("Hello, {}!", path.strip_prefix("greeting/")?),
                None => return None,
            };
            json!({ "contents": [{ "uri": uri, "mimeType": "text/plain", "text": text }] })
        }
        _ => return None,
    })
}

const README: &str = "Two namespaces behind one endpoint. Call text.who, then text.take_down with \
{\"seconds\": 30}, then text.who again: the secondary answers until the primary is back. \
list_backends shows what the router knows meanwhile.";
