//! That the check sees what is wrong, and lets pass what is right.

use std::path::Path;

use serde_json::{Value, json};

use super::book::Book;
use super::{Sender, judge};

fn book() -> Book {
    Book::read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("schema"))
}

/// What is wrong with a message to a client that asked by `tools/call`.
fn to_client(book: &Book, revision: &str, message: &Value) -> Option<String> {
    let asked = |id: &Value| (*id == 1).then(|| "tools/call".to_owned());
    judge(book, revision, Sender::Server, message, asked).err()
}

#[test]
fn a_result_is_held_against_the_definition_of_what_was_asked() {
    let book = book();
    let text = json!([{"type": "text", "text": "x"}]);
    for (revision, result, right) in [
        ("2025-11-25", json!({"content": text}), true),
        ("2025-11-25", json!({"content": "x"}), false),
        ("2025-11-25", json!({}), false),
        ("2024-11-05", json!({"content": [{"type": "audio"}]}), false),
        ("2026-07-28", json!({"content": text}), false),
        (
            "2026-07-28",
            json!({"content": text, "resultType": "complete"}),
            true,
        ),
        (
            "2026-07-28",
            json!({"resultType": "input_required", "requestState": 1}),
            false,
        ),
    ] {
        let message = json!({"jsonrpc": "2.0", "id": 1, "result": result});
        let wrong = to_client(&book, revision, &message);
        assert_eq!(wrong.is_none(), right, "{revision} {message}: {wrong:?}");
    }
    let unasked = json!({"jsonrpc": "2.0", "id": 2, "result": {"content": text}});
    assert!(to_client(&book, "2025-11-25", &unasked).is_some());
}

#[test]
fn methods_and_errors_are_those_of_the_revision_and_the_side() {
    let book = book();
    let request = |method: &str, params: Value| json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
    let form = json!({"message": "Who?", "requestedSchema": {"type": "object", "properties": {}}});
    let elicit = request("elicitation/create", form);
    assert_eq!(to_client(&book, "2025-06-18", &elicit), None);
    assert!(to_client(&book, "2025-03-26", &elicit).is_some());
    assert!(to_client(&book, "2026-07-28", &elicit).is_some());
    let nobody = |_: &Value| None;
    let of_client = judge(&book, "2025-06-18", Sender::Client, &elicit, nobody);
    assert!(of_client.is_err(), "clients ask nobody for a form");

    let error = |data: Value| json!({"jsonrpc": "2.0", "id": 1, "error": {"code": -32022, "message": "m", "data": data}});
    let right = json!({"supported": ["2026-07-28"], "requested": "x"});
    assert_eq!(to_client(&book, "2026-07-28", &error(right)), None);
    assert!(to_client(&book, "2026-07-28", &error(json!({}))).is_some());
}

#[test]
fn arrays_are_of_one_revision_and_judged_one_by_one() {
    let book = book();
    let ping = json!({"jsonrpc": "2.0", "id": 1, "method": "ping"});
    let batch = json!([ping, ping]);
    assert_eq!(to_client(&book, "2025-03-26", &batch), None);
    assert!(to_client(&book, "2025-06-18", &batch).is_some());
    let spoiled = json!([ping, {"jsonrpc": "2.0", "id": 1}]);
    assert!(to_client(&book, "2025-03-26", &spoiled).is_some());
}

#[test]
fn known_deviations_pass_and_nothing_beside_them() {
    let book = book();
    let unread = json!({"jsonrpc": "2.0", "id": null, "error": {"code": -32700, "message": "m"}});
    assert_eq!(to_client(&book, "2025-11-25", &unread), None);
    let null = json!({"jsonrpc": "2.0", "id": null, "result": {}});
    assert!(to_client(&book, "2025-11-25", &null).is_some());

    let link = |uri: &str| {
        let content = json!([{"type": "resource_link", "name": "n", "uri": uri}]);
        json!({"jsonrpc": "2.0", "id": 1, "result": {"content": content}})
    };
    assert_eq!(to_client(&book, "2025-11-25", &link("memo://größe")), None);
    assert!(to_client(&book, "2025-11-25", &link("größe and no URI")).is_some());

    let call = |answers: Value| {
        let meta = json!({"io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientInfo": {"name": "n", "version": "1"},
            "io.modelcontextprotocol/clientCapabilities": {}});
        json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call",
            "params": {"_meta": meta, "name": "n", "inputResponses": answers}})
    };
    let to_backend = |message: &Value| {
        judge(&book, "2026-07-28", Sender::Client, message, |_: &Value| {
            None
        })
        .err()
    };
    let form = json!({"action": "accept", "content": {"score": 95.5}});
    assert_eq!(to_backend(&call(json!({"a": form, "b": 12345}))), None);
    assert_eq!(to_backend(&call(json!(null))), None);
    let wrong = json!({"action": "perhaps", "content": {"score": 95.5}});
    assert!(to_backend(&call(json!({"a": wrong}))).is_some());
}
