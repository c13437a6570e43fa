//! A child's standard error, into the log.
//!
//! Nobody reading it, a child that talks much stops at a full pipe. All of it logged, it fills a
//! disk. So it is always read, and logged up to so many lines a second, each cut to a length,
//! escaped, and without the values that the child was given as secrets.

use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::time::Instant;

/// Longest part of a line that is kept, in bytes.
const LINE: usize = 2048;
/// Shortest value that is looked for: shorter ones are part of ordinary words.
const SECRET: usize = 6;

/// What of a child's output may be logged.
pub(super) struct Rules {
    pub(super) backend: String,
    pub(super) lines_per_second: u32,
    pub(super) secrets: Vec<SecretString>,
}

/// Reads until the end.
pub(super) async fn drain(mut stderr: impl AsyncRead + Unpin, rules: Rules) {
    let mut buffer = vec![0; 16 << 10];
    let mut lines = Lines::new(rules);
    // An error here is an end like any other: what matters shows on standard output.
    while let Ok(count @ 1..) = stderr.read(&mut buffer).await {
        lines.take(&buffer[..count]);
    }
    lines.end_line();
    lines.report();
}

struct Lines {
    rules: Rules,
    line: Vec<u8>,
    window: Instant,
    logged: u32,
    suppressed: u64,
}

impl Lines {
    fn new(rules: Rules) -> Self {
        Self {
            rules,
            line: Vec::new(),
            window: Instant::now(),
            logged: 0,
            suppressed: 0,
        }
    }

    fn take(&mut self, mut bytes: &[u8]) {
        while let Some(end) = memchr::memchr(b'\n', bytes) {
            self.extend(&bytes[..end]);
            self.end_line();
            bytes = &bytes[end + 1..];
        }
        self.extend(bytes);
    }

    fn extend(&mut self, bytes: &[u8]) {
        let room = LINE - self.line.len();
        self.line.extend_from_slice(&bytes[..room.min(bytes.len())]);
    }

    fn end_line(&mut self) {
        if !self.line.is_empty() && self.admitted() {
            let text = self.shown();
            tracing::info!(backend = %self.rules.backend, line = %text, "child stderr");
        }
        self.line.clear();
    }

    fn admitted(&mut self) -> bool {
        if self.window.elapsed() >= Duration::from_secs(1) {
            self.report();
            self.window = Instant::now();
            self.logged = 0;
        }
        if self.logged < self.rules.lines_per_second {
            self.logged += 1;
            true
        } else {
            self.suppressed += 1;
            false
        }
    }

    fn report(&mut self) {
        if self.suppressed > 0 {
            let (backend, lines) = (&self.rules.backend, self.suppressed);
            tracing::warn!(%backend, lines, "child stderr lines not logged");
            self.suppressed = 0;
        }
    }

    fn shown(&self) -> String {
        let mut text = String::from_utf8_lossy(&self.line).trim_end().to_owned();
        for secret in &self.rules.secrets {
            let secret = secret.expose_secret();
            if secret.len() >= SECRET && text.contains(secret) {
                text = text.replace(secret, "***");
            }
        }
        text.chars().fold(String::new(), |mut out, c| {
            if c.is_control() || mcp_router_protocol::json::is_invisible(c) {
                out.extend(c.escape_unicode());
            } else {
                out.push(c);
            }
            out
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(per_second: u32) -> Lines {
        Lines::new(Rules {
            backend: "b".to_owned(),
            lines_per_second: per_second,
            secrets: vec!["hunter22".to_owned().into(), "a".to_owned().into()],
        })
    }

    #[test]
    fn b36_secrets_and_control_characters_are_not_shown() {
        let mut lines = lines(1);
        lines.extend(b"key hunter22 a \x1b[2J\xff\r");
        assert_eq!(lines.shown(), "key *** a \\u{1b}[2J\u{fffd}");
    }

    #[tokio::test(start_paused = true)]
    async fn f29_a_flood_is_read_whole_and_logged_in_part() {
        let mut lines = lines(100);
        let flood = "x\n".repeat(1000);
        lines.take(flood.as_bytes());
        assert_eq!((lines.logged, lines.suppressed), (100, 900));
        tokio::time::advance(Duration::from_secs(1)).await;
        lines.take(flood.as_bytes());
        assert_eq!((lines.logged, lines.suppressed), (100, 900));
        lines.take(&vec![b'y'; 1 << 20]);
        assert_eq!(lines.line.len(), LINE);
    }
}
