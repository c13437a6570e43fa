//! The last while, in ten parts.

use std::time::{Duration, Instant};

/// How many: what becomes too old leaves in steps of a tenth of the whole.
const PARTS: u64 = 10;

/// One value for each of the last ten parts of a window.
#[derive(Debug)]
pub(crate) struct Sliding<T> {
    part: Duration,
    origin: Option<Instant>,
    /// The newest part, counted from the origin.
    newest: u64,
    parts: [T; PARTS as usize],
}

impl<T: Copy + Default> Sliding<T> {
    pub(crate) fn new(window: Duration) -> Self {
        Self {
            part: (window / PARTS as u32).max(Duration::from_nanos(1)),
            origin: None,
            newest: 0,
            parts: Default::default(),
        }
    }

    pub(crate) fn clear(&mut self) {
        self.parts = Default::default();
    }

    /// Drops what has become too old, and gives the part that `now` lies in.
    pub(crate) fn at(&mut self, now: Instant) -> &mut T {
        let origin = *self.origin.get_or_insert(now);
        let since = now.saturating_duration_since(origin).as_nanos() / self.part.as_nanos();
        let index = u64::try_from(since).unwrap_or(u64::MAX);
        // A caller whose clock was read a little earlier writes into the newest part.
        if index > self.newest {
            for step in 1..=(index - self.newest).min(PARTS) {
                self.parts[((self.newest + step) % PARTS) as usize] = T::default();
            }
            self.newest = index;
        }
        &mut self.parts[(self.newest % PARTS) as usize]
    }

    /// Every part as of the last [`at`](Self::at), the oldest first.
    pub(crate) fn oldest_first(&mut self) -> impl Iterator<Item = &mut T> {
        let split = ((self.newest + 1) % PARTS) as usize;
        let (newer, older) = self.parts.split_at_mut(split);
        older.iter_mut().chain(newer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: Duration = Duration::from_secs(1);

    #[test]
    fn parts_come_oldest_first_and_leave_after_the_window() {
        let (mut sliding, start) = (Sliding::<u64>::new(10 * S), Instant::now());
        for n in 0..13 {
            *sliding.at(start + n * S) = n.into();
        }
        let parts: Vec<u64> = sliding.oldest_first().map(|n| *n).collect();
        assert_eq!(parts, [3, 4, 5, 6, 7, 8, 9, 10, 11, 12]);
        sliding.at(start + 21 * S);
        assert_eq!(sliding.oldest_first().map(|n| *n).sum::<u64>(), 12);
        sliding.at(start + 1000 * S);
        assert_eq!(sliding.oldest_first().map(|n| *n).sum::<u64>(), 0);
    }

    #[test]
    fn time_that_goes_back_changes_nothing() {
        let (mut sliding, start) = (Sliding::<u64>::new(10 * S), Instant::now());
        *sliding.at(start) += 1;
        *sliding.at(start + 5 * S) += 1;
        *sliding.at(start + 4 * S) += 1;
        assert_eq!(*sliding.at(start + 5 * S), 2);
    }
}
