//! What servers ask clients (sampling, elicitation, roots), as a client of a revision knows it.
//!
//! A server of today asks for a choice of several, for a visit to a URL, or hands tools to the
//! model. A client of last year's revision reads requests with strict types: what it does not know
//! it refuses as a whole, or worse, answers in part. So a request is put in the client's own
//! spelling, and one that has no such spelling is refused here, naming what is missing.
//!
//! The other way round, what a legacy client declared is put in the modern spelling, less what its
//! revision has no words for. Nothing behind the client's edge needs to know its revision then.

mod form;
mod sampling;

use crate::json::{JsonError, RawJson, set_members};
use crate::params::meta;
use crate::{Method, RawParams, Revision};

/// What a client of `revision` declared, in the spelling of 2026-07-28: the capabilities through
/// which servers may ask, and the extensions that legacy clients have too.
pub fn declared(capabilities: &RawJson, revision: Revision) -> RawJson {
    let object = |of: &RawJson, key: &str| of.get(key).filter(RawJson::is_object);
    let mut kept: Vec<(&str, RawJson)> = Vec::with_capacity(4);
    if let Some(roots) = object(capabilities, "roots") {
        kept.push(("roots", roots));
    }
    if let Some(sampling) = object(capabilities, "sampling") {
        let fine = revision >= Revision::V2025_11_25;
        let none = RawJson::from_static("{}");
        kept.push(("sampling", if fine { sampling } else { none }));
    }
    if let Some(elicitation) = object(capabilities, "elicitation") {
        let modes = elicitation.get("form").is_some() || elicitation.get("url").is_some();
        match revision {
            r if r < Revision::V2025_06_18 => {}
            r if r >= Revision::V2025_11_25 && modes => kept.push(("elicitation", elicitation)),
            _ => kept.push(("elicitation", RawJson::from_static(r#"{"form":{}}"#))),
        }
    }
    let extensions = object(capabilities, "extensions");
    if let Some(ui) = extensions.and_then(|e| object(&e, UI)) {
        let text = format!("{{\"{UI}\":{}}}", ui.as_str());
        kept.push(("extensions", RawJson::from_checked(text.into())));
    }
    let kept: Vec<(&str, Option<&[u8]>)> = kept
        .iter()
        .map(|(key, value)| (*key, Some(&value.bytes()[..])))
        .collect();
    let none = RawJson::from_static("{}");
    set_members(&none, &kept).unwrap_or(none)
}

/// The extension that legacy hosts declare as well.
const UI: &str = "io.modelcontextprotocol/ui";

/// The capability without which a client must not get this request (R35), and the part of it.
pub fn needs(method: &Method, params: &RawParams) -> Option<(&'static str, Option<&'static str>)> {
    Some(match method {
        Method::RootsList => ("roots", None),
        Method::Elicit if is_url(params) => ("elicitation", Some("url")),
        Method::Elicit => ("elicitation", Some("form")),
        Method::CreateMessage if sampling::has_tools(params) => ("sampling", Some("tools")),
        Method::CreateMessage => ("sampling", None),
        _ => return None,
    })
}

/// Whether declared capabilities, in the modern spelling, allow a request.
pub fn allows(capabilities: &RawJson, method: &Method, params: &RawParams) -> bool {
    let Some((name, part)) = needs(method, params) else {
        return false;
    };
    let Some(capability) = capabilities.get(name).filter(RawJson::is_object) else {
        return false;
    };
    match part {
        None => true,
        Some(part) if capability.get(part).is_some() => true,
        // Elicitation without a mode is by form.
        Some("form") => capability.get("url").is_none(),
        Some(_) => false,
    }
}

/// Something that a revision has no words for.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("protocol revision {revision} has no {what}")]
pub struct Inexpressible {
    /// The client's revision.
    pub revision: Revision,
    /// What is missing.
    pub what: &'static str,
}

/// The parameters of a request to a client, as its revision spells them. `invent` makes the id of
/// an elicitation by URL, which 2025-11-25 wants and the modern revision does not have.
///
/// # Errors
/// If the revision cannot say it.
pub fn to_client(
    method: &Method,
    params: &RawParams,
    revision: Revision,
    invent: impl FnOnce() -> String,
) -> Result<RawParams, Inexpressible> {
    let no = |what| Err(Inexpressible { revision, what });
    let params = own_terms(params);
    let converted = match method {
        Method::Elicit if revision < Revision::V2025_06_18 => return no("elicitation"),
        Method::Elicit if is_url(&params) => {
            if revision < Revision::V2025_11_25 {
                return no("elicitation by URL");
            }
            with_id(&params, revision, invent)
        }
        Method::Elicit if revision < Revision::V2025_11_25 => match form::plain(&params) {
            Ok(converted) => converted,
            Err(what) => return no(what),
        },
        Method::CreateMessage if revision < Revision::V2025_11_25 => {
            match sampling::plain(&params, revision) {
                Ok(converted) => converted,
                Err(what) => return no(what),
            }
        }
        _ => Ok(params.clone()),
    };
    // What is of another shape is its client's to judge.
    Ok(converted.unwrap_or(params))
}

fn is_url(params: &RawParams) -> bool {
    params.get("mode").is_some_and(|m| m.as_str() == r#""url""#)
}

/// Without what concerns the backend's hop alone, and tasks, which nobody declares.
fn own_terms(params: &RawParams) -> RawParams {
    let mut own = params.clone();
    if own.meta().is_some() {
        let gone = meta::HOP.map(|key| (key, None));
        own = own.with_meta(&gone).unwrap_or(own);
    }
    if own.get("task").is_some() {
        own = own.with_members(&[("task", None)]).unwrap_or(own);
    }
    own
}

fn with_id(
    params: &RawParams,
    revision: Revision,
    invent: impl FnOnce() -> String,
) -> Result<RawParams, JsonError> {
    let there = params.get("elicitationId").is_some();
    if there || revision > Revision::NEWEST_LEGACY {
        return Ok(params.clone());
    }
    let id = RawJson::of(&invent());
    params.with_members(&[("elicitationId", Some(id.bytes()))])
}

#[cfg(test)]
mod tests;
