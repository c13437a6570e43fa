//! A client of any revision over any transport, to its user always the same.

use std::collections::HashMap;
use std::time::Duration;

use http::Method;
use mcp_router_tests::fixture::MODERN;
use mcp_router_tests::harness::{
    HttpClient, LegacySession, ModernClient, Router, SseReader, StdioRouter, Streaming, agreeable,
    everything, modern_params,
};
use serde_json::{Value, json};
use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};
use tokio_util::task::AbortOnDropHandle;

/// How long anything may take that is waited for.
const PATIENCE: Duration = Duration::from_secs(8);

/// A transport between a peer and the router.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Wire {
    Http,
    Sse,
    Stdio,
}

impl Wire {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Http => "HTTP",
            Self::Sse => "HTTP+SSE",
            Self::Stdio => "stdio",
        }
    }
}

/// Where a message goes.
enum Out {
    Session(LegacySession),
    Stateless(ModernClient, HttpClient),
    Channel(HttpClient, String),
    Pipe(UnboundedSender<String>),
}

/// A client, with everything that it was sent and did not look at yet.
pub(crate) struct Peer {
    pub(crate) revision: &'static str,
    /// Asks over HTTP what became of a call, and can be asked nothing itself.
    observer: Option<ModernClient>,
    out: Out,
    said: UnboundedSender<Value>,
    incoming: UnboundedReceiver<Value>,
    /// Streams that are read, by the request that opened them; 0 for standing ones.
    reading: HashMap<u64, AbortOnDropHandle<()>>,
    next: u64,
    /// What the server asked during the last call.
    pub(crate) asked: Vec<Value>,
    /// What it told.
    pub(crate) heard: Vec<Value>,
}

impl Peer {
    /// Connects, and shakes hands where the revision does; gives the answer to that.
    pub(crate) async fn open(
        revision: &'static str,
        wire: Wire,
        router: &Router,
        config: &str,
    ) -> (Self, Value) {
        let (said, incoming) = mpsc::unbounded_channel();
        let mut reading = HashMap::new();
        let out = match (wire, revision) {
            (Wire::Http, MODERN) => {
                let client = ModernClient::with_capabilities(router.addr(), everything());
                Out::Stateless(client, router.client())
            }
            (Wire::Http, _) => {
                let client = router.client();
                let session = LegacySession::open_with(client, revision, declared(revision)).await;
                let stream = session.stream().await;
                reading.insert(0, pump(stream, said.clone()));
                Out::Session(session)
            }
            (Wire::Sse, _) => {
                let client = router.client();
                let mut stream = client.open(client.request(Method::GET, "/sse", "")).await;
                let endpoint = stream.events.next().await.expect("an endpoint").data;
                reading.insert(0, pump(stream, said.clone()));
                Out::Channel(client, endpoint)
            }
            (Wire::Stdio, _) => {
                let (lines, pipe) = pipe(config, said.clone());
                reading.insert(0, pipe);
                Out::Pipe(lines)
            }
        };
        let mut peer = Self {
            revision,
            observer: (wire != Wire::Stdio).then(|| router.modern()),
            out,
            said,
            incoming,
            reading,
            next: 0,
            asked: Vec::new(),
            heard: Vec::new(),
        };
        let answer = peer.shake_hands().await;
        (peer, answer)
    }

    async fn shake_hands(&mut self) -> Value {
        if self.is_modern() {
            let answer = self.request("server/discover", json!({})).await;
            return answer.expect("an answer to server/discover");
        }
        if let Out::Session(session) = &self.out {
            return session.initialized.clone();
        }
        let params = json!({
            "protocolVersion": self.revision, "capabilities": declared(self.revision),
            "clientInfo": {"name": "harness", "version": "1"},
        });
        let answer = self.request("initialize", params).await;
        let answer = answer.expect("an answer to initialize");
        let told = json!({"jsonrpc": "2.0", "method": "notifications/initialized"});
        self.send(&told).await;
        answer
    }

    pub(crate) fn is_modern(&self) -> bool {
        self.revision == MODERN
    }

