//! Texts looked at eight bytes at once.
//!
//! Names are short, and each is looked at several times on its way to the log: byte by byte that
//! costs more than anything else that is done to them.

const ONES: u64 = u64::MAX / 255;
const HIGHS: u64 = ONES << 7;

/// What is asked of all bytes of a text, of one and of eight.
pub(crate) trait Every {
    fn one(byte: u8) -> bool;
    fn eight(bytes: u64) -> bool;
}

/// Visible in ASCII, or a space.
pub(crate) struct Visible;

/// Stands in a JSON text as it is: no control character, quote or backslash.
pub(crate) struct Plain;

/// Whether all bytes of a text are so.
pub(crate) fn every<E: Every>(text: &[u8]) -> bool {
    let (words, rest) = text.as_chunks();
    if !words.iter().all(|word| E::eight(u64::from_le_bytes(*word))) {
        return false;
    }
    match text.last_chunk() {
        // Some of them for the second time.
        Some(last) if !rest.is_empty() => E::eight(u64::from_le_bytes(*last)),
        Some(_) => true,
        None => rest.iter().all(|byte| E::one(*byte)),
    }
}

impl Every for Visible {
    fn one(byte: u8) -> bool {
        (b' '..=b'~').contains(&byte)
    }

    fn eight(bytes: u64) -> bool {
        (bytes | low(bytes, b' ') | equal(bytes, 0x7f)) & HIGHS == 0
    }
}

impl Every for Plain {
    fn one(byte: u8) -> bool {
        byte >= b' ' && byte != b'"' && byte != b'\\'
    }

    fn eight(bytes: u64) -> bool {
        (low(bytes, b' ') | equal(bytes, b'"') | equal(bytes, b'\\')) & HIGHS == 0
    }
}

/// The highest bit of each byte that is below `than`, which is at most 128.
const fn low(bytes: u64, than: u8) -> u64 {
    bytes.wrapping_sub(ONES * than as u64) & !bytes
}

/// The highest bit of each byte that is `to`.
const fn equal(bytes: u64, to: u8) -> u64 {
    low(bytes ^ (ONES * to as u64), 1)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn agrees<E: Every>(text: &[u8]) {
        let expected = text.iter().all(|byte| E::one(*byte));
        assert_eq!(every::<E>(text), expected, "{text:?}");
    }

    #[test]
    fn each_byte_is_seen_in_each_place() {
        for length in 0..=17 {
            for place in 0..length {
                for byte in 0..=u8::MAX {
                    let mut text = vec![b'a'; length];
                    text[place] = byte;
                    agrees::<Visible>(&text);
                    agrees::<Plain>(&text);
                }
            }
        }
    }

    proptest! {
        #[test]
        fn a_text_is_what_all_its_bytes_are(text in any::<Vec<u8>>()) {
            agrees::<Visible>(&text);
            agrees::<Plain>(&text);
            let letters: Vec<_> = text.iter().map(|b| b & 0x7f | 0x60).collect();
            agrees::<Visible>(&letters);
            agrees::<Plain>(&letters);
        }
    }
}
