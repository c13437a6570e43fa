//! Session ids that carry their session.
//!
//! What any replica needs to serve the session stands in its id, sealed for the principal it was
//! opened by. An id that was altered, is another principal's or was sealed by somebody else does
//! not open, and then nothing tells why.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use mcp_router_protocol::{RawJson, Revision};
use mcp_router_service::seal::Sealer;
use mcp_router_service::{ClientProfile, Principal};

use crate::server::peer::Hello;

/// Longest id sealed or opened. What a client says of itself may be longer; then the session lives
/// in one process.
pub(super) const MAX_LEN: usize = 4096;
/// How far apart the clocks of replicas may be, seconds.
pub(super) const LEEWAY: u64 = 60;
const FORMAT: u8 = 1;

/// What an id carries.
#[derive(Clone, Debug)]
pub(super) struct Content {
    pub(super) hello: Hello,
    /// The session's name among the router's own parts, the same on every replica.
    pub(super) serial: Arc<str>,
    /// Upstream sessions, by key.
    pub(super) carried: Vec<(Arc<str>, Arc<str>)>,
    /// When the id was made and until when it is good, in seconds since 1970.
    pub(super) issued: u64,
    pub(super) expires: u64,
}

impl Content {
    /// The id; `None` if it would be too long.
    pub(super) fn seal(&self, sealer: &Sealer, principal: &Principal) -> Option<String> {
        let mut out = Writer(vec![FORMAT]);
        out.0.extend_from_slice(&self.issued.to_be_bytes());
        out.0.extend_from_slice(&self.expires.to_be_bytes());
        out.text(self.hello.revision.as_str())?;
        out.text(&self.serial)?;
        let client = &self.hello.client;
        let part = |json: &Option<RawJson>| json.as_ref().map_or("", RawJson::as_str).to_owned();
        out.text(&part(&client.info))?;
        out.text(&part(&client.capabilities))?;
        for (key, upstream) in &self.carried {
            out.text(key)?;
            out.text(upstream)?;
        }
        let id = sealer.seal(&out.0, &bound(principal));
        (id.len() <= MAX_LEN).then_some(id)
    }

    /// What an id carries, if these keys sealed it for `principal` and it is good at `now`.
    pub(super) fn open(id: &str, sealer: &Sealer, principal: &Principal, now: u64) -> Option<Self> {
        if id.len() > MAX_LEN {
            return None;
        }
        let content = Self::read(&sealer.open(id, &bound(principal))?)?;
        let begun = content.issued <= now.saturating_add(LEEWAY);
        let good = now <= content.expires.saturating_add(LEEWAY);
        (begun && good).then_some(content)
    }

    /// How long the session lives from `now` on.
    pub(super) fn left(&self, now: u64) -> Duration {
        let until = self.expires.saturating_add(LEEWAY);
        Duration::from_secs(until.saturating_sub(now))
    }

    fn read(sealed: &[u8]) -> Option<Self> {
        let mut from = Reader(sealed);
        if from.take(1)? != [FORMAT] {
            return None;
        }
        let issued = u64::from_be_bytes(from.take(8)?.try_into().ok()?);
        let expires = u64::from_be_bytes(from.take(8)?.try_into().ok()?);
        let revision: Revision = from.text()?.parse().ok()?;
        let serial = from.text()?.into();
        let mut json = || {
            let text = from.text()?;
            let read = || RawJson::parse(Bytes::copy_from_slice(text.as_bytes())).ok();
            Some((!text.is_empty()).then(read).flatten())
        };
        let client = ClientProfile {
            info: json()?,
            capabilities: json()?,
            takes_input_required: false,
            ..ClientProfile::default()
        };
        let mut carried = Vec::new();
        while !from.0.is_empty() {
            carried.push((from.text()?.into(), from.text()?.into()));
        }
        let hello = Hello {
            revision,
            client: Arc::new(client),
        };
        Some(Self {
            hello,
            serial,
            carried,
            issued,
            expires,
        })
    }
}

/// What the id is sealed for.
fn bound(principal: &Principal) -> Vec<u8> {
    match principal {
        Principal::Anonymous => b"anonymous".to_vec(),
        Principal::Named(name) => [b"named ", name.as_bytes()].concat(),
    }
}

struct Writer(Vec<u8>);

impl Writer {
    fn text(&mut self, text: &str) -> Option<()> {
        let length = u16::try_from(text.len()).ok()?;
        self.0.extend_from_slice(&length.to_be_bytes());
        self.0.extend_from_slice(text.as_bytes());
        Some(())
    }
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, bytes: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(bytes)?;
        self.0 = rest;
        Some(taken)
    }

    fn text(&mut self) -> Option<&'a str> {
        let length = u16::from_be_bytes(self.take(2)?.try_into().ok()?);
        std::str::from_utf8(self.take(length.into())?).ok()
    }
}

#[cfg(test)]
mod tests;
