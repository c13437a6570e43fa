//! The JSON-RPC envelope: parsed once, strictly, for what routing needs.

use std::borrow::Cow;
use std::fmt;

use crate::code;
use crate::json::{self, JsonError, RawJson, Span, is_variant_of};
use crate::method::Method;
use crate::noted::Notes;
use crate::params::{MetaChange, RawParams, Scan};
use crate::walk::Walker;
use bytes::Bytes;

/// Longest request id accepted, as text on the wire (B7).
pub const MAX_ID_LEN: usize = 1024;

/// A request id: a string or an integer, kept as it was written, so that it returns with its
/// JSON type and value (R21).
#[derive(Clone, Eq, Hash, PartialEq)]
pub struct RequestId(Bytes);

impl RequestId {
    /// Checks the JSON text of an id.
    ///
    /// # Errors
    /// If it is no string of at most 1 KiB and no integer that fits 64 bits.
    pub fn parse(text: &Bytes) -> Result<Self, EnvelopeError> {
        Self::checked(text.clone())
    }

    fn checked(text: Bytes) -> Result<Self, EnvelopeError> {
        let bad = || EnvelopeError::invalid("id must be a string or an integer of 64 bits");
        if text.len() > MAX_ID_LEN {
            return Err(EnvelopeError::invalid("id is longer than 1 KiB"));
        }
        match text.first() {
            Some(b'"') => {}
            _ => {
                let digits = std::str::from_utf8(&text).map_err(|_| bad())?;
                digits.parse::<i64>().map_err(|_| bad())?;
            }
        }
        Ok(Self(text))
    }

    /// An id of the router's own, as an integer.
    pub fn number(n: u64) -> Self {
        Self(n.to_string().into())
    }

    /// An id of the router's own, as a string.
    pub fn string(text: &str) -> Self {
        Self(RawJson::of(text).into_bytes())
    }

    /// The id as JSON text.
    pub const fn json(&self) -> &Bytes {
        &self.0
    }

    /// The number, if the id is one that is not negative.
    pub fn as_number(&self) -> Option<u64> {
        std::str::from_utf8(&self.0).ok()?.parse().ok()
    }

    /// The text, if the id is a string.
    pub fn as_text(&self) -> Option<String> {
        serde_json::from_slice(&self.0).ok()
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(std::str::from_utf8(&self.0).unwrap_or_default())
    }
}

impl fmt::Debug for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RequestId({self})")
    }
}

/// A JSON-RPC error, as the bytes it was or as the router made it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ErrorObject {
    code: i64,
    raw: RawJson,
}

impl ErrorObject {
    /// An error of the router's own.
    pub fn new(code: i64, message: impl AsRef<str>) -> Self {
        Self::with_data(code, message, None)
    }

    /// An error with `data`.
    pub fn with_data(code: i64, message: impl AsRef<str>, data: Option<&RawJson>) -> Self {
        let message = RawJson::of(message.as_ref());
        let mut raw = format!("{{\"code\":{code},\"message\":{}", message.as_str());
        if let Some(data) = data {
            raw.push_str(",\"data\":");
            raw.push_str(data.as_str());
        }
        raw.push('}');
        Self {
            code,
            raw: RawJson::from_checked(raw.into()),
        }
    }

    /// Takes a peer's error object.
    ///
    /// # Errors
    /// If it is no object with an integer `code`.
    pub fn from_raw(raw: RawJson) -> Result<Self, JsonError> {
        let code = raw
            .get("code")
            .ok_or(JsonError::Type("an error object with a code"))?;
        Ok(Self {
            code: code.read()?,
            raw,
        })
    }

    /// The error code.
    pub const fn code(&self) -> i64 {
        self.code
    }

    /// The message, empty if the peer sent none.
    pub fn message(&self) -> String {
        self.raw.get_str("message").unwrap_or_default()
    }

    /// The `data` member.
    pub fn data(&self) -> Option<RawJson> {
        self.raw.get("data")
    }

