//! The merged lists as one kind of client gets them.
//!
//! Most clients get the same list. Some hosts can take no dots, or fewer characters, and some
//! members of a definition exist in one era alone. What a list looks like to such clients is worked
//! out at its first request and kept as long as its snapshot: a list is asked for far more often
//! than it changes.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use arc_swap::ArcSwapOption;
use bytes::{Bytes, BytesMut};
use mcp_router_protocol::{ItemKind, Profile, RawJson, Spelling};
use mcp_router_service::ClientProfile;

use super::page::Freshness;
use super::snapshot::{Entry, Table};
use crate::dispatch::manage;
use crate::hub::Settings;

const PROFILES: usize = Profile::ALL.len();

/// What of a client matters for lists.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Audience {
    pub(crate) profile: Profile,
    /// Whether it speaks a revision in which servers decide what becomes a task.
    pub(crate) modern: bool,
}

impl Audience {
    pub(crate) fn of(client: &ClientProfile) -> Self {
        Self {
            profile: profile(client),
            modern: client.takes_input_required,
        }
    }
}

/// What a client's name says about the names it can take.
pub(crate) fn profile(client: &ClientProfile) -> Profile {
    client.name().map_or(Profile::Plain, Profile::of)
}

/// What all views of a snapshot keep, each made when it is first needed.
#[derive(Debug)]
pub(super) struct Views {
    /// By kind, profile and era.
    lists: [[[OnceLock<View>; 2]; PROFILES]; 4],
    /// Of tools and prompts, by profile.
    names: [[OnceLock<Names>; PROFILES]; 2],
    /// By kind: whether no profile makes a difference.
    same: [OnceLock<bool>; 4],
}

impl Default for Views {
    fn default() -> Self {
        use std::array::from_fn;
        Self {
            lists: from_fn(|_| from_fn(|_| from_fn(|_| OnceLock::new()))),
            names: from_fn(|_| from_fn(|_| OnceLock::new())),
            same: Default::default(),
        }
    }
}

/// One list.
#[derive(Debug, Default)]
pub(crate) struct View {
    /// Sorted by name, bytewise (R13).
    rows: Vec<Row>,
    whole: ArcSwapOption<Whole>,
}

/// A list that fits one page, as it was answered last.
#[derive(Debug)]
struct Whole {
    freshness: Freshness,
    result: RawJson,
}

/// One item of a list.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    /// What the client calls it.
    pub(crate) name: Arc<str>,
    /// Its definition under that name.
    pub(crate) definition: Bytes,
    /// Where it stands in the table.
    pub(crate) entry: usize,
}

/// The spellings of a table's names for one profile.
#[derive(Debug)]
struct Names {
    /// In the order of the table.
    spelled: Vec<Arc<str>>,
    index: HashMap<Arc<str>, usize>,
}

impl Views {
    /// The list of `kind` as `audience` gets it.
    pub(super) fn list(
        &self,
        settings: &Settings,
        table: &Table,
        kind: ItemKind,
        audience: Audience,
    ) -> &View {
        let (profile, modern) = match kind {
            ItemKind::Tool => (audience.profile, audience.modern),
            ItemKind::Prompt => (audience.profile, false),
            ItemKind::Resource | ItemKind::Template => (Profile::Plain, false),
        };
        self.lists[kind as usize][profile as usize][usize::from(modern)]
            .get_or_init(|| self.view(settings, table, kind, Audience { profile, modern }))
    }

    fn view(&self, settings: &Settings, table: &Table, kind: ItemKind, audience: Audience) -> View {
        let names = self.names(settings, table, kind, audience.profile);
        let entries = table.entries().iter().enumerate();
        let shown = entries.filter(|(_, entry)| entry.is_for(audience.modern));
        let mut rows: Vec<_> = shown
            .map(|(at, entry)| {
                let name = names.map_or(&entry.exposed, |names| &names.spelled[at]);
                Row {
                    name: name.clone(),
                    definition: entry.defined_as(name, audience.modern),
                    entry: at,
                }
            })
            .collect();
        rows.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        View {
            rows,
            whole: ArcSwapOption::const_empty(),
        }
    }

