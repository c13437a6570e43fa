//! A backend's question in the words of the inner dialect, and the answer in the backend's.
//!
//! Questions came in their present shape with the modern revision. A legacy backend adds what
//! belongs to its own hop (a progress token, a task to run the question as), and reads answers with
//! strict types: one content block too many, and the model's answer is lost to it.

use bytes::Bytes;
use mcp_router_protocol::json::{self, set_members};
use mcp_router_protocol::params::meta;
use mcp_router_protocol::{Method, RawJson, RawParams, Revision};

/// The parameters of a question as the inner dialect has them.
pub(crate) fn to_inner(params: RawParams) -> RawParams {
    // Tasks of 2025-11-25 are not offered: who asks for one gets the answer itself.
    let params = match params.get("task") {
        Some(_) => params.with_members(&[("task", None)]).unwrap_or(params),
        None => params,
    };
    if params.meta().is_none() {
        return params;
    }
    let hop = [
        (meta::PROGRESS_TOKEN, None),
        (meta::PROTOCOL_VERSION, None),
        (meta::CLIENT_CAPABILITIES, None),
        (meta::CLIENT_INFO, None),
        (meta::LOG_LEVEL, None),
        (meta::SUBSCRIPTION_ID, None),
    ];
    params.with_meta(&hop).unwrap_or(params)
}

/// A client's result as a backend of `revision` can read it.
pub(crate) fn from_inner(method: &Method, result: RawJson, revision: Revision) -> RawJson {
    let plain = [("resultType", None), ("ttlMs", None), ("cacheScope", None)];
    let result = match result.get("resultType") {
        Some(_) => set_members(&result, &plain).unwrap_or(result),
        None => result,
    };
    if *method != Method::CreateMessage || revision >= Revision::V2025_11_25 {
        return result;
    }
    let Some(content) = result.get("content") else {
        return result;
    };
    let Some(one) = one_block(&content, revision) else {
        return result;
    };
    set_members(&result, &[("content", Some(one.bytes()))]).unwrap_or(result)
}

/// The one content block that sampling had before 2025-11-25, in place of `content`; `None` if
/// that is one already.
fn one_block(content: &RawJson, revision: Revision) -> Option<RawJson> {
    let audio = |block: &RawJson| {
        revision < Revision::V2025_03_26 && block.get_str("type").as_deref() == Some("audio")
    };
    let said = || text("[audio: this server's protocol revision has none]");
    if content.is_object() {
        return audio(content).then(said);
    }
    let blocks: Vec<RawJson> = json::elements(content.bytes())
        .ok()?
        .into_iter()
        .map(|at| RawJson::from_checked(content.bytes().slice(at)))
        .collect();
    if let [only] = &blocks[..] {
        return Some(if audio(only) { said() } else { only.clone() });
    }
    let texts: Vec<String> = blocks.iter().filter_map(|b| b.get_str("text")).collect();
    match (texts.is_empty(), blocks.first()) {
        (true, Some(first)) if !audio(first) => Some(first.clone()),
        _ => Some(text(&texts.join("\n"))),
    }
}

fn text(text: &str) -> RawJson {
    let text = RawJson::of(text);
    let block = format!(r#"{{"type":"text","text":{}}}"#, text.as_str());
    RawJson::from_checked(Bytes::from(block))
}

#[cfg(test)]
mod tests {
    use super::*;

    const L1: Revision = Revision::V2024_11_05;
    const L3: Revision = Revision::V2025_06_18;
    const L4: Revision = Revision::V2025_11_25;

    fn inner(params: &'static str) -> String {
        let params = RawParams::parse(Some(params.into())).unwrap();
        to_inner(params).json().unwrap().as_str().to_owned()
    }

    fn answer(result: &'static str, revision: Revision) -> String {
        let result = RawJson::from_static(result);
        let result = from_inner(&Method::CreateMessage, result, revision);
        result.as_str().to_owned()
    }

    #[test]
    fn r27_questions_lose_what_belongs_to_the_backends_hop_and_nothing_else() {
        let plain = r#"{"mode":"url","url":"https://x","elicitationId":"e","_meta":{"k":1}}"#;
        assert_eq!(inner(plain), plain);
        assert_eq!(
            inner(r#"{"message":"m","task":{"ttl":1},"_meta":{"progressToken":4,"k":1}}"#),
            r#"{"message":"m","_meta":{"k":1}}"#
        );
    }

    #[test]
    fn answers_have_the_one_block_that_older_backends_read() {
        let one = r#"{"role":"assistant","model":"m","content":{"type":"text","text":"a"}}"#;
        let array = r#"{"role":"assistant","model":"m","content":[{"type":"text","text":"a"}]}"#;
        let two = r#"{"content":[{"type":"text","text":"a"},{"type":"image"},{"type":"text","text":"b"}]}"#;
        assert_eq!(answer(array, L4), array);
        assert_eq!(answer(array, L3), one);
        assert_eq!(answer(one, L1), one);
        assert_eq!(
            answer(two, L3),
            r#"{"content":{"type":"text","text":"a\nb"}}"#
        );
        let image = answer(r#"{"content":[{"type":"image"},{"type":"image"}]}"#, L3);
        assert_eq!(image, r#"{"content":{"type":"image"}}"#);
        let audio = r#"{"content":{"type":"audio"}}"#;
        assert_eq!(answer(audio, L3), audio);
        assert!(answer(audio, L1).contains(r#""type":"text""#));
    }

    #[test]
    fn r29_no_legacy_backend_gets_a_result_type() {
        let roots = RawJson::from_static(r#"{"resultType":"complete","roots":[]}"#);
        let sent = from_inner(&Method::RootsList, roots, L4);
        assert_eq!(sent.as_str(), r#"{"roots":[]}"#);
    }
}
