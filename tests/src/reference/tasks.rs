//! The tasks extension of the modern era: calls that go on after they were answered.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Map, Value, json};
use tokio::sync::oneshot;
use tokio::task::AbortHandle;

use super::call::{Call, Client, Question};
use super::content::says;
use super::events::Stop;
use super::server::{lock, unguessable};

pub(super) const EXTENSION: &str = "io.modelcontextprotocol/tasks";

/// How long a task is kept, and how often to ask for it, in milliseconds.
const KEPT: u32 = 300_000;
const POLL: u32 = 100;
/// Tasks remembered; this server talks to tests.
const TASKS: usize = 1024;

/// The tasks there are.
#[derive(Debug, Default)]
pub(super) struct Tasks(Mutex<HashMap<String, Arc<Task>>>);

/// One task.
#[derive(Debug)]
pub(super) struct Task {
    id: String,
    created: String,
    capabilities: Value,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// How it ended; a working or waiting task has not.
    end: Option<(&'static str, Value)>,
    updated: String,
    asked: Map<String, Value>,
    answers: HashMap<String, oneshot::Sender<Value>>,
    run: Option<AbortHandle>,
}

/// Whether a call of this tool becomes a task, if the client knows tasks.
pub(super) fn is_for(name: &str, arguments: &Value) -> bool {
    match name {
        "slow_compute" => arguments["seconds"].as_f64() > Some(0.0),
        "failing_job"
        | "protocol_error_job"
        | "confirm_delete"
        | "multi_input"
        | "test_tool_with_task" => true,
        _ => false,
    }
}

/// The error for a client that does not know tasks.
pub(super) fn not_known() -> Stop {
    Stop::Error {
        code: -32021,
        text: "This needs the extension for tasks".to_owned(),
        data: Some(json!({"requiredCapabilities": {"extensions": {EXTENSION: {}}}})),
    }
}

/// The result of a tool of this kind; none for another tool.
pub(super) async fn tool(call: &Call, name: &str) -> Option<Result<Value, Stop>> {
    Some(match name {
        "greet" => Ok(says(format!("Hello, {}!", call.argument("name")))),
        "slow_compute" => {
            let seconds = call.arguments["seconds"]
                .as_f64()
                .unwrap_or(0.0)
                .clamp(0.0, 60.0);
            tokio::time::sleep(Duration::from_secs_f64(seconds)).await;
            Ok(says(format!("Computed {}", call.argument("label"))))
        }
        "failing_job" => {
            tokio::time::sleep(Duration::from_millis(300)).await;
            Ok(json!({"content": says("The job failed")["content"], "isError": true}))
        }
        "protocol_error_job" => Err(Stop::error(-32603, "The job broke")),
        "confirm_delete" => ask(call, &["confirm"]).await,
        "multi_input" => ask(call, &["first", "second"]).await,
        "test_tool_with_task" => {
            let answer = call.ask(vec![question("user_name")]).await;
            answer.map(|answers| says(format!("Hello, {}", answers[0]["content"])))
        }
        _ => return None,
    })
}

async fn ask(call: &Call, keys: &[&'static str]) -> Result<Value, Stop> {
    let answers = call
        .ask(keys.iter().map(|key| question(key)).collect())
        .await?;
    Ok(says(format!("Answers: {}", Value::from(answers))))
}

fn question(key: &'static str) -> Question {
    let schema = json!({"type": "object", "properties": {key: {"type": "string"}}});
    Question {
        key,
        method: "elicitation/create",
        params: json!({"message": format!("What about {key}?"), "requestedSchema": schema}),
    }
}

impl Tasks {
    /// Answers a call with a task that runs it.
    pub(super) fn start(&self, mut call: Call, name: &str) -> Value {
        let now = timestamp();
        let task = Arc::new(Task {
            id: unguessable(),
            created: now.clone(),
            capabilities: call.capabilities(),
            state: Mutex::new(State {
                updated: now,
                ..State::default()
            }),
        });
        {
            let mut tasks = lock(&self.0);
            if tasks.len() >= TASKS {
                tasks.retain(|_, task| lock(&task.state).end.is_none());
            }
            tasks.insert(task.id.clone(), task.clone());
        }
        // What the tool asks before it becomes a task has been answered by now.
        if name != "test_tool_with_task" {
            call.client = Client::Task(task.clone());
        }
        let (running, name) = (task.clone(), name.to_owned());
        let run = tokio::spawn(async move {
            let served = tool(&call, &name).await;
            running.end(match served {
                Some(Ok(mut result)) => {
                    result["resultType"] = json!("complete");
                    ("completed", result)
                }
                Some(Err(Stop::Error { code, text, .. })) => {
                    ("failed", json!({"code": code, "message": text}))
                }
                _ => (
                    "failed",
                    json!({"code": -32603, "message": "It could not be run"}),
                ),
            });
        });
        lock(&task.state).run = Some(run.abort_handle());
        let mut created = task.show();
        created["resultType"] = json!("task");
        created
    }

    /// Serves `tasks/get`, `tasks/update` and `tasks/cancel`.
    pub(super) fn serve(
        &self,
        method: &str,
        params: &Value,
        given: Map<String, Value>,
    ) -> Result<Value, Stop> {
        let id = params["taskId"].as_str().unwrap_or_default();
        let task = lock(&self.0).get(id).cloned();
        let task = task.ok_or_else(|| Stop::error(-32602, format!("Unknown task: {id}")))?;
        match method {
            "tasks/get" => return Ok(task.show()),
            "tasks/update" => task.answer(given),
            _ => task.cancel(),
        }
        Ok(json!({}))
    }
}

impl Task {
    pub(super) fn capabilities(&self) -> &Value {
        &self.capabilities
    }

    /// Asks the client, who finds the questions when it looks at the task.
    pub(super) async fn ask(&self, questions: Vec<Question>) -> Result<Vec<Value>, Stop> {
        let mut waiting = Vec::new();
        {
            let mut state = lock(&self.state);
            for question in questions {
                let (answer, answered) = oneshot::channel();
                let request = json!({"method": question.method, "params": question.params});
                state.asked.insert(question.key.to_owned(), request);
                state.answers.insert(question.key.to_owned(), answer);
                waiting.push(answered);
            }
        }
        let mut answers = Vec::new();
        for answered in waiting {
            let answer = answered.await;
            answers.push(answer.map_err(|_| Stop::Refused("the task is over".to_owned()))?);
        }
        Ok(answers)
    }

    fn answer(&self, given: Map<String, Value>) {
        let mut state = lock(&self.state);
        for (key, answer) in given {
            state.asked.remove(&key);
            if let Some(waiting) = state.answers.remove(&key) {
                // Who asked may have been cancelled.
                let _ = waiting.send(answer);
            }
        }
        state.updated = timestamp();
    }

    fn cancel(&self) {
        if let Some(run) = lock(&self.state).run.take() {
            run.abort();
        }
        self.end(("cancelled", Value::Null));
    }

    /// The first end counts.
    fn end(&self, end: (&'static str, Value)) {
        let mut state = lock(&self.state);
        if state.end.is_none() {
            state.end = Some(end);
            state.asked.clear();
            state.answers.clear();
            state.updated = timestamp();
        }
    }

    fn show(&self) -> Value {
        let state = lock(&self.state);
        let mut shown = json!({
            "taskId": self.id,
            "createdAt": self.created,
            "lastUpdatedAt": state.updated,
            "ttlMs": KEPT,
            "pollIntervalMs": POLL,
        });
        let status = match &state.end {
            Some((status @ "completed", result)) => {
                shown["result"] = result.clone();
                status
            }
            Some((status @ "failed", error)) => {
                shown["error"] = error.clone();
                status
            }
            Some((status, _)) => status,
            None if state.asked.is_empty() => "working",
            None => {
                shown["inputRequests"] = Value::Object(state.asked.clone());
                "input_required"
            }
        };
        shown["status"] = json!(status);
        shown
    }
}

/// The present time in ISO 8601.
fn timestamp() -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let seconds = now.map_or(0, |now| now.as_secs());
    let (year, month, day) = date(seconds / 86_400);
    let (hour, minute, second) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

/// The date so many days after 1970-01-01.
fn date(mut days: u64) -> (u64, u64, u64) {
    let is_leap = |year: u64| {
        year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
    };
    let mut year = 1970;
    while days >= 365 + u64::from(is_leap(year)) {
        days -= 365 + u64::from(is_leap(year));
        year += 1;
    }
    let february = 28 + u64::from(is_leap(year));
    let mut month = 1;
    for length in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] {
        if days < length {
            break;
        }
        days -= length;
        month += 1;
    }
    (year, month, days + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_the_calendar() {
        let days = [0, 58, 59, 11_016, 11_017, 20_778];
        let dates = days.map(date);
        let expected = [
            (1970, 1, 1),
            (1970, 2, 28),
            (1970, 3, 1),
            (2000, 2, 29),
            (2000, 3, 1),
            (2026, 11, 21),
        ];
        assert_eq!(dates, expected);
    }
}
