//! Links that backends gave to callers, without namespaces.
//!
//! An address that nobody lists says nothing about who has it. Who handed it out has it, and so a
//! caller who was given a link can follow it. What is kept is bounded: the oldest links are
//! forgotten, and then are as unknown as they would have been.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use mcp_router_service::Principal;

/// So many links are kept, of all callers together.
const KEPT: usize = 10_000;
/// Longer addresses are not kept.
const LONGEST: usize = 2048;

type Key = (Principal, Arc<str>);

/// Who gave which link to whom.
#[derive(Debug, Default)]
pub(crate) struct Links(Mutex<Table>);

#[derive(Debug, Default)]
struct Table {
    /// The number of the backend.
    owners: HashMap<Key, u64>,
    oldest: VecDeque<Key>,
}

impl Links {
    /// Notes that the backend of this number has given the caller a link.
    pub(crate) fn note(&self, to: &Principal, uri: &str, backend: u64) {
        if uri.len() > LONGEST {
            return;
        }
        let key: Key = (to.clone(), uri.into());
        let mut table = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if table.owners.insert(key.clone(), backend).is_some() {
            return;
        }
        table.oldest.push_back(key);
        if table.oldest.len() > KEPT
            && let Some(oldest) = table.oldest.pop_front()
        {
            table.owners.remove(&oldest);
        }
    }

    /// The number of the backend that gave the caller this link.
    pub(crate) fn owner(&self, to: &Principal, uri: &str) -> Option<u64> {
        let table = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        table.owners.get(&(to.clone(), uri.into())).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_the_callers_own_and_the_oldest_are_forgotten() {
        let links = Links::default();
        let (me, you) = (Principal::Anonymous, Principal::Named("you".into()));
        links.note(&me, "a:1", 3);
        assert_eq!(links.owner(&me, "a:1"), Some(3));
        assert_eq!(links.owner(&you, "a:1"), None);
        links.note(&me, "a:1", 4);
        assert_eq!(links.owner(&me, "a:1"), Some(4));
        links.note(&me, &"x".repeat(LONGEST + 1), 1);
        for n in 0..KEPT {
            links.note(&you, &format!("b:{n}"), 1);
        }
        assert_eq!(links.owner(&me, "a:1"), None);
        assert_eq!(links.owner(&you, "b:0"), Some(1));
        assert_eq!(links.0.lock().unwrap().owners.len(), KEPT);
    }
}