    /// How names are spelled for a profile; `None` if they are not changed.
    fn names(
        &self,
        settings: &Settings,
        table: &Table,
        kind: ItemKind,
        profile: Profile,
    ) -> Option<&Names> {
        let spelling = settings.spelling(profile);
        let at = match kind {
            _ if spelling.is_plain() => return None,
            ItemKind::Tool => 0,
            ItemKind::Prompt => 1,
            ItemKind::Resource | ItemKind::Template => return None,
        };
        Some(self.names[at][profile as usize].get_or_init(|| Names::new(spelling, table)))
    }

    /// Whether clients of every profile know the entries by the same names.
    pub(super) fn same_for_all(&self, settings: &Settings, table: &Table, kind: ItemKind) -> bool {
        *self.same[kind as usize].get_or_init(|| {
            let names = |profile| self.names(settings, table, kind, profile);
            let plain = names(Profile::Plain);
            Profile::ALL
                .into_iter()
                .map(names)
                .all(|other| match (plain, other) {
                    (None, None) => true,
                    _ => spelled(plain, table).eq(spelled(other, table)),
                })
        })
    }

    /// Where the entry stands that a client of `profile` knows by this spelling; if none does, one
    /// that another profile's clients know by it.
    pub(super) fn find(
        &self,
        settings: &Settings,
        table: &Table,
        kind: ItemKind,
        name: &str,
        profile: Profile,
    ) -> Option<usize> {
        let all = std::iter::once(profile).chain(Profile::ALL);
        let mut names = all.filter_map(|profile| self.names(settings, table, kind, profile));
        names.find_map(|names| names.index.get(name).copied())
    }
}

/// The names of a table as some profile's clients know them; `names` is `None` if they are not
/// changed.
fn spelled<'a>(names: Option<&'a Names>, table: &'a Table) -> impl Iterator<Item = &'a Arc<str>> {
    let entries = table.entries().iter().enumerate();
    entries.map(move |(at, entry)| names.map_or(&entry.exposed, |names| &names.spelled[at]))
}

impl Names {
    fn new(spelling: Spelling, table: &Table) -> Self {
        let names: Vec<_> = table.entries().iter().map(|e| &*e.exposed).collect();
        let spelled = spelling.spell_all(&names);
        let entries = spelled.into_iter().zip(table.entries());
        let shared = |(spelled, entry): (std::borrow::Cow<'_, str>, &Entry)| match spelled {
            kept if *kept == *entry.exposed => entry.exposed.clone(),
            changed => changed.into(),
        };
        let spelled: Vec<Arc<str>> = entries.map(shared).collect();
        let index = spelled.iter().cloned().zip(0..).collect();
        Self { spelled, index }
    }
}

impl View {
    /// All rows, sorted by name.
    pub(crate) fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// The rows behind `key`, which need not be there any more.
    pub(crate) fn after(&self, key: &str) -> &[Row] {
        let at = self.rows.partition_point(|row| &*row.name <= key);
        &self.rows[at..]
    }

    /// The answer with all rows, which `write` makes. The same bytes for as long as it is no less
    /// fresh, so that an edge that has put them into its client's words may remember them.
    pub(super) fn whole(&self, freshness: Freshness, write: impl FnOnce() -> RawJson) -> RawJson {
        let last = self.whole.load();
        if let Some(last) = &*last
            && last.freshness == freshness
        {
            return last.result.clone();
        }
        let result = write();
        self.whole.store(Some(Arc::new(Whole {
            freshness,
            result: result.clone(),
        })));
        result
    }
}

/// The definitions of some rows and of some of the router's own tools, between commas.
pub(crate) fn join(rows: &[Row], own: &[RawJson]) -> Bytes {
    let definitions = rows.iter().map(|row| &row.definition);
    let all = definitions.chain(own.iter().map(RawJson::bytes));
    let size: usize = all.clone().map(|d| d.len() + 1).sum();
    let mut out = BytesMut::with_capacity(size);
    for (at, definition) in all.enumerate() {
        if at > 0 {
            out.extend_from_slice(b",");
        }
        out.extend_from_slice(definition);
    }
    out.freeze()
}

impl Settings {
    /// How names are spelled for clients of a profile.
    pub(crate) fn spelling(&self, profile: Profile) -> Spelling {
        match profile {
            Profile::Plain if self.fitted => Spelling::fitted(usize::MAX),
            profile => profile.spelling(&self.server_name),
        }
    }
}

/// The router's own tools, which end the list of tools.
pub(crate) fn own(settings: &Settings, kind: ItemKind) -> &'static [RawJson] {
    match kind {
        ItemKind::Tool => manage::definitions(settings),
        _ => &[],
    }
}
