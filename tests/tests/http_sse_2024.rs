//! HTTP+SSE of 2024-11-05, the client's side: a stream that is the session, and a URL to post to.

use http::Method;
use mcp_router_tests::fixture::{Era, Fixture};
use mcp_router_tests::harness::{HttpClient, Reply, Scene, SseReader, agreeable, text};
use serde_json::{Value, json};

const L1: &str = "2024-11-05";

/// A client of the oldest transport.
#[derive(Debug)]
struct Channel {
    client: HttpClient,
    endpoint: String,
    events: SseReader,
    next: u64,
}

impl Channel {
    async fn connect(scene: &Scene) -> Self {
        let client = scene.client();
        let mut stream = client.open(client.request(Method::GET, "/sse", "")).await;
        assert_eq!(stream.status, 200);
        assert_eq!(stream.headers["content-type"], "text/event-stream");
        let first = stream.events.next().await.expect("an event");
        assert_eq!(first.event, "endpoint", "{first:?}");
        // A path of the same origin, which is all that careful clients accept.
        assert!(
            first.data.starts_with('/') && !first.data.starts_with("//"),
            "{first:?}"
        );
        Self {
            client,
            endpoint: first.data,
            events: stream.events,
            next: 0,
        }
    }

    async fn open(scene: &Scene) -> Self {
        Self::open_with(scene, json!({})).await
    }

    async fn open_with(scene: &Scene, capabilities: Value) -> Self {
        let mut channel = Self::connect(scene).await;
        let client = json!({"name": "old", "version": "1"});
        let params =
            json!({"protocolVersion": L1, "capabilities": capabilities, "clientInfo": client});
        let answer = channel.request("initialize", params).await;
        assert_eq!(answer["result"]["protocolVersion"], L1, "{answer}");
        assert_eq!(
            answer["result"]["serverInfo"]["name"], "mcp-router",
            "{answer}"
        );
        let told = json!({"jsonrpc": "2.0", "method": "notifications/initialized"});
        taken(&channel.post(told.to_string()).await);
        channel
    }

    async fn post(&self, body: impl Into<bytes::Bytes>) -> Reply {
        self.client.post(&self.endpoint, body).await
    }

    /// Posts a request; its id.
    async fn send(&mut self, method: &str, params: Value) -> Value {
        self.next += 1;
        let id = json!(self.next);
        let body = json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params});
        taken(&self.post(body.to_string()).await);
        id
    }

    async fn request(&mut self, method: &str, params: Value) -> Value {
        let id = self.send(method, params).await;
        self.events
            .until_response(&id)
            .await
            .pop()
            .expect("the response")
    }

    async fn call(&mut self, tool: &str, arguments: Value) -> Value {
        self.request("tools/call", json!({"name": tool, "arguments": arguments}))
            .await
    }
}

impl Channel {
    /// Calls a tool and answers what is asked meanwhile; what that was, and the response.
    async fn talk(&mut self, tool: &str, arguments: Value) -> (Vec<Value>, Value) {
        let params = json!({"name": tool, "arguments": arguments});
        let id = self.send("tools/call", params).await;
        let mut asked = Vec::new();
        loop {
            let message = self.events.message().await;
            if message.get("method").is_none() && message["id"] == id {
                return (asked, message);
            }
            if message.get("id").is_some() {
                let result = agreeable(&message);
                let reply = json!({"jsonrpc": "2.0", "id": message["id"], "result": result});
                taken(&self.post(reply.to_string()).await);
                asked.push(message);
            }
        }
    }
}

fn taken(reply: &Reply) {
    assert_eq!(reply.status, 202, "{}", reply.text());
}

#[tokio::test]
async fn r01_a_client_of_2024_11_05_does_everything_over_http_sse() {
    let scene = Scene::new().await;
    let mut channel = Channel::open(&scene).await;
    assert_eq!(
        channel.request("ping", json!({})).await["result"],
        json!({})
    );
    let tools = channel.request("tools/list", json!({})).await;
    let tools = tools["result"]["tools"].as_array().expect("tools").clone();
    assert!(
        tools.iter().any(|tool| tool["name"] == "a.echo"),
        "{tools:?}"
    );
    assert!(
        tools.iter().all(|tool| tool.get("outputSchema").is_none()),
        "{tools:?}"
    );
    let answer = channel.call("a.add", json!({"a": 20, "b": 22})).await;
    assert_eq!(text(&answer), "42", "{answer}");
    assert!(
        answer["result"].get("resultType").is_none(),
        "r29: {answer}"
    );
    let answer = channel
        .request("resources/read", json!({"uri": "a+memo://hello"}))
        .await;
    assert_eq!(
        answer["result"]["contents"][0]["text"], "text of memo://hello",
        "{answer}"
    );
    let answer = channel
        .request("resources/read", json!({"uri": "a+memo://no"}))
        .await;
    assert_eq!(answer["error"]["code"], -32002, "{answer}");
    let greet = json!({"name": "a.greet", "arguments": {"who": "you"}});
    let answer = channel.request("prompts/get", greet).await;
    let greeting = &answer["result"]["messages"][0]["content"]["text"];
    assert_eq!(greeting, "Hello, you! (greet)", "{answer}");
    // R4, R3: unknown methods are answered on the stream.
    for method in ["no/such", "server/discover", "tasks/get"] {
        let answer = channel.request(method, json!({})).await;
        assert_eq!(answer["error"]["code"], -32601, "{answer}");
    }
}

