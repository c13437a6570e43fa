//! What all backends offer together: one immutable snapshot at a time.
//!
//! Supervisors publish what their backends list; [`merge`] makes the next snapshot of it. A
//! request takes the snapshot that is current when it starts and keeps it to its end.

mod choice;
mod describe;
mod merge;
mod page;
mod snapshot;
mod view;

pub(crate) use choice::{Choice, unlisted};
pub(crate) use merge::merge;
pub(crate) use page::{Freshness, page};
pub(crate) use snapshot::{Entry, Notes, Snapshot};
pub(crate) use view::{Audience, Row, own};
