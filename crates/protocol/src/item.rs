//! What a backend lists: tools, prompts, resources, resource templates.
//!
//! A definition is kept as its bytes; the catalogue replaces the name or URI in it and touches
//! nothing else.

use std::sync::Arc;

use bytes::Bytes;

use crate::json::{self, JsonError, RawJson, Span, splice};
use crate::method::Method;
use crate::mirror::{InvalidMirror, Mirror};
use crate::name;

mod dress;

pub use dress::Dress;

/// The four kinds of things that are listed.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum ItemKind {
    /// `tools/list`
    Tool,
    /// `prompts/list`
    Prompt,
    /// `resources/list`
    Resource,
    /// `resources/templates/list`
    Template,
}

impl ItemKind {
    /// All kinds.
    pub const ALL: [Self; 4] = [Self::Tool, Self::Prompt, Self::Resource, Self::Template];

    /// The method that lists items of this kind.
    pub const fn list_method(self) -> Method {
        match self {
            Self::Tool => Method::ToolsList,
            Self::Prompt => Method::PromptsList,
            Self::Resource => Method::ResourcesList,
            Self::Template => Method::ResourceTemplatesList,
        }
    }

    /// The kind that a list method lists.
    pub const fn of_list_method(method: &Method) -> Option<Self> {
        Some(match method {
            Method::ToolsList => Self::Tool,
            Method::PromptsList => Self::Prompt,
            Method::ResourcesList => Self::Resource,
            Method::ResourceTemplatesList => Self::Template,
            _ => return None,
        })
    }

    /// The member of the list result that holds the items.
    pub const fn member(self) -> &'static str {
        match self {
            Self::Tool => "tools",
            Self::Prompt => "prompts",
            Self::Resource => "resources",
            Self::Template => "resourceTemplates",
        }
    }

    /// The member of an item that identifies it.
    pub const fn key(self) -> &'static str {
        match self {
            Self::Tool | Self::Prompt => "name",
            Self::Resource => "uri",
            Self::Template => "uriTemplate",
        }
    }

    /// The server capability under which the kind is offered.
    pub const fn capability(self) -> &'static str {
        match self {
            Self::Tool => "tools",
            Self::Prompt => "prompts",
            Self::Resource | Self::Template => "resources",
        }
    }

    /// The notification that the list changed.
    pub const fn changed(self) -> Method {
        match self {
            Self::Tool => Method::ToolsChanged,
            Self::Prompt => Method::PromptsChanged,
            Self::Resource | Self::Template => Method::ResourcesChanged,
        }
    }
}

/// What a tool says about the effects of calling it. Absent hints are `false`: nothing is assumed
/// safe to repeat.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct ToolHints {
    /// `annotations.readOnlyHint`
    pub read_only: bool,
    /// `annotations.idempotentHint`
    pub idempotent: bool,
}

/// One listed item: its own name or URI, and its definition as the backend wrote it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Item {
    kind: ItemKind,
    key: String,
    key_span: Span,
    raw: RawJson,
    hints: ToolHints,
    mirror: Result<Option<Arc<Mirror>>, InvalidMirror>,
    /// Whether it has a member `execution`, and whether that says that it runs as a task alone.
    execution: bool,
    task_only: bool,
}

/// Why an item of a list is left out, and how it called itself.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{why}")]
pub struct InvalidItem {
    /// The item's name as far as it can be told, escaped for logs.
    pub name: String,
    /// What is wrong with it.
    pub why: String,
}

/// One page of a list.
#[derive(Debug, Default)]
pub struct Page {
    /// The items that can be offered.
    pub items: Vec<Item>,
    /// The items that cannot, with reasons: they are counted and logged, never passed on.
    pub invalid: Vec<InvalidItem>,
    /// The cursor of the next page, as JSON text.
    pub next_cursor: Option<RawJson>,
    /// How long the page is fresh, in milliseconds (modern backends).
    pub ttl_ms: Option<u64>,
    /// Whether the page may be shown to other callers: `cacheScope` is `public`.
    pub public: bool,
}