#[tokio::test]
async fn r21_r22_answers_and_progress_come_on_the_stream_of_their_own_client() {
    let scene = Scene::new().await;
    let (mut one, mut two) = (Channel::open(&scene).await, Channel::open(&scene).await);
    assert_ne!(one.endpoint, two.endpoint);
    let params = |say: &str| json!({"name": "a.echo", "arguments": {"text": say}});
    // The same ids on both, and both before either is read.
    let first = one.send("tools/call", params("one")).await;
    let second = two.send("tools/call", params("two")).await;
    assert_eq!(first, second);
    let answer = one
        .events
        .until_response(&first)
        .await
        .pop()
        .expect("an answer");
    assert_eq!(text(&answer), "one");
    let answer = two
        .events
        .until_response(&second)
        .await
        .pop()
        .expect("an answer");
    assert_eq!(text(&answer), "two");

    let call =
        json!({"name": "a.progress", "arguments": {"n": 3}, "_meta": {"progressToken": "t"}});
    let id = one.send("tools/call", call).await;
    let seen = one.events.until_response(&id).await;
    let progress: Vec<_> = seen
        .iter()
        .filter(|m| m["method"] == "notifications/progress")
        .collect();
    assert_eq!(progress.len(), 3, "{seen:?}");
    assert!(
        progress.iter().all(|m| m["params"]["progressToken"] == "t"),
        "{seen:?}"
    );
    assert_eq!(
        text(&two.call("a.echo", json!({"text": "still two"})).await),
        "still two"
    );
}

#[tokio::test]
async fn r25_list_changes_come_once_to_each_client() {
    let scene = Scene::new().await;
    let mut channels = [Channel::open(&scene).await, Channel::open(&scene).await];
    scene.backend().add_tool("new");
    for channel in &mut channels {
        let told = channel.events.message().await;
        assert_eq!(told["method"], "notifications/tools/list_changed", "{told}");
        // Nothing but the answer follows.
        let id = channel.send("ping", json!({})).await;
        assert_eq!(channel.events.until_response(&id).await.len(), 1);
        let tools = channel.request("tools/list", json!({})).await;
        assert!(tools.to_string().contains("a.new"), "{tools}");
    }
}

#[tokio::test]
async fn r40_a_post_url_lives_as_long_as_its_stream_and_cannot_be_guessed() {
    let scene = Scene::new().await;
    let ping = json!({"jsonrpc": "2.0", "id": 1, "method": "ping"}).to_string();
    let channel = Channel::open(&scene).await;
    let id = channel
        .endpoint
        .rsplit('=')
        .next()
        .expect("an id")
        .to_owned();
    assert!(id.len() >= 32, "{id}");
    let session = scene.session("2025-11-25").await;
    let base = channel
        .endpoint
        .split('?')
        .next()
        .expect("a path")
        .to_owned();
    for path in [
        base.clone(),
        format!("{base}?session_id="),
        format!("{base}?session_id={}", &id[1..]),
        format!("{base}?session_id=../.."),
        format!("{base}?session_id={}", session.id()),
    ] {
        let reply = scene.client().post(&path, ping.clone()).await;
        assert_eq!(reply.status, 404, "{path}: {}", reply.text());
    }
    // Nor is it a session of the newer transports.
    let reply = scene
        .client()
        .with("mcp-session-id", &id)
        .post("/mcp", ping.clone())
        .await;
    assert_eq!(reply.status, 404, "{}", reply.text());
    taken(&channel.post(ping.clone()).await);

    let Channel {
        client,
        endpoint,
        events,
        ..
    } = channel;
    drop(events);
    mcp_router_tests::harness::until("the URL is gone", async || {
        client.post(&endpoint, ping.clone()).await.status == 404
    })
    .await;
    scene.works_untouched().await;
}

