//! What an HTTP status proves about a request that it refuses.

use std::ops::RangeInclusive;
use std::time::Duration;

use http::{HeaderMap, StatusCode, header};
use mcp_router_service::{CallError, Reason, Sent};

/// Longest wait that a backend can ask for.
const LONGEST: Duration = Duration::from_secs(60);

/// The failure behind a status that is no answer. Only statuses that servers send *instead* of
/// running a request prove that it did not run; intermediaries send 502, 503 and 504 when a
/// backend dies in the middle of one.
pub(super) fn refusal(status: StatusCode, headers: &HeaderMap) -> CallError {
    let after = retry_after(headers);
    let sent = match status.as_u16() {
        401 | 403 | 405 | 406 | 413 | 415 | 429 => Sent::RejectedUnexecuted,
        503 if after.is_some() => Sent::RejectedUnexecuted,
        _ => Sent::Unknown,
    };
    let after = after.filter(|_| matches!(status.as_u16(), 429 | 503));
    CallError::new(Reason::BackendStatus, sent)
        .status(status.as_u16())
        .retry_after(after)
}

/// `Retry-After`, at most a minute: in seconds, or as a date, which is read against the `Date` of
/// the same response, so that nobody's clock matters.
pub(super) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = |name| headers.get(name)?.to_str().ok();
    let value = text(header::RETRY_AFTER)?.trim();
    let seconds = if value.bytes().all(|b| b.is_ascii_digit()) && !value.is_empty() {
        value.parse().unwrap_or(u64::MAX)
    } else {
        let now = date(text(header::DATE)?.trim())?;
        date(value)?.saturating_sub(now)
    };
    Some(Duration::from_secs(seconds).min(LONGEST))
}

/// Seconds since 1970 of `Sun, 06 Nov 1994 08:49:37 GMT`, the one form that may be sent.
fn date(text: &str) -> Option<u64> {
    const MONTHS: &str = "JanFebMarAprMayJunJulAugSepOctNovDec";
    let rest = text.strip_suffix(" GMT")?.split_once(", ")?.1;
    let parts: Vec<&str> = rest.split([' ', ':']).collect();
    let [day, month, year, hour, minute, second] = parts[..] else {
        return None;
    };
    let number = |text: &str, allowed: RangeInclusive<u64>| {
        let n = text.parse().ok()?;
        allowed.contains(&n).then_some(n)
    };
    let month = MONTHS.find(month).filter(|_| month.len() == 3)? as u64 / 3;
    let (day, year) = (number(day, 1..=31)?, number(year, 1970..=9999)?);
    let (hour, minute) = (number(hour, 0..=23)?, number(minute, 0..=59)?);
    let second = number(second, 0..=60)?;
    // Years counted from March, so that the leap day is the last of one.
    let (y, m) = if month < 2 {
        (year - 1, month + 10)
    } else {
        (year, month - 2)
    };
    let days = y * 365 + y / 4 - y / 100 + y / 400 + (m * 153 + 2) / 5 + day - 1;
    let epoch = 719_468;
    Some((days.checked_sub(epoch)? * 24 + hour) * 3600 + minute * 60 + second)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let pairs = pairs
            .iter()
            .map(|(k, v)| (k.parse().unwrap(), v.parse().unwrap()));
        pairs.collect()
    }

    #[test]
    fn r44_only_refusals_prove_that_nothing_ran() {
        let none = HeaderMap::new();
        for (status, sent) in [
            (401, Sent::RejectedUnexecuted),
            (403, Sent::RejectedUnexecuted),
            (405, Sent::RejectedUnexecuted),
            (413, Sent::RejectedUnexecuted),
            (429, Sent::RejectedUnexecuted),
            (400, Sent::Unknown),
            (404, Sent::Unknown),
            (500, Sent::Unknown),
            (502, Sent::Unknown),
            (503, Sent::Unknown),
            (504, Sent::Unknown),
        ] {
            let error = refusal(StatusCode::from_u16(status).unwrap(), &none);
            assert_eq!((error.sent, error.retry_after), (sent, None), "{status}");
            assert_eq!(error.detail.unwrap(), format!("HTTP {status}"));
        }
    }

    #[test]
    fn f21_f22_retry_after_is_obeyed_up_to_a_minute() {
        for status in [
            StatusCode::SERVICE_UNAVAILABLE,
            StatusCode::TOO_MANY_REQUESTS,
        ] {
            for (value, seconds) in [("2", 2), ("3600", 60), ("99999999999999999999999", 60)] {
                let error = refusal(status, &headers(&[("retry-after", value)]));
                assert_eq!(error.sent, Sent::RejectedUnexecuted);
                assert_eq!(error.retry_after, Some(Duration::from_secs(seconds)));
            }
        }
        let error = refusal(
            StatusCode::SERVICE_UNAVAILABLE,
            &headers(&[("retry-after", "soon")]),
        );
        assert_eq!((error.sent, error.retry_after), (Sent::Unknown, None));
    }

    #[test]
    fn dates_are_read_against_the_responses_own() {
        let at = |after: &str, date: &str| {
            retry_after(&headers(&[("retry-after", after), ("date", date)])).map(|d| d.as_secs())
        };
        let now = "Tue, 29 Feb 2028 23:59:50 GMT";
        assert_eq!(at("Wed, 01 Mar 2028 00:00:05 GMT", now), Some(15));
        assert_eq!(at("Tue, 29 Feb 2028 23:00:00 GMT", now), Some(0));
        assert_eq!(at("Tue, 29 Feb 2028", now), None);
        assert_eq!(date("Thu, 01 Jan 1970 00:00:00 GMT"), Some(0));
        assert_eq!(date("Sun, 06 Nov 1994 08:49:37 GMT"), Some(784_111_777));
    }

    proptest! {
        #[test]
        fn no_retry_after_panics(value in "[ -~]{0,40}", date in "[A-Za-z0-9,: ]{0,40}") {
            let map = headers(&[("retry-after", &value), ("date", &date)]);
            let after = retry_after(&map);
            prop_assert!(after.is_none_or(|a| a <= LONGEST));
        }
    }
}
