//! How the URIs of a backend are spelled for clients.

use std::sync::Arc;

use mcp_router_protocol::{ItemKind, Namespace, RawJson, uri};
use mcp_router_service::{Event, McpResponse, Outcome, ResponseStream};

use crate::backend::Cell;

/// How resource URIs in answers are spelled for clients.
#[derive(Clone, Debug)]
pub(crate) struct Uris {
    namespace: Option<Namespace>,
    /// A URI of the backend's, and the client's own spelling of it (R20: echoed as asked).
    asked: Option<(String, String)>,
}

impl Uris {
    pub(crate) fn new(cell: &Cell, namespaces: bool) -> Self {
        let namespace = cell.meta.namespace.clone().filter(|_| namespaces);
        Self {
            namespace,
            asked: None,
        }
    }

    pub(crate) fn asked(mut self, own: &str, client: &str) -> Self {
        self.asked = Some((own.to_owned(), client.to_owned()));
        self
    }

    fn rewrite(&self, result: &RawJson) -> RawJson {
        if self.namespace.is_none() {
            return result.clone();
        }
        mcp_router_protocol::result::rewrite_uris(result, |own| match &self.asked {
            Some((asked, client)) if asked == own => Some(client.clone()),
            _ => Some(uri::expose(self.namespace.as_ref(), own)),
        })
    }

    fn outcome(&self, outcome: Outcome) -> Outcome {
        match outcome {
            Outcome::Complete(result) => Outcome::Complete(self.rewrite(&result)),
            other => other,
        }
    }

    /// The answer with every resource URI as clients know it.
    pub(crate) fn answer(self, answer: McpResponse) -> McpResponse {
        use futures::StreamExt;
        match answer {
            McpResponse::Ready(outcome) => McpResponse::Ready(self.outcome(outcome)),
            McpResponse::Stream(stream) if self.namespace.is_some() => {
                let mapped = stream.map(move |event| {
                    Ok(match event? {
                        Event::Outcome(outcome) => Event::Outcome(self.outcome(outcome)),
                        other => other,
                    })
                });
                McpResponse::Stream(ResponseStream::new(mapped))
            }
            stream @ McpResponse::Stream(_) => stream,
        }
    }
}

/// Whether any backend of the namespace could offer items of this kind, by what it declares.
pub(crate) fn offers(cell: &Arc<Cell>, kind: ItemKind) -> bool {
    let live = cell.live.load();
    cell.service.is_some() && (live.info.capabilities.is_none() || live.info.can(kind.capability()))
}
