//! The page, `docs/operations.md`, the dashboard and the alert rules name the same things.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use mcp_router_tests::fixture::Fixture;
use mcp_router_tests::harness::{Router, child_entry};
use serde_json::{Value, json};

use super::samples::Samples;

/// Labels that Prometheus itself adds, or the format.
const FOREIGN: [&str; 2] = ["instance", "le"];

type Families = BTreeMap<String, BTreeSet<String>>;

fn read(name: &str) -> String {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs");
    fs::read_to_string(docs.join(name)).expect("a page")
}

/// A page on which everything has happened that makes a series.
async fn families() -> Families {
    let fixture = Fixture::builder().spawn().await;
    let file = format!(
        "backends:\n  - {{ name: a, namespace: a, url: \"{}\" }}\n{}",
        fixture.url(),
        child_entry("kid", &[])
    );
    let router = Router::start(&file).await;
    router.until_healthy("a").await;
    router.until_healthy("kid").await;
    router.modern().call("a.echo", json!({"text": "x"})).await;
    Samples::of(&router).await.families()
}

fn is_ours(word: &str) -> bool {
    word.starts_with("mcp_router_") || word.starts_with("process_")
}

/// The words of a text that could be names.
fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
}

/// What the tables of the page say: a metric and its labels a row, `|` after each cell.
fn documented(text: &str) -> Families {
    let mut found = Families::new();
    for row in text.lines().filter(|line| line.starts_with("| `")) {
        let cells: Vec<_> = row.split('|').map(str::trim).collect();
        let names: Vec<_> = words(cells[1]).filter(|w| is_ours(w)).collect();
        // Tables of the process have no column for labels.
        let labelled = names.iter().any(|name| name.starts_with("mcp_router_"))
            && !names
                .iter()
                .any(|name| name.starts_with("mcp_router_children"));
        let labels = words(cells[2]).filter(|w| labelled && !w.is_empty());
        let labels: BTreeSet<_> = labels.map(str::to_owned).collect();
        for name in names {
            found.insert(name.to_owned(), labels.clone());
        }
    }
    found
}

#[tokio::test]
async fn operations_md_has_every_metric_with_its_labels_and_no_other() {
    let page = families().await;
    let documented = documented(&read("operations.md"));
    let page_names: BTreeSet<_> = page.keys().collect();
    assert_eq!(page_names, documented.keys().collect::<BTreeSet<_>>());
    for (name, mut labels) in page {
        labels.remove("le");
        assert_eq!(documented[&name], labels, "{name}");
    }
}

/// Every query of a document, wherever it is in there.
fn queries(document: &Value, found: &mut Vec<String>) {
    match document {
        Value::Object(members) => {
            for (key, value) in members {
                match value.as_str() {
                    Some(query) if matches!(&**key, "expr" | "query" | "definition") => {
                        found.push(query.to_owned());
                    }
                    _ => queries(value, found),
                }
            }
        }
        Value::Array(all) => all.iter().for_each(|value| queries(value, found)),
        _ => {}
    }
}

/// The queries of alert rules: behind `expr:`, or in the lines below it that stand further in.
fn rules(text: &str) -> Vec<String> {
    let depth = |line: &str| line.len() - line.trim_start().len();
    let mut found = Vec::new();
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        let Some(query) = line.trim_start().strip_prefix("expr: ") else {
            continue;
        };
        let mut query = query.trim_start_matches(">-").to_owned();
        while let Some(more) = lines.next_if(|next| depth(next) > depth(line)) {
            query.push_str(more);
        }
        found.push(query);
    }
    let alerts = text.matches("- alert: ").count();
    assert_eq!(found.len(), alerts, "one query for each alert");
    found
}

