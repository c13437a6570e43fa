//! Numbers that tell how the router fares.
//!
//! Who is called at night wants to see at a glance which backend is sick, since when, and who
//! suffers. Logs tell of one call at a time; these are the sums. [`family`] has all their names,
//! [`Meters`] counts calls, everybody else who knows a number is a [`Source`] that is asked when
//! somebody looks at the page.
//!
//! Whatever a client can choose (the name of a tool) becomes a label only once a backend has listed
//! it, so that no client can make the page grow.

mod calls;
pub mod family;
mod lost;
mod page;
mod process;

pub use calls::{MAX_TOOLS, Meters, OTHER, Totals};
pub use family::{Family, Kind};
pub use lost::Lost;
pub use page::{CONTENT_TYPE, Page, Source, Sources};
pub use process::Process;
