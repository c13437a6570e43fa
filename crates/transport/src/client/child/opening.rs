//! How the conversation with a child begins: which era it is of.

use std::sync::Arc;

use mcp_router_protocol::Revision;
use mcp_router_service::{CallError, Reason, Sent};
use tokio::time::timeout;

use super::ChildParams;
use super::conn::{Conn, Peer};
use crate::client::dialect::Dialect;
use crate::client::handshake::{self, Probed, no_common_version};
use crate::client::owner::Owner;

/// The name of the transport, for people.
const TRANSPORT: &str = "stdio";

/// With what a conversation is opened.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Opening {
    /// `server/discover`, then `initialize`.
    Probe,
    /// `initialize` alone, for a child that dies of anything else.
    Initialize,
}

impl Opening {
    /// With what to try after a failure.
    pub(super) fn after(self, reason: Reason) -> Self {
        match reason {
            // R46: it died of the question. It may live with the other one.
            Reason::BackendLost => Self::Initialize,
            Reason::Timeout => Self::Probe,
            _ => self,
        }
    }
}

impl Conn {
    /// Finds the era and opens the conversation.
    pub(super) async fn handshake(
        self: &Arc<Self>,
        params: &ChildParams,
        owner: &Owner,
        opening: Opening,
    ) -> Result<Peer, CallError> {
        if opening == Opening::Probe
            && let Ok(probed) = timeout(params.probe_timeout, self.discover(params)).await
            && let Some(peer) = probed?
        {
            return Ok(peer);
        }
        match self.initialize(params, owner).await {
            // Neither silence nor death: it may want to be asked the modern way after all.
            Err(error) if error.reason == Reason::ProtocolError => {
                let probed = timeout(params.probe_timeout, self.discover(params)).await;
                probed.ok().transpose()?.flatten().ok_or(error)
            }
            other => other,
        }
    }

    /// A modern peer; `None` if it is none.
    async fn discover(self: &Arc<Self>, params: &ChildParams) -> Result<Option<Peer>, CallError> {
        let (id, identity) = (self.next_id(), params.identity.json());
        let answer = self.ask(id, handshake::discover(id, &identity)?);
        let answer = answer.await?;
        match handshake::read_discover(&answer, TRANSPORT) {
            Probed::Modern(info) => Ok(Some(Peer {
                logs: false,
                conn: self.clone(),
                dialect: Dialect::new(Revision::NEWEST_MODERN, identity),
                info,
            })),
            Probed::Legacy => Ok(None),
            Probed::NoCommonVersion => Err(no_common_version()),
        }
    }

    async fn initialize(
        self: &Arc<Self>,
        params: &ChildParams,
        owner: &Owner,
    ) -> Result<Peer, CallError> {
        let (id, identity) = (self.next_id(), params.identity.json());
        let initialize = handshake::initialize(id, &owner.declared, &owner.info);
        let answer = timeout(params.handshake_timeout, self.ask(id, initialize));
        let answer = answer
            .await
            .map_err(|_| CallError::new(Reason::Timeout, Sent::No).detail("at `initialize`"))??;
        let (revision, info) = handshake::read_initialize(answer, TRANSPORT)?;
        self.mux.asks().speak(revision, None);
        self.tell(handshake::initialized())?;
        Ok(Peer {
            logs: info.can("logging"),
            conn: self.clone(),
            dialect: Dialect::new(revision, identity),
            info,
        })
    }
}
