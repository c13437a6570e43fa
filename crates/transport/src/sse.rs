//! Server-sent events, as the HTML standard reads them.
//!
//! Public codecs want text, end at the first oddity, or have no bound. Here events are slices of
//! the bytes that arrived, in any split, and neither an endless line nor an endless event is held.

use std::time::Duration;

use bytes::{Bytes, BytesMut};

use crate::line::{Ends, LineDecoder, TooLong};

/// One event with data.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct SseEvent {
    /// The `event` field; `None` is `message`.
    pub name: Option<Bytes>,
    /// The `data` lines, joined by LF.
    pub data: Bytes,
}

impl SseEvent {
    /// Whether this is an ordinary message.
    pub fn is_message(&self) -> bool {
        self.name.as_ref().is_none_or(|n| n == "message")
    }
}

/// Reads events out of chunks. After each [`feed`](Self::feed), take events until there is none.
///
/// Comments and unknown fields are passed over; an event that the end of the stream cut off is
/// none.
#[derive(Debug)]
pub struct SseDecoder {
    lines: LineDecoder,
    started: bool,
    limit: usize,
    name: Option<Bytes>,
    data: Data,
    id: Option<Bytes>,
    last_id: Option<Bytes>,
    retry: Option<Duration>,
}

/// The data lines of the event being read: nearly always one.
#[derive(Debug)]
enum Data {
    None,
    One(Bytes),
    Many(BytesMut),
}

impl SseDecoder {
    /// A decoder for events of at most `limit` bytes.
    pub fn new(limit: usize) -> Self {
        Self {
            lines: LineDecoder::new(Ends::Any, limit),
            started: false,
            limit,
            name: None,
            data: Data::None,
            id: None,
            last_id: None,
            retry: None,
        }
    }

    /// Adds what arrived.
    pub fn feed(&mut self, chunk: Bytes) {
        self.lines.feed(chunk);
    }

    /// The next whole event that has data; `None` until more arrives.
    ///
    /// # Errors
    /// If an event is too large. Nothing sensible can follow.
    pub fn next_event(&mut self) -> Result<Option<SseEvent>, TooLong> {
        while let Some(mut line) = self.lines.next_line()? {
            if !std::mem::replace(&mut self.started, true) && line.starts_with(b"\xef\xbb\xbf") {
                line = line.slice(3..);
            }
            if line.is_empty() {
                if let Some(event) = self.dispatch() {
                    return Ok(Some(event));
                }
            } else {
                self.field(&line)?;
            }
        }
        Ok(None)
    }

    /// The id of the last event that had one, with or without data: where to resume.
    pub fn last_id(&self) -> Option<&Bytes> {
        self.last_id.as_ref()
    }

    /// How long the server wants a reader to wait before it comes back.
    pub fn retry(&self) -> Option<Duration> {
        self.retry
    }

    fn dispatch(&mut self) -> Option<SseEvent> {
        if let Some(id) = self.id.take() {
            self.last_id = Some(id);
        }
        let name = self.name.take();
        let data = match std::mem::replace(&mut self.data, Data::None) {
            Data::None => return None,
            Data::One(data) => data,
            Data::Many(data) => data.freeze(),
        };
        Some(SseEvent { name, data }).filter(|e| !e.data.is_empty())
    }

    fn field(&mut self, line: &Bytes) -> Result<(), TooLong> {
        let (name, value) = match memchr::memchr(b':', line) {
            Some(at) => {
                let space = usize::from(line.get(at + 1) == Some(&b' '));
                (&line[..at], line.slice(at + 1 + space..))
            }
            None => (&line[..], Bytes::new()),
        };
        match name {
            b"data" => self.add(value)?,
            b"event" => self.name = Some(value).filter(|v| !v.is_empty()),
            b"id" if memchr::memchr(0, &value).is_none() => self.id = Some(value),
            b"retry" if !value.is_empty() && value.iter().all(u8::is_ascii_digit) => {
                let digits = std::str::from_utf8(&value).ok();
                self.retry = digits
                    .and_then(|d| d.parse().ok())
                    .map(Duration::from_millis);
            }
            _ => {} // a comment, or a field that nobody knows
        }
        Ok(())
    }

    fn add(&mut self, value: Bytes) -> Result<(), TooLong> {
        let mut many = match std::mem::replace(&mut self.data, Data::None) {
            Data::None => {
                self.data = Data::One(value);
                return Ok(());
            }
            Data::One(first) => BytesMut::from(&first[..]),
            Data::Many(many) => many,
        };
        if many.len() + value.len() >= self.limit {
            return Err(TooLong(self.limit));
        }
        many.extend_from_slice(b"\n");
        many.extend_from_slice(&value);
        self.data = Data::Many(many);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn decode(chunks: &[&[u8]]) -> (Vec<SseEvent>, SseDecoder) {
        let mut decoder = SseDecoder::new(1000);
        let mut out = Vec::new();
        for chunk in chunks {
            decoder.feed(Bytes::copy_from_slice(chunk));
            while let Some(event) = decoder.next_event().unwrap() {
                out.push(event);
            }
        }
        (out, decoder)
    }

    #[test]
    fn events_comments_ids_and_retry() {
        let text =
            b"\xef\xbb\xbf: hello\n\nid: 7\nretry: 500\ndata:\n\nevent: endpoint\ndata:/x\n\n\
            data: a\ndata:b\nunknown: c\nid: 8\r\n\rdata: cut off";
        let (events, decoder) = decode(&[text]);
        let found: Vec<_> = events
            .iter()
            .map(|e| (e.is_message(), &e.data[..]))
            .collect();
        assert_eq!(found, [(false, &b"/x"[..]), (true, b"a\nb")]);
        assert_eq!(decoder.last_id().unwrap(), "8");
        assert_eq!(decoder.retry(), Some(Duration::from_millis(500)));
    }

    #[test]
    fn r54_endless_events_are_refused() {
        let mut decoder = SseDecoder::new(100);
        decoder.feed(Bytes::from("data: 0123456789\n".repeat(20)));
        assert!(decoder.next_event().is_err());
        let mut decoder = SseDecoder::new(100);
        decoder.feed(Bytes::from(vec![b':'; 200]));
        assert!(decoder.next_event().is_err());
    }

    #[test]
    fn an_event_in_one_chunk_is_not_copied() {
        let chunk = Bytes::from_static(b"event: message\ndata: {\"a\":1}\n\n");
        let mut decoder = SseDecoder::new(100);
        decoder.feed(chunk.clone());
        let event = decoder.next_event().unwrap().unwrap();
        assert!(chunk.as_ptr_range().contains(&event.data.as_ptr()));
    }

    proptest! {
        #[test]
        fn any_split_gives_the_same_events(
            text in "((data|id|event|retry|x)?:? ?[ab1]{0,3}(\r|\n|\r\n)){0,12}",
            cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..8),
        ) {
            let mut cuts: Vec<usize> = cuts.iter().map(|c| c.index(text.len() + 1)).collect();
            cuts.extend([0, text.len()]);
            cuts.sort_unstable();
            let chunks: Vec<&[u8]> = cuts.windows(2).map(|w| &text.as_bytes()[w[0]..w[1]]).collect();
            let (split, a) = decode(&chunks);
            let (whole, b) = decode(&[text.as_bytes()]);
            prop_assert_eq!(split, whole);
            prop_assert_eq!((a.last_id(), a.retry()), (b.last_id(), b.retry()));
        }
    }
}
