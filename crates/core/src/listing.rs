//! Everything one backend offers: all pages of all kinds, within bounds.

use std::sync::Arc;
use std::time::{Duration, Instant};

use mcp_router_layers::Endpoint;
use mcp_router_protocol::item::Page;
use mcp_router_protocol::{Item, ItemKind, RawParams, code};
use mcp_router_service::{
    BackendInfo, CallError, Deadline, McpRequest, McpService, Outcome, Reason, RequestContext, Sent,
};
use tower::ServiceExt;

/// Bounds of one list of one backend (F14). A list that breaks one is refused as a whole, and the
/// last good one kept.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    pub(crate) items: usize,
    pub(crate) bytes: usize,
    pub(crate) pages: usize,
    pub(crate) time: Duration,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            items: 10_000,
            bytes: 16 << 20,
            pages: 200,
            time: Duration::from_secs(30),
        }
    }
}

/// Whom to ask for lists, in turn: each endpoint directly, or the service that calls go to.
#[derive(Clone, Debug)]
pub(crate) struct Sources {
    service: McpService,
    direct: Vec<(Endpoint, McpService)>,
}

impl Sources {
    pub(crate) fn new(service: McpService, direct: Vec<(Endpoint, McpService)>) -> Self {
        Self { service, direct }
    }

    /// The service that calls go to.
    pub(crate) fn service(&self) -> &McpService {
        &self.service
    }

    /// The way to the endpoint of that name; where there is but one, its name says nothing.
    pub(crate) fn at(&self, endpoint: &str) -> McpService {
        let mut direct = self.direct.iter();
        match (
            direct.find(|(at, _)| **at.key() == *endpoint),
            &self.direct[..],
        ) {
            (Some((_, edge)), _) | (None, [(_, edge)]) => edge.clone(),
            // Whoever chooses among endpoints goes by the request's pin.
            _ => self.service.clone(),
        }
    }

    /// Those to ask, the fittest first.
    pub(crate) fn in_order(&self) -> Vec<McpService> {
        if self.direct.is_empty() {
            return vec![self.service.clone()];
        }
        let mut direct: Vec<_> = self.direct.iter().collect();
        direct.sort_by_key(|(endpoint, _)| (endpoint.linked() == Some(false), endpoint.standing()));
        direct.into_iter().map(|(_, edge)| edge.clone()).collect()
    }
}

/// What a backend listed, and how long that is good for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Listing {
    kinds: [List; 4],
    /// Whether anything was listed yet.
    pub(crate) complete: bool,
}

/// The list of one kind.
#[derive(Clone, Debug, Default)]
struct List {
    items: Arc<[Arc<Item>]>,
    /// Items that were left out.
    invalid: usize,
    /// When it was listed.
    at: Option<Instant>,
    /// The shortest `ttlMs` of any page; `None` if no page had one.
    ttl: Option<Duration>,
    /// Whether some page was not marked `public`.
    private: bool,
}

impl Listing {
    /// The items of one kind, in the backend's order.
    pub(crate) fn of(&self, kind: ItemKind) -> &Arc<[Arc<Item>]> {
        &self.kinds[kind as usize].items
    }

    /// How many items were left out.
    pub(crate) fn invalid(&self) -> usize {
        self.kinds.iter().map(|l| l.invalid).sum()
    }

    /// The shortest lifetime that the backend gave any of its lists.
    pub(crate) fn ttl(&self) -> Option<Duration> {
        self.kinds.iter().filter_map(|l| l.ttl).min()
    }

    /// How long the list of `kind` stays fresh by the backend's own word, if it gave one.
    pub(crate) fn fresh_for(&self, kind: ItemKind) -> Option<Duration> {
        let list = &self.kinds[kind as usize];
        Some(list.ttl?.saturating_sub(list.at?.elapsed()))
    }

    /// Whether the items are the same as of `other`, byte for byte.
    pub(crate) fn same_items(&self, other: &Self) -> bool {
        self.kinds.iter().zip(&other.kinds).all(|(a, b)| {
            let (a, b) = (a.items.iter(), b.items.iter());
            a.map(|i| i.raw().bytes()).eq(b.map(|i| i.raw().bytes()))
        })
    }

    /// Whether the list of `kind` may be shown to other callers.
    pub(crate) fn public(&self, kind: ItemKind) -> bool {
        !self.kinds[kind as usize].private
    }

