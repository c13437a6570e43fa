//! What a client writes, line by line, bounded: one that never ends its line must not fill the
//! memory.

use std::io;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt};

use crate::line::{Ends, LineDecoder, TooLong};

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
    decoder: LineDecoder,
    buffer: BytesMut,
    ended: bool,
}

impl<R: AsyncRead + Unpin> Lines<R> {
    pub(super) fn new(reader: R, limit: usize) -> Self {
        Self {
            reader,
            decoder: LineDecoder::new(Ends::Lf, limit),
            buffer: BytesMut::new(),
            ended: false,
        }
    }

    /// The next line. Safe to drop: what was read is kept.
    pub(super) async fn next(&mut self) -> io::Result<Line> {
        loop {
            match self.decoded() {
                Ok(None) if self.ended => return Ok(Line::End),
                Ok(None) => {}
                Ok(Some(line)) if line.iter().all(u8::is_ascii_whitespace) => continue,
                Ok(Some(line)) => return Ok(Line::Message(line)),
                Err(TooLong(_)) => return Ok(Line::TooLong),
            }
            self.buffer.reserve(CHUNK);
            self.ended = self.reader.read_buf(&mut self.buffer).await? == 0;
            self.decoder.feed(self.buffer.split().freeze());
        }
    }

    fn decoded(&mut self) -> Result<Option<Bytes>, TooLong> {
        match self.decoder.next_line()? {
            None if self.ended => self.decoder.finish(),
            line => Ok(line),
        }
    }
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
