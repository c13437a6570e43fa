use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, DuplexStream, Lines, duplex};

use super::*;
use crate::server::testing::{Mock, until};

const HELLO: &str = r#"{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-03-26","capabilities":{"roots":{}}}}"#;
const META: &str = r#""_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}"#;

/// A client at the other end of the pipes.
struct Client {
    mock: Mock,
    input: DuplexStream,
    output: Lines<BufReader<DuplexStream>>,
    stop: CancellationToken,
    server: JoinHandle<io::Result<()>>,
}

impl Client {
    fn new() -> Self {
        Self::with(StdioParams::default())
    }

    fn with(params: StdioParams) -> Self {
        let mock = Mock::new();
        let (input, stdin) = duplex(1 << 20);
        let (stdout, output) = duplex(1 << 20);
        let stop = CancellationToken::new();
        let server = tokio::spawn(stdio(mock.service(), params, stdin, stdout, stop.clone()));
        Self {
            mock,
            input,
            output: BufReader::new(output).lines(),
            stop,
            server,
        }
    }

    async fn send(&mut self, text: &str) {
        self.input.write_all(text.as_bytes()).await.unwrap();
        self.input.write_all(b"\n").await.unwrap();
    }

    async fn next(&mut self) -> Option<Value> {
        let line = self.output.next_line().await.unwrap()?;
        Some(serde_json::from_str(&line).unwrap())
    }

    async fn ask(&mut self, text: &str) -> Value {
        self.send(text).await;
        self.next().await.unwrap()
    }
}

fn call(id: &str, tool: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"tools/call","params":{{"name":"{tool}"}}}}"#)
}

fn modern(id: &str, method: &str, members: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"{method}","params":{{{META}{members}}}}}"#)
}