    /// The whole object.
    pub const fn raw(&self) -> &RawJson {
        &self.raw
    }

    /// The same error under another code (-32002 and -32602 differ by era, R30).
    #[must_use]
    pub fn with_code(&self, code: i64) -> Self {
        let text = code.to_string();
        let raw = json::set_members(&self.raw, &[("code", Some(text.as_bytes()))]);
        Self {
            code,
            raw: raw.unwrap_or_else(|_| self.raw.clone()),
        }
    }
}

/// One JSON-RPC message.
#[derive(Clone, Debug)]
pub enum Message {
    /// Has an id and a method: wants one answer.
    Request {
        /// The sender's id.
        id: RequestId,
        /// What is asked.
        method: Method,
        /// With what.
        params: RawParams,
    },
    /// Has a method and no id: wants none.
    Notification {
        /// What happened.
        method: Method,
        /// With what.
        params: RawParams,
    },
    /// Answers a request.
    Response {
        /// The id of the request. Absent in errors about requests whose id could not be read.
        id: Option<RequestId>,
        /// The result or the error.
        answer: Result<RawJson, ErrorObject>,
    },
}

/// Why a message was refused, with the answer it gets.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{message}")]
pub struct EnvelopeError {
    /// -32700 or -32600.
    pub code: i64,
    /// What is wrong, for the sender.
    pub message: Cow<'static, str>,
    /// The request's id, where it could be read and is acceptable.
    pub id: Option<RequestId>,
}

impl EnvelopeError {
    /// An acceptable JSON text that is no acceptable message.
    pub fn invalid(message: impl Into<Cow<'static, str>>) -> Self {
        Self {
            code: code::INVALID_REQUEST,
            message: message.into(),
            id: None,
        }
    }

    /// As an error to answer with.
    pub fn error_object(&self) -> ErrorObject {
        ErrorObject::new(self.code, &self.message)
    }
}

impl From<JsonError> for EnvelopeError {
    fn from(error: JsonError) -> Self {
        match error {
            JsonError::Ambiguous(_) | JsonError::Type(_) => Self::invalid(error.to_string()),
            _ => Self {
                code: code::PARSE_ERROR,
                message: error.to_string().into(),
                id: None,
            },
        }
    }
}

impl Message {
    /// Parses one message: UTF-8, depth, grammar, then the envelope's own rules (B1-B7).
    ///
    /// # Errors
    /// -32700 for what is no JSON, -32600 for what is no message.
    pub fn parse(bytes: &Bytes) -> Result<Self, EnvelopeError> {
        match first_byte(bytes) {
            Some(b'{') => {
                let mut envelope = Envelope::default();
                json::checked(bytes, |walker| envelope.scan(walker))?;
                envelope.message(bytes)
            }
            Some(b'[') => {
                json::checked(bytes, json::elements_at)?;
                Err(EnvelopeError::invalid(
                    "arrays of messages are not accepted here",
                ))
            }
            _ => {
                RawJson::parse(bytes.clone())?;
                Err(EnvelopeError::invalid("a message is a JSON object"))
            }
        }
    }

    /// Whether a body is an array. Only 2025-03-26 has them (R11).
    pub fn is_batch(bytes: &[u8]) -> bool {
        first_byte(bytes) == Some(b'[')
    }

    /// Splits a batch into the texts of its messages, at most `limit` of them.
    ///
    /// # Errors
    /// -32700 for what is no JSON, -32600 for an empty or too long array.
    pub fn split_batch(bytes: &Bytes, limit: usize) -> Result<Vec<Bytes>, EnvelopeError> {
        let spans = json::checked(bytes, json::elements_at)?;
        if spans.is_empty() || spans.len() > limit {
            let why = format!("a batch holds 1 to {limit} messages");
            return Err(EnvelopeError::invalid(why));
        }
        Ok(spans.into_iter().map(|s| bytes.slice(s)).collect())
    }
}

fn first_byte(bytes: &[u8]) -> Option<u8> {
    Walker::new(bytes).next().1
}

