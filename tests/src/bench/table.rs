//! Figures as text.

use std::io::Write as _;
use std::process::ExitCode;

/// Writes a line to stdout.
pub(super) fn print(line: &str) {
    // A reader that has gone away is no reason to stop measuring half-way with a panic.
    let _ = writeln!(std::io::stdout(), "{line}");
}

/// The head of a Markdown table.
pub(super) fn head(columns: &[&str]) -> String {
    let rule: Vec<_> = columns
        .iter()
        .enumerate()
        .map(|(i, _)| if i == 0 { "---" } else { "---:" })
        .collect();
    format!("| {} |\n|{}|", columns.join(" | "), rule.join("|"))
}

/// A row of a Markdown table.
pub(super) fn row(cells: &[String]) -> String {
    format!("| {} |", cells.join(" | "))
}

/// The middle one of these figures; 0 of none.
pub(super) fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied().unwrap_or(0.0)
}

/// Microseconds, with as many digits as they deserve.
pub(super) fn micros(us: f64) -> String {
    if us.abs() >= 10_000.0 {
        format!("{:.1} ms", us / 1000.0)
    } else {
        format!("{us:.0} µs")
    }
}

/// Bytes as mebibytes.
#[expect(clippy::cast_precision_loss, reason = "memory of one process is small")]
pub(super) fn mib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

/// The promises that a command checks.
#[derive(Debug, Default)]
pub(super) struct Verdicts {
    lines: Vec<String>,
    failed: bool,
}

impl Verdicts {
    /// One promise, with what was measured and, in parentheses, what is allowed.
    pub(super) fn judge(&mut self, kept: bool, text: impl AsRef<str>) {
        self.failed |= !kept;
        let word = if kept { "PASS" } else { "FAIL" };
        self.lines.push(format!("{word}: {}", text.as_ref()));
    }

    /// Whether one is broken so far.
    #[cfg(test)]
    pub(super) fn failed(&self) -> bool {
        self.failed
    }

    /// Prints them; a failure if one is broken.
    pub(super) fn print(&self) -> ExitCode {
        print("");
        self.lines.iter().for_each(|line| print(line));
        if self.failed {
            ExitCode::FAILURE
        } else {
            ExitCode::SUCCESS
        }
    }
}
