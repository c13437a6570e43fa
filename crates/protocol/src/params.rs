//! `params`, with the places of the members that routing reads.

mod change;
mod index;
mod indexed;

use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;

use crate::json::{self, JsonError, RawJson};
use crate::jsonrpc::EnvelopeError;
use crate::revision::Revision;
use crate::walk::Walker;
use index::Place;
use indexed::Indexed;

pub use change::MetaChange;
pub(crate) use index::Scan;

/// Keys of `_meta` that belong to the hop, not to the call.
pub mod meta {
    /// Revision of a modern request.
    pub const PROTOCOL_VERSION: &str = "io.modelcontextprotocol/protocolVersion";
    /// Capabilities of the client of a modern request.
    pub const CLIENT_CAPABILITIES: &str = "io.modelcontextprotocol/clientCapabilities";
    /// Who sends a modern request.
    pub const CLIENT_INFO: &str = "io.modelcontextprotocol/clientInfo";
    /// Lowest log level wanted for a modern request.
    pub const LOG_LEVEL: &str = "io.modelcontextprotocol/logLevel";
    /// Id of the listen request a notification belongs to.
    pub const SUBSCRIPTION_ID: &str = "io.modelcontextprotocol/subscriptionId";
    /// Who answers a modern request.
    pub const SERVER_INFO: &str = "io.modelcontextprotocol/serverInfo";
    /// Token under which progress is reported.
    pub const PROGRESS_TOKEN: &str = "progressToken";
    /// W3C trace context.
    pub const TRACEPARENT: &str = "traceparent";
    /// Why a tool result is the router's and not the tool's.
    pub const FAILURE: &str = "mcp-router/failure";
    /// Everything of the above that means something on one hop alone.
    pub const HOP: [&str; 7] = [
        PROTOCOL_VERSION,
        CLIENT_CAPABILITIES,
        CLIENT_INFO,
        LOG_LEVEL,
        SUBSCRIPTION_ID,
        SERVER_INFO,
        PROGRESS_TOKEN,
    ];
}

const ROUTING: [&str; 7] = [
    "name",
    "uri",
    "_meta",
    "arguments",
    "cursor",
    "requestState",
    "inputResponses",
];
const META: [&str; 5] = [
    meta::PROTOCOL_VERSION,
    meta::CLIENT_CAPABILITIES,
    meta::CLIENT_INFO,
    meta::LOG_LEVEL,
    meta::PROGRESS_TOKEN,
];
/// What else a hop changes in `_meta`. Hardly any client sends it, so that its place is not noted.
const RARE: [&str; 2] = [meta::SUBSCRIPTION_ID, meta::TRACEPARENT];

/// The parameters of a request or notification: the sender's own bytes, with the places of
/// `name`, `uri`, `cursor`, `arguments`, `_meta`, `requestState` and `inputResponses`, and of what
/// every hop reads of `_meta`.
///
/// Clones are the same ones. A request is moved at every layer of its way, so that they are one
/// word.
#[derive(Clone, Debug, Default)]
pub struct RawParams(Option<Arc<Indexed>>);

impl RawParams {
    /// Indexes `params`, which must be UTF-8; `None` means absent.
    ///
    /// # Errors
    /// -32600 if it is no object, or has a routing member twice or in disguise (B4, B5); -32700 if
    /// it is no JSON.
    pub fn parse(bytes: Option<Bytes>) -> Result<Self, EnvelopeError> {
        let Some(bytes) = bytes else {
            return Ok(Self::default());
        };
        if bytes.first() != Some(&b'{') {
            return Err(EnvelopeError::invalid("`params` must be an object"));
        }
        let mut walker = Walker::new(&bytes);
        let mut scan = Scan::default();
        scan.walk(&mut walker)?;
        walker.end()?;
        Self::scanned(bytes, &mut scan)
    }

    /// Parameters that were stepped over.
    ///
    /// # Errors
    /// -32600, as [`parse`](Self::parse).
    pub(crate) fn scanned(bytes: Bytes, scan: &mut Scan) -> Result<Self, EnvelopeError> {
        if let Some(fault) = scan.fault.take() {
            return Err(*fault);
        }
        if u32::try_from(bytes.len()).is_err() {
            return Err(EnvelopeError::invalid("`params` are larger than 4 GiB"));
        }
        let index = std::mem::take(&mut scan.index);
        Ok(Self(Some(Arc::new(Indexed::new(bytes, index)))))
    }

