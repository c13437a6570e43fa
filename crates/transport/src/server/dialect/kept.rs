//! Lists as the clients of one revision read them, worked out once.
//!
//! The router answers a list with the very same bytes until something changes, while to find a few
//! members among hundreds of definitions costs many times what a call does. So what was last made
//! of a list is kept beside the bytes it was made of: as long as these are held, no other list has
//! their address.

use std::sync::atomic::{AtomicUsize, Ordering};

use arc_swap::ArcSwapOption;
use bytes::Bytes;
use mcp_router_protocol::{RawJson, Revision};

/// How many lists are kept: four kinds, of one or two revisions. The oldest goes first.
const LISTS: usize = 8;
/// Below this, making it again costs no more than to look.
const SMALL: usize = 4 << 10;
/// Beyond this, memory is dearer than time.
const LARGE: usize = 2 << 20;

/// What was made of the last few lists.
#[derive(Debug)]
pub(super) struct Kept {
    lists: [ArcSwapOption<Made>; LISTS],
    next: AtomicUsize,
}

#[derive(Debug)]
struct Made {
    from: Bytes,
    revision: Revision,
    made: RawJson,
}

impl Kept {
    pub(super) const fn new() -> Self {
        Self {
            lists: [const { ArcSwapOption::const_empty() }; LISTS],
            next: AtomicUsize::new(0),
        }
    }

    /// What clients of `revision` get for `list`; `None` if it is not worth keeping. `make` works
    /// it out, and must make the same of the same bytes at any time.
    pub(super) fn of(
        &self,
        list: &RawJson,
        revision: Revision,
        make: impl FnOnce() -> RawJson,
    ) -> Option<RawJson> {
        let from = list.bytes();
        // Whom nobody else holds will not come again.
        if !(SMALL..=LARGE).contains(&from.len()) || from.is_unique() {
            return None;
        }
        for slot in &self.lists {
            let kept = slot.load();
            if let Some(kept) = &*kept
                && kept.is_of(from, revision)
            {
                return Some(kept.made.clone());
            }
        }
        let made = make();
        let slot = self.next.fetch_add(1, Ordering::Relaxed) % LISTS;
        self.lists[slot].store(Some(
            Made {
                from: from.clone(),
                revision,
                made: made.clone(),
            }
            .into(),
        ));
        Some(made)
    }
}

impl Made {
    fn is_of(&self, from: &Bytes, revision: Revision) -> bool {
        let place = |bytes: &Bytes| (bytes.as_ptr(), bytes.len());
        self.revision == revision && place(&self.from) == place(from)
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    const M: Revision = Revision::V2026_07_28;
    const L: Revision = Revision::V2025_11_25;

    fn list(size: usize) -> RawJson {
        RawJson::of(&"x".repeat(size))
    }

    /// How often the list is made when it is asked for by those of these revisions in turn.
    fn makes(kept: &Kept, list: &RawJson, revisions: &[Revision]) -> usize {
        let makes = Cell::new(0);
        for revision in revisions {
            let expected = RawJson::of(&format!("{revision}{}", list.bytes().len()));
            let made = kept.of(list, *revision, || {
                makes.set(makes.get() + 1);
                expected.clone()
            });
            assert_eq!(made, Some(expected));
        }
        makes.get()
    }

    #[test]
    fn a_list_that_comes_again_is_made_once_for_each_revision() {
        let kept = Kept::new();
        let first = list(SMALL);
        let _held = first.clone();
        assert_eq!(makes(&kept, &first, &[M, L, M, L, M]), 2);
        // The same length, and another list.
        let second = list(SMALL);
        let _held = second.clone();
        assert_eq!(makes(&kept, &second, &[M, L, M]), 2);
        assert_eq!(makes(&kept, &first, &[M, L]), 0);
    }

    #[test]
    fn nothing_is_kept_that_will_not_come_again_or_is_not_worth_it() {
        let kept = Kept::new();
        assert_eq!(kept.of(&list(SMALL), M, || list(1)), None);
        for size in [10, LARGE] {
            let list = list(size);
            let _held = list.clone();
            assert_eq!(kept.of(&list, M, || list.clone()), None);
        }
        assert!(kept.lists.iter().all(|slot| slot.load().is_none()));
    }

    #[test]
    fn the_oldest_goes_first() {
        let kept = Kept::new();
        let lists: Vec<_> = (0..=LISTS).map(|n| list(SMALL + n)).collect();
        let _held = lists.clone();
        for list in &lists {
            assert_eq!(makes(&kept, list, &[M, M]), 1);
        }
        assert_eq!(makes(&kept, &lists[LISTS], &[M]), 0);
        assert_eq!(makes(&kept, &lists[0], &[M]), 1);
    }
}
