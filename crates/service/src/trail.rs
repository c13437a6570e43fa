//! Where a call has been, for those who tell about it once it has ended.

use std::any::Any;
use std::sync::{Arc, Mutex, PoisonError};

use mcp_router_protocol::BackendName;

/// What goes with a visit for whoever reads the trail. Only the two who agreed on it know its type.
pub type Mark = Arc<dyn Any + Send + Sync>;

/// Notes of the backends that a call was given to: one handle per call, written at the entry of
/// each backend's stack and read by the front of the router once the call has ended.
///
/// The default keeps no notes and costs nothing. The lock is the call's own, held for a store.
#[derive(Clone, Debug, Default)]
pub struct Trail(Option<Arc<Mutex<Notes>>>);

/// What a [`Trail`] tells.
#[derive(Clone, Debug, Default)]
pub struct Notes {
    /// The backend visited last.
    pub last: Option<Visit>,
    /// Those that were visited in vain before it, in order.
    pub earlier: Vec<Visit>,
    /// How many visits there were, and attempts at each.
    pub attempts: u32,
    /// The name that operators know what the client calls by, once it is found.
    pub name: Option<Arc<str>>,
}

/// A backend that a call was given to.
#[derive(Clone, Debug)]
pub struct Visit {
    /// The backend.
    pub backend: BackendName,
    /// How often the call was made there.
    pub attempts: u32,
    /// What was left there.
    pub mark: Option<Mark>,
}

impl Trail {
    /// A trail that keeps notes.
    pub fn recording() -> Self {
        Self(Some(Arc::default()))
    }

    /// Whether it keeps notes.
    pub const fn is_recording(&self) -> bool {
        self.0.is_some()
    }

    /// Notes that the call goes to `backend` now.
    pub fn visit(&self, backend: &BackendName) {
        self.visit_marked(backend, || None);
    }

    /// Notes that the call goes to `backend` now, and leaves a mark there, if anybody keeps it.
    pub fn visit_marked(&self, backend: &BackendName, mark: impl FnOnce() -> Option<Mark>) {
        if let Some(notes) = &self.0 {
            let mark = mark();
            let mut notes = notes.lock().unwrap_or_else(PoisonError::into_inner);
            let visit = Visit {
                backend: backend.clone(),
                attempts: 1,
                mark,
            };
            if let Some(before) = notes.last.replace(visit) {
                notes.earlier.push(before);
            }
            notes.attempts += 1;
        }
    }

    /// Notes by which name operators know what the client calls, if anybody keeps it.
    pub fn name(&self, exposed: impl FnOnce() -> Arc<str>) {
        if let Some(notes) = &self.0 {
            let exposed = exposed();
            let mut notes = notes.lock().unwrap_or_else(PoisonError::into_inner);
            notes.name = Some(exposed);
        }
    }

    /// Notes that the call is made again at the backend where it is.
    pub fn again(&self) {
        if let Some(notes) = &self.0 {
            let mut notes = notes.lock().unwrap_or_else(PoisonError::into_inner);
            notes.attempts += 1;
            if let Some(here) = &mut notes.last {
                here.attempts += 1;
            }
        }
    }

    /// Everything noted so far.
    pub fn notes(&self) -> Notes {
        self.read(Notes::clone)
    }

    /// Looks at everything noted so far. Whoever notes more waits meanwhile.
    pub fn read<T>(&self, look: impl FnOnce(&Notes) -> T) -> T {
        match &self.0 {
            Some(notes) => look(&notes.lock().unwrap_or_else(PoisonError::into_inner)),
            None => look(&Notes::default()),
        }
    }

    /// The backend visited last, and how many attempts there were in all.
    pub fn last(&self) -> (Option<BackendName>, u32) {
        let notes = self.notes();
        (notes.last.map(|visit| visit.backend), notes.attempts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clones_are_one_trail_and_the_default_keeps_nothing() {
        let trail = Trail::recording();
        let (a, b): (BackendName, BackendName) = ("a".parse().unwrap(), "b".parse().unwrap());
        let clone = trail.clone();
        clone.visit_marked(&a, || Some(Arc::new(7_u8)));
        clone.again();
        clone.visit(&b);
        trail.again();
        clone.name(|| "a.b".into());
        let notes = trail.notes();
        assert_eq!(notes.name.as_deref(), Some("a.b"));
        assert_eq!(trail.last(), (Some(b), 4));
        let [first] = &notes.earlier[..] else {
            panic!("{notes:?}")
        };
        assert_eq!((&first.backend, first.attempts), (&a, 2));
        let mark = first.mark.as_ref().unwrap();
        assert_eq!(mark.downcast_ref::<u8>(), Some(&7));
        assert_eq!(notes.last.unwrap().attempts, 2);
    }

    #[test]
    fn the_default_keeps_nothing_and_asks_for_no_mark() {
        let none = Trail::default();
        none.visit_marked(&"a".parse().unwrap(), || panic!("nobody keeps it"));
        assert_eq!(none.last(), (None, 0));
        assert!(!none.is_recording());
    }
}
