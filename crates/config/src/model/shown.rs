//! What people may be shown of arguments and addresses.
//!
//! A secret belongs into the environment or a header, where nothing of it is ever shown. But many a
//! server wants it as an argument, or in the path of its URL, and then it stands between words that
//! an operator must see to know the backend by. So what looks like a secret is hidden, by what stands
//! before it or by its own looks; better one word too many than one too few.

use std::borrow::Cow;

/// In the place of a secret.
pub(super) const HIDDEN: &str = "***";

/// Parts of names of secrets.
const NAMES: [&str; 9] = [
    "key",
    "token",
    "secret",
    "passw",
    "pwd",
    "auth",
    "credential",
    "cookie",
    "bearer",
];

/// What keys of well-known services begin with.
const PREFIXES: [&str; 8] = [
    "sk-",
    "ghp_",
    "gho_",
    "github_pat_",
    "glpat-",
    "xox",
    "akia",
    "hf_",
];

/// An argument for people, by itself and by the one before it.
pub(super) fn argument<'a>(argument: &'a str, before: Option<&str>) -> Cow<'a, str> {
    let told = before
        .is_some_and(|flag| flag.starts_with('-') && !flag.contains('=') && is_secret_name(flag));
    if told && !argument.starts_with('-') {
        return Cow::Borrowed(HIDDEN);
    }
    if argument.contains("://") {
        return Cow::Owned(url(argument));
    }
    // `--api-key=…`, `API_KEY=…`, `Authorization: …`
    if let Some(at) = argument.find(['=', ':'])
        && is_secret_name(&argument[..at])
    {
        return Cow::Owned(format!("{}{HIDDEN}", &argument[..=at]));
    }
    words(argument)
}

/// A URL, or a path with its query, for people: without user, password and query.
pub(crate) fn url(text: &str) -> String {
    let (text, query) = match text.split_once('?') {
        Some((text, _)) => (text, "?***"),
        None => (text, ""),
    };
    let (scheme, rest) = match text.split_once("://") {
        Some((scheme, rest)) => (format!("{scheme}://"), rest),
        None => (String::new(), text),
    };
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let authority = match authority.rsplit_once('@') {
        Some((_, host)) => format!("{HIDDEN}@{host}"),
        None => authority.to_owned(),
    };
    format!("{scheme}{authority}{}{query}", words(path))
}

/// The text without the words that look like secrets.
fn words(text: &str) -> Cow<'_, str> {
    let is_word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '+');
    let mut shown = Cow::Borrowed(text);
    for word in text
        .split(|c| !is_word(c))
        .filter(|word| looks_secret(word))
    {
        shown = Cow::Owned(shown.replace(word, HIDDEN));
    }
    shown
}

fn is_secret_name(name: &str) -> bool {
    let lower = name.to_ascii_lowercase();
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    lower.chars().all(plain) && NAMES.iter().any(|part| lower.contains(part))
}

/// Made by a machine for a machine: long, with digits in it, or begun as keys are.
fn looks_secret(word: &str) -> bool {
    let digits = word.bytes().filter(u8::is_ascii_digit).count();
    let letters = word.bytes().any(|b| b.is_ascii_alphabetic());
    let lower = word.to_ascii_lowercase();
    let begun = PREFIXES.iter().any(|prefix| lower.starts_with(prefix));
    (word.len() >= 20 && digits >= 2 && letters) || (word.len() >= 12 && begun)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(arguments: &[&str]) -> String {
        let before = std::iter::once(None).chain(arguments.iter().copied().map(Some));
        let all = arguments.iter().zip(before).map(|(a, b)| argument(a, b));
        all.collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn ordinary_arguments_are_shown_as_they_are() {
        for arguments in [
            &["-y", "@modelcontextprotocol/server-filesystem", "/data"][..],
            &["run", "--rm", "-i", "mcp/github:2025.11", "--read-only"],
            &["mcp-server-sqlite", "--db-path", "/srv/app/data.sqlite3"],
            &["--keyword", "--port", "8080"],
            &["--stdio", "https://host/mcp", "C:\\data"],
        ] {
            assert_eq!(shown(arguments), arguments.join(" "));
        }
    }

    #[test]
    fn what_is_called_a_secret_or_looks_like_one_is_hidden() {
        for (arguments, expected) in [
            (&["--api-key", "hunter2", "x"][..], "--api-key *** x"),
            (&["--token=hunter2"], "--token=***"),
            (&["-e", "DB_PASSWORD=hunter2"], "-e DB_PASSWORD=***"),
            (
                &["--header", "Authorization: Bearer x"],
                "--header Authorization:***",
            ),
            (
                &["postgres://me:pw@db/x?sslkey=1"],
                "postgres://***@db/x?***",
            ),
            (&["sk-ant-abcdef"], "***"),
            (&["/run/7f3a90123456789abcdef0123/x"], "/run/***/x"),
            (&["--auth", "--verbose"], "--auth --verbose"),
        ] {
            assert_eq!(shown(arguments), expected);
        }
    }

    #[test]
    fn urls_are_shown_without_what_opens_doors() {
        for (whole, expected) in [
            ("http://h:8000/mcp", "http://h:8000/mcp"),
            ("https://h/mcp?key=1", "https://h/mcp?***"),
            ("/health?probe=x", "/health?***"),
            (
                "https://h/s/ZmVlZmllZm9mdW0xMjM0NTY3/mcp",
                "https://h/s/***/mcp",
            ),
        ] {
            assert_eq!(url(whole), expected);
        }
    }
}
