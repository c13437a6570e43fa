//! Numbers as text, without the machinery that formats everything.

/// All numbers below 100, two digits each.
const PAIRS: &str = "00010203040506070809101112131415161718192021222324252627282930313233343536373839\
                     40414243444546474849505152535455565758596061626364656667686970717273747576777879\
                     8081828384858687888990919293949596979899";

/// Two digits; nothing for a number that has more.
pub(crate) fn pair(number: usize) -> &'static str {
    PAIRS.get(2 * number..2 * number + 2).unwrap_or_default()
}

/// Adds a number.
pub(crate) fn push(out: &mut String, number: u64) {
    if number >= 100 {
        push(out, number / 100);
    }
    let pair = pair((number % 100) as usize);
    out.push_str(if number < 10 { &pair[1..] } else { pair });
}

/// Adds a number of thousandths as a decimal fraction without trailing zeros.
pub(crate) fn push_thousandths(out: &mut String, number: u64) {
    push(out, number / 1000);
    let rest = number % 1000;
    if rest == 0 {
        return;
    }
    out.push('.');
    for place in [100, 10, 1] {
        out.push(char::from(b'0' + (rest / place % 10) as u8));
        if rest.is_multiple_of(place) {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn text(add: impl FnOnce(&mut String)) -> String {
        let mut out = String::new();
        add(&mut out);
        out
    }

    #[test]
    fn the_ends_of_each_number_of_digits_are_written_as_others_write_them() {
        for digits in 0..20 {
            let first = 10_u64.pow(digits);
            for number in [0, first - 1, first, first + 1, u64::MAX] {
                assert_eq!(text(|out| push(out, number)), number.to_string());
            }
        }
        assert_eq!(
            [pair(0), pair(7), pair(99), pair(100)],
            ["00", "07", "99", ""]
        );
    }

    proptest! {
        #[test]
        fn any_number_is_written_as_others_write_it(number in any::<u64>()) {
            prop_assert_eq!(text(|out| push(out, number)), number.to_string());
            let thousandths = (number >> 24) as f64 / 1000.0;
            let written = text(|out| push_thousandths(out, number >> 24));
            prop_assert_eq!(written.parse::<f64>(), Ok(thousandths));
        }
    }
}
