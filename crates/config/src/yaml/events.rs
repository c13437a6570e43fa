//! The first walk over a text: places, and refusals before they cost anything.
//!
//! Depth, number of values and what aliases unfold to are bounded here, so the library that makes
//! the values never sees a bomb (B33).

use std::collections::HashMap;

use saphyr_parser::{Event, Parser, ScanError, Span};

use super::places::{Entry, Extent, Kind, Map, Node, Places};
use crate::report::{Complaint, Place, quote};

/// Deepest nesting, aliases unfolded.
const MAX_DEPTH: usize = 64;
/// Most values in a file, aliases unfolded.
const MAX_VALUES: usize = 100_000;
/// A text counts as one value more for each so many bytes.
const BYTES_OF_A_VALUE: usize = 64;
/// Most complaints before the walk gives up.
const MAX_COMPLAINTS: usize = 100;

/// Walks a text. The complaints are all that could be found before it made no more sense.
pub(super) fn places(text: &str) -> Result<Places, Vec<Complaint>> {
    let mut walk = Walk::default();
    let mut parser = Parser::new_from_str(text);
    while let Some(event) = parser.next_event() {
        let step = match event {
            Ok((event, span)) => walk.event(event, span),
            Err(error) => Err(syntax(&error)),
        };
        if let Err(complaint) = step {
            walk.complaints.push(complaint);
            break;
        }
        if walk.complaints.len() >= MAX_COMPLAINTS {
            break;
        }
    }
    if walk.complaints.is_empty() && (walk.documents == 0 || walk.empty) {
        let start = Place {
            line: 1,
            column: 1,
            width: 1,
        };
        let complaint = Complaint::new("file is empty")
            .at(Some(start))
            .help("a router without backends is written `backends: []`");
        walk.complaints.push(complaint);
    }
    if walk.complaints.is_empty() {
        Ok(walk.places)
    } else {
        Err(walk.complaints)
    }
}

#[derive(Default)]
struct Walk {
    places: Places,
    /// For each node what it unfolds to: values, levels.
    sizes: Vec<(usize, usize)>,
    open: Vec<Open>,
    anchors: HashMap<usize, usize>,
    complaints: Vec<Complaint>,
    documents: usize,
    /// Whether the only value is nothing at all.
    empty: bool,
    /// All values so far, aliases unfolded.
    values: usize,
}

/// A list or map that is not at its end.
struct Open {
    node: usize,
    is_map: bool,
    key: Option<(String, Extent)>,
    size: (usize, usize),
}

impl Walk {
    fn event(&mut self, event: Event<'_>, span: Span) -> Result<(), Complaint> {
        let extent = extent(span);
        match event {
            Event::DocumentStart(_) => {
                self.documents += 1;
                if self.documents > 1 {
                    return Err(Complaint::new("file has more than one YAML document")
                        .at(Some(extent.place()))
                        .help("keep one, without `---`"));
                }
            }
            Event::Alias(anchor) => return self.alias(anchor, extent),
            Event::Scalar(text, style, anchor, tag) => {
                self.tag(tag.as_deref(), extent);
                if self.is_key() {
                    self.key(text.into_owned(), extent);
                    return Ok(());
                }
                let plain = style == saphyr_parser::ScalarStyle::Plain;
                self.empty = self.open.is_empty() && plain && is_null(&text);
                // A long text weighs more, or aliases would multiply megabytes.
                let weight = 1 + text.len() / BYTES_OF_A_VALUE;
                let node = self.add(Kind::Scalar, extent, anchor, (weight, 0))?;
                self.done(node);
            }
            Event::SequenceStart(anchor, tag) => {
                self.tag(tag.as_deref(), extent);
                self.enter(Kind::List(Vec::new()), extent, anchor)?;
            }
            Event::MappingStart(anchor, tag) => {
                self.tag(tag.as_deref(), extent);
                self.enter(Kind::Map(Map::default()), extent, anchor)?;
            }
            Event::SequenceEnd | Event::MappingEnd => self.leave(extent),
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => {}
        }
        Ok(())
    }

    /// Whether what comes next is a key.
    fn is_key(&self) -> bool {
        self.open
            .last()
            .is_some_and(|open| open.is_map && open.key.is_none())
    }

