//! Everything that clients can do, over HTTP+SSE: whatever revision they negotiate there, and
//! whatever stands behind the router.

use http::Method;
use mcp_router_tests::fixture::{Era, Fixture, LEGACY};
use mcp_router_tests::harness::{
    HttpClient, Router, SseReader, agreeable, child_entry, config, everything, text,
};
use serde_json::{Value, json};

const BACKENDS: [&str; 3] = ["old", "new", "child"];

struct Scene {
    router: Router,
    backends: [Fixture; 2],
}

async fn scene() -> Scene {
    let fixture = |era| Fixture::builder().asking().newsy().era(era).spawn();
    let backends = [fixture(Era::Legacy).await, fixture(Era::Modern).await];
    let urls = [("old", backends[0].url()), ("new", backends[1].url())];
    let child = child_entry("child", &["--era", "legacy", "--asking", "--newsy"]);
    let router = Router::start(&(config(urls) + &child)).await;
    router.until_ready().await;
    for name in BACKENDS {
        router.until_healthy(name).await;
    }
    Scene { router, backends }
}

/// One client: its stream, and where it posts.
struct Channel {
    client: HttpClient,
    endpoint: String,
    events: SseReader,
    next: u64,
    /// What came beside answers, in order.
    heard: Vec<Value>,
}

impl Channel {
    async fn open(router: &Router, revision: &str) -> Self {
        let client = router.client();
        let stream = client.open(client.request(Method::GET, "/sse", "")).await;
        let mut events = stream.events;
        let endpoint = events.next().await.expect("an event").data;
        let mut channel = Self {
            client,
            endpoint,
            events,
            next: 0,
            heard: Vec::new(),
        };
        let capabilities = match revision {
            "2025-11-25" => everything(),
            _ => json!({"elicitation": {}, "sampling": {}, "roots": {}}),
        };
        let info = json!({"name": "old", "version": "1"});
        let params = json!({"protocolVersion": revision, "capabilities": capabilities,
            "clientInfo": info});
        let answer = channel.request("initialize", params).await;
        assert_eq!(answer["result"]["protocolVersion"], revision, "{answer}");
        let told = json!({"jsonrpc": "2.0", "method": "notifications/initialized"});
        channel.post(&told).await;
        channel
    }

    async fn post(&self, body: &Value) {
        let taken = self.client.post(&self.endpoint, body.to_string()).await;
        assert_eq!(taken.status, 202, "{}", taken.text());
    }

    fn message(&mut self, method: &str, params: Value) -> Value {
        self.next += 1;
        json!({"jsonrpc": "2.0", "id": self.next, "method": method, "params": params})
    }

    async fn request(&mut self, method: &str, params: Value) -> Value {
        let message = self.message(method, params);
        self.post(&message).await;
        self.answer(&message["id"]).await
    }

    /// Reads on until the answer to `id`, and answers what is asked meanwhile.
    async fn answer(&mut self, id: &Value) -> Value {
        loop {
            let message = self.events.message().await;
            match (message.get("method"), message.get("id")) {
                (None, _) if message["id"] == *id => return message,
                (Some(_), Some(asked)) => {
                    let result = agreeable(&message);
                    let reply = json!({"jsonrpc": "2.0", "id": asked, "result": result});
                    self.post(&reply).await;
                }
                _ => {}
            }
            self.heard.push(message);
        }
    }

    async fn call(&mut self, tool: &str, arguments: Value) -> Value {
        let params = json!({"name": tool, "arguments": arguments});
        self.request("tools/call", params).await
    }

    /// Reads on until a notification of this kind.
    async fn told(&mut self, method: &str) -> Value {
        loop {
            let message = self.events.message().await;
            if message["method"] == method {
                return message;
            }
        }
    }
}

