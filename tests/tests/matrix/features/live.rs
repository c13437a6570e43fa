//! What goes on while something runs: told, asked and broken off.

use mcp_router_tests::harness::agreeable;
use serde_json::{Value, json};

use super::{DROPPED, Feature, Place, must, text};
use crate::peer::Peer;

pub(super) async fn progress(peer: &mut Peer, at: &Place) -> Result<(), String> {
    let token = at.own("token");
    let params = json!({
        "name": at.of("progress"), "arguments": {"n": 3}, "_meta": {"progressToken": token},
    });
    let result = peer.request("tools/call", params).await?;
    must(text(&result) == "done", &result)?;
    let own = peer
        .heard
        .iter()
        .filter(|m| m["params"]["progressToken"] == token);
    let steps: Vec<_> = own.map(|m| m["params"]["progress"].clone()).collect();
    must(steps == [1, 2, 3], &json!(steps))
}

/// Asks the backend what became of a call until it says `fate`.
async fn until(peer: &mut Peer, at: &Place, nonce: &str, fate: &str) -> Result<(), String> {
    let mut last = Value::Null;
    for _ in 0..500 {
        last = peer.look(&at.of("fate"), json!({"nonce": nonce})).await?;
        if text(&last) == fate {
            return Ok(());
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    Err(format!("never {fate}: {last}"))
}

pub(super) async fn cancellation(peer: &mut Peer, at: &Place) -> Result<(), String> {
    let nonce = at.own("sleep");
    let arguments = json!({"ms": 60_000, "nonce": nonce});
    let params = json!({"name": at.of("sleep"), "arguments": arguments});
    let id = peer.ask("tools/call", params).await;
    until(peer, at, &nonce, "started").await?;
    peer.cancel(id).await;
    until(peer, at, &nonce, "stopped").await
}

pub(super) async fn logging(peer: &mut Peer, at: &Place) -> Result<(), String> {
    let words = at.own("log");
    let arguments = json!({"level": "debug", "text": words});
    let mut params = json!({"name": at.of("chatter"), "arguments": arguments});
    if peer.is_modern() {
        params["_meta"]["io.modelcontextprotocol/logLevel"] = json!("debug");
    } else {
        peer.request("logging/setLevel", json!({"level": "debug"}))
            .await?;
    }
    let result = peer.request("tools/call", params).await?;
    must(text(&result) == "said", &result)?;
    let own = |m: &Value| m["method"] == "notifications/message" && m["params"]["data"] == words;
    if Feature::Logging.expressible(peer.revision, at.shared) {
        return peer.told(own).await.map(drop);
    }
    // It would have come before the answer.
    match peer.heard.iter().any(own) {
        true => Ok(()),
        false => Err(DROPPED.to_owned()),
    }
}

/// Asks for news by a stream of its own, if that is how this revision does it; its id.
async fn listen(peer: &mut Peer, filter: Value) -> Result<Option<u64>, String> {
    if !peer.is_modern() {
        return Ok(None);
    }
    let id = peer
        .ask("subscriptions/listen", json!({"notifications": filter}))
        .await;
    let acknowledged = |m: &Value| {
        let own = &m["params"]["_meta"]["io.modelcontextprotocol/subscriptionId"];
        m["method"] == "notifications/subscriptions/acknowledged" && *own == id
    };
    let honoured = peer.told(acknowledged).await?;
    must(honoured["params"]["notifications"] == filter, &honoured)?;
    Ok(Some(id))
}

async fn unlisten(peer: &mut Peer, id: Option<u64>) {
    if let Some(id) = id {
        peer.cancel(id).await;
    }
}

pub(super) async fn list_changed(peer: &mut Peer, at: &Place) -> Result<(), String> {
    let listening = listen(peer, json!({"toolsListChanged": true})).await?;
    let name = at.own("new");
    let result = peer.call(&at.of("grow"), json!({"name": name})).await?;
    must(text(&result) == "grown", &result)?;
    loop {
        // Backends of other cells have news too; ours is there when the list has it.
        let changed = |m: &Value| m["method"] == "notifications/tools/list_changed";
        peer.told(changed)
            .await
            .map_err(|e| format!("no list_changed: {e}"))?;
        let tools = peer.list("tools/list", "tools").await?;
        if tools.iter().any(|tool| tool["name"] == at.of(&name)) {
            break;
        }
    }
    unlisten(peer, listening).await;
    Ok(())
}

pub(super) async fn subscription(peer: &mut Peer, at: &Place) -> Result<(), String> {
    // A note of this client's own: the others touch theirs at the same backend.
    let note = format!("memo://note/{}", at.client);
    let uri = at.uri(&note);
    let listening = listen(peer, json!({"resourceSubscriptions": [uri]})).await?;
    if listening.is_none() {
        peer.request("resources/subscribe", json!({"uri": uri}))
            .await?;
    }
    let result = peer.call(&at.of("touch"), json!({"uri": note})).await?;
    must(text(&result) == "touched", &result)?;
    let updated = |m: &Value| m["method"] == "notifications/resources/updated";
    let told = peer.told(updated).await?;
    must(told["params"]["uri"] == uri, &told)?;
    if listening.is_none() {
        peer.request("resources/unsubscribe", json!({"uri": uri}))
            .await?;
    }
    unlisten(peer, listening).await;
    Ok(())
}

/// A tool that asks for one thing before it answers.
pub(super) async fn asked(
    peer: &mut Peer,
    at: &Place,
    tool: &str,
    method: &str,
) -> Result<(), String> {
    let nonce = at.own(tool);
    let result = peer.call(&at.of(tool), json!({"nonce": nonce})).await?;
    let said: Value = serde_json::from_str(text(&result)).unwrap_or_default();
    // What the backend was told in place of an answer.
    if let Some(error) = said["answers"][0].get("error") {
        let message = error["message"].as_str().unwrap_or_default();
        return Err(format!("the backend is told {} “{message}”", error["code"]));
    }
    must(peer.asked.len() == 1, &result)?;
    let question = peer.asked[0].clone();
    must(question["method"] == method, &question)?;
    let answered = said["answers"] == json!([agreeable(&question)]);
    must(answered && said["executions"] == 1, &result)
}

pub(super) async fn ping(peer: &mut Peer) -> Result<(), String> {
    let result = peer.request("ping", json!({})).await?;
    must(result == json!({}), &result)
}
