//! Writes log lines many at a time.
//!
//! The thread that writes the log would otherwise be woken for every line and hand every line to
//! the kernel by itself: under load that costs more than making the lines.

use std::io::{self, Write};
use std::time::Duration;

/// How long the first line waits for others.
const WAIT: Duration = Duration::from_millis(5);

/// This much is written without waiting for more.
const ENOUGH: usize = 256 << 10;

/// Holds lines back until [`flush`](Write::flush). The one that comes first blocks its writer for a
/// moment, so that whoever feeds it from a queue finds more there.
#[derive(Debug)]
pub(crate) struct Gather<W> {
    lines: Vec<u8>,
    inner: W,
}

impl<W> Gather<W> {
    pub(crate) const fn new(inner: W) -> Self {
        Self {
            lines: Vec::new(),
            inner,
        }
    }
}

impl<W: Write> Write for Gather<W> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if self.lines.is_empty() {
            std::thread::sleep(WAIT);
        }
        self.lines.extend_from_slice(line);
        if self.lines.len() >= ENOUGH {
            self.flush()?;
        }
        Ok(line.len())
    }

    /// What cannot be written is lost, as it was when each line was written by itself: held back,
    /// it would grow for ever.
    fn flush(&mut self) -> io::Result<()> {
        let written = self.inner.write_all(&self.lines);
        self.lines.clear();
        written.and_then(|()| self.inner.flush())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What was written, and by how many calls.
    #[derive(Default)]
    struct Target(Vec<Vec<u8>>);

    impl Write for Target {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.push(bytes.to_vec());
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn lines_between_two_flushes_are_one_write() {
        let mut gather = Gather::new(Target::default());
        for line in ["a\n", "b\n"] {
            gather.write_all(line.as_bytes()).expect("memory");
        }
        gather.flush().expect("memory");
        gather.write_all(b"c\n").expect("memory");
        gather.flush().expect("memory");
        assert_eq!(gather.inner.0, [b"a\nb\n".to_vec(), b"c\n".to_vec()]);
    }

    #[test]
    fn f45_what_is_held_back_is_bounded() {
        let mut gather = Gather::new(Target::default());
        let line = vec![b'x'; ENOUGH / 2];
        for _ in 0..3 {
            gather.write_all(&line).expect("memory");
        }
        assert_eq!(gather.inner.0.len(), 1);
        assert_eq!(gather.lines.len(), line.len());
    }

    /// A target that is gone.
    struct Gone;

    impl Write for Gone {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::BrokenPipe.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn lines_that_nobody_takes_are_not_kept() {
        let mut gather = Gather::new(Gone);
        gather.write_all(b"a\n").expect("held back");
        assert!(gather.flush().is_err());
        assert!(gather.lines.is_empty());
    }
}
