//! A page that was just written need not be written again: ten people who look at an outage cost
//! no more than one.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;

/// How old a kept page may be.
const FRESH: Duration = Duration::from_secs(1);

/// The page that was written last for each of a few questions.
#[derive(Debug)]
pub(super) struct Kept<K>(Mutex<Vec<(K, Instant, Bytes)>>);

impl<K> Default for Kept<K> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Copy + Eq> Kept<K> {
    /// The page for `key`, written by `write` unless there is a fresh one. Others that ask at the
    /// same time wait for it.
    pub(super) fn get(&self, key: K, write: impl FnOnce() -> Bytes) -> Bytes {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.retain(|(_, written, _)| written.elapsed() < FRESH);
        if let Some((_, _, page)) = kept.iter().find(|(known, ..)| *known == key) {
            return page.clone();
        }
        let page = write();
        kept.push((key, Instant::now(), page.clone()));
        page
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_written_once_for_all_who_ask_at_the_same_time() {
        let kept = Kept::default();
        let mut written = 0;
        for key in [1, 2, 1, 1, 2] {
            let page = kept.get(key, || {
                written += 1;
                Bytes::from(key.to_string())
            });
            assert_eq!(page, key.to_string());
        }
        assert_eq!(written, 2);
    }
}
