//! Holds what the router sent, by the journals of a run, against the published schemas.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::{self, BufRead as _, BufReader};
use std::path::Path;
use std::sync::Arc;

use serde_json::{Value, json};

use super::journal::{Record, Role};
use crate::fixture::MODERN;
use crate::schema::{Conversation, Sender, enabled, is_stateless};

/// As many complaints are kept; all are counted.
const SHOWN: usize = 50;

/// What was found in all journals.
#[derive(Debug, Default)]
pub(super) struct Findings {
    /// Messages of the router by revision, role and transport.
    checked: BTreeMap<(String, &'static str, &'static str), u64>,
    hops: BTreeMap<String, u64>,
    wrong: Vec<String>,
    wrongs: u64,
}

/// Checks all journals of `folder`.
///
/// # Errors
/// If there is nothing to check by, or a journal cannot be read.
pub(super) fn folder(folder: &Path) -> io::Result<Value> {
    if !enabled() {
        return Err(io::Error::other("MCP_SCHEMA_DIR is not set"));
    }
    let mut findings = Findings::default();
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        paths.push(entry?.path());
    }
    paths.sort();
    for path in paths
        .iter()
        .filter(|p| p.extension() == Some("jsonl".as_ref()))
    {
        let lines = BufReader::new(File::open(path)?).lines();
        let records = lines.map(|line| Ok(serde_json::from_str(&line?)?));
        let records: io::Result<Vec<Record>> = records.collect();
        let records = records.map_err(|e| io::Error::other(format!("{}: {e}", path.display())))?;
        findings.journal(records);
    }
    Ok(findings.report())
}

impl Findings {
    /// Checks one journal.
    pub(super) fn journal(&mut self, records: Vec<Record>) {
        let mut records = records.into_iter();
        let Some(Record::Hop { name, router }) = records.next() else {
            self.complain("", "a journal does not say whose it is");
            return;
        };
        self.hops.entry(name.clone()).or_default();
        let mut reading = Reading {
            findings: self,
            hop: name,
            router,
            keys: HashMap::new(),
            exchanges: HashMap::new(),
            pipe: Talk::default(),
        };
        for record in records {
            reading.take(record);
        }
    }

    /// What the driver reads.
    pub(super) fn report(&self) -> Value {
        let checked = self.checked.iter().map(|((revision, role, transport), n)| {
            json!({"revision": revision, "to": role, "over": transport, "messages": n})
        });
        json!({
            "checked": checked.collect::<Vec<_>>(),
            "hops": self.hops,
            "wrong": self.wrong,
            "wrongs": self.wrongs,
        })
    }

    fn complain(&mut self, hop: &str, what: &str) {
        self.wrongs += 1;
        let text = format!("{hop}: {what}");
        if self.wrong.len() < SHOWN && !self.wrong.contains(&text) {
            self.wrong.push(text);
        }
    }
}

/// One conversation and how it is carried.
#[derive(Clone, Debug, Default)]
struct Talk {
    conversation: Arc<Conversation>,
    /// Over HTTP+SSE, whose stream names the address for messages.
    sse: bool,
}

/// One request and what answers it.
struct Exchange {
    talk: Talk,
    /// It asks for a session. Servers name one in other answers too, and it means nothing there.
    opens: bool,
    /// The media type of the answer.
    kind: String,
}

/// The state of reading one journal.
struct Reading<'a> {
    findings: &'a mut Findings,
    hop: String,
    router: Role,
    /// Conversations by session, or by the address for messages.
    keys: HashMap<String, Talk>,
    exchanges: HashMap<u64, Exchange>,
    pipe: Talk,
}

