//! How many connections the process can afford.

/// Most connections, whatever the system allows.
const MOST: usize = 10_000;
/// What Linux allows where nobody says otherwise.
const USUAL: usize = 1024;

/// 10,000, or 45 % of the descriptors this process may have: a call needs a second one for its
/// backend, and something must be left for logs, files and children.
pub(super) fn connections() -> usize {
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap_or_default();
    share(soft_limit(&limits).unwrap_or(USUAL))
}

fn share(descriptors: usize) -> usize {
    (descriptors.saturating_mul(45) / 100).clamp(1, MOST)
}

/// Reads the soft limit from `/proc/self/limits`: that of this moment.
fn soft_limit(limits: &str) -> Option<usize> {
    let line = limits
        .lines()
        .find_map(|l| l.strip_prefix("Max open files"))?;
    let soft = line.split_whitespace().next()?;
    match soft {
        "unlimited" => Some(usize::MAX),
        number => number.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn f44_connections_take_at_most_45_percent_of_the_descriptors() {
        let text = "Max processes 1 2 processes\nMax open files            1024    4096    files\n";
        assert_eq!(soft_limit(text), Some(1024));
        assert_eq!(share(1024), 460);
        assert_eq!(share(1), 1);
        assert_eq!(share(usize::MAX), MOST);
        assert_eq!(
            soft_limit("Max open files unlimited unlimited files"),
            Some(usize::MAX)
        );
        assert_eq!(soft_limit(""), None);
    }
}
