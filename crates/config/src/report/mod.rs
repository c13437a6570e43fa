//! Complaints, warnings and findings, and how people see them.
//!
//! A file with five mistakes that names one at a time costs five restarts; a complaint without a
//! line costs a search. So everything wrong is collected here first, with its place, and shown
//! together. No message carries a value from the file: the excerpt shows it, unless it may be a
//! secret.

mod nearest;
mod render;

use std::collections::{BTreeSet, HashSet};
use std::fmt;
use std::path::{Path as FilePath, PathBuf};

use crate::yaml::Path;

pub(crate) use nearest::nearest;
pub(crate) use render::{Source, quote};

/// Most complaints that are written out; the rest are counted.
const MOST_SHOWN: usize = 50;

/// Where in the file something stands.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
#[non_exhaustive]
pub struct Place {
    /// Counted from 1.
    pub line: usize,
    /// In characters, counted from 1.
    pub column: usize,
    /// Characters up to its end, at most to the end of the line.
    pub(crate) width: usize,
}

/// One thing that is wrong.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Complaint {
    /// What is wrong, in lower case, naming the key or the variable.
    pub message: String,
    /// What to do about it.
    pub help: Option<String>,
    /// Where in the file; `None` when it comes from elsewhere.
    pub place: Option<Place>,
    /// Another place that explains it.
    pub related: Option<Box<(Place, String)>>,
}

/// Something that is probably not meant, but does no harm.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Warning {
    /// What is odd, in lower case, naming the key or the variable.
    pub message: String,
    /// Where in the file; `None` when it comes from elsewhere.
    pub place: Option<Place>,
}

/// Everything that is wrong with a configuration. `Display` shows each complaint with an excerpt
/// of the file; it needs several lines.
#[derive(Clone, Debug)]
pub struct ConfigErrors {
    complaints: Vec<Complaint>,
    source: Option<Source>,
    files: Vec<PathBuf>,
}

// === impl Complaint ===

impl Complaint {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            help: None,
            place: None,
            related: None,
        }
    }

    pub(crate) fn at(mut self, place: Option<Place>) -> Self {
        self.place = place;
        self
    }

    pub(crate) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    pub(crate) fn maybe_help(mut self, help: Option<String>) -> Self {
        self.help = help;
        self
    }

    pub(crate) fn related(mut self, place: Option<Place>, label: impl Into<String>) -> Self {
        self.related = place.map(|place| Box::new((place, label.into())));
        self
    }
}

// === impl Warning ===

impl Warning {
    pub(crate) fn new(message: impl Into<String>, place: Option<Place>) -> Self {
        Self {
            message: message.into(),
            place,
        }
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.place {
            Some(Place { line, .. }) => write!(f, "{} (line {line})", self.message),
            None => f.write_str(&self.message),
        }
    }
}

// === impl ConfigErrors ===

impl ConfigErrors {
    pub(crate) fn new(mut complaints: Vec<Complaint>, source: Option<Source>) -> Self {
        // Those without a place first, then as in the file.
        complaints.sort_by_key(|complaint| complaint.place);
        Self {
            complaints,
            source,
            files: Vec::new(),
        }
    }

    pub(crate) fn about(mut self, files: BTreeSet<PathBuf>) -> Self {
        self.files = files.into_iter().collect();
        self
    }

    /// The files that were read or looked for on behalf of the configuration: when one of them
    /// changes, it may be right.
    pub fn files(&self) -> &[PathBuf] {
        &self.files
    }

    /// Each complaint, in the order of the file. Never empty.
    pub fn complaints(&self) -> &[Complaint] {
        &self.complaints
    }

    /// The file that they are about, if one was found.
    pub fn path(&self) -> Option<&FilePath> {
        self.source.as_ref().map(Source::path)
    }

    /// All complaints with excerpts, in colour for a terminal that has them.
    pub fn render(&self, colour: bool) -> String {
        let shown = self.complaints.iter().take(MOST_SHOWN);
        let mut out: Vec<String> = shown
            .map(|complaint| render::render(complaint, self.source.as_ref(), colour))
            .collect();
        if let Some(more @ 1..) = self.complaints.len().checked_sub(MOST_SHOWN) {
            out.push(format!("… and {more} more"));
        }
        out.join("\n\n")
    }
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(false))
    }
}

impl std::error::Error for ConfigErrors {}

/// What was found while a configuration was being read.
#[derive(Debug, Default)]
pub(crate) struct Notes {
    pub(crate) complaints: Vec<Complaint>,
    pub(crate) warnings: Vec<Warning>,
    /// Files that the configuration depends on.
    pub(crate) files: BTreeSet<PathBuf>,
    /// Values that were complained about and are gone: nobody needs to be told that they are missing.
    pub(crate) bad: HashSet<Path>,
}

impl Notes {
    pub(crate) fn complain(&mut self, complaint: Complaint) {
        self.complaints.push(complaint);
    }

    pub(crate) fn warn(&mut self, message: impl Into<String>, place: Option<Place>) {
        self.warnings.push(Warning::new(message, place));
    }
}