impl Reading<'_> {
    fn take(&mut self, record: Record) {
        match record {
            Record::Hop { .. } => self.complain("a journal of two hops"),
            Record::Ask {
                exchange,
                target,
                session,
                version,
                body,
                whole,
                ..
            } => {
                let talk = self.find(&target, session, version, &body);
                let asked = Exchange {
                    talk: talk.clone(),
                    opens: opens(&body),
                    kind: String::new(),
                };
                self.exchanges.insert(exchange, asked);
                // What was cut off is no message.
                if whole && !body.is_empty() {
                    self.message(&talk, Role::Client, &body, "http");
                }
            }
            Record::Answer {
                exchange,
                kind,
                session,
                ..
            } => self.answered(exchange, kind, session),
            Record::Message {
                exchange,
                event,
                text,
            } => self.part(exchange, &event, &text),
            Record::Overlong { .. } => self.complain("a message too long to be kept"),
            Record::Line { from, text } => {
                let talk = self.pipe.clone();
                self.message(&talk, from, &text, "stdio");
            }
        }
    }

    /// The conversation that a request belongs to.
    fn find(
        &self,
        target: &str,
        session: Option<String>,
        version: Option<String>,
        body: &str,
    ) -> Talk {
        let stateless = || serde_json::from_str(body).is_ok_and(|m: Value| is_stateless(&m));
        if version.as_deref().is_some_and(|v| v >= MODERN) || stateless() {
            return Talk {
                conversation: Conversation::stateless(),
                sse: false,
            };
        }
        let known = [session.as_deref(), Some(target)];
        let known = known.into_iter().flatten().find_map(|k| self.keys.get(k));
        known.cloned().unwrap_or_else(|| Talk {
            conversation: match version {
                Some(version) => Conversation::speaking(&version),
                None => Arc::default(),
            },
            sse: false,
        })
    }

    fn answered(&mut self, exchange: u64, kind: String, session: Option<String>) {
        let Some(asked) = self.exchanges.get_mut(&exchange) else {
            return self.complain("an answer to no request");
        };
        asked.kind = kind;
        if let (Some(session), true) = (session, asked.opens) {
            let talk = asked.talk.clone();
            self.keys.insert(session, talk);
        }
    }

    /// A message of an answer, or where its client is to send its own.
    fn part(&mut self, exchange: u64, event: &str, text: &str) {
        let Some(Exchange { talk, kind, .. }) = self.exchanges.get_mut(&exchange) else {
            return self.complain("a message to no request");
        };
        if event == "endpoint" {
            talk.sse = true;
            let talk = talk.clone();
            self.keys.insert(address(text), talk);
            return;
        }
        let mcp = kind.starts_with("text/event-stream") || speaks_json_rpc(text);
        if mcp && !text.is_empty() {
            let talk = talk.clone();
            self.message(&talk, Role::Server, text, "http");
        }
    }

    /// One message, or an array of them, on its way from `from`.
    fn message(&mut self, talk: &Talk, from: Role, text: &str, carrier: &'static str) {
        if from != self.router {
            talk.conversation.sent(text.as_bytes());
            return;
        }
        let Ok(message) = serde_json::from_str::<Value>(text) else {
            let start: String = text.chars().take(400).collect();
            return self.complain(&format!("the router sent what is no JSON: {start}"));
        };
        let (sender, to) = match self.router {
            Role::Client => (Sender::Client, "backends"),
            Role::Server => (Sender::Server, "clients"),
        };
        let over = if talk.sse { "sse" } else { carrier };
        for verdict in talk.conversation.judge(sender, &message) {
            let key = (verdict.revision, to, over);
            *self.findings.checked.entry(key).or_default() += 1;
            *self.findings.hops.entry(self.hop.clone()).or_default() += 1;
            if let Some(wrong) = verdict.wrong {
                self.complain(&format!("the router sent what is {wrong}"));
            }
        }
    }

    fn complain(&mut self, what: &str) {
        self.findings.complain(&self.hop, what);
    }
}

/// Whether a whole body is MCP's: the pages for operators are JSON too.
fn speaks_json_rpc(text: &str) -> bool {
    serde_json::from_str(text)
        .is_ok_and(|body: Value| body.is_array() || body.get("jsonrpc").is_some())
}

/// Whether a body asks for a session.
fn opens(body: &str) -> bool {
    serde_json::from_str(body).is_ok_and(|body: Value| body["method"] == "initialize")
}

/// The path and query of an address for messages, as requests to it say it.
fn address(told: &str) -> String {
    let path = told
        .split_once("://")
        .and_then(|(_, rest)| rest.find('/').map(|at| &rest[at..]));
    path.unwrap_or(told).to_owned()
}
