//! Which endpoint the calls of one client session go to.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use mcp_router_routing::balance::Fitness;
use mcp_router_service::Session;

use super::group::{Group, Tried};

/// Which endpoint has the state of a client session, by name: sessions outlive a reload, places
/// in a list do not. The lock is of one session and one backend, held for a look.
#[derive(Debug, Default)]
pub(super) struct Bound {
    to: Mutex<Option<Arc<str>>>,
    /// Whether a call of the session was answered there.
    used: AtomicBool,
}

/// Why a call of a session goes nowhere.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Nowhere {
    /// No endpoint is fit, or another attempt is not paid for.
    Unfit,
    /// The endpoint that the session is bound to keeps something for it, and is away.
    Lost,
}

impl Bound {
    /// Where the session is at first: at the endpoint whose upstream session its id carries, which
    /// another process may have opened.
    pub(super) fn of(session: &Session, group: &Group) -> Self {
        let carried = |key: &str| session.carries_any() && session.carried(key).is_some();
        let mut members = group.members.iter();
        let carried = members.find(|member| carried(&member.carry_key));
        Self {
            used: AtomicBool::new(carried.is_some()),
            to: Mutex::new(carried.map(|member| member.endpoint.key().clone())),
        }
    }

    /// A call was answered where the session is bound.
    pub(super) fn used(&self) {
        // Most calls find it said.
        if !self.used.load(Ordering::Relaxed) {
            self.used.store(true, Ordering::Release);
        }
    }

    /// The endpoint that the session is bound to, if the call may go there; else the one that
    /// `pick` finds, to which the session is bound from now on if it could remember it. Two first
    /// calls at once find the same one. It must be paid for by `pays`, or nothing changes.
    ///
    /// # Errors
    /// If there is none. An endpoint that keeps something of the session and is away loses it by
    /// that: the next call finds another.
    pub(super) fn keep(
        &self,
        group: &Group,
        tried: &Tried,
        pick: impl FnOnce() -> Option<usize>,
        pays: impl Fn(usize) -> bool,
    ) -> Result<usize, Nowhere> {
        let mut bound = self.to.lock().unwrap_or_else(PoisonError::into_inner);
        let known = bound.as_ref().and_then(|key| group.position(key));
        if let Some(at) = known {
            let member = &group.members[at];
            let fit = member.may_remember() && member.fitness() != Fitness::Out;
            if fit && !tried.contains(at) {
                return pays(at).then_some(at).ok_or(Nowhere::Unfit);
            }
            if member.keeps() && self.used.load(Ordering::Acquire) {
                if !fit {
                    *bound = None;
                }
                return Err(Nowhere::Lost);
            }
        }
        let at = pick().filter(|at| pays(*at)).ok_or(Nowhere::Unfit)?;
        let member = &group.members[at];
        if member.may_remember() {
            *bound = Some(member.endpoint.key().clone());
            self.used.store(false, Ordering::Release);
        }
        Ok(at)
    }
}
