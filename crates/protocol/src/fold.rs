//! Addresses that a client's URL parser has rewritten, known again.
//!
//! Clients parse addresses as browsers do (the WHATWG URL standard) before they send them back:
//! dots in paths are resolved, blanks and umlauts escaped, default ports and empty passwords
//! dropped. A backend knows nothing of that and looks for the text it listed. So where nothing of
//! that text is listed, what is listed is compared in a form that no such parser changes. It is too
//! coarse to be an address, and nobody is asked for it.

use std::net::Ipv6Addr;

/// Schemes that URL parsers know, with their default ports.
const SPECIAL: [(&str, &str); 6] = [
    ("http", "80"),
    ("https", "443"),
    ("ws", "80"),
    ("wss", "443"),
    ("ftp", "21"),
    ("file", ""),
];

/// A form of `uri` that is the same before and after a URL parser has read it. Different addresses
/// may have the same form.
pub fn fold(uri: &str) -> String {
    let clean: String = uri
        .trim_matches(|c: char| c <= ' ')
        .chars()
        .filter(|c| !matches!(c, '\t' | '\n' | '\r'))
        .collect();
    let Some((scheme, rest)) = clean.split_once(':') else {
        return decoded(&clean);
    };
    let scheme = scheme.to_ascii_lowercase();
    let (rest, fragment) = cut(rest, '#');
    let (rest, query) = cut(rest, '?');
    let port = SPECIAL.iter().find(|(name, _)| *name == scheme);
    let body = match port {
        Some((_, port)) => special(rest, port),
        None => general(rest),
    };
    let mut folded = format!("{scheme}:{body}");
    for (mark, part) in [('?', query), ('#', fragment)] {
        if let Some(part) = part {
            folded.push(mark);
            folded.push_str(&decoded(part));
        }
    }
    folded
}

fn cut(text: &str, mark: char) -> (&str, Option<&str>) {
    match text.split_once(mark) {
        Some((before, after)) => (before, Some(after)),
        None => (text, None),
    }
}

/// What stands behind a scheme that parsers know: they make much of it, so much is made the same.
fn special(rest: &str, port: &str) -> String {
    let rest = rest.replace('\\', "/");
    let rest = rest.trim_start_matches('/');
    let at = rest.find('/').unwrap_or(rest.len());
    let authority = authority(&rest[..at], port).to_ascii_lowercase();
    let path = path(&rest[at..]);
    let path = if path.is_empty() { "/" } else { &path };
    format!("//{authority}{path}")
}

fn general(rest: &str) -> String {
    if let Some(rest) = rest.strip_prefix("//") {
        let at = rest.find('/').unwrap_or(rest.len());
        return format!("//{}{}", authority(&rest[..at], ""), path(&rest[at..]));
    }
    match rest.starts_with('/') {
        // A parser writes `/.` before a path that would look like a host.
        true => path(rest),
        false => decoded(rest.trim_end_matches(' ')),
    }
}

/// User, password, host and port: without an empty password, an empty or default port, and leading
/// zeros.
fn authority(text: &str, default: &str) -> String {
    let (user, host) = match text.rsplit_once('@') {
        Some((user, host)) => match user.split_once(':') {
            Some((name, "")) => (decoded(name), host),
            _ => (decoded(user), host),
        },
        None => (String::new(), text),
    };
    let colon = host.rfind(':').filter(|at| !host[*at..].contains(']'));
    let (host, port) = match colon {
        Some(at) => (&host[..at], host[at + 1..].trim_start_matches('0')),
        None => (host, ""),
    };
    let zero = colon.is_some() && text.ends_with('0') && port.is_empty();
    let port = if zero { "0" } else { port };
    let six = host.strip_prefix('[').and_then(|h| h.strip_suffix(']'));
    let host = match six.and_then(|h| h.parse::<Ipv6Addr>().ok()) {
        Some(address) => format!("[{address}]"),
        None => decoded(host),
    };
    let port = match port == default {
        true => String::new(),
        false => format!(":{port}"),
    };
    let port = if port == ":" { String::new() } else { port };
    match user.is_empty() {
        true => format!("{host}{port}"),
        false => format!("{user}@{host}{port}"),
    }
}