    /// Sends a request without waiting for anything; its id.
    pub(crate) async fn ask(&mut self, method: &str, params: Value) -> u64 {
        self.next += 1;
        let id = self.next;
        let said = self.said.clone();
        match &self.out {
            Out::Stateless(modern, client) => {
                // Counts its requests as we do.
                let request = modern.prepare(method, params);
                let client = client.clone();
                let task = tokio::spawn(async move {
                    read(client.open(request).await, said).await;
                });
                self.reading.insert(id, AbortOnDropHandle::new(task));
            }
            _ => {
                let params = match self.is_modern() {
                    true => modern_params(params, &everything()),
                    false => params,
                };
                let message =
                    json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params});
                self.send(&message).await;
            }
        }
        id
    }

    /// Sends a message as it is.
    async fn send(&mut self, message: &Value) {
        let text = message.to_string();
        match &self.out {
            Out::Session(session) => {
                let client = session.client().clone();
                let said = self.said.clone();
                let task = tokio::spawn(async move {
                    let request = client.request(Method::POST, "/mcp", text);
                    read(client.open(request).await, said).await;
                });
                let id = message["id"]
                    .as_u64()
                    .filter(|_| message["method"].is_string());
                match id {
                    Some(id) => {
                        self.reading.insert(id, AbortOnDropHandle::new(task));
                    }
                    None => task.await.expect("taken"),
                }
            }
            Out::Channel(client, endpoint) => {
                let taken = client.post(endpoint, text).await;
                assert_eq!(taken.status, 202, "{}", taken.text());
            }
            Out::Pipe(lines) => lines.send(text).expect("the pipe is open"),
            Out::Stateless(..) => panic!("stateless clients send nothing but requests: {text}"),
        }
    }

    /// Stops a request as the transport does that.
    pub(crate) async fn cancel(&mut self, id: u64) {
        if let Out::Stateless(..) = self.out {
            self.reading.remove(&id);
            return;
        }
        let params = json!({"requestId": id, "reason": "not needed any more"});
        let method = "notifications/cancelled";
        self.send(&json!({"jsonrpc": "2.0", "method": method, "params": params}))
            .await;
    }

    /// The next message; requests are answered and noted on the way, notifications noted.
    async fn next(&mut self) -> Result<Value, String> {
        let message = tokio::time::timeout(PATIENCE, self.incoming.recv()).await;
        let message = message.map_err(|_| "nothing came".to_owned())?;
        let message = message.expect("we hold a sender");
        if message["method"].is_string() {
            if message.get("id").is_some() {
                let result = match message["method"].as_str() {
                    Some("ping") => json!({}),
                    _ => agreeable(&message),
                };
                let id = &message["id"];
                self.send(&json!({"jsonrpc": "2.0", "id": id, "result": result}))
                    .await;
                self.asked.push(message.clone());
            } else {
                self.heard.push(message.clone());
            }
        }
        Ok(message)
    }

    /// Waits for the response to `id`.
    pub(crate) async fn response(&mut self, id: u64) -> Result<Value, String> {
        loop {
            let message = self.next().await?;
            if message["id"] == id && message["method"].is_null() {
                self.reading.remove(&id);
                return Ok(message);
            }
        }
    }

    /// Waits for a notification that fits; what came before counts.
    pub(crate) async fn told(&mut self, fits: impl Fn(&Value) -> bool) -> Result<Value, String> {
        loop {
            if let Some(at) = self.heard.iter().position(&fits) {
                return Ok(self.heard.remove(at));
            }
            self.next().await?;
        }
    }

    /// A request and its response, in as many rounds as it takes.
    ///
    /// An error is given as its code and message.
    pub(crate) async fn request(&mut self, method: &str, params: Value) -> Result<Value, String> {
        self.asked.clear();
        let mut next = params.clone();
        loop {
            let id = self.ask(method, next).await;
            let response = self.response(id).await?;
            if let Some(error) = response.get("error") {
                let message = error["message"].as_str().unwrap_or_default();
                return Err(format!("{} “{message}”", error["code"]));
            }
            let interim = &response["result"];
            if interim["resultType"] != "input_required" {
                return Ok(interim.clone());
            }
            let requests = interim["inputRequests"].as_object();
            self.asked
                .extend(requests.into_iter().flatten().map(|(_, r)| r.clone()));
            next = mcp_router_tests::harness::again(&params, interim);
        }
    }

    /// Calls a tool.
    pub(crate) async fn call(&mut self, tool: &str, arguments: Value) -> Result<Value, String> {
        self.request("tools/call", json!({"name": tool, "arguments": arguments}))
            .await
    }

    /// Calls a tool beside a call that waits: calls of one client that could be asked something may
    /// have to wait for each other, so this one is of somebody who declares nothing, where that can be.
    pub(crate) async fn look(&mut self, tool: &str, arguments: Value) -> Result<Value, String> {
        if let Some(observer) = &self.observer {
            return Ok(observer.call(tool, arguments).await["result"].take());
        }
        let mut params = json!({"name": tool, "arguments": arguments});
        if self.is_modern() {
            params["_meta"]["io.modelcontextprotocol/clientCapabilities"] = json!({});
        }
        self.request("tools/call", params).await
    }

    /// Waits until the router that it is connected to has reached all these backends.
    pub(crate) async fn until_healthy(&mut self, names: &[String]) {
        let mut tools = Vec::new();
        for _ in 0..1000 {
            tools = self.list("tools/list", "tools").await.unwrap_or_default();
            let has = |name: &String| {
                let add = format!("{name}.add");
                tools.iter().any(|tool| tool["name"] == *add)
            };
            if names.iter().all(has) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("not all of {names:?} are there: {tools:?}");
    }

    /// All items of a list.
    pub(crate) async fn list(&mut self, method: &str, key: &str) -> Result<Vec<Value>, String> {
        let (mut items, mut params) = (Vec::new(), json!({}));
        loop {
            let answer = self.request(method, params).await?;
            let page = answer[key].as_array();
            items.extend(page.ok_or_else(|| answer.to_string())?.clone());
            match answer["nextCursor"].as_str() {
                Some(cursor) => params = json!({"cursor": cursor}),
                None => return Ok(items),
            }
        }
    }
}