#[tokio::test]
async fn r35_r31_what_backends_ask_reaches_the_client_and_its_answer_them() {
    let scene = scene().await;
    for revision in LEGACY {
        let mut channel = Channel::open(&scene.router, revision).await;
        let tools: &[&str] = match revision {
            "2024-11-05" | "2025-03-26" => &["ask_roots", "ask_sampling"],
            _ => &["ask_roots", "ask_sampling", "ask_elicit", "ask_twice"],
        };
        for backend in BACKENDS {
            for tool in tools {
                let nonce = format!("{revision} {backend} {tool}");
                channel.heard.clear();
                let name = format!("{backend}.{tool}");
                let answer = channel.call(&name, json!({"nonce": nonce})).await;
                let asked: Vec<_> = channel
                    .heard
                    .iter()
                    .filter(|m| m.get("id").is_some())
                    .collect();
                let rounds = if *tool == "ask_twice" { 2 } else { 1 };
                assert_eq!(asked.len(), rounds, "{nonce}: {answer}");
                let said = answer["result"]["content"][0]["text"].as_str();
                let said = said.unwrap_or_default();
                let expected = match *tool {
                    "ask_roots" => "file:///home",
                    "ask_sampling" => "42",
                    _ => "Ann",
                };
                assert!(said.contains(expected), "{nonce}: {answer}");
                let ran = match backend {
                    "old" => scene.backends[0].log().executions(&nonce),
                    "new" => scene.backends[1].log().executions(&nonce),
                    _ => 1,
                };
                assert_eq!(ran, 1, "{nonce}");
            }
        }
    }
}

#[tokio::test]
async fn r24_r25_news_of_resources_and_logs_come_on_the_stream() {
    let scene = scene().await;
    let mut channel = Channel::open(&scene.router, "2024-11-05").await;
    for backend in BACKENDS {
        let uri = format!("{backend}+memo://hello");
        let read = channel.request("resources/read", json!({"uri": uri})).await;
        assert_eq!(read["result"]["contents"][0]["uri"], uri, "{read}");
        let answer = channel
            .request("resources/subscribe", json!({"uri": uri}))
            .await;
        assert_eq!(answer["result"], json!({}), "{backend}: {answer}");
        let touch =
            json!({"name": format!("{backend}.touch"), "arguments": {"uri": "memo://hello"}});
        let touched = scene.router.modern().request("tools/call", touch).await;
        assert_eq!(text(&touched), "touched", "{touched}");
        let news = channel.told("notifications/resources/updated").await;
        assert_eq!(news["params"]["uri"], uri, "{backend}");
        let answer = channel
            .request("resources/unsubscribe", json!({"uri": uri}))
            .await;
        assert_eq!(answer["result"], json!({}), "{backend}: {answer}");
        // A level, and what is at it or above.
        let level = json!({"level": "warning"});
        channel.request("logging/setLevel", level).await;
        channel.heard.clear();
        for level in ["info", "error"] {
            let arguments = json!({"level": level, "text": format!("{backend} {level}")});
            channel.call(&format!("{backend}.chatter"), arguments).await;
        }
        let is_log = |m: &Value| m["method"] == "notifications/message";
        let heard = channel.heard.iter().find(|m| is_log(m)).cloned();
        // On a pipe it belongs to no call, and may come behind its answer.
        let logged = match heard {
            Some(log) => log,
            None => channel.told("notifications/message").await,
        };
        let expected = format!("{backend} error");
        assert_eq!(logged["params"]["data"], expected, "{backend}");
    }
    scene.backends[0].add_tool("later");
    channel.told("notifications/tools/list_changed").await;
}

#[tokio::test]
async fn r11_a_batch_of_2025_03_26_is_answered_one_by_one_also_where_calls_stream() {
    let scene = scene().await;
    let mut channel = Channel::open(&scene.router, "2025-03-26").await;
    let call = |channel: &mut Channel, tool: &str, arguments: Value| {
        channel.message("tools/call", json!({"name": tool, "arguments": arguments}))
    };
    let asks = call(&mut channel, "old.ask_roots", json!({"nonce": "batch"}));
    let rounds = call(&mut channel, "new.ask_roots", json!({"nonce": "batch"}));
    let plain = call(&mut channel, "child.echo", json!({"text": "hi"}));
    channel.post(&json!([asks, rounds, plain])).await;
    let mut answered = Vec::new();
    while answered.len() < 3 {
        let message = channel.events.message().await;
        match (message.get("method"), &message["id"]) {
            (Some(_), id) if !id.is_null() => {
                let reply = json!({"jsonrpc": "2.0", "id": id, "result": agreeable(&message)});
                channel.post(&json!([reply])).await;
            }
            (None, _) => answered.push(message),
            _ => {}
        }
    }
    for asked in [&asks, &rounds, &plain] {
        let own = answered.iter().find(|a| a["id"] == asked["id"]);
        let answer = own.unwrap_or_else(|| panic!("no answer to {asked}"));
        let said = answer["result"]["content"][0]["text"]
            .as_str()
            .unwrap_or_default();
        assert!(said.contains("file:///home") || said == "hi", "{answer}");
    }
}
