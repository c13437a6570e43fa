//! What speaks at a URL: which transport, which era.
//!
//! The user writes `http://localhost:8001` and expects it to work, whatever server of whatever
//! year listens there. So it is asked, in the order in which a wrong guess costs least, and the
//! finding is remembered for the next connection.

use std::sync::Arc;

use http::{HeaderMap, StatusCode, Uri};
use mcp_router_protocol::Revision;
use mcp_router_service::{BackendInfo, CallError, Reason, Sent};
use tokio::time::timeout;

use super::channel::Channel;
use super::edge::{Edge, Failed};
use super::lane::Lane;
use super::session::{Session, answer};
use super::{HttpTransport, SessionMode, modern, url};
use crate::client::dialect::Dialect;
use crate::client::handshake::{self, Probed, no_common_version};
use crate::client::owner::Owner;

/// The name of the transport, for people.
const TRANSPORT: &str = "streamable_http";
/// Redirects followed, each within the same origin.
const REDIRECTS: usize = 3;

/// A backend that was found and greeted.
#[derive(Debug)]
pub(super) struct Peer {
    pub(super) url: Uri,
    pub(super) info: BackendInfo,
    /// Whether it is of the legacy era and logs: then it has to be told a level.
    pub(super) logs: bool,
    pub(super) dialect: Dialect,
    /// The headers of a call, but for what differs from one to the next.
    pub(super) posting: HeaderMap,
    /// The router's own conversation. Modern backends have none.
    pub(super) lane: Option<Lane>,
}

/// What was found last time, to be tried first.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Finding {
    url: Uri,
    speech: Speech,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Speech {
    Modern,
    Legacy,
    Sse,
}

impl Peer {
    pub(super) fn finding(&self) -> Finding {
        Finding {
            url: self.url.clone(),
            speech: match self.lane {
                None => Speech::Modern,
                Some(Lane::Session(_)) => Speech::Legacy,
                Some(Lane::Channel(_)) => Speech::Sse,
            },
        }
    }

    /// Asks for a sign of life.
    ///
    /// # Errors
    /// If it gives none, or not the one of a backend of its kind.
    pub(super) async fn ask(&self, edge: &Arc<Edge>) -> Result<(), Failed> {
        match &self.lane {
            None => match probe(edge, &self.url).await? {
                Probed::Modern(_) => Ok(()),
                _ => Err(no_common_version().into()),
            },
            Some(Lane::Session(session)) => session.ping(edge).await,
            Some(Lane::Channel(channel)) => Ok(channel.ping(edge).await?),
        }
    }

    /// Whether the backend is still there, and still what it was.
    ///
    /// # Errors
    /// If it cannot be reached, or something else answers in its place.
    pub(super) async fn verify(&self, edge: &Arc<Edge>) -> Result<(), CallError> {
        let failed = match timeout(edge.params.handshake_timeout, self.ask(edge)).await {
            // Silence is no proof: a call's own timeout judges that.
            Ok(Ok(())) | Err(_) => return Ok(()),
            Ok(Err(failed)) => failed,
        };
        match failed.status.map(|s| s.as_u16()) {
            Some(404 | 405) => Err(failed.error),
            // Something is there. What it says of calls, it says to calls.
            Some(_) => Ok(()),
            // Nor is it lost because we have no connection for it.
            None if matches!(
                failed.error.reason,
                Reason::BackendLost | Reason::Overloaded
            ) =>
            {
                Ok(())
            }
            None => Err(failed.error),
        }
    }
}

/// Finds out what speaks at the backend's URL and greets it.
///
/// # Errors
/// The most telling failure; nothing that was sent can have had an effect.
pub(super) async fn negotiate(
    edge: &Arc<Edge>,
    remembered: Option<&Finding>,
) -> Result<Peer, CallError> {
    if let Some(finding) = remembered {
        match greet(edge, finding).await {
            Ok(peer) => return Ok(peer),
            Err(failed) if !worth_another_try(&failed) => return Err(failed.error),
            Err(_) => {}
        }
    }
    let base = matches!(edge.params.url.path(), "" | "/");
    let given = &edge.params.url;
    let place = |path: &str| {
        let url = if base {
            url::with_path(given, path)
        } else {
            None
        };
        url.unwrap_or_else(|| given.clone())
    };
    let streamable = match edge.params.transport {
        HttpTransport::Sse => return Ok(open_sse(edge, &place("/sse")).await?),
        HttpTransport::Streamable => return Ok(open_streamable(edge, &place("/mcp")).await?),
        HttpTransport::Auto => open_streamable(edge, &place("/mcp")).await,
    };
    let failed = match streamable {
        Ok(peer) => return Ok(peer),
        Err(failed) => failed,
    };
    if !worth_another_try(&failed) {
        return Err(failed.error);
    }
    match open_sse(edge, &place("/sse")).await {
        Ok(peer) => Ok(peer),
        // Where neither is, what the newer transport said is the better explanation.
        Err(sse) if sse.status.is_some() => Err(failed.error),
        Err(sse) => Err(sse.error),
    }
}