/// What a client of this revision can declare.
fn declared(revision: &str) -> Value {
    match revision {
        "2025-11-25" => everything(),
        "2025-06-18" => json!({"elicitation": {}, "sampling": {}, "roots": {}}),
        _ => json!({"sampling": {}, "roots": {}}),
    }
}

/// Reads a stream in the background, until it ends or the handle goes.
fn pump(stream: Streaming, said: UnboundedSender<Value>) -> AbortOnDropHandle<()> {
    AbortOnDropHandle::new(tokio::spawn(read(stream, said)))
}

async fn read(mut stream: Streaming, said: UnboundedSender<Value>) {
    let kind = stream.headers.get("content-type");
    let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    if stream.status == 202 {
        return;
    }
    if !kind.starts_with("text/event-stream") {
        let _ = said.send(stream.events.whole().await);
        return;
    }
    while let Some(event) = patient(&mut stream.events).await {
        if !event.is_null() {
            let _ = said.send(event);
        }
    }
}

/// The next event's message, however long it takes; null for one without.
async fn patient(events: &mut SseReader) -> Option<Value> {
    loop {
        // The reader would call it a failure when nothing comes for so long.
        let next = tokio::time::timeout(Duration::from_secs(20), events.next());
        if let Ok(event) = next.await {
            return event.map(|event| event.json());
        }
    }
}

/// A router at the end of a pipe.
fn pipe(
    config: &str,
    said: UnboundedSender<Value>,
) -> (UnboundedSender<String>, AbortOnDropHandle<()>) {
    let (lines, mut to_send) = mpsc::unbounded_channel::<String>();
    let mut router = StdioRouter::start(config);
    let task = tokio::spawn(async move {
        loop {
            tokio::select! {
                line = to_send.recv() => match line {
                    Some(line) => router.send(&line).await,
                    None => return,
                },
                line = router.line() => {
                    let line = line.expect("the router lives");
                    let message = serde_json::from_str(&line).expect("a message");
                    let _ = said.send(message);
                }
            }
        }
    });
    (lines, AbortOnDropHandle::new(task))
}
