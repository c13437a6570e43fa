//! What looks like a secret: pointed at, or replaced by a variable.

use serde_yaml::Value;

use super::{Secrets, Server};

/// Parts of names whose values are mostly secrets.
const TELLING: [&str; 11] = [
    "token",
    "secret",
    "password",
    "passwd",
    "apikey",
    "api_key",
    "api-key",
    "authorization",
    "credential",
    "cookie",
    "private_key",
];

/// Whether a value of this name is mostly a secret.
fn is_telling(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let ends = ["_key", "-key", "_pat"]
        .iter()
        .any(|end| name.ends_with(end));
    ends || TELLING.iter().any(|part| name.contains(part))
}

/// Does with the secrets of a server what is wanted.
pub(super) fn treat(server: &mut Server<'_>, wanted: Secrets) {
    let prefix = server.name().to_uppercase().replace('-', "_");
    let mut named: Vec<(String, String)> = Vec::new();
    for section in ["env", "headers"] {
        let Some(Value::Mapping(map)) = server.backend.get_mut(section) else {
            continue;
        };
        for (key, value) in map.iter_mut() {
            let (Some(key), Value::String(text)) = (key.as_str(), value) else {
                continue;
            };
            if text.contains("${") || text.trim().is_empty() || !is_telling(key) {
                continue;
            }
            let variable = match section {
                "env" => variable(key),
                _ => format!("{prefix}_{}", variable(key)),
            };
            named.push((format!("{section}.{key}"), variable.clone()));
            if wanted == Secrets::Hide {
                // The scheme is no secret, and says how the rest is used.
                let scheme = ["Bearer ", "Basic ", "token "];
                let scheme = scheme.into_iter().find(|s| text.starts_with(s));
                *text = format!("{}${{{variable}}}", scheme.unwrap_or_default());
            }
        }
    }
    named.extend(args(server, &prefix, wanted));
    for (place, variable) in named {
        let what = match wanted {
            Secrets::Keep => format!(
                "{place} looks like a secret: ${{{variable}}} in its place keeps it out of the file"
            ),
            Secrets::Hide => {
                format!("{place} is ${{{variable}}} now: set it to what the source has")
            }
        };
        let key = place.split('.').next().unwrap_or_default();
        server.note(key, what);
        if wanted == Secrets::Hide {
            server.variables.push(variable);
        }
    }
}

/// The same for arguments: `--token=x`, or `--token` and then `x`.
fn args(server: &mut Server<'_>, prefix: &str, wanted: Secrets) -> Vec<(String, String)> {
    let Some(Value::Sequence(args)) = server.backend.get_mut("args") else {
        return Vec::new();
    };
    let (mut named, mut expected) = (Vec::new(), None::<String>);
    for (at, arg) in args.iter_mut().enumerate() {
        let Value::String(text) = arg else {
            continue;
        };
        let flag = expected.take();
        let (name, secret) = match (text.split_once('='), flag) {
            (Some((name, secret)), _) if name.starts_with('-') => {
                (name.to_owned(), secret.to_owned())
            }
            (_, Some(flag)) if !text.starts_with('-') => (flag, text.clone()),
            _ => {
                expected = (text.starts_with("--") && is_telling(text)).then(|| text.clone());
                continue;
            }
        };
        if !is_telling(&name) || secret.contains("${") || secret.is_empty() {
            continue;
        }
        let variable = format!("{prefix}_{}", variable(name.trim_start_matches('-')));
        if wanted == Secrets::Hide {
            *text = text.replace(&secret, &format!("${{{variable}}}"));
        }
        named.push((format!("args[{at}]"), variable));
    }
    named
}

/// A name as variables have it.
fn variable(name: &str) -> String {
    let upper = name.chars().map(|c| match c.is_ascii_alphanumeric() {
        true => c.to_ascii_uppercase(),
        false => '_',
    });
    let text: String = upper.collect();
    match text.starts_with(|c: char| c.is_ascii_digit()) {
        true => format!("_{text}"),
        false => text,
    }
}
