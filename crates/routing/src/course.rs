//! Who is next while a call is under way.

use crate::balance::Fitness;

/// The most candidates that one call may visit. Nobody waits for the sixty-fifth.
pub const MAX_CANDIDATES: usize = 64;

/// A call's way through the candidates of its plan: the fittest of those that are left, and among
/// equals the first. How they fare is asked anew at each step, because it changes meanwhile.
///
/// Keeps no list and so costs nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Course {
    tried: u64,
    waited: bool,
}

/// Where the call goes next.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Turn {
    /// The candidate's place in the plan.
    pub at: usize,
    /// Whether it may be tried again there, which takes waiting: only at one candidate of a call,
    /// and never while a usable one is left.
    pub here: bool,
    /// Whether somebody is left to go to.
    pub more: bool,
}

impl Course {
    /// The next of `len` candidates, each once.
    pub fn next(&mut self, len: usize, fitness: impl Fn(usize) -> Fitness) -> Option<Turn> {
        let tried = self.tried;
        let left = move || (0..len.min(MAX_CANDIDATES)).filter(move |at| tried >> at & 1 == 0);
        let (now, at) = left().map(|at| (fitness(at), at)).min()?;
        let mut others = left().filter(|other| *other != at).peekable();
        let more = others.peek().is_some();
        // Waiting for one that is not well is worth it only if nobody is left who may be called.
        let least = match now {
            Fitness::Usable => Fitness::Usable,
            Fitness::Doubtful | Fitness::Resting => Fitness::Resting,
            Fitness::Out => Fitness::Out,
        };
        let here = !self.waited && !others.any(|other| fitness(other) <= least);
        self.waited |= here;
        self.tried |= 1 << at;
        Some(Turn { at, here, more })
    }
}

#[cfg(test)]
mod tests {
    use Fitness::{Doubtful, Out, Resting, Usable};
    use proptest::prelude::*;

    use super::*;

    fn turns(fitness: &[Fitness]) -> Vec<(usize, bool)> {
        let mut course = Course::default();
        std::iter::from_fn(|| course.next(fitness.len(), |at| fitness[at]))
            .map(|turn| (turn.at, turn.here))
            .collect()
    }

    #[test]
    fn only_the_last_usable_one_is_waited_for() {
        for (all, expected) in [
            (&[Usable][..], &[(0, true)][..]),
            (&[Usable, Usable], &[(0, false), (1, true)]),
            (&[Doubtful, Usable], &[(1, true), (0, false)]),
            (
                &[Out, Usable, Resting, Usable, Doubtful],
                &[(1, false), (3, true), (4, false), (2, false), (0, false)],
            ),
            (
                &[Doubtful, Out, Resting],
                &[(0, false), (2, true), (1, false)],
            ),
            (&[Out, Out], &[(0, false), (1, true)]),
            (&[], &[]),
        ] {
            assert_eq!(turns(all), expected, "{all:?}");
        }
    }

    #[test]
    fn one_that_got_worse_on_the_way_comes_later() {
        let mut course = Course::default();
        assert_eq!(course.next(3, |_| Usable).unwrap().at, 0);
        let worse = |at| if at == 1 { Out } else { Usable };
        let turn = course.next(3, worse).unwrap();
        assert_eq!((turn.at, turn.here, turn.more), (2, true, true));
        let turn = course.next(3, worse).unwrap();
        assert_eq!((turn.at, turn.here, turn.more), (1, false, false));
    }

    fn any_fitness() -> impl Strategy<Value = Fitness> {
        prop::sample::select(vec![Usable, Doubtful, Resting, Out])
    }

    proptest! {
        /// Whatever happens to the candidates on the way.
        #[test]
        fn everybody_comes_once_and_one_at_most_is_waited_for(
            moments in prop::collection::vec(prop::collection::vec(any_fitness(), 80), 1..80),
            len in 0usize..80,
        ) {
            let (mut course, mut seen, mut waits) = (Course::default(), Vec::new(), 0);
            for now in moments.iter().cycle().take(100) {
                let Some(turn) = course.next(len, |at| now[at]) else { break };
                prop_assert!(!seen.contains(&turn.at));
                let left: Vec<_> = (0..len.min(MAX_CANDIDATES))
                    .filter(|at| !seen.contains(at) && *at != turn.at)
                    .collect();
                prop_assert!(left.iter().all(|at| (now[turn.at], turn.at) <= (now[*at], *at)));
                prop_assert_eq!(turn.more, !left.is_empty());
                prop_assert!(!(turn.here && left.iter().any(|at| now[*at] == Usable)));
                waits += usize::from(turn.here);
                seen.push(turn.at);
            }
            prop_assert_eq!(seen.len(), len.min(MAX_CANDIDATES));
            prop_assert!(waits <= 1);
        }
    }
}
