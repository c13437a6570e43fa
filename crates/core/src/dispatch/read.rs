//! `resources/read`: to the owner of the URI, under its own URI.

use std::borrow::Cow;
use std::sync::Arc;

use mcp_router_protocol::{ErrorObject, ItemKind, RawJson, code, uri};
use mcp_router_service::{CallError, McpRequest, McpResponse, Principal};

use super::failover::{Candidates, send};
use super::uris::{Uris, offers};
use super::{invalid_params, pinned};
use crate::backend::Cell;
use crate::catalogue::{Choice, Entry, Snapshot};
use crate::counted::Counted;
use crate::hub::Hub;

pub(super) async fn read(
    hub: &Arc<Hub>,
    mut request: McpRequest,
) -> Result<McpResponse, CallError> {
    let Some(asked) = request.params.uri() else {
        return Ok(invalid_params("params.uri must be a string"));
    };
    hub.ready().await;
    let snapshot = hub.snapshot.load_full();
    let found = owners(&snapshot, &asked);
    let found = found.or_else(|| linked(hub, &snapshot, &request.context.principal, &asked));
    let Some((choices, own)) = found else {
        return Ok(not_found(&asked));
    };
    let choices = pinned::candidates(&snapshot, ItemKind::Resource, &request, &own, choices)?;
    if own != asked {
        request.params = request.params.with_uri(&own);
    }
    let principal = request.context.principal.clone();
    let counted = Counted::item(&hub.meters, ItemKind::Resource, &own);
    let candidates = Candidates::from(&choices[..]).counted(counted);
    let sent = send(candidates, request, |_, _| None);
    let (answer, choice) = sent.await?;
    let uris = Uris::new(hub, snapshot.prefixed, &choice.cell, &principal);
    uris.asked(&own, &asked).answer(answer)
}

/// -32602 with the URI, as modern clients get it; legacy edges make it -32002 (R30).
fn not_found(asked: &str) -> McpResponse {
    let shown: String = asked.chars().take(512).collect();
    let data = format!("{{\"uri\":{}}}", RawJson::of(&shown).as_str());
    let text = "Resource not found";
    let data = RawJson::from_checked(data.into());
    McpResponse::error(ErrorObject::with_data(
        code::INVALID_PARAMS,
        text,
        Some(&data),
    ))
}

/// The backend that gave this caller a link which says nothing about whose it is.
fn linked(
    hub: &Hub,
    snapshot: &Snapshot,
    principal: &Principal,
    asked: &str,
) -> Option<(Cow<'static, [Choice]>, String)> {
    if snapshot.prefixed {
        return None;
    }
    let number = hub.links.owner(principal, asked)?;
    let cell = snapshot.cells.iter().find(|cell| cell.id == number)?;
    let choice = Choice::unlisted(cell, ItemKind::Resource, asked);
    Some((Cow::Owned(vec![choice]), asked.to_owned()))
}

/// Who may serve `asked`, in order, and under which URI of their own. Backends are never probed for
/// it: that would show one backend the URIs of another.
pub(super) fn owners<'a>(
    snapshot: &'a Snapshot,
    asked: &str,
) -> Option<(Cow<'a, [Choice]>, String)> {
    let listed = snapshot.table(ItemKind::Resource).get(asked);
    if let Some(entry) = listed.or_else(|| snapshot.rewritten(asked)) {
        let own = entry.shown.key().to_owned();
        return Some((Cow::Borrowed(&entry.choices), own));
    }
    let templates = snapshot.table(ItemKind::Template).entries();
    if !snapshot.prefixed {
        if let Some(choices) = by_template(templates, asked) {
            return Some((Cow::Borrowed(choices), asked.to_owned()));
        }
        // A link to what another backend has under the same address was given with a prefix.
        let scheme = asked.split(':').next().unwrap_or_default();
        if !scheme.contains('+') && scheme != "ui" {
            return None;
        }
    }
    let known = |alias: &str| snapshot.namespaces.get(alias).cloned();
    let (namespace, own) = uri::resolve(asked, known)?;
    if snapshot.prefixed {
        let exposed = uri::expose(Some(&namespace), &own);
        let listed = snapshot.table(ItemKind::Resource).get(&exposed);
        let choices = listed.map(|entry| &entry.choices[..]);
        if let Some(choices) = choices.or_else(|| by_template(templates, &exposed)) {
            return Some((Cow::Borrowed(choices), own.into_owned()));
        }
    }
    // Nobody says that it is theirs: the backends of the namespace that have resources at all.
    let mut cells: Vec<_> = snapshot.in_namespace(&namespace).collect();
    cells.retain(|cell| offers(cell, ItemKind::Resource));
    // Equal ones stay in the order of the file.
    cells.sort_by_key(|cell| cell.meta.priority);
    let choice = |cell: &Arc<Cell>| Choice::unlisted(cell, ItemKind::Resource, &own);
    let choices: Vec<_> = cells.into_iter().map(choice).collect();
    (!choices.is_empty()).then(|| (Cow::Owned(choices), own.into_owned()))
}

/// The owners of the template that fits with the most literal text.
fn by_template<'a>(templates: &'a [Entry], asked: &str) -> Option<&'a [Choice]> {
    templates
        .iter()
        .filter(|t| fits(&t.exposed, asked))
        .max_by_key(|t| literal_len(&t.exposed))
        .map(|t| &t.choices[..])
}

fn literal_len(template: &str) -> usize {
    literals(template).map(str::len).sum()
}

/// The text between a template's expressions. An unclosed brace is text.
fn literals(template: &str) -> impl Iterator<Item = &str> {
    let mut rest = Some(template);
    std::iter::from_fn(move || {
        let text = rest?;
        let expression = text
            .find('{')
            .and_then(|from| Some((from, from + text[from..].find('}')?)));
        match expression {
            Some((from, to)) => {
                rest = Some(&text[to + 1..]);
                Some(&text[..from])
            }
            None => rest.take(),
        }
    })
}

/// Whether `asked` could be an expansion of the template (RFC 6570): its literal parts stand in
/// it, in order. Linear in the text, whatever the template.
fn fits(template: &str, asked: &str) -> bool {
    let parts: Vec<_> = literals(template).collect();
    let [first, middle @ .., last] = &parts[..] else {
        return template == asked;
    };
    let Some(rest) = asked.strip_prefix(first) else {
        return false;
    };
    let Some(mut rest) = rest.strip_suffix(last) else {
        return false;
    };
    middle.iter().all(|part| match rest.find(part) {
        Some(at) => {
            rest = &rest[at + part.len()..];
            true
        }
        None => false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn templates_fit_what_they_expand_to() {
        for (template, uri, fit) in [
            ("file:///{path}", "file:///a/b", true),
            ("db://{t}/rows/{id}", "db://users/rows/7", true),
            ("db://{t}/rows/{id}", "db://users/cols/7", false),
            ("x:{+a}.txt", "x:.txt", true),
            ("x:y", "x:y", true),
            ("x:{a", "x:{a", true),
            ("aa{x}aa", "aaa", false),
        ] {
            assert_eq!(fits(template, uri), fit, "{template} {uri}");
        }
    }

    #[test]
    fn b34_matching_is_linear() {
        let template = "{a}a".repeat(2_000);
        assert!(!fits(&template, &format!("{}b", "a".repeat(100_000))));
    }
}
