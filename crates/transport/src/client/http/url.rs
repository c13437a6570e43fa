//! URLs that a backend names: only those of its own origin are followed (R52).

use http::Uri;
use http::uri::PathAndQuery;

/// Why a URL named by a backend is not followed.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub(super) enum Refused {
    /// Not a URL, or not one relative to ours.
    #[error("not a URL")]
    Syntax,
    /// Another scheme, host or port: our credentials are not for it.
    #[error("another origin")]
    Origin,
}

/// `reference` as seen from `base`, if it stays at the same origin.
pub(super) fn resolve(base: &Uri, reference: &str) -> Result<Uri, Refused> {
    let reference = reference.trim();
    let reference = reference.split('#').next().unwrap_or_default();
    // `//host/x`, and what browsers take for it.
    if reference.starts_with("//") || reference.contains('\\') {
        return Err(Refused::Origin);
    }
    if reference.starts_with('/') {
        return with_path(base, reference).ok_or(Refused::Syntax);
    }
    if reference.starts_with('?') || !has_scheme(reference) {
        let directory = match reference.starts_with('?') {
            true => base.path(),
            false => base.path().rsplit_once('/').map_or("", |(dir, _)| dir),
        };
        let slash = if reference.starts_with('?') { "" } else { "/" };
        let path = format!("{directory}{slash}{reference}");
        return with_path(base, &path).ok_or(Refused::Syntax);
    }
    let target: Uri = reference.parse().map_err(|_| Refused::Syntax)?;
    if origin(&target) == origin(base) && origin(base).is_some() {
        // The authority is taken from ours, so that no user name travels along.
        let path = target.path_and_query().map_or("/", PathAndQuery::as_str);
        with_path(base, path).ok_or(Refused::Syntax)
    } else {
        Err(Refused::Origin)
    }
}

/// `base` with another path and query.
pub(super) fn with_path(base: &Uri, path: &str) -> Option<Uri> {
    let mut parts = base.clone().into_parts();
    parts.path_and_query = Some(path.parse().ok()?);
    Uri::from_parts(parts).ok()
}

fn has_scheme(text: &str) -> bool {
    let end = text.find([':', '/', '?']);
    end.is_some_and(|at| text[at..].starts_with(':'))
}

fn origin(uri: &Uri) -> Option<(String, String, u16)> {
    let scheme = uri.scheme_str()?.to_ascii_lowercase();
    let default = if scheme == "https" { 443 } else { 80 };
    let host = uri.host()?.to_ascii_lowercase();
    Some((scheme, host, uri.port_u16().unwrap_or(default)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r52_b31_only_the_same_origin_is_followed() {
        let base: Uri = "http://host:80/a/sse?x".parse().unwrap();
        for (reference, path) in [
            (
                "/messages/?session_id=1",
                "http://host:80/messages/?session_id=1",
            ),
            ("messages?s=1", "http://host:80/a/messages?s=1"),
            ("?s=1", "http://host:80/a/sse?s=1"),
            ("http://HOST/m", "http://host:80/m"),
            ("http://user:pw@host/m", "http://host:80/m"),
        ] {
            assert_eq!(resolve(&base, reference).unwrap().to_string(), path);
        }
        for evil in [
            "https://host/m",
            "http://host:81/m",
            "http://evil/m",
            "http://host@evil/m",
            "//evil/m",
            "\\\\evil/m",
            "/\\evil",
            "javascript:x",
        ] {
            assert!(resolve(&base, evil).is_err(), "{evil}");
        }
    }
}
