//! From a path, an environment and flags to a configuration.

use std::cell::RefCell;
use std::collections::HashSet;
use std::path::{Path, PathBuf};

use serde_yaml::Value;

use crate::build::{self, Site};
use crate::check::Checker;
use crate::find;
use crate::host;
use crate::interpolate::Interpolator;
use crate::model::{Config, LogFormat};
use crate::raw::RawFile;
use crate::report::{Complaint, ConfigErrors, Notes, Source, Warning};
use crate::schema;
use crate::variables::{self, Environment, Said};
use crate::yaml::{self, Document, Masks, Places};

/// What a configuration is made from.
#[derive(Clone, Debug, Default)]
pub struct LoadInput {
    /// The file named on the command line. `None`: `MCP_BACKENDS_CONFIG`, then the usual places.
    pub path: Option<PathBuf>,
    /// The variables to go by.
    pub env: Environment,
    /// What the command line says: beats everything else.
    pub flags: Flags,
    /// Where relative paths start; empty: where the process runs.
    pub directory: PathBuf,
}

/// Settings from the command line.
#[derive(Clone, Debug, Default)]
pub struct Flags {
    /// Where to listen.
    pub host: Option<String>,
    /// The port; 0 is any free one.
    pub port: Option<u16>,
    /// How to write logs.
    pub log_format: Option<LogFormat>,
}

/// A valid configuration, and what its reader should know.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Loaded {
    /// The configuration.
    pub config: Config,
    /// The file it came from, if one was read.
    pub path: Option<PathBuf>,
    /// What is probably not meant. To be logged.
    pub warnings: Vec<Warning>,
    /// The files that it was made from: the one of the backends, and those of `${file:…}`.
    pub files: Vec<PathBuf>,
}

/// Finds and reads the file, and puts environment and flags on top. Blocks on the file system;
/// creates nothing.
///
/// # Errors
/// Every complaint at once, each with its place.
pub fn load(input: &LoadInput) -> Result<Loaded, ConfigErrors> {
    let mut notes = Notes::default();
    let said = variables::read(&input.env, &mut notes);
    let found = find::find(input).and_then(|path| {
        let text = find::read(&path)?;
        Ok((path, text))
    });
    match found {
        Ok((path, text)) => parse(path, &text, &said, input, notes),
        Err(complaint) => {
            notes.complain(complaint);
            Err(ConfigErrors::new(notes.complaints, None))
        }
    }
}

/// Environment and flags alone, without a file and without backends: what `--demo` starts from.
///
/// # Errors
/// Every complaint at once.
pub fn without_file(input: &LoadInput) -> Result<Loaded, ConfigErrors> {
    let mut notes = Notes::default();
    let said = variables::read(&input.env, &mut notes);
    let mut site = Site {
        places: &Places::default(),
        filled: &HashSet::new(),
        env: &input.env,
        said: &said,
        notes: &mut notes,
    };
    let config = build::build(RawFile::default(), &input.flags, &mut site);
    if !notes.complaints.is_empty() {
        return Err(ConfigErrors::new(notes.complaints, None));
    }
    Ok(loaded(config, None, notes))
}

fn parse(
    path: PathBuf,
    text: &str,
    said: &Said,
    input: &LoadInput,
    mut notes: Notes,
) -> Result<Loaded, ConfigErrors> {
    notes.files.insert(path.clone());
    let document = match yaml::parse(text) {
        Ok(document) => document,
        Err(unread) => {
            notes.complaints.extend(unread.complaints);
            let source = Source::new(path, unread.masked);
            return Err(ConfigErrors::new(notes.complaints, Some(source)).about(notes.files));
        }
    };
    let Document {
        mut value,
        places,
        text,
    } = document;
    let schema = &schema::plain();
    let directory = path.parent().map(Path::to_owned).unwrap_or_default();
    let env = &input.env;
    let interpolator = Interpolator {
        env,
        directory,
        files: RefCell::default(),
    };
    let filled = interpolator.fill(&mut value, &places, &mut notes);
    notes.files.extend(interpolator.files.into_inner());
    let known = |key: &str| {
        schema
            .pointer("/properties")
            .is_some_and(|keys| keys.get(key).is_some())
    };
    host::translate(&mut value, known, &places, &mut notes);
    let lenient = said.lenient.unwrap_or(false);
    let mut checker = Checker::new(schema, &places, &filled, lenient, &mut notes);
    checker.file(&mut value);
    let unknown = checker.unknown;
    let raw = decode(value, &places, &mut notes);
    let mut site = Site {
        places: &places,
        filled: &filled,
        env,
        said,
        notes: &mut notes,
    };
    let config = build::build(raw, &input.flags, &mut site);
    if config.backends.is_empty() {
        let place = places.key_place(&yaml::Path::root().key("backends"));
        notes.warn("no backends: there is nothing to route to", place);
    }
    if notes.complaints.is_empty() {
        return Ok(loaded(config, Some(path), notes));
    }
    let mut masks = Masks::new(&places, &text);
    unknown.iter().for_each(|path| masks.hide(path));
    let source = Source::new(path, masks.apply());
    Err(ConfigErrors::new(notes.complaints, Some(source)).about(notes.files))
}

/// The checked tree as keys.
fn decode(value: Value, places: &Places, notes: &mut Notes) -> RawFile {
    serde_yaml::from_value(value).unwrap_or_else(|_| {
        // Only when the check let something through that the types do not take.
        if notes.complaints.is_empty() {
            let whole = places.place(&yaml::Path::root());
            notes.complain(Complaint::new("the file does not describe a router").at(whole));
        }
        RawFile::default()
    })
}

fn loaded(config: Config, path: Option<PathBuf>, notes: Notes) -> Loaded {
    Loaded {
        config,
        path,
        warnings: notes.warnings,
        files: notes.files.into_iter().collect(),
    }
}