    /// Parameters of the router's own making. Anything but an object is as good as none.
    pub fn of<T: serde::Serialize>(value: &T) -> Self {
        Self::parse(Some(RawJson::of(value).into_bytes())).unwrap_or_default()
    }

    /// The whole object; `None` if the sender sent none.
    pub fn json(&self) -> Option<&RawJson> {
        self.0.as_ref().map(|own| own.json())
    }

    pub(crate) const fn is_absent(&self) -> bool {
        self.0.is_none()
    }

    /// Adds the slices of [`json`](Self::json) to `out`, with the change of `_meta` made.
    pub(crate) fn slices(&self, meta: &MetaChange, out: &mut Vec<Bytes>) {
        match (&self.0, meta) {
            (Some(own), meta) => own.slices(self.place("_meta"), meta, out),
            (None, MetaChange::Whole(meta)) => {
                out.push(format!("{{\"_meta\":{}}}", meta.as_str()).into());
            }
            (None, _) => {}
        }
    }

    fn place(&self, member: &str) -> Option<Place> {
        let at = ROUTING.iter().position(|known| *known == member)?;
        self.0.as_ref()?.index.routing[at]
    }

    fn value(&self, place: Option<Place>) -> Option<RawJson> {
        Some(self.0.as_ref()?.value(place?))
    }

