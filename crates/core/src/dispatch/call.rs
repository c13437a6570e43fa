//! `tools/call` and `prompts/get`: to whom routing chooses, under the name it knows.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use mcp_router_protocol::{ItemKind, Mirror, RawParams, name};
use mcp_router_service::{CallError, ClientProfile, McpRequest, McpResponse, Reason, Sent};

use super::failover::{Candidates, send};
use super::headers::{self, mismatch};
use super::tasks::Tasks;
use super::uris::Uris;
use super::{invalid_params, manage, pinned};
use crate::backend::Cell;
use crate::catalogue::{Choice, Entry, Snapshot, unlisted};
use crate::counted::Counted;
use crate::hub::Hub;

/// How long a call for an unknown name waits for its backend to be listed again.
const REFRESH_WAIT: Duration = Duration::from_secs(2);
/// How long it waits for a backend that is started for it.
const START_WAIT: Duration = Duration::from_secs(30);

pub(super) async fn call(
    hub: &Arc<Hub>,
    kind: ItemKind,
    request: McpRequest,
) -> Result<McpResponse, CallError> {
    let Some(asked) = request.params.name() else {
        return Ok(invalid_params("params.name must be a string"));
    };
    if kind == ItemKind::Tool && manage::is_reserved(&asked) {
        return Ok(manage::call(hub, &asked, &request).boxed().await);
    }
    let mut snapshot = hub.snapshot.load_full();
    let mut refreshed = false;
    loop {
        let found = find(hub, &snapshot, kind, &asked, &request.context.client);
        if !found.choices.is_empty() {
            return forward(hub, &snapshot, kind, found, request).await;
        }
        if refreshed || !refresh(hub, &snapshot, &asked).boxed().await {
            break;
        }
        refreshed = true;
        snapshot = hub.snapshot.load_full();
    }
    if let Some(error) = away(&snapshot, &asked) {
        return Err(error);
    }
    let what = match kind {
        ItemKind::Tool => "tool",
        _ => "prompt",
    };
    let shown: String = asked
        .chars()
        .take(128)
        .flat_map(char::escape_debug)
        .collect();
    Ok(invalid_params(format!("Unknown {what}: {shown}")))
}

/// What a client means by a name.
pub(super) struct Found<'a> {
    /// The name as the client spelled it.
    asked: &'a str,
    /// As operators know it: `namespace.name`.
    pub(super) exposed: Cow<'a, str>,
    /// The same where it is listed.
    listed: Option<&'a Arc<str>>,
    /// The arguments that the client must repeat in headers.
    mirror: Option<&'a Mirror>,
    /// Who may get its calls, in order of preference: who lists it, and whom routes add.
    pub(super) choices: Cow<'a, [Choice]>,
}

/// Finds what a client means by a name, in whatever spelling.
pub(super) fn find<'a>(
    hub: &Hub,
    snapshot: &'a Snapshot,
    kind: ItemKind,
    asked: &'a str,
    client: &ClientProfile,
) -> Found<'a> {
    let settings = &snapshot.settings;
    let entry = snapshot.find(kind, asked, client);
    let (exposed, choices) = match entry {
        Some(entry) => (
            Cow::Borrowed(&*entry.exposed),
            Cow::Borrowed(&entry.choices[..]),
        ),
        // Before the start is over, who lists it may not have said so yet.
        None if kind == ItemKind::Tool && hub.is_ready() => {
            let known = |ns: &str| snapshot.namespaces.contains_key(ns);
            let split = name::split(asked, known).filter(|_| settings.namespaces);
            let (namespace, public) = match &split {
                Some((namespace, public)) => (Some(namespace), *public),
                None => (None, asked),
            };
            let exposed = match namespace {
                Some(namespace) => Cow::Owned(format!("{namespace}{}{public}", name::SEPARATOR)),
                None => Cow::Borrowed(asked),
            };
            let cells = &snapshot.cells;
            let choices = unlisted(settings, cells, namespace, public);
            (exposed, Cow::Owned(choices))
        }
        None => (Cow::Borrowed(asked), Cow::Borrowed(&[][..])),
    };
    let choices = match &settings.strategy {
        Some(strategy) if kind == ItemKind::Tool => Cow::Owned(strategy.order(&exposed, &choices)),
        _ => choices,
    };
    Found {
        asked,
        exposed,
        listed: entry.map(|entry| &entry.exposed),
        mirror: entry.and_then(Entry::mirror).map(|mirror| &**mirror),
        choices,
    }
}

