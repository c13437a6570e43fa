//! One client on stdin and stdout, in whichever era each of its messages is.

use std::io;
use std::sync::Arc;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::sync::mpsc;

use super::events::{Out, Outs, error};
use super::legacy;
use super::listen;
use super::modern;
use super::server::Server;
use super::session::{Running, Session};

/// Serves until stdin ends.
pub(super) async fn run(server: Arc<Server>) -> io::Result<()> {
    let (out, mut outs) = mpsc::unbounded_channel();
    let writer = tokio::spawn(async move {
        let mut stdout = tokio::io::stdout();
        while let Some(out) = outs.recv().await {
            let (Out::Message(body) | Out::Final { body, .. }) = out else {
                continue;
            };
            stdout.write_all(format!("{body}\n").as_bytes()).await?;
            stdout.flush().await?;
        }
        io::Result::Ok(())
    });
    let client = Client {
        server,
        session: Arc::new(Session::new()),
        modern: Running::default(),
        out,
    };
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    while let Some(line) = lines.next_line().await? {
        match serde_json::from_str(&line) {
            Ok(message) => client.take(message),
            Err(_) if line.trim().is_empty() => {}
            Err(_) => client.say(error(&json!(null), -32700, "Not JSON", None)),
        }
    }
    // Who is gone reads no more answers: calls in progress are left to the end of the process.
    writer.abort();
    Ok(())
}

struct Client {
    server: Arc<Server>,
    session: Arc<Session>,
    modern: Running,
    out: Outs,
}

impl Client {
    fn take(&self, message: Value) {
        if self.server.era.has_modern()
            && (modern::is_modern(&message) || !self.server.era.has_legacy())
        {
            return self.take_modern(message);
        }
        if message["method"] == "notifications/cancelled" {
            // It does not say of which era the call is.
            self.modern.cancel(&message["params"]["requestId"]);
        }
        if message["method"] == "notifications/initialized" {
            let (server, session, out) =
                (self.server.clone(), self.session.clone(), self.out.clone());
            tokio::spawn(async move { listen::tell_all(&server, &session, &out).await });
        }
        legacy::take(&self.server, &self.session, message, self.out.clone());
    }

    fn take_modern(&self, message: Value) {
        if message.get("id").is_none() {
            if message["method"] == "notifications/cancelled" {
                self.modern.cancel(&message["params"]["requestId"]);
            }
            return;
        }
        if let Some((_, refused)) = modern::refusal(&self.server, &message, || None) {
            return self.say(refused);
        }
        let id = message["id"].clone();
        let task = tokio::spawn(modern::answer(
            self.server.clone(),
            message,
            self.out.clone(),
        ));
        self.modern.note(&id, task.abort_handle());
    }

    fn say(&self, body: Value) {
        let _ = self.out.send(Out::Message(body));
    }
}