    fn text(&self, place: Option<Place>) -> Option<Cow<'_, str>> {
        json::text(self.0.as_ref()?.bytes(place?))
    }

    /// `params.name`, if it is a string.
    pub fn name(&self) -> Option<String> {
        self.name_text().map(Cow::into_owned)
    }

    /// `params.name`, if it is a string; borrowed, unless it was written with escapes.
    pub fn name_text(&self) -> Option<Cow<'_, str>> {
        self.text(self.place("name"))
    }

    /// `params.uri`, if it is a string.
    pub fn uri(&self) -> Option<String> {
        self.uri_text().map(Cow::into_owned)
    }

    /// `params.uri`, if it is a string; borrowed, unless it was written with escapes.
    pub fn uri_text(&self) -> Option<Cow<'_, str>> {
        self.text(self.place("uri"))
    }

    /// `params.cursor` as written. An empty string is a real cursor; any other type is not.
    pub fn cursor(&self) -> Option<RawJson> {
        self.value(self.place("cursor"))
    }

    /// `params.arguments`.
    pub fn arguments(&self) -> Option<RawJson> {
        self.value(self.place("arguments"))
    }

    /// `params._meta`.
    pub fn meta(&self) -> Option<RawJson> {
        self.value(self.place("_meta"))
    }

    /// `params.requestState` as written, of whatever type.
    pub fn request_state(&self) -> Option<RawJson> {
        self.value(self.place("requestState"))
    }

    /// `params.inputResponses` as written, of whatever type.
    pub fn input_responses(&self) -> Option<RawJson> {
        self.value(self.place("inputResponses"))
    }

    /// Whether these are the parameters of a later round: with an answer or a state of one before.
    pub fn is_later_round(&self) -> bool {
        self.place("requestState").is_some() || self.place("inputResponses").is_some()
    }

    /// Whether the call asks to become a task (2025-11-25).
    pub fn has_task(&self) -> bool {
        self.0.as_ref().is_some_and(|own| own.index.task)
    }

    /// One member of `_meta`.
    pub fn meta_value(&self, key: &str) -> Option<RawJson> {
        let own = self.0.as_ref()?;
        match META.iter().position(|known| *known == key) {
            Some(at) => self.value(own.index.meta[at]),
            None => self.meta()?.get(key),
        }
    }

    /// Whether `_meta` has any of the [`RARE`] members.
    pub(crate) fn has_rare_meta(&self) -> bool {
        self.0.as_ref().is_some_and(|own| own.index.rare)
    }

    /// The revision that `_meta` names, as text.
    pub fn protocol_version(&self) -> Option<String> {
        self.meta_value(meta::PROTOCOL_VERSION)?.read_owned().ok()
    }

    /// The revision that `_meta` names, if it is a known one.
    pub fn revision(&self) -> Option<Revision> {
        self.protocol_version()?.parse().ok()
    }

    /// Any top-level member.
    pub fn get(&self, key: &str) -> Option<RawJson> {
        self.json()?.get(key)
    }

    /// The same parameters with another `name`; every other byte stays.
    #[must_use]
    pub fn with_name(&self, name: &str) -> Self {
        self.with_text(self.place("name"), name)
    }

    /// The same parameters with another `uri`; every other byte stays.
    #[must_use]
    pub fn with_uri(&self, uri: &str) -> Self {
        self.with_text(self.place("uri"), uri)
    }

    fn with_text(&self, place: Option<Place>, text: &str) -> Self {
        let (Some(own), Some(place)) = (&self.0, place) else {
            return self.clone();
        };
        Self(Some(Arc::new(own.rename(place, RawJson::of(text)))))
    }

    /// The same parameters with top-level members set or removed.
    ///
    /// # Errors
    /// None for parameters that were parsed; kept for values that are no JSON.
    pub fn with_members(&self, changes: &[(&str, Option<&[u8]>)]) -> Result<Self, JsonError> {
        let empty = RawJson::from_static("{}");
        let json = json::set_members(self.json().unwrap_or(&empty), changes)?;
        Self::parse(Some(json.into_bytes())).map_err(|e| JsonError::Syntax(e.to_string()))
    }

    /// The same parameters with members of `_meta` set (`Some`) or removed (`None`). A `_meta`
    /// that ends up empty and was not there before is not added.
    ///
    /// # Errors
    /// As [`with_members`](Self::with_members).
    pub fn with_meta(&self, changes: &[(&str, Option<&[u8]>)]) -> Result<Self, JsonError> {
        let old = self.meta();
        if old.is_none() && changes.iter().all(|(_, v)| v.is_none()) {
            return Ok(self.clone());
        }
        let base = old.clone().unwrap_or_else(|| RawJson::from_static("{}"));
        let new = json::set_members(&base, changes)?;
        if old.as_ref() == Some(&new) {
            return Ok(self.clone());
        }
        self.with_members(&[("_meta", Some(new.bytes()))])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn params(text: &str) -> RawParams {
        RawParams::parse(Some(Bytes::copy_from_slice(text.as_bytes()))).unwrap()
    }

    #[test]
    fn r19_a_name_is_replaced_and_nothing_else() {
        let p = params(r#"{ "_meta":{"a":1}, "name" : "ns.tool","arguments":{"x": 1.0} }"#);
        let p = p.with_name("tool");
        assert_eq!(
            p.json().unwrap().as_str(),
            r#"{ "_meta":{"a":1}, "name" : "tool","arguments":{"x": 1.0} }"#
        );
        assert_eq!(p.arguments().unwrap().as_str(), r#"{"x": 1.0}"#);
        assert_eq!(
            p.with_name("longer.name").arguments().unwrap().as_str(),
            r#"{"x": 1.0}"#
        );
    }

    #[test]
    fn r27_unknown_meta_keys_stay() {
        let p = params(r#"{"_meta":{"progressToken":7,"x/y":{"z": 1}}}"#);
        let p = p
            .with_meta(&[(meta::PROGRESS_TOKEN, None), ("k", Some(b"2"))])
            .unwrap();
        assert_eq!(
            p.json().unwrap().as_str(),
            r#"{"_meta":{"k":2,"x/y":{"z": 1}}}"#
        );
        let none = RawParams::default();
        assert!(none.with_meta(&[("k", None)]).unwrap().json().is_none());
        let some = none.with_meta(&[("k", Some(b"1"))]).unwrap();
        assert_eq!(some.json().unwrap().as_str(), r#"{"_meta":{"k":1}}"#);
    }

    #[test]
    fn later_rounds_are_told_by_their_members() {
        let p = params(r#"{"name":"t","requestState":"\u0041","inputResponses":{"k":1}}"#);
        let p = p.with_name("a longer one");
        assert!(p.is_later_round());
        assert_eq!(p.request_state().unwrap().as_str(), r#""\u0041""#);
        assert_eq!(p.input_responses().unwrap().as_str(), r#"{"k":1}"#);
        assert!(!params(r#"{"name":"t"}"#).is_later_round());
        let twice = br#"{"requestState":"a","requestState":"b"}"#;
        assert!(RawParams::parse(Some(Bytes::from_static(twice))).is_err());
    }

    #[test]
    fn an_empty_cursor_is_a_cursor() {
        assert_eq!(
            params(r#"{"cursor":""}"#).cursor().unwrap().as_str(),
            "\"\""
        );
        assert!(params("{}").cursor().is_none());
    }
}
