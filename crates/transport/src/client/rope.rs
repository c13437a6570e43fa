//! A message as the slices it was put together from.
//!
//! Joining them would copy every payload once more, only to hand it to a kernel that takes
//! slices anyway.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::io::IoSlice;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Buf, Bytes, BytesMut};
use http_body::{Body, Frame, SizeHint};

/// The length in bytes up to which a body is joined after all: copying so little costs less than
/// handing on slice by slice.
const SMALL: usize = 4096;

/// Slices to be written one after the other: the body of a request, or a line.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rope {
    parts: VecDeque<Bytes>,
    len: usize,
}

impl Rope {
    pub(crate) fn new(parts: Vec<Bytes>) -> Self {
        let len = parts.iter().map(Bytes::len).sum();
        Self {
            parts: parts.into(),
            len,
        }
    }

    /// The same with the end of a line behind it.
    pub(crate) fn into_line(mut self) -> Self {
        self.parts.push_back(Bytes::from_static(b"\n"));
        self.len += 1;
        self
    }
}

impl Buf for Rope {
    fn remaining(&self) -> usize {
        self.len
    }

    fn chunk(&self) -> &[u8] {
        let mut parts = self.parts.iter();
        parts.find(|p| !p.is_empty()).map_or(&[], |p| p)
    }

    fn chunks_vectored<'a>(&'a self, slices: &mut [IoSlice<'a>]) -> usize {
        let parts = self.parts.iter().filter(|p| !p.is_empty());
        let filled = slices.iter_mut().zip(parts);
        filled
            .map(|(slice, part)| *slice = IoSlice::new(part))
            .count()
    }

    fn advance(&mut self, mut count: usize) {
        assert!(count <= self.len, "cannot advance beyond the end");
        self.len -= count;
        while count > 0 {
            let Some(first) = self.parts.front_mut() else {
                return;
            };
            let step = count.min(first.len());
            first.advance(step);
            count -= step;
            if first.is_empty() {
                self.parts.pop_front();
            }
        }
    }
}

impl Body for Rope {
    type Data = Self;
    type Error = Infallible;

    /// All of it at once: what comes in pieces, each larger than a connection buffers, is written
    /// in as many goes, the last of which has one brace.
    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self>, Infallible>>> {
        let mut all = std::mem::take(&mut *self);
        if all.len == 0 {
            return Poll::Ready(None);
        }
        if all.len <= SMALL && all.parts.len() > 1 {
            let mut joined = BytesMut::with_capacity(all.len);
            all.parts
                .drain(..)
                .for_each(|p| joined.extend_from_slice(&p));
            all.parts.push_back(joined.freeze());
        }
        Poll::Ready(Some(Ok(Frame::data(all))))
    }

    fn is_end_stream(&self) -> bool {
        self.len == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.len as u64)
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;

    use super::*;

    #[tokio::test]
    async fn a_body_is_one_frame_and_only_a_small_one_is_copied() {
        let large = Bytes::from(vec![b'x'; SMALL]);
        for (last, pieces) in [(Bytes::from_static(b"c"), 1), (large, 3)] {
            let mut rope = Rope::new(vec!["a".into(), "b".into(), last.clone()]);
            let whole = [b"ab", &*last].concat();
            assert_eq!(rope.size_hint().exact(), Some(whole.len() as u64));
            let mut frame = rope.frame().await.unwrap().unwrap().into_data().unwrap();
            assert!(rope.is_end_stream() && rope.frame().await.is_none());
            let mut slices = [IoSlice::new(&[]); 8];
            assert_eq!(frame.chunks_vectored(&mut slices), pieces);
            assert_eq!(frame.copy_to_bytes(frame.remaining()), whole);
        }
    }

    #[test]
    fn slices_leave_in_order_whatever_the_steps() {
        for step in 1..8 {
            let parts = ["ab", "", "cde", "f"].map(Bytes::from).to_vec();
            let mut rope = Rope::new(parts).into_line();
            let mut out = Vec::new();
            while rope.has_remaining() {
                let mut slices = [IoSlice::new(&[]); 8];
                let filled = rope.chunks_vectored(&mut slices);
                let text: Vec<u8> = slices[..filled].iter().flat_map(|s| s.to_vec()).collect();
                assert_eq!(text.len(), rope.remaining());
                let step = step.min(text.len());
                out.extend_from_slice(&text[..step]);
                rope.advance(step);
            }
            assert_eq!(out, b"abcdef\n");
        }
    }
}
