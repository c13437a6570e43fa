//! What replicas of a router share: keys, and more or less the time of day.

use std::fmt;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use mcp_router_service::seal::{KeyError, Purpose, Sealer};

/// Seals what clients keep for the router. Every replica with the same secrets opens it. Cloning
/// shares the keys, which are derived once.
#[derive(Clone, Debug)]
pub struct Seals {
    /// Session ids.
    pub(crate) session: Sealer,
    /// Ids of requests to clients.
    pub(crate) request: Sealer,
}

impl Seals {
    /// Derives the keys from secrets of at least 32 bytes each: the first one seals, all open.
    /// With none, what is sealed is good for this process alone.
    ///
    /// # Errors
    /// If a secret is too short, or there is no randomness.
    pub fn new<S: AsRef<[u8]>>(secrets: &[S]) -> Result<Self, KeyError> {
        Ok(Self {
            session: Sealer::new(secrets, Purpose::Session)?,
            request: Sealer::new(secrets, Purpose::RequestId)?,
        })
    }
}

/// The time of day. Session ids live by it, since replicas share no other clock; nothing else
/// does (F43).
#[derive(Clone)]
pub struct WallClock(Arc<dyn Fn() -> SystemTime + Send + Sync>);

impl WallClock {
    /// A clock of the embedder's own.
    pub fn new(now: impl Fn() -> SystemTime + Send + Sync + 'static) -> Self {
        Self(Arc::new(now))
    }

    /// Seconds since 1970; 0 before that.
    pub(crate) fn seconds(&self) -> u64 {
        let since = (self.0)().duration_since(UNIX_EPOCH);
        since.map_or(0, |time| time.as_secs())
    }
}

impl Default for WallClock {
    /// The system's.
    fn default() -> Self {
        Self::new(SystemTime::now)
    }
}

impl fmt::Debug for WallClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WallClock(..)")
    }
}
