//! How much memory the process may have, where somebody set a bound.
//!
//! A container that buffers more than it may have is killed with every call in it. So a quarter
//! of the bound is the most that request bodies take together.

use std::fs;
use std::path::Path;

/// Where the kernel tells a control group's bound: version 2, then version 1.
const FILES: [&str; 2] = [
    "/sys/fs/cgroup/memory.max",
    "/sys/fs/cgroup/memory/memory.limit_in_bytes",
];
/// Less than this would refuse what a small container can well serve.
const LEAST: u64 = 64 << 20;
/// Above this, version 1 says that there is no bound.
const UNBOUNDED: u64 = 1 << 60;

/// Bytes of all request bodies together: a quarter of the control group's bound, at least 64 MiB;
/// `None` if there is no bound.
pub(super) fn share() -> Option<usize> {
    FILES.iter().find_map(|file| share_of(Path::new(file)))
}

fn share_of(file: &Path) -> Option<usize> {
    // `max` means no bound; a file that is not there means no control groups.
    let bytes: u64 = fs::read_to_string(file).ok()?.trim().parse().ok()?;
    let share = (bytes / 4).max(LEAST);
    (bytes < UNBOUNDED).then(|| usize::try_from(share).unwrap_or(usize::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quarter_of_the_bound_and_at_least_64_mib() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("memory.max");
        for (text, expected) in [
            ("2147483648\n", Some(512 << 20)),
            ("67108864\n", Some(64 << 20)),
            ("max\n", None),
            ("9223372036854771712\n", None),
        ] {
            fs::write(&file, text).unwrap();
            assert_eq!(share_of(&file), expected, "{text}");
        }
        assert_eq!(share_of(&dir.path().join("absent")), None);
    }
}
