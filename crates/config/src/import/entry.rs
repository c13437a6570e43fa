//! One server: which of its keys mean what.

use std::collections::HashSet;
use std::sync::LazyLock;

use mcp_router_protocol::name::slug;
use serde_yaml::{Mapping, Value};

use super::{Server, auth};
use crate::host::{HARMLESS, URLS};
use crate::report::quote;
use crate::schema;

/// Where lists of servers have a server's name, beside the key that hosts have for it.
const NAMES: [&str; 3] = ["name", "id", "title"];
/// What lists of servers call `url`, beside what hosts call it.
const ADDRESSES: [&str; 4] = ["url", "endpoint", "uri", "base_url"];
/// What others call `tools.allow` and `tools.deny`.
const ALLOW: [&str; 5] = [
    "includeTools",
    "enabledTools",
    "enabled_tools",
    "allowedTools",
    "allowed_tools",
];
const DENY: [&str; 5] = [
    "excludeTools",
    "disabledTools",
    "disabled_tools",
    "hiddenTools",
    "blocked_tools",
];

/// Fills the backend of `server`. One that cannot be reached by anything said about it stays empty,
/// with a note.
pub(super) fn convert(
    server: &mut Server<'_>,
    key: Option<&str>,
    entry: &Mapping,
    taken: &mut HashSet<String>,
) {
    let called = key.or_else(|| {
        let mut texts = NAMES.iter().filter_map(|key| entry.get(*key)?.as_str());
        texts.next()
    });
    let name = named(called.unwrap_or("server"), taken);
    if called.is_some_and(|called| called != name) {
        let called = quote(called.unwrap_or_default());
        server.note("name", format!("{called} is called `{name}` here"));
    }
    server.set("name", name.as_str());
    let reached = place(server, entry);
    if !reached {
        server.note(
            "name",
            format!("{name} has neither a URL nor a command: left out"),
        );
        server.backend = Mapping::new();
        return;
    }
    if server.backend.contains_key("url") && !entry.contains_key("namespace") {
        server.set("namespace", name);
    }
    for (key, value) in entry {
        if let Some(key) = key.as_str() {
            one(server, key, value);
        }
    }
}

/// A name that nobody has yet.
fn named(called: &str, taken: &mut HashSet<String>) -> String {
    let base = slug(called).map_or_else(|| "server".to_owned(), |name| name.to_string());
    let mut name = base.clone();
    let mut number = 1;
    while !taken.insert(name.clone()) {
        number += 1;
        name = format!("{base}-{number}");
    }
    name
}

/// Where it is; `false` if nothing says so.
fn place(server: &mut Server<'_>, entry: &Mapping) -> bool {
    let text = |key: &str| {
        entry
            .get(key)?
            .as_str()
            .filter(|text| !text.trim().is_empty())
    };
    let url = ADDRESSES.into_iter().chain(URLS).find_map(text);
    let url = url.filter(|url| !is_script(url));
    match (url, entry.get("command")) {
        (Some(url), _) => server.set("url", with_scheme(url)),
        (None, Some(Value::String(command))) => command_line(server, command),
        // As some write it: program and arguments in one list.
        (None, Some(Value::Sequence(words))) => {
            let mut words = words.iter().cloned();
            let Some(program) = words.next() else {
                return false;
            };
            server.set("command", program);
            server.set("args", words.collect::<Vec<_>>());
        }
        _ if text("source").is_some()
            || entry.contains_key("urls")
            || entry.contains_key("replicas") => {}
        _ => return false,
    }
    true
}

fn command_line(server: &mut Server<'_>, command: &str) {
    server.set("command", command);
    if command.contains(' ') && !command.contains(['/', '\\']) {
        server.note(
            "command",
            "`command` is one program: its arguments belong into `args`",
        );
    }
}

/// `stdio:` and the like are no addresses.
fn is_script(url: &str) -> bool {
    url.starts_with("stdio:")
}

/// Guides leave the scheme out where it is plain.
fn with_scheme(url: &str) -> String {
    match url.contains("://") || url.starts_with("${") {
        true => url.to_owned(),
        false => format!("http://{url}"),
    }
}

