//! The merged catalogue, prepared to be searched.
//!
//! Names, titles and descriptions are read from the definitions once for each state of the
//! catalogue and only if somebody looks, and forgotten when nobody has for a while: a catalogue can
//! have ten thousand items.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use mcp_router_core::{ItemEntry, Router};
use mcp_router_protocol::ItemKind;
use serde::Deserialize;

/// Characters kept of a description.
const LONGEST: usize = 600;
/// How long the catalogue is kept after somebody looked.
const KEPT: Duration = Duration::from_secs(300);

/// One item, as it is shown.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) kind: ItemKind,
    pub(super) name: Arc<str>,
    pub(super) title: String,
    pub(super) description: String,
    pub(super) backends: Vec<String>,
    /// What a tool says about its effects.
    pub(super) hints: Hints,
    /// Everything above in lower case.
    text: String,
}

/// What a tool says about its effects; absent hints say nothing.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Hints {
    #[serde(rename = "readOnlyHint")]
    pub(super) read_only: Option<bool>,
    #[serde(rename = "destructiveHint")]
    pub(super) destructive: Option<bool>,
    #[serde(rename = "idempotentHint")]
    pub(super) idempotent: Option<bool>,
}

/// What of a definition is shown.
#[derive(Default, Deserialize)]
struct Definition {
    title: Option<String>,
    description: Option<String>,
    annotations: Option<Hints>,
}

/// The items of one state of the catalogue.
#[derive(Debug)]
pub(super) struct Listed {
    version: u64,
    pub(super) rows: Vec<Row>,
}

/// The catalogue as far as it is prepared.
#[derive(Debug, Default)]
pub(super) struct Catalogue(Mutex<Option<(Instant, Arc<Listed>)>>);

/// What somebody looks for.
#[derive(Clone, Debug, Default)]
pub(super) struct Query {
    pub(super) text: String,
    pub(super) kind: Option<ItemKind>,
}

impl Catalogue {
    /// The present state.
    pub(super) fn listed(&self, router: &Router) -> Arc<Listed> {
        let version = router.catalogue_version();
        let mut kept = self.kept();
        if let Some((looked, listed)) = &mut *kept
            && listed.version == version
        {
            *looked = Instant::now();
            return listed.clone();
        }
        let items = ItemKind::ALL
            .into_iter()
            .flat_map(|kind| router.items(kind));
        let listed = Arc::new(Listed {
            version,
            rows: items.map(Row::of).collect(),
        });
        *kept = Some((Instant::now(), listed.clone()));
        listed
    }

    /// Forgets what nobody looks at any more.
    pub(super) fn tidy(&self) {
        let mut kept = self.kept();
        kept.take_if(|(looked, _)| looked.elapsed() > KEPT);
    }

    fn kept(&self) -> MutexGuard<'_, Option<(Instant, Arc<Listed>)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Row {
    fn of(item: ItemEntry) -> Self {
        // A definition whose members are of other types than they should be has none to show.
        let shown: Definition = item.definition.read_owned().unwrap_or_default();
        let title = shown.title.unwrap_or_default();
        let description = shown.description.unwrap_or_default();
        let mut text = format!("{}\n{title}\n{description}", item.exposed);
        for backend in &item.backends {
            text.push('\n');
            text.push_str(backend);
        }
        let cut = match description.char_indices().nth(LONGEST) {
            Some((at, _)) => format!("{}…", &description[..at]),
            None => description,
        };
        Self {
            kind: item.kind,
            name: item.exposed,
            title,
            description: cut,
            backends: item.backends,
            hints: shown.annotations.unwrap_or_default(),
            text: text.to_lowercase(),
        }
    }
}

impl Query {
    /// The items that have every word of the query, in their order.
    pub(super) fn find<'a>(&self, rows: &'a [Row]) -> Vec<&'a Row> {
        let text = self.text.to_lowercase();
        let words: Vec<_> = text.split_whitespace().collect();
        let kind = |row: &&Row| self.kind.is_none_or(|kind| kind == row.kind);
        let fits = |row: &&Row| words.iter().all(|word| row.text.contains(word));
        rows.iter().filter(kind).filter(fits).collect()
    }
}

#[cfg(test)]
mod tests {
    use mcp_router_protocol::RawJson;

    use super::*;

    fn row(kind: ItemKind, name: &str, definition: &'static str) -> Row {
        Row::of(ItemEntry {
            kind,
            exposed: name.into(),
            backends: vec!["docs".to_owned()],
            definition: RawJson::from_static(definition),
        })
    }

    #[test]
    fn every_word_must_be_somewhere_in_the_item() {
        let rows = [
            row(
                ItemKind::Tool,
                "a.Search",
                r#"{"description":"Finds Pages"}"#,
            ),
            row(ItemKind::Tool, "a.write", r#"{"title":"Write a page"}"#),
            row(ItemKind::Prompt, "a.page", "{}"),
        ];
        let found = |text: &str, kind| {
            let text = text.to_owned();
            let found = Query { text, kind }.find(&rows);
            found.iter().map(|row| &*row.name).collect::<Vec<_>>()
        };
        assert_eq!(found("", None), ["a.Search", "a.write", "a.page"]);
        assert_eq!(found(" PAGE ", None), ["a.Search", "a.write", "a.page"]);
        assert_eq!(found("page find", None), ["a.Search"]);
        assert_eq!(found("docs", Some(ItemKind::Prompt)), ["a.page"]);
        assert!(found("nothing", None).is_empty());
    }

    #[test]
    fn long_descriptions_are_cut_and_strange_definitions_show_nothing() {
        let long = format!(r#"{{"description":"{}"}}"#, "é".repeat(2 * LONGEST));
        let long = row(ItemKind::Tool, "x", String::leak(long));
        assert_eq!(long.description.chars().count(), LONGEST + 1);
        assert!(long.description.ends_with('…'));
        let odd = row(ItemKind::Tool, "x", r#"{"title":5,"annotations":[]}"#);
        assert_eq!((odd.title.as_str(), odd.hints.read_only), ("", None));
    }
}
