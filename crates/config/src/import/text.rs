//! `${…}` as other programs mean it.

use std::fmt::Write;

use serde_yaml::Value;

use super::Server;

/// Rewrites what only another program can fill in, in every value of the backend.
pub(super) fn translate(server: &mut Server<'_>) {
    let mut foreign: Vec<(String, String)> = Vec::new();
    let mut backend = Value::Mapping(std::mem::take(&mut server.backend));
    walk(&mut backend, &mut foreign);
    if let Value::Mapping(backend) = backend {
        server.backend = backend;
    }
    foreign.sort();
    foreign.dedup();
    for (theirs, ours) in foreign {
        let what = format!("${{{theirs}}} is for another program to fill in: ${{{ours}}} here");
        server.note("name", what);
    }
}

fn walk(value: &mut Value, foreign: &mut Vec<(String, String)>) {
    match value {
        Value::String(text) if text.contains("${") => *text = rewritten(text, foreign),
        Value::Sequence(items) => items.iter_mut().for_each(|item| walk(item, foreign)),
        Value::Mapping(map) => map.values_mut().for_each(|item| walk(item, foreign)),
        _ => {}
    }
}

fn rewritten(text: &str, foreign: &mut Vec<(String, String)>) -> String {
    let (mut out, mut rest) = (String::with_capacity(text.len()), text);
    while let Some(at) = rest.find("${") {
        let Some(end) = rest[at..].find('}') else {
            break;
        };
        let gap = &rest[at + 2..at + end];
        out.push_str(&rest[..at]);
        let ours = ours(gap);
        // Writing to a string cannot fail.
        let _ = write!(out, "${{{}}}", ours.as_deref().unwrap_or(gap));
        foreign.extend(ours.map(|ours| (gap.to_owned(), ours)));
        rest = &rest[at + end + 1..];
    }
    out.push_str(rest);
    out
}

/// What stands for it here; `None` if it can stay.
fn ours(gap: &str) -> Option<String> {
    if let Some(input) = gap.strip_prefix("input:") {
        let name = input.chars().map(|c| match c.is_ascii_alphanumeric() {
            true => c.to_ascii_uppercase(),
            false => '_',
        });
        // Empty until it is set, so that the file can be looked at before.
        return Some(format!("{}:-", name.collect::<String>()));
    }
    match gap {
        "userHome" => Some("HOME".to_owned()),
        "workspaceFolder" | "workspaceRoot" | "CLAUDE_PROJECT_DIR" | "projectRoot" => {
            Some("PWD:-.".to_owned())
        }
        "pathSeparator" | "/" => Some("PATH_SEPARATOR:-/".to_owned()),
        _ => None,
    }
}
