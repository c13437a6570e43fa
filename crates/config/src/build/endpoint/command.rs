//! A program to start: a command, or what `uvx` makes of a repository or a package.

use secrecy::SecretString;

use super::super::Site;
use super::package;
use crate::model::{CommandEndpoint, EndpointConfig};
use crate::raw::{RawBackend, RawReplicas};
use crate::yaml::Path;

/// One process, or several equal ones.
pub(super) fn command(
    raw: &RawBackend,
    path: &Path,
    site: &mut Site<'_>,
) -> Option<EndpointConfig> {
    let start = match (&raw.command, &raw.source) {
        (Some(program), _) => Some(command_line(program, path, site)),
        (None, Some(source)) => package_line(source, path, site),
        (None, None) => None,
    };
    let own = raw.args.as_deref().unwrap_or_default();
    let at = path.key("args");
    for (item, _) in own.iter().enumerate().filter(|(_, arg)| has_nul(arg)) {
        site.wrong(&at.item(item), "has a NUL character");
    }
    let own_hidden = (0..own.len()).map(|item| site.filled.contains(&at.item(item)));
    let own_hidden: Vec<bool> = own_hidden.collect();
    let env = env(raw, path, site);
    let Start {
        program,
        mut args,
        mut hidden,
    } = start?;
    args.extend_from_slice(own);
    hidden.extend(own_hidden);
    Some(EndpointConfig::Command(CommandEndpoint {
        program,
        args,
        env,
        cwd: raw.cwd.as_deref().map(|cwd| site.env.expand_home(cwd)),
        processes: match raw.replicas {
            Some(RawReplicas::Processes(processes)) => processes,
            Some(RawReplicas::Servers(_)) | None => 1,
        },
        hidden_args: hidden,
    }))
}

/// What to run, before the arguments of the file.
struct Start {
    program: String,
    args: Vec<String>,
    /// Which of `args` must not be printed.
    hidden: Vec<bool>,
}

fn command_line(program: &str, path: &Path, site: &mut Site<'_>) -> Start {
    let at = path.key("command");
    if has_nul(program) {
        site.wrong(&at, "has a NUL character");
    }
    if program.contains(' ') && !program.contains(['/', '\\']) {
        let place = site.places.place(&at);
        let message = format!("{at} has spaces: arguments belong into `args`");
        site.notes.warn(message, place);
    }
    Start {
        program: site.env.expand_home(program).to_string_lossy().into_owned(),
        args: Vec::new(),
        hidden: Vec::new(),
    }
}

fn package_line(source: &str, path: &Path, site: &mut Site<'_>) -> Option<Start> {
    let at = path.key("source");
    match package::arguments(source) {
        Ok(args) => Some(Start {
            program: package::RUNNER.to_owned(),
            hidden: vec![site.filled.contains(&at); args.len()],
            args,
        }),
        Err(problem) => {
            site.wrong(&at, problem);
            None
        }
    }
}

fn env(raw: &RawBackend, path: &Path, site: &mut Site<'_>) -> Vec<(String, SecretString)> {
    let mut env = Vec::new();
    for (name, value) in raw.env.iter().flatten() {
        let at = path.key("env").key(name);
        if name.is_empty() || has_nul(name) || name.contains('=') {
            site.wrong_key(&at, "is not the name of a variable");
        } else if has_nul(value) {
            site.wrong(&at, "has a NUL character");
        } else {
            env.push((name.clone(), value.clone().into()));
        }
    }
    env
}

fn has_nul(text: &str) -> bool {
    text.contains('\0')
}
