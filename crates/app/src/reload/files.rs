//! The files that a configuration is made from: what they hold, and where to look for changes.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs::File;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::Read;
use std::path::{Path, PathBuf};

/// More than any file that is read may have.
const MOST_BYTES: u64 = 5 << 20;

/// What the files hold, as far as it can be told whether they hold something else. Nothing of it can
/// be read back: secrets are among them.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct Contents(Vec<(PathBuf, Content)>);

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Content {
    /// It is not there, or cannot be read.
    None,
    Empty,
    Some(u64),
}

impl Contents {
    /// Reads the files. Blocks on the file system.
    pub(super) fn of(files: &[PathBuf]) -> Self {
        Self(files.iter().map(|f| (f.clone(), content(f))).collect())
    }

    /// Whether a file is not there or empty: somebody may be about to write it.
    pub(super) fn is_unfinished(&self) -> bool {
        let mut all = self.0.iter();
        all.any(|(_, content)| matches!(content, Content::None | Content::Empty))
    }
}

fn content(path: &Path) -> Content {
    let mut bytes = Vec::new();
    let Ok(file) = File::open(path) else {
        return Content::None;
    };
    // A pipe might never end.
    if !file.metadata().is_ok_and(|data| data.is_file()) {
        return Content::None;
    }
    match file.take(MOST_BYTES).read_to_end(&mut bytes) {
        Err(_) => Content::None,
        Ok(0) => Content::Empty,
        Ok(_) => {
            let mut hasher = DefaultHasher::new();
            bytes.hash(&mut hasher);
            Content::Some(hasher.finish())
        }
    }
}

/// The directories in which a change of the files shows: those that name them, and those that the
/// names lead to. Mounted configuration changes by a link that is exchanged.
pub(super) fn directories(files: &[PathBuf]) -> BTreeSet<PathBuf> {
    let parent = |path: &Path| match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => PathBuf::from("."),
    };
    let named = files.iter().map(|file| parent(file));
    let real = files.iter().filter_map(|file| file.canonicalize().ok());
    named.chain(real.map(|file| parent(&file))).collect()
}

/// What the files are called, by the names given and by those that they lead to.
pub(super) fn names(files: &[PathBuf]) -> BTreeSet<OsString> {
    let real = files.iter().filter_map(|file| file.canonicalize().ok());
    let all = files.iter().cloned().chain(real);
    all.filter_map(|file| file.file_name().map(ToOwned::to_owned))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_content_is_seen_and_a_new_date_is_not() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("f");
        let files = [file.clone()];
        let none = Contents::of(&files);
        assert!(none.is_unfinished());
        std::fs::write(&file, "").unwrap();
        assert!(Contents::of(&files).is_unfinished());
        std::fs::write(&file, "a").unwrap();
        let one = Contents::of(&files);
        assert!(!one.is_unfinished() && one != none);
        std::fs::write(&file, "a").unwrap();
        assert_eq!(Contents::of(&files), one);
        std::fs::write(&file, "b").unwrap();
        assert_ne!(Contents::of(&files), one);
        assert!(!format!("{one:?}").contains('"') || format!("{one:?}").contains("f"));
    }

    #[cfg(unix)]
    #[test]
    fn both_ends_of_a_link_are_looked_at() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().canonicalize().unwrap();
        std::fs::create_dir(root.join("a")).unwrap();
        std::fs::write(root.join("a/f"), "x").unwrap();
        std::os::unix::fs::symlink(root.join("a/f"), root.join("link")).unwrap();
        let found = directories(&[root.join("link")]);
        assert_eq!(found, BTreeSet::from([root.clone(), root.join("a")]));
        assert_eq!(directories(&["f".into()]).first().unwrap(), Path::new("."));
        assert_eq!(
            names(&[root.join("link")]),
            ["f", "link"].map(OsString::from).into()
        );
    }
}
