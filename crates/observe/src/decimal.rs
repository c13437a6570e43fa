//! Numbers as text, without the machinery that formats everything.

/// All numbers below 100, two digits each.
static PAIRS: [[u8; 2]; 100] = {
    let mut pairs = [[0; 2]; 100];
    let mut number = 0;
    while number < 100 {
        pairs[number] = [b'0' + (number / 10) as u8, b'0' + (number % 10) as u8];
        number += 1;
    }
    pairs
};

/// The last two digits of a number.
pub(crate) fn pair(number: u64) -> [u8; 2] {
    PAIRS[(number % 100) as usize]
}

/// Adds a number.
pub(crate) fn push(out: &mut Vec<u8>, number: u64) {
    if number < 10 {
        out.push(b'0' + number as u8);
        return;
    }
    if number >= 100 {
        push(out, number / 100);
    }
    out.extend_from_slice(&pair(number));
}

/// Adds a number that may be negative.
pub(crate) fn push_signed(out: &mut Vec<u8>, number: i64) {
    if number < 0 {
        out.push(b'-');
    }
    push(out, number.unsigned_abs());
}

/// Adds a number of thousandths as a decimal fraction without trailing zeros.
pub(crate) fn push_thousandths(out: &mut Vec<u8>, number: u64) {
    push(out, number / 1000);
    let rest = number % 1000;
    if rest == 0 {
        return;
    }
    let [tenths, hundredths] = pair(rest / 10);
    let digits = [b'.', tenths, hundredths, b'0' + (rest % 10) as u8];
    let zeros = digits.iter().rev().take_while(|digit| **digit == b'0');
    out.extend_from_slice(&digits[..digits.len() - zeros.count()]);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn text(add: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        add(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn the_ends_of_each_number_of_digits_are_written_as_others_write_them() {
        for digits in 0..20 {
            let first = 10_u64.pow(digits);
            for number in [0, first - 1, first, first + 1, u64::MAX] {
                assert_eq!(text(|out| push(out, number)), number.to_string());
            }
        }
        assert_eq!([0, 7, 99, 100].map(pair), [*b"00", *b"07", *b"99", *b"00"]);
    }

    proptest! {
        #[test]
        fn any_number_is_written_as_others_write_it(number in any::<u64>()) {
            prop_assert_eq!(text(|out| push(out, number)), number.to_string());
            let signed = number as i64;
            prop_assert_eq!(text(|out| push_signed(out, signed)), signed.to_string());
            let thousandths = (number >> 24) as f64 / 1000.0;
            let written = text(|out| push_thousandths(out, number >> 24));
            prop_assert_eq!(written.parse::<f64>(), Ok(thousandths));
        }
    }
}
