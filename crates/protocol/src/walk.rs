//! One pass over a JSON text that checks its grammar and tells where things stand.
//!
//! A general parser reads a value once to learn that it is one, and again to look inside. What
//! looks inside here does it on the way: the envelope, `params` and `_meta` are one pass. It is
//! iterative, so that depth is a number and not the stack (B3), and strings, which are most of a
//! large payload, are searched and not read.

use std::borrow::Cow;

use crate::json::{JsonError, MAX_DEPTH, Span};

/// A place in a text. Steps over what is JSON, and nowhere else.
pub(crate) struct Walker<'a> {
    text: &'a [u8],
    at: usize,
    /// How many arrays and objects are open around the place.
    depth: usize,
    /// Bits of what was seen in strings, and perhaps a little behind them.
    seen: u64,
    /// Whether the name of a member ended as those of resources do.
    uri: bool,
}

impl<'a> Walker<'a> {
    /// At the beginning of `text`.
    pub(crate) const fn new(text: &'a [u8]) -> Self {
        Self {
            text,
            at: 0,
            depth: 0,
            seen: 0,
            uri: false,
        }
    }

    /// Whether what was stepped over is sure to be ASCII. Outside of strings nothing else is JSON.
    pub(crate) const fn is_ascii(&self) -> bool {
        self.seen & HIGHS == 0
    }

    /// Whether it stepped over a member that may be called `uri` or `resourceUri`.
    pub(crate) const fn names_uri(&self) -> bool {
        self.uri
    }

    /// Where the next value begins, and its first byte.
    pub(crate) fn next(&mut self) -> (usize, Option<u8>) {
        self.blanks();
        (self.at, self.text.get(self.at).copied())
    }

    /// Where it stands: behind what was stepped over last.
    pub(crate) const fn at(&self) -> usize {
        self.at
    }

    /// Steps over blanks; nothing else may be left.
    pub(crate) fn end(&mut self) -> Result<(), JsonError> {
        match self.next() {
            (_, None) => Ok(()),
            _ => Err(self.unexpected()),
        }
    }

