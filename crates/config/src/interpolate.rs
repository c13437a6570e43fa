//! `${VAR}`, `${VAR:-default}` and `${file:/path}` in the values of a file.
//!
//! Substituted in the raw text, a variable could change the shape of the file: a password with a
//! `: ` in it, or a `#`. Here the text is already parsed, and a variable fills one value.
//!
//! `${env:VAR}`, as Cursor and VS Code write it, is `${VAR}`; `$${` stands for `${` itself.

use std::cell::RefCell;
use std::collections::{BTreeSet, HashSet};
use std::fs::File;
use std::io::Read;
use std::path::PathBuf;

use serde_yaml::Value;

use crate::report::{Complaint, Notes, quote};
use crate::variables::Environment;
use crate::yaml::{Path, Places};

/// Largest file that a `${file:…}` may name, in bytes.
const MAX_FILE: usize = 64 << 10;

/// What fills the gaps.
#[derive(Debug)]
pub(crate) struct Interpolator<'a> {
    pub(crate) env: &'a Environment,
    /// Where relative paths of `${file:…}` start.
    pub(crate) directory: PathBuf,
    /// Files that values were to come from.
    pub(crate) files: RefCell<BTreeSet<PathBuf>>,
}

impl Interpolator<'_> {
    /// Fills the gaps in every value, and says which values had some. A value that cannot be filled
    /// is a complaint and becomes absent.
    pub(crate) fn fill(
        &self,
        value: &mut Value,
        places: &Places,
        notes: &mut Notes,
    ) -> HashSet<Path> {
        let mut filled = HashSet::new();
        self.walk(value, Path::root(), &mut |path, problem| match problem {
            None => {
                filled.insert(path);
            }
            Some(problem) => {
                let place = places.place(&path);
                notes.complain(Complaint::new(format!("{path}: {problem}")).at(place));
                notes.bad.insert(path);
            }
        });
        filled
    }

    fn walk(&self, value: &mut Value, path: Path, seen: &mut dyn FnMut(Path, Option<String>)) {
        match value {
            Value::String(text) if text.contains("${") => match self.text(text) {
                Ok(filled) => {
                    *text = filled;
                    seen(path, None);
                }
                Err(problem) => {
                    *value = Value::Null;
                    seen(path, Some(problem));
                }
            },
            Value::Sequence(items) => {
                for (at, item) in items.iter_mut().enumerate() {
                    self.walk(item, path.item(at), seen);
                }
            }
            Value::Mapping(map) => {
                for (key, item) in map.iter_mut() {
                    if let Value::String(key) = key {
                        self.walk(item, path.key(key), seen);
                    }
                }
            }
            Value::Tagged(tagged) => self.walk(&mut tagged.value, path, seen),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }

    /// One text with its gaps filled, or what is wrong with it. Linear in its length.
    fn text(&self, text: &str) -> Result<String, String> {
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(at) = rest.find("${") {
            if let Some(before) = rest[..at].strip_suffix('$') {
                out.push_str(before);
                out.push_str("${");
                rest = &rest[at + 2..];
                continue;
            }
            out.push_str(&rest[..at]);
            let Some(end) = rest[at..].find('}') else {
                return Err("`${` is never closed".to_owned());
            };
            out.push_str(&self.gap(&rest[at + 2..at + end])?);
            rest = &rest[at + end + 1..];
        }
        out.push_str(rest);
        Ok(out)
    }

    fn gap(&self, gap: &str) -> Result<String, String> {
        if gap.contains("${") {
            return Err("`${…}` cannot be nested".to_owned());
        }
        if let Some(path) = gap.strip_prefix("file:") {
            return self.file(path);
        }
        let gap = gap.strip_prefix("env:").unwrap_or(gap);
        let (name, default) = match gap.split_once(":-") {
            Some((name, default)) => (name, Some(default)),
            None => (gap, None),
        };
        if !is_variable(name) {
            return Err(format!(
                "{} is not a variable's name: `${{VAR}}`, `${{VAR:-default}}` and `${{file:/path}}` \
                 can be used",
                quote(name)
            ));
        }
        match (self.env.get(name), default) {
            (Some(Ok("")) | None, Some(default)) => Ok(default.to_owned()),
            (Some(Ok(value)), _) => Ok(value.to_owned()),
            (Some(Err(_)), _) => Err(format!("the variable `{name}` is not valid UTF-8")),
            (None, None) => Err(format!("the variable `{name}` is not set")),
        }
    }

    fn file(&self, path: &str) -> Result<String, String> {
        let full = self.directory.join(self.env.expand_home(path));
        self.files.borrow_mut().insert(full.clone());
        let shown = quote(path);
        let unreadable = |error: std::io::Error| format!("{shown} cannot be read: {error}");
        let file = File::open(&full).map_err(unreadable)?;
        // A pipe might never end, a device might never be empty.
        if !file.metadata().map_err(unreadable)?.is_file() {
            return Err(format!("{shown} is not a file"));
        }
        let mut text = String::new();
        file.take(MAX_FILE as u64 + 1)
            .read_to_string(&mut text)
            .map_err(unreadable)?;
        if text.len() > MAX_FILE {
            return Err(format!("{shown} is larger than 64 KiB"));
        }
        // Editors and `echo` end a file with a line break that is no part of the secret.
        let kept = text.trim_end_matches(['\n', '\r']).len();
        text.truncate(kept);
        Ok(text)
    }
}

