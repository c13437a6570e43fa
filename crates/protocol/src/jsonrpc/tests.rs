use proptest::prelude::*;

use super::*;

fn parse(text: &[u8]) -> Result<Message, EnvelopeError> {
    Message::parse(&Bytes::copy_from_slice(text))
}

fn code_of(text: &[u8]) -> i64 {
    parse(text)
        .map(|m| panic!("accepted as {m:?}"))
        .unwrap_or_else(|e: EnvelopeError| e.code)
}

#[test]
fn a_request_keeps_its_bytes() {
    let text = r#" {"params":{"name":"x","arguments":{"b":1.0,"a":10000000000000000000001}} ,
        "method":"tools/call","id":"\u0041","jsonrpc":"2.0"}"#;
    let Message::Request { id, method, params } = parse(text.as_bytes()).unwrap() else {
        panic!()
    };
    assert_eq!(id.json(), r#""\u0041""#);
    assert_eq!(method, Method::ToolsCall);
    let arguments = params.json().unwrap().get("arguments").unwrap();
    assert_eq!(
        arguments.as_str(),
        r#"{"b":1.0,"a":10000000000000000000001}"#
    );
    let written = join(&request_parts(&id, &method, &params));
    assert!(parse(&written).is_ok());
}

#[test]
fn b1_what_is_no_json_is_a_parse_error() {
    let cases: [&[u8]; 7] = [
        b"",
        b"{",
        b"{\"jsonrpc\":\"2.0\"} x",
        b"\xef\xbb\xbf{}",
        b"{\"jsonrpc\":\"\xff\"}",
        b"nope",
        b"[1,",
    ];
    for text in cases {
        assert_eq!(code_of(text), code::PARSE_ERROR, "{text:?}");
    }
}

#[test]
fn b2_arrays_and_scalars_are_invalid_requests() {
    for text in ["[]", "[{}]", "1", "\"x\"", "null"] {
        assert_eq!(code_of(text.as_bytes()), code::INVALID_REQUEST, "{text}");
    }
    let fifty_one = format!("[{}1]", "1,".repeat(50));
    assert!(Message::split_batch(&fifty_one.into(), 50).is_err());
    assert_eq!(
        Message::split_batch(&"[{} , {}]".into(), 50).unwrap().len(),
        2
    );
    assert!(Message::split_batch(&"[]".into(), 50).is_err());
}

#[test]
fn b3_deep_nesting_is_a_parse_error_anywhere() {
    let deep = format!(
        r#"{{"jsonrpc":"2.0","id":1,"method":"m","params":{{"x":{}{}}}}}"#,
        "[".repeat(100_000),
        "]".repeat(100_000)
    );
    assert_eq!(code_of(deep.as_bytes()), code::PARSE_ERROR);
}

#[test]
fn b4_b5_twins_in_envelope_and_params_are_refused() {
    let envelope = [
        r#""method":"a","method":"b""#,
        r#""method":"a","meth\u006fd":"b""#,
        r#""method":"a","Method":"b""#,
        r#""method":"a","param\u017f":{}"#,
        r#""method":"a","params":{"name":"x","name":"y"}"#,
        r#""method":"a","params":{"name":"x","n\u0061me":"y"}"#,
        r#""method":"a","params":{"Name":"x"}"#,
        r#""method":"a","params":{"name\u0000":"x"}"#,
    ];
    for members in envelope {
        let text = format!(r#"{{"jsonrpc":"2.0","id":7,{members}}}"#);
        assert_eq!(code_of(text.as_bytes()), code::INVALID_REQUEST, "{text}");
    }
}

#[test]
fn b6_version_and_exclusive_members() {
    for text in [
        r#"{"id":1,"method":"a"}"#,
        r#"{"jsonrpc":"1.0","id":1,"method":"a"}"#,
        r#"{"jsonrpc":2.0,"id":1,"method":"a"}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"a","result":{}}"#,
        r#"{"jsonrpc":"2.0","id":1,"error":{"code":1,"message":""},"result":{}}"#,
        r#"{"jsonrpc":"2.0","id":1}"#,
        r#"{"jsonrpc":"2.0","result":{}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":3}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"a","params":[1]}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"a","params":null}"#,
    ] {
        assert_eq!(code_of(text.as_bytes()), code::INVALID_REQUEST, "{text}");
    }
}

#[test]
fn b7_ids_are_strings_or_integers() {
    let long = format!("\"{}\"", "x".repeat(1023));
    for id in [
        "null",
        "1.5",
        "1.0",
        "1e3",
        "{}",
        "[]",
        "true",
        "9223372036854775808",
        &long,
    ] {
        let text = format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"ping"}}"#);
        let error = parse(text.as_bytes()).unwrap_err();
        assert_eq!(
            (error.code, error.id),
            (code::INVALID_REQUEST, None),
            "{id}"
        );
    }
    for id in ["0", "-1", "9223372036854775807", r#""""#, r#""1""#] {
        let text = format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"ping"}}"#);
        assert!(parse(text.as_bytes()).is_ok(), "{id}");
    }
}

#[test]
fn errors_echo_the_id_that_could_be_read() {
    let error = parse(br#"{"jsonrpc":"2.0","id":"k","method":1}"#).unwrap_err();
    assert_eq!(error.id.unwrap().json(), "\"k\"");
}

#[test]
fn answers_may_be_results_or_errors() {
    let Message::Response {
        answer: Err(e),
        id: None,
    } = parse(br#"{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"m","x":1}}"#)
        .unwrap()
    else {
        panic!()
    };
    assert_eq!((e.code(), e.message()), (-32700, "m".to_owned()));
    assert_eq!(
        e.with_code(-1).raw().as_str(),
        r#"{"code":-1,"message":"m","x":1}"#
    );
}

fn any_json() -> impl Strategy<Value = serde_json::Value> {
    use serde_json::{Value, json};
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(|f| json!(f)),
        ".{0,12}".prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 64, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::vec((".{0,8}", inner), 0..6)
                .prop_map(|m| Value::Object(m.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn any_arguments_come_out_as_they_went_in(value in any_json(), id in any::<i64>()) {
        let arguments = value.to_string();
        let text = format!(
            r#"{{"jsonrpc":"2.0","id":{id},"method":"tools/call","params":{{"name":"t","arguments":{arguments}}}}}"#
        );
        let Message::Request { id, method, params } = parse(text.as_bytes()).unwrap() else {
            panic!("not a request")
        };
        prop_assert_eq!(join(&request_parts(&id, &method, &params)), text);
    }

    #[test]
    fn any_result_comes_out_as_it_went_in(value in any_json()) {
        let text = format!(r#"{{"jsonrpc":"2.0","id":1,"result":{value}}}"#);
        let Message::Response { id, answer } = parse(text.as_bytes()).unwrap() else {
            panic!("not a response")
        };
        prop_assert_eq!(join(&response_parts(id.as_ref(), answer.as_ref())), text);
    }

    #[test]
    fn hostile_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = parse(&bytes);
    }

    #[test]
    fn damaged_messages_never_panic(at in 0usize..90, byte in any::<u8>()) {
        let mut text = br#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a","_meta":{"p":[1]}}}"#.to_vec();
        let at = at.min(text.len() - 1);
        text[at] = byte;
        let _ = parse(&text);
    }
}