    /// Steps over an object. `each` gets the key of every member, and steps over its value. A key is
    /// the bytes of its text: to be compared, they need not be UTF-8.
    pub(crate) fn object(
        &mut self,
        mut each: impl FnMut(&mut Self, Cow<'a, [u8]>) -> Result<(), JsonError>,
    ) -> Result<(), JsonError> {
        self.blanks();
        if !self.take(b'{') {
            return Err(JsonError::Type("an object"));
        }
        self.deeper()?;
        self.blanks();
        if !self.take(b'}') {
            loop {
                let key = self.key()?;
                self.colon()?;
                each(self, key)?;
                self.blanks();
                if !self.take(b',') {
                    break;
                }
                self.blanks();
            }
            self.must(b'}')?;
        }
        self.depth -= 1;
        Ok(())
    }

    /// Steps over an array. `each` steps over an element.
    pub(crate) fn array(
        &mut self,
        mut each: impl FnMut(&mut Self) -> Result<(), JsonError>,
    ) -> Result<(), JsonError> {
        self.blanks();
        if !self.take(b'[') {
            return Err(JsonError::Type("an array"));
        }
        self.deeper()?;
        self.blanks();
        if !self.take(b']') {
            loop {
                each(self)?;
                self.blanks();
                if !self.take(b',') {
                    break;
                }
            }
            self.must(b']')?;
        }
        self.depth -= 1;
        Ok(())
    }

    /// Steps over any value, and says where it stands.
    pub(crate) fn value(&mut self) -> Result<Span, JsonError> {
        self.blanks();
        if self.text.get(self.at) == Some(&b'"') {
            return Ok(self.quoted()?.0);
        }
        let (start, around) = (self.at, self.depth);
        // One bit for each level that is open, the innermost lowest: whether it is an object.
        let mut objects = 0u128;
        loop {
            if let Some(is_object) = self.opening()? {
                objects = objects << 1 | u128::from(is_object);
                continue;
            }
            while self.depth > around {
                let is_object = objects & 1 == 1;
                self.blanks();
                if self.take(b',') {
                    self.blanks();
                    if is_object {
                        self.name()?;
                        self.colon()?;
                    }
                    break;
                }
                self.must(if is_object { b'}' } else { b']' })?;
                self.depth -= 1;
                objects >>= 1;
            }
            if self.depth == around {
                return Ok(start..self.at);
            }
        }
    }

    /// Steps over a whole value, or into an array or object that is not empty: then says whether
    /// it is an object, whose first key is behind.
    fn opening(&mut self) -> Result<Option<bool>, JsonError> {
        self.blanks();
        match self.text.get(self.at) {
            Some(b'"') => self.quoted().map(|_| None),
            Some(b'{') => {
                self.at += 1;
                self.blanks();
                if self.take(b'}') {
                    return self.shallow();
                }
                self.deeper()?;
                self.name()?;
                self.colon()?;
                Ok(Some(true))
            }
            Some(b'[') => {
                self.at += 1;
                self.blanks();
                if self.take(b']') {
                    return self.shallow();
                }
                self.deeper()?;
                Ok(Some(false))
            }
            Some(b't') => self.literal(b"true"),
            Some(b'f') => self.literal(b"false"),
            Some(b'n') => self.literal(b"null"),
            _ => self.number(),
        }
    }

    fn deeper(&mut self) -> Result<(), JsonError> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(JsonError::Depth);
        }
        Ok(())
    }

    /// An empty array or object is a level, too.
    const fn shallow(&self) -> Result<Option<bool>, JsonError> {
        if self.depth == MAX_DEPTH {
            return Err(JsonError::Depth);
        }
        Ok(None)
    }

    fn literal(&mut self, word: &[u8]) -> Result<Option<bool>, JsonError> {
        if !self.text[self.at..].starts_with(word) {
            return Err(self.unexpected());
        }
        self.at += word.len();
        Ok(None)
    }

    fn number(&mut self) -> Result<Option<bool>, JsonError> {
        self.take(b'-');
        // Nothing follows a zero in front: 01 is no number.
        if !self.take(b'0') {
            self.digits()?;
        }
        if self.take(b'.') {
            self.digits()?;
        }
        if self.take(b'e') || self.take(b'E') {
            let _sign = self.take(b'+') || self.take(b'-');
            self.digits()?;
        }
        Ok(None)
    }

    fn digits(&mut self) -> Result<(), JsonError> {
        let begun = self.at;
        while self.text.get(self.at).is_some_and(u8::is_ascii_digit) {
            self.at += 1;
        }
        if self.at == begun {
            return Err(self.unexpected());
        }
        Ok(())
    }

    fn key(&mut self) -> Result<Cow<'a, [u8]>, JsonError> {
        let (span, plain) = self.name()?;
        let quoted = &self.text[span];
        if plain {
            return Ok(Cow::Borrowed(&quoted[1..quoted.len() - 1]));
        }
        let text: String = serde_json::from_slice(quoted)?;
        Ok(Cow::Owned(text.into_bytes()))
    }

    /// Steps over the name of a member.
    fn name(&mut self) -> Result<(Span, bool), JsonError> {
        let (span, plain) = self.quoted()?;
        // With escapes, it may be anything.
        self.uri |= !plain || self.text[span.clone()].ends_with(b"ri\"");
        Ok((span, plain))
    }

    fn colon(&mut self) -> Result<(), JsonError> {
        self.blanks();
        self.must(b':')
    }

    /// Steps over a string. Says whether it has no escapes.
    fn quoted(&mut self) -> Result<(Span, bool), JsonError> {
        let start = self.at;
        self.must(b'"')?;
        let mut plain = true;
        loop {
            self.plain();
            match self.text.get(self.at) {
                Some(b'"') => break,
                Some(b'\\') => self.escape()?,
                _ => return Err(self.unexpected()),
            }
            plain = false;
        }
        self.at += 1;
        Ok((start..self.at, plain))
    }

    /// Steps over characters of a string that stand for themselves.
    fn plain(&mut self) {
        /// Most strings are shorter: more at a time has to be worth it.
        const SHORT: usize = 32;
        let far = self.at + SHORT;
        while self.at < far {
            if self.word() {
                return;
            }
        }
        self.blocks();
        while !self.word() {}
    }

    /// Steps over a word's worth of plain characters, or as many as there are: says whether there
    /// are no more.
    fn word(&mut self) -> bool {
        let rest = &self.text[self.at..];
        let (word, most) = match rest.first_chunk() {
            Some(word) => (u64::from_le_bytes(*word), 8),
            None => {
                let mut word = [0; 8];
                word[..rest.len()].copy_from_slice(rest);
                (u64::from_le_bytes(word), rest.len())
            }
        };
        self.seen |= word;
        let found = special(word).trailing_zeros() as usize / 8;
        self.at += found.min(most);
        found < 8
    }

    /// Steps over plain characters as long as there are many.
    fn blocks(&mut self) {
        let (blocks, _) = self.text[self.at..].as_chunks::<64>();
        for block in blocks {
            // Without a way out in the middle, this takes many bytes at a time.
            let (mut special, mut seen) = (false, 0);
            for byte in block {
                special |= *byte < b' ' || *byte == b'"' || *byte == b'\\';
                seen |= *byte;
            }
            if special {
                return;
            }
            self.seen |= u64::from(seen);
            self.at += block.len();
        }
    }

    fn escape(&mut self) -> Result<(), JsonError> {
        let rest = &self.text[self.at..];
        let length = match rest.get(1) {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => 2,
            Some(b'u') if rest.len() >= 6 && rest[2..6].iter().all(u8::is_ascii_hexdigit) => 6,
            _ => return Err(self.unexpected()),
        };
        self.at += length;
        Ok(())
    }

    fn blanks(&mut self) {
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.text.get(self.at) {
            self.at += 1;
        }
    }

    fn take(&mut self, byte: u8) -> bool {
        let is = self.text.get(self.at) == Some(&byte);
        self.at += usize::from(is);
        is
    }

    fn must(&mut self, byte: u8) -> Result<(), JsonError> {
        if self.take(byte) {
            return Ok(());
        }
        Err(self.unexpected())
    }

    #[cold]
    fn unexpected(&self) -> JsonError {
        JsonError::Syntax(match self.at < self.text.len() {
            true => format!("byte {} is unexpected", self.at),
            false => "it ends too early".to_owned(),
        })
    }
}

