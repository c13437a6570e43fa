//! `call`: one tool, from the command line.

use std::time::Duration;

use mcp_router_core::Router;
use mcp_router_protocol::{Method, RawJson, RawParams};
use mcp_router_service::{CallError, McpRequest, Outcome};
use tower::ServiceExt;

use super::args::Cli;
use super::{FAILED, OK, USAGE, serve, terminal};

/// Calls a tool and prints its result as JSON. A result that says `isError`, a JSON-RPC error and
/// a failed backend are failures, with the same JSON that a client would get.
pub(super) fn call(cli: &Cli, name: &str, arguments: &str) -> u8 {
    let params = match params(name, arguments) {
        Ok(params) => params,
        Err(wrong) => {
            terminal::complain(&wrong);
            return USAGE;
        }
    };
    serve::with_router(cli, async |router: Router| {
        tokio::select! {
            () = router.ready() => {}
            () = listed(&router, name) => {}
        }
        finish(ask(router, params).await)
    })
}

/// Resolves once a tool is there, however many backends are still on their way.
async fn listed(router: &Router, name: &str) {
    let mut look = tokio::time::interval(Duration::from_millis(20));
    while !router.has_tool(name) {
        look.tick().await;
    }
}

fn params(name: &str, arguments: &str) -> Result<RawParams, String> {
    let arguments = RawJson::parse(arguments.to_owned().into())
        .map_err(|error| format!("the arguments are not acceptable: {error}"))?;
    if !arguments.is_object() {
        return Err("the arguments must be a JSON object".to_owned());
    }
    let name = RawJson::of(name);
    let members = [
        ("name", Some(&**name.bytes())),
        ("arguments", Some(&**arguments.bytes())),
    ];
    RawParams::default()
        .with_members(&members)
        .map_err(|error| format!("the arguments are not acceptable: {error}"))
}

async fn ask(router: Router, params: RawParams) -> Result<Outcome, CallError> {
    let request = McpRequest::new(Method::ToolsCall, params);
    router.oneshot(request).await?.outcome().await
}

fn finish(answer: Result<Outcome, CallError>) -> u8 {
    let outcome = answer.unwrap_or_else(|error| error.into_outcome(&Method::ToolsCall));
    let (json, code) = match &outcome {
        Outcome::Complete(result) => (result, verdict(result)),
        // Nobody is here to be asked.
        Outcome::InputRequired(interim) => (&interim.result, FAILED),
        Outcome::Error(error) => (error.raw(), FAILED),
        Outcome::Accepted => return OK,
    };
    match terminal::print(&format!("{}\n", json.as_str())) {
        OK => code,
        failed => failed,
    }
}

fn verdict(result: &RawJson) -> u8 {
    match result.get("isError") {
        Some(flag) if flag.as_str() == "true" => FAILED,
        _ => OK,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_must_be_an_object() {
        let params = params("a.b", r#" {"x": 1} "#).unwrap();
        assert_eq!(params.name().unwrap(), "a.b");
        assert_eq!(params.arguments().unwrap().as_str(), r#"{"x": 1}"#);
        for wrong in ["[1]", "1", "{", "", "{} {}"] {
            assert!(super::params("a", wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn a_result_that_says_so_is_a_failure() {
        assert_eq!(
            verdict(&RawJson::from_static(r#"{"isError":true}"#)),
            FAILED
        );
        assert_eq!(verdict(&RawJson::from_static(r#"{"isError":false}"#)), OK);
        assert_eq!(verdict(&RawJson::from_static("{}")), OK);
    }
}