/// The places of an envelope's members. It is large, and filled where it stands.
#[derive(Default)]
struct Envelope {
    jsonrpc: Option<Span>,
    id: Option<Span>,
    method: Option<Span>,
    params: Option<Span>,
    result: Option<Span>,
    error: Option<Span>,
    /// What is in `params`.
    scan: Option<Scan>,
    /// What is in `result`.
    notes: Notes,
    fault: Option<JsonError>,
}

const KNOWN: [&str; 6] = ["jsonrpc", "id", "method", "params", "result", "error"];

/// What a message says, apart from its id.
enum Said {
    Call(Method, RawParams),
    Answer(Result<RawJson, ErrorObject>),
}

impl Envelope {
    fn scan(&mut self, walker: &mut Walker<'_>) -> Result<(), JsonError> {
        walker.object(|walker, key| {
            let (start, first) = walker.next();
            match (&*key, first) {
                (b"params", Some(b'{')) => {
                    // Of several, which are refused in the end, the last.
                    self.scan = None;
                    self.scan.get_or_insert_default().walk(walker)?;
                }
                (b"result", Some(b'{')) => self.notes = Notes::of(walker)?,
                _ => {
                    walker.value()?;
                }
            }
            self.note(&key, start..walker.at());
            Ok(())
        })
    }

    /// B4, B5.
    fn note(&mut self, key: &[u8], span: Span) {
        let ambiguous = match self.slot(key) {
            Some(slot) => slot.replace(span).is_some(),
            None => is_variant_of(key, &KNOWN),
        };
        if ambiguous {
            self.fault = Some(JsonError::ambiguous(key));
        }
    }

    fn slot(&mut self, key: &[u8]) -> Option<&mut Option<Span>> {
        Some(match key {
            b"jsonrpc" => &mut self.jsonrpc,
            b"id" => &mut self.id,
            b"method" => &mut self.method,
            b"params" => &mut self.params,
            b"result" => &mut self.result,
            b"error" => &mut self.error,
            _ => return None,
        })
    }

    fn message(&mut self, bytes: &Bytes) -> Result<Message, EnvelopeError> {
        if let Some(fault) = self.fault.take() {
            return Err(fault.into());
        }
        let id = match self.id.take() {
            None => None,
            // Only an error about an unreadable request has a null id.
            Some(span) if self.error.is_some() && &bytes[span.clone()] == b"null" => None,
            Some(span) => Some(RequestId::checked(bytes.slice(span))?),
        };
        Ok(match (self.said(bytes, id.is_some()), id) {
            (Err(error), id) => return Err(EnvelopeError { id, ..error }),
            (Ok(Said::Answer(answer)), id) => Message::Response { id, answer },
            (Ok(Said::Call(method, params)), Some(id)) => Message::Request { id, method, params },
            (Ok(Said::Call(method, params)), None) => Message::Notification { method, params },
        })
    }

    fn said(&mut self, bytes: &Bytes, has_id: bool) -> Result<Said, EnvelopeError> {
        let invalid = |why: &'static str| Err(EnvelopeError::invalid(why));
        if self.jsonrpc.take().is_none_or(|s| &bytes[s] != br#""2.0""#) {
            return invalid("`jsonrpc` must be \"2.0\"");
        }
        match (self.method.take(), self.result.take(), self.error.take()) {
            (Some(method), None, None) => {
                let Some(method) = json::text(&bytes[method]) else {
                    return invalid("`method` must be a string");
                };
                let method = Method::from(&*method);
                let params = match (self.params.take(), &mut self.scan) {
                    (None, _) => RawParams::default(),
                    (Some(span), Some(scan)) => RawParams::scanned(bytes.slice(span), scan)?,
                    (Some(_), None) => return invalid("`params` must be an object"),
                };
                Ok(Said::Call(method, params))
            }
            (None, Some(span), None) if has_id => {
                let result = RawJson::noted(bytes.slice(span), self.notes);
                Ok(Said::Answer(Ok(result)))
            }
            (None, None, Some(span)) => {
                let raw = RawJson::from_checked(bytes.slice(span));
                let error = ErrorObject::from_raw(raw)
                    .map_err(|_| EnvelopeError::invalid("`error` is no error object"))?;
                Ok(Said::Answer(Err(error)))
            }
            _ => invalid("a message has a method, a result or an error, and only one of them"),
        }
    }
}

