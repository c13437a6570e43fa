//! Stars over what may be a secret, so that excerpts can be shown.
//!
//! A complaint about one key shows the line around it, and on that line may stand a token. Starred
//! out are the values below keys that hold credentials, below keys that merely look so, and below
//! every unknown key, which may be a mistyped one of these.

use std::collections::BTreeMap;

use super::places::{Kind, Places};
use super::step::Path;

/// Keys whose values, all of them, are never shown.
const SECRET: [&str; 5] = ["headers", "env", "args", "session_keys", "routing_key"];
/// Parts of keys that suggest a secret.
const SUSPICIOUS: [&str; 9] = [
    "token",
    "secret",
    "passw",
    "apikey",
    "authorization",
    "credential",
    "cookie",
    "private",
    "bearer",
];

/// What is to be starred out of one text.
#[derive(Debug)]
pub(crate) struct Masks<'a> {
    places: &'a Places,
    text: &'a str,
    /// Values: in characters from and up to.
    ranges: BTreeMap<(usize, usize), Hidden>,
}

/// How much of a value is starred out.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
enum Hidden {
    /// All of it, if it looks like a URL with credentials.
    #[default]
    Url,
    /// The same, and any text: its key is unknown.
    Text,
    /// Everything.
    All,
}

impl<'a> Masks<'a> {
    /// Everything below keys that hold or seem to hold secrets.
    pub(crate) fn new(places: &'a Places, text: &'a str) -> Self {
        let mut masks = Self {
            places,
            text,
            ranges: BTreeMap::new(),
        };
        masks.walk(places.root, Hidden::Url);
        masks
    }

    /// Every text at and below `path`.
    pub(crate) fn hide(&mut self, path: &Path) {
        let mut node = Some(self.places.root);
        for step in path.steps() {
            node = node
                .and_then(|node| self.places.child(node, step))
                .map(|(node, _)| node);
        }
        if let Some(node) = node {
            self.walk(node, Hidden::Text);
        }
    }

    /// The text, with stars where it must not be read.
    pub(crate) fn apply(self) -> String {
        let mut chars = self.text.chars().enumerate().peekable();
        let mut out = String::with_capacity(self.text.len());
        let mut value = String::new();
        for ((start, end), hidden) in self.ranges {
            out.extend(std::iter::from_fn(|| chars.next_if(|(at, _)| *at < start)).map(|(_, c)| c));
            value.clear();
            value.extend(std::iter::from_fn(|| chars.next_if(|(at, _)| *at < end)).map(|(_, c)| c));
            if hidden.covers(&value) {
                let star = |c: char| if c.is_whitespace() { c } else { '*' };
                out.extend(value.chars().map(star));
            } else {
                out.push_str(&value);
            }
        }
        out.extend(chars.map(|(_, c)| c));
        out
    }

    fn walk(&mut self, node: usize, hidden: Hidden) {
        let Some(node) = self.places.nodes.get(node) else {
            return;
        };
        match &node.kind {
            Kind::Scalar => {
                let known = self.ranges.entry(node.extent.chars).or_default();
                *known = hidden.max(*known);
            }
            // What is not hidden here is walked where it stands.
            Kind::Alias(_) if hidden == Hidden::Url => {}
            Kind::Alias(target) => self.walk(*target, hidden),
            Kind::List(items) => items.iter().for_each(|item| self.walk(*item, hidden)),
            Kind::Map(map) => {
                for entry in &map.entries {
                    let secret = is_secret(&entry.key);
                    self.walk(entry.value, if secret { Hidden::All } else { hidden });
                }
            }
        }
    }
}

impl Hidden {
    fn covers(self, value: &str) -> bool {
        // Short numbers and switches are no secrets, and seeing them helps.
        let harmless = || {
            matches!(value, "true" | "false" | "null" | "~")
                || (value.len() <= 6 && value.parse::<f64>().is_ok())
        };
        match self {
            Self::Url => value.contains("://") && value.contains(['@', '?']),
            Self::Text => !harmless() && !is_reference(value),
            Self::All => !is_reference(value),
        }
    }
}