async fn greet(edge: &Arc<Edge>, finding: &Finding) -> Result<Peer, Failed> {
    match finding.speech {
        Speech::Modern => match probe_in_time(edge, &finding.url).await? {
            Probed::Modern(info) => Ok(modern_peer(edge, &finding.url, info)),
            _ => Err(no_common_version().into()),
        },
        Speech::Legacy => open_session(edge, &finding.url).await,
        Speech::Sse => open_sse(edge, &finding.url).await,
    }
}

/// Whether the failure came from what was asked rather than from whom.
fn worth_another_try(failed: &Failed) -> bool {
    match failed.status {
        Some(StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) => false,
        Some(status) => status.is_client_error(),
        None => failed.error.reason == Reason::ProtocolError,
    }
}

/// Streamable HTTP, of whichever era.
async fn open_streamable(edge: &Arc<Edge>, place: &Uri) -> Result<Peer, Failed> {
    let mut place = place.clone();
    for _ in 0..REDIRECTS {
        match probe_in_time(edge, &place).await {
            Ok(Probed::Modern(info)) => return Ok(modern_peer(edge, &place, info)),
            Ok(Probed::Legacy) => {}
            Ok(Probed::NoCommonVersion) => return Err(no_common_version().into()),
            Err(failed) => match (failed.status, failed.moved) {
                (Some(_), Some(moved)) => {
                    place = *moved;
                    continue;
                }
                (Some(StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN), _) => {
                    return Err(Failed {
                        moved: None,
                        ..failed_of(failed.error, failed.status)
                    });
                }
                // Nobody there, or nobody who speaks: initialize would fare no better.
                (None, _) if failed.error.reason == Reason::ConnectFailed => {
                    return Err(failed.error.into());
                }
                _ => {}
            },
        }
        match open_session(edge, &place).await {
            Err(Failed {
                moved: Some(moved), ..
            }) => place = *moved,
            other => return other,
        }
    }
    let error = CallError::new(Reason::BackendStatus, Sent::No);
    Err(error.detail("too many redirects").into())
}

fn failed_of(error: CallError, status: Option<StatusCode>) -> Failed {
    Failed {
        error,
        status,
        moved: None,
    }
}

async fn probe_in_time(edge: &Arc<Edge>, url: &Uri) -> Result<Probed, Failed> {
    let probed = timeout(edge.params.probe_timeout, probe(edge, url)).await;
    // R46: a legacy server may well say nothing to a method it does not know.
    probed.unwrap_or(Ok(Probed::Legacy))
}

async fn probe(edge: &Arc<Edge>, url: &Uri) -> Result<Probed, Failed> {
    let id = edge.next_id();
    let body = handshake::discover(id, &edge.identity)?;
    let headers = modern::discover_headers(&edge.identity);
    let mut messages = edge.ask(url, headers, body, id).await?;
    let answer = answer(&mut messages).await?;
    Ok(handshake::read_discover(&answer, TRANSPORT))
}

fn modern_peer(edge: &Arc<Edge>, url: &Uri, info: BackendInfo) -> Peer {
    let dialect = Dialect::new(Revision::NEWEST_MODERN, edge.identity.clone());
    Peer {
        logs: false,
        url: url.clone(),
        info,
        posting: edge.posting(modern::template(&dialect)),
        dialect,
        lane: None,
    }
}

async fn open_session(edge: &Arc<Edge>, url: &Uri) -> Result<Peer, Failed> {
    let (session, mut info) = Session::open(edge, url, Owner::router(&edge.identity)).await?;
    // Without a session id there is nothing by which it could tell one client from another.
    info.stateful = session.has_id();
    info.attach = info.stateful && edge.params.session == SessionMode::PerClient;
    Ok(legacy_peer(edge, url, info, Lane::Session(session)))
}

async fn open_sse(edge: &Arc<Edge>, url: &Uri) -> Result<Peer, Failed> {
    let (channel, info) = Channel::open(edge, url, Owner::router(&edge.identity)).await?;
    Ok(legacy_peer(edge, url, info, Lane::Channel(channel)))
}

fn legacy_peer(edge: &Arc<Edge>, url: &Uri, info: BackendInfo, lane: Lane) -> Peer {
    Peer {
        logs: info.can("logging"),
        url: url.clone(),
        info,
        // The lane knows its own revision; calls go through it.
        dialect: Dialect::new(Revision::NEWEST_LEGACY, edge.identity.clone()),
        posting: HeaderMap::new(),
        lane: Some(lane),
    }
}
