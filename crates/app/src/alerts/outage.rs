//! When a backend that is not well becomes an outage, and when the outage is over.
//!
//! People who are woken for every hiccup stop reading. So what lasts for a moment is none, and what
//! comes and goes is one outage until it has been over for a while, the longer the oftener it came
//! back.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

/// A backend that was well is out after so long.
pub(super) const CONFIRM: Duration = Duration::from_secs(5);
/// One that never was, after so long: those that start with the router may take their time.
pub(super) const GRACE: Duration = Duration::from_secs(30);
/// It has recovered when it was well for so long, doubled for each further outage of late.
pub(super) const SETTLE: Duration = Duration::from_secs(10);
/// At most.
pub(super) const LONGEST_SETTLE: Duration = Duration::from_secs(300);
/// What "of late" is.
const LATE: Duration = Duration::from_secs(1800);

/// What has become of a backend.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Turn {
    /// It is out.
    Out,
    /// It is well again.
    Back,
}

/// How one backend fares.
#[derive(Debug)]
pub(super) struct Outage {
    state: State,
    /// When outages of late began.
    began: VecDeque<Instant>,
    /// Since when it has been well without a break.
    well: Option<Instant>,
}

#[derive(Clone, Copy, Debug)]
enum State {
    /// Never well so far.
    New {
        since: Instant,
    },
    Well,
    /// Not well, and not for long enough yet.
    Ailing {
        since: Instant,
    },
    Out {
        since: Instant,
    },
}

impl Outage {
    pub(super) const fn new(now: Instant) -> Self {
        Self {
            state: State::New { since: now },
            began: VecDeque::new(),
            well: None,
        }
    }

    /// Takes how it is at `now`.
    pub(super) fn see(&mut self, well: bool, now: Instant) -> Option<Turn> {
        let settled = match (well, self.well) {
            (false, _) => {
                self.well = None;
                false
            }
            (true, since) => now - *self.well.insert(since.unwrap_or(now)) >= self.settle(now),
        };
        match self.state {
            State::New { .. } if well => self.state = State::Well,
            State::New { since } if now - since >= GRACE => return self.out(since, now),
            State::Well if !well => self.state = State::Ailing { since: now },
            // Whatever it did in between, it has not been well for long, and is not now.
            State::Ailing { since } if !well && now - since >= CONFIRM => {
                return self.out(since, now);
            }
            State::Ailing { .. } if settled => self.state = State::Well,
            State::Out { .. } if settled => {
                self.state = State::Well;
                return Some(Turn::Back);
            }
            _ => {}
        }
        None
    }

    /// Since when it is out, if it is.
    pub(super) const fn since(&self) -> Option<Instant> {
        match self.state {
            State::Out { since } => Some(since),
            _ => None,
        }
    }

    fn out(&mut self, since: Instant, now: Instant) -> Option<Turn> {
        self.state = State::Out { since };
        self.began.push_back(now);
        Some(Turn::Out)
    }

    /// How long it must have been well.
    fn settle(&mut self, now: Instant) -> Duration {
        while self.began.front().is_some_and(|at| now - *at > LATE) {
            self.began.pop_front();
        }
        let further = u32::try_from(self.began.len().saturating_sub(1)).unwrap_or(u32::MAX);
        let factor = 2_u32.saturating_pow(further);
        SETTLE.saturating_mul(factor).min(LONGEST_SETTLE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: Duration = Duration::from_secs(1);

    /// Looks once a second for as long as `plan` says, and tells when what happened.
    fn turns(plan: &[(bool, u64)]) -> Vec<(u64, Turn)> {
        let start = Instant::now();
        let mut outage = Outage::new(start);
        let mut seen = Vec::new();
        let mut at = 0;
        for (well, seconds) in plan {
            for _ in 0..*seconds {
                let turn = outage.see(*well, start + S * at as u32);
                seen.extend(turn.map(|turn| (at, turn)));
                at += 1;
            }
        }
        seen
    }

    #[test]
    fn an_outage_is_told_once_and_its_end_once() {
        let seen = turns(&[(true, 100), (false, 1000), (true, 100)]);
        assert_eq!(seen, [(105, Turn::Out), (1110, Turn::Back)]);
    }

    #[test]
    fn a_moment_is_no_outage() {
        assert_eq!(turns(&[(true, 10), (false, 5), (true, 100)]), []);
        let hiccups: Vec<_> = (0..50).flat_map(|_| [(true, 20), (false, 3)]).collect();
        assert_eq!(turns(&hiccups), []);
    }

    #[test]
    fn what_never_was_well_is_told_after_the_grace_of_the_start() {
        assert_eq!(turns(&[(false, 30), (true, 100)]), []);
        let seen = turns(&[(false, 100), (true, 11)]);
        assert_eq!(seen, [(30, Turn::Out), (110, Turn::Back)]);
    }

    #[test]
    fn f15_what_comes_and_goes_every_second_is_one_outage() {
        let mut plan = vec![(true, 10)];
        plan.extend((0..1800).flat_map(|_| [(false, 1), (true, 1)]));
        plan.push((true, 20));
        let seen = turns(&plan);
        assert_eq!(seen.len(), 2, "{seen:?}");
        assert_eq!(seen[0].1, Turn::Out);
        assert!(seen[1].0 > 3600, "{seen:?}");
    }

    #[test]
    fn f15_what_comes_and_goes_slowly_is_told_ever_more_rarely() {
        let plan: Vec<_> = (0..120).flat_map(|_| [(true, 15), (false, 15)]).collect();
        let seen = turns(&plan);
        // Each quarter of a minute it would be 240.
        assert!((2..=8).contains(&seen.len()), "{} in an hour", seen.len());
    }

    #[test]
    fn rare_outages_are_each_told_soon() {
        let plan: Vec<_> = (0..10).flat_map(|_| [(true, 3600), (false, 60)]).collect();
        let seen = turns(&[plan, vec![(true, 60)]].concat());
        assert_eq!(seen.len(), 20);
        let (out, back) = (seen[18], seen[19]);
        assert_eq!(back.0 - out.0, 55 + 10);
    }

    proptest::proptest! {
        #[test]
        fn outages_and_recoveries_take_turns(
            plan in proptest::collection::vec((proptest::bool::ANY, 1..100_u64), 0..60)
        ) {
            let seen = turns(&plan);
            for (at, (_, turn)) in seen.iter().enumerate() {
                let expected = if at % 2 == 0 { Turn::Out } else { Turn::Back };
                proptest::prop_assert_eq!(*turn, expected);
            }
        }
    }
}
