//! How often a backend that comes and goes may change what clients see.
//!
//! One that comes back every second with another list would have every client fetch everything
//! every second. What it lists is taken at once a few times a minute; then the last list stays,
//! and the newest is taken when its time has come.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

/// So many changes in [`WINDOW`] (F15).
const CHANGES: usize = 4;
const WINDOW: Duration = Duration::from_secs(60);

/// When lists were taken of late.
#[derive(Debug, Default)]
pub(crate) struct Flaps(VecDeque<Instant>);

impl Flaps {
    /// Takes a change at `now`.
    ///
    /// # Errors
    /// When it is too early, with how long to wait.
    pub(crate) fn take(&mut self, now: Instant) -> Result<(), Duration> {
        while self
            .0
            .front()
            .is_some_and(|at| now.duration_since(*at) > WINDOW)
        {
            self.0.pop_front();
        }
        match self.0.front() {
            Some(first) if self.0.len() >= CHANGES => {
                let due = *first + WINDOW + Duration::from_millis(1);
                Err(due.saturating_duration_since(now))
            }
            _ => {
                self.0.push_back(now);
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn f15_a_backend_that_flaps_every_second_changes_a_list_4_times_a_minute() {
        let mut flaps = Flaps::default();
        let mut taken = Vec::new();
        for _ in 0..600 {
            if flaps.take(Instant::now()).is_ok() {
                taken.push(Instant::now());
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        let within = |at: &Instant| {
            let minute = *at..=*at + WINDOW;
            taken.iter().filter(|t| minute.contains(t)).count()
        };
        assert_eq!(taken.iter().map(within).max(), Some(CHANGES));
        assert!(taken.len() >= 36, "{}", taken.len());
    }
}
