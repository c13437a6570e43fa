//! What a call that waits for its client's answers leaves in the client's hands.
//!
//! The client brings `requestState` back with the next round, and between the two it is out of the
//! router's sight: it may be altered, kept for days, sent with another call or by somebody else.
//! So it is sealed, and bound to the caller and to what was called (R34); a token that opens is one
//! that this router, or a replica with the same key, gave for this very call.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use mcp_router_protocol::{BackendName, RawJson, json};
use mcp_router_service::seal::{Sealer, digest};
use mcp_router_service::{McpRequest, Pin, Principal};
use serde::{Deserialize, Serialize};

/// How a call goes on.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum State {
    /// At the backend that asked, with the state that it gave, as its own JSON text.
    Backend {
        pin: Option<Pin>,
        state: Option<RawJson>,
    },
    /// From the beginning: the client has done what the backend wanted.
    Afresh,
    /// Where it is: it waits in this replica.
    Parked { replica: String, id: u64 },
}

/// [`State`] as it is written.
#[derive(Deserialize, Serialize)]
struct Written {
    /// Seconds since 1970 after which it is worth nothing.
    until: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pin: Option<(String, String)>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    state: Option<RawJson>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    park: Option<(String, u64)>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    afresh: bool,
}

/// Whom and what a token is for: the caller, the method, and its parameters but for those that
/// differ from round to round.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Bound([u8; 32]);

impl Bound {
    pub(super) fn of(request: &McpRequest) -> Self {
        let who: &[u8] = match &request.context.principal {
            Principal::Anonymous => b"",
            Principal::Named(name) => name.as_bytes(),
        };
        let named = [u8::from(request.context.principal != Principal::Anonymous)];
        let params = request.params.json().map(|p| canonical(p.bytes()));
        let method = request.method.as_str().as_bytes();
        let params = params.as_deref().unwrap_or_default();
        Self(digest([&named[..], who, method, params]))
    }
}

impl State {
    pub(super) fn seal(self, sealer: &Sealer, bound: &Bound, life: Duration) -> String {
        let mut written = Written {
            until: now().saturating_add(life.as_secs()),
            pin: None,
            state: None,
            park: None,
            afresh: false,
        };
        match self {
            Self::Backend { pin, state } => {
                written.pin = pin.map(|p| (p.backend.to_string(), p.endpoint.to_string()));
                written.state = state;
            }
            Self::Afresh => written.afresh = true,
            Self::Parked { replica, id } => written.park = Some((replica, id)),
        }
        sealer.seal(RawJson::of(&written).bytes(), &bound.0)
    }

    /// What a client brought back; `None` unless it was given for this call and is still good.
    pub(super) fn open(sealer: &Sealer, bound: &Bound, token: &str) -> Option<Self> {
        Self::open_at(sealer, bound, token, now())
    }

    fn open_at(sealer: &Sealer, bound: &Bound, token: &str, now: u64) -> Option<Self> {
        let text = sealer.open(token, &bound.0)?;
        let written: Written = serde_json::from_slice(&text).ok()?;
        if written.until < now {
            return None;
        }
        if let Some((replica, id)) = written.park {
            return Some(Self::Parked { replica, id });
        }
        if written.afresh {
            return Some(Self::Afresh);
        }
        let pin = match written.pin {
            None => None,
            Some((backend, endpoint)) => Some(Pin {
                backend: backend.parse::<BackendName>().ok()?,
                endpoint: endpoint.into(),
            }),
        };
        let state = written.state;
        Some(Self::Backend { pin, state })
    }
}

/// Seconds since 1970. Tokens outlive processes, whose own clocks say nothing to each other.
fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.unwrap_or_default().as_secs()
}

/// The parameters in one spelling, so that a client which writes its objects anew for each round,
/// in another order or with other white space, still means the same call.
fn canonical(params: &[u8]) -> Vec<u8> {
    let changing = |key: &str| matches!(key, "_meta" | "inputResponses" | "requestState");
    let mut out = Vec::with_capacity(params.len());
    object(params, |key| !changing(key), &mut out);
    out
}

fn object(text: &[u8], wanted: impl FnMut(&str) -> bool, out: &mut Vec<u8>) {
    let Ok(mut members) = json::members(text, wanted) else {
        return out.extend_from_slice(text);
    };
    members.sort_by(|a, b| a.key.cmp(&b.key));
    out.push(b'{');
    for member in members {
        out.extend_from_slice(RawJson::of(&member.key).bytes());
        out.push(b':');
        value(&text[member.value], out);
        out.push(b',');
    }
    out.push(b'}');
}

fn value(text: &[u8], out: &mut Vec<u8>) {
    match text.first() {
        Some(b'{') => object(text, |_| true, out),
        Some(b'[') => match json::elements(text) {
            Ok(elements) => {
                out.push(b'[');
                for element in elements {
                    value(&text[element], out);
                    out.push(b',');
                }
                out.push(b']');
            }
            Err(_) => out.extend_from_slice(text),
        },
        _ => out.extend_from_slice(text),
    }
}

#[cfg(test)]
mod tests;
