//! What `check --connect` found, for people and for programs.

use std::fmt::Write;

use mcp_router_core::{BackendStatus, State};
use serde::Serialize;

use super::super::table::{Table, bold, line as safe};
use super::findings::{Renaming, Unused};

/// Most notes of one kind that are written out; the rest are counted.
const MOST_SHOWN: usize = 10;

#[derive(Debug, Serialize)]
pub(super) struct Report {
    pub(super) backends: Vec<Reached>,
    pub(super) unused: Vec<Unused>,
    pub(super) renamed: Vec<Renaming>,
    /// Tools that clients get, of all backends together.
    pub(super) tools: usize,
}

/// One backend.
#[derive(Debug, Serialize)]
pub(super) struct Reached {
    name: String,
    /// `reached`, `unreachable`, `disabled`.
    status: &'static str,
    namespace: Option<String>,
    url: String,
    /// The revision that it speaks.
    era: Option<String>,
    transport: Option<String>,
    pub(super) latency_ms: Option<f64>,
    tools: usize,
    prompts: usize,
    resources: usize,
    invalid_items: usize,
    collisions: Vec<String>,
    left_out: Vec<String>,
    /// Why it cannot be reached.
    reason: Option<String>,
}

impl Reached {
    pub(super) fn of(status: &BackendStatus) -> Self {
        let spoken = (!status.protocol.is_empty()).then_some(&*status.protocol);
        let (era, transport) = spoken.map_or((None, None), |text| match text.split_once(' ') {
            // The part inside this program has no revision.
            Some((era, wire)) if era.starts_with("20") => (Some(era), Some(wire)),
            _ => (None, Some(text)),
        });
        let failed = "it has not answered in time";
        let (word, reason) = match status.state {
            State::Disabled => ("disabled", None),
            State::Ready | State::Asleep => ("reached", None),
            State::Starting | State::Down => {
                let reason = status.last_error.as_deref().unwrap_or(failed);
                ("unreachable", Some(reason.to_owned()))
            }
        };
        Self {
            name: status.name.clone(),
            status: word,
            namespace: status.namespace.clone(),
            url: status.url.clone(),
            era: era.map(str::to_owned),
            transport: transport.map(str::to_owned),
            latency_ms: None,
            tools: status.tools,
            prompts: status.prompts,
            resources: status.resources,
            invalid_items: status.invalid_items,
            collisions: status.collisions.clone(),
            left_out: status.left_out.clone(),
            reason,
        }
    }

    /// It answered before, and does not now.
    pub(super) fn failed(&mut self, reason: String) {
        self.status = "unreachable";
        self.reason = Some(reason);
    }

    fn is_unreachable(&self) -> bool {
        self.status == "unreachable"
    }
}

impl Report {
    /// How many backends could not be reached.
    pub(super) fn unreachable(&self) -> usize {
        self.backends.iter().filter(|b| b.is_unreachable()).count()
    }

    pub(super) fn render(&self, colour: bool) -> String {
        let mut out = self.table().render(colour);
        let mut notes = |title: &str, lines: Vec<String>| {
            let more = lines.len().saturating_sub(MOST_SHOWN);
            if lines.is_empty() {
                return;
            }
            let title = match colour {
                true => bold(title),
                false => title.to_owned(),
            };
            // Writing to a string cannot fail.
            let _ = writeln!(out, "\n{title}");
            for line in lines.iter().take(MOST_SHOWN) {
                let _ = writeln!(out, "  {}", safe(line));
            }
            if more > 0 {
                let _ = writeln!(out, "  … and {more} more (--json shows all)");
            }
        };
        notes("Not reached", self.reasons());
        notes(
            "Names that another backend has",
            self.of_each(|b| &b.collisions),
        );
        notes("Left out", self.of_each(|b| &b.left_out));
        notes(
            "Matches no listed tool",
            self.unused.iter().map(unused).collect(),
        );
        notes("Names that change", renamings(&self.renamed));
        out
    }

    fn table(&self) -> Table {
        let mut table = Table::new(&[
            "BACKEND",
            "STATUS",
            "ERA",
            "TRANSPORT",
            "LATENCY",
            "TOOLS",
            "PROMPTS",
            "RESOURCES",
        ]);
        for backend in &self.backends {
            let latency = backend.latency_ms.map(|ms| format!("{ms} ms"));
            table.row(&[
                backend.name.as_str(),
                backend.status,
                backend.era.as_deref().unwrap_or("-"),
                backend.transport.as_deref().unwrap_or("-"),
                latency.as_deref().unwrap_or("-"),
                &backend.tools.to_string(),
                &backend.prompts.to_string(),
                &backend.resources.to_string(),
            ]);
        }
        table
    }

    fn reasons(&self) -> Vec<String> {
        let failed = self.backends.iter().filter(|b| b.is_unreachable());
        let why = |b: &Reached| {
            let reason = b.reason.as_deref().unwrap_or_default();
            format!("{} ({}): {reason}", b.name, b.url)
        };
        failed.map(why).collect()
    }

    fn of_each<'a>(&'a self, what: impl Fn(&'a Reached) -> &'a Vec<String>) -> Vec<String> {
        let each = self.backends.iter();
        let texts = each.flat_map(|b| what(b).iter().map(|text| format!("{}: {text}", b.name)));
        texts.collect()
    }
}

fn unused(unused: &Unused) -> String {
    let Unused {
        backend,
        key,
        value,
        may_be_meant,
    } = unused;
    let meant = match may_be_meant {
        true => " (with `strategy: path` that may be meant)",
        false => "",
    };
    format!("{backend}: {key} `{value}`{meant}")
}

/// One line for all hosts that change the same number of names, with one of them.
fn renamings(all: &[Renaming]) -> Vec<String> {
    let mut groups: Vec<(usize, Vec<&Renaming>)> = Vec::new();
    for renaming in all {
        match groups
            .iter_mut()
            .find(|(count, _)| *count == renaming.count)
        {
            Some((_, group)) => group.push(renaming),
            None => groups.push((renaming.count, vec![renaming])),
        }
    }
    let shown = groups.into_iter().map(|(count, group)| {
        let hosts: Vec<_> = group.iter().map(|renaming| renaming.host).collect();
        let first = group.first().and_then(|renaming| renaming.names.first());
        let such = first.map_or(String::new(), |name| {
            format!(", such as {} for {}", name.shown_as, name.tool)
        });
        format!("{}: {count} tools{such}", hosts.join(", "))
    });
    shown.collect()
}
