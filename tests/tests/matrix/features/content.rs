//! What a backend offers: asked for, and compared with what the backend gave.

use serde_json::{Value, json};

use super::{L3, Place, must, text};
use crate::peer::Peer;

pub(super) async fn handshake(peer: &mut Peer, at: &Place) -> Result<(), String> {
    let agreed = match peer.is_modern() {
        true => at.hello["supportedVersions"][0] == peer.revision,
        false => at.hello["protocolVersion"] == peer.revision,
    };
    must(agreed, &at.hello)?;
    let result = peer.call("list_backends", json!({})).await?;
    let all: Value = serde_json::from_str(text(&result)).unwrap_or_default();
    let list = all.as_array().or(all["result"].as_array()).cloned();
    let own = list
        .into_iter()
        .flatten()
        .find(|b| b["name"] == *at.backend);
    let own = own.unwrap_or(all);
    must(own["protocol"].to_string().contains(at.revision), &own)
}

pub(super) async fn tools(peer: &mut Peer, at: &Place) -> Result<(), String> {
    let tools = peer.list("tools/list", "tools").await?;
    let listed = tools.iter().any(|tool| tool["name"] == at.of("add"));
    must(listed, &json!(tools.len()))?;
    let result = peer.call(&at.of("add"), json!({"a": 20, "b": 22})).await?;
    must(text(&result) == "42", &result)
}

pub(super) async fn structured(peer: &mut Peer, at: &Place) -> Result<(), String> {
    let given = json!({"word": at.own("w"), "list": [1, {"a": null}]});
    let result = peer.call(&at.of("mirror"), given.clone()).await?;
    if peer.revision < L3 {
        let written: Value = serde_json::from_str(text(&result)).unwrap_or_default();
        return must(
            written == given && result.get("structuredContent").is_none(),
            &result,
        );
    }
    must(result["structuredContent"] == given, &result)
}

pub(super) async fn prompts(peer: &mut Peer, at: &Place) -> Result<(), String> {
    let prompts = peer.list("prompts/list", "prompts").await?;
    let name = at.of("greet");
    must(prompts.iter().any(|p| p["name"] == name), &json!(prompts))?;
    let who = at.own("you");
    let params = json!({"name": name, "arguments": {"who": who}});
    let result = peer.request("prompts/get", params).await?;
    let said = &result["messages"][0]["content"]["text"];
    must(*said == format!("Hello, {who}! (greet)"), &result)
}

async fn read(peer: &mut Peer, at: &Place, own: &str) -> Result<(), String> {
    let uri = at.uri(own);
    let result = peer.request("resources/read", json!({"uri": uri})).await?;
    let contents = &result["contents"][0];
    let right = contents["uri"] == uri && contents["text"] == format!("text of {own}");
    must(right, &result)
}

pub(super) async fn resources(peer: &mut Peer, at: &Place) -> Result<(), String> {
    let all = peer.list("resources/list", "resources").await?;
    let uri = at.uri("memo://hello");
    must(all.iter().any(|r| r["uri"] == uri), &json!(all))?;
    read(peer, at, "memo://hello").await
}

pub(super) async fn templates(peer: &mut Peer, at: &Place) -> Result<(), String> {
    let all = peer
        .list("resources/templates/list", "resourceTemplates")
        .await?;
    let template = at.uri("memo://note/{id}");
    must(
        all.iter().any(|r| r["uriTemplate"] == template),
        &json!(all),
    )?;
    read(peer, at, "memo://note/7").await
}

pub(super) async fn completion(peer: &mut Peer, at: &Place) -> Result<(), String> {
    let reference = json!({"type": "ref/prompt", "name": at.of("greet")});
    let params = json!({"ref": reference, "argument": {"name": "who", "value": "al"}});
    let result = peer.request("completion/complete", params).await?;
    must(
        result["completion"]["values"] == json!(["alice", "albert"]),
        &result,
    )
}
