//! Who is to be woken by what a future waits for beside its main concern.
//!
//! A call is polled whenever something of it has moved, and each time its timers and signals would
//! be told anew whom to wake: the same task as before, nearly always.

use std::task::{Context, Waker};

/// The waker that was registered last.
#[derive(Debug, Default)]
pub(crate) struct Registered(Option<Waker>);

impl Registered {
    /// Whether this task is the one that is registered. Otherwise it is noted as such: the caller
    /// registers it.
    pub(crate) fn is(&mut self, cx: &Context<'_>) -> bool {
        match &mut self.0 {
            Some(known) if known.will_wake(cx.waker()) => true,
            known => {
                *known = Some(cx.waker().clone());
                false
            }
        }
    }

    /// Nobody is.
    pub(crate) fn forget(&mut self) {
        self.0 = None;
    }
}
