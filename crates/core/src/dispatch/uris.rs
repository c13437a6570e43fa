//! How the URIs of a backend are spelled for clients.

use std::sync::Arc;

use mcp_router_protocol::{ItemKind, Namespace, RawJson, uri};
use mcp_router_service::{CallError, Event, McpResponse, Outcome, ResponseStream};

use super::tasks::Tasks;
use crate::backend::Cell;

/// How resource URIs in answers are spelled for clients.
#[derive(Clone, Debug)]
pub(crate) struct Uris {
    namespace: Option<Namespace>,
    /// A URI of the backend's, and the client's own spelling of it (R20: echoed as asked).
    asked: Option<(String, String)>,
    /// Whose task a call may become.
    task: Option<(Tasks, Arc<Cell>)>,
}

impl Uris {
    pub(crate) fn new(cell: &Cell, namespaces: bool) -> Self {
        let namespace = cell.meta.namespace.clone().filter(|_| namespaces);
        Self {
            namespace,
            asked: None,
            task: None,
        }
    }

    /// The answer of a call that may become a task.
    pub(super) fn with_tasks(mut self, tasks: Tasks, cell: &Arc<Cell>) -> Self {
        self.task = Some((tasks, cell.clone()));
        self
    }

    pub(crate) fn asked(mut self, own: &str, client: &str) -> Self {
        self.asked = Some((own.to_owned(), client.to_owned()));
        self
    }

    pub(super) fn rewrite(&self, result: &RawJson) -> RawJson {
        if self.namespace.is_none() {
            return result.clone();
        }
        mcp_router_protocol::result::rewrite_uris(result, |own| match &self.asked {
            Some((asked, client)) if asked == own => Some(client.clone()),
            _ => Some(uri::expose(self.namespace.as_ref(), own)),
        })
    }

    fn outcome(&self, outcome: Outcome) -> Result<Outcome, CallError> {
        Ok(match (outcome, &self.task) {
            (Outcome::Complete(result), _) => Outcome::Complete(self.rewrite(&result)),
            (Outcome::InputRequired(interim), Some((tasks, cell))) => {
                let outcome = tasks.outcome(interim, cell);
                outcome.map_err(|e| e.on(&cell.meta.name))?
            }
            (other, _) => other,
        })
    }

    /// The answer with every resource URI, and the id of a task, as clients know it.
    ///
    /// # Errors
    /// If it is no answer for this client.
    pub(crate) fn answer(self, answer: McpResponse) -> Result<McpResponse, CallError> {
        use futures::StreamExt;
        Ok(match answer {
            McpResponse::Ready(outcome) => McpResponse::Ready(self.outcome(outcome)?),
            McpResponse::Stream(stream) if self.namespace.is_some() || self.task.is_some() => {
                let mapped = stream.map(move |event| {
                    Ok(match event? {
                        Event::Outcome(outcome) => Event::Outcome(self.outcome(outcome)?),
                        other => other,
                    })
                });
                McpResponse::Stream(ResponseStream::new(mapped))
            }
            stream @ McpResponse::Stream(_) => stream,
        })
    }
}

/// Whether any backend of the namespace could offer items of this kind, by what it declares.
pub(crate) fn offers(cell: &Arc<Cell>, kind: ItemKind) -> bool {
    let live = cell.live.load();
    cell.service.is_some() && (live.info.capabilities.is_none() || live.info.can(kind.capability()))
}
