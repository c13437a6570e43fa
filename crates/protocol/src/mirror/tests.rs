use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

fn tool(properties: &Value) -> RawJson {
    let schema = json!({ "type": "object", "properties": properties });
    RawJson::of(&json!({ "name": "t", "inputSchema": schema }))
}

fn mirror(properties: &Value) -> Mirror {
    Mirror::of(&tool(properties)).unwrap().unwrap()
}

fn headers(properties: &Value, arguments: &Value) -> Vec<(String, String)> {
    let arguments = RawJson::of(arguments);
    let mirror = mirror(properties);
    let headers = mirror.headers(Some(&arguments)).into_iter();
    headers
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}

fn all() -> Value {
    json!({
        "region": { "type": "string", "x-mcp-header": "Region" },
        "n": { "type": "integer", "x-mcp-header": "N" },
        "deep": { "type": "object", "properties": {
            "flag": { "type": "boolean", "x-mcp-header": "Deep-Flag" } } },
        "plain": { "type": "string" },
    })
}

#[test]
fn r26_every_present_marked_argument_has_a_header() {
    let arguments = json!({ "region": "größe", "n": -7, "deep": { "flag": true }, "plain": "x" });
    let expected = [
        ("Region", "=?base64?Z3LDtsOfZQ==?="),
        ("N", "-7"),
        ("Deep-Flag", "true"),
    ];
    let mut found = headers(&all(), &arguments);
    found.sort();
    let mut expected = expected.map(|(n, v)| (n.to_owned(), v.to_owned()));
    expected.sort();
    assert_eq!(found, expected);
    let absent = json!({ "region": null, "deep": {}, "n": [1] });
    assert_eq!(headers(&all(), &absent), []);
    let whole = RawJson::from_static(r#"{"n":42.0}"#);
    assert_eq!(
        mirror(&all()).headers(Some(&whole)),
        [("N", "42".to_owned())]
    );
    assert_eq!(mirror(&all()).headers(None), []);
}

#[test]
fn r26_annotations_that_break_a_rule_are_told() {
    let string = |name: Value| json!({ "type": "string", "x-mcp-header": name });
    let a = || string(json!("A"));
    for (properties, why) in [
        (json!({ "a": string(json!("")) }), InvalidMirror::Name),
        (json!({ "a": string(json!("a b")) }), InvalidMirror::Name),
        (
            json!({ "a": string(json!("a\r\nX: y")) }),
            InvalidMirror::Name,
        ),
        (json!({ "a": string(json!(7)) }), InvalidMirror::Name),
        (
            json!({ "a": a(), "b": string(json!("a")) }),
            InvalidMirror::Twice,
        ),
        (
            json!({ "a": { "type": "number", "x-mcp-header": "A" } }),
            InvalidMirror::Type,
        ),
        (json!({ "a": { "x-mcp-header": "A" } }), InvalidMirror::Type),
        (
            json!({ "a": { "type": "array", "items": a() } }),
            InvalidMirror::Place,
        ),
        (json!({ "a": { "oneOf": [a()] } }), InvalidMirror::Place),
        (
            json!({ "a": { "if": { "properties": { "b": a() } } } }),
            InvalidMirror::Place,
        ),
        (
            json!({ "a": { "$defs": { "b": a() } } }),
            InvalidMirror::Place,
        ),
    ] {
        assert_eq!(Mirror::of(&tool(&properties)), Err(why), "{properties}");
    }
    let root = json!({ "name": "t", "inputSchema": { "type": "string", "x-mcp-header": "A" } });
    assert_eq!(Mirror::of(&RawJson::of(&root)), Err(InvalidMirror::Place));
}

#[test]
fn what_only_looks_like_an_annotation_is_none() {
    for properties in [
        json!({ "x-mcp-header": { "type": "string" } }),
        json!({ "a": { "type": "string", "const": { "x-mcp-header": "" } } }),
        json!({ "a": { "type": "string", "description": "\"x-mcp-header\"" } }),
        json!({ "a": { "type": "string" } }),
    ] {
        let tool = tool(&properties);
        assert_eq!(Mirror::of(&tool), Ok(None), "{properties}");
        assert_eq!(strip(&tool).bytes(), tool.bytes(), "{properties}");
    }
}

#[test]
fn r26_stripping_takes_annotations_everywhere_and_nothing_else() {
    let text = r#"{"name":"t", "inputSchema":{"properties" : {"a":{"type":"string","x-mcp-header":"A"},
        "b":{"items":[{ "x-mcp-header":"" , "n": 1.50 }],"enum":[{"x-mcp-header":"kept"}]}}},"x":2}"#;
    let tool = RawJson::parse(text.into()).unwrap();
    let expected = r#"{"name":"t", "inputSchema":{"properties" : {"a":{"type":"string"},
        "b":{"items":[{"n": 1.50 }],"enum":[{"x-mcp-header":"kept"}]}}},"x":2}"#;
    assert_eq!(strip(&tool).as_str(), expected);
}

