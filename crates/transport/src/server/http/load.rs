//! How much there is to do.

use super::HttpService;

/// What the edge has to do for its clients at one moment.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Load {
    /// Requests that have been let in and have no whole answer yet.
    pub requests: usize,
    /// Streams that stay open by themselves.
    pub streams: usize,
}

impl HttpService {
    /// What there is to do now.
    pub fn load(&self) -> Load {
        let shared = &self.shared;
        let limits = &shared.params.limits;
        let taken = |most: usize, left: usize| most.saturating_sub(left);
        Load {
            requests: taken(limits.in_flight, shared.in_flight.available_permits()),
            streams: taken(limits.streams, shared.streams.available_permits()),
        }
    }
}
