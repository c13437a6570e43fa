//! Lines out of chunks of bytes.
//!
//! A chunk ends wherever the network or the pipe ended it. A decoder that searched its whole
//! buffer again with every chunk would take quadratic time on one long line, and one without a
//! bound would take all memory. This one looks at each byte once, copies only lines that chunks
//! tore apart, and refuses lines over its limit before it holds them.

use bytes::Bytes;

use crate::gather::Gather;

/// A line is longer than the limit.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("a line is longer than {0} bytes")]
pub struct TooLong(pub usize);

/// What ends a line.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Ends {
    /// LF, with a CR before it left out: JSON messages over pipes.
    Lf,
    /// LF, CR or both: server-sent events.
    Any,
}

/// Cuts chunks into lines. After each [`feed`](Self::feed), take lines until there is none.
#[derive(Debug)]
pub struct LineDecoder {
    /// The beginning of a line whose end has not come; holds no line end.
    carry: Gather,
    /// What has not been looked at.
    chunk: Bytes,
    ends: Ends,
    limit: usize,
    /// The last byte was a CR that ended a line: an LF right behind it belongs to it.
    after_cr: bool,
}

impl LineDecoder {
    /// A decoder for lines of at most `limit` bytes, their ends not counted.
    pub fn new(ends: Ends, limit: usize) -> Self {
        Self {
            carry: Gather::default(),
            chunk: Bytes::new(),
            ends,
            limit,
            after_cr: false,
        }
    }

    /// Adds what arrived.
    pub fn feed(&mut self, chunk: Bytes) {
        self.chunk = if self.chunk.is_empty() {
            chunk
        } else {
            [&self.chunk[..], &chunk[..]].concat().into()
        };
    }

    /// The next whole line, without its end; `None` until more arrives.
    ///
    /// # Errors
    /// If the line is too long, whole or not. Nothing sensible can follow.
    pub fn next_line(&mut self) -> Result<Option<Bytes>, TooLong> {
        if std::mem::take(&mut self.after_cr) {
            match self.chunk.first() {
                Some(b'\n') => drop(self.chunk.split_to(1)),
                Some(_) => {}
                None => self.after_cr = true,
            }
        }
        let end = match self.ends {
            Ends::Lf => memchr::memchr(b'\n', &self.chunk),
            Ends::Any => memchr::memchr2(b'\n', b'\r', &self.chunk),
        };
        let Some(end) = end else {
            self.bounded(self.chunk.len())?;
            self.carry.push(std::mem::take(&mut self.chunk));
            return Ok(None);
        };
        self.bounded(end)?;
        let tail = self.chunk.split_to(end);
        self.after_cr = self.chunk.split_to(1)[0] == b'\r';
        self.joined(tail).map(Some)
    }

    /// The last line, if the bytes ended without a line end.
    ///
    /// # Errors
    /// If it is too long.
    pub fn finish(&mut self) -> Result<Option<Bytes>, TooLong> {
        let tail = std::mem::take(&mut self.chunk);
        let line = self.joined(tail)?;
        Ok((!line.is_empty()).then_some(line))
    }

    fn joined(&mut self, tail: Bytes) -> Result<Bytes, TooLong> {
        self.carry.push(tail);
        let mut line = self.carry.take();
        if self.ends == Ends::Lf && line.last() == Some(&b'\r') {
            line.truncate(line.len() - 1);
        }
        if line.len() > self.limit {
            return Err(TooLong(self.limit));
        }
        Ok(line)
    }

    fn bounded(&self, more: usize) -> Result<(), TooLong> {
        // A CR before the LF is not part of the line, but may not be seen as such yet.
        let spare = usize::from(self.ends == Ends::Lf);
        if self.carry.len() + more > self.limit + spare {
            Err(TooLong(self.limit))
        } else {
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn lines(ends: Ends, chunks: &[&[u8]]) -> Vec<Vec<u8>> {
        let mut decoder = LineDecoder::new(ends, 1000);
        let mut out = Vec::new();
        for chunk in chunks {
            decoder.feed(Bytes::copy_from_slice(chunk));
            while let Some(line) = decoder.next_line().unwrap() {
                out.push(line.to_vec());
            }
        }
        out.extend(decoder.finish().unwrap().map(|l| l.to_vec()));
        out
    }

    #[test]
    fn line_ends() {
        let text: &[u8] = b"a\r\nb\rc\n\nd";
        assert_eq!(lines(Ends::Lf, &[text]), [&b"a"[..], b"b\rc", b"", b"d"]);
        assert_eq!(
            lines(Ends::Any, &[text]),
            [&b"a"[..], b"b", b"c", b"", b"d"]
        );
        assert_eq!(lines(Ends::Any, &[b"a\r", b"\nb"]), [b"a", b"b"]);
    }

    #[test]
    fn r54_a_long_line_is_refused_before_it_is_held() {
        let mut decoder = LineDecoder::new(Ends::Lf, 10);
        decoder.feed(Bytes::from_static(b"0123456789\r\n01234"));
        assert_eq!(decoder.next_line().unwrap().unwrap(), "0123456789");
        assert_eq!(decoder.next_line(), Ok(None));
        decoder.feed(Bytes::from_static(b"56789abc"));
        assert_eq!(decoder.next_line(), Err(TooLong(10)));
        // One byte more, where an LF is seen to have no CR before it.
        for (text, whole) in [("0123456789a\n", true), ("0123456789a", false)] {
            let mut decoder = LineDecoder::new(Ends::Lf, 10);
            decoder.feed(Bytes::from_static(text.as_bytes()));
            let line = decoder.next_line();
            let line = if whole { line } else { decoder.finish() };
            assert_eq!(line, Err(TooLong(10)));
        }
    }

    proptest! {
        #[test]
        fn any_split_gives_the_same_lines(
            text in "[ab\r\n]{0,40}", cuts in prop::collection::vec(0usize..40, 0..6), lf: bool,
        ) {
            let ends = if lf { Ends::Lf } else { Ends::Any };
            let mut cuts: Vec<usize> = cuts.into_iter().map(|c| c.min(text.len())).collect();
            cuts.extend([0, text.len()]);
            cuts.sort_unstable();
            let chunks: Vec<&[u8]> = cuts.windows(2).map(|w| &text.as_bytes()[w[0]..w[1]]).collect();
            prop_assert_eq!(lines(ends, &chunks), lines(ends, &[text.as_bytes()]));
        }
    }
}
