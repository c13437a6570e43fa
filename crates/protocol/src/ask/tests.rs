use proptest::prelude::*;

use super::*;

const L1: Revision = Revision::V2024_11_05;
const L2: Revision = Revision::V2025_03_26;
const L3: Revision = Revision::V2025_06_18;
const L4: Revision = Revision::V2025_11_25;

fn reduced(text: &'static str, revision: Revision) -> String {
    declared(&RawJson::from_static(text), revision)
        .as_str()
        .to_owned()
}

fn asked(method: &Method, text: &str, revision: Revision) -> Result<String, &'static str> {
    let params = RawParams::parse(Some(text.to_owned().into())).unwrap();
    let converted = to_client(method, &params, revision, || "made".to_owned());
    converted
        .map(|p| p.json().unwrap().as_str().to_owned())
        .map_err(|e| e.what)
}

#[test]
fn r35_a_client_declares_what_its_revision_can_say() {
    let all = r#"{"roots":{"listChanged":true},"sampling":{"tools":{}},"elicitation":{"form":{},"url":{}},"tasks":{},"experimental":{"x":{}},"extensions":{"io.modelcontextprotocol/ui":{"a":1},"y/z":{}}}"#;
    let rest = r#""extensions":{"io.modelcontextprotocol/ui":{"a":1}}}"#;
    for (revision, middle) in [
        (L1, r#""sampling":{},"#),
        (L2, r#""sampling":{},"#),
        (L3, r#""sampling":{},"elicitation":{"form":{}},"#),
        (
            L4,
            r#""sampling":{"tools":{}},"elicitation":{"form":{},"url":{}},"#,
        ),
    ] {
        let expected = format!(r#"{{"roots":{{"listChanged":true}},{middle}{rest}"#);
        assert_eq!(reduced(all, revision), expected, "{revision}");
    }
    let bare = r#"{"elicitation":{}}"#;
    assert_eq!(reduced(bare, L4), r#"{"elicitation":{"form":{}}}"#);
    let url = r#"{"elicitation":{"url":{}}}"#;
    assert_eq!(reduced(url, L4), url);
    for none in ["{}", r#"{"sampling":null,"roots":true}"#] {
        assert_eq!(reduced(none, L4), "{}");
    }
}

#[test]
fn r35_a_request_needs_its_capability_and_the_part_of_it() {
    let none = "{}";
    let url = r#"{"mode":"url"}"#;
    let tools = r#"{"tools":[]}"#;
    for (declared, method, params, allowed) in [
        (r#"{"roots":{}}"#, Method::RootsList, none, true),
        ("{}", Method::RootsList, none, false),
        (r#"{"elicitation":{}}"#, Method::Elicit, none, true),
        (r#"{"elicitation":{"form":{}}}"#, Method::Elicit, none, true),
        (r#"{"elicitation":{"form":{}}}"#, Method::Elicit, url, false),
        (r#"{"elicitation":{"url":{}}}"#, Method::Elicit, url, true),
        (r#"{"elicitation":{"url":{}}}"#, Method::Elicit, none, false),
        (r#"{"sampling":{}}"#, Method::CreateMessage, none, true),
        (r#"{"sampling":{}}"#, Method::CreateMessage, tools, false),
        (
            r#"{"sampling":{"tools":{}}}"#,
            Method::CreateMessage,
            tools,
            true,
        ),
        (r#"{"roots":{}}"#, Method::Other("x/y".into()), none, false),
    ] {
        let params = RawParams::parse(Some(params.into())).unwrap();
        let declared = RawJson::from_static(declared);
        assert_eq!(
            allows(&declared, &method, &params),
            allowed,
            "{declared:?} {method}"
        );
    }
}

#[test]
fn forms_of_2025_06_18_have_no_mode_no_defaults_and_choices_of_one() {
    let form = r#"{"mode":"form","message":"m","requestedSchema":{"$schema":"s","type":"object","properties":{"a":{"type":"string","default":"x"},"b":{"type":"boolean","default":true},"c":{"type":"string","oneOf":[{"const":"r","title":"Red"}],"default":"r"}}}}"#;
    let expected = r#"{"message":"m","requestedSchema":{"type":"object","properties":{"a":{"type":"string"},"b":{"type":"boolean","default":true},"c":{"enum":["r"],"enumNames":["Red"],"type":"string"}}}}"#;
    let converted = asked(&Method::Elicit, form, L3).unwrap();
    let value = |t: &str| serde_json::from_str::<serde_json::Value>(t).unwrap();
    assert_eq!(value(&converted), value(expected));
    assert_eq!(asked(&Method::Elicit, form, L4).unwrap(), form);
    let several = r#"{"message":"m","requestedSchema":{"type":"object","properties":{"a":{"type":"array","items":{"type":"string","enum":["x"]}}}}}"#;
    assert_eq!(
        asked(&Method::Elicit, several, L3),
        Err("choice of several in a form")
    );
    assert_eq!(asked(&Method::Elicit, form, L2), Err("elicitation"));
    assert_eq!(asked(&Method::Elicit, "{}", L3).unwrap(), "{}");
}

#[test]
fn urls_are_for_2025_11_25_and_get_an_id_there() {
    let url = r#"{"mode":"url","message":"m","url":"https://a"}"#;
    assert_eq!(asked(&Method::Elicit, url, L3), Err("elicitation by URL"));
    let converted = asked(&Method::Elicit, url, L4).unwrap();
    assert!(converted.contains(r#""elicitationId":"made""#));
    let own = r#"{"mode":"url","elicitationId":"own","url":"https://a"}"#;
    assert_eq!(asked(&Method::Elicit, own, L4).unwrap(), own);
}

#[test]
fn messages_of_several_blocks_become_several_before_2025_11_25() {
    let text = r#"{"messages":[{"role":"user","content":[{"type":"text","text":"a"},{"type":"image"}],"_meta":{}}],"maxTokens":5}"#;
    let expected = r#"{"messages":[{"role":"user","content":{"type":"text","text":"a"}},{"role":"user","content":{"type":"image"}}],"maxTokens":5}"#;
    assert_eq!(asked(&Method::CreateMessage, text, L3).unwrap(), expected);
    assert_eq!(asked(&Method::CreateMessage, text, L4).unwrap(), text);
    assert_eq!(
        asked(&Method::CreateMessage, expected, L1).unwrap(),
        expected
    );
    for (text, revision, what) in [
        (r#"{"tools":[]}"#, L3, "tools in sampling"),
        (
            r#"{"messages":[{"role":"user","content":{"type":"tool_result"}}]}"#,
            L3,
            "tools in sampling",
        ),
        (
            r#"{"messages":[{"role":"user","content":{"type":"audio"}}]}"#,
            L1,
            "audio in sampling",
        ),
    ] {
        assert_eq!(asked(&Method::CreateMessage, text, revision), Err(what));
    }
}

#[test]
fn the_hops_own_members_stay_behind() {
    let text = r#"{"_meta":{"progressToken":1,"io.modelcontextprotocol/protocolVersion":"x","a/b":2},"task":{"ttl":1}}"#;
    assert_eq!(
        asked(&Method::RootsList, text, L4).unwrap(),
        r#"{"_meta":{"a/b":2}}"#
    );
}

proptest! {
    #[test]
    fn no_member_of_a_newer_revision_reaches_an_older_client(
        mode in prop::option::of(prop::sample::select(vec!["form", "url"])),
        kinds in prop::collection::vec(0usize..6, 0..5),
        revision in prop::sample::select(vec![L1, L2, L3, L4]),
    ) {
        let fields: Vec<_> = kinds.iter().enumerate().map(|(n, kind)| {
            let field = [
                r#"{"type":"string","default":"d"}"#,
                r#"{"type":"boolean","default":true}"#,
                r#"{"type":"string","oneOf":[{"const":"a","title":"A"}]}"#,
                r#"{"type":"string","enum":["a"],"enumNames":["A"],"default":"a"}"#,
                r#"{"type":"array","items":{"anyOf":[{"const":"a","title":"A"}]}}"#,
                r#"{"type":"integer","default":5}"#,
            ][*kind];
            format!("\"f{n}\":{field}")
        }).collect();
        let mode = mode.map(|m| format!(r#""mode":"{m}","#)).unwrap_or_default();
        let text = format!(r#"{{{mode}"requestedSchema":{{"type":"object","properties":{{{}}}}}}}"#, fields.join(","));
        if let Ok(converted) = asked(&Method::Elicit, &text, revision) {
            prop_assert!(revision >= L3);
            if revision == L3 {
                for later in [r#""mode""#, r#""oneOf""#, r#""array""#, r#""default":"d""#, r#""default":5"#, "elicitationId"] {
                    prop_assert!(!converted.contains(later), "{later} in {converted}");
                }
            }
        } else {
            prop_assert!(revision < L4);
        }
    }
}
