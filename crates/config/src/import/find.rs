//! Where a file keeps its servers.

use serde_yaml::{Mapping, Value};

use crate::report::Complaint;
use crate::yaml::Path;

/// One server as the source has it.
pub(super) struct Found {
    pub(super) path: Path,
    /// Its key, where they are a map.
    pub(super) key: Option<String>,
    pub(super) entry: Mapping,
}

pub(super) struct Sources {
    pub(super) servers: Vec<Found>,
    /// What stands beside the servers and should be known.
    pub(super) beside: Vec<(String, Path)>,
}

/// All servers of a file, wherever the programs that write such files put them.
pub(super) fn servers(file: &Value) -> Result<Sources, Box<Complaint>> {
    let Value::Mapping(top) = file else {
        return Err(nothing());
    };
    if top.contains_key("backends") {
        let complaint = Complaint::new("the file has `backends`: it is one of ours already");
        return Err(Box::new(complaint.help("use it as it is")));
    }
    let mut sources = Sources {
        servers: Vec::new(),
        beside: Vec::new(),
    };
    let root = Path::root();
    for section in ["mcpServers", "servers", "mcp_servers"] {
        sources.take(top.get(section), root.key(section));
    }
    // The settings of VS Code.
    if let Some(Value::Mapping(mcp)) = top.get("mcp") {
        sources.take(mcp.get("servers"), root.key("mcp").key("servers"));
    }
    // Claude Code keeps those of a project apart.
    if let Some(Value::Mapping(projects)) = top.get("projects") {
        for (name, project) in projects {
            if let (Some(name), Value::Mapping(project)) = (name.as_str(), project) {
                let path = root.key("projects").key(name).key("mcpServers");
                sources.take(project.get("mcpServers"), path);
            }
        }
    }
    if sources.servers.is_empty() {
        return Err(nothing());
    }
    if matches!(top.get("servers"), Some(Value::Sequence(_))) {
        sources.rest(top);
    }
    Ok(sources)
}

fn nothing() -> Box<Complaint> {
    let complaint = Complaint::new("the file names no MCP servers");
    Box::new(complaint.help(
        "what can be converted: a map `mcpServers` (Claude Desktop, Claude Code, Cursor), a map \
         `servers` (VS Code), a list `servers` with `endpoint`",
    ))
}

impl Sources {
    fn take(&mut self, section: Option<&Value>, path: Path) {
        match section {
            Some(Value::Mapping(entries)) => {
                for (key, entry) in entries {
                    if let (Some(key), Value::Mapping(entry)) = (key.as_str(), entry) {
                        self.servers.push(Found {
                            path: path.key(key),
                            key: Some(key.to_owned()),
                            entry: entry.clone(),
                        });
                    }
                }
            }
            Some(Value::Sequence(entries)) => {
                for (at, entry) in entries.iter().enumerate() {
                    let path = path.item(at);
                    match entry {
                        Value::Mapping(entry) => self.servers.push(Found {
                            path,
                            key: None,
                            entry: entry.clone(),
                        }),
                        _ => self
                            .beside
                            .push((format!("{path} is no server: left out"), path)),
                    }
                }
            }
            _ => {}
        }
    }

    /// The file of a host has much that is the host's own; beside a list, everything is about
    /// servers.
    fn rest(&mut self, top: &Mapping) {
        for key in top
            .keys()
            .filter_map(Value::as_str)
            .filter(|k| *k != "servers")
        {
            let path = Path::root().key(key);
            let what = format!("{path} has no counterpart here: left out");
            self.beside.push((what, path));
        }
    }
}
