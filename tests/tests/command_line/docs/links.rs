//! Links between pages, and to what they tell of.

use std::fs;

use super::{pages, root};

/// The targets of a page's links, code left out.
fn links(text: &str) -> Vec<String> {
    let (mut prose, mut fenced) = (String::new(), false);
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        } else if !fenced {
            // Between two backticks nothing is a link.
            let outside = line.split('`').step_by(2);
            outside.for_each(|part| prose.push_str(part));
            prose.push('\n');
        }
    }
    let targets = prose.split("](").skip(1);
    let targets = targets.filter_map(|rest| rest.split(')').next());
    targets.map(str::to_owned).collect()
}

/// The anchors of a page, as they are made of its headings.
fn anchors(text: &str) -> Vec<String> {
    let headings = text.lines().filter_map(|line| line.strip_prefix('#'));
    let anchor = |heading: &str| {
        let lower = heading.trim_start_matches('#').trim().to_lowercase();
        let kept = lower
            .chars()
            .filter(|c| c.is_alphanumeric() || [' ', '-', '_'].contains(c));
        kept.map(|c| if c == ' ' { '-' } else { c }).collect()
    };
    headings.map(anchor).collect()
}

#[test]
fn every_link_leads_somewhere_and_the_readme_leads_to_every_page() {
    let mut checked = 0;
    for (page, text) in pages() {
        let folder = match &*page {
            "README.md" => root(),
            _ => root().join("docs"),
        };
        for link in links(&text) {
            if link.contains("://") || link.starts_with("mailto:") {
                continue;
            }
            let (file, anchor) = link.split_once('#').unwrap_or((&link, ""));
            let target = match file {
                "" => folder.join(&page),
                file => folder.join(file),
            };
            assert!(
                target.exists(),
                "{page} links to {link}, which is not there"
            );
            if !anchor.is_empty() {
                let text = fs::read_to_string(&target).expect("a page");
                let known = anchors(&text).iter().any(|known| known == anchor);
                assert!(known, "{page} links to {link}: no such heading");
            }
            checked += 1;
        }
    }
    assert!(checked > 40, "{checked} links");

    let all = pages();
    let (_, readme) = all
        .iter()
        .find(|(name, _)| name == "README.md")
        .expect("a README");
    let reached = links(readme);
    for (page, _) in all.iter().filter(|(name, _)| name != "README.md") {
        let linked = reached.contains(&format!("docs/{page}"));
        assert!(linked, "the README does not lead to docs/{page}");
    }
}