    fn key(&mut self, key: String, extent: Extent) {
        let Some(open) = self.open.last_mut() else {
            return;
        };
        if let Kind::Map(map) = &mut self.places.nodes[open.node].kind {
            let next = map.entries.len();
            let first = *map.index.entry(key.clone()).or_insert(next);
            if let Some(first) = map.entries.get(first) {
                let complaint = Complaint::new(format!("key {} appears twice", quote(&key)))
                    .at(Some(extent.place()))
                    .related(Some(first.key_extent.place()), "first here");
                self.complaints.push(complaint);
            }
        }
        open.key = Some((key, extent));
    }

    fn alias(&mut self, anchor: usize, extent: Extent) -> Result<(), Complaint> {
        let at = Some(extent.place());
        if self.is_key() {
            return Err(Complaint::new("an alias cannot be a key").at(at));
        }
        let known = self.anchors.get(&anchor).copied();
        let Some(target) = known.filter(|node| self.open.iter().all(|open| open.node != *node))
        else {
            return Err(Complaint::new("an alias lies within the value it stands for").at(at));
        };
        let node = self.add(Kind::Alias(target), extent, 0, self.sizes[target])?;
        self.done(node);
        Ok(())
    }

    fn enter(&mut self, kind: Kind, extent: Extent, anchor: usize) -> Result<(), Complaint> {
        if self.is_key() {
            let complaint = Complaint::new("a key must be plain text");
            return Err(complaint.at(Some(extent.place())));
        }
        let is_map = matches!(kind, Kind::Map(_));
        let node = self.add(kind, extent, anchor, (1, 0))?;
        self.open.push(Open {
            node,
            is_map,
            key: None,
            size: (1, 1),
        });
        Ok(())
    }

    fn leave(&mut self, extent: Extent) {
        if let Some(open) = self.open.pop() {
            self.sizes[open.node] = open.size;
            let whole = &mut self.places.nodes[open.node].extent;
            (whole.end, whole.chars.1) = (extent.end, extent.chars.1);
            self.done(open.node);
        }
    }

    /// A new node, if there is room for it.
    fn add(
        &mut self,
        kind: Kind,
        extent: Extent,
        anchor: usize,
        (values, levels): (usize, usize),
    ) -> Result<usize, Complaint> {
        let at = Some(extent.place());
        self.values = self.values.saturating_add(values);
        if self.values > MAX_VALUES {
            return Err(
                Complaint::new(format!("file has more than {MAX_VALUES} values"))
                    .at(at)
                    .help("each alias counts as all that it stands for"),
            );
        }
        if self.open.len() + levels > MAX_DEPTH {
            return Err(Complaint::new(format!("nested deeper than {MAX_DEPTH} levels")).at(at));
        }
        let node = self.places.nodes.len();
        self.places.nodes.push(Node { extent, kind });
        self.sizes.push((values, levels));
        if anchor != 0 {
            self.anchors.insert(anchor, node);
        }
        Ok(node)
    }

    /// Hangs a complete node where it belongs.
    fn done(&mut self, node: usize) {
        let Some(open) = self.open.last_mut() else {
            self.places.root = node;
            return;
        };
        let (values, levels) = self.sizes[node];
        open.size.0 = open.size.0.saturating_add(values);
        open.size.1 = open.size.1.max(levels + 1);
        match &mut self.places.nodes[open.node].kind {
            Kind::List(items) => items.push(node),
            Kind::Map(map) => {
                if let Some((key, key_extent)) = open.key.take() {
                    map.entries.push(Entry {
                        key,
                        key_extent,
                        value: node,
                    });
                }
            }
            Kind::Scalar | Kind::Alias(_) => {}
        }
    }

    fn tag(&mut self, tag: Option<&saphyr_parser::Tag>, extent: Extent) {
        if tag.is_some_and(|tag| !tag.is_yaml_core_schema()) {
            let complaint = Complaint::new("YAML tags have no meaning here");
            self.complaints.push(complaint.at(Some(extent.place())));
        }
    }
}

fn is_null(text: &str) -> bool {
    matches!(text, "" | "~" | "null" | "Null" | "NULL")
}

fn extent(span: Span) -> Extent {
    Extent {
        line: span.start.line(),
        column: span.start.col() + 1,
        end: (span.end.line(), span.end.col() + 1),
        chars: (span.start.index(), span.end.index()),
    }
}

fn syntax(error: &ScanError) -> Complaint {
    let place = Place {
        line: error.marker().line(),
        column: error.marker().col() + 1,
        width: 1,
    };
    let problem = match error.info() {
        // The scanner reads ahead, and has a limit of its own.
        "recursion limit exceeded" => format!("nested deeper than {MAX_DEPTH} levels"),
        info => format!("file is not valid YAML: {info}"),
    };
    Complaint::new(problem).at(Some(place))
}
