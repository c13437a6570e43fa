//! Exposed resource URIs: `{alias}+{uri}`.
//!
//! `{ns}://{uri}` is not safe: clients that normalize URLs rewrite `db://config://x` to
//! `db://config//x` and reject `db://urn:a:b`. A prefix joined by `+` only lengthens the scheme,
//! so parsing, normalization and RFC 6570 templates leave it alone (R20). `ui://` keeps its scheme,
//! because hosts look for it: `ui://{alias}/{rest}`.

use std::borrow::Cow;

use crate::name::Namespace;

const UI: &str = "ui://";

/// The part of an exposed URI that stands for a namespace. `_` is not legal in a URI's scheme,
/// nor is a digit or `-` at its start, so those are spelled otherwise. Distinct namespaces have
/// distinct aliases.
pub fn alias(namespace: &Namespace) -> Cow<'_, str> {
    let text = namespace.as_str();
    let starts_well = text.starts_with(|c: char| c.is_ascii_lowercase());
    if starts_well && !text.contains('_') && !text.starts_with("x.") {
        return Cow::Borrowed(text);
    }
    // `.` is legal in a scheme and never part of a namespace: it marks what was respelled.
    Cow::Owned(format!("x.{}", text.replace('_', ".")))
}

/// The URI (or URI template) under which a resource of `namespace` is offered.
pub fn expose(namespace: Option<&Namespace>, uri: &str) -> String {
    match (namespace, uri.strip_prefix(UI)) {
        (None, _) => uri.to_owned(),
        (Some(ns), Some(rest)) => format!("{UI}{}/{rest}", alias(ns)),
        (Some(ns), None) => format!("{}+{uri}", alias(ns)),
    }
}

/// Finds whose resource an exposed URI is: the namespace and the owner's own URI. `known` tells
/// whether an alias is in use, and by which namespace.
///
/// `{ns}://{uri}`, the spelling of the Python router, is understood too, also after a client's
/// URL parser took the second colon out of it.
pub fn resolve(
    uri: &str,
    known: impl Fn(&str) -> Option<Namespace>,
) -> Option<(Namespace, Cow<'_, str>)> {
    if let Some(rest) = uri.strip_prefix(UI) {
        let (alias, rest) = rest.split_once('/')?;
        return Some((known(alias)?, Cow::Owned(format!("{UI}{rest}"))));
    }
    let scheme_end = uri.find(':')?;
    if let Some((alias, _)) = uri[..scheme_end].split_once('+')
        && let Some(ns) = known(&alias.to_ascii_lowercase())
    {
        return Some((ns, Cow::Borrowed(&uri[alias.len() + 1..])));
    }
    let ns = known(&uri[..scheme_end])?;
    let rest = uri[scheme_end..].strip_prefix("://")?;
    Some((ns, restore_colon(rest)))
}

/// `config//server` was `config://server` before a URL parser read it.
fn restore_colon(rest: &str) -> Cow<'_, str> {
    match rest.split_once("//") {
        Some((scheme, path)) if !scheme.is_empty() && !scheme.contains([':', '/']) => {
            Cow::Owned(format!("{scheme}://{path}"))
        }
        _ => Cow::Borrowed(rest),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ns(text: &str) -> Namespace {
        text.parse().unwrap()
    }

    fn back(uri: &str, name: &str) -> Option<String> {
        let known = |a: &str| (a == alias(&ns(name)) || a == name).then(|| ns(name));
        resolve(uri, known).map(|(_, uri)| uri.into_owned())
    }

    #[test]
    fn r20_spellings_of_the_python_router_are_understood() {
        assert_eq!(
            back("db://config://server", "db").unwrap(),
            "config://server"
        );
        assert_eq!(
            back("db://config//server", "db").unwrap(),
            "config://server"
        );
        assert_eq!(back("DB+file:///x", "db").unwrap(), "file:///x");
        assert_eq!(back("other+file:///x", "db"), None);
    }

    #[test]
    fn ui_resources_keep_their_scheme() {
        let exposed = expose(Some(&ns("a_b")), "ui://w/page");
        assert_eq!(exposed, "ui://x.a.b/w/page");
        assert_eq!(back(&exposed, "a_b").unwrap(), "ui://w/page");
    }

    proptest! {
        #[test]
        fn r20_any_uri_round_trips(name in "[a-z0-9_-]{1,12}", uri in "[a-z][a-z0-9+.-]{0,8}:[!-~]{0,40}") {
            let exposed = expose(Some(&ns(&name)), &uri);
            prop_assert_eq!(back(&exposed, &name).unwrap(), uri);
            // What the schema of RFC 3986 asks of a scheme.
            let scheme = exposed.split(':').next().unwrap();
            prop_assert!(scheme.starts_with(|c: char| c.is_ascii_lowercase()));
            prop_assert!(scheme.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b)));
        }

        #[test]
        fn aliases_are_unique(a in "[a-c0_-]{1,4}", b in "[a-c0_-]{1,4}") {
            prop_assert_eq!(a == b, alias(&ns(&a)) == alias(&ns(&b)));
        }
    }
}
