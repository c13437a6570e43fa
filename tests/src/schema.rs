//! Is every message that the router sends one that its revision knows?
//!
//! A test asserts the two or three members that it is about, and a peer that is strict about another
//! one is met only by users. So whatever the router says, to the clients of the harness and to the
//! backends of the fixture, is held against the JSON Schema that the protocol's project publishes for
//! the revision spoken there, and a test in which a message does not fit fails with that message. In the
//! interop and the conformance runs the same is done by way of [`crate::tap`].
//!
//! `MCP_SCHEMA_DIR` names the folder of the schemas, `2025-11-25.json` and so on; `.ci/run` sets it to
//! `tests/schema`. Without it nothing is checked, and the process says so once on stderr.
//!
//! What tests say to the router, and what fixtures answer, is not checked: much of it is wrong on
//! purpose. Where the router passes something wrong on, or differs from a schema knowingly, `known`
//! says why.

mod book;
mod conversation;
mod known;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use serde_json::Value;

use self::book::{Book, Revision};
pub(crate) use self::conversation::is_stateless;
pub use self::conversation::{Conversation, Verdict};

/// Who sent a message.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Sender {
    /// The router towards a backend.
    Client,
    /// The router towards a client.
    Server,
}

static BOOK: OnceLock<Option<Book>> = OnceLock::new();
static FOLDER: OnceLock<PathBuf> = OnceLock::new();

/// Takes the schemas from this folder, whatever the environment says. For programs whose environment
/// somebody else made; the first call counts, and only before the first check.
pub fn take_from(folder: &Path) {
    let _ = FOLDER.set(folder.to_owned());
}

/// The folder of the schemas, if there is one to check with.
#[must_use]
pub fn folder() -> Option<PathBuf> {
    let given = FOLDER.get().cloned();
    let given = given.or_else(|| std::env::var_os("MCP_SCHEMA_DIR").map(PathBuf::from));
    // Tests of the checking itself check, whatever the environment.
    let own = || cfg!(test).then(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("schema"));
    given.or_else(own)
}

/// Whether messages are checked at all. Says so once if they are not.
///
/// # Panics
/// If the schemas cannot be read.
#[must_use]
pub fn enabled() -> bool {
    book().is_some()
}

fn book() -> Option<&'static Book> {
    let load = || {
        let Some(folder) = folder() else {
            // Not by `eprintln!`, which the test harness keeps to itself.
            let told = b"MCP_SCHEMA_DIR is not set: no message is checked against its schema\n";
            let _ = std::io::Write::write_all(&mut std::io::stderr(), told);
            return None;
        };
        Some(Book::read(&folder))
    };
    BOOK.get_or_init(load).as_ref()
}

/// Checks one message (or an array of them) of `revision`. `asked` is the method of the request that
/// a response answers.
///
/// # Errors
/// The message and what is wrong with it.
///
/// # Panics
/// If the schemas cannot be read.
pub fn check(
    revision: &str,
    sender: Sender,
    message: &Value,
    asked: impl Fn(&Value) -> Option<String>,
) -> Result<(), String> {
    match book() {
        Some(book) => judge(book, revision, sender, message, asked),
        None => Ok(()),
    }
}

fn judge(
    book: &Book,
    revision: &str,
    sender: Sender,
    message: &Value,
    asked: impl Fn(&Value) -> Option<String>,
) -> Result<(), String> {
    let Some(revision) = book.revision(revision) else {
        return Err(format!("{revision} is no revision: {message}"));
    };
    let one = |message: &Value| fits(revision, sender, message, &asked);
    let wrong = match message.as_array() {
        Some(batch) if revision.name == "2025-03-26" => batch.iter().find_map(one),
        _ => one(message),
    };
    match wrong {
        None => Ok(()),
        Some(wrong) => {
            let mut text = message.to_string();
            text.truncate(text.floor_char_boundary(4000));
            let to = match sender {
                Sender::Client => "a backend",
                Sender::Server => "a client",
            };
            let revision = revision.name;
            Err(format!(
                "not valid in {revision}, to {to}: {wrong}\n  {text}"
            ))
        }
    }
}

/// What is wrong with one message.
fn fits(
    revision: &Revision,
    sender: Sender,
    message: &Value,
    asked: &impl Fn(&Value) -> Option<String>,
) -> Option<String> {
    let definitions = definitions(revision, sender, message, asked);
    let wrong = match definitions {
        Err(wrong) => Some((String::new(), wrong)),
        Ok(all) => all.into_iter().find_map(|(definition, part)| {
            let wrong = revision.wrong(&definition, part)?;
            let fits = |part: &Value| revision.wrong(&definition, part).is_none();
            if known::foreign_letters_alone(fits, part)
                || known::answers_alone(fits, &definition, part)
            {
                return None;
            }
            Some((definition, wrong))
        }),
    };
    let (definition, wrong) = wrong?;
    let case = known::Case {
        revision: revision.name,
        message,
        definition: &definition,
    };
    match known::reason(&case) {
        Some(_) => None,
        None => Some(format!("{definition}: {wrong}")),
    }
}

/// The definitions that the message, or a part of it, must fit.
fn definitions<'a>(
    revision: &Revision,
    sender: Sender,
    message: &'a Value,
    asked: &impl Fn(&Value) -> Option<String>,
) -> Result<Vec<(String, &'a Value)>, String> {
    let is_request = message.get("id").is_some();
    if let Some(method) = message["method"].as_str() {
        let frame = match is_request {
            true => "JSONRPCRequest",
            false => "JSONRPCNotification",
        };
        let definition = revision.of_method(sender, is_request, method);
        let definition = definition.ok_or_else(|| format!("{method} is not in this revision"))?;
        return Ok(vec![
            (frame.to_owned(), message),
            (definition.to_owned(), message),
        ]);
    }
    if let Some(result) = message.get("result") {
        let method = asked(&message["id"]).ok_or("answers what was not asked")?;
        let definition = revision.of_result(&method, result);
        return Ok(vec![
            (revision.response().to_owned(), message),
            (definition, result),
        ]);
    }
    let Some(error) = message.get("error") else {
        return Err("neither request, notification nor response".to_owned());
    };
    let mut all = vec![(revision.error().to_owned(), message)];
    if let Some((definition, whole)) = revision.of_code(error["code"].as_i64()) {
        all.push((definition.to_owned(), if whole { message } else { error }));
    }
    Ok(all)
}
