//! What a tap writes down, one JSON value a line, in the order in which it passed by.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use serde::{Deserialize, Serialize};

/// Which part the router plays on a hop.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(super) enum Role {
    /// It is called by a client.
    Server,
    /// It calls a backend.
    Client,
}

/// One line of a journal.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Record {
    /// The first line: between whom.
    Hop { name: String, router: Role },
    /// A whole HTTP request.
    Ask {
        exchange: u64,
        method: String,
        target: String,
        session: Option<String>,
        version: Option<String>,
        body: String,
        whole: bool,
    },
    /// The head of its answer.
    Answer {
        exchange: u64,
        status: u16,
        kind: String,
        session: Option<String>,
    },
    /// A message of the answer: the whole body, or one event of it.
    Message {
        exchange: u64,
        event: String,
        text: String,
    },
    /// More than a tap keeps of one message.
    Overlong { exchange: u64 },
    /// A line over stdio.
    Line { from: Role, text: String },
}

/// A journal that is being written. Several processes may append to the same file.
#[derive(Debug)]
pub(super) struct Journal {
    file: Mutex<File>,
    path: PathBuf,
}

impl Journal {
    /// Begins the journal of this process's hop in `folder`.
    pub(super) fn begin(folder: &Path, hop: &str, router: Role) -> io::Result<Self> {
        let safe = |c: char| if c.is_ascii_alphanumeric() { c } else { '-' };
        let name: String = hop.chars().map(safe).collect();
        let path = folder.join(format!("{name}.{}.jsonl", std::process::id()));
        let journal = Self::open(&path)?;
        journal.write(&Record::Hop {
            name: hop.to_owned(),
            router,
        })?;
        Ok(journal)
    }

    /// Appends to a journal that somebody began.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let file = OpenOptions::new().create(true).append(true).open(path)?;
        Ok(Self {
            file: Mutex::new(file),
            path: path.to_owned(),
        })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Appends one line, at once: another process may write the next.
    pub(super) fn write(&self, record: &Record) -> io::Result<()> {
        let mut line = serde_json::to_vec(record)?;
        line.push(b'\n');
        let mut file = self.file.lock().map_err(|_| io::ErrorKind::Other)?;
        file.write_all(&line)
    }

    /// As [`Journal::write`], where nobody could do anything about a failure: a journal with a gap
    /// would say that all is well.
    ///
    /// # Panics
    /// If the journal cannot be written.
    pub(super) fn note(&self, record: &Record) {
        self.write(record).expect("the journal can be written");
    }
}
