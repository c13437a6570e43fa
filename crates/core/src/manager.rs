//! Who stands behind the router's own tools that change something.
//!
//! Where a configuration comes from, what a backend's address means and who may name one is not
//! known here. The tools that clients call are, with their exact answers; so whoever assembled the
//! router gives it a [`Manager`].

use std::fmt;

use futures::future::BoxFuture;
use serde::Serialize;

/// What became of a wish to read the configuration again.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Reloaded {
    /// Backends that were not there before.
    pub added: Vec<String>,
    /// Backends that are gone.
    pub removed: Vec<String>,
    /// Backends that were replaced by others of their name.
    pub updated: Vec<String>,
    /// What is wrong with the configuration; then nothing has changed.
    pub errors: Vec<String>,
}

/// A backend that a client wants to be there.
#[derive(Clone, Debug)]
pub struct Registration {
    /// Where it is: a URL, or what an operator has allowed to be started.
    pub source: String,
    /// Its name; made from the source if absent.
    pub name: Option<String>,
    /// Its namespace; its name if absent.
    pub namespace: Option<String>,
    /// Lower is tried first.
    pub priority: u32,
    /// Whether it is to be used; if not, it is listed and left alone.
    pub auto_start: bool,
}

/// A backend that is there because a client wanted it.
#[derive(Clone, Debug, Serialize)]
pub struct Registered {
    /// Its name.
    pub backend_name: String,
    /// Its namespace.
    pub namespace: String,
    /// Where it is, without credentials.
    pub url: String,
    /// Whether it is used.
    pub started: bool,
}

/// Why a change was not made: one sentence for the model that asked.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{0}")]
pub struct ManageError(pub String);

/// Changes a running router on behalf of its own tools.
///
/// The futures may be dropped; what has begun is finished all the same.
pub trait Manager: fmt::Debug + Send + Sync + 'static {
    /// Whether backends may be registered. If not, the tools for it are not listed, and a call of
    /// one is that of an unknown tool.
    fn registers(&self) -> bool;

    /// Reads the configuration again.
    fn reload(&self) -> BoxFuture<'static, Result<Reloaded, ManageError>>;

    /// Adds a backend.
    fn register(&self, wanted: Registration)
    -> BoxFuture<'static, Result<Registered, ManageError>>;

    /// Removes a backend that was registered.
    fn unregister(&self, name: String) -> BoxFuture<'static, Result<(), ManageError>>;

    /// What is wrong with the configuration as it is now, each with its line; empty if nothing is.
    fn problems(&self) -> Vec<String>;
}
