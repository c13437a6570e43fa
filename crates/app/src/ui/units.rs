//! Numbers as people read them.

use std::fmt;
use std::time::Duration;

/// A length of time in at most two units: `850 µs`, `14 ms`, `1.2 s`, `3 min 5 s`, `2 d 4 h`.
pub(super) struct Length(pub(super) Duration);

impl fmt::Display for Length {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (micros, secs) = (self.0.as_micros(), self.0.as_secs());
        match secs {
            0 if micros < 1_000 => write!(f, "{micros} µs"),
            0 if micros < 10_000 => write!(f, "{:.1} ms", micros as f64 / 1e3),
            0 => write!(f, "{} ms", micros / 1_000),
            1..=9 => write!(f, "{:.1} s", self.0.as_secs_f64()),
            10..=59 => write!(f, "{secs} s"),
            60..=3_599 => two(f, (secs / 60, "min"), (secs % 60, "s")),
            3_600..=86_399 => two(f, (secs / 3_600, "h"), (secs / 60 % 60, "min")),
            _ => two(f, (secs / 86_400, "d"), (secs / 3_600 % 24, "h")),
        }
    }
}

fn two(f: &mut fmt::Formatter<'_>, large: (u64, &str), small: (u64, &str)) -> fmt::Result {
    write!(f, "{} {}", large.0, large.1)?;
    match small.0 {
        0 => Ok(()),
        rest => write!(f, " {rest} {}", small.1),
    }
}

/// A number of things: `1 tool`, `2 tools`.
pub(super) struct Count(pub(super) u64, pub(super) &'static str);

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plural = if self.0 == 1 { "" } else { "s" };
        write!(f, "{} {}{plural}", self.0, self.1)
    }
}

/// What part of `whole` is `part`, in percent; `0` of nothing.
pub(super) struct Percent {
    pub(super) part: u64,
    pub(super) whole: u64,
}

impl fmt::Display for Percent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.part, self.whole) {
            (0, _) | (_, 0) => f.write_str("0 %"),
            (part, whole) if part == whole => f.write_str("100 %"),
            (part, whole) => write!(f, "{:.1} %", part as f64 * 100.0 / whole as f64),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_have_at_most_two_units() {
        for (micros, text) in [
            (0, "0 µs"),
            (999, "999 µs"),
            (1_500, "1.5 ms"),
            (14_200, "14 ms"),
            (1_200_000, "1.2 s"),
            (42_000_000, "42 s"),
            (60_000_000, "1 min"),
            (185_000_000, "3 min 5 s"),
            (7_500_000_000, "2 h 5 min"),
            (180_000_000_000, "2 d 2 h"),
        ] {
            assert_eq!(Length(Duration::from_micros(micros)).to_string(), text);
        }
    }

    #[test]
    fn one_is_singular_and_nothing_divides_by_nothing() {
        assert_eq!(Count(1, "tool").to_string(), "1 tool");
        assert_eq!(Count(0, "tool").to_string(), "0 tools");
        let percent = |part, whole| Percent { part, whole }.to_string();
        assert_eq!(percent(0, 0), "0 %");
        assert_eq!(percent(1, 3), "33.3 %");
        assert_eq!(percent(3, 3), "100 %");
    }
}
