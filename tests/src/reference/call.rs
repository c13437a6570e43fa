//! What a tool or prompt sees of the call it serves, the same in both eras.

use std::sync::Arc;

use futures::future::try_join_all;
use serde_json::{Map, Value, json};

use super::events::{Out, Outs, Stop, notification};
use super::server::{ANSWER, Server};
use super::session::{Session, severity};
use super::tasks::Task;

/// One call in progress.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) server: Arc<Server>,
    pub(super) arguments: Value,
    pub(super) meta: Value,
    pub(super) out: Outs,
    pub(super) client: Client,
}

/// Who calls.
#[derive(Debug)]
pub(super) enum Client {
    Legacy(Arc<Session>),
    Modern(Round),
    /// A modern client that looks at the task when it likes.
    Task(Arc<Task>),
}

/// What came with this round of a call in the modern era.
#[derive(Debug)]
pub(super) struct Round {
    pub(super) capabilities: Value,
    /// The answers given in this round and in all before it.
    pub(super) answers: Map<String, Value>,
}

/// One thing wanted from the client.
#[derive(Debug)]
pub(super) struct Question {
    pub(super) key: &'static str,
    pub(super) method: &'static str,
    pub(super) params: Value,
}

impl Question {
    /// The capability without which the client cannot answer.
    fn needs(&self) -> &'static str {
        match self.method {
            "sampling/createMessage" => "sampling",
            "roots/list" => "roots",
            _ => "elicitation",
        }
    }
}

impl Call {
    pub(super) fn argument(&self, name: &str) -> &str {
        self.arguments[name].as_str().unwrap_or_default()
    }

    /// Whether the client declared a capability.
    pub(super) fn can(&self, capability: &str) -> bool {
        self.capabilities().get(capability).is_some()
    }

    pub(super) fn capabilities(&self) -> Value {
        match &self.client {
            Client::Legacy(session) => session.capabilities(),
            Client::Modern(round) => round.capabilities.clone(),
            Client::Task(task) => task.capabilities().clone(),
        }
    }

    /// Asks the client, if it declared that it can answer.
    pub(super) async fn ask(&self, questions: Vec<Question>) -> Result<Vec<Value>, Stop> {
        if let Some(missing) = questions.iter().map(Question::needs).find(|c| !self.can(c)) {
            return Err(match &self.client {
                Client::Legacy(_) => Stop::Refused(format!("the client has no {missing}")),
                Client::Modern(_) | Client::Task(_) => Stop::Error {
                    code: -32021,
                    text: format!("This needs the client capability {missing}"),
                    data: Some(json!({"requiredCapabilities": {missing: {}}})),
                },
            });
        }
        self.ask_anyway(questions).await
    }

    /// Asks the client as many servers do: without a look at what it declared. A modern client cannot be
    /// asked like that.
    pub(super) async fn ask_anyway(&self, questions: Vec<Question>) -> Result<Vec<Value>, Stop> {
        match &self.client {
            Client::Legacy(session) => self.send(session, questions).await,
            Client::Modern(round) => self.look_up(round, questions),
            Client::Task(task) => task.ask(questions).await,
        }
    }

    /// All requests at once, then all answers.
    async fn send(&self, session: &Session, questions: Vec<Question>) -> Result<Vec<Value>, Stop> {
        let mut waiting = Vec::new();
        for question in questions {
            let (request, answered) = session.ask(question.method, &question.params);
            self.say(request);
            waiting.push(async move {
                let answer = tokio::time::timeout(ANSWER, answered).await;
                let Ok(Ok(mut answer)) = answer else {
                    return Err(Stop::Refused("the client did not answer".to_owned()));
                };
                match answer.get_mut("result") {
                    Some(result) => Ok(result.take()),
                    None => Err(Stop::Refused(answer["error"]["message"].to_string())),
                }
            });
        }
        try_join_all(waiting).await
    }

    /// The answers that came with the call, or the end of this round.
    fn look_up(&self, round: &Round, questions: Vec<Question>) -> Result<Vec<Value>, Stop> {
        let answer = |q: &Question| round.answers.get(q.key).filter(|a| a.is_object()).cloned();
        let found: Option<Vec<Value>> = questions.iter().map(answer).collect();
        if let Some(found) = found {
            return Ok(found);
        }
        let missing: Map<String, Value> = questions
            .into_iter()
            .filter(|q| answer(q).is_none())
            .map(|q| {
                (
                    q.key.to_owned(),
                    json!({"method": q.method, "params": q.params}),
                )
            })
            .collect();
        Err(Stop::Input(json!({
            "resultType": "input_required",
            "inputRequests": missing,
            "requestState": self.server.keep(round.answers.clone()),
        })))
    }

    /// Tells how far it is, if the client wants to know.
    pub(super) fn progress(&self, progress: u32, total: u32) {
        let token = &self.meta["progressToken"];
        if !token.is_null() {
            let params = json!({"progressToken": token, "progress": progress, "total": total});
            self.say(notification("notifications/progress", params));
        }
    }

    /// Writes to the client's log, if it wants this level.
    pub(super) fn log(&self, level: &str, text: &str) {
        let least = match &self.client {
            Client::Legacy(session) => Some(session.level()),
            Client::Modern(_) | Client::Task(_) => self.meta["io.modelcontextprotocol/logLevel"]
                .as_str()
                .and_then(severity),
        };
        if least.is_some_and(|least| severity(level) >= Some(least)) {
            let params = json!({"level": level, "logger": "reference", "data": text});
            self.say(notification("notifications/message", params));
        }
    }

    /// Ends the client's stream without an answer, where a client comes back for the rest.
    pub(super) fn pause(&self) {
        let _ = self.out.send(Out::Pause);
    }

    fn say(&self, message: Value) {
        // A client that is gone hears nothing.
        let _ = self.out.send(Out::Message(message));
    }
}