    /// Lists the `kinds` that the backend declares; all others stay as they are in `self`.
    ///
    /// # Errors
    /// What the last of the sources said; nothing of a failed run is kept.
    pub(crate) async fn refreshed(
        &self,
        sources: &Sources,
        info: &BackendInfo,
        kinds: &[ItemKind],
        bounds: Bounds,
    ) -> Result<Self, CallError> {
        let mut failed = CallError::new(Reason::NoBackend, Sent::No);
        for service in sources.in_order() {
            match self.refreshed_by(&service, info, kinds, bounds).await {
                Ok(listing) => return Ok(listing),
                Err(error) => failed = error,
            }
        }
        Err(failed)
    }

    async fn refreshed_by(
        &self,
        service: &McpService,
        info: &BackendInfo,
        kinds: &[ItemKind],
        bounds: Bounds,
    ) -> Result<Self, CallError> {
        let mut next = Self {
            complete: true,
            ..self.clone()
        };
        // A backend that told nothing about itself is asked for everything.
        let declared = |kind: ItemKind| info.capabilities.is_none() || info.can(kind.capability());
        let lists = kinds.iter().map(|&kind| async move {
            let list = if declared(kind) {
                fetch(service, kind, bounds).await?
            } else {
                List::default()
            };
            Ok::<_, CallError>((kind, list))
        });
        for (kind, list) in futures::future::try_join_all(lists).await? {
            next.kinds[kind as usize] = list;
        }
        Ok(next)
    }
}

async fn fetch(service: &McpService, kind: ItemKind, bounds: Bounds) -> Result<List, CallError> {
    let deadline = Deadline::with_cap(bounds.time, bounds.time);
    let mut list = List {
        at: Some(Instant::now()),
        ..List::default()
    };
    let mut items: Vec<Arc<Item>> = Vec::new();
    let mut bytes = 0;
    let mut cursors = std::collections::HashSet::new();
    let mut params = RawParams::default();
    for _ in 0..bounds.pages {
        let Some(page) = fetch_page(service, kind, params, &deadline).await? else {
            return Ok(List {
                items: items.into(),
                ..list
            });
        };
        bytes += page
            .items
            .iter()
            .map(|i| i.raw().bytes().len())
            .sum::<usize>();
        if items.len() + page.items.len() > bounds.items || bytes > bounds.bytes {
            return Err(refuse("too many items"));
        }
        items.extend(page.items.into_iter().map(Arc::new));
        list.invalid += page.invalid.len();
        for invalid in &page.invalid {
            tracing::warn!(?kind, item = %invalid.name, why = %invalid.why, "item left out");
        }
        list.private |= !page.public;
        list.ttl = list
            .ttl
            .into_iter()
            .chain(page.ttl_ms.map(Duration::from_millis))
            .min();
        let Some(cursor) = page.next_cursor else {
            return Ok(List {
                items: items.into(),
                ..list
            });
        };
        if !cursors.insert(cursor.bytes().clone()) {
            return Err(refuse("a cursor came twice"));
        }
        let change = [("cursor", Some(&cursor.bytes()[..]))];
        params = RawParams::default()
            .with_members(&change)
            .map_err(|_| refuse("a cursor is no JSON"))?;
    }
    Err(refuse("too many pages"))
}

/// One page; `None` if the backend does not know the method: it has no such items.
async fn fetch_page(
    service: &McpService,
    kind: ItemKind,
    params: RawParams,
    deadline: &Deadline,
) -> Result<Option<Page>, CallError> {
    let context = RequestContext {
        deadline: deadline.clone(),
        ..RequestContext::default()
    };
    let request = McpRequest {
        method: kind.list_method(),
        params,
        context: context.into(),
    };
    let answer = async { service.clone().oneshot(request).await?.outcome().await };
    let outcome = tokio::select! {
        outcome = answer => outcome?,
        () = deadline.expired() => {
            return Err(CallError::new(Reason::Timeout, Sent::Unknown).detail("listing"));
        }
    };
    match outcome {
        Outcome::Complete(result) => Page::parse(kind, &result)
            .map(Some)
            .map_err(|e| refuse("a list is no list").because(e)),
        Outcome::Error(e) if e.code() == code::METHOD_NOT_FOUND => Ok(None),
        // A server with tools that fails at its prompts still has tools.
        Outcome::Error(e) if kind != ItemKind::Tool => {
            tracing::warn!(kind = ?kind, code = e.code(), "backend answers a list with an error");
            Ok(None)
        }
        Outcome::Error(e) => Err(refuse(&format!("list answered with error {}", e.code()))),
        Outcome::InputRequired(_) | Outcome::Accepted => Err(refuse("a list is no list")),
    }
}

fn refuse(why: &str) -> CallError {
    CallError::new(Reason::ProtocolError, Sent::Unknown).detail(why)
}