async fn forward(
    hub: &Arc<Hub>,
    snapshot: &Snapshot,
    kind: ItemKind,
    found: Found<'_>,
    mut request: McpRequest,
) -> Result<McpResponse, CallError> {
    let asked = found.asked;
    if request.params.has_task() {
        // Those of 2025-11-25 are not passed on: without it the call is answered as any other.
        let plain = request.params.with_members(&[("task", None)]);
        request.params = plain.unwrap_or_default();
    }
    let trail = &request.context.trail;
    match found.listed {
        Some(name) => trail.name(|| name.clone()),
        None if asked != found.exposed => trail.name(|| Arc::from(&*found.exposed)),
        None => {}
    }
    if let Some(error) = found.mirror.and_then(|mirror| mismatch(mirror, &request)) {
        return Ok(McpResponse::error(error));
    }
    let choices = pinned::candidates(snapshot, kind, &request, &found.exposed, found.choices)?;
    let counted = Counted::item(&hub.meters, kind, &found.exposed);
    let candidates = Candidates {
        choices: &choices,
        counted: Some(counted),
        fixed: kind == ItemKind::Tool && snapshot.settings.strategy.is_some(),
    };
    // A backend that misses a header may have changed its list; then it is asked once more.
    let modern = choices.iter().any(|c| c.modern);
    let tasks = modern.then(|| Tasks::of(hub, &request));
    let again = choices.iter().any(|c| c.mirrors).then(|| request.clone());
    let named = |choice: &Choice, params: &RawParams| {
        let named = choice.own() != asked;
        named.then(|| params.with_name(choice.own()))
    };
    let principal = request.context.principal.clone();
    let (mut answer, choice) = send(candidates, request, named).await?;
    if let Some(request) = again.filter(|_| headers::are_missed(&answer))
        && let renewed = headers::renewed(hub, kind, &found.exposed, choice).boxed()
        && let Some(renewed) = renewed.await
    {
        let renewed = [renewed];
        let candidates = Candidates::from(&renewed[..]).counted(counted);
        (answer, _) = send(candidates, request, named).boxed().await?;
    }
    tracing::debug!(
        backend = %choice.cell.meta.name, rule = %snapshot.settings.rule_text(choice),
        candidates = choices.len(), "call routed"
    );
    let mut uris = Uris::new(hub, snapshot.prefixed, &choice.cell, &principal);
    if let Some(tasks) = tasks {
        uris = uris.with_tasks(tasks, &choice.cell);
    }
    uris.answer(answer)
}

/// The failure of a call into a namespace whose backends are all away: nobody can say that the
/// name is unknown, and the model should know what is really wrong.
fn away(snapshot: &Snapshot, exposed: &str) -> Option<CallError> {
    let backends = addressed(snapshot, exposed);
    let any_there = backends.iter().any(|c| c.usable());
    let first = backends.first().filter(|_| !any_there)?;
    Some(CallError::new(Reason::ConnectFailed, Sent::No).on(&first.meta.name))
}

/// The backends that a name is for: those of its namespace, or all without namespaces.
fn addressed<'a>(snapshot: &'a Snapshot, exposed: &str) -> Vec<&'a Arc<Cell>> {
    let known = |ns: &str| snapshot.namespaces.contains_key(ns);
    let namespace = name::split(exposed, known).map(|(namespace, _)| namespace);
    let mut backends: Vec<_> = snapshot.cells.iter().collect();
    backends.retain(|cell| {
        let shared = !snapshot.settings.namespaces;
        let named = namespace.is_some() && cell.meta.namespace == namespace;
        (shared || named) && cell.service.is_some()
    });
    backends
}

/// Asks the backends that a name is for to list again, and waits for the next snapshot: tools may
/// be new there. Tells whether anything was asked.
async fn refresh(hub: &Hub, snapshot: &Snapshot, exposed: &str) -> bool {
    // At the start, backends may still be on their way to their first list.
    let started = hub.is_ready();
    if !started {
        hub.ready().await;
    }
    let backends = addressed(snapshot, exposed);
    // Those that sleep are started for it, which takes longer than a question.
    let asleep = backends.iter().any(|c| c.unlisted());
    let wait = if asleep { START_WAIT } else { REFRESH_WAIT };
    let worth = |cell: &&Arc<Cell>| cell.unlisted() || (started && cell.usable());
    let listings = backends.into_iter().filter(worth);
    let listings: Vec<_> = listings.filter_map(Cell::refresh).collect();
    let asked = !started || !listings.is_empty();
    let _ = tokio::time::timeout(wait, futures::future::join_all(listings)).await;
    asked
}
