//! `import`: another host's servers as a file of ours.

use std::io::{self, Read};
use std::path::{Path, PathBuf};

use mcp_router_config::{Imported, Secrets, import as convert};
use serde::Serialize;
use serde_json::Value;

use super::args::Cli;
use super::{OK, USAGE, terminal};

/// Prints the converted file on standard output, and what could not be converted on standard error.
pub(super) fn import(cli: &Cli, file: &Path, hide_secrets: bool, json: bool) -> u8 {
    let text = match read(file) {
        Ok(text) => text,
        Err(error) => {
            terminal::complain(&format!("{} cannot be read: {error}", file.display()));
            return USAGE;
        }
    };
    let secrets = match hide_secrets {
        true => Secrets::Hide,
        false => Secrets::Keep,
    };
    let imported = match convert(PathBuf::from(file), &text, secrets) {
        Ok(imported) => imported,
        Err(errors) => {
            terminal::say(&errors.render(cli.colours.on_stderr()));
            return USAGE;
        }
    };
    if json {
        return terminal::print_json(&Converted::of(imported));
    }
    let printed = terminal::print(&imported.yaml);
    if printed == OK {
        remarks(file, &imported);
    }
    printed
}

fn read(file: &Path) -> io::Result<String> {
    if file != Path::new("-") {
        return std::fs::read_to_string(file);
    }
    let mut text = String::new();
    io::stdin().lock().read_to_string(&mut text)?;
    Ok(text)
}

fn remarks(file: &Path, imported: &Imported) {
    for note in &imported.notes {
        let line = note
            .place
            .map_or(String::new(), |place| format!(":{}", place.line));
        terminal::say(&format!("{}{line}: {}", file.display(), note.message));
    }
    for variable in &imported.variables {
        terminal::say(&format!("to be set before the file is used: {variable}"));
    }
}

#[derive(Serialize)]
struct Converted {
    config: Value,
    notes: Vec<String>,
    variables: Vec<String>,
}

impl Converted {
    fn of(imported: Imported) -> Self {
        Self {
            config: imported.json,
            notes: imported.notes.iter().map(ToString::to_string).collect(),
            variables: imported.variables,
        }
    }
}
