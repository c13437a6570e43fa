//! Finds the events in a stream of server-sent events, however its bytes are split.

/// The state between two pieces of a stream.
#[derive(Debug, Default)]
pub(super) struct Events {
    line: Vec<u8>,
    /// The last byte was a carriage return, which a line feed may belong to.
    returned: bool,
    event: String,
    data: Option<String>,
}

impl Events {
    /// Takes the next piece and tells every event that it completes: its name and its data.
    pub(super) fn feed(&mut self, piece: &[u8], mut tell: impl FnMut(&str, String)) {
        for &byte in piece {
            let after_return = std::mem::replace(&mut self.returned, byte == b'\r');
            match byte {
                b'\n' if after_return => {}
                b'\n' | b'\r' => self.end_of_line(&mut tell),
                other => self.line.push(other),
            }
        }
    }

    /// How much is kept of what is not complete yet, in bytes.
    pub(super) fn kept(&self) -> usize {
        self.line.len() + self.data.as_ref().map_or(0, String::len)
    }

    fn end_of_line(&mut self, tell: &mut impl FnMut(&str, String)) {
        let line = std::mem::take(&mut self.line);
        let line = String::from_utf8_lossy(&line);
        if line.is_empty() {
            let event = std::mem::take(&mut self.event);
            if let Some(data) = self.data.take() {
                tell(&event, data);
            }
            return;
        }
        let (field, value) = line.split_once(':').unwrap_or((&line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match (field, &mut self.data) {
            ("data", Some(data)) => {
                data.push('\n');
                data.push_str(value);
            }
            ("data", none) => *none = Some(value.to_owned()),
            ("event", _) => value.clone_into(&mut self.event),
            _ => {}
        }
    }
}
