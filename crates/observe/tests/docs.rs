//! The page about dropped messages names every reason, and no other.

use mcp_router_observe::dropped::Reason;

#[test]
fn the_page_lists_every_reason_once_in_order() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/dropped.md");
    let page = std::fs::read_to_string(path).unwrap();
    let named: Vec<_> = page
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split('`').next())
        .collect();
    let all: Vec<_> = Reason::ALL.iter().map(|r| r.as_str()).collect();
    assert_eq!(named, all);
}