/// What one key becomes.
fn one(server: &mut Server<'_>, key: &str, value: &Value) {
    match key {
        _ if said(key) => {}
        _ if value.is_null() => {}
        "args" | "arguments" => {
            server
                .backend
                .entry("args".into())
                .or_insert_with(|| value.clone());
        }
        "env" | "environment" => server.set("env", texts(value)),
        "headers" => server.set("headers", texts(value)),
        "disabled" | "enabled" => {
            if *value == Value::Bool(key == "disabled") {
                server.set("auto_start", false);
            }
        }
        "type" | "transport" | "protocol" => transport(server, key, value),
        "priority" => priority(server, value),
        "auth" | "authentication" | "authorization" => auth::convert(server, key, value),
        "timeout" => server.note(key, "`timeout` says no unit: write `timeout_seconds`"),
        _ if ALLOW.contains(&key) => tools(server, "allow", value),
        _ if DENY.contains(&key) => tools(server, "deny", value),
        "tools" if !value.is_mapping() => {
            server.note(
                key,
                "`tools` lists names and was left out: all are offered, see `tools.allow`",
            );
        }
        _ if is_ours(key) => server.set(key, value.clone()),
        _ => {
            let what = format!("{} has no counterpart here: left out", quote(key));
            server.note(key, what);
        }
    }
}

/// Whether a key is dealt with elsewhere, or says nothing that matters here.
fn said(key: &str) -> bool {
    let lists: [&[&str]; 4] = [&NAMES, &ADDRESSES, &URLS, &HARMLESS];
    key == "command" || lists.iter().any(|list| list.contains(&key))
}

fn is_ours(key: &str) -> bool {
    static SCHEMA: LazyLock<serde_json::Value> = LazyLock::new(schema::plain);
    let keys = SCHEMA.pointer("/$defs/Backend/properties");
    keys.is_some_and(|keys| keys.get(key).is_some())
}

/// Others let numbers stand where texts are meant.
fn texts(value: &Value) -> Value {
    let Value::Mapping(map) = value else {
        return value.clone();
    };
    let text = |value: &Value| match value {
        Value::Number(number) => number.to_string().into(),
        Value::Bool(flag) => flag.to_string().into(),
        other => other.clone(),
    };
    let all = map.iter().map(|(key, value)| (key.clone(), text(value)));
    Value::Mapping(all.collect())
}

fn transport(server: &mut Server<'_>, key: &str, value: &Value) {
    let word = value.as_str().unwrap_or_default().to_ascii_lowercase();
    let transport = match word.as_str() {
        "stdio" | "local" | "auto" | "remote" => return,
        "http" | "https" | "streamable-http" | "streamablehttp" | "streamable_http" => {
            "streamable_http"
        }
        "sse" | "http+sse" => "sse",
        _ => {
            let what = format!(
                "{} {} is not known: found out by asking",
                quote(key),
                quote(&word)
            );
            return server.note(key, what);
        }
    };
    if server.backend.contains_key("url") {
        server.set("transport", transport);
    }
}

/// Lower is tried first; 10 is usual.
fn priority(server: &mut Server<'_>, value: &Value) {
    let word = value.as_str().map(str::to_ascii_lowercase);
    match (word.as_deref(), value.as_u64()) {
        (Some("critical" | "highest"), _) => server.set("priority", 1),
        (Some("high"), _) => server.set("priority", 5),
        (Some("medium" | "normal"), _) => server.set("priority", 10),
        (Some("low"), _) => server.set("priority", 20),
        (_, Some(number)) => server.set("priority", number),
        _ => server.note(
            "priority",
            "`priority` is none of high, medium, low: left out",
        ),
    }
}

fn tools(server: &mut Server<'_>, rule: &str, value: &Value) {
    let section = server.backend.entry("tools".into());
    let section = section.or_insert_with(|| Mapping::new().into());
    if let Value::Mapping(section) = section {
        section.insert(rule.into(), value.clone());
    }
}
