//! Another program's list of servers as a file of ours.
//!
//! Most of these files work here as they are; but who stays wants routes, priorities and fallbacks,
//! and those need our format. So the servers are written anew: what means the same under another
//! name is renamed, and what has no counterpart is said, beside the server that it was about, so
//! that nothing is lost without a word.
//!
//! Nothing is filled in: `${VAR}` stays what it is. Variables that only another program knows are
//! replaced by ones that can be set.

mod auth;
mod entry;
mod find;
mod secrets;
mod text;
mod write;

use std::collections::HashSet;
use std::path::PathBuf;

use serde_json::Value as Json;
use serde_yaml::{Mapping, Value};

use crate::report::{Complaint, ConfigErrors, Source, Warning};
use crate::yaml::{self, Document, Path, Places};

/// What to do with what looks like a secret.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Secrets {
    /// It stays where it is, and is pointed at.
    #[default]
    Keep,
    /// A variable takes its place.
    Hide,
}

/// What came out.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Imported {
    /// The file, with comments about what could not be said in it.
    pub yaml: String,
    /// The same without comments.
    pub json: Json,
    /// What its reader should know, in the order of the source.
    pub notes: Vec<Warning>,
    /// Variables that must be set before the file can be used, as the source had their values.
    pub variables: Vec<String>,
}

/// One server on its way into the file.
struct Server<'a> {
    path: Path,
    places: &'a Places,
    backend: Mapping,
    notes: Vec<Warning>,
    variables: Vec<String>,
}

/// Converts a file of Claude Desktop, Claude Code, Cursor or VS Code, or one with a list under
/// `servers`. `path` is only shown.
///
/// # Errors
/// If the text cannot be read, or holds no servers.
pub fn import(path: PathBuf, text: &str, secrets: Secrets) -> Result<Imported, ConfigErrors> {
    let refused = |complaints, masked| {
        let source = Source::new(path.clone(), masked);
        Err(ConfigErrors::new(complaints, Some(source)))
    };
    let document = match yaml::parse(text) {
        Ok(document) => document,
        Err(unread) => return refused(unread.complaints, unread.masked),
    };
    let Document { value, places, .. } = document;
    match convert(&value, &places, secrets) {
        Ok(imported) => Ok(imported),
        // The excerpts of complaints about the whole would be of secrets.
        Err(complaint) => Err(ConfigErrors::new(vec![*complaint], None)),
    }
}

fn convert(value: &Value, places: &Places, secrets: Secrets) -> Result<Imported, Box<Complaint>> {
    let found = find::servers(value)?;
    let mut notes: Vec<Warning> = Vec::new();
    for (what, at) in &found.beside {
        notes.push(Warning::new(what.clone(), places.key_place(at)));
    }
    let (mut taken, mut servers) = (HashSet::new(), Vec::new());
    for found in found.servers {
        let mut server = Server {
            path: found.path,
            places,
            backend: Mapping::new(),
            notes: Vec::new(),
            variables: Vec::new(),
        };
        entry::convert(&mut server, found.key.as_deref(), &found.entry, &mut taken);
        secrets::treat(&mut server, secrets);
        text::translate(&mut server);
        servers.push(server);
    }
    let variables = servers.iter().flat_map(|server| server.variables.clone());
    let mut seen = HashSet::new();
    let variables = variables.filter(|name| seen.insert(name.clone())).collect();
    let yaml = write::file(&servers);
    let whole: Vec<&Mapping> = servers
        .iter()
        .map(|s| &s.backend)
        .filter(|b| !b.is_empty())
        .collect();
    let json = serde_json::json!({ "backends": whole });
    notes.extend(servers.into_iter().flat_map(|server| server.notes));
    Ok(Imported {
        yaml,
        json,
        notes,
        variables,
    })
}

// === impl Server ===

impl Server<'_> {
    /// Says something about a key of the source.
    fn note(&mut self, key: &str, what: impl Into<String>) {
        let place = self.places.key_place(&self.path.key(key));
        self.notes.push(Warning::new(what, place));
    }

    fn set(&mut self, key: &str, value: impl Into<Value>) {
        self.backend.insert(key.into(), value.into());
    }

    /// What it is called, for people.
    fn name(&self) -> &str {
        self.backend
            .get("name")
            .and_then(Value::as_str)
            .unwrap_or("?")
    }

    /// One more header, unless the source sets it itself.
    fn header(&mut self, name: &str, value: String) {
        let headers = self.backend.entry("headers".into());
        let headers = headers.or_insert_with(|| Mapping::new().into());
        if let Value::Mapping(headers) = headers {
            headers.entry(name.into()).or_insert(value.into());
        }
    }
}
