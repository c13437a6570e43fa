//! Where a call has been, for the one log line that tells about it.

use std::sync::{Arc, Mutex, PoisonError};

use mcp_router_protocol::BackendName;

/// Notes of the backends that a call was given to: one handle per call, written at the entry of
/// each backend's stack and read by the front of the router once the call has ended.
///
/// The default keeps no notes and costs nothing. The lock is the call's own, held for a store.
#[derive(Clone, Debug, Default)]
pub struct Trail(Option<Arc<Mutex<Notes>>>);

#[derive(Debug, Default)]
struct Notes {
    backend: Option<BackendName>,
    /// Those before it.
    earlier: Vec<BackendName>,
    attempts: u32,
    name: Option<Arc<str>>,
}

impl Trail {
    /// A trail that keeps notes.
    pub fn recording() -> Self {
        Self(Some(Arc::default()))
    }

    /// Notes that the call goes to `backend` now.
    pub fn visit(&self, backend: &BackendName) {
        if let Some(notes) = &self.0 {
            let mut notes = notes.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(before) = notes.backend.replace(backend.clone()) {
                notes.earlier.push(before);
            }
            notes.attempts += 1;
        }
    }

    /// Notes that what the client calls is known to operators by another name.
    pub fn name(&self, exposed: &str) {
        if let Some(notes) = &self.0 {
            let mut notes = notes.lock().unwrap_or_else(PoisonError::into_inner);
            notes.name = Some(exposed.into());
        }
    }

    /// The name noted last.
    pub fn named(&self) -> Option<Arc<str>> {
        let notes = self.0.as_ref()?;
        let notes = notes.lock().unwrap_or_else(PoisonError::into_inner);
        notes.name.clone()
    }

    /// Notes that the call is made again at the backend where it is.
    pub fn again(&self) {
        if let Some(notes) = &self.0 {
            let mut notes = notes.lock().unwrap_or_else(PoisonError::into_inner);
            notes.attempts += 1;
        }
    }

    /// The backend visited last, and how many visits there were.
    pub fn last(&self) -> (Option<BackendName>, u32) {
        let Some(notes) = &self.0 else {
            return (None, 0);
        };
        let notes = notes.lock().unwrap_or_else(PoisonError::into_inner);
        (notes.backend.clone(), notes.attempts)
    }

    /// The backends that were visited in vain before the last one, in order.
    pub fn earlier(&self) -> Vec<BackendName> {
        let Some(notes) = &self.0 else {
            return Vec::new();
        };
        let notes = notes.lock().unwrap_or_else(PoisonError::into_inner);
        notes.earlier.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clones_are_one_trail_and_the_default_keeps_nothing() {
        let trail = Trail::recording();
        let (a, b) = ("a".parse().unwrap(), "b".parse().unwrap());
        let clone = trail.clone();
        clone.visit(&a);
        clone.visit(&b);
        trail.again();
        clone.name("a.b");
        assert_eq!(trail.named().as_deref(), Some("a.b"));
        assert_eq!(trail.last(), (Some(b), 3));
        assert_eq!(trail.earlier(), std::slice::from_ref(&a));
        let none = Trail::default();
        none.visit(&a);
        assert_eq!(none.last(), (None, 0));
    }
}
