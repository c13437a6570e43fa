//! Backends that are named at run time, not in a file.
//!
//! Whoever names one is a client, perhaps one whose model was told to by somebody else. So nothing of
//! the text is looked up: no variables, no files. What may be started, the operator's file says.

use std::collections::HashSet;

use mcp_router_protocol::name::slug;

use crate::build::{self, Site};
use crate::load::LoadInput;
use crate::model::{BackendConfig, RegistrationConfig};
use crate::raw::RawBackend;
use crate::report::Notes;
use crate::variables;
use crate::yaml::Places;

/// A backend that somebody wants to be there.
#[derive(Clone, Debug)]
pub struct Wanted<'a> {
    /// A URL, a repository or a package for `uvx`, or a command line, split at spaces.
    pub source: &'a str,
    /// Its name; made from the source if absent.
    pub name: Option<&'a str>,
    /// Its namespace; made from the name if absent.
    pub namespace: Option<&'a str>,
    /// Lower is tried first.
    pub priority: u32,
    /// Whether it is used.
    pub auto_start: bool,
}

/// Longest source, in bytes.
const LONGEST: usize = 2048;

/// What stands behind a source.
enum Kind {
    Url,
    /// Started by `uvx`, as `source` of a file.
    Package,
    Command {
        program: String,
        args: Vec<String>,
    },
}

/// The backend that is wanted, with the defaults that the environment of `input` says, if `rules`
/// allow its kind. Where its address leads is not looked at here.
///
/// # Errors
/// What is wrong with it, as a sentence each.
pub fn registered(
    wanted: &Wanted<'_>,
    rules: &RegistrationConfig,
    input: &LoadInput,
) -> Result<BackendConfig, Vec<String>> {
    let source = wanted.source.trim();
    if source.is_empty() || source.len() > LONGEST {
        return Err(vec![format!("source must have 1 to {LONGEST} bytes")]);
    }
    let kind = kind(source);
    allowed(source, &kind, rules)?;
    let name = match wanted.name {
        Some(name) => name.to_owned(),
        None => made_name(source, &kind)
            .ok_or_else(|| vec!["no name can be made from source: give one".to_owned()])?,
    };
    let namespace = match wanted.namespace {
        Some(namespace) => namespace.to_owned(),
        None => slug(&name)
            .ok_or_else(|| vec!["no namespace can be made from the name: give one".to_owned()])?
            .to_string(),
    };
    let (command, args, source) = match kind {
        Kind::Command { program, args } => (Some(program), Some(args), None),
        Kind::Url | Kind::Package => (None, None, Some(source.to_owned())),
    };
    let raw = RawBackend {
        name: Some(name),
        namespace: Some(namespace),
        source,
        command,
        args,
        priority: Some(wanted.priority),
        auto_start: Some(wanted.auto_start),
        ..RawBackend::default()
    };
    let mut notes = Notes::default();
    let said = variables::read(&input.env, &mut Notes::default());
    let mut site = Site {
        places: &Places::default(),
        filled: &HashSet::new(),
        env: &input.env,
        said: &said,
        notes: &mut notes,
    };
    let built = build::one(raw, &mut site);
    let complaints = notes.complaints.into_iter();
    let complaints: Vec<_> = complaints.map(|c| c.message).collect();
    match built {
        Some(built) if complaints.is_empty() => Ok(built),
        _ => Err(complaints),
    }
}

fn kind(source: &str) -> Kind {
    let mut words = source.split_whitespace();
    match (words.next(), words.next()) {
        _ if source.contains("://") => Kind::Url,
        (Some(one), None) if !one.contains('/') || one.starts_with("github:") => Kind::Package,
        _ => {
            let mut words = source.split_whitespace().map(str::to_owned);
            Kind::Command {
                program: words.next().unwrap_or_default(),
                args: words.collect(),
            }
        }
    }
}

/// Processes need the operator's word: for the program, whatever its arguments, or for the whole
/// line.
fn allowed(source: &str, kind: &Kind, rules: &RegistrationConfig) -> Result<(), Vec<String>> {
    let program = match kind {
        Kind::Url => return Ok(()),
        Kind::Package => build::RUNNER,
        Kind::Command { program, .. } => program,
    };
    let mut allowed = rules.allow_commands.iter();
    match allowed.any(|entry| entry == source || entry == program) {
        true => Ok(()),
        false => Err(vec![
            "only URLs may be registered, and commands that the operator has named in \
             `registration.allow_commands`"
                .to_owned(),
        ]),
    }
}

/// A name for what has none: of a URL its host and port, of a program its own.
fn made_name(source: &str, kind: &Kind) -> Option<String> {
    let text = match kind {
        Kind::Url => {
            let uri: http::Uri = source.parse().ok()?;
            let port = uri.port_u16().map(|port| format!("-{port}"));
            format!("{}{}", uri.host()?, port.unwrap_or_default())
        }
        Kind::Package => {
            let place = source.split('@').next()?;
            place.rsplit('/').next()?.to_owned()
        }
        Kind::Command { program, .. } => program.rsplit('/').next()?.to_owned(),
    };
    slug(&text).map(|name| name.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn register(source: &str, allow: &[&str]) -> Result<BackendConfig, Vec<String>> {
        let wanted = Wanted {
            source,
            name: None,
            namespace: None,
            priority: 3,
            auto_start: true,
        };
        let rules = RegistrationConfig {
            allow_commands: allow.iter().map(|entry| (*entry).to_owned()).collect(),
            ..RegistrationConfig::default()
        };
        registered(&wanted, &rules, &LoadInput::default())
    }

    #[test]
    fn names_and_namespaces_are_made_from_the_source() {
        for (source, name) in [
            ("http://search.example:8001/mcp", "search-example-8001"),
            ("https://10.0.0.1", "10-0-0-1"),
            ("mcp-server-time@1.2", "mcp-server-time"),
            ("github:owner/repo@main", "repo"),
            ("/opt/my.server --fast", "my-server"),
        ] {
            let built = register(source, &["uvx", "/opt/my.server"]).unwrap();
            assert_eq!(built.name.as_str(), name, "{source}");
            assert_eq!(built.namespace.as_str(), name, "{source}");
            assert_eq!(built.priority, 3);
        }
    }

    #[test]
    fn b32_processes_need_the_operators_word() {
        let refused = |source: &str, allow: &[&str]| register(source, allow).is_err();
        for source in [
            "mcp-server-time",
            "github:o/r",
            "sh -c id",
            "/bin/sh",
            "python3 evil.py",
            "npx -y x; id",
        ] {
            assert!(refused(source, &[]), "{source}");
            assert!(refused(source, &["node", "npx -y x"]), "{source}");
        }
        // A program with any arguments, or one whole line.
        assert!(register("python3 server.py", &["python3"]).is_ok());
        assert!(register("npx -y server", &["npx -y server"]).is_ok());
        assert!(refused("npx -y other", &["npx -y server"]));
        assert!(register("mcp-server-time", &["mcp-server-time"]).is_ok());
    }

    #[test]
    fn b32_nothing_of_a_source_is_looked_up() {
        for source in ["${file:/etc/passwd}", "http://${HOME}/", "~/x y"] {
            let built = register(source, &["~/x"]);
            let shown = format!("{built:?}");
            assert!(
                !shown.contains("root:") && !shown.contains("/home"),
                "{shown}"
            );
        }
    }

    #[test]
    fn what_is_wrong_is_said() {
        for source in ["", "http://", "ftp://h/", "http://u:p@h/"] {
            assert!(!register(source, &[]).unwrap_err().is_empty(), "{source}");
        }
    }
}
