//! A moment as people and machines read it.

use std::time::{SystemTime, UNIX_EPOCH};

use crate::decimal;

/// RFC 3339 in UTC with milliseconds. Moments before 1970 are shown as 1970.
pub fn utc(at: SystemTime) -> String {
    let since = at.duration_since(UNIX_EPOCH).unwrap_or_default();
    let (secs, millis) = (since.as_secs(), since.subsec_millis());
    let (year, month, day) = civil(secs / 86_400);
    let (hour, minute, second) = (secs / 3600 % 24, secs / 60 % 60, secs % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{millis:03}Z")
}

/// A second that was written before, so that writing another moment of it is cheap.
#[derive(Clone, Debug)]
pub(crate) struct Stamp {
    secs: u64,
    /// Up to the seconds: `2026-01-01T00:00:00.`
    text: String,
}

impl Stamp {
    pub(crate) const NEVER: Self = Self {
        secs: u64::MAX,
        text: String::new(),
    };

    /// Writes a moment as [`utc`] does, with microseconds.
    pub(crate) fn write(&mut self, at: SystemTime, out: &mut Vec<u8>) {
        let since = at.duration_since(UNIX_EPOCH).unwrap_or_default();
        if self.secs != since.as_secs() {
            self.secs = since.as_secs();
            self.text = utc(at);
            self.text.truncate(self.text.len() - "000Z".len());
        }
        out.extend_from_slice(self.text.as_bytes());
        let micros = u64::from(since.subsec_micros());
        let pairs = [micros / 10_000, micros / 100, micros].map(decimal::pair);
        out.extend_from_slice(pairs.as_flattened());
        out.push(b'Z');
    }
}

/// Year, month and day of a number of days since 1970-01-01.
fn civil(days: u64) -> (u64, u64, u64) {
    let mut left = days;
    let mut year = 1970;
    while left >= length(year) {
        left -= length(year);
        year += 1;
    }
    let february = length(year) - 337;
    let months = [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let mut month = 1;
    for days in months {
        if left < days {
            break;
        }
        left -= days;
        month += 1;
    }
    (year, month, left + 1)
}

const fn length(year: u64) -> u64 {
    let leap = year.is_multiple_of(4) && !year.is_multiple_of(100) || year.is_multiple_of(400);
    if leap { 366 } else { 365 }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn moments_are_what_a_calendar_says() {
        for (secs, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_400, "2000-02-29T00:00:00.000Z"),
            (1_709_251_199, "2024-02-29T23:59:59.000Z"),
            (1_735_689_599, "2024-12-31T23:59:59.000Z"),
            (4_107_542_400, "2100-03-01T00:00:00.000Z"),
        ] {
            let at = UNIX_EPOCH + Duration::from_secs(secs);
            assert_eq!(utc(at), text);
            let mut written = Vec::new();
            let mut stamp = Stamp::NEVER;
            stamp.write(at, &mut written);
            let later = at + Duration::from_micros(70_089);
            stamp.write(later, &mut written);
            let day = text.split_once('.').unwrap().0;
            let expected = format!("{day}.000000Z{day}.070089Z");
            assert_eq!(written, expected.into_bytes());
        }
    }
}
