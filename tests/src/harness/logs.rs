//! What a program writes to stderr, while it writes it.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::sync::watch;

/// Lines kept; the oldest go first.
const KEPT: usize = 50_000;

/// How long a wait for a line may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// The lines of a program's stderr. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Logs {
    lines: Arc<Mutex<VecDeque<String>>>,
    changed: watch::Receiver<Progress>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Progress {
    total: usize,
    ended: bool,
}

impl Logs {
    /// Collects `source` until it ends.
    pub(crate) fn collect(source: impl AsyncRead + Send + Unpin + 'static) -> Self {
        let lines = Arc::new(Mutex::new(VecDeque::new()));
        let (sender, changed) = watch::channel(Progress::default());
        let kept = Arc::clone(&lines);
        tokio::spawn(async move {
            let mut source = BufReader::new(source).split(b'\n');
            while let Ok(Some(line)) = source.next_segment().await {
                {
                    let mut kept = kept.lock().expect("no panic while logging");
                    if kept.len() == KEPT {
                        kept.pop_front();
                    }
                    kept.push_back(String::from_utf8_lossy(&line).into_owned());
                }
                sender.send_modify(|progress| progress.total += 1);
            }
            sender.send_modify(|progress| progress.ended = true);
        });
        Self { lines, changed }
    }

    /// Waits until nobody can write any more, which is a little later than the program's end; not
    /// for ever, because its children may live on.
    pub(crate) async fn ended(&self) {
        let mut changed = self.changed.clone();
        let ended = changed.wait_for(|progress| progress.ended);
        let _ = tokio::time::timeout(Duration::from_secs(2), ended).await;
    }

    /// All lines so far, oldest first.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        let lines = self.lines.lock().expect("no panic while logging");
        lines.iter().cloned().collect()
    }

    /// All lines so far as one text.
    #[must_use]
    pub fn text(&self) -> String {
        self.lines().join("\n")
    }

    /// How many lines were written, dropped ones included.
    #[must_use]
    pub fn count(&self) -> usize {
        self.changed.borrow().total
    }

    /// Whether any line contains `text`.
    #[must_use]
    pub fn contains(&self, text: &str) -> bool {
        self.lines().iter().any(|line| line.contains(text))
    }

    /// The fields of all JSON lines with this message.
    #[must_use]
    pub fn events(&self, message: &str) -> Vec<Value> {
        let parsed = self.lines().into_iter().filter_map(|line| fields(&line));
        parsed.filter(|f| f["message"] == message).collect()
    }

    /// Waits for a JSON line with this message and gives its fields.
    ///
    /// # Panics
    /// If the program ends or 30 s pass without it; the log is in the panic's text.
    pub async fn event(&self, message: &str) -> Value {
        self.wait(message, |logs| logs.events(message).pop()).await
    }

    /// Waits for a line that contains `text` and gives it.
    ///
    /// # Panics
    /// As [`Logs::event`].
    pub async fn line(&self, text: &str) -> String {
        let find = |logs: &Self| logs.lines().into_iter().find(|line| line.contains(text));
        self.wait(text, find).await
    }

    async fn wait<T>(&self, what: &str, find: impl Fn(&Self) -> Option<T>) -> T {
        let mut changed = self.changed.clone();
        let waiting = async {
            loop {
                let ended = changed.borrow_and_update().ended;
                if let Some(found) = find(self) {
                    return Some(found);
                }
                if ended || changed.changed().await.is_err() {
                    return None;
                }
            }
        };
        match tokio::time::timeout(PATIENCE, waiting).await {
            Ok(Some(found)) => found,
            Ok(None) => panic!(
                "the program ended without {what:?}; it wrote:\n{}",
                self.text()
            ),
            Err(_) => panic!("no {what:?} within {PATIENCE:?}; the log:\n{}", self.text()),
        }
    }
}

/// The fields of a JSON log line, flattened or not.
fn fields(line: &str) -> Option<Value> {
    let mut value: Value = serde_json::from_str(line).ok()?;
    match value.get_mut("fields") {
        Some(fields) if fields.is_object() => Some(fields.take()),
        _ => Some(value),
    }
}
