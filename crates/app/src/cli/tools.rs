//! `tools`: what agents will see.

use mcp_router_core::{BackendStatus, Router, State, ToolEntry};
use mcp_router_protocol::{Profile, RawJson};
use serde::Serialize;

use super::args::Cli;
use super::table::Table;
use super::{FAILED, OK, serve, terminal};

/// Connects to every backend, waits until each has answered or failed, and prints the merged
/// tools as clients of `host` get them, with the names that operators know them by where those
/// differ. Backends that could not be reached are named on standard error; if none could, that is
/// a failure.
pub(super) fn tools(cli: &Cli, json: bool, host: Profile) -> u8 {
    serve::with_router(cli, async |router: Router| {
        router.ready().await;
        router.rouse().await;
        let tools = router.tools_for(host);
        let printed = match json {
            true => terminal::print_json(&rows(&tools)),
            false => terminal::print(&as_table(&tools).render(cli.colours.on_stdout())),
        };
        match complain_about(&router.backends()) {
            OK => printed,
            code => code,
        }
    })
}

/// Names the backends that are not there on standard error; a failure if none is.
pub(super) fn complain_about(backends: &[BackendStatus]) -> u8 {
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

#[derive(Serialize)]
struct Row<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    exposed: Option<&'a str>,
    backend: &'a str,
    definition: &'a RawJson,
}

fn rows(tools: &[ToolEntry]) -> Vec<Row<'_>> {
    let rows = tools.iter().map(|tool| Row {
        name: &tool.name,
        exposed: (tool.name != tool.exposed).then_some(&tool.exposed),
        backend: &tool.backend,
        definition: &tool.definition,
    });
    rows.collect()
}

/// One line a tool, with a column for what was renamed if anything was.
fn as_table(tools: &[ToolEntry]) -> Table {
    let renamed = tools.iter().any(|tool| tool.name != tool.exposed);
    let cells = |[name, exposed, backend, text]: [&str; 4]| {
        let mut cells = vec![name.to_owned()];
        cells.extend(renamed.then(|| exposed.to_owned()));
        cells.extend([backend, text].map(str::to_owned));
        cells
    };
    let head = cells(["TOOL", "RENAMED FROM", "BACKEND", "DESCRIPTION"]);
    let head: Vec<&str> = head.iter().map(String::as_str).collect();
    let mut table = Table::new(&head);
    for tool in tools {
        let description = tool.definition.get_str("description").unwrap_or_default();
        let first_line = description.lines().next().unwrap_or_default();
        let exposed = match tool.name == tool.exposed {
            true => "",
            false => &tool.exposed,
        };
        table.row(&cells([&tool.name, exposed, &tool.backend, first_line]));
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn b36_the_table_is_aligned_and_escaped() {
        let tool = |name: &str, definition| ToolEntry {
            name: name.to_owned(),
            exposed: name.to_owned(),
            backend: "b".to_owned(),
            definition: RawJson::from_static(definition),
        };
        let tools = [
            tool("a.long_name", r#"{"description":"One.\nTwo."}"#),
            tool("b", r#"{"description":"\u001b[31mred"}"#),
            tool("c", "{}"),
        ];
        assert_eq!(
            as_table(&tools).render(false),
            "TOOL         BACKEND  DESCRIPTION\n\
             a.long_name  b        One.\n\
             b            b        \\u{1b}[31mred\n\
             c            b\n"
        );
        let json = serde_json::to_string(&rows(&tools)).unwrap();
        assert!(json.contains(r#""name":"a.long_name""#), "{json}");
    }

    #[test]
    fn what_was_renamed_is_shown_beside_its_new_name() {
        let tool = |name: &str, exposed: &str| ToolEntry {
            name: name.to_owned(),
            exposed: exposed.to_owned(),
            backend: "b".to_owned(),
            definition: RawJson::from_static("{}"),
        };
        let tools = [tool("a__long", "a.long"), tool("same", "same")];
        assert_eq!(
            as_table(&tools).render(false),
            "TOOL     RENAMED FROM  BACKEND  DESCRIPTION\n\
             a__long  a.long        b\n\
             same                   b\n"
        );
        let json = serde_json::to_string(&rows(&tools)).unwrap();
        assert!(json.contains(r#""exposed":"a.long""#), "{json}");
        assert!(!json.contains(r#""exposed":"same""#), "{json}");
    }
}
