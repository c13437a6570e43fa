//! The last minutes of each backend, for the small charts.
//!
//! The counters of the router only grow; what an operator wants to see is when something changed.
//! One task reads them every few seconds and keeps the differences, a fixed number of them for each
//! backend, whether anybody looks or not: who comes because something is wrong wants to see how it
//! began.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How long one point of a chart is.
pub(super) const STEP: Duration = Duration::from_secs(5);
/// How many points a chart has.
pub(super) const POINTS: usize = 60;

/// How far the counters of one backend have grown, or grew in one [`STEP`].
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Totals {
    /// Calls that have ended.
    pub(super) calls: u64,
    /// Of these, calls that the backend failed.
    pub(super) failed: u64,
    /// How long they took together, in microseconds.
    pub(super) micros: u64,
}

/// What happened at one backend, oldest first; each point is one [`STEP`].
#[derive(Clone, Debug, Default)]
pub(super) struct Track {
    last: Totals,
    pub(super) points: VecDeque<Totals>,
}

/// The tracks of all backends. Clones are the same history.
#[derive(Clone, Debug, Default)]
pub(super) struct History(Arc<Mutex<HashMap<String, Track>>>);

impl Totals {
    /// How long a call took on average; nothing without calls.
    pub(super) fn mean(&self) -> Option<Duration> {
        Some(Duration::from_micros(self.micros.checked_div(self.calls)?))
    }

    fn since(self, before: Self) -> Self {
        Self {
            calls: self.calls.saturating_sub(before.calls),
            failed: self.failed.saturating_sub(before.failed),
            micros: self.micros.saturating_sub(before.micros),
        }
    }

    pub(super) fn with(self, more: Self) -> Self {
        Self {
            calls: self.calls + more.calls,
            failed: self.failed + more.failed,
            micros: self.micros + more.micros,
        }
    }
}

impl Track {
    /// All points together.
    pub(super) fn sum(&self) -> Totals {
        let points = self.points.iter().copied();
        points.fold(Totals::default(), Totals::with)
    }

    fn step(&mut self, now: Totals) {
        if self.points.len() == POINTS {
            self.points.pop_front();
        }
        self.points.push_back(now.since(self.last));
        self.last = now;
    }
}

impl History {
    /// Takes how far the counters have grown by now. Backends that are not among them any more are
    /// forgotten.
    pub(super) fn step(&self, totals: &[(String, Totals)]) {
        let mut tracks = self.tracks();
        let named: HashSet<_> = totals.iter().map(|(name, _)| name).collect();
        tracks.retain(|name, _| named.contains(name));
        for (name, now) in totals {
            match tracks.get_mut(name) {
                Some(track) => track.step(*now),
                None => {
                    let track = tracks.entry(name.clone()).or_default();
                    track.step(*now);
                }
            }
        }
    }

    /// The track of one backend, whose last point is what has happened since the last step.
    pub(super) fn of(&self, name: &str, now: Totals) -> Track {
        let mut track = self.tracks().get(name).cloned().unwrap_or_default();
        track.step(now);
        track
    }

    fn tracks(&self) -> MutexGuard<'_, HashMap<String, Track>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn totals(calls: u64, failed: u64, micros: u64) -> Totals {
        Totals {
            calls,
            failed,
            micros,
        }
    }

    fn at(name: &str, now: Totals) -> Vec<(String, Totals)> {
        vec![(name.to_owned(), now)]
    }

    #[test]
    fn points_are_differences_and_the_oldest_goes() {
        let history = History::default();
        for step in 0..200 {
            history.step(&at("a", totals(step * 2, step, step * 100)));
        }
        let track = history.of("a", totals(400, 200, 20_000));
        assert_eq!(track.points.len(), POINTS);
        assert!(track.points.iter().all(|p| *p == totals(2, 1, 100)));
        assert_eq!(track.sum(), totals(120, 60, 6_000));
        let later = history.of("a", totals(403, 200, 20_000));
        assert_eq!(
            later.points.back(),
            Some(&totals(5, 1, 100)),
            "not yet a step"
        );
        assert_eq!(track.sum().mean(), Some(Duration::from_micros(50)));
        assert_eq!(Totals::default().mean(), None);
    }

    #[test]
    fn a_backend_that_is_gone_is_forgotten_and_one_that_starts_again_is_no_negative() {
        let history = History::default();
        history.step(&at("a", totals(5, 0, 0)));
        history.step(&at("a", totals(1, 0, 0)));
        let points = history.of("a", totals(2, 0, 0)).points;
        assert_eq!(points, [totals(5, 0, 0), totals(0, 0, 0), totals(1, 0, 0)]);
        history.step(&at("b", totals(1, 0, 0)));
        assert_eq!(
            history.of("a", Totals::default()).points,
            [Totals::default()]
        );
    }
}