/// The slices of a request, to be written one after the other: nothing of the payload is copied.
pub fn request_parts(id: &RequestId, method: &Method, params: &RawParams) -> Vec<Bytes> {
    request_parts_with(id, method, params, &MetaChange::None)
}

/// The same with a change of `_meta`.
pub fn request_parts_with(
    id: &RequestId,
    method: &Method,
    params: &RawParams,
    meta: &MetaChange,
) -> Vec<Bytes> {
    let head: [&[u8]; 3] = [br#"{"jsonrpc":"2.0","id":"#, id.json(), b","];
    with_method(&head, method, params, meta)
}

/// The slices of a notification.
pub fn notification_parts(method: &Method, params: &RawParams) -> Vec<Bytes> {
    let head: [&[u8]; 3] = [br#"{"jsonrpc":"2.0","#, b"", b""];
    with_method(&head, method, params, &MetaChange::None)
}

fn with_method(
    head: &[&[u8]; 3],
    method: &Method,
    params: &RawParams,
    meta: &MetaChange,
) -> Vec<Bytes> {
    let escaped;
    let method = match method {
        Method::Other(text) => {
            escaped = RawJson::of(&**text);
            let inner = escaped.as_str().strip_prefix('"');
            inner.and_then(|t| t.strip_suffix('"')).unwrap_or_default()
        }
        known => known.as_str(),
    };
    let [head, id, comma] = *head;
    let bare = params.is_absent() && !matches!(meta, MetaChange::Whole(_));
    let end: &[u8] = match bare {
        true => br#""}"#,
        false => br#"","params":"#,
    };
    // In one go, so that it is exactly as long as it needs to be.
    let head = [head, id, comma, br#""method":""#, method.as_bytes(), end].concat();
    if bare {
        return vec![head.into()];
    }
    // Two changes make five slices of the parameters.
    let mut parts = Vec::with_capacity(7);
    parts.push(head.into());
    params.slices(meta, &mut parts);
    parts.push(CLOSE);
    parts
}

const CLOSE: Bytes = Bytes::from_static(b"}");

/// The slices of an answer.
pub fn response_parts(
    id: Option<&RequestId>,
    answer: Result<&RawJson, &ErrorObject>,
) -> Vec<Bytes> {
    let (member, payload) = match answer {
        Ok(result) => (&br#","result":"#[..], result.bytes()),
        Err(error) => (&br#","error":"#[..], error.raw().bytes()),
    };
    let (key, id): (&[u8], &[u8]) = match id {
        Some(id) => (br#","id":"#, id.json()),
        None => (b"", b""),
    };
    let head = [br#"{"jsonrpc":"2.0""#, key, id, member].concat();
    vec![head.into(), payload.clone(), CLOSE]
}

/// The slices of an answer whose result is written as `front` and what follows in `rest`.
pub fn result_parts(
    id: &RequestId,
    front: &[u8],
    rest: impl IntoIterator<Item = Bytes, IntoIter: ExactSizeIterator>,
) -> Vec<Bytes> {
    let head = [
        br#"{"jsonrpc":"2.0","id":"#,
        &id.json()[..],
        br#","result":"#,
        front,
    ]
    .concat();
    let rest = rest.into_iter();
    let mut parts = Vec::with_capacity(rest.len() + 2);
    parts.push(head.into());
    parts.extend(rest);
    parts.push(CLOSE);
    parts
}

/// The slices as one buffer, for transports that frame whole messages.
pub fn join(parts: &[Bytes]) -> Bytes {
    match parts {
        [one] => one.clone(),
        many => many.concat().into(),
    }
}

#[cfg(test)]
mod tests;