/// A path without `.` and `..`, escaped ones included.
fn path(text: &str) -> String {
    if text.is_empty() {
        return String::new();
    }
    let mut kept: Vec<String> = Vec::new();
    let parts: Vec<_> = text.trim_start_matches('/').split('/').collect();
    let leading = text.len() - text.trim_start_matches('/').len();
    kept.extend((1..leading).map(|_| String::new()));
    let last = parts.len() - 1;
    for (at, part) in parts.into_iter().enumerate() {
        let dots = part.to_ascii_lowercase().replace("%2e", ".");
        match &*dots {
            "." if at == last => kept.push(String::new()),
            "." => {}
            ".." => {
                kept.pop();
                if at == last {
                    kept.push(String::new());
                }
            }
            _ => kept.push(decoded(part)),
        }
    }
    format!("/{}", kept.join("/"))
}

/// Text with its escapes read.
fn decoded(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let digits = bytes
            .get(at + 1..at + 3)
            .and_then(|d| std::str::from_utf8(d).ok());
        let value = digits.filter(|d| byte == b'%' && d.bytes().all(|b| b.is_ascii_hexdigit()));
        match value.and_then(|d| u8::from_str_radix(d, 16).ok()) {
            Some(value) => {
                out.push(value);
                at += 3;
            }
            None => {
                out.push(byte);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use url::Url;

    use super::*;
    use crate::name::Namespace;
    use crate::uri;

    fn same(exposed: &str) {
        if let Ok(parsed) = Url::parse(exposed) {
            assert_eq!(fold(exposed), fold(parsed.as_str()), "{exposed:?} {parsed}");
        }
    }

    #[test]
    fn r20_what_parsers_do_to_addresses_is_known() {
        for own in [
            "x-odd+scheme://a//b/../c",
            "memo://größe/☃ x",
            "db://u:@h:005432/a/./b?q='\"#f g",
            "a://::@A",
            "http://EXAMPLE.com:80",
            "https://user:p%40@Example.com/a/%2e%2E/b",
            "file:///etc/x y",
            "a:/.//b",
            "a:/../..//b",
            "urn:a:b  c ",
            "db://[2001:DB8:0::1]:1/x",
            "ui://w/./p",
            "a:b\tc\n",
        ] {
            let namespace: Namespace = "n_s".parse().unwrap();
            same(&uri::expose(Some(&namespace), own));
            same(own);
        }
        assert_ne!(fold("a+x:/1"), fold("b+x:/1"));
        assert_ne!(fold("a://h/b"), fold("a://h/c"));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn r20_any_exposed_address_is_known_after_normalization(
            name in "[a-z0-9_-]{1,8}",
            // No backslashes: they are in no address, and parsers differ over them.
            own in "[a-z][a-z0-9+.-]{0,6}:(//)?[ -\\[\\]-~äß☃]{0,30}",
        ) {
            let namespace: Namespace = name.parse().unwrap();
            let exposed = uri::expose(Some(&namespace), &own);
            if let Ok(parsed) = Url::parse(&exposed) {
                prop_assert_eq!(fold(&exposed), fold(parsed.as_str()), "{} {}", exposed, parsed);
            }
        }

        #[test]
        fn r20_addresses_of_the_web_are_known_after_normalization(
            own in "(https?|wss?|ftp)://([a-z]{1,4}(:[a-z]{0,3})?@)?[a-zA-Z][a-z0-9-]{0,6}[a-z](\\.[a-z]{2,3})?(:[0-9]{0,3})?(/[a-z .%ä]{0,6}){0,4}(\\?[a-z'&= ]{0,5})?(#[a-z ]{0,4})?",
        ) {
            if let Ok(parsed) = Url::parse(&own) {
                prop_assert_eq!(fold(&own), fold(parsed.as_str()), "{} {}", own, parsed);
            }
        }

        #[test]
        fn no_text_panics(text in "\\PC{0,60}") {
            let _ = fold(&text);
        }
    }
}
