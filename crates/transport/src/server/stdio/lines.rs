//! Bytes to lines, bounded: a peer that never ends its line must not fill the memory.

use std::io;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt};

const CHUNK: usize = 16 << 10;

/// What comes next.
#[derive(Debug, Eq, PartialEq)]
pub(super) enum Line {
    /// A line that is not blank, without its end.
    Message(Bytes),
    /// More bytes than a line may have. Where the next line starts is unknown.
    TooLong,
    /// The peer closed its side.
    End,
}

/// Lines of a byte stream: LF or CRLF, blank ones skipped, a last one without end accepted.
#[derive(Debug)]
pub(super) struct Lines<R> {
    reader: R,
    limit: usize,
    buffer: BytesMut,
    /// How far the buffer is known to hold no line end.
    searched: usize,
    ended: bool,
}

impl<R: AsyncRead + Unpin> Lines<R> {
    pub(super) fn new(reader: R, limit: usize) -> Self {
        Self {
            reader,
            limit,
            buffer: BytesMut::new(),
            searched: 0,
            ended: false,
        }
    }

    /// The next line. Safe to drop: what was read stays in the buffer.
    pub(super) async fn next(&mut self) -> io::Result<Line> {
        loop {
            if let Some(line) = self.buffered() {
                return Ok(line);
            }
            if self.ended {
                return Ok(Line::End);
            }
            self.buffer.reserve(CHUNK);
            self.ended = self.reader.read_buf(&mut self.buffer).await? == 0;
        }
    }

    fn buffered(&mut self) -> Option<Line> {
        loop {
            let found = memchr::memchr(b'\n', &self.buffer[self.searched..]);
            let line = match found {
                Some(at) => self.buffer.split_to(self.searched + at + 1),
                None if self.buffer.len() > self.limit => return Some(Line::TooLong),
                None if self.ended && !self.buffer.is_empty() => self.buffer.split(),
                None => {
                    self.searched = self.buffer.len();
                    return None;
                }
            };
            self.searched = 0;
            let line = trim_end(line.freeze());
            if line.len() > self.limit {
                return Some(Line::TooLong);
            }
            if !line.iter().all(u8::is_ascii_whitespace) {
                return Some(Line::Message(line));
            }
        }
    }
}

fn trim_end(line: Bytes) -> Bytes {
    let text = line.strip_suffix(b"\n").unwrap_or(&line);
    let text = text.strip_suffix(b"\r").unwrap_or(text);
    line.slice(..text.len())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Everything that comes out when `input` arrives in pieces.
    fn lines(input: &[u8], cuts: &[usize], limit: usize) -> Vec<Line> {
        let mut reader = tokio_test::io::Builder::new();
        let mut rest = input;
        for cut in cuts {
            let (piece, tail) = rest.split_at((*cut).min(rest.len()));
            if !piece.is_empty() {
                reader.read(piece);
            }
            rest = tail;
        }
        if !rest.is_empty() {
            reader.read(rest);
        }
        let mut lines = Lines::new(reader.build(), limit);
        let mut out = Vec::new();
        tokio_test::block_on(async {
            loop {
                let line = lines.next().await.unwrap();
                let last = !matches!(line, Line::Message(_));
                out.push(line);
                if last {
                    break;
                }
            }
        });
        // Reading stops at a line that is too long; the mock insists on being read to its end.
        if out.last() == Some(&Line::TooLong) {
            std::mem::forget(lines);
        }
        out
    }

    #[test]
    fn crlf_blank_lines_and_a_last_line_without_end_are_accepted() {
        let message = |text: &'static str| Line::Message(text.into());
        let expected = [message("{}"), message("[1]"), message("x"), Line::End];
        assert_eq!(lines(b"{}\r\n\n  \r\n[1]\nx", &[], 100), expected);
    }

    #[test]
    fn r54_a_line_beyond_the_limit_is_not_kept() {
        assert_eq!(lines(b"12345\n", &[], 5)[0], Line::Message("12345".into()));
        assert_eq!(lines(b"123456\n", &[], 5), [Line::TooLong]);
        assert_eq!(lines(b"1234567", &[3], 5), [Line::TooLong]);
    }

    proptest! {
        #[test]
        fn any_split_gives_the_same_lines(
            input in prop::collection::vec(prop::sample::select(b"a{\n\r ".to_vec()), 0..60),
            cuts in prop::collection::vec(1usize..8, 0..20),
        ) {
            prop_assert_eq!(lines(&input, &cuts, 1000), lines(&input, &[], 1000));
        }
    }
}
