//! What MCP says on the wire: messages, ids, error codes, methods, names.
//!
//! Everything here is a pure function over bytes: no I/O, no clock, no `tower`. The crate knows
//! the five revisions of the protocol ([`Revision`]) but speaks to nobody.
//!
//! Its one idea is that JSON travels *raw*. An envelope is parsed once for what routing needs
//! ([`Message::parse`]); arguments and results stay the bytes their sender wrote ([`RawJson`])
//! and are spliced ([`splice`]), never re-serialized, where a name, URI or id inside them must
//! change. What the router does not understand therefore passes through unharmed.
//!
//! | module | subject |
//! |---|---|
//! | [`json`] | raw values, UTF-8 and depth checks, indexes of an object's members, splicing |
//! | [`jsonrpc`] | envelope, request ids, error objects |
//! | [`params`] | the members of `params` and `_meta` that routing reads |
//! | [`revision`] | protocol revisions and eras |
//! | [`method`] | methods and notifications |
//! | [`name`] | backend names, namespaces, exposed names |
//! | [`spelling`], [`profile`] | exposed names as hosts can take them |
//! | [`uri`], [`mod@fold`] | exposed resource URIs, and what URL parsers make of them |
//! | [`item`] | tools, prompts, resources and templates as listed by a backend |
//! | [`result`](mod@result) | the few members of results that hops must add, drop or rewrite |
//! | [`shape`] | results as an older revision knows them |
//! | [`ask`] | what servers ask clients, as an older revision knows it |
//! | [`header`] | `Mcp-*` header values |
//! | [`trace`] | whose span a call is made under |
//! | [`mirror`] | tool parameters that are repeated in headers |

#![forbid(unsafe_code)]

pub mod ask;
pub mod code;
pub mod fold;
pub mod header;
pub mod item;
pub mod json;
pub mod jsonrpc;
pub mod level;
pub mod method;
pub mod mirror;
pub mod name;
mod noted;
pub mod params;
pub mod profile;
pub mod result;
pub mod revision;
pub mod shape;
pub mod spelling;
pub mod trace;
pub mod uri;
mod walk;

pub use item::{Item, ItemKind, ToolHints};
pub use json::{JsonError, RawJson, Span, splice};
pub use jsonrpc::{EnvelopeError, ErrorObject, Message, RequestId};
pub use level::LogLevel;
pub use method::Method;
pub use mirror::Mirror;
pub use name::{BackendName, InvalidName, Namespace, QualifiedName};
pub use noted::Noted;
pub use params::RawParams;
pub use profile::Profile;
pub use revision::{Era, Revision};
pub use spelling::Spelling;
pub use trace::TraceContext;
