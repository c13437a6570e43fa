//! An rmcp client, a peer that nobody here wrote, for the interop suite.
//!
//! Reads one job on stdin (where to connect, in which era, what to ask) and prints one report on
//! stdout: what was negotiated, and a result or an error for each request, in order. The other
//! clients of the suite speak the same, so the driver judges all of them by one set of expectations.

use std::process::ExitCode;
use std::time::Duration;

use futures::future::join_all;
use rmcp::model::{
    CallToolRequestParams, ClientRequest, ProgressNotificationParam, ProtocolVersion, Request,
    ServerResult,
};
use rmcp::service::{NotificationContext, PeerRequestOptions, RunningService, ServiceError};
use rmcp::transport::{StreamableHttpClientTransport, TokioChildProcess};
use rmcp::{ClientHandler, ClientLifecycleMode, ClientServiceExt, RoleClient};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::io::AsyncReadExt;
use tokio::sync::watch;

type Failure = Box<dyn std::error::Error + Send + Sync>;

#[derive(Debug, Deserialize)]
struct Job {
    #[serde(default)]
    url: Option<String>,
    #[serde(default)]
    command: Vec<String>,
    era: String,
    ops: Vec<Op>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Op {
    Parallel { parallel: Vec<Single> },
    Single(Single),
}

#[derive(Debug, Deserialize)]
struct Single {
    method: String,
    #[serde(default)]
    params: Value,
    #[serde(default)]
    progress: bool,
}

/// Keeps every progress notification, so that a late or foreign one is seen too.
#[derive(Clone, Debug, Default)]
struct Observer {
    progress: watch::Sender<Vec<ProgressNotificationParam>>,
}

impl ClientHandler for Observer {
    async fn on_progress(
        &self,
        params: ProgressNotificationParam,
        _: NotificationContext<RoleClient>,
    ) {
        self.progress.send_modify(|seen| seen.push(params));
    }
}

type Session = RunningService<RoleClient, Observer>;

fn lifecycle(era: &str) -> Result<ClientLifecycleMode, Failure> {
    let preferred_versions = vec![ProtocolVersion::V_2026_07_28];
    match era {
        "legacy" => Ok(ClientLifecycleMode::Initialize),
        "modern" => Ok(ClientLifecycleMode::Discover { preferred_versions }),
        "auto" => Ok(ClientLifecycleMode::Auto {
            preferred_versions,
            legacy_version: None,
        }),
        other => Err(format!("unknown era `{other}`").into()),
    }
}

async fn connect(job: &Job) -> Result<Session, Failure> {
    let mode = lifecycle(&job.era)?;
    let observer = Observer::default();
    if let Some(url) = &job.url {
        let transport = StreamableHttpClientTransport::from_uri(url.as_str());
        return Ok(observer.serve_with_lifecycle(transport, mode).await?);
    }
    let (program, arguments) = job
        .command
        .split_first()
        .ok_or("a job needs `url` or `command`")?;
    let mut command = tokio::process::Command::new(program);
    command.args(arguments);
    let transport = TokioChildProcess::new(command)?;
    Ok(observer.serve_with_lifecycle(transport, mode).await?)
}

fn params<T: DeserializeOwned>(op: &Single) -> Result<T, Value> {
    serde_json::from_value(op.params.clone()).map_err(|e| failure(-1, e.to_string()))
}

fn failure(code: i32, message: impl Into<String>) -> Value {
    json!({ "error": { "code": code, "message": message.into() } })
}

fn refused(error: &ServiceError) -> Value {
    match error {
        ServiceError::McpError(e) => {
            json!({ "error": { "code": e.code.0, "message": e.message, "data": e.data } })
        }
        other => failure(0, other.to_string()),
    }
}

async fn call_with_progress(session: &Session, op: &Single) -> Result<Value, Value> {
    let call: CallToolRequestParams = params(op)?;
    let request = ClientRequest::CallToolRequest(Request::new(call));
    let handle = session
        .send_cancellable_request(request, PeerRequestOptions::no_options())
        .await
        .map_err(|e| refused(&e))?;
    let token = handle.progress_token.clone();
    let answer = handle.await_response().await.map_err(|e| refused(&e))?;
    let ServerResult::CallToolResult(result) = answer else {
        return Err(failure(0, "not the result of a tool call"));
    };
    let expected = op.params["arguments"]["to"].as_u64().unwrap_or(0);
    let steps_of = |seen: &[ProgressNotificationParam]| -> Vec<f64> {
        let mine = seen.iter().filter(|p| p.progress_token == token);
        mine.map(|p| p.progress).collect()
    };
    // The answer overtakes what the handler's tasks still do with earlier notifications.
    let mut seen = session.service().progress.subscribe();
    let all = seen.wait_for(|seen| steps_of(seen).len() as u64 >= expected);
    let mut steps = match tokio::time::timeout(Duration::from_secs(5), all).await {
        Ok(Ok(seen)) => steps_of(&seen),
        Ok(Err(_)) | Err(_) => steps_of(&session.service().progress.borrow()),
    };
    // Each notification has its own task here: their order says nothing.
    steps.sort_by(f64::total_cmp);
    Ok(json!({ "result": result, "progress": steps }))
}

async fn ask(session: &Session, op: &Single) -> Result<Value, Value> {
    if op.progress {
        return call_with_progress(session, op).await;
    }
    let result = match op.method.as_str() {
        "tools/list" => session
            .list_all_tools()
            .await
            .map(|v| json!({ "tools": v })),
        "prompts/list" => session
            .list_all_prompts()
            .await
            .map(|v| json!({ "prompts": v })),
        "resources/list" => session
            .list_all_resources()
            .await
            .map(|v| json!({ "resources": v })),
        "resources/templates/list" => session
            .list_all_resource_templates()
            .await
            .map(|v| json!({ "resourceTemplates": v })),
        "tools/call" => session.call_tool(params(op)?).await.map(|v| json!(v)),
        "prompts/get" => session.get_prompt(params(op)?).await.map(|v| json!(v)),
        "resources/read" => session.read_resource(params(op)?).await.map(|v| json!(v)),
        "completion/complete" => session.complete(params(op)?).await.map(|v| json!(v)),
        other => return Err(failure(0, format!("this client does not know `{other}`"))),
    };
    match result {
        Ok(result) => Ok(json!({ "result": result })),
        Err(error) => Err(refused(&error)),
    }
}

async fn answer(session: &Session, op: &Single) -> Value {
    match ask(session, op).await {
        Ok(answer) | Err(answer) => answer,
    }
}

#[expect(clippy::print_stdout, reason = "the driver reads the report there")]
async fn run() -> Result<(), Failure> {
    let mut text = String::new();
    tokio::io::stdin().read_to_string(&mut text).await?;
    let job: Job = serde_json::from_str(&text)?;
    let session = connect(&job).await?;
    let mut results = Vec::with_capacity(job.ops.len());
    for op in &job.ops {
        results.push(match op {
            Op::Single(op) => answer(&session, op).await,
            Op::Parallel { parallel } => {
                json!(join_all(parallel.iter().map(|op| answer(&session, op))).await)
            }
        });
    }
    let peer = session
        .peer_info()
        .ok_or("the server introduced itself not at all")?;
    let connect = json!({
        "protocolVersion": peer.protocol_version,
        "capabilities": peer.capabilities,
        "server": peer.server_info.as_ref().map(|s| &s.name),
    });
    println!("{}", json!({ "connect": connect, "results": results }));
    session.cancel().await?;
    Ok(())
}

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
