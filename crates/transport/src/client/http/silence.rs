//! Standing streams that have fallen silent.
//!
//! A stream on which nothing comes looks like one on which nothing can come any more: a partition
//! makes no sound. Taken for alive it would hide every change that follows; opened anew every
//! minute it would cost a server that simply has nothing to say a stream and four lists a minute.
//! So a silent stream is doubted, and the backend asked another way (F7).

use std::time::Duration;

use mcp_router_protocol::Message;
use tokio::time::{Instant, sleep_until, timeout};

use super::edge::Failed;
use super::messages::Messages;

/// How long the backend has to answer when its stream is doubted.
pub(super) const ANSWER: Duration = Duration::from_secs(5);

/// The next message; `None` when the stream has ended, or must be taken for dead: nothing has come
/// for `quiet`, and either `ping` fails or the stream used to show that it lives and stopped.
pub(super) async fn next<F>(
    messages: &mut Messages,
    quiet: Duration,
    ping: impl Fn() -> F,
) -> Option<Message>
where
    F: Future<Output = Result<(), Failed>>,
{
    let mut doubted = messages.heard();
    loop {
        doubted = doubted.max(messages.heard());
        tokio::select! {
            // How it ended makes no difference.
            message = messages.next() => return message.ok().flatten(),
            () = sleep_until(doubted + quiet) => {}
        }
        if messages.heard() + quiet > Instant::now() {
            continue;
        }
        if messages.misses_its_beat() {
            return None;
        }
        match timeout(ANSWER, ping()).await {
            // A refusal comes from somebody who is there.
            Ok(Ok(())) => {}
            Ok(Err(failed)) if failed.status.is_some() => {}
            Ok(Err(_)) | Err(_) => return None,
        }
        doubted = Instant::now();
    }
}

/// What keeps a stream that has nothing to say from being taken for dead.
#[derive(Clone, Copy, Debug)]
pub(super) struct Beat {
    heard: Instant,
    /// Pieces without an event in them, and the longest time before one.
    beats: u32,
    longest: Duration,
}

impl Beat {
    pub(super) fn new() -> Self {
        Self {
            heard: Instant::now(),
            beats: 0,
            longest: Duration::ZERO,
        }
    }

    /// Something came; `empty` if it was only there to show that the stream lives.
    pub(super) fn hear(&mut self, empty: bool) {
        let now = Instant::now();
        if empty {
            self.beats = self.beats.saturating_add(1);
            self.longest = self.longest.max(now - self.heard);
        }
        self.heard = now;
    }

    /// When something came last.
    pub(super) fn heard(&self) -> Instant {
        self.heard
    }

    /// Whether it used to show that it lives, and should have long since.
    pub(super) fn misses(&self) -> bool {
        self.beats >= 2 && self.heard.elapsed() > self.longest * 5 / 2
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::sleep;

    use super::*;
    use crate::client::http::HttpBackendParams;

    #[tokio::test(start_paused = true)]
    async fn a_stream_with_a_beat_is_missed_after_two_and_a_half_of_them() {
        let s = Duration::from_secs;
        let mut beat = Beat::new();
        for _ in 0..3 {
            assert!(!beat.misses());
            sleep(s(15)).await;
            beat.hear(true);
        }
        sleep(s(37)).await;
        assert!(!beat.misses());
        sleep(s(1)).await;
        assert!(beat.misses());
        // One that only says something now and then has none.
        let mut beat = Beat::new();
        for _ in 0..3 {
            sleep(s(1)).await;
            beat.hear(false);
        }
        sleep(s(3600)).await;
        assert!(!beat.misses());
    }

    #[test]
    fn f7_doubt_answer_and_wait_fit_into_a_minute() {
        let params = HttpBackendParams::new("x".parse().unwrap(), "http://h/mcp").unwrap();
        let wait = Duration::from_secs(1);
        let opened = params.quiet_after + ANSWER + wait + params.handshake_timeout;
        assert!(opened <= Duration::from_secs(60), "{opened:?}");
    }
}
