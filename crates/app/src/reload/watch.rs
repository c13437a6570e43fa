//! Tells when the files of a configuration have changed.
//!
//! The system says that something happened in a directory; whether that was a change, only the
//! contents tell. Where the system says nothing (network and some mounted file systems), looking from
//! time to time does. A file that is being written is left in peace until it has been the same for a
//! moment.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use notify::{RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::Notify;
use tokio::time::sleep;

use super::files::{Contents, directories};

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
    // Whatever it is, errors included, is a reason to look.
    let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        // Reading a file is no news of it, and we read them ourselves.
        if !event.is_ok_and(|event| event.kind.is_access()) {
            told.notify_one();
        }
    })?;
    for directory in directories(files) {
        watcher.watch(&directory, RecursiveMode::NonRecursive)?;
    }
    Ok(watcher)
}
