//! How long an endpoint takes to answer, remembered in 8 bytes.

use std::time::Duration;

/// After this time an observation weighs a third.
const DECAY: Duration = Duration::from_secs(10);

/// A moving average of latencies that follows a rise at once and a fall slowly.
///
/// It fades with time, too: an endpoint that was slow once is tried again some day. Times are
/// given as the time since any fixed moment. It fits into an atomic (see
/// [`to_bits`](Self::to_bits)), so that measuring needs no lock. (Moments wrap around after 49
/// days; a latency that old and never renewed may then count once more.)
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct PeakEwma {
    /// Zero: never observed.
    micros: f32,
    /// In milliseconds.
    at: u32,
}

impl PeakEwma {
    /// What it comes to at `now`; `None` before the first observation.
    pub fn latency(self, now: Duration) -> Option<Duration> {
        (self.micros > 0.0).then(|| {
            let micros = self.micros * self.fading(now);
            Duration::from_secs_f32(micros.max(1.0) / 1e6)
        })
    }

    /// An answer took `latency`.
    #[must_use]
    pub fn observe(self, latency: Duration, now: Duration) -> Self {
        let new = micros(latency);
        let fading = self.fading(now);
        Self {
            micros: new.max(self.micros * fading + new * (1.0 - fading)),
            at: millis(now),
        }
    }

    /// No answer, though `waited` went by: it would have taken at least that.
    #[must_use]
    pub fn observe_at_least(self, waited: Duration, now: Duration) -> Self {
        if micros(waited) > self.micros * self.fading(now) {
            self.observe(waited, now)
        } else {
            self
        }
    }

    /// For an atomic. The default is zero.
    pub fn to_bits(self) -> u64 {
        u64::from(self.micros.to_bits()) << 32 | u64::from(self.at)
    }

    /// From an atomic.
    pub fn from_bits(bits: u64) -> Self {
        Self {
            micros: f32::from_bits((bits >> 32) as u32),
            at: bits as u32,
        }
    }

    fn fading(self, now: Duration) -> f32 {
        // Two tasks may report in the wrong order: then no time has passed.
        let passed = millis(now).wrapping_sub(self.at);
        let passed = if passed > u32::MAX / 2 { 0 } else { passed };
        (-(passed as f32) / DECAY.as_millis() as f32).exp()
    }
}

/// At least one, so that what was observed never looks unobserved.
fn micros(latency: Duration) -> f32 {
    (latency.as_secs_f32() * 1e6).max(1.0)
}

/// Wraps around.
fn millis(now: Duration) -> u32 {
    now.as_millis() as u32
}
