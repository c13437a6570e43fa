//! One conversation with a legacy backend, over either transport of that era.

use std::sync::Arc;

use mcp_router_service::{BackendInfo, CallError, McpRequest, McpResponse};

use super::channel::Channel;
use super::edge::{Edge, Failed};
use super::session::Session;
use crate::client::mux::Mux;
use crate::client::owner::Owner;

/// One conversation, over either transport of the legacy era.
#[derive(Clone, Debug)]
pub(super) enum Lane {
    Session(Arc<Session>),
    Channel(Arc<Channel>),
}

impl Lane {
    /// Opens another conversation like this one, for somebody else.
    ///
    /// # Errors
    /// If the backend does not greet.
    pub(super) async fn open_like(&self, edge: &Arc<Edge>, owner: Owner) -> Result<Self, Failed> {
        match self {
            Self::Session(like) => {
                let (session, _) = Session::open(edge, like.url(), owner).await?;
                Ok(Self::Session(session))
            }
            Self::Channel(like) => {
                let (channel, _) = Channel::open(edge, like.url(), owner).await?;
                Ok(Self::Channel(channel))
            }
        }
    }

    pub(super) async fn call(
        &self,
        edge: &Arc<Edge>,
        request: McpRequest,
    ) -> Result<McpResponse, CallError> {
        match self {
            Self::Session(session) => session.call(edge, request).await,
            Self::Channel(channel) => channel.call(edge, request).await,
        }
    }

    pub(super) async fn notify(
        &self,
        edge: &Arc<Edge>,
        request: &McpRequest,
    ) -> Result<McpResponse, CallError> {
        match self {
            Self::Session(session) => session.notify(edge, request).await,
            Self::Channel(channel) => channel.notify(edge, request).await,
        }
    }

    pub(super) async fn describe(
        &self,
        edge: &Arc<Edge>,
        info: &BackendInfo,
    ) -> Result<McpResponse, CallError> {
        match self {
            Self::Session(session) => session.describe(edge, info).await,
            Self::Channel(channel) => channel.describe(edge, info).await,
        }
    }

    /// Whether calls here have a chance: the conversation goes on, or heals itself, and is one
    /// like `other`, which was made since.
    pub(super) fn serves_as(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Session(own), Self::Session(other)) => {
                !own.is_lost() && own.url() == other.url()
            }
            (Self::Channel(own), Self::Channel(other)) => {
                !own.is_lost() && own.url() == other.url()
            }
            _ => false,
        }
    }

    pub(super) async fn close(&self, edge: &Arc<Edge>) {
        match self {
            Self::Session(session) => session.close(edge).await,
            Self::Channel(channel) => channel.close(),
        }
    }

    /// Whether the backend can tell one conversation from another, and so remember something in
    /// it.
    pub(super) fn stateful(&self) -> bool {
        match self {
            Self::Session(session) => session.has_id(),
            Self::Channel(_) => true,
        }
    }

    pub(super) fn mux(&self) -> &Arc<Mux> {
        match self {
            Self::Session(session) => &session.mux,
            Self::Channel(channel) => channel.mux(),
        }
    }
}