/// The labels in a query: what is compared in braces, and what is summed by.
fn labels(query: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for selector in query.split('{').skip(1) {
        let selector = selector.split('}').next().unwrap_or_default();
        let parts = selector
            .split(',')
            .filter_map(|part| part.split_once(['=', '!']));
        found.extend(parts.map(|(label, _)| label.trim().to_owned()));
    }
    for word in [" by (", " on ("] {
        for group in query.split(word).skip(1) {
            let group = group.split(')').next().unwrap_or_default();
            found.extend(group.split(',').map(|label| label.trim().to_owned()));
        }
    }
    found.retain(|label| !label.is_empty() && !FOREIGN.contains(&label.as_str()));
    found
}

/// The metric that a word of a query belongs to.
fn family<'a>(word: &'a str, families: &Families) -> &'a str {
    let parts = ["_bucket", "_count", "_sum"].iter();
    let whole = parts.filter_map(|part| word.strip_suffix(part));
    whole
        .into_iter()
        .find(|name| families.contains_key(*name))
        .unwrap_or(word)
}

fn check(source: &str, queries: &[String], families: &Families) {
    assert!(!queries.is_empty(), "no query in {source}");
    for query in queries {
        let names: BTreeSet<_> = words(query)
            .filter(|w| is_ours(w))
            .map(|w| family(w, families))
            .collect();
        let unknown: Vec<_> = names
            .iter()
            .filter(|n| !families.contains_key(**n))
            .collect();
        assert!(unknown.is_empty(), "{source}: {unknown:?} in {query}");
        let known: BTreeSet<_> = names
            .iter()
            .flat_map(|name| &families[*name])
            .cloned()
            .collect();
        let strange: Vec<_> = labels(query).difference(&known).cloned().collect();
        assert!(
            strange.is_empty() || names.is_empty(),
            "{source}: {strange:?} in {query}"
        );
    }
}

#[tokio::test]
async fn the_dashboard_and_the_rules_ask_for_what_is_there() {
    let page = families().await;
    let dashboard: Value = serde_json::from_str(&read("grafana-dashboard.json")).expect("JSON");
    let mut asked = Vec::new();
    queries(&dashboard, &mut asked);
    check("grafana-dashboard.json", &asked, &page);
    check(
        "alerts.rules.yaml",
        &rules(&read("alerts.rules.yaml")),
        &page,
    );
}

#[test]
fn every_alert_has_its_entry_in_the_runbook() {
    let (rules, page) = (read("alerts.rules.yaml"), read("operations.md"));
    let alerts = rules
        .lines()
        .filter_map(|line| line.trim().strip_prefix("- alert: "));
    let alerts: BTreeSet<_> = alerts.collect();
    let headings = page.lines().filter_map(|line| line.strip_prefix("### "));
    assert_eq!(alerts, headings.collect::<BTreeSet<_>>());
    for alert in alerts {
        let link = format!("docs/operations.md#{}", alert.to_lowercase());
        assert!(rules.contains(&link), "no runbook at {alert}");
    }
}

#[test]
fn every_outcome_is_explained() {
    use mcp_router_observe::Ending;
    let page = read("operations.md");
    for ending in Ending::ALL {
        let row = format!("| `{ending}` |");
        assert!(page.contains(&row), "{ending} is not explained");
    }
}

/// The tests beside this file, and those that see the rest of the numbers move.
fn tests() -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let mut text = fs::read_to_string(root.join("ending.rs")).expect("a test");
    for folder in ["metrics", "told"] {
        for file in fs::read_dir(root.join(folder)).expect("a folder").flatten() {
            if file.file_name() != "docs.rs" {
                text += &fs::read_to_string(file.path()).expect("a test");
            }
        }
    }
    text
}

#[test]
fn every_metric_is_looked_at_by_a_test() {
    use mcp_router_observe::metrics::family::ALL;
    let tests = tests();
    let missing = ALL.iter().filter(|family| !tests.contains(family.name));
    let missing: Vec<_> = missing.map(|family| family.name).collect();
    assert!(missing.is_empty(), "no test looks at {missing:?}");
}
