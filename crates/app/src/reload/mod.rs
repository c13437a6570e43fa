//! Changing a running router to what its file says now.
//!
//! Who edits a file at three in the morning must not lose a call for it, nor the sessions of
//! servers that have nothing to do with the edit. And whoever edited it wrongly wants to be told,
//! while everything goes on as it was.

#[allow(dead_code, reason = "soon used")]
mod report;

#[allow(
    unused_imports,
    dead_code,
    reason = "soon taken by metrics, pages and tools"
)]
pub(crate) use report::{Reload, ReloadReport, Reloads};