#[tokio::test]
async fn b01_to_b10_bad_posts_are_refused_at_once_and_the_stream_goes_on() {
    let scene = Scene::new().await;
    let mut channel = Channel::open(&scene).await;
    let call = json!({"name": "a.echo", "arguments": {"text": "bad"}});
    let call =
        json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": call}).to_string();
    for (what, body, code) in [
        ("b1", call[1..].to_owned(), -32700),
        ("b1", format!("{call}x"), -32700),
        ("b2", format!("[{call}]"), -32600),
        ("b3", call.replace("\"bad\"", &"[".repeat(200)), -32700),
        (
            "b4",
            call.replace("\"name\"", "\"name\":\"a.add\",\"name\""),
            -32600,
        ),
        ("b5", call.replace("\"name\"", "\"Name\""), -32600),
        ("b6", call.replace("2.0", "1.0"), -32600),
        ("b7", call.replace("\"id\":1", "\"id\":1.5"), -32600),
    ] {
        let reply = channel.post(body).await;
        assert_eq!(
            (reply.status.as_u16(), reply.code()),
            (400, Some(code)),
            "{what}: {}",
            reply.text()
        );
    }
    let large = channel
        .post(call.replace("bad", &"x".repeat(5 << 20)))
        .await;
    assert_eq!(large.status, 413, "{}", large.text());
    let plain = channel.client.clone().with("content-type", "text/plain");
    assert_eq!(plain.post(&channel.endpoint, call).await.status, 415);
    let picky = scene.client().with("accept", "application/json");
    assert_eq!(picky.get("/sse").await.status, 406);
    assert_eq!(scene.client().post("/sse", "{}").await.status, 405);
    scene.works_untouched().await;
    assert_eq!(
        text(&channel.call("a.echo", json!({"text": "well"})).await),
        "well"
    );
}

#[tokio::test]
async fn b08_r39_an_id_in_flight_is_refused_and_a_cancelled_call_not_answered() {
    let scene = Scene::new().await;
    let log = scene.backend().log();
    let mut channel = Channel::open(&scene).await;
    let sleep = json!({"name": "a.sleep", "arguments": {"ms": 60_000, "nonce": "n"}});
    let id = channel.send("tools/call", sleep.clone()).await;
    log.wait("the call", |log| log.executions("n") == 1).await;
    let again = json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": sleep});
    let reply = channel.post(again.to_string()).await;
    assert_eq!(
        (reply.status.as_u16(), reply.code()),
        (400, Some(-32600)),
        "{}",
        reply.text()
    );
    let cancel =
        json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": id}});
    taken(&channel.post(cancel.to_string()).await);
    log.wait("the end of the call", |log| {
        log.cancelled() + log.abandoned() == 1
    })
    .await;
    // The next thing on the stream is the answer to the next request.
    let ping = channel.send("ping", json!({})).await;
    assert_eq!(channel.events.until_response(&ping).await.len(), 1);
    assert_eq!(log.executions("n"), 1);
}

#[tokio::test]
async fn a_call_before_initialize_is_refused_and_the_end_of_the_stream_ends_its_calls() {
    let scene = Scene::new().await;
    let log = scene.backend().log();
    let mut early = Channel::connect(&scene).await;
    let answer = early.call("a.echo", json!({"text": "bad"})).await;
    assert_eq!(answer["error"]["code"], -32600, "{answer}");
    scene.works_untouched().await;

    let mut channel = Channel::open(&scene).await;
    let sleep = json!({"name": "a.sleep", "arguments": {"ms": 60_000, "nonce": "n"}});
    channel.send("tools/call", sleep).await;
    log.wait("the call", |log| log.executions("n") == 1).await;
    drop(channel);
    log.wait("its end", |log| log.cancelled() + log.abandoned() == 1)
        .await;
    scene.works().await;
}

#[tokio::test]
async fn r31_r35_a_client_of_http_sse_is_asked_on_its_stream_whatever_the_backend_speaks() {
    for (era, backend) in [(Era::Legacy, "legacy"), (Era::Modern, "modern")] {
        let scene = Scene::with("", Fixture::builder().era(era).asking()).await;
        let able = json!({"sampling": {}, "roots": {}});
        let mut channel = Channel::open_with(&scene, able).await;
        for (tool, method) in [
            ("ask_sampling", "sampling/createMessage"),
            ("ask_roots", "roots/list"),
        ] {
            let nonce = format!("{backend} {tool}");
            let arguments = json!({ "nonce": nonce });
            let (asked, answer) = channel.talk(&format!("a.{tool}"), arguments).await;
            assert_eq!(asked.len(), 1, "{nonce}: {answer}");
            assert_eq!(asked[0]["method"], method);
            let says: Value = serde_json::from_str(text(&answer)).expect("JSON");
            assert_eq!(says["answers"], json!([agreeable(&asked[0])]), "{answer}");
            assert_eq!(scene.backend().log().executions(&nonce), 1);
        }
        // Its revision has no elicitation.
        let (asked, answer) = channel.talk("a.ask_elicit", json!({"nonce": "n"})).await;
        assert_eq!(asked.len(), 0);
        let refused = answer.get("error").is_some() || answer["result"]["isError"] == true;
        assert!(refused, "{answer}");
    }
}
