//! What a client can be asked, and what of it a backend is told.
//!
//! A backend asks for what was declared to it, and a client breaks off when it is asked for what it
//! did not declare (R35). One conversation may serve many clients, or have been opened before any
//! was there. So what is declared when a conversation opens only keeps servers from hiding their
//! tools; whether a question may be asked is judged again, by the client of the very call that it
//! would reach.

use mcp_router_protocol::json::set_members;
use mcp_router_protocol::result::is_tool_error;
use mcp_router_protocol::{ErrorObject, Method, RawJson, RawParams, code};
use mcp_router_service::ClientProfile;

use crate::client::dialect::Answer;

/// The capabilities behind which a backend's questions stand.
const ASKING: [&str; 3] = ["sampling", "elicitation", "roots"];

/// The one extension that works without the modern revision: it is all in results and resources.
const UI: &str = "io.modelcontextprotocol/ui";
/// The one that the router carries between modern peers.
const TASKS: &str = "io.modelcontextprotocol/tasks";

/// Everything that can be brought to some client. For conversations that the router has for
/// itself, and for processes that all share.
pub(crate) const fn everything() -> RawJson {
    RawJson::from_static(concat!(
        r#"{"sampling":{"tools":{},"context":{}},"elicitation":{"form":{},"url":{}},"roots":{},"#,
        r#""extensions":{"io.modelcontextprotocol/ui":{"mimeTypes":["text/html;profile=mcp-app"]}}}"#,
    ))
}

/// Nothing at all.
pub(crate) const fn nothing() -> RawJson {
    RawJson::from_static("{}")
}

/// Whether a client can be asked for anything.
pub(crate) fn can_be_asked(client: &ClientProfile) -> bool {
    let Some(capabilities) = &client.capabilities else {
        return false;
    };
    // `{}` is what most clients say, and this is asked at every call.
    capabilities.bytes().len() > 2 && ASKING.iter().any(|name| client.can(name))
}

/// What a modern backend is told of a modern client: all but what the router could not bring over,
/// which are extensions that it does not know and everything experimental. `None`: just all.
pub(crate) fn carried(capabilities: &RawJson) -> Option<RawJson> {
    // `{}` is what most clients say, and this is asked at every call.
    if capabilities.bytes().len() <= 2 {
        return None;
    }
    let experimental = capabilities.get("experimental");
    let extensions = capabilities.get("extensions");
    if experimental.is_none() && extensions.is_none() {
        return None;
    }
    let known = |name| Some((name, extensions.as_ref()?.get(name)?));
    let known: Vec<_> = [TASKS, UI].into_iter().filter_map(known).collect();
    let kept = (!known.is_empty()).then(|| object(&known));
    let kept = kept.as_ref().map(|kept| &kept.bytes()[..]);
    set_members(
        capabilities,
        &[("experimental", None), ("extensions", kept)],
    )
    .ok()
}

/// What a legacy backend is told of a client: what it can be asked for. Equal for clients that can
/// do the same and spell it the same.
pub(crate) fn declared(client: &ClientProfile) -> RawJson {
    let Some(all) = &client.capabilities else {
        return nothing();
    };
    let mut kept: Vec<(&str, RawJson)> = ASKING
        .into_iter()
        .filter_map(|name| Some((name, all.get(name)?)))
        .collect();
    let ui = all.get("extensions").and_then(|e| e.get(UI));
    kept.extend(ui.map(|ui| ("extensions", object(&[(UI, ui)]))));
    object(&kept)
}

fn object(members: &[(&str, RawJson)]) -> RawJson {
    let members: Vec<(&str, Option<&[u8]>)> = members
        .iter()
        .map(|(name, value)| (*name, Some(&value.bytes()[..])))
        .collect();
    set_members(&nothing(), &members).unwrap_or(nothing())
}

/// Why a client must not be asked this; `None` if it may be.
pub(crate) fn refusal(
    client: &ClientProfile,
    method: &Method,
    params: &RawParams,
) -> Option<ErrorObject> {
    let not_declared = |code, what: &str| {
        let text = format!("the client did not declare {what}");
        Some(ErrorObject::new(code, text))
    };
    let name = match method {
        Method::CreateMessage => "sampling",
        Method::Elicit => "elicitation",
        Method::RootsList => "roots",
        other => return not_declared(code::METHOD_NOT_FOUND, &format!("`{other}`")),
    };
    let capability = client.capabilities.as_ref().and_then(|c| c.get(name));
    let Some(capability) = capability else {
        return not_declared(code::METHOD_NOT_FOUND, name);
    };
    let within = |part: &str| capability.get(part).is_some();
    match method {
        // Who says nothing more of elicitation has it in forms.
        Method::Elicit => {
            let url = params.get("mode").is_some_and(|m| m.as_str() == "\"url\"");
            let able = match url {
                true => within("url"),
                false => within("form") || !within("url"),
            };
            let mode = if url { "url" } else { "form" };
            let what = format!("elicitation in mode `{mode}`");
            (!able).then(|| not_declared(code::INVALID_PARAMS, &what))?
        }
        Method::CreateMessage if !within("tools") => {
            let asked = params.get("tools").or_else(|| params.get("toolChoice"));
            asked.and_then(|_| not_declared(code::INVALID_PARAMS, "sampling with tools"))
        }
        _ => None,
    }
}

