//! `resources/read`: to the owner of the URI, under its own URI.

use std::sync::Arc;

use mcp_router_protocol::{ErrorObject, ItemKind, RawJson, code, uri};
use mcp_router_service::{CallError, McpRequest, McpResponse};

use super::invalid_params;
use super::target::{Uris, choose, offers, send};
use crate::backend::Cell;
use crate::catalogue::{Entry, Snapshot};
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
    let Some((cell, own)) = owner(&snapshot, &asked) else {
        return Ok(not_found(&asked));
    };
    let uris = Uris::new(&cell, hub.settings.namespaces).asked(&own, &asked);
    if own != asked {
        request.params = request.params.with_uri(&own);
    }
    Ok(uris.answer(send(&cell, request).await?))
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

/// Who serves `asked`, and under which URI of its own. Backends are never probed for it: that
/// would show one backend the URIs of another.
pub(super) fn owner(snapshot: &Snapshot, asked: &str) -> Option<(Arc<Cell>, String)> {
    if let Some(entry) = snapshot.table(ItemKind::Resource).get(asked) {
        let owner = choose(entry);
        return Some((owner.cell.clone(), owner.item.key().to_owned()));
    }
    if snapshot.namespaces.is_empty() {
        let cell = by_template(snapshot.table(ItemKind::Template).entries(), asked)?;
        return Some((cell, asked.to_owned()));
    }
    let known = |alias: &str| snapshot.namespaces.get(alias).cloned();
    let (namespace, own) = uri::resolve(asked, known)?;
    let exposed = uri::expose(Some(&namespace), &own);
    if let Some(entry) = snapshot.table(ItemKind::Resource).get(&exposed) {
        return Some((choose(entry).cell.clone(), own.into_owned()));
    }
    let templates = snapshot.table(ItemKind::Template).entries();
    let in_namespace: Vec<_> = snapshot.in_namespace(&namespace).collect();
    let cell = by_template(templates, &exposed).or_else(|| {
        let fit = |c: &&&Arc<Cell>| offers(c, ItemKind::Resource);
        let usable = in_namespace.iter().filter(fit).find(|c| c.usable());
        usable
            .or_else(|| in_namespace.iter().find(fit))
            .map(|c| Arc::clone(c))
    })?;
    Some((cell, own.into_owned()))
}

/// The owner of the template that fits with the most literal text.
fn by_template(templates: &[Entry], asked: &str) -> Option<Arc<Cell>> {
    templates
        .iter()
        .filter(|t| fits(&t.exposed, asked))
        .max_by_key(|t| literal_len(&t.exposed))
        .map(|t| choose(t).cell.clone())
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
