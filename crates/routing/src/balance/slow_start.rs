//! A newcomer is not given a full load at once.
//!
//! Its caches are cold and its pools empty; with `least_connections` and `peak_ewma` it even looks
//! like the best of all, because nothing runs there yet. So its share grows from a tenth to the
//! whole. Endpoints that are equally new share equally: a fresh start is no reason to hold back.

use std::time::Duration;

/// How the share of a newcomer grows.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct SlowStart {
    window: Duration,
}

impl SlowStart {
    /// The share of the very first call.
    const FLOOR: f32 = 0.1;

    /// Full load after `window`; zero: at once.
    pub const fn new(window: Duration) -> Self {
        Self { window }
    }

    /// The share of an endpoint that has been fit for `age`: from 0.1 to 1, never less later.
    pub fn share(self, age: Duration) -> f32 {
        if age >= self.window {
            return 1.0;
        }
        let grown = age.as_secs_f32() / self.window.as_secs_f32();
        Self::FLOOR + (1.0 - Self::FLOOR) * grown.min(1.0)
    }
}

impl Default for SlowStart {
    /// 10 s.
    fn default() -> Self {
        Self::new(Duration::from_secs(10))
    }
}
