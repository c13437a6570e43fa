//! The fixture as a child process, judged without a router: its habits must be as bad as told.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use mcp_router_tests::harness::{alive, fixture_program, modern_params, signal};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

struct Peer {
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: Lines<BufReader<ChildStdout>>,
}

fn start(args: &[&str]) -> Peer {
    let mut child = Command::new(fixture_program())
        .arg("stdio")
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("the fixture starts");
    let stdout = child.stdout.take().expect("piped");
    Peer {
        stdin: child.stdin.take(),
        stdout: BufReader::new(stdout).lines(),
        child,
    }
}

impl Peer {
    async fn send(&mut self, id: u64, method: &str, params: Value) {
        let message = json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params});
        let stdin = self.stdin.as_mut().expect("open");
        let line = format!("{message}\n");
        stdin.write_all(line.as_bytes()).await.expect("written");
    }

    async fn line(&mut self) -> Option<String> {
        self.stdout.next_line().await.expect("UTF-8")
    }

    async fn ask(&mut self, id: u64, method: &str, params: Value) -> Value {
        self.send(id, method, params).await;
        let line = self.line().await.expect("an answer");
        serde_json::from_str(&line).expect("JSON")
    }

    async fn probe(&mut self) {
        let params = modern_params(json!({}), &json!({}));
        self.send(1, "server/discover", params).await;
    }

    async fn end(&mut self) -> Option<i32> {
        self.stdin = None;
        let status = tokio::time::timeout(Duration::from_secs(20), self.child.wait()).await;
        status.expect("it ends").expect("it was waited for").code()
    }
}

fn logged(path: &Path, event: &str) -> Vec<Value> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let lines = text
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok());
    lines
        .filter(|line: &Value| line["event"] == event)
        .collect()
}

#[tokio::test]
async fn both_eras_are_served_and_the_end_of_stdin_is_the_end() {
    let mut peer = start(&["--tool", "x"]);

    let old = peer
        .ask(1, "initialize", json!({"protocolVersion": "2025-06-18"}))
        .await;
    let params = modern_params(
        json!({"name": "add", "arguments": {"a": 1, "b": 1}}),
        &json!({}),
    );
    let new = peer.ask(2, "tools/call", params).await;

    assert_eq!(old["result"]["protocolVersion"], "2025-06-18");
    assert_eq!(new["result"]["resultType"], "complete");
    assert_eq!(new["result"]["content"][0]["text"], "2");
    assert_eq!(peer.end().await, Some(0));
}

#[tokio::test]
async fn a_probe_kills_is_ignored_or_is_answered_with_nothing() {
    let mut dies = start(&["--habit", "die-on-probe"]);
    dies.probe().await;
    assert_eq!(dies.line().await, None);
    assert_eq!(dies.end().await, Some(3));

    let mut empty = start(&["--habit", "empty-probe"]);
    empty.probe().await;
    let line = empty.line().await.expect("an answer");
    assert_eq!(line, r#"{"jsonrpc":"2.0","id":1,"result":{}}"#);

    let mut silent = start(&["--habit", "silent-on-probe"]);
    silent.probe().await;
    // The answer to the second request is the first one to come.
    assert_eq!(silent.ask(2, "ping", json!({})).await["id"], 2);
}

#[tokio::test]
async fn noise_stands_before_every_message() {
    let mut peer = start(&["--habit", "noise"]);
    peer.send(1, "ping", json!({})).await;

    assert_eq!(
        peer.line().await.as_deref(),
        Some("[info] I am a chatty server")
    );
    assert_eq!(peer.line().await.as_deref(), Some(""));
    assert_eq!(
        peer.line().await.as_deref(),
        Some(r#"{"jsonrpc":"2.0","id":1,"result":{}}"#)
    );
}

#[tokio::test]
async fn stderr_is_flooded_without_end() {
    let mut peer = start(&["--habit", "stderr-flood"]);
    let mut stderr = peer.child.stderr.take().expect("piped");
    let mut chunk = vec![0; 4 << 20];

    stderr.read_exact(&mut chunk).await.expect("four mebibytes");

    assert_eq!(peer.ask(1, "ping", json!({})).await["id"], 1);
}

#[tokio::test]
async fn a_stubborn_child_outlives_eof_and_sigterm_and_leaves_a_grandchild() {
    let folder = TempDir::new().expect("a folder");
    let log = folder.path().join("log");
    let path = log.to_str().expect("UTF-8");
    let mut peer = start(&[
        "--habit",
        "ignore-eof",
        "--habit",
        "ignore-sigterm",
        "--habit",
        "grandchild",
        "--log-file",
        path,
    ]);
    peer.ask(1, "ping", json!({})).await;
    let pid = peer.child.id().expect("running");
    let grandchild = logged(&log, "grandchild")[0]["pid"]
        .as_u64()
        .expect("a pid");
    let grandchild = u32::try_from(grandchild).expect("a pid");

    signal(pid, "TERM");
    peer.stdin = None;
    // It would take an eternity to prove; half a second is enough for the default actions.
    let ended = tokio::time::timeout(Duration::from_millis(500), peer.child.wait()).await;

    assert!(ended.is_err());
    assert!(alive(grandchild));
    signal(grandchild, "KILL");
    signal(pid, "KILL");
    assert_eq!(logged(&log, "received")[0]["method"], "ping");
}

#[tokio::test]
async fn a_call_kills_or_deafens_where_told() {
    let call = json!({"name": "once", "arguments": {"nonce": "n"}});
    let mut exits = start(&["--habit", "exit-mid-call"]);
    exits.send(1, "tools/call", call.clone()).await;
    assert_eq!(exits.line().await, None);
    assert_eq!(exits.end().await, Some(4));

    let mut deaf = start(&["--habit", "stop-reading"]);
    assert_eq!(deaf.ask(1, "tools/call", call).await["id"], 1);
    deaf.send(2, "ping", json!({})).await;
    let silence = tokio::time::timeout(Duration::from_millis(300), deaf.line()).await;
    assert!(silence.is_err());
}