/// In every byte of a word: the lowest bit, and the highest.
const LOWS: u64 = u64::from_ne_bytes([1; 8]);
const HIGHS: u64 = LOWS << 7;

/// The highest bit of the first byte of `word`, in the order of memory, that is a quote, a
/// backslash or a control character; bytes behind that one may be marked for nothing.
fn special(word: u64) -> u64 {
    let below = |x: u64, least: u64| x.wrapping_sub(LOWS * least) & !x;
    let is = |byte: u8| below(word ^ (LOWS * u64::from(byte)), 1);
    (below(word, 0x20) | is(b'"') | is(b'\\')) & HIGHS
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::value::RawValue;

    use super::*;

    fn walk(text: &[u8]) -> Result<Span, JsonError> {
        let mut walker = Walker::new(text);
        let span = walker.value()?;
        walker.end().map(|()| span)
    }

    /// The other parser, and the check that it leaves out.
    fn accepted(text: &str) -> Option<&str> {
        let raw: &RawValue = serde_json::from_str(text).ok()?;
        (deepest(text) <= MAX_DEPTH).then_some(raw.get())
    }

    /// Of a text that is JSON.
    fn deepest(text: &str) -> usize {
        let (mut depth, mut deepest, mut quoted) = (0usize, 0, false);
        let mut bytes = text.bytes();
        while let Some(byte) = bytes.next() {
            match byte {
                b'"' => quoted = !quoted,
                b'\\' => drop(bytes.next()),
                b'{' | b'[' if !quoted => depth += 1,
                b'}' | b']' if !quoted => depth -= 1,
                _ => {}
            }
            deepest = deepest.max(depth);
        }
        deepest
    }

    fn same(text: &str) {
        let walked = walk(text.as_bytes()).ok().map(|span| &text[span]);
        assert_eq!(walked, accepted(text), "{text:?}");
    }

    #[test]
    fn b1_b3_texts_at_the_edge_of_json_are_told_apart() {
        let long = "x".repeat(100);
        let deep = |n: usize| format!("{}{}", "[".repeat(n), "]".repeat(n));
        let keyed = |n: usize| format!("{}1{}", r#"{"a":"#.repeat(n), "}".repeat(n));
        for text in [
            "",
            " ",
            "{",
            "}",
            "{}",
            "[ ]",
            "{ }",
            " [1 , 2 ] ",
            "[1,]",
            "[,1]",
            "[1 2]",
            "[1}",
            "{]",
            r#"{"a":1}"#,
            r#"{"a":1,}"#,
            r#"{"a" 1}"#,
            r#"{a:1}"#,
            r#"{"a":}"#,
            r#"{"a":[{"b":{}}]}"#,
            r#"{1:2}"#,
            r#"{"a":1 "b":2}"#,
            r#"[{"a":1}"#,
            r#"{"a":[1,{"b":2}],"c":[]}"#,
            "0",
            "-0",
            "01",
            "-",
            "1.",
            ".1",
            "1.5e3",
            "1e",
            "1E+2",
            "1e-",
            "+1",
            "0x1",
            "1e5.2",
            "--1",
            "true",
            "tru",
            "truee",
            "false",
            "null",
            "nul",
            "nullx",
            "NaN",
            r#""""#,
            r#"""#,
            r#""\""#,
            r#""\n\u00e9\ud800""#,
            r#""\u12g4""#,
            r#""\x""#,
            r#""\u1""#,
            "\"a\nb\"",
            "\"\u{7f}\"",
            "1 1",
            "[]]",
            "\u{feff}1",
            "\u{a0}1",
            &format!("\"{long}\""),
            &format!("\"{long}"),
            &format!("\"{long}\n{long}\""),
            &format!("\"{long}\\\"{long}\\u0041\""),
            &format!("\"{long}\\\n\""),
            &format!("\"{long}\0\""),
            &deep(127),
            &deep(128),
            &deep(129),
            &keyed(127),
            &keyed(128),
            &keyed(129),
            &format!("{}{{}}{}", "[".repeat(127), "]".repeat(127)),
            &format!("{}{{}}{}", "[".repeat(128), "]".repeat(128)),
        ] {
            same(text);
        }
    }

    fn tokens() -> impl Strategy<Value = String> {
        let token = prop::sample::select(vec![
            "{",
            "}",
            "[",
            "]",
            ",",
            ":",
            "\"a\"",
            "\"\\u0041\"",
            "1",
            "-1.5e2",
            "true",
            "null",
            " ",
            "\n",
            "\"",
            "\\",
            "0",
            "e",
            "a",
            "{\"a\":",
            "[1,",
            "é",
        ]);
        prop::collection::vec(token, 0..12).prop_map(|all| all.concat())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(500))]
        #[test]
        fn b1_what_another_parser_takes_is_taken_and_nothing_else(text in tokens()) {
            same(&text);
        }

        #[test]
        fn b1_a_long_string_ends_where_another_parser_ends_it(
            before in 0usize..200, after in 0usize..200, odd in any::<char>(), near in any::<char>(),
        ) {
            let plain = |n: usize| "x".repeat(n);
            same(&format!("\"{}{odd}{near}{}\"", plain(before), plain(after)));
            same(&format!("[\"{}{odd}\",\"{}{near}\"]", plain(before), plain(after)));
            let escaped = format!("\"{}\\{odd}{}\"", plain(before), plain(after));
            same(&escaped);
        }

        #[test]
        fn b1_a_text_that_is_not_ascii_never_passes_for_it(
            before in 0usize..200, after in 0usize..200, byte in any::<u8>(),
        ) {
            let text = [b"\"", &vec![b'x'; before][..], &[byte], &vec![b'x'; after], b"\""].concat();
            let mut walker = Walker::new(&text);
            let walked = walker.value();
            prop_assert!(walked.is_err() || walker.is_ascii() == byte.is_ascii());
        }

        #[test]
        fn b1_b3_any_bytes_are_taken_or_refused_as_another_parser_does(
            bytes in prop::collection::vec(any::<u8>(), 0..100),
        ) {
            if let Ok(text) = std::str::from_utf8(&bytes) {
                same(text);
            } else {
                let _ = walk(&bytes);
            }
        }
    }
}
