//! What one receiver has not been told yet.

use std::collections::VecDeque;

use super::notice::Notice;

/// Most that wait; more backends than can be out at once.
pub(super) const MOST: usize = 1024;

/// In order, and of each backend at most an outage and its end (or an end and the next outage):
/// whoever was away for a day need not hear of every hour of it.
#[derive(Debug, Default)]
pub(super) struct Queue {
    notices: VecDeque<Notice>,
}

/// What had to go, so that others have room.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Gone {
    /// Overtaken by what happened since.
    pub(super) overtaken: u64,
    /// There was no room.
    pub(super) dropped: u64,
}

impl Queue {
    /// Takes the newest.
    pub(super) fn push(&mut self, notice: Notice) -> Gone {
        self.notices.push_back(notice);
        self.tidied()
    }

    /// Takes back one that could not be told.
    pub(super) fn restore(&mut self, notice: Notice) -> Gone {
        self.notices.push_front(notice);
        self.tidied()
    }

    pub(super) fn pop(&mut self) -> Option<Notice> {
        self.notices.pop_front()
    }

    pub(super) fn len(&self) -> usize {
        self.notices.len()
    }

    fn tidied(&mut self) -> Gone {
        let mut gone = Gone::default();
        let ends = [self.notices.front(), self.notices.back()];
        let backends = ends.map(|end| end.map(|notice| notice.backend.clone()));
        for backend in backends.into_iter().flatten() {
            let of_it = |n: &Notice| n.backend == backend;
            // Outages and ends take turns: of three, the first and the last say the same.
            while self.notices.iter().filter(|n| of_it(n)).count() > 2 {
                for _ in 0..2 {
                    let first = self.notices.iter().position(of_it);
                    gone.overtaken += 1;
                    first.and_then(|at| self.notices.remove(at));
                }
            }
        }
        if self.notices.len() > MOST {
            self.notices.pop_front();
            gone.dropped += 1;
        }
        gone
    }
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::super::notice::Event;
    use super::*;

    fn notice(backend: &str, out: bool, reason: &str) -> Notice {
        Notice {
            event: if out {
                Event::Unhealthy
            } else {
                Event::Recovered
            },
            backend: backend.into(),
            namespace: None,
            reason: reason.to_owned(),
            since: UNIX_EPOCH,
            at: UNIX_EPOCH,
        }
    }

    fn reasons(queue: &mut Queue) -> Vec<String> {
        std::iter::from_fn(|| queue.pop())
            .map(|n| n.reason)
            .collect()
    }

    #[test]
    fn an_outage_and_its_end_are_both_told_in_order() {
        let mut queue = Queue::default();
        queue.push(notice("a", true, "1"));
        queue.push(notice("b", true, "2"));
        assert_eq!(queue.push(notice("a", false, "3")), Gone::default());
        assert_eq!(reasons(&mut queue), ["1", "2", "3"]);
    }

    #[test]
    fn what_has_been_overtaken_is_not_told() {
        let mut queue = Queue::default();
        for (at, reason) in ["1", "2", "3"].into_iter().enumerate() {
            queue.push(notice("a", at % 2 == 0, reason));
        }
        assert_eq!(reasons(&mut queue), ["3"]);
        queue.push(notice("a", false, "1"));
        queue.push(notice("a", true, "2"));
        let gone = queue.restore(notice("a", true, "0"));
        assert_eq!((gone.overtaken, gone.dropped), (2, 0));
        assert_eq!(reasons(&mut queue), ["2"]);
    }

    #[test]
    fn there_is_a_bound() {
        let mut queue = Queue::default();
        let mut dropped = 0;
        for number in 0..MOST + 3 {
            let notice = notice(&format!("b{number}"), true, &number.to_string());
            dropped += queue.push(notice).dropped;
        }
        assert_eq!((queue.len(), dropped), (MOST, 3));
        assert_eq!(queue.pop().map(|n| n.reason).as_deref(), Some("3"));
    }
}
