//! Cancellation: whoever gives up a call, however it says so, the backend hears of it in its own
//! way, under the id that it knows.

use mcp_router_tests::fixture::{Era, Fixture, FixtureBuilder, RequestLog};
use mcp_router_tests::harness::{
    ChildLog, ModernClient, Router, StdioRouter, child_entry, config, modern_params, until,
};
use serde_json::{Value, json};

const L4: &str = "2025-11-25";

/// What reached a backend.
enum Seen {
    Server(Fixture),
    Child(ChildLog),
}

struct Backend {
    kind: &'static str,
    file: String,
    seen: Seen,
    /// Told by a message; otherwise by closing the stream.
    told: bool,
}

async fn server(kind: &'static str, fixture: FixtureBuilder, told: bool) -> Backend {
    let fixture = fixture.spawn().await;
    let file = config([("a", fixture.url())]);
    let seen = Seen::Server(fixture);
    Backend {
        kind,
        file,
        seen,
        told,
    }
}

fn process(kind: &'static str, era: &str) -> Backend {
    let log = ChildLog::new();
    let path = log.path();
    let entry = child_entry("a", &["--era", era, "--log-file", &path]);
    Backend {
        kind,
        file: format!("backends:\n{entry}"),
        seen: Seen::Child(log),
        told: true,
    }
}

async fn backends() -> Vec<Backend> {
    let of = |era| Fixture::builder().era(era);
    vec![
        server("modern", of(Era::Modern), false).await,
        server("legacy", of(Era::Legacy), true).await,
        server("stateless", of(Era::Legacy).sessions(false), true).await,
        server("http+sse", Fixture::builder().http_sse(), true).await,
        process("modern child", "modern"),
        process("legacy child", "legacy"),
    ]
}

impl Backend {
    fn received(&self, method: &str) -> Vec<Value> {
        match &self.seen {
            Seen::Server(fixture) => {
                let log: RequestLog = fixture.log();
                log.of(method).iter().map(|r| r.json()).collect()
            }
            Seen::Child(log) => log.received(method),
        }
    }

    /// The id of the call with this nonce, once it is there.
    async fn call(&self, nonce: &str) -> Value {
        let mut id = Value::Null;
        until("the call", async || {
            let calls = self.received("tools/call");
            let call = calls
                .iter()
                .find(|c| c["params"]["arguments"]["nonce"] == nonce);
            id = call.map_or(Value::Null, |call| call["id"].clone());
            !id.is_null()
        })
        .await;
        id
    }

    /// Waits until the backend knows that the call with this id is of no interest any more, the
    /// `count`th so far; and nothing else was cancelled.
    async fn hears(&self, id: &Value, count: usize, client: &str) {
        let what = format!("{client}'s call ends at {}", self.kind);
        if let (false, Seen::Server(fixture)) = (self.told, &self.seen) {
            until(&what, async || fixture.log().abandoned() == count as u64).await;
            assert!(self.received("notifications/cancelled").is_empty());
            return;
        }
        let mut told = Vec::new();
        until(&what, async || {
            told = self.received("notifications/cancelled");
            told.len() >= count
        })
        .await;
        assert_eq!(told.len(), count, "{what}: {told:?}");
        assert_eq!(told[count - 1]["params"]["requestId"], *id, "{what}");
        let greeting = self.received("initialize");
        assert!(greeting.iter().all(|g| g["id"] != *id), "{what}");
    }
}

fn sleep(nonce: &str) -> Value {
    json!({"name": "a.sleep", "arguments": {"ms": 60_000, "nonce": nonce}})
}

#[tokio::test]
async fn r38_r39_clients_over_http_cancel_at_every_backend() {
    for backend in backends().await {
        let router = Router::start(&backend.file).await;
        router.until_ready().await;
        let session = router.legacy_session(L4).await;
        let request =
            json!({"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": sleep("legacy")});
        let running = session.client().post("/mcp", request.to_string());
        let cancel = async {
            let id = backend.call("legacy").await;
            // A cancellation of something else changes nothing.
            session
                .notify("notifications/cancelled", json!({"requestId": "7"}))
                .await;
            session
                .notify("notifications/cancelled", json!({"requestId": 7}))
                .await;
            backend.hears(&id, 1, "a session").await;
        };
        let (reply, ()) = tokio::join!(running, cancel);
        assert!(!reply.text().contains("\"id\":7"), "{}", backend.kind);

        let modern: ModernClient = router.modern();
        let running =
            tokio::spawn(async move { modern.request("tools/call", sleep("gone")).await });
        let id = backend.call("gone").await;
        running.abort();
        backend.hears(&id, 2, "a stateless client").await;
        let works = router.modern().call("a.echo", json!({"text": "x"})).await;
        assert!(works["result"].is_object(), "{}: {works}", backend.kind);
    }
}

#[tokio::test]
async fn r39_clients_on_a_pipe_cancel_at_every_backend() {
    for backend in backends().await {
        let mut router = StdioRouter::start(&backend.file);
        router.initialize(L4).await;
        router.request("tools/list", json!({})).await;
        let calls = [
            sleep("legacy"),
            modern_params(sleep("stateless"), &json!({})),
        ];
        for (count, params) in (1..).zip(calls) {
            let nonce = params["arguments"]["nonce"]
                .as_str()
                .expect("it has one")
                .to_owned();
            let own = router.post("tools/call", params).await;
            let id = backend.call(&nonce).await;
            router
                .notify("notifications/cancelled", json!({"requestId": own}))
                .await;
            backend.hears(&id, count, &nonce).await;
            // The next answer is that of the next request: the cancelled one has none.
            let next = router.post("ping", json!({})).await;
            let answer = router.reply().await;
            assert_eq!(answer["id"], next, "{}: {answer}", backend.kind);
        }
    }
}
