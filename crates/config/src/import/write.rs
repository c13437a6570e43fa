//! The file as text, with what is to be said about each server above it.

use std::fmt::Write;

use super::Server;

/// The whole file.
pub(super) fn file(servers: &[Server<'_>]) -> String {
    let mut out = String::new();
    let any = servers.iter().any(|server| !server.backend.is_empty());
    out.push_str(if any { "backends:\n" } else { "backends: []\n" });
    for server in servers {
        for note in &server.notes {
            // A name may hold a line break; a comment may not. Writing to a string cannot fail.
            let line = note.message.replace(['\n', '\r'], " ");
            let _ = writeln!(out, "  # {line}");
        }
        if server.backend.is_empty() {
            continue;
        }
        // Maps, lists, texts and numbers can always be written.
        let text = serde_yaml::to_string(&server.backend).unwrap_or_default();
        for (at, line) in text.lines().enumerate() {
            let indent = if at == 0 { "  - " } else { "    " };
            match line.is_empty() {
                true => out.push('\n'),
                false => {
                    let _ = writeln!(out, "{indent}{line}");
                }
            }
        }
    }
    out
}
