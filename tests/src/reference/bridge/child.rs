//! One process that speaks stdio, and who waits for what it says.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::process::Stdio;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use futures::{Stream, stream};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child as Process, ChildStdout, Command};
use tokio::sync::mpsc;

use super::super::events::{Out, Outs, notification};
use super::super::http::event;
use super::super::server::lock;

const SUBSCRIPTION: &str = "io.modelcontextprotocol/subscriptionId";
/// How much is kept for a client that has no stream open.
const KEPT: usize = 256;

#[derive(Debug)]
pub(super) struct Child {
    lines: mpsc::UnboundedSender<String>,
    waiting: Arc<Mutex<Waiting>>,
    // Held for its drop, which ends the process.
    _process: Process,
}

#[derive(Debug, Default)]
struct Waiting {
    last: u64,
    calls: HashMap<String, Waiter>,
    /// The ids of the calls in flight, the newest last.
    order: Vec<String>,
    standing: Option<Outs>,
    kept: VecDeque<Value>,
}

/// Who asked, under which id and progress token of its own.
#[derive(Debug)]
struct Waiter {
    id: Value,
    token: Value,
    modern: bool,
    out: Outs,
}

/// Cancels a modern call when its stream is dropped.
#[derive(Debug)]
pub(crate) struct Lease(Option<(mpsc::UnboundedSender<String>, Value)>);

impl Lease {
    pub(super) fn none() -> Self {
        Self(None)
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let Some((lines, id)) = self.0.take() {
            let cancelled = notification("notifications/cancelled", json!({"requestId": id}));
            let _ = lines.send(cancelled.to_string());
        }
    }
}

impl Child {
    pub(super) fn start(command: &[String]) -> io::Result<Self> {
        let (program, arguments) = command
            .split_first()
            .ok_or_else(|| io::Error::other("no command"))?;
        let mut process = Command::new(program)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let waiting = Arc::<Mutex<Waiting>>::default();
        let (lines, mut pending) = mpsc::unbounded_channel::<String>();
        if let (Some(mut stdin), Some(stdout)) = (process.stdin.take(), process.stdout.take()) {
            tokio::spawn(async move {
                while let Some(line) = pending.recv().await {
                    stdin.write_all(format!("{line}\n").as_bytes()).await?;
                }
                io::Result::Ok(())
            });
            tokio::spawn(listen(stdout, waiting.clone()));
        }
        Ok(Self {
            lines,
            waiting,
            _process: process,
        })
    }

    pub(super) fn say(&self, message: &Value) {
        let _ = self.lines.send(message.to_string());
    }

    /// Sends a request of the one client there is, under its own id.
    pub(super) fn ask(&self, message: Value, out: Outs) {
        let waiter = Waiter {
            id: message["id"].clone(),
            token: message["params"]["_meta"]["progressToken"].clone(),
            modern: false,
            out,
        };
        lock(&self.waiting).add(message["id"].to_string(), waiter);
        self.say(&message);
    }

    /// Sends a request of one of many clients, under an id and a token that no other has.
    pub(super) fn lease(&self, mut message: Value, out: Outs) -> Lease {
        let mut waiting = lock(&self.waiting);
        waiting.last += 1;
        let unique = json!(waiting.last);
        let id = std::mem::replace(&mut message["id"], unique.clone());
        let mut token = Value::Null;
        if let Some(told) = message.pointer_mut("/params/_meta/progressToken") {
            token = std::mem::replace(told, unique.clone());
        }
        let waiter = Waiter {
            id,
            token,
            modern: true,
            out,
        };
        waiting.add(unique.to_string(), waiter);
        drop(waiting);
        self.say(&message);
        Lease(Some((self.lines.clone(), unique)))
    }

    /// What is said to the client beside its calls.
    pub(super) fn standing(&self) -> impl Stream<Item = Bytes> + Send + use<> {
        let (out, outs) = mpsc::unbounded_channel();
        let mut waiting = lock(&self.waiting);
        for message in waiting.kept.drain(..) {
            let _ = out.send(Out::Message(message));
        }
        waiting.standing = Some(out);
        stream::unfold(outs, |mut outs| async {
            match outs.recv().await? {
                Out::Message(message) | Out::Final { body: message, .. } => {
                    Some((event(&message), outs))
                }
                Out::Pause => None,
            }
        })
    }
}

async fn listen(stdout: ChildStdout, waiting: Arc<Mutex<Waiting>>) {
    let mut lines = BufReader::new(stdout).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        if let Ok(message) = serde_json::from_str(&line) {
            lock(&waiting).hand_out(message);
        }
    }
    // Nobody waits for a process that is gone.
    *lock(&waiting) = Waiting::default();
}

impl Waiting {
    fn add(&mut self, key: String, waiter: Waiter) {
        self.order.push(key.clone());
        self.calls.insert(key, waiter);
    }

    fn hand_out(&mut self, mut message: Value) {
        if message.get("method").is_none() {
            let key = message["id"].to_string();
            self.order.retain(|other| *other != key);
            if let Some(waiter) = self.calls.remove(&key) {
                message["id"] = waiter.id;
                let status = if waiter.modern { status(&message) } else { 200 };
                let _ = waiter.out.send(Out::Final {
                    status,
                    body: message,
                });
            }
            return;
        }
        let told = message["params"]["progressToken"].to_string();
        let tagged = message["params"]["_meta"][SUBSCRIPTION].to_string();
        if let Some(waiter) = self.calls.get(&told) {
            message["params"]["progressToken"] = waiter.token.clone();
            let _ = waiter.out.send(Out::Message(message));
        } else if let Some(waiter) = self.calls.get(&tagged) {
            message["params"]["_meta"][SUBSCRIPTION] = waiter.id.clone();
            let _ = waiter.out.send(Out::Message(message));
        } else {
            self.hand_out_beside(message);
        }
    }

    /// To the newest call, else to the standing stream, else to whoever opens one.
    fn hand_out_beside(&mut self, message: Value) {
        let newest = self.order.last().and_then(|key| self.calls.get(key));
        let out = newest.map(|waiter| &waiter.out).or(self.standing.as_ref());
        let message = match out {
            None => message,
            Some(out) => match out.send(Out::Message(message)) {
                Ok(()) => return,
                Err(mpsc::error::SendError(Out::Message(message))) => message,
                Err(_) => return,
            },
        };
        if self.kept.len() == KEPT {
            self.kept.pop_front();
        }
        self.kept.push_back(message);
    }
}

/// The status that goes with an answer of the modern era.
fn status(message: &Value) -> u16 {
    match message["error"]["code"].as_i64() {
        Some(-32601) => 404,
        Some(-32700 | -32600 | -32022..=-32020) => 400,
        _ => 200,
    }
}
