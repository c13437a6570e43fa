//! How the URIs of a backend are spelled for clients.

use std::sync::Arc;

use mcp_router_protocol::result::rewrite_uris;
use mcp_router_protocol::{ItemKind, Namespace, RawJson, uri};
use mcp_router_service::{CallError, Event, McpResponse, Outcome, Principal, ResponseStream};

use super::read::owners;
use super::tasks::Tasks;
use crate::backend::Cell;
use crate::hub::Hub;

/// How resource URIs in answers are spelled for clients.
#[derive(Clone, Debug)]
pub(crate) struct Uris {
    namespace: Option<Namespace>,
    /// Where addresses carry no namespaces.
    links: Option<Linking>,
    /// A URI of the backend's, and the client's own spelling of it (R20: echoed as asked).
    asked: Option<(String, String)>,
    /// Whose task a call may become.
    task: Option<(Tasks, Arc<Cell>)>,
}

/// The links in an answer of a backend, to be found again without namespaces.
#[derive(Clone, Debug)]
struct Linking {
    hub: Arc<Hub>,
    cell: Arc<Cell>,
    principal: Principal,
}

impl Linking {
    /// The spelling of a link, if it needs one of its own: whoever else has something under the
    /// address would be asked for it. One that nobody has is remembered.
    fn spell(&self, own: &str) -> Option<String> {
        let snapshot = self.hub.snapshot.load();
        let number = self.cell.id;
        match owners(&snapshot, own) {
            Some((choices, _)) if choices.iter().any(|c| c.cell.id == number) => None,
            Some(_) => {
                let namespace = self.cell.meta.namespace.as_ref()?;
                Some(uri::expose(Some(namespace), own))
            }
            None => {
                self.hub.links.note(&self.principal, own, number);
                None
            }
        }
    }
}

impl Uris {
    /// For an answer of this backend to this caller; `prefixed` if addresses carry namespaces.
    pub(crate) fn new(
        hub: &Arc<Hub>,
        prefixed: bool,
        cell: &Arc<Cell>,
        principal: &Principal,
    ) -> Self {
        let linking = || Linking {
            hub: hub.clone(),
            cell: cell.clone(),
            principal: principal.clone(),
        };
        Self {
            namespace: cell.meta.namespace.clone().filter(|_| prefixed),
            links: (!prefixed).then(linking),
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
        if self.namespace.is_none() && self.links.is_none() {
            return result.clone();
        }
        rewrite_uris(result, |own| match (&self.asked, &self.links) {
            (Some((asked, client)), _) if asked == own => Some(client.clone()),
            (_, Some(links)) => links.spell(own),
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
            McpResponse::Stream(stream) => {
                let mapped = stream.map(move |event| {
                    Ok(match event? {
                        Event::Outcome(outcome) => Event::Outcome(self.outcome(outcome)?),
                        other => other,
                    })
                });
                McpResponse::Stream(ResponseStream::new(mapped))
            }
        })
    }
}

/// Whether any backend of the namespace could offer items of this kind, by what it declares.
pub(crate) fn offers(cell: &Arc<Cell>, kind: ItemKind) -> bool {
    let live = cell.live.load();
    cell.service.is_some() && (live.info.capabilities.is_none() || live.info.can(kind.capability()))
}