fn is_variable(name: &str) -> bool {
    let mut chars = name.chars();
    chars
        .next()
        .is_some_and(|c| c.is_ascii_alphabetic() || c == '_')
        && chars.all(|c| c.is_ascii_alphanumeric() || c == '_')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn fill(text: &str) -> Result<String, String> {
        let pairs = [("A", "1"), ("EMPTY", ""), ("HOME", "/h")];
        let env: Environment = pairs
            .map(|(k, v)| (k.to_owned(), v.to_owned()))
            .into_iter()
            .collect();
        let directory = PathBuf::from("/nonexistent");
        Interpolator {
            env: &env,
            directory,
            files: RefCell::default(),
        }
        .text(text)
    }

    #[test]
    fn gaps_are_filled() {
        for (text, filled) in [
            ("x${A}y${A}", "x1y1"),
            ("${env:A}", "1"),
            ("${B:-d: #}", "d: #"),
            ("${EMPTY:-d}", "d"),
            ("${EMPTY}", ""),
            ("$${A} $A $", "${A} $A $"),
            ("é${A}", "é1"),
        ] {
            assert_eq!(fill(text).unwrap(), filled, "{text}");
        }
    }

    #[test]
    fn what_cannot_be_filled_says_why() {
        for (text, why) in [
            ("${B}", "`B` is not set"),
            ("${A", "never closed"),
            ("${}", "not a variable"),
            ("${input:key}", "not a variable"),
            ("${B:-${A}}", "nested"),
            ("${file:nothing-there}", "cannot be read"),
            ("${file:/}", "not a file"),
        ] {
            let problem = fill(text).unwrap_err();
            assert!(problem.contains(why), "{text}: {problem}");
        }
    }

    #[test]
    fn a_file_gives_its_text_without_the_last_line_break() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("key"), "s3cret\n").unwrap();
        std::fs::write(directory.path().join("big"), vec![b'x'; MAX_FILE + 1]).unwrap();
        let env = Environment::default();
        let filler = Interpolator {
            env: &env,
            directory: directory.path().to_owned(),
            files: RefCell::default(),
        };
        assert_eq!(filler.text("a-${file:key}").unwrap(), "a-s3cret");
        assert!(filler.text("${file:big}").unwrap_err().contains("larger"));
    }

    proptest! {
        #[test]
        fn any_text_is_filled_or_refused(text in r"[${}:\-A-Ba-e/ é]{0,40}") {
            if let Ok(filled) = fill(&text) && !text.contains("${") {
                prop_assert_eq!(filled, text);
            }
        }

        #[test]
        fn a_variable_never_changes_its_surroundings(before in "[^$]{0,20}", after in "[^$]{0,20}") {
            let text = format!("{before}${{A}}{after}");
            prop_assert_eq!(fill(&text).unwrap(), format!("{before}1{after}"));
        }
    }
}
