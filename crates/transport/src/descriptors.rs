//! As many file descriptors as the system grants, for the router alone.
//!
//! Most systems start a program with 1,024 descriptors and let it ask for far more: the small
//! number is for programs that use `select`, which breaks beyond it. A router that does not ask
//! turns clients away at 460 connections. Its children may be such programs, so they start with
//! what the router was started with.

#[cfg(unix)]
use std::io;
#[cfg(unix)]
use std::sync::OnceLock;

/// What this process was started with, if it has asked for more.
#[cfg(unix)]
static BEFORE: OnceLock<libc::rlimit> = OnceLock::new();

/// Nobody needs more, and some systems refuse "no limit".
#[cfg(unix)]
const ENOUGH: libc::rlim_t = 1 << 20;

/// Raises this process' soft limit of descriptors to its hard one. To be called once, at the
/// start, before limits are derived from it; what the process has by then is left as it is where
/// the system refuses.
#[cfg(unix)]
pub fn raise() {
    if let Err(error) = try_raise() {
        tracing::warn!(%error, "the limit of file descriptors stays as it is");
    }
}

/// Elsewhere there is no such limit.
#[cfg(not(unix))]
pub fn raise() {}

#[cfg(unix)]
#[expect(unsafe_code, reason = "no safe interface knows limits of processes")]
fn try_raise() -> io::Result<()> {
    let mut now = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: the pointer is to a live value of the type asked for.
    if unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut now) } != 0 {
        return Err(io::Error::last_os_error());
    }
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