/// A variable or a file that holds a secret is none itself, and seeing its name helps.
fn is_reference(value: &str) -> bool {
    let bare = value.trim_matches(['"', '\'']);
    let name = bare
        .strip_prefix("${")
        .and_then(|rest| rest.strip_suffix('}'));
    name.is_some_and(|name| !name.contains("${") && !name.contains(":-") && !name.contains('}'))
}

fn is_secret(key: &str) -> bool {
    let folded: String = key
        .chars()
        .filter(|c| c.is_alphanumeric())
        .flat_map(char::to_lowercase)
        .collect();
    SECRET.contains(&key) || SUSPICIOUS.iter().any(|part| folded.contains(part))
}

/// A text that makes no sense, so that nobody knows which of its values are secrets: of each line
/// only a key at its start and the punctuation are left.
pub(super) fn everything(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for line in text.split_inclusive('\n') {
        let kept = key_length(line);
        out.push_str(&line[..kept]);
        out.extend(
            line[kept..]
                .chars()
                .map(|c| if c.is_alphanumeric() { '*' } else { c }),
        );
    }
    out
}

/// Bytes up to and with the colon of a key that starts the line; 0 without one.
fn key_length(line: &str) -> usize {
    let start = line
        .find(|c: char| !c.is_whitespace() && c != '-')
        .unwrap_or(line.len());
    let Some(colon) = line[start..].find(':') else {
        return 0;
    };
    let key = line[start..start + colon].trim_matches(|c| c == '"' || c == '\'' || c == ' ');
    let followed = line[start + colon + 1..]
        .chars()
        .next()
        .is_none_or(char::is_whitespace);
    let is_key = key
        .chars()
        .all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-');
    if is_key && followed {
        start + colon + 1
    } else {
        0
    }
}

#[cfg(test)]
mod tests {
    use super::super::events;
    use super::*;

    fn masked(text: &str, hide: &[Path]) -> String {
        let places = events::places(text).unwrap();
        let mut masks = Masks::new(&places, text);
        hide.iter().for_each(|path| masks.hide(path));
        masks.apply()
    }

    #[test]
    fn secrets_are_starred_out_and_the_rest_stays() {
        let text = "name: é\nheaders: { A: \"Bearer x y\", B: é }\nenv:\n  T: abc\nmyToken: q\nurl: http://h/p\n";
        let shown = masked(text, &[]);
        for secret in ["Bearer", "abc", "q\n"] {
            assert!(!shown.contains(secret), "{shown}");
        }
        for kept in ["name: é", "headers: { A:", "T: ***", "url: http://h/p"] {
            assert!(shown.contains(kept), "{kept} in {shown}");
        }
        assert_eq!(shown.chars().count(), text.chars().count());
    }

    #[test]
    fn names_of_variables_stay_but_defaults_do_not() {
        let text = "env: { A: \"${TOKEN}\", B: '${TOKEN:-hidden}', C: \"x ${TOKEN}\" }\n";
        let shown = masked(text, &[]);
        assert!(
            shown.contains("A: \"${TOKEN}\"") && !shown.contains("hidden"),
            "{shown}"
        );
        assert_eq!(shown.matches("TOKEN").count(), 1);
    }

    #[test]
    fn credentials_in_a_url_are_starred_out() {
        let shown = masked("url: http://u:pw@h/\nsource: https://h/?key=abc\n", &[]);
        assert!(!shown.contains("pw") && !shown.contains("abc"), "{shown}");
    }

    #[test]
    fn an_unknown_key_hides_its_values_also_behind_an_alias() {
        let text = "base: &b { x: swordfish }\nheadres: *b\n";
        let shown = masked(text, &[Path::root().key("headres")]);
        assert!(!shown.contains("swordfish"), "{shown}");
    }

    #[test]
    fn a_broken_text_keeps_keys_and_punctuation() {
        let shown = everything("a: \"secret\n - b: c\n  BEGIN PRIVATE\nhttp://user:pw@h\n");
        assert_eq!(
            shown,
            "a: \"******\n - b: *\n  ***** *******\n****://****:**@*\n"
        );
    }
}
