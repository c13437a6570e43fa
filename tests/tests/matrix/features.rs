//! What clients use, each thing once at each backend, judged by what comes out.

use mcp_router_tests::harness::agreeable;
use serde_json::{Value, json};

use super::peer::Peer;

/// One thing that a client can want.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Feature {
    Handshake,
    Tools,
    Structured,
    Prompts,
    Resources,
    Templates,
    Completion,
    Progress,
    Cancellation,
    Logging,
    ListChanged,
    Subscription,
    Sampling,
    Form,
    Url,
    Roots,
    Ping,
}

use Feature::*;

/// In the order of the page.
pub(crate) const ALL: [Feature; 17] = [
    Handshake,
    Tools,
    Structured,
    Prompts,
    Resources,
    Templates,
    Completion,
    Progress,
    Cancellation,
    Logging,
    ListChanged,
    Subscription,
    Sampling,
    Form,
    Url,
    Roots,
    Ping,
];

const L3: &str = "2025-06-18";
const L4: &str = "2025-11-25";

impl Feature {
    /// Its letter, and what must come out for it to work.
    pub(crate) fn told(self) -> (&'static str, &'static str) {
        match self {
            Handshake => (
                "H",
                "`initialize` or `server/discover`: the client's own revision is agreed on, and `list_backends` shows the backend's",
            ),
            Tools => (
                "T",
                "tools: listed under the namespace; a call gives the sum that the backend worked out",
            ),
            Structured => (
                "O",
                "structured output: equal to what the backend gave, its text beside it; below 2025-06-18 the text alone",
            ),
            Prompts => ("P", "prompts: listed, and made with the argument given"),
            Resources => ("R", "resources: listed, and read by the address listed"),
            Templates => (
                "A",
                "resource templates: listed, and an address made from one is read",
            ),
            Completion => ("C", "completion of a prompt's argument"),
            Progress => (
                "G",
                "progress: all of it, in order, with the client's token, before the answer",
            ),
            Cancellation => (
                "X",
                "cancellation: the running call is stopped at the backend",
            ),
            Logging => ("L", "log messages at the level that the client set"),
            ListChanged => ("N", "`list_changed`: told, and the new tool is in the list"),
            Subscription => (
                "S",
                "subscription: an update of the resource, in the client's spelling",
            ),
            Sampling => (
                "M",
                "sampling in the middle of a call: the client's answer reaches the tool, which runs once",
            ),
            Form => ("E", "elicitation by a form, likewise"),
            Url => ("U", "elicitation by a URL, likewise"),
            Roots => ("D", "roots, likewise"),
            Ping => ("I", "`ping`"),
        }
    }

    /// Whether a client and a backend of these revisions both know of it.
    pub(crate) fn exists(self, client: &str, backend: &str) -> bool {
        match self {
            Structured | Form => backend >= L3,
            Url => backend >= L4,
            Ping => client <= L4,
            _ => true,
        }
    }

    /// Whether the client's revision has words for it; elsewhere the call ends in an error. A log
    /// message is for one call where clients are stateless, and `shared` connections do not say which.
    pub(crate) fn expressible(self, client: &str, shared: bool) -> bool {
        match self {
            Form => client >= L3,
            Url => client >= L4,
            Logging => client <= L4 || !shared,
            _ => true,
        }
    }

    /// Tries it; `Err` says what went wrong, or the error given.
    pub(crate) async fn tried(self, peer: &mut Peer, at: &Place) -> Result<(), String> {
        peer.heard.clear();
        match self {
            Handshake => handshake(peer, at).await,
            Tools => tools(peer, at).await,
            Structured => structured(peer, at).await,
            Prompts => prompts(peer, at).await,
            Resources => resources(peer, at).await,
            Templates => templates(peer, at).await,
            Completion => completion(peer, at).await,
            Progress => progress(peer, at).await,
            Cancellation => cancellation(peer, at).await,
            Logging => logging(peer, at).await,
            ListChanged => list_changed(peer, at).await,
            Subscription => subscription(peer, at).await,
            Sampling => asked(peer, at, "ask_sampling", "sampling/createMessage").await,
            Form => asked(peer, at, "ask_elicit", "elicitation/create").await,
            Url => asked(peer, at, "ask_url", "elicitation/create").await,
            Roots => asked(peer, at, "ask_roots", "roots/list").await,
            Ping => ping(peer).await,
        }
    }
}

