//! Real processes: shell scripts that speak just enough of the protocol.

use std::path::Path;
use std::time::Duration;

use futures::{FutureExt, StreamExt};
use mcp_router_protocol::{ItemKind, RawParams, code};
use mcp_router_service::{BackendEvent, Event, EventStream, McpResponse, Outcome, Reason, Sent};
use tower::ServiceExt;

use super::*;
use crate::client::BackoffParams;

mod asks;
mod life;
mod own;

/// Answers what it is asked; `$l` is the line, `$i` its id.
const PRELUDE: &str = r#"
say() { printf '%s\n' "$1"; }
ok() { say '{"jsonrpc":"2.0","id":'"$i"',"result":'"$1"'}'; }
fail() { say '{"jsonrpc":"2.0","id":'"$i"',"error":{"code":'"$1"',"message":"no"}}'; }
hello() { ok '{"protocolVersion":"2025-06-18","capabilities":{"tools":{"listChanged":true}},"serverInfo":{"name":"sh"}}'; }
text() { ok '{"content":[{"type":"text","text":"'"$1"'"}]}'; }
note() { say '{"jsonrpc":"2.0","method":"notifications/message","params":{"data":"'"$1"'"}}'; }
each() { while IFS= read -r l; do i=${l#*\"id\":}; i=${i%%,*}; i=${i%%\}*}; "$@"; done; }
"#;

/// A server of the legacy era whose tool is the shell function `tool`.
const LEGACY: &str = r#"
serve() { case "$l" in
  *server/discover*) fail -32601;; *\"initialize\"*) hello;; *tools/call*) tool;; *cancelled*) note cancelled;; esac; }
each serve
"#;

fn params(script: &str) -> ChildParams {
    let mut params = ChildParams::new("sh".parse().unwrap(), "sh");
    params.args = vec!["-c".to_owned(), format!("{PRELUDE}\n{script}")];
    params.probe_timeout = Duration::from_millis(300);
    params.stop_timeout = Duration::from_millis(200);
    params.backoff = BackoffParams::RECONNECT
        .starting(Duration::from_millis(20))
        .capped(Duration::from_millis(50));
    params
}

fn start(script: &str) -> Connected {
    child(params(script))
}

fn legacy(tool: &str) -> Connected {
    start(&format!("tool() {{ {tool}; }}\n{LEGACY}"))
}

fn request(arguments: &str) -> McpRequest {
    let text = format!(r#"{{"name":"t","arguments":{arguments}}}"#);
    McpRequest::new(
        Method::ToolsCall,
        RawParams::parse(Some(text.into())).unwrap(),
    )
}

async fn call(edge: &Connected) -> Result<Outcome, CallError> {
    let answer = edge.service.clone().oneshot(request("{}")).await?;
    answer.outcome().await
}

/// The text of the answer to one call.
async fn said(edge: &Connected) -> String {
    match call(edge).await {
        Ok(Outcome::Complete(result)) => {
            let content: Vec<serde_json::Value> =
                result.get("content").unwrap().read_owned().unwrap();
            content[0]["text"].as_str().unwrap().to_owned()
        }
        other => panic!("{other:?}"),
    }
}

/// What the child says next with `note`.
async fn noted(events: &mut EventStream) -> String {
    match events.next().await {
        Some(BackendEvent::Notification {
            method: Method::LogMessage,
            params,
            ..
        }) => params.get("data").unwrap().read_owned().unwrap(),
        other => panic!("{other:?}"),
    }
}

async fn connected(events: &mut EventStream) -> mcp_router_service::BackendInfo {
    loop {
        match events.next().await.unwrap() {
            BackendEvent::Connected(info) => return info,
            other => eprintln!("{other:?}"),
        }
    }
}

async fn lost(events: &mut EventStream) -> CallError {
    loop {
        if let BackendEvent::Lost { error, .. } = events.next().await.unwrap() {
            return error;
        }
    }
}

/// Resolves once the process is gone or a zombie that nobody of ours has to reap.
async fn gone(pid: &str) {
    let stat = Path::new("/proc").join(pid).join("stat");
    loop {
        match std::fs::read_to_string(&stat) {
            Ok(text) if !text.contains(") Z ") => tokio::task::yield_now().await,
            _ => return,
        }
    }
}

async fn within<T>(time: Duration, future: impl Future<Output = T>) -> T {
    tokio::time::timeout(time, future).await.expect("in time")
}

const SOON: Duration = Duration::from_secs(5);

#[tokio::test]
async fn r46_the_era_is_recognized_by_answer_error_silence_and_death() {
    let modern = r#"serve() { case "$l" in *server/discover*) ok '{"supportedVersions":["2026-07-28"],"capabilities":{"tools":{}}}';; *tools/call*) text modern;; esac; }
        each serve"#;
    let legacy = |probe: &str| {
        format!(
            r#"tool() {{ text legacy; }}; serve() {{ case "$l" in *server/discover*) {probe};; *\"initialize\"*) hello;; *tools/call*) tool;; esac; }}; each serve"#
        )
    };
    for (script, hop) in [
        (modern.to_owned(), "2026-07-28 stdio"),
        (legacy("fail -32601"), "2025-06-18 stdio"),
        (legacy("fail 0"), "2025-06-18 stdio"),
        (legacy("ok '{}'"), "2025-06-18 stdio"),
        (legacy(":"), "2025-06-18 stdio"),
        (legacy("exit 1"), "2025-06-18 stdio"),
    ] {
        let mut edge = start(&script);
        let info = within(SOON, connected(&mut edge.events)).await;
        assert_eq!(info.hop, hop, "{script}");
        assert!(info.can("tools"));
        let era = if hop.starts_with("2026") {
            "modern"
        } else {
            "legacy"
        };
        assert_eq!(said(&edge).await, era);
        (edge.close)().await;
    }
}

#[tokio::test]
async fn r46_a_modern_server_that_dies_of_nothing_else_is_asked_again_after_a_failed_initialize() {
    // It misses the first question while it starts, and refuses `initialize`.
    let script = r#"n=0; serve() { case "$l" in
        *server/discover*) n=$((n+1)); if [ $n -gt 1 ]; then ok '{"supportedVersions":["2026-07-28"],"capabilities":{}}'; fi;;
        *\"initialize\"*) fail -32601;; esac; }; each serve"#;
    let mut edge = start(script);
    let info = within(SOON, connected(&mut edge.events)).await;
    assert_eq!(info.hop, "2026-07-28 stdio");
    (edge.close)().await;
}

#[tokio::test]
async fn f26_a_crash_fails_the_call_at_once_as_unknown_and_the_child_comes_back() {
    let mut edge = legacy("exit 3");
    within(SOON, connected(&mut edge.events)).await;
    let error = within(Duration::from_secs(1), call(&edge))
        .await
        .unwrap_err();
    assert_eq!(
        (error.reason, error.sent),
        (Reason::BackendLost, Sent::Unknown)
    );
    assert_eq!(error.backend.unwrap().as_str(), "sh");
    let error = within(SOON, lost(&mut edge.events)).await;
    assert_eq!(error.detail.as_deref(), Some("exit status: 3"));
    within(SOON, connected(&mut edge.events)).await;
    (edge.close)().await;
}

#[tokio::test]
async fn f26_an_answer_written_just_before_the_end_is_still_an_answer() {
    let mut edge = legacy("text last; exit 0");
    within(SOON, connected(&mut edge.events)).await;
    assert_eq!(said(&edge).await, "last");
    (edge.close)().await;
}

#[tokio::test]
async fn a_call_without_a_process_fails_at_once_and_was_not_sent() {
    let mut params = params("");
    params.command = "/nonexistent/program".to_owned();
    params.backoff = BackoffParams::RECONNECT.starting(SOON * 10);
    let mut edge = child(params);
    within(SOON, lost(&mut edge.events)).await;
    let error = within(Duration::from_secs(1), call(&edge))
        .await
        .unwrap_err();
    assert_eq!(
        (error.reason, error.sent),
        (Reason::ConnectFailed, Sent::No)
    );
    (edge.close)().await;
}

#[tokio::test]
async fn f28_noise_between_messages_is_skipped() {
    let edge =
        legacy(r#"say 'Loading model...'; say '{"broken'; say ''; printf '\377\n'; text fine"#);
    assert_eq!(within(SOON, said(&edge)).await, "fine");
    (edge.close)().await;
}

#[tokio::test]
async fn f29_a_flood_on_standard_error_disturbs_no_call() {
    let edge = legacy(r#"yes "$l" | head -c 20000000 >&2; text fine"#);
    assert_eq!(within(4 * SOON, said(&edge)).await, "fine");
    (edge.close)().await;
}

#[tokio::test]
async fn f30_a_child_that_stops_reading_is_started_again_after_two_calls_in_a_row() {
    let mut edge = legacy("while :; do sleep 60; done");
    within(SOON, connected(&mut edge.events)).await;
    let big = format!("\"{}\"", "x".repeat(200_000));
    // The first is read; the second fits into no pipe, so its line is stuck; the third waits
    // behind it.
    for _ in 0..3 {
        let answer = edge.service.clone().oneshot(request(&big));
        let patience = Duration::from_millis(1200);
        assert!(tokio::time::timeout(patience, answer).await.is_err());
    }
    let error = within(SOON, lost(&mut edge.events)).await;
    assert_eq!(error.reason, Reason::Timeout);
    within(SOON, connected(&mut edge.events)).await;
    (edge.close)().await;
}

#[tokio::test]
async fn r54_a_line_over_the_limit_ends_the_child() {
    let mut params = params(&format!(
        "tool() {{ head -c 5000 /dev/zero | tr '\\0' x; sleep 9; }}\n{LEGACY}"
    ));
    params.line_limit = 4096;
    let mut edge = child(params);
    within(SOON, connected(&mut edge.events)).await;
    let error = within(SOON, call(&edge)).await.unwrap_err();
    assert_eq!(
        (error.reason, error.sent),
        (Reason::TooLarge, Sent::Unknown)
    );
    (edge.close)().await;
}

#[tokio::test]
async fn r47_f31_a_child_that_ignores_everything_is_killed() {
    let mut edge = legacy(r#"trap '' TERM; text $$; while :; do sleep 60; done"#);
    within(SOON, connected(&mut edge.events)).await;
    let pid = said(&edge).await;
    (within(SOON, (edge.close)())).await;
    within(SOON, gone(&pid)).await;
}

#[tokio::test]
async fn r47_a_child_that_ends_with_its_input_is_not_signalled() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let path = file.path().display();
    let mut edge = start(&format!(
        "trap 'echo TERM >> {path}' TERM; tool() {{ text x; }}\n{LEGACY}\necho end >> {path}"
    ));
    within(SOON, connected(&mut edge.events)).await;
    within(SOON, (edge.close)()).await;
    assert_eq!(std::fs::read_to_string(file.path()).unwrap(), "end\n");
}

#[tokio::test]
async fn f32_grandchildren_end_with_the_child_and_with_its_crash() {
    for last in ["", "; exit 1"] {
        let mut edge = legacy(&format!(
            "sleep 1000 >/dev/null 2>&1 </dev/null & text $!{last}"
        ));
        within(SOON, connected(&mut edge.events)).await;
        let pid = said(&edge).await;
        if last.is_empty() {
            (edge.close)().await;
        }
        within(SOON, gone(&pid)).await;
    }
}

#[tokio::test]
async fn dropping_the_edge_ends_the_process() {
    let mut edge = legacy("text $$");
    within(SOON, connected(&mut edge.events)).await;
    let pid = said(&edge).await;
    drop(edge);
    within(SOON, gone(&pid)).await;
}

#[tokio::test]
async fn the_environment_is_clean_but_for_what_is_configured() {
    let script =
        format!("tool() {{ text \"$GIVEN/${{CARGO_PKG_NAME-none}}/${{PATH:+path}}\"; }}\n{LEGACY}");
    let mut params = params(&script);
    params.env = vec![("GIVEN".to_owned(), "given".to_owned().into())];
    assert!(std::env::var_os("CARGO_PKG_NAME").is_some());
    let edge = child(params);
    assert_eq!(within(SOON, said(&edge)).await, "given/none/path");
    (edge.close)().await;
}

#[tokio::test]
async fn leaving_a_call_cancels_it_by_its_upstream_id() {
    let mut edge = legacy("note called");
    within(SOON, connected(&mut edge.events)).await;
    let service = edge.service.clone();
    let mut answer = Box::pin(service.oneshot(request("{}")));
    assert!((&mut answer).now_or_never().is_none());
    // Until the child has it there is nothing to cancel.
    assert_eq!(within(SOON, noted(&mut edge.events)).await, "called");
    drop(answer);
    assert_eq!(within(SOON, noted(&mut edge.events)).await, "cancelled");
    (edge.close)().await;
}

#[tokio::test]
async fn r22_progress_streams_before_the_answer_when_it_is_wanted() {
    let tool = r#"say '{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":'$i',"progress":1}}'; text done"#;
    let edge = legacy(tool);
    for wanted in [true, false] {
        let mut request = request("{}");
        request.context.wants_progress = wanted;
        let answer = within(SOON, edge.service.clone().oneshot(request))
            .await
            .unwrap();
        match answer {
            McpResponse::Stream(stream) if wanted => {
                let events: Vec<_> = stream.map(Result::unwrap).collect().await;
                assert!(matches!(
                    events[..],
                    [Event::Notification { .. }, Event::Outcome(_)]
                ));
            }
            McpResponse::Ready(Outcome::Complete(_)) if !wanted => {}
            other => panic!("{other:?}"),
        }
    }
    (edge.close)().await;
}

#[tokio::test]
async fn list_changes_and_errors_pass_and_discover_is_answered_for_a_legacy_child() {
    let mut edge = start(&format!(
        "tool() {{ say '{{\"jsonrpc\":\"2.0\",\"method\":\"notifications/tools/list_changed\"}}'; fail -32602; }}\n{}",
        LEGACY.replace("*tools/call*)", "*\\\"ping\\\"*) ok '{}';; *tools/call*)")
    ));
    within(SOON, connected(&mut edge.events)).await;
    let Ok(Outcome::Error(error)) = call(&edge).await else {
        panic!()
    };
    assert_eq!(error.code(), code::INVALID_PARAMS);
    let changed = within(SOON, edge.events.next()).await;
    assert!(matches!(
        changed,
        Some(BackendEvent::Changed(ItemKind::Tool))
    ));
    let discover = McpRequest::new(Method::Discover, RawParams::default());
    let answer = within(SOON, edge.service.clone().oneshot(discover))
        .await
        .unwrap();
    let McpResponse::Ready(Outcome::Complete(result)) = answer else {
        panic!()
    };
    assert!(result.get("capabilities").unwrap().get("tools").is_some());
    (edge.close)().await;
}

#[tokio::test]
async fn a_loss_is_told_while_what_is_left_of_the_process_is_still_being_ended() {
    let mut params = params(&format!(
        "trap '' TERM; tool() {{ exec >&-; while :; do sleep 60; done; }}\n{LEGACY}"
    ));
    params.stop_timeout = SOON * 10;
    let mut edge = child(params);
    within(SOON, connected(&mut edge.events)).await;
    let error = within(SOON, call(&edge)).await.unwrap_err();
    assert_eq!(
        (error.reason, error.sent),
        (Reason::BackendLost, Sent::Unknown)
    );
    let error = within(SOON, lost(&mut edge.events)).await;
    assert_eq!(error.detail.as_deref(), Some("closed its output"));
}
