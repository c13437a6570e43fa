//! The one task that changes a running router: one change after the other.

use std::sync::Arc;
use std::time::Duration;

use mcp_router_config::{Config, ConfigErrors, Loaded, load};
use mcp_router_core::{Reloaded, Router, Transition};
use tokio::sync::Notify;

use super::change::Running;
use super::control::{Command, Desk};
use super::report::{Reload, ReloadReport, Reloads};
use super::watch::Watch;
use super::{Origin, control};
use crate::build::Plan;

/// How long clients wait to hear of all new backends at once; those that take longer come later.
const TOGETHER: Duration = Duration::from_secs(1);
/// Complaints that are told one by one.
const MOST_TOLD: usize = 50;

/// Changes a router to what its file says, to what clients register, on demand and by itself.
#[derive(Debug)]
pub(crate) struct Reloader {
    pub(super) router: Router,
    pub(super) running: Running,
    pub(super) origin: Origin,
    commands: tokio::sync::mpsc::Receiver<control::Command>,
    reloads: Reloads,
    /// Told of each SIGHUP.
    hang_up: Arc<Notify>,
}

impl Reloader {
    /// For a `router` that was built of `plan`, whose configuration came from `origin`.
    pub(crate) fn new(
        router: Router,
        plan: Plan,
        origin: Origin,
        desk: Desk,
        hang_up: Arc<Notify>,
    ) -> Self {
        Self {
            router,
            running: Running::new(plan),
            origin,
            commands: desk.commands,
            reloads: desk.reloads,
            hang_up,
        }
    }

    /// Runs until nobody can ask any more. Dropped, it leaves the router as it is.
    pub(crate) async fn run(mut self) {
        let mut watch = match self.running.plan.config.server.watch {
            true => Some(Watch::new(self.origin.files.clone()).await),
            false => None,
        };
        loop {
            let trigger = tokio::select! {
                command = self.commands.recv() => match command {
                    Some(Command::Reload(answer)) => {
                        let report = self.reload("tool", &mut watch).await;
                        let _ = answer.send(reloaded(&report)); // who asked may be gone
                        continue;
                    }
                    Some(Command::Register(wanted, answer)) => {
                        let _ = answer.send(self.register(wanted).await);
                        continue;
                    }
                    Some(Command::Unregister(name, answer)) => {
                        let _ = answer.send(self.unregister(&name).await);
                        continue;
                    }
                    None => return,
                },
                () = self.hang_up.notified() => "signal",
                () = changed(&mut watch) => "file",
            };
            self.reload(trigger, &mut watch).await;
        }
    }

    /// Reads the file again and changes to what it says, wholly or not at all.
    async fn reload(
        &mut self,
        trigger: &'static str,
        watch: &mut Option<Watch>,
    ) -> Arc<ReloadReport> {
        // Before it is read: what is written meanwhile is seen as a change.
        if let Some(watch) = watch {
            watch.look_at(self.origin.files.clone()).await;
        }
        let input = self.origin.input.clone();
        let loaded = tokio::task::spawn_blocking(move || load(&input)).await;
        let report = ReloadReport::new(trigger);
        let (files, (how, report)) = match loaded {
            Ok(Ok(loaded)) => (loaded.files.clone(), self.apply(loaded, report).await),
            Ok(Err(errors)) => (errors.files().to_vec(), refused(lines(&errors), report)),
            Err(_) => {
                let error = "the configuration could not be read".to_owned();
                (Vec::new(), refused(vec![error], report))
            }
        };
        // Without the file nobody knows which others matter.
        if !files.is_empty() && files != self.origin.files {
            self.origin.files = files;
            if let Some(watch) = watch {
                watch.look_at(self.origin.files.clone()).await;
            }
        }
        tell(how, &report);
        self.reloads.note(how, report)
    }

    async fn apply(&mut self, loaded: Loaded, mut report: ReloadReport) -> (Reload, ReloadReport) {
        for warning in &loaded.warnings {
            tracing::warn!("{warning}");
        }
        let config = loaded.config;
        let old = &self.running.plan.config;
        let restart = old.needs_restart(&config).into_iter();
        report.warnings = restart
            .map(|key| format!("{key}: restart needed"))
            .collect();
        // What is printed hides the secrets of receivers.
        let same = old.to_json() == config.to_json() && old.alerts == config.alerts;
        let registered = self.still_registered(&config);
        let plan = self.running.plan.with(config);
        let how = self.transition();
        let changed = self
            .running
            .change(&self.router, plan, registered, how)
            .await;
        let difference = match changed {
            Ok(difference) => difference,
            Err(error) => return refused(vec![crate::report(&error)], report),
        };
        let how = match same && difference.is_empty() {
            true => Reload::Unchanged,
            false => Reload::Applied,
        };
        report.added = difference.added;
        report.removed = difference.removed;
        report.updated = difference.updated;
        (how, report)
    }

    /// What clients registered, less what the file names now.
    fn still_registered(&self, config: &Config) -> Vec<mcp_router_config::BackendConfig> {
        let mut registered = self.running.registered.clone();
        registered.retain(|own| {
            let named = config.backends.iter().any(|new| new.name == own.name);
            if named {
                let backend = &own.name;
                tracing::warn!(%backend, "the file names a backend that a client registered: the file's is used");
            }
            !named
        });
        registered
    }

    pub(super) fn transition(&self) -> Transition {
        Transition {
            wait: TOGETHER,
            drain: self.running.plan.config.server.drain,
        }
    }
}

async fn changed(watch: &mut Option<Watch>) {
    match watch {
        Some(watch) => watch.changed().await,
        None => std::future::pending().await,
    }
}

fn refused(errors: Vec<String>, mut report: ReloadReport) -> (Reload, ReloadReport) {
    report.errors = errors;
    (Reload::Refused, report)
}

/// Each complaint in a line, with its place.
fn lines(errors: &ConfigErrors) -> Vec<String> {
    let file = errors.path().and_then(|path| path.file_name());
    let file = file.map_or_else(String::new, |name| format!("{}:", name.display()));
    let all = errors.complaints();
    let line = |complaint: &mcp_router_config::Complaint| {
        let help = complaint.help.as_ref();
        let help = help.map(|help| format!(" ({help})")).unwrap_or_default();
        match complaint.place {
            Some(place) => format!(
                "{file}{}:{}: {}{help}",
                place.line, place.column, complaint.message
            ),
            None => format!("{}{help}", complaint.message),
        }
    };
    let mut lines: Vec<_> = all.iter().take(MOST_TOLD).map(line).collect();
    if let Some(more @ 1..) = all.len().checked_sub(MOST_TOLD) {
        lines.push(format!("and {more} more"));
    }
    lines
}

fn tell(how: Reload, report: &ReloadReport) {
    let trigger = report.trigger;
    for warning in &report.warnings {
        tracing::warn!("configuration: {warning}");
    }
    match how {
        Reload::Refused => {
            for error in &report.errors {
                tracing::error!(trigger, %error, "the configuration is wrong: nothing has changed");
            }
        }
        Reload::Unchanged => tracing::info!(trigger, "the configuration says what it said before"),
        Reload::Applied => tracing::info!(
            trigger,
            added = ?report.added, removed = ?report.removed, updated = ?report.updated,
            "configuration reloaded"
        ),
    }
}

fn reloaded(report: &ReloadReport) -> Reloaded {
    Reloaded {
        added: report.added.clone(),
        removed: report.removed.clone(),
        updated: report.updated.clone(),
        errors: report.errors.clone(),
    }
}
