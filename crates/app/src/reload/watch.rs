//! Tells when the files of a configuration have changed.
//!
//! The system says that something happened in a directory; whether that was a change, only the
//! contents tell. Where the system says nothing (network and some mounted file systems), looking from
//! time to time does. A file that is being written is left in peace until it has been the same for a
//! moment.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use notify::event::ModifyKind;
use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::Notify;
use tokio::time::sleep;

use super::files::{Contents, directories, names};

/// How long files must have been the same to be taken as written.
const QUIET: Duration = Duration::from_millis(500);
/// How often a file that is empty or not there is given this time again.
const PATIENCE: usize = 4;
/// How often to look without being told: where the system tells, and where it does not.
const SELDOM: Duration = Duration::from_secs(5);
const OFTEN: Duration = Duration::from_secs(1);

/// Looks after the files of a configuration.
#[derive(Debug)]
pub(super) struct Watch {
    files: Vec<PathBuf>,
    seen: Contents,
    told: Arc<Notify>,
    /// Tells `told`; absent where the system cannot.
    watcher: Option<RecommendedWatcher>,
}

impl Watch {
    /// Looks after these files, from what they hold now.
    pub(super) async fn new(files: Vec<PathBuf>) -> Self {
        let told = Arc::new(Notify::new());
        let mut watch = Self {
            seen: Contents::default(),
            files: Vec::new(),
            watcher: None,
            told,
        };
        watch.look_at(files).await;
        watch
    }

    /// Looks after these files from now on. What they hold now is known already.
    pub(super) async fn look_at(&mut self, files: Vec<PathBuf>) {
        self.files = files;
        self.seen = self.contents().await;
        // Made anew each time: a directory that was exchanged is another one by the same name.
        self.watcher = match watcher(&self.files, &self.told) {
            Ok(watcher) => Some(watcher),
            Err(error) => {
                tracing::warn!(%error, "the file system tells of no changes: looking every second");
                None
            }
        };
    }

    /// Resolves when the files hold something else than before and are written. Safe to drop: what
    /// was not told is told next time.
    pub(super) async fn changed(&mut self) {
        loop {
            // Looked at first: who was dropped half-way may have been told already.
            if self.contents().await == self.seen {
                let pause = self.watcher.as_ref().map_or(OFTEN, |_| SELDOM);
                tokio::select! {
                    () = self.told.notified() => {}
                    () = sleep(pause) => {}
                }
                continue;
            }
            let now = self.settled().await;
            if now != self.seen {
                self.seen = now;
                return;
            }
        }
    }

    /// What the files hold, once they have held it for a while.
    async fn settled(&self) -> Contents {
        let mut before = self.contents().await;
        let mut patience = PATIENCE;
        loop {
            sleep(QUIET).await;
            let now = self.contents().await;
            if now == before {
                if !now.is_unfinished() || patience == 0 {
                    return now;
                }
                patience -= 1;
            }
            before = now;
        }
    }

    async fn contents(&self) -> Contents {
        let files = self.files.clone();
        let read = tokio::task::spawn_blocking(move || Contents::of(&files));
        // Reading cannot panic; if it did, it would be as if nothing could be read.
        read.await.unwrap_or_default()
    }
}

fn watcher(files: &[PathBuf], told: &Arc<Notify>) -> notify::Result<RecommendedWatcher> {
    let told = told.clone();
    let names = names(files);
    // An error is a reason to look, too.
    let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        if event.map_or(true, |event| concerns(&event, &names)) {
            told.notify_one();
        }
    })?;
    for directory in directories(files) {
        watcher.watch(&directory, RecursiveMode::NonRecursive)?;
    }
    Ok(watcher)
}

/// Whether the files may hold something else after this. A log that is written beside them is no
/// reason to read them a hundred times a second.
fn concerns(event: &notify::Event, names: &BTreeSet<OsString>) -> bool {
    match event.kind {
        // Reading a file is no news of it, and we read them ourselves.
        EventKind::Access(_) => false,
        // Whatever is exchanged in the directory may be a link on the way to a file.
        EventKind::Modify(ModifyKind::Name(_)) => true,
        EventKind::Modify(_) => {
            let other = |path: &PathBuf| path.file_name().is_some_and(|n| !names.contains(n));
            event.paths.is_empty() || !event.paths.iter().all(other)
        }
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use notify::Event;
    use notify::event::{
        AccessKind, AccessMode, CreateKind, DataChange, MetadataKind, RemoveKind, RenameMode,
    };

    use super::*;

    #[test]
    fn a_log_that_is_written_beside_the_files_concerns_nobody() {
        let names = BTreeSet::from(["backends.yaml".into()]);
        let event = |kind, name| Event::new(kind).add_path(PathBuf::from("/etc/router").join(name));
        let written = EventKind::Modify(ModifyKind::Data(DataChange::Any));
        let closed = EventKind::Access(AccessKind::Close(AccessMode::Write));
        let touched = EventKind::Modify(ModifyKind::Metadata(MetadataKind::Any));
        let renamed = EventKind::Modify(ModifyKind::Name(RenameMode::To));

        assert!(concerns(&event(written, "backends.yaml"), &names));
        assert!(concerns(&event(touched, "backends.yaml"), &names));
        assert!(!concerns(&event(written, "router.log"), &names));
        assert!(!concerns(&event(touched, "router.log"), &names));
        assert!(!concerns(&event(closed, "backends.yaml"), &names));
        // A mounted configuration is exchanged by a link of another name.
        for kind in [
            renamed,
            EventKind::Create(CreateKind::Any),
            EventKind::Remove(RemoveKind::Any),
        ] {
            assert!(concerns(&event(kind, "..data"), &names));
        }
        // Nobody says which.
        assert!(concerns(&Event::new(written), &names));
        assert!(concerns(&Event::new(EventKind::Other), &names));
    }
}