/// The capability that a client needs to be asked this.
pub(crate) fn required(method: &Method, params: &RawParams) -> Option<RawJson> {
    let url = || params.get("mode").is_some_and(|m| m.as_str() == "\"url\"");
    let tools = || params.get("tools").or_else(|| params.get("toolChoice"));
    Some(RawJson::from_static(match method {
        Method::Elicit if url() => r#"{"elicitation":{"url":{}}}"#,
        Method::Elicit => r#"{"elicitation":{"form":{}}}"#,
        Method::CreateMessage if tools().is_some() => r#"{"sampling":{"tools":{}}}"#,
        Method::CreateMessage => r#"{"sampling":{}}"#,
        Method::RootsList => r#"{"roots":{}}"#,
        _ => return None,
    }))
}

/// What became of a call whose question its client could not be asked. A backend that does without
/// the answer has done its work; if the call failed, then for want of the capability, and a client
/// of the modern era has an error of its own for that.
pub(crate) fn ended(answer: Answer, client: &ClientProfile, lacked: &RawJson) -> Answer {
    let failed = match &answer {
        Err(_) => true,
        Ok(result) => is_tool_error(result),
    };
    if !failed || !client.takes_input_required {
        return answer;
    }
    let data = object(&[("requiredCapabilities", lacked.clone())]);
    let text = "Missing required client capability";
    let error = ErrorObject::with_data(code::MISSING_CLIENT_CAPABILITY, text, Some(&data));
    Err(error)
}

/// What a backend gets whose question reaches nobody.
pub(crate) fn nobody(method: &Method) -> ErrorObject {
    // What a user's refusal looks like: sampling servers know it.
    let code = match method {
        Method::CreateMessage => -1,
        _ => code::INTERNAL_ERROR,
    };
    ErrorObject::new(code, "nobody is there to answer")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(capabilities: &'static str) -> ClientProfile {
        ClientProfile {
            capabilities: Some(RawJson::from_static(capabilities)),
            ..ClientProfile::default()
        }
    }

    #[test]
    fn only_what_can_be_asked_for_is_declared_in_one_order() {
        assert!(!can_be_asked(&ClientProfile::default()));
        assert!(!can_be_asked(&client(r#"{"extensions":{"a/b":{}}}"#)));
        let some = client(r#"{"roots":{},"x":1,"sampling":{}}"#);
        assert!(can_be_asked(&some));
        let other = client(r#"{"sampling":{},"roots":{}}"#);
        assert_eq!(declared(&some), declared(&other));
        assert_eq!(declared(&some).as_str(), r#"{"sampling":{},"roots":{}}"#);
        let shows = client(r#"{"extensions":{"a/b":{},"io.modelcontextprotocol/ui":{"k":1}}}"#);
        assert_eq!(
            declared(&shows).as_str(),
            r#"{"extensions":{"io.modelcontextprotocol/ui":{"k":1}}}"#
        );
    }

    #[test]
    fn extensions_that_nobody_carries_are_not_declared_to_modern_backends() {
        let carried = |text| carried(&RawJson::from_static(text));
        for all in ["{}", r#"{"sampling":{},"elicitation":{}}"#] {
            assert_eq!(carried(all), None);
        }
        let some = r#"{"roots":{},"experimental":{"x":1},"extensions":{"a/b":{},"io.modelcontextprotocol/tasks":{"k":1}}}"#;
        let kept = r#"{"roots":{},"extensions":{"io.modelcontextprotocol/tasks":{"k":1}}}"#;
        assert_eq!(carried(some).unwrap().as_str(), kept);
        let none = carried(r#"{"extensions":{"a/b":{}},"roots":{}}"#);
        assert_eq!(none.unwrap().as_str(), r#"{"roots":{}}"#);
    }

    #[test]
    fn r35_a_client_is_asked_only_for_what_it_declared() {
        let refused = |capabilities, method: &Method, params: &str| {
            let params = RawParams::parse(Some(params.to_owned().into())).unwrap();
            refusal(&client(capabilities), method, &params).map(|e| e.code())
        };
        let (form, url) = (r#"{"mode":"form"}"#, r#"{"mode":"url"}"#);
        let elicit = Method::Elicit;
        for (capabilities, expected) in [
            (r#"{"elicitation":{}}"#, [None, None, Some(-32602)]),
            (r#"{"elicitation":{"form":{}}}"#, [None, None, Some(-32602)]),
            (
                r#"{"elicitation":{"url":{}}}"#,
                [Some(-32602), Some(-32602), None],
            ),
            (r#"{"elicitation":{"form":{},"url":{}}}"#, [None; 3]),
            (r#"{"roots":{}}"#, [Some(-32601); 3]),
        ] {
            let got = ["{}", form, url].map(|params| refused(capabilities, &elicit, params));
            assert_eq!(got, expected, "{capabilities}");
        }
        let sample = Method::CreateMessage;
        let tools = r#"{"tools":[]}"#;
        assert_eq!(refused(r#"{"sampling":{}}"#, &sample, "{}"), None);
        assert_eq!(refused(r#"{"sampling":{}}"#, &sample, tools), Some(-32602));
        let able = r#"{"sampling":{"tools":{}}}"#;
        assert_eq!(refused(able, &sample, tools), None);
        assert_eq!(refused(r#"{"roots":{}}"#, &Method::RootsList, "{}"), None);
        assert_eq!(refused(able, &Method::from("x/y"), "{}"), Some(-32601));
    }
}
