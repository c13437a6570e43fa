//! `tools`: what agents will see.

use mcp_router_core::{BackendStatus, Router, State, ToolEntry};
use mcp_router_observe::printable;
use mcp_router_protocol::RawJson;
use serde::Serialize;

use super::args::Cli;
use super::{FAILED, OK, serve, terminal};

/// Connects to every backend, waits until each has answered or failed, and prints the merged
/// tools. Backends that could not be reached are named on standard error; if none could, that is a
/// failure.
pub(super) fn tools(cli: &Cli, json: bool) -> u8 {
    serve::with_router(cli, async |router: Router| {
        router.ready().await;
        router.rouse().await;
        let tools = router.tools();
        let text = if json {
            as_json(&tools)
        } else {
            as_table(&tools)
        };
        let printed = terminal::print(&text);
        match complain_about(&router.backends()) {
            OK => printed,
            code => code,
        }
    })
}

fn complain_about(backends: &[BackendStatus]) -> u8 {
    let enabled = || backends.iter().filter(|b| b.state != State::Disabled);
    for backend in enabled().filter(|b| !b.healthy) {
        let why = backend.last_error.as_deref();
        terminal::say(&format!(
            "backend {:?} is not there: {}",
            backend.name,
            why.unwrap_or("it has not answered yet")
        ));
    }
    if enabled().count() > 0 && !enabled().any(|b| b.healthy) {
        FAILED
    } else {
        OK
    }
}

fn as_json(tools: &[ToolEntry]) -> String {
    #[derive(Serialize)]
    struct Row<'a> {
        name: &'a str,
        backend: &'a str,
        definition: &'a RawJson,
    }
    let rows: Vec<_> = tools
        .iter()
        .map(|tool| Row {
            name: &tool.name,
            backend: &tool.backend,
            definition: &tool.definition,
        })
        .collect();
    let text = serde_json::to_string_pretty(&rows);
    // Names are strings and definitions JSON: there is nothing that cannot be written.
    text.unwrap_or_default() + "\n"
}

/// Three columns; foreign text is cut and escaped, so that no backend paints our terminal.
fn as_table(tools: &[ToolEntry]) -> String {
    let rows: Vec<[String; 3]> = tools
        .iter()
        .map(|tool| {
            let description = tool.definition.get_str("description").unwrap_or_default();
            let first_line = description.lines().next().unwrap_or_default();
            [
                printable(&tool.name).into_owned(),
                printable(&tool.backend).into_owned(),
                printable(first_line).into_owned(),
            ]
        })
        .collect();
    let header = ["TOOL", "BACKEND", "DESCRIPTION"].map(str::to_owned);
    let width = |column: usize| {
        let cells = rows.iter().chain([&header]).map(|row| &row[column]);
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let (first, second) = (width(0), width(1));
    let lines = std::iter::once(&header).chain(&rows).map(|[a, b, c]| {
        let line = format!("{a:first$}  {b:second$}  {c}");
        format!("{}\n", line.trim_end())
    });
    lines.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn b36_the_table_is_aligned_and_escaped() {
        let tool = |name: &str, definition| ToolEntry {
            name: name.to_owned(),
            backend: "b".to_owned(),
            definition: RawJson::from_static(definition),
        };
        let tools = [
            tool("a.long_name", r#"{"description":"One.\nTwo."}"#),
            tool("b", r#"{"description":"\u001b[31mred"}"#),
            tool("c", "{}"),
        ];
        assert_eq!(
            as_table(&tools),
            "TOOL         BACKEND  DESCRIPTION\n\
             a.long_name  b        One.\n\
             b            b        \\u{1b}[31mred\n\
             c            b\n"
        );
        assert!(as_json(&tools).contains(r#""name": "a.long_name""#));
    }
}
