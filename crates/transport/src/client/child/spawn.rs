//! Starting a process that cannot outlive the router, and signals to all that it started.
//!
//! A killed router must not leave its children behind (F33), and a stopped child not its own
//! (F32). The kernel sees to the first: a child gets SIGKILL when the *thread* that started it
//! ends. Threads of the runtime come and go, so one permanent thread starts every child. For the
//! second, each child leads a process group, and signals go to groups. A child may have as many
//! descriptors as the router was started with, whatever that has asked for since.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::Stdio;
use std::sync::{OnceLock, mpsc};

use secrecy::ExposeSecret;
use tokio::process::{Child, Command};
use tokio::sync::oneshot;

use super::ChildParams;
use crate::descriptors;

/// What of the router's environment reaches a child.
const INHERITED: [&str; 4] = ["PATH", "HOME", "LANG", "TMPDIR"];

/// A signal to a process group.
#[derive(Clone, Copy, Debug)]
pub(super) enum Signal {
    Terminate,
    Kill,
}

/// The process group of a child. Dropped, it kills whatever is left in it.
#[derive(Debug)]
pub(super) struct Group {
    leader: u32,
    ended: bool,
}

/// Starts the child with all three streams piped.
pub(super) async fn spawn(params: &ChildParams) -> io::Result<(Child, Group)> {
    let mut command = Command::new(&params.command);
    command.args(&params.args).env_clear();
    for key in INHERITED {
        if let Some(value) = std::env::var_os(key) {
            command.env(key, value);
        }
    }
    for (key, value) in &params.env {
        command.env(key, value.expose_secret());
    }
    if let Some(cwd) = &params.cwd {
        command.current_dir(cwd);
    }
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    confine(&mut command);
    let child = on_permanent_thread(command).await?;
    let leader = child
        .id()
        .ok_or_else(|| io::Error::other("the process ended while it started"))?;
    let group = Group {
        leader,
        ended: false,
    };
    Ok((child, group))
}

async fn on_permanent_thread(mut command: Command) -> io::Result<Child> {
    let gone = || io::Error::other("the thread that starts processes is gone");
    let runtime = tokio::runtime::Handle::current();
    let (reply, started) = oneshot::channel();
    let job = move || {
        let _entered = runtime.enter();
        // A caller that left drops the child, and so kills it.
        let _ = reply.send(command.spawn());
    };
    let thread = permanent_thread().ok_or_else(gone)?;
    thread.send(Box::new(job)).map_err(|_| gone())?;
    started.await.map_err(|_| gone())?
}

type Job = Box<dyn FnOnce() + Send>;

fn permanent_thread() -> Option<&'static mpsc::Sender<Job>> {
    static THREAD: OnceLock<Option<mpsc::Sender<Job>>> = OnceLock::new();
    let thread = THREAD.get_or_init(|| {
        let (sender, jobs) = mpsc::channel::<Job>();
        let run = move || {
            for job in jobs {
                // A runtime that is shutting down panics when asked to watch a process. Ending
                // this thread for it would kill every child.
                let _ = catch_unwind(AssertUnwindSafe(job));
            }
        };
        let name = "mcp-router-spawn".to_owned();
        let started = std::thread::Builder::new().name(name).spawn(run);
        started
            .inspect_err(|error| tracing::error!(%error, "no thread can be started for children"))
            .ok()
            .map(|_| sender)
    });
    thread.as_ref()
}

#[cfg(target_os = "linux")]
#[expect(unsafe_code, reason = "a death signal is set between fork and exec")]
fn confine(command: &mut Command) {
    command.process_group(0);
    let parent = std::process::id();
    let descriptors = descriptors::before();
    let die_with_parent = move || {
        // SAFETY: prctl and getppid are async-signal-safe, take no pointers, and touch only the
        // new process.
        let (set, now) = unsafe {
            (
                libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL),
                libc::getppid(),
            )
        };
        if set != 0 {
            return Err(io::Error::last_os_error());
        }
        if let Some(limit) = &descriptors {
            descriptors::set(limit)?;
        }
        // The parent may have died before the signal was set.
        if u32::try_from(now) == Ok(parent) {
            Ok(())
        } else {
            Err(io::Error::from_raw_os_error(libc::ESRCH))
        }
    };
    // SAFETY: the closure allocates nothing, takes no lock and calls only the above and setrlimit.
    unsafe { command.pre_exec(die_with_parent) };
}

#[cfg(all(unix, not(target_os = "linux")))]
#[expect(unsafe_code, reason = "a limit is set between fork and exec")]
fn confine(command: &mut Command) {
    command.process_group(0);
    if let Some(limit) = descriptors::before() {
        // SAFETY: setrlimit is async-signal-safe; the closure does nothing else.
        unsafe { command.pre_exec(move || descriptors::set(&limit)) };
    }
}

#[cfg(not(unix))]
fn confine(_: &mut Command) {}

// === impl Group ===

impl Group {
    /// Signals every process of the group. A group without processes is no error.
    #[cfg(unix)]
    #[expect(unsafe_code, reason = "no safe interface signals process groups")]
    pub(super) fn signal(&self, signal: Signal) {
        let number = match signal {
            Signal::Terminate => libc::SIGTERM,
            Signal::Kill => libc::SIGKILL,
        };
        let Ok(leader) = i32::try_from(self.leader) else {
            return;
        };
        // SAFETY: kill takes numbers only. The number stays this group's own while any process
        // is in it; after that the call fails.
        let _ = unsafe { libc::kill(-leader, number) };
    }

    /// Elsewhere a child is killed by its handle alone.
    #[cfg(not(unix))]
    pub(super) fn signal(&self, _: Signal) {}
}

impl Group {
    /// Kills whatever is left. To be called right after the leader has ended: as long as there
    /// are others in the group its number cannot be given away, later it can.
    pub(super) fn end(&mut self) {
        self.signal(Signal::Kill);
        self.ended = true;
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if !self.ended {
            self.signal(Signal::Kill);
        }
    }
}
