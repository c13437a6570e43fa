use std::sync::Arc;

use bytes::Buf;
use mcp_router_protocol::Message;
use mcp_router_service::ClientProfile;

use super::*;

fn dialect(revision: Revision) -> Dialect {
    Dialect::new(revision, RawJson::from_static(r#"{"name":"r"}"#))
}

fn request(method: Method, params: &str) -> McpRequest {
    let text = (!params.is_empty()).then(|| Bytes::copy_from_slice(params.as_bytes()));
    McpRequest::new(method, RawParams::parse(text).unwrap())
}

fn written(rope: Rope) -> String {
    let mut rope = rope;
    let bytes = rope.copy_to_bytes(rope.remaining());
    Message::parse(&bytes).unwrap();
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[test]
fn r27_legacy_backends_get_the_clients_meta_less_the_hops_keys() {
    let legacy = dialect(Revision::V2025_11_25);
    let params = r#"{"name":"t","_meta":{"progressToken":"mine","traceparent":"00-1","io.modelcontextprotocol/protocolVersion":"2026-07-28"},"arguments":{"x": 1.0}}"#;
    let mut call = request(Method::ToolsCall, params);
    assert_eq!(
        written(legacy.request(7, &call).unwrap()),
        r#"{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"t","_meta":{"traceparent":"00-1"},"arguments":{"x": 1.0}}}"#
    );
    call.context.wants_progress = true;
    let text = written(legacy.request(7, &call).unwrap());
    assert!(
        text.contains(r#""_meta":{"progressToken":7,"traceparent":"00-1"}"#),
        "{text}"
    );
}

#[test]
fn r27_a_traced_calls_own_span_takes_the_place_of_the_clients_and_nothing_else() {
    use mcp_router_protocol::TraceContext;
    let theirs = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let ours = "00-4bf92f3577b34da6a3ce929d0e0e4736-1111111111111111-01";
    let traced = |params: &str| {
        let mut call = request(Method::ToolsCall, params);
        call.context.trace = TraceContext::parse(ours);
        call
    };
    let with = |trace: &str| {
        format!(
            r#"{{"name":"t","_meta":{{"tracestate":"a=1","traceparent":"{trace}","baggage":"b=2"}}}}"#
        )
    };
    let legacy = dialect(Revision::V2025_11_25);
    let modern = dialect(Revision::V2026_07_28);
    let text = written(legacy.request(1, &traced(&with(theirs))).unwrap());
    assert!(text.contains(&with(ours)), "{text}");
    let text = written(legacy.request(1, &traced(r#"{"name":"t"}"#)).unwrap());
    let only = format!(r#""_meta":{{"traceparent":"{ours}"}}"#);
    assert!(text.contains(&only), "{text}");
    let text = written(modern.request(1, &traced(&with(theirs))).unwrap());
    assert!(text.contains(ours) && !text.contains(theirs), "{text}");
    assert!(text.contains(r#""tracestate":"a=1""#), "{text}");
    assert!(text.contains(r#""baggage":"b=2""#), "{text}");
    for untraced in [legacy, modern] {
        let call = request(Method::ToolsCall, &with(theirs));
        let text = written(untraced.request(1, &call).unwrap());
        assert!(text.contains(theirs), "{text}");
    }
}

#[test]
fn r22_no_token_goes_up_unless_the_client_gave_one() {
    let legacy = dialect(Revision::V2025_11_25);
    let text = written(legacy.request(1, &request(Method::ToolsList, "")).unwrap());
    assert_eq!(text, r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#);
}

#[test]
fn modern_backends_get_version_capabilities_and_who_asks() {
    let modern = dialect(Revision::V2026_07_28);
    let own = r#""io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{},"io.modelcontextprotocol/clientInfo":{"name":"r"}"#;
    for (params, expected) in [
        ("", format!(r#"{{"_meta":{{{own}}}}}"#)),
        ("{ }", format!(r#"{{"_meta":{{{own}}} }}"#)),
        (r#"{"a":1}"#, format!(r#"{{"_meta":{{{own}}},"a":1}}"#)),
        (
            r#"{"_meta":{"k":1}}"#,
            format!(r#"{{"_meta":{{{own},"k":1}}}}"#),
        ),
    ] {
        let text = written(
            modern
                .request(1, &request(Method::ToolsList, params))
                .unwrap(),
        );
        let expected =
            format!(r#"{{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{expected}}}"#);
        assert_eq!(text, expected);
    }
}

#[test]
fn a_modern_clients_capabilities_travel_on_and_of_a_legacy_one_what_can_be_bridged() {
    let modern = dialect(Revision::V2026_07_28);
    for takes_input_required in [true, false] {
        let mut call = request(Method::ToolsCall, r#"{"name":"t"}"#);
        call.context.client = Arc::new(ClientProfile {
            info: Some(RawJson::from_static(r#"{"name":"c"}"#)),
            capabilities: Some(RawJson::from_static(r#"{"x":{},"sampling":{}}"#)),
            takes_input_required,
            ..ClientProfile::default()
        });
        let text = written(modern.request(1, &call).unwrap());
        let declared = if takes_input_required {
            r#"Capabilities":{"x":{},"sampling":{}},"#
        } else {
            r#"Capabilities":{"sampling":{}},"#
        };
        assert!(text.contains(declared), "{text}");
        assert!(text.contains(r#""io.modelcontextprotocol/clientInfo":{"name":"c"}"#));
    }
}

#[test]
fn old_backends_get_no_completion_context() {
    let params = r#"{"ref":{},"context":{"arguments":{}}}"#;
    for (revision, kept) in [
        (Revision::V2025_03_26, false),
        (Revision::V2025_06_18, true),
    ] {
        let rope = dialect(revision).request(1, &request(Method::Complete, params));
        assert_eq!(written(rope.unwrap()).contains("context"), kept);
    }
}

#[test]
fn r30_a_missing_resource_is_invalid_params_naming_it() {
    let legacy = dialect(Revision::V2025_06_18);
    let asked = Asked::of(&request(Method::ResourcesRead, r#"{"uri":"a:1"}"#));
    for data in [None, Some(RawJson::from_static(r#"{"uri":"a:1"}"#))] {
        let error = ErrorObject::with_data(code::RESOURCE_NOT_FOUND, "none", data.as_ref());
        let Ok(Outcome::Error(error)) = legacy.outcome(&asked, Err(error)) else {
            panic!()
        };
        assert_eq!(error.code(), code::INVALID_PARAMS);
        assert_eq!(error.data().unwrap().get_str("uri").unwrap(), "a:1");
    }
}

#[test]
fn unknown_result_types_are_the_backends_fault() {
    let modern = dialect(Revision::V2026_07_28);
    let asked = Asked::of(&request(Method::ToolsCall, ""));
    let read = |text: &'static str| modern.outcome(&asked, Ok(RawJson::from_static(text)));
    assert!(matches!(read("{}"), Ok(Outcome::Complete(_))));
    let interim = read(r#"{"resultType":"input_required"}"#);
    assert!(matches!(interim, Ok(Outcome::InputRequired(_))));
    for bad in [r#"{"resultType":"new"}"#, "[]", "null"] {
        let error = read(bad).unwrap_err();
        assert_eq!(
            (error.reason, error.sent),
            (Reason::ProtocolError, Sent::Unknown)
        );
    }
}
