//! Whether a text has bytes that want a closer look, eight of them at a time.
//!
//! Every name in a log line is looked at before it is written. Names are short, and hardly any has
//! such a byte: byte by byte, the looking costs more than the writing.

const EACH: u64 = 0x0101_0101_0101_0101;
const TOP: u64 = 0x8080_8080_8080_8080;

/// Whether a text cannot stand in JSON as it is: it has control characters, quotes or backslashes.
pub(crate) fn needs_escapes(text: &[u8]) -> bool {
    some(text, |word| {
        below(word, b' ') | is(word, b'"') | is(word, b'\\')
    })
}

/// Whether a text has anything but the printable characters of ASCII.
pub(crate) fn is_exotic(text: &[u8]) -> bool {
    some(text, |word| below(word, b' ') | word & TOP | is(word, 0x7f))
}

/// Marks the bytes of a word below `limit`, which is at most 0x80. A byte beside one that is marked
/// rightly may be marked wrongly.
const fn below(word: u64, limit: u8) -> u64 {
    word.wrapping_sub(EACH * limit as u64) & !word & TOP
}

/// Marks the bytes of a word that are `byte`, in the same way.
const fn is(word: u64, byte: u8) -> u64 {
    below(word ^ (EACH * byte as u64), 1)
}

/// Whether `marks` marks anything in the text.
fn some(text: &[u8], marks: impl Fn(u64) -> u64) -> bool {
    let Some(last) = text.last_chunk() else {
        return marks(short(text)) != 0;
    };
    let (words, _) = text.as_chunks();
    let marked = |found, word: &[u8; 8]| found | marks(u64::from_le_bytes(*word));
    // The last word has what is left over, and often something of the one before.
    words.iter().fold(marked(0, last), marked) != 0
}

/// Fewer than eight bytes as eight: some of them twice, or with spaces.
fn short(text: &[u8]) -> u64 {
    if let (Some(first), Some(last)) = (text.first_chunk(), text.last_chunk()) {
        let [first, last] = [first, last].map(|half| u64::from(u32::from_le_bytes(*half)));
        return first << 32 | last;
    }
    let mut word = [b' '; 8];
    for (byte, to) in text.iter().zip(&mut word) {
        *to = *byte;
    }
    u64::from_le_bytes(word)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn each_byte_is_known_at_each_place_of_texts_of_each_length() {
        for byte in 0..=u8::MAX {
            let odd = byte < b' ' || byte == b'"' || byte == b'\\';
            let exotic = !(b' '..=b'~').contains(&byte);
            for length in 1..20 {
                for at in 0..length {
                    let mut text = vec![b'a'; length];
                    text[at] = byte;
                    assert_eq!(needs_escapes(&text), odd, "{text:?}");
                    assert_eq!(is_exotic(&text), exotic, "{text:?}");
                }
            }
        }
        assert!(!needs_escapes(b"") && !is_exotic(b""));
    }

    proptest! {
        #[test]
        fn any_text_is_known(text in any::<Vec<u8>>()) {
            let odd = text.iter().any(|b| *b < b' ' || *b == b'"' || *b == b'\\');
            prop_assert_eq!(needs_escapes(&text), odd);
            prop_assert_eq!(is_exotic(&text), text.iter().any(|b| !(b' '..=b'~').contains(b)));
        }
    }
}