#[test]
fn r26_headers_are_compared_with_the_arguments_integers_as_numbers() {
    let mirror = mirror(&all());
    let check = |arguments: Value, region: Sent<'_>, n: Sent<'_>| {
        let arguments = RawJson::of(&arguments);
        let sent = |name: &str| match name {
            "Region" => region,
            "N" => n,
            _ => Sent::Absent,
        };
        mirror.check(Some(&arguments), sent)
    };
    let text = Sent::Text;
    assert!(check(json!({ "region": "a", "n": 42 }), text("a"), text("42.0")).is_ok());
    assert!(check(json!({ "n": 42 }), Sent::Absent, text("4.2e1")).is_ok());
    assert!(
        check(
            json!({ "region": "ä" }),
            text("=?base64?w6Q=?="),
            Sent::Absent
        )
        .is_ok()
    );
    assert!(check(json!({ "region": null }), Sent::Absent, Sent::Absent).is_ok());
    for (arguments, region, n) in [
        (json!({ "region": "a" }), Sent::Absent, Sent::Absent),
        (json!({ "region": "a" }), text("A"), Sent::Absent),
        (json!({ "region": "a" }), Sent::Unreadable, Sent::Absent),
        (
            json!({ "region": "ä" }),
            text("=?base64?%%?="),
            Sent::Absent,
        ),
        (json!({}), text("a"), Sent::Absent),
        (json!({ "region": null }), text("null"), Sent::Absent),
        (json!({ "n": 42 }), Sent::Absent, text("43")),
        (json!({ "n": 42 }), Sent::Absent, text("0x2a")),
        (
            json!({ "n": 9_007_199_254_740_993_i64 }),
            Sent::Absent,
            text("9007199254740992"),
        ),
    ] {
        assert!(
            check(arguments.clone(), region, n).is_err(),
            "{arguments} {region:?} {n:?}"
        );
    }
}

proptest! {
    #[test]
    fn r26_what_is_sent_is_what_is_compared(region in any::<String>(), n in -(1i64 << 53) + 1..1 << 53, flag: bool) {
        let arguments = RawJson::of(&json!({ "region": region, "n": n, "deep": { "flag": flag } }));
        let mirror = mirror(&all());
        let headers = mirror.headers(Some(&arguments));
        let sent = |name: &str| {
            let found = headers.iter().find(|(n, _)| *n == name);
            found.map_or(Sent::Absent, |(_, value)| Sent::Text(value))
        };
        prop_assert_eq!(headers.len(), 3);
        prop_assert_eq!(mirror.check(Some(&arguments), sent), Ok(()));
    }

    #[test]
    fn no_schema_panics(text in r#"[{}\[\]":,a-z-]{0,80}"#) {
        let text = format!(r#"{{"name":"t","inputSchema":{{"properties":{{"x-mcp-header":{text}}}}}}}"#);
        if let Ok(tool) = RawJson::parse(text.into()) {
            let _ = (Mirror::of(&tool), strip(&tool));
        }
    }
}
