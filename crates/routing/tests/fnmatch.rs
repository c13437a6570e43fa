//! Patterns mean what they mean in Python: compared with a table that Python made, and with a glob
//! library where the two agree.

use mcp_router_routing::{InvalidPattern, RoutePattern};
use proptest::prelude::*;

/// Made by `fnmatch.py` beside it.
const TABLE: &str = include_str!("fnmatch.tsv");

fn text(json: &str) -> String {
    serde_json::from_str(json).unwrap_or_else(|e| panic!("{json}: {e}"))
}

#[test]
fn patterns_match_what_python_says() {
    let mut lines = TABLE.lines();
    let names: Vec<_> = lines.next().unwrap().split('\t').map(text).collect();
    let (mut compared, mut refused) = (0, 0);
    for line in lines {
        let (pattern, bits) = line.split_once('\t').unwrap();
        let pattern = text(pattern);
        let parsed = match pattern.parse::<RoutePattern>() {
            Ok(parsed) => parsed,
            // A range that ends before it starts is a mistake, which Python takes for nothing.
            Err(InvalidPattern::EmptyRange(..)) => {
                refused += 1;
                continue;
            }
            Err(error) => panic!("{pattern:?}: {error}"),
        };
        for (name, bit) in names.iter().zip(bits.bytes()) {
            let matched = parsed.matches(name);
            assert_eq!(matched, bit == b'1', "{pattern:?} and {name:?}");
            compared += 1;
        }
    }
    assert!(compared > 40_000, "only {compared} cases");
    assert!(refused < 200, "{refused} patterns refused");
}

proptest! {
    /// Names without `/`, patterns without `{`, `\` and `**`: there a glob of a file is the same.
    #[test]
    fn a_glob_library_agrees_on_ascii(
        parts in prop::collection::vec(
            prop_oneof!["[a-d_.-]{1,3}", Just("?".to_owned()), "\\[!?[a-d]{1,3}\\]", "\\[!?[ab]-[cd]\\]"],
            1..6,
        ),
        stars in prop::collection::vec(any::<bool>(), 7),
        name in "[a-d_.-]{0,8}",
    ) {
        let mut pattern = if stars[6] { "*".to_owned() } else { String::new() };
        for (part, star) in parts.iter().zip(&stars) {
            pattern.push_str(part);
            pattern.push_str(if *star { "*" } else { "" });
        }
        let glob = globset::GlobBuilder::new(&pattern)
            .literal_separator(false)
            .backslash_escape(false)
            .build()
            .unwrap();
        let ours: RoutePattern = pattern.parse().unwrap();
        prop_assert_eq!(ours.matches(&name), glob.compile_matcher().is_match(&name), "{}", pattern);
    }
}
