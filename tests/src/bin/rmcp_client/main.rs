//! An rmcp client, a peer that nobody here wrote, for the interop suite.
//!
//! Reads one job on stdin (where to connect, in which era, what to ask) and prints one report on
//! stdout: what was negotiated, and a result or an error for each request, in order. The other
//! clients of the suite speak the same, so the driver judges all of them by one set of expectations.

#![expect(
    deprecated,
    reason = "what is deprecated in the newest revision is spoken in the others"
)]

mod calls;
mod person;

use std::process::ExitCode;

use futures::future::join_all;
use rmcp::model::{
    CallToolRequestParams, LoggingLevel, ProtocolVersion, RequestMetaObject, SetLevelRequestParams,
    SubscribeRequestParams, SubscriptionFilter,
};
use rmcp::service::{RunningService, ServiceError};
use rmcp::transport::{StreamableHttpClientTransport, TokioChildProcess};
use rmcp::{ClientLifecycleMode, ClientServiceExt, RoleClient};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::io::AsyncReadExt;

use self::person::Person;

type Failure = Box<dyn std::error::Error + Send + Sync>;

#[derive(Debug, Deserialize)]
struct Job {
    #[serde(default)]
    url: Option<String>,
    #[serde(default)]
    command: Vec<String>,
    era: String,
    ops: Vec<Op>,
    /// Whether to answer what servers ask.
    #[serde(default)]
    answers: bool,
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
    #[serde(default)]
    abandon: bool,
}

type Session = RunningService<RoleClient, Person>;

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
    let person = Person {
        answers: job.answers,
        ..Person::default()
    };
    if let Some(url) = &job.url {
        let transport = StreamableHttpClientTransport::from_uri(url.as_str());
        return Ok(person.serve_with_lifecycle(transport, mode).await?);
    }
    let (program, arguments) = job
        .command
        .split_first()
        .ok_or("a job needs `url` or `command`")?;
    let mut command = tokio::process::Command::new(program);
    command.args(arguments);
    let transport = TokioChildProcess::new(command)?;
    Ok(person.serve_with_lifecycle(transport, mode).await?)
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

fn modern(session: &Session) -> bool {
    let version = session
        .peer_info()
        .map(|info| info.protocol_version.clone());
    version.is_some_and(|version| version >= ProtocolVersion::V_2026_07_28)
}

/// A call, all of its rounds. Modern requests say the level themselves, so all of these do.
async fn call(session: &Session, op: &Single) -> Result<Value, Value> {
    let mut call: CallToolRequestParams = params(op)?;
    if modern(session) && session.service().answers {
        let mut meta = RequestMetaObject::default();
        meta.set_log_level(LoggingLevel::Info);
        call.meta = Some(meta);
    }
    let result = session.call_tool(call).await.map_err(|e| refused(&e))?;
    Ok(json!({ "result": result }))
}

async fn subscribe(session: &Session, uri: &str) -> Result<Value, Value> {
    let done = if modern(session) {
        let filter = SubscriptionFilter::builder().resource_subscriptions([uri]);
        session
            .service()
            .listen(session.peer(), filter.build())
            .await
    } else {
        session.subscribe(SubscribeRequestParams::new(uri)).await
    };
    done.map_err(|e| refused(&e))?;
    Ok(json!({"result": {}}))
}

/// What the suite asks besides the requests of the protocol, if it is that.
async fn ask_specially(session: &Session, op: &Single) -> Option<Result<Value, Value>> {
    let person = session.service();
    let wanted = op.params["wanted"].as_str().unwrap_or_default();
    Some(match op.method.as_str() {
        _ if op.abandon => calls::abandoned(session, op).await,
        _ if op.progress => calls::with_progress(session, op).await,
        "tools/call" => call(session, op).await,
        "logs" => Ok(json!({"result": person.logs(wanted).await})),
        "updates" => Ok(json!({"result": person.updates(wanted).await})),
        "subscribe" => {
            let uri = op.params["uri"].as_str().unwrap_or_default();
            subscribe(session, uri).await
        }
        "logging/setLevel" if modern(session) => Ok(json!({"result": {}})),
        "listen" if modern(session) => {
            let filter = SubscriptionFilter::builder().tools_list_changed().build();
            let listening = person.listen(session.peer(), filter).await;
            match listening {
                Ok(()) => Ok(json!({"result": {}})),
                Err(error) => Err(refused(&error)),
            }
        }
        "listen" => Ok(json!({"result": {}})),
        "grow" => {
            let known = person.changes();
            match call(session, op).await {
                Ok(_) => calls::grown(session, wanted, known).await,
                Err(error) => Err(error),
            }
        }
        _ => return None,
    })
}

async fn ask(session: &Session, op: &Single) -> Result<Value, Value> {
    if let Some(answer) = ask_specially(session, op).await {
        return answer;
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
        "logging/setLevel" => {
            let level: SetLevelRequestParams = params(op)?;
            session.set_level(level).await.map(|()| json!({}))
        }
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