impl Item {
    /// Indexes one definition.
    ///
    /// # Errors
    /// If it has no usable name or URI (B26, B27).
    pub fn parse(kind: ItemKind, raw: RawJson) -> Result<Self, InvalidItem> {
        let invalid = |name: &str, why: String| InvalidItem {
            name: printable(name),
            why,
        };
        let wanted = |k: &str| k == kind.key() || k == "annotations" || k == "execution";
        let found = json::members(raw.bytes(), wanted).map_err(|e| invalid("?", e.to_string()))?;
        let mut keys = found.iter().filter(|m| m.key == kind.key());
        let (Some(member), None) = (keys.next(), keys.next()) else {
            return Err(invalid("?", format!("needs exactly one `{}`", kind.key())));
        };
        let key_span = member.value.clone();
        let key: String = serde_json::from_slice(&raw.bytes()[key_span.clone()])
            .map_err(|_| invalid("?", format!("`{}` is no string", kind.key())))?;
        name::check_item_name(&key).map_err(|e| invalid(&key, e.to_string()))?;
        let hints = found
            .iter()
            .find(|m| m.key == "annotations" && kind == ItemKind::Tool)
            .map(|m| hints(&raw.bytes()[m.value.clone()]))
            .unwrap_or_default();
        let of_tool = |key: &str| {
            let member = found.iter().find(|m| m.key == key);
            member.filter(|_| kind == ItemKind::Tool)
        };
        let execution = of_tool("execution");
        let task_only = execution.is_some_and(|m| {
            let support = RawJson::from_checked(raw.bytes().slice(m.value.clone()));
            support
                .get("taskSupport")
                .is_some_and(|s| s.as_str() == r#""required""#)
        });
        let mirror = match kind {
            ItemKind::Tool => Mirror::of(&raw).map(|mirror| mirror.map(Arc::new)),
            _ => Ok(None),
        };
        Ok(Self {
            kind,
            key,
            key_span,
            execution: execution.is_some(),
            raw,
            hints,
            mirror,
            task_only,
        })
    }

    /// What is listed.
    pub const fn kind(&self) -> ItemKind {
        self.kind
    }

    /// The backend's own name or URI.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// The definition as the backend wrote it.
    pub const fn raw(&self) -> &RawJson {
        &self.raw
    }

    /// What the tool says about itself.
    pub const fn hints(&self) -> ToolHints {
        self.hints
    }

    /// The parameters that a tool wants repeated in headers, if it marks some.
    ///
    /// # Errors
    /// If what it marks breaks a rule.
    pub fn mirror(&self) -> Result<Option<&Arc<Mirror>>, &InvalidMirror> {
        self.mirror.as_ref().map(Option::as_ref)
    }

    /// Whether a tool says how it is run (2025-11-25).
    pub const fn has_execution(&self) -> bool {
        self.execution
    }

    /// Whether a tool can be called as a task alone (2025-11-25).
    pub const fn is_task_only(&self) -> bool {
        self.task_only
    }

    /// The definition under another name or URI; every other byte stays.
    pub fn exposed_as(&self, key: &str) -> Bytes {
        if key == self.key {
            return self.raw.bytes().clone();
        }
        let text = RawJson::of(key);
        splice(self.raw.bytes(), &[(self.key_span.clone(), text.bytes())])
    }
}

fn hints(annotations: &[u8]) -> ToolHints {
    let mut hints = ToolHints::default();
    let wanted = |k: &str| k == "readOnlyHint" || k == "idempotentHint";
    // Annotations that are no object are no promise.
    for member in json::members(annotations, wanted).unwrap_or_default() {
        let yes = &annotations[member.value] == b"true";
        match &*member.key {
            "readOnlyHint" => hints.read_only = yes,
            _ => hints.idempotent = yes,
        }
    }
    hints
}

/// `text` with everything that could forge or hide a log line escaped, at most 80 characters.
fn printable(text: &str) -> String {
    text.chars()
        .take(80)
        .flat_map(char::escape_default)
        .collect()
}

impl Page {
    /// Reads the result of a list request.
    ///
    /// # Errors
    /// If the result has no array of items. A bad item does not spoil the others.
    pub fn parse(kind: ItemKind, result: &RawJson) -> Result<Self, JsonError> {
        let bytes = result.bytes();
        let mut page = Self::default();
        let mut listed = None;
        for member in json::members(bytes, |_| true)? {
            let value = &bytes[member.value.clone()];
            match &*member.key {
                k if k == kind.member() => listed = Some(member.value),
                "nextCursor" if value != b"null" => {
                    page.next_cursor = Some(RawJson::from_checked(bytes.slice(member.value)));
                }
                "ttlMs" => page.ttl_ms = serde_json::from_slice(value).ok(),
                "cacheScope" => page.public = value == br#""public""#,
                _ => {}
            }
        }
        let listed = listed.ok_or(JsonError::Type("a list result with an array of items"))?;
        for span in json::elements(&bytes[listed.clone()])? {
            let span = listed.start + span.start..listed.start + span.end;
            match Item::parse(kind, RawJson::from_checked(bytes.slice(span))) {
                Ok(item) => page.items.push(item),
                Err(invalid) => page.invalid.push(invalid),
            }
        }
        Ok(page)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(text: &str) -> Page {
        Page::parse(
            ItemKind::Tool,
            &RawJson::parse(text.to_owned().into()).unwrap(),
        )
        .unwrap()
    }

    #[test]
    fn a_definition_changes_only_in_its_name() {
        let page = page(
            r#"{"tools":[ {"x" : 1.0,"name":"q", "annotations":{"idempotentHint":true}} ],"nextCursor":""}"#,
        );
        let item = &page.items[0];
        assert_eq!(
            item.exposed_as("ns.q"),
            r#"{"x" : 1.0,"name":"ns.q", "annotations":{"idempotentHint":true}}"#
        );
        assert!(item.hints().idempotent && !item.hints().read_only);
        assert_eq!(page.next_cursor.unwrap().as_str(), "\"\"");
    }

    #[test]
    fn b26_b27_bad_items_are_left_out_with_a_reason() {
        let page = page(
            r#"{"tools":[{"name":"a\u200bb"},{"name":""},{"nom":"x"},5,{"name":"a","name":"b"},{"name":"ok"}]}"#,
        );
        assert_eq!(page.items.len(), 1);
        assert_eq!(page.invalid.len(), 5);
        assert!(page.invalid[0].name.contains("\\u{200b}"));
    }

    #[test]
    fn a_result_without_a_list_is_an_error() {
        let result = RawJson::from_static("{}");
        assert!(Page::parse(ItemKind::Prompt, &result).is_err());
    }
}
