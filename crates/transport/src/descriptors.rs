//! As many file descriptors as the system grants, for the router alone.
//!
//! Most systems start a program with 1,024 descriptors and let it ask for far more: the small
//! number is for programs that use `select`, which breaks beyond it. A router that does not ask
//! turns clients away at 460 connections. Its children may be such programs, so they start with
//! what the router was started with.
//!
//! The kernel's table of them begins small and doubles when it is full. In a process of several
//! threads each doubling waits until no core reads the old table any more, 5 to 20 ms in which
//! whoever accepts a connection stands still, and with it all that its thread has to do: at the
//! 1,024th connection, the 2,048th, and so on. So it grows once, at the start.

#[cfg(unix)]
use std::io;
#[cfg(unix)]
use std::os::fd::OwnedFd;
#[cfg(unix)]
use std::sync::OnceLock;
#[cfg(unix)]
use std::thread;

/// What this process was started with, if it has asked for more.
#[cfg(unix)]
static BEFORE: OnceLock<libc::rlimit> = OnceLock::new();

/// Nobody needs more, and some systems refuse "no limit".
#[cfg(unix)]
const ENOUGH: libc::rlim_t = 1 << 20;

/// A number that few routers come to: a connection to a backend for each of ten thousand clients. The
/// table is the kernel's memory, 8 bytes for each.
#[cfg(unix)]
const TABLE: libc::rlim_t = 20_000;

/// Raises this process' soft limit of descriptors to its hard one and makes room for them. To be
/// called once, at the start, before limits are derived from it; what the process has by then is left
/// as it is where the system refuses.
#[cfg(unix)]
pub fn raise() {
    if let Err(error) = try_raise() {
        tracing::warn!(%error, "the limit of file descriptors stays as it is");
    }
    // Where others need not wait for it.
    let passing = thread::Builder::new().name("mcp-router-files".to_owned());
    if let Err(error) = passing.spawn(grow) {
        not_grown(&error);
    }
}

/// Elsewhere there is no such limit.
#[cfg(not(unix))]
pub fn raise() {}

#[cfg(unix)]
fn try_raise() -> io::Result<()> {
    let now = limit()?;
    let more = libc::rlimit {
        rlim_cur: now.rlim_max.min(ENOUGH),
        ..now
    };
    if more.rlim_cur <= now.rlim_cur {
        return Ok(());
    }
    set(&more)?;
    let _ = BEFORE.set(now);
    tracing::debug!(
        from = now.rlim_cur,
        to = more.rlim_cur,
        "more file descriptors"
    );
    Ok(())
}

/// What this process may have.
#[cfg(unix)]
#[expect(unsafe_code, reason = "no safe interface knows limits of processes")]
fn limit() -> io::Result<libc::rlimit> {
    let mut now = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: the pointer is to a live value of the type asked for.
    match unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut now) } {
        0 => Ok(now),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Takes the highest number that will be needed, and gives it back: the table stays as long as it is.
#[cfg(unix)]
fn grow() {
    if let Err(error) = limit().and_then(|limit| take(limit.rlim_cur.min(TABLE))) {
        not_grown(&error);
    }
}

#[cfg(unix)]
fn take(number: libc::rlim_t) -> io::Result<OwnedFd> {
    let last = i32::try_from(number.saturating_sub(1)).map_err(io::Error::other)?;
    Ok(rustix::io::fcntl_dupfd_cloexec(io::stderr(), last)?)
}

#[cfg(unix)]
fn not_grown(error: &io::Error) {
    tracing::debug!(%error, "the table of file descriptors grows when it is full");
}

/// What a child is to start with, if it is not what this process has.
#[cfg(unix)]
pub(crate) fn before() -> Option<libc::rlimit> {
    BEFORE.get().copied()
}

/// Sets the limit of this process. Async-signal-safe: it may run between fork and exec.
#[cfg(unix)]
#[expect(unsafe_code, reason = "no safe interface knows limits of processes")]
pub(crate) fn set(limit: &libc::rlimit) -> io::Result<()> {
    // SAFETY: the pointer is to a live value, and the call takes nothing else.
    match unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, limit) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn f36_the_table_holds_all_descriptors_before_they_are_needed() {
        grow();

        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("FDSize:"));
        let size: libc::rlim_t = line.unwrap().trim().parse().unwrap();
        assert!(size >= limit().unwrap().rlim_cur.min(TABLE), "{size}");
        assert!(std::fs::read_dir("/proc/self/fd").unwrap().count() < 1000);
    }
}
