//! Calls that are more than a request and its result.

use std::time::Duration;

use rmcp::model::{
    CallToolRequestParams, ClientRequest, ProgressNotificationParam, ProgressToken, Request,
    ServerResult,
};
use rmcp::service::PeerRequestOptions;
use serde_json::{Value, json};

use crate::{Session, Single, failure, params, refused};

/// A call whose progress is part of the answer.
pub(crate) async fn with_progress(session: &Session, op: &Single) -> Result<Value, Value> {
    let handle = begin(session, params(op)?).await?;
    let token = handle.progress_token.clone();
    let answer = handle.await_response().await.map_err(|e| refused(&e))?;
    let ServerResult::CallToolResult(result) = answer else {
        return Err(failure(0, "not the result of a tool call"));
    };
    let expected = op.params["arguments"]["to"].as_u64().unwrap_or(0);
    // The answer overtakes what the handler's tasks still do with earlier notifications.
    let mut heard = session.service().heard.subscribe();
    let all = heard.wait_for(|heard| steps(&heard.progress, &token).len() as u64 >= expected);
    // Fewer are the judge's business.
    let _ = tokio::time::timeout(Duration::from_secs(5), all).await;
    let mut steps = steps(&session.service().heard.borrow().progress, &token);
    // Each notification has its own task here: their order says nothing.
    steps.sort_by(f64::total_cmp);
    Ok(json!({ "result": result, "progress": steps }))
}

/// A call that is cancelled at its first progress.
pub(crate) async fn abandoned(session: &Session, op: &Single) -> Result<Value, Value> {
    let handle = begin(session, params(op)?).await?;
    let token = handle.progress_token.clone();
    let mut heard = session.service().heard.subscribe();
    let began = heard.wait_for(|heard| !steps(&heard.progress, &token).is_empty());
    if tokio::time::timeout(Duration::from_secs(20), began)
        .await
        .is_err()
    {
        return Err(failure(0, "no progress within 20 s"));
    }
    let cancelled = handle.cancel(Some("enough".to_owned())).await;
    cancelled.map_err(|e| refused(&e))?;
    Ok(json!({"result": {"cancelled": true}}))
}

type Handle = rmcp::service::RequestHandle<rmcp::RoleClient>;

async fn begin(session: &Session, call: CallToolRequestParams) -> Result<Handle, Value> {
    let request = ClientRequest::CallToolRequest(Request::new(call));
    let sent = session.send_cancellable_request(request, PeerRequestOptions::no_options());
    sent.await.map_err(|e| refused(&e))
}

fn steps(heard: &[ProgressNotificationParam], token: &ProgressToken) -> Vec<f64> {
    let mine = heard.iter().filter(|p| p.progress_token == *token);
    mine.map(|p| p.progress).collect()
}

/// The tools, once it was heard that they changed and `wanted` is among them. They are asked for after
/// each such word and at no other time. `known` is how often it had been heard before.
pub(crate) async fn grown(session: &Session, wanted: &str, known: u64) -> Result<Value, Value> {
    let mut known = known;
    loop {
        let Some(more) = session.service().changes_beyond(known).await else {
            return Err(failure(
                0,
                format!("no word of a change that brings {wanted}"),
            ));
        };
        known = more;
        let tools = session.list_all_tools().await.map_err(|e| refused(&e))?;
        if tools.iter().any(|tool| tool.name == wanted) {
            return Ok(json!({"result": {"grown": wanted}}));
        }
    }
}
