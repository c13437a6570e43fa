//! `check`: is the file right, and is everything there that it names?

mod connect;
mod findings;
mod report;

use std::fmt::Write;

use mcp_router_config::{Complaint, ConfigErrors, Loaded};
use serde::Serialize;
use serde_json::Value;

use super::args::Cli;
use super::{OK, USAGE, load, terminal};

pub(super) use connect::connect;

/// Prints what the configuration amounts to, as YAML; what is probably not meant
/// comes first as comments. As JSON it is all one object, complaints included.
pub(super) fn check(cli: &Cli, json: bool) -> u8 {
    let loaded = match load::quietly(cli) {
        Ok(loaded) => loaded,
        Err(errors) => return refused(cli, &errors, json),
    };
    match json {
        true => terminal::print_json(&Checked::of(&loaded)),
        false => terminal::print(&as_yaml(&loaded)),
    }
}

/// Says what is wrong with the file. For programs on standard output, where they look.
fn refused(cli: &Cli, errors: &ConfigErrors, json: bool) -> u8 {
    if !json {
        terminal::say(&errors.render(cli.colours.on_stderr()));
        return USAGE;
    }
    let wrong = Refused {
        file: errors.path().map(|path| path.display().to_string()),
        errors: errors.complaints().iter().map(Wrong::of).collect(),
    };
    match terminal::print_json(&wrong) {
        OK => USAGE,
        failed => failed,
    }
}

fn as_yaml(loaded: &Loaded) -> String {
    let mut text = String::new();
    // Writing to a string cannot fail.
    if let Some(path) = &loaded.path {
        let _ = writeln!(text, "# {}", path.display());
    }
    for warning in &loaded.warnings {
        let _ = writeln!(text, "# warning: {warning}");
    }
    text + &loaded.config.to_yaml()
}

#[derive(Serialize)]
struct Checked {
    file: Option<String>,
    warnings: Vec<String>,
    config: Value,
}

#[derive(Serialize)]
struct Refused {
    file: Option<String>,
    errors: Vec<Wrong>,
}

#[derive(Serialize)]
struct Wrong {
    message: String,
    help: Option<String>,
    line: Option<usize>,
    column: Option<usize>,
}

impl Checked {
    fn of(loaded: &Loaded) -> Self {
        Self {
            file: loaded.path.as_ref().map(|path| path.display().to_string()),
            warnings: loaded.warnings.iter().map(ToString::to_string).collect(),
            config: loaded.config.to_json(),
        }
    }
}

impl Wrong {
    fn of(complaint: &Complaint) -> Self {
        Self {
            message: complaint.message.clone(),
            help: complaint.help.clone(),
            line: complaint.place.map(|place| place.line),
            column: complaint.place.map(|place| place.column),
        }
    }
}
