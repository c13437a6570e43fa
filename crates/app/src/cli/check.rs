//! `check` and `schema`: the configuration without its effects.

use std::fmt::Write;

use super::args::Cli;
use super::{OK, USAGE, load, terminal};

/// Prints what the configuration amounts to, as YAML; what has no effect, or not the one its
/// author meant, comes first as comments.
pub(super) fn check(cli: &Cli) -> u8 {
    let loaded = match load::loaded(cli) {
        Ok(loaded) => loaded,
        Err(code) => return code,
    };
    let mut text = String::new();
    // Writing to a string cannot fail.
    if let Some(path) = &loaded.path {
        let _ = writeln!(text, "# {}", path.display());
    }
    for warning in &loaded.warnings {
        let _ = writeln!(text, "# warning: {warning}");
    }
    for finding in &loaded.not_active {
        let _ = writeln!(text, "# not active yet: {finding}");
    }
    text.push_str(&loaded.config.to_yaml());
    let printed = terminal::print(&text);
    for finding in &loaded.not_implemented {
        terminal::complain(&format!("not implemented yet: {finding}"));
    }
    match printed {
        OK if !loaded.not_implemented.is_empty() => USAGE,
        code => code,
    }
}

/// Prints the JSON Schema of the file.
pub(super) fn schema() -> u8 {
    terminal::print(&format!("{:#}\n", mcp_router_config::schema()))
}