/// What comes in place of a log message that could be anybody's.
pub(crate) const DROPPED: &str = "no message: over HTTP+SSE and stdio the log messages of a backend do not \
     say which call they belong to, and a stateless client wants those of its own calls alone";

/// Which cell this is.
#[derive(Debug)]
pub(crate) struct Place {
    /// The client, in one word.
    pub(crate) client: String,
    /// The namespace of the backend.
    pub(crate) backend: String,
    /// The backend's revision.
    pub(crate) revision: &'static str,
    /// Whether its answers come on one stream for all calls.
    pub(crate) shared: bool,
    /// What `initialize` or `server/discover` was answered.
    pub(crate) hello: Value,
}

impl Place {
    fn of(&self, name: &str) -> String {
        format!("{}.{name}", self.backend)
    }

    fn uri(&self, uri: &str) -> String {
        format!("{}+{uri}", self.backend)
    }

    /// A word that no other cell uses.
    fn own(&self, what: &str) -> String {
        format!("{what}-{}-{}", self.client, self.backend)
    }
}

/// An error unless `condition` holds.
fn must(condition: bool, seen: &Value) -> Result<(), String> {
    if condition {
        Ok(())
    } else {
        Err(format!("wrong: {seen}"))
    }
}

fn text(result: &Value) -> &str {
    result["content"][0]["text"].as_str().unwrap_or_default()
}

async fn handshake(peer: &mut Peer, at: &Place) -> Result<(), String> {
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

async fn tools(peer: &mut Peer, at: &Place) -> Result<(), String> {
    let tools = peer.list("tools/list", "tools").await?;
    let listed = tools.iter().any(|tool| tool["name"] == at.of("add"));
    must(listed, &json!(tools.len()))?;
    let result = peer.call(&at.of("add"), json!({"a": 20, "b": 22})).await?;
    must(text(&result) == "42", &result)
}

async fn structured(peer: &mut Peer, at: &Place) -> Result<(), String> {
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

async fn prompts(peer: &mut Peer, at: &Place) -> Result<(), String> {
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

async fn resources(peer: &mut Peer, at: &Place) -> Result<(), String> {
    let all = peer.list("resources/list", "resources").await?;
    let uri = at.uri("memo://hello");
    must(all.iter().any(|r| r["uri"] == uri), &json!(all))?;
    read(peer, at, "memo://hello").await
}

async fn templates(peer: &mut Peer, at: &Place) -> Result<(), String> {
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

async fn completion(peer: &mut Peer, at: &Place) -> Result<(), String> {
    let reference = json!({"type": "ref/prompt", "name": at.of("greet")});
    let params = json!({"ref": reference, "argument": {"name": "who", "value": "al"}});
    let result = peer.request("completion/complete", params).await?;
    must(
        result["completion"]["values"] == json!(["alice", "albert"]),
        &result,
    )
}

async fn progress(peer: &mut Peer, at: &Place) -> Result<(), String> {
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

async fn cancellation(peer: &mut Peer, at: &Place) -> Result<(), String> {
    let nonce = at.own("sleep");
    let arguments = json!({"ms": 60_000, "nonce": nonce});
    let params = json!({"name": at.of("sleep"), "arguments": arguments});
    let id = peer.ask("tools/call", params).await;
    until(peer, at, &nonce, "started").await?;
    peer.cancel(id).await;
    until(peer, at, &nonce, "stopped").await
}

async fn logging(peer: &mut Peer, at: &Place) -> Result<(), String> {
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
    if Logging.expressible(peer.revision, at.shared) {
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

async fn list_changed(peer: &mut Peer, at: &Place) -> Result<(), String> {
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

async fn subscription(peer: &mut Peer, at: &Place) -> Result<(), String> {
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
async fn asked(peer: &mut Peer, at: &Place, tool: &str, method: &str) -> Result<(), String> {
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

async fn ping(peer: &mut Peer) -> Result<(), String> {
    let result = peer.request("ping", json!({})).await?;
    must(result == json!({}), &result)
}
