//! Definitions as clients get them: under another name, and without what would mislead.

use bytes::Bytes;

use super::{Item, ItemKind};
use crate::json::{RawJson, set_members};
use crate::mirror::strip;
use crate::name::Namespace;
use crate::uri;

/// How a definition is shown.
#[derive(Clone, Copy, Debug)]
pub struct Dress<'a> {
    /// The name or URI.
    pub key: &'a str,
    /// Whose `ui://` resources the definition names.
    pub namespace: Option<&'a Namespace>,
    /// Whether the marks of parameters that go into headers stay.
    pub mirrored: bool,
    /// Whether `execution` (2025-11-25) stays.
    pub execution: bool,
}

impl Item {
    /// The definition in this dress. What needs no change stays byte for byte.
    pub fn dressed(&self, dress: Dress<'_>) -> Bytes {
        if self.kind() != ItemKind::Tool {
            return self.exposed_as(dress.key);
        }
        let mut plain = self.raw().clone();
        let marked = !matches!(self.mirror(), Ok(None));
        if marked && !dress.mirrored {
            plain = strip(&plain);
        }
        if self.execution && !dress.execution {
            plain = set_members(&plain, &[("execution", None)]).unwrap_or(plain);
        }
        if let Some(named) = dress.namespace.and_then(|ns| with_ui(&plain, ns)) {
            plain = named;
        }
        if plain.bytes().as_ptr() == self.raw().bytes().as_ptr() {
            return self.exposed_as(dress.key);
        }
        let name = RawJson::of(dress.key);
        let named = set_members(&plain, &[("name", Some(name.bytes()))]);
        named.unwrap_or(plain).into_bytes()
    }
}

/// The definition with its user interface's URI as clients know it: `_meta.ui.resourceUri`, and
/// `_meta["ui/resourceUri"]` as older drafts of the extension have it.
fn with_ui(tool: &RawJson, namespace: &Namespace) -> Option<RawJson> {
    memchr::memmem::find(tool.bytes(), b"resourceUri\"")?;
    let meta = tool.get("_meta")?;
    let exposed = |own: String| RawJson::of(&uri::expose(Some(namespace), &own));
    let flat = meta.get_str("ui/resourceUri").map(exposed);
    let ui = meta.get("ui").and_then(|ui| {
        let own = ui.get_str("resourceUri")?;
        set_members(&ui, &[("resourceUri", Some(exposed(own).bytes()))]).ok()
    });
    let changes: Vec<(&str, Option<&[u8]>)> = [("ui", &ui), ("ui/resourceUri", &flat)]
        .into_iter()
        .filter_map(|(key, new)| Some((key, Some(&new.as_ref()?.bytes()[..]))))
        .collect();
    let meta = set_members(&meta, &changes)
        .ok()
        .filter(|_| !changes.is_empty())?;
    set_members(tool, &[("_meta", Some(meta.bytes()))]).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dressed(text: &'static str, mirrored: bool, execution: bool) -> String {
        let item = Item::parse(ItemKind::Tool, RawJson::from_static(text)).unwrap();
        let namespace: Namespace = "ns".parse().unwrap();
        let bytes = item.dressed(Dress {
            key: "ns.t",
            namespace: Some(&namespace),
            mirrored,
            execution,
        });
        String::from_utf8(bytes.to_vec()).unwrap()
    }

    #[test]
    fn a_definition_keeps_every_byte_that_misleads_nobody() {
        let text = r#"{ "x":1.0, "name":"t","execution":{"taskSupport":"optional"}}"#;
        let all = r#"{ "x":1.0, "name":"ns.t","execution":{"taskSupport":"optional"}}"#;
        assert_eq!(dressed(text, true, true), all);
        assert_eq!(dressed(text, true, false), r#"{ "x":1.0, "name":"ns.t"}"#);
    }

    #[test]
    fn interfaces_are_named_as_clients_know_them() {
        let text = r#"{"name":"t","_meta":{"ui":{"resourceUri":"ui://w/p","z":1},"ui/resourceUri":"ui://w/p"}}"#;
        let expected = r#"{"name":"ns.t","_meta":{"ui":{"resourceUri":"ui://ns/w/p","z":1},"ui/resourceUri":"ui://ns/w/p"}}"#;
        assert_eq!(dressed(text, true, true), expected);
    }

    #[test]
    fn r26_marks_stay_where_headers_are_sent() {
        let text = r#"{"name":"t","inputSchema":{"properties":{"a":{"type":"string","x-mcp-header":"A"}}}}"#;
        assert!(dressed(text, true, true).contains("x-mcp-header"));
        let plain = r#"{"name":"ns.t","inputSchema":{"properties":{"a":{"type":"string"}}}}"#;
        assert_eq!(dressed(text, false, true), plain);
    }

    #[test]
    fn tools_that_are_tasks_alone_are_known() {
        let parse = |text| Item::parse(ItemKind::Tool, RawJson::from_static(text)).unwrap();
        let required = r#"{"name":"t","execution":{"taskSupport":"required"}}"#;
        assert!(parse(required).is_task_only());
        assert!(!parse(r#"{"name":"t","execution":{"taskSupport":"optional"}}"#).is_task_only());
        assert!(!parse(r#"{"name":"t"}"#).is_task_only());
    }
}
