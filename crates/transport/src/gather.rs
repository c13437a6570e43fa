//! Many chunks become one piece of bytes.
//!
//! A buffer that doubles copies what it holds each time, and the halves that it leaves behind stay
//! with the allocator: of an answer cut off at its limit, several times the limit would be held
//! (F12). Here nothing is copied to make room, and a chunk that stays the only one is never copied.

use bytes::{BufMut, Bytes, BytesMut};

/// Pieces grow with what is there already, up to this many bytes each.
const PIECE: usize = 1 << 20;

/// Gathers chunks. It has no limit: whoever adds asks [`len`](Self::len) first.
#[derive(Debug, Default)]
pub(crate) struct Gather {
    /// The only chunk, as it came.
    only: Bytes,
    /// Pieces that are full, in order.
    full: Vec<BytesMut>,
    /// The piece being filled.
    tail: BytesMut,
    len: usize,
    expected: usize,
}

impl Gather {
    /// Makes room for `expected` bytes at once as soon as there is a second chunk. Nobody touches
    /// memory before bytes arrive, so an expectation that proves wrong costs addresses only; the
    /// caller has bounded it.
    pub(crate) fn expecting(expected: usize) -> Self {
        Self {
            expected,
            ..Self::default()
        }
    }

    /// Bytes gathered.
    pub(crate) const fn len(&self) -> usize {
        self.len
    }

    /// Adds a chunk.
    pub(crate) fn push(&mut self, chunk: Bytes) {
        if self.len == 0 {
            self.len = chunk.len();
            self.only = chunk;
            return;
        }
        let only = std::mem::take(&mut self.only);
        if !only.is_empty() {
            let room = self.expected.max(only.len() + chunk.len());
            self.tail = BytesMut::with_capacity(room);
            self.tail.extend_from_slice(&only);
        }
        self.len += chunk.len();
        let room = self.tail.capacity() - self.tail.len();
        let (now, later) = chunk.split_at(room.min(chunk.len()));
        self.tail.extend_from_slice(now);
        if !later.is_empty() {
            let room = later.len().max(self.len.min(PIECE));
            let fresh = BytesMut::with_capacity(room);
            self.full.push(std::mem::replace(&mut self.tail, fresh));
            self.tail.extend_from_slice(later);
        }
    }

    /// Everything in one piece; nothing is left. Pieces go as soon as they are copied.
    pub(crate) fn take(&mut self) -> Bytes {
        let Self {
            only,
            full,
            tail,
            len,
            ..
        } = std::mem::take(self);
        if !only.is_empty() {
            return only;
        }
        if full.is_empty() {
            return tail.freeze();
        }
        let mut whole = BytesMut::with_capacity(len);
        for piece in full {
            whole.put(piece);
        }
        whole.put(tail);
        whole.freeze()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn gathered(expected: usize, sizes: &[usize]) -> (Vec<u8>, Gather) {
        let (mut gather, mut all) = (Gather::expecting(expected), Vec::new());
        for (at, size) in sizes.iter().enumerate() {
            let chunk = vec![at as u8; *size];
            all.extend_from_slice(&chunk);
            gather.push(chunk.into());
            assert_eq!(gather.len(), all.len());
        }
        (all, gather)
    }

    #[test]
    fn the_only_chunk_is_not_copied() {
        let chunk = Bytes::from(vec![7; 100]);
        let mut gather = Gather::expecting(100);
        gather.push(Bytes::new());
        gather.push(chunk.clone());
        assert_eq!(gather.take().as_ptr(), chunk.as_ptr());
        assert_eq!((gather.len(), gather.take()), (0, Bytes::new()));
    }

    #[test]
    fn what_was_expected_is_copied_once() {
        let (all, mut gather) = gathered(3000, &[1000; 3]);
        let held = gather.tail.as_ptr();
        let whole = gather.take();
        assert_eq!(whole.as_ptr(), held);
        assert_eq!(whole, all);
    }

    #[test]
    fn f12_a_large_body_is_held_once() {
        let (_, gather) = gathered(0, &[10_000; 1600]);
        let pieces = gather.full.iter().chain([&gather.tail]);
        let held: usize = pieces.map(BytesMut::capacity).sum();
        assert!(held <= gather.len() + PIECE, "{held} bytes");
        assert!(gather.full.len() < 40, "{} pieces", gather.full.len());
        let (_, gather) = gathered(0, &[1; 10_000]);
        assert!(gather.full.len() < 20, "{} pieces", gather.full.len());
    }

    proptest! {
        #[test]
        fn everything_comes_out_in_order(
            expected in 0usize..3000, sizes in prop::collection::vec(0usize..500, 0..20),
        ) {
            let (all, mut gather) = gathered(expected, &sizes);
            prop_assert_eq!(gather.take(), all);
        }
    }
}