#[tokio::test]
async fn r1_both_eras_share_one_process() {
    let mut client = Client::new();
    let answer = client
        .ask(&modern("1", "tools/call", r#","name":"echo""#))
        .await;
    assert_eq!(answer["result"]["resultType"], "complete");
    let answer = client.ask(&call("1", "echo")).await;
    assert_eq!(
        answer["error"]["code"], -32600,
        "a legacy call needs a session"
    );
    let answer = client.ask(HELLO).await;
    assert_eq!(answer["result"]["protocolVersion"], "2025-03-26");
    let answer = client.ask(&call("\"x\"", "echo")).await;
    assert_eq!(answer["id"], "x");
    assert!(answer["result"].get("resultType").is_none());
    let answer = client
        .ask(&modern("2", "tools/call", r#","name":"echo""#))
        .await;
    assert_eq!(answer["result"]["resultType"], "complete");
    assert_eq!(
        client.ask(HELLO).await["error"]["code"],
        -32600,
        "once is enough"
    );
}

#[tokio::test]
async fn modern_refusals_are_errors_without_headers() {
    let mut client = Client::new();
    for (body, code) in [
        (modern("1", "ping", ""), -32601),
        (modern("1", "initialize", ""), -32601),
        (modern("1", "x/y", ""), -32601),
        (
            modern("1", "tools/list", "").replace("2026-07-28", "2030-01-01"),
            -32022,
        ),
        (
            modern("1", "tools/list", "").replace("clientCapabilities", "x"),
            -32602,
        ),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"server/discover"}"#.into(),
            -32602,
        ),
    ] {
        let answer = client.ask(&body).await;
        assert_eq!(answer["error"]["code"], code, "{body}");
        assert_eq!(answer["id"], 1);
    }
}

#[tokio::test]
async fn b1_bad_lines_are_answered_and_the_conversation_goes_on() {
    let mut client = Client::new();
    for (line, code) in [
        ("{", -32700),
        ("\u{feff}{}", -32700),
        ("[]", -32600),
        ("{\"jsonrpc\":\"2.0\"}", -32600),
    ] {
        let answer = client.ask(line).await;
        assert_eq!(answer["error"]["code"], code, "{line}");
        assert!(answer.get("id").is_none());
    }
    client.send("\r\n  ").await;
    let ping = r#"{"jsonrpc":"2.0","id":9,"method":"ping"}"#;
    assert_eq!(client.ask(&format!("{ping}\r")).await["id"], 9);
}

#[tokio::test]
async fn r11_batches_need_2025_03_26() {
    let batch = format!("[{},{HELLO},{}]", call("1", "echo"), call("2", "echo"));
    let mut client = Client::new();
    assert_eq!(client.ask(&batch).await["error"]["code"], -32600);
    client.ask(HELLO).await;
    client.send(&batch).await;
    let mut ids = Vec::new();
    for _ in 0..3 {
        let answer = client.next().await.unwrap();
        ids.push(answer["id"].to_string());
    }
    ids.sort();
    assert_eq!(ids, ["1", "2", "null"], "`initialize` is refused inside");
}

#[tokio::test(start_paused = true)]
async fn requests_run_side_by_side() {
    let mut client = Client::new();
    client.ask(HELLO).await;
    client.send(&call("1", "later")).await;
    client.send(&call("2", "echo")).await;
    assert_eq!(client.next().await.unwrap()["id"], 2);
    assert_eq!(client.next().await.unwrap()["id"], 1);
}

#[tokio::test]
async fn b8_an_id_in_flight_is_refused_without_harm() {
    let mut client = Client::new();
    client.ask(HELLO).await;
    client.send(&call("1", "hang")).await;
    client.mock.hanging().await;
    let refused = client.ask(&call("1", "echo")).await;
    assert_eq!(refused["error"]["code"], -32600);
    assert!(refused.get("id").is_none(), "it would end the first call");
    assert_eq!(client.mock.dropped(), 0);
}

#[tokio::test]
async fn r39_cancelled_requests_of_either_era_get_no_answer() {
    let mut client = Client::new();
    client.ask(HELLO).await;
    client.send(&call("1", "hang")).await;
    client
        .send(&modern("\"2\"", "tools/call", r#","name":"hang""#))
        .await;
    client.mock.hanging().await;
    client.mock.hanging().await;
    for id in ["1", "\"2\""] {
        let cancel =
            r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":"#;
        client.send(&format!("{cancel}{id}}}}}")).await;
    }
    until(|| client.mock.dropped() >= 2).await;
    assert_eq!(client.ask(&call("3", "echo")).await["id"], 3);
}

#[tokio::test]
async fn a_backend_may_ask_in_the_middle_of_a_legacy_call() {
    let mut client = Client::new();
    client.ask(HELLO).await;
    let ask = client.ask(&call("1", "ask")).await;
    assert_eq!(ask["method"], "roots/list");
    let reply = format!(
        r#"{{"jsonrpc":"2.0","id":{},"result":{{"roots":[]}}}}"#,
        ask["id"]
    );
    let answer = client.ask(&reply).await;
    assert_eq!(answer["result"]["said"]["roots"], serde_json::json!([]));
}

#[tokio::test]
async fn list_changes_reach_both_eras_in_their_own_form() {
    let mut client = Client::new();
    client.ask(HELLO).await;
    let listen = modern(
        "\"s\"",
        "subscriptions/listen",
        r#","notifications":{"toolsListChanged":true}"#,
    );
    let tag = "io.modelcontextprotocol/subscriptionId";
    let first = client.ask(&listen).await;
    assert_eq!(first["method"], "notifications/subscriptions/acknowledged");
    assert_eq!(first["params"]["_meta"][tag], "s");
    client.mock.tools_changed();
    let mut changes = [client.next().await.unwrap(), client.next().await.unwrap()];
    changes.sort_by_key(|c| c.get("params").is_some());
    assert!(
        changes
            .iter()
            .all(|c| c["method"] == "notifications/tools/list_changed")
    );
    assert!(changes[0].get("params").is_none());
    assert_eq!(changes[1]["params"]["_meta"][tag], "s");
}

#[tokio::test]
async fn on_shutdown_a_subscription_gets_its_answer_and_a_cancellation() {
    let mut client = Client::new();
    let listen = modern("5", "subscriptions/listen", r#","notifications":{}"#);
    client.ask(&listen).await;
    client.stop.cancel();
    let answer = client.next().await.unwrap();
    assert_eq!(answer["id"], 5);
    assert_eq!(answer["result"]["resultType"], "complete");
    assert_eq!(
        answer["result"]["_meta"]["io.modelcontextprotocol/subscriptionId"],
        5
    );
    let cancelled = client.next().await.unwrap();
    assert_eq!(cancelled["method"], "notifications/cancelled");
    assert_eq!(cancelled["params"]["requestId"], 5);
    assert_eq!(client.next().await, None);
    client.server.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn f38_on_shutdown_calls_in_flight_finish_and_hanging_ones_are_cancelled() {
    let mut client = Client::new();
    client.ask(HELLO).await;
    client.send(&call("1", "later")).await;
    client.send(&call("2", "hang")).await;
    client.mock.hanging().await;
    let start = tokio::time::Instant::now();
    client.stop.cancel();
    assert_eq!(client.next().await.unwrap()["id"], 1);
    assert_eq!(client.next().await, None);
    client.server.await.unwrap().unwrap();
    assert_eq!(start.elapsed(), Duration::from_secs(13));
    assert_eq!(client.mock.dropped(), 1);
}

#[tokio::test(start_paused = true)]
async fn the_end_of_input_lets_short_calls_finish_and_ends_the_rest() {
    let mut client = Client::with(StdioParams {
        eof_grace: Duration::from_secs(6),
        ..StdioParams::default()
    });
    client.send(HELLO).await;
    client.send(&call("1", "later")).await;
    client.send(&call("2", "hang")).await;
    client.mock.hanging().await;
    client.input.shutdown().await.unwrap();
    assert_eq!(client.next().await.unwrap()["id"], 0);
    assert_eq!(client.next().await.unwrap()["id"], 1);
    assert_eq!(client.next().await, None);
    client.server.await.unwrap().unwrap();
    assert_eq!(client.mock.dropped(), 1);
}

#[tokio::test]
async fn r54_a_line_too_long_is_answered_and_ends_the_conversation() {
    let mut client = Client::with(StdioParams {
        line: 100,
        ..StdioParams::default()
    });
    let answer = client.ask(&"x".repeat(101)).await;
    assert_eq!(answer["error"]["code"], -32600);
    assert_eq!(client.next().await, None);
    client.server.await.unwrap().unwrap();
}

#[tokio::test]
async fn messages_are_lines_whatever_backends_write() {
    let mut client = Client::new();
    client.ask(HELLO).await;
    assert_eq!(client.ask(&call("1", "lines")).await["result"]["a"], "\n");
}

#[tokio::test]
async fn at_the_limit_a_call_is_told_so() {
    let mut client = Client::with(StdioParams {
        in_flight: 1,
        ..StdioParams::default()
    });
    client.ask(HELLO).await;
    client.send(&call("1", "hang")).await;
    client.mock.hanging().await;
    let refused = client.ask(&call("2", "echo")).await;
    let failure = &refused["result"]["_meta"]["mcp-router/failure"];
    assert_eq!(
        (&failure["reason"], &failure["sent"]),
        (&"overloaded".into(), &"no".into())
    );
}
