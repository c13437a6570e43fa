//! Where each value of a file stands.

use std::collections::HashMap;

use super::step::{Path, Step};
use crate::report::Place;

/// A part of the text, from one position up to another.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Extent {
    /// Counted from 1.
    pub(super) line: usize,
    /// In characters, counted from 1.
    pub(super) column: usize,
    /// Where it ends: line, column behind the last character.
    pub(super) end: (usize, usize),
    /// The same in characters from the top of the text.
    pub(super) chars: (usize, usize),
}

/// One value in the text.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) extent: Extent,
    pub(super) kind: Kind,
}

#[derive(Debug)]
pub(super) enum Kind {
    Scalar,
    List(Vec<usize>),
    Map(Map),
    /// The value of another node.
    Alias(usize),
}

/// The entries of a map, found by key without a search.
#[derive(Debug, Default)]
pub(super) struct Map {
    pub(super) entries: Vec<Entry>,
    pub(super) index: HashMap<String, usize>,
}

#[derive(Debug)]
pub(super) struct Entry {
    pub(super) key: String,
    pub(super) key_extent: Extent,
    pub(super) value: usize,
}

/// The shape of a file, with the place of each key and value.
#[derive(Debug, Default)]
pub(crate) struct Places {
    pub(super) nodes: Vec<Node>,
    pub(super) root: usize,
}

// === impl Extent ===

impl Extent {
    pub(super) fn place(&self) -> Place {
        let width = if self.end.0 == self.line {
            self.end.1.saturating_sub(self.column)
        } else {
            // A mark to the end of the first line says enough.
            usize::MAX / 2
        };
        Place {
            line: self.line,
            column: self.column,
            width,
        }
    }
}

// === impl Places ===

impl Places {
    /// Where the value at `path` stands, or the nearest value around it: one that came with a
    /// merge or by default has no place of its own.
    pub(crate) fn place(&self, path: &Path) -> Option<Place> {
        let (node, _) = self.walk(path);
        let node = self.nodes.get(node)?;
        Some(match node.kind {
            // The whole of a list or map would mark half of the file.
            Kind::List(_) | Kind::Map(_) => Place {
                width: 1,
                ..node.extent.place()
            },
            Kind::Scalar | Kind::Alias(_) => node.extent.place(),
        })
    }

    /// Where the key of the value at `path` stands, or, for an item of a list, the value.
    pub(crate) fn key_place(&self, path: &Path) -> Option<Place> {
        let (_, key) = self.walk(path);
        key.map(|key| key.place()).or_else(|| self.place(path))
    }

    /// The deepest node on the way, and its key.
    fn walk(&self, path: &Path) -> (usize, Option<Extent>) {
        let (mut at, mut key) = (self.root, None);
        for step in path.steps() {
            let Some((value, extent)) = self.child(at, step) else {
                break;
            };
            (at, key) = (value, extent);
        }
        (at, key)
    }

    /// The value one step below `node`, and its key.
    pub(super) fn child(&self, node: usize, step: &Step) -> Option<(usize, Option<Extent>)> {
        match (&self.nodes.get(node)?.kind, step) {
            (Kind::Alias(target), _) => self.child(*target, step),
            (Kind::List(items), Step::Item(item)) => items.get(*item).map(|value| (*value, None)),
            (Kind::Map(map), Step::Key(wanted)) => {
                let entry = |key: &str| map.entries.get(*map.index.get(key)?);
                match entry(wanted) {
                    Some(own) => Some((own.value, Some(own.key_extent))),
                    None => self.merged(entry("<<")?.value, step),
                }
            }
            (Kind::Scalar | Kind::List(_) | Kind::Map(_), _) => None,
        }
    }
    /// The child of the first map that has it, among those merged in.
    fn merged(&self, node: usize, step: &Step) -> Option<(usize, Option<Extent>)> {
        match &self.nodes.get(node)?.kind {
            Kind::Alias(target) => self.merged(*target, step),
            Kind::List(items) => items.iter().find_map(|item| self.child(*item, step)),
            Kind::Map(_) => self.child(node, step),
            Kind::Scalar => None,
        }
    }
}
