//! What the router's own tools reach the reloader by.

use std::sync::Arc;

use futures::FutureExt;
use futures::future::BoxFuture;
use mcp_router_core::{ManageError, Manager, Registered, Registration, Reloaded};
use tokio::sync::{mpsc, oneshot};

use super::report::{Reload, Reloads};

/// Wishes that may wait for the one that is being fulfilled.
const WAITING: usize = 16;

/// One wish, and where to say what became of it.
#[derive(Debug)]
pub(super) enum Command {
    Reload(oneshot::Sender<Reloaded>),
    Register(
        Registration,
        oneshot::Sender<Result<Registered, ManageError>>,
    ),
    Unregister(String, oneshot::Sender<Result<(), ManageError>>),
}

/// The tools' end.
#[derive(Debug)]
pub(crate) struct Control {
    commands: mpsc::Sender<Command>,
    reloads: Reloads,
    registers: bool,
    /// Whether anybody beyond this machine may ask, without having to say who they are.
    exposed: bool,
}

/// The reloader's end.
#[derive(Debug)]
pub(crate) struct Desk {
    pub(super) commands: mpsc::Receiver<Command>,
    pub(super) reloads: Reloads,
}

/// Both ends. `registers` says whether clients may register backends; where the router is `exposed`,
/// they may change nothing at all.
pub(crate) fn desk(reloads: Reloads, registers: bool, exposed: bool) -> (Arc<Control>, Desk) {
    let (sender, commands) = mpsc::channel(WAITING);
    let control = Control {
        commands: sender,
        reloads: reloads.clone(),
        registers: registers && !exposed,
        exposed,
    };
    (Arc::new(control), Desk { commands, reloads })
}

impl Control {
    fn ask<T: Send + 'static>(
        &self,
        command: impl FnOnce(oneshot::Sender<T>) -> Command,
    ) -> BoxFuture<'static, Result<T, ManageError>> {
        if self.exposed {
            let text = "Changes by tools are disabled: the router listens beyond this machine and \
                        does not know who is asking";
            return async { Err(ManageError(text.to_owned())) }.boxed();
        }
        let (answer, answered) = oneshot::channel();
        let sent = self.commands.try_send(command(answer));
        async move {
            let busy = |text: &str| ManageError(text.to_owned());
            sent.map_err(|_| busy("The router is busy with other changes; try again later"))?;
            answered.await.map_err(|_| busy("The router is stopping"))
        }
        .boxed()
    }
}

impl Manager for Control {
    fn registers(&self) -> bool {
        self.registers
    }

    fn reload(&self) -> BoxFuture<'static, Result<Reloaded, ManageError>> {
        self.ask(Command::Reload)
    }

    fn register(
        &self,
        wanted: Registration,
    ) -> BoxFuture<'static, Result<Registered, ManageError>> {
        let asked = self.ask(|answer| Command::Register(wanted, answer));
        async move { asked.await? }.boxed()
    }

    fn unregister(&self, name: String) -> BoxFuture<'static, Result<(), ManageError>> {
        let asked = self.ask(|answer| Command::Unregister(name, answer));
        async move { asked.await? }.boxed()
    }

    fn problems(&self) -> Vec<String> {
        let last = self.reloads.last();
        let refused = last.filter(|last| last.outcome == Reload::Refused.as_str());
        refused.map(|last| last.errors.clone()).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reload::ReloadReport;

    #[tokio::test]
    async fn nothing_is_changed_for_strangers() {
        let (control, mut desk) = desk(Reloads::default(), true, true);
        assert!(!control.registers());
        let refused = control.reload().await.unwrap_err();
        assert!(refused.0.contains("disabled"), "{refused}");
        assert!(control.unregister("a".to_owned()).await.is_err());
        assert!(desk.commands.try_recv().is_err());
    }

    #[tokio::test]
    async fn so_many_wishes_wait_and_no_more() {
        let (control, _desk) = desk(Reloads::default(), false, false);
        let waiting: Vec<_> = (0..WAITING).map(|_| control.reload()).collect();
        let refused = control.reload().await.unwrap_err();
        assert!(refused.0.contains("busy"), "{refused}");
        drop(waiting);
    }

    #[test]
    fn what_is_wrong_is_told_until_it_is_right() {
        let reloads = Reloads::default();
        let (control, _desk) = desk(reloads.clone(), false, false);
        assert!(control.problems().is_empty());
        let mut wrong = ReloadReport::new("file");
        wrong.errors.push("f:1:1: no".to_owned());
        reloads.note(Reload::Refused, wrong);
        assert_eq!(control.problems(), ["f:1:1: no"]);
        reloads.note(Reload::Unchanged, ReloadReport::new("file"));
        assert!(control.problems().is_empty());
    }
}
