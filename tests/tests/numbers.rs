//! A test is named after the promise that it proves, and `docs/promises.md` says what each number
//! promises. Here the two are held together: no promise without a test, no number without a row.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::mem;
use std::path::{Path, PathBuf};

/// `R8` is `('R', 8)`.
type Number = (char, u32);

/// `r08` and `R8` alike.
fn number(text: &str) -> Option<Number> {
    let mut chars = text.chars();
    let kind = chars.next()?.to_ascii_uppercase();
    let digits = chars.as_str();
    let all_digits = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    (matches!(kind, 'R' | 'F' | 'B' | 'I') && all_digits)
        .then(|| digits.parse().ok().map(|n| (kind, n)))?
}

/// The numbers at the front of a name: `r08_b18_x` has two, `b1_to_b9_x` nine.
fn numbers(name: &str) -> Vec<Number> {
    let mut found: Vec<Number> = Vec::new();
    let mut range = false;
    for part in name.split('_') {
        match (number(part), found.last().copied()) {
            (Some((kind, end)), Some((_, start))) if range => {
                found.extend((start + 1..=end).map(|n| (kind, n)));
                range = false;
            }
            (Some(number), _) if !range => found.push(number),
            (None, Some(_)) if part == "to" && !range => range = true,
            _ => break,
        }
    }
    found
}

/// The names of the test functions: those that an attribute like `#[test]` or `#[tokio::test(…)]`
/// stands before, also inside `proptest!`.
fn tests(source: &str) -> Vec<&str> {
    let mut names = Vec::new();
    let mut marked = false;
    for line in source.lines().map(str::trim_start) {
        if line.starts_with("#[") {
            marked |= line.contains("test]") || line.contains("test(");
        }
        let line = line.strip_prefix("async ").unwrap_or(line);
        if let Some(rest) = line.strip_prefix("fn ") {
            let end = rest.find(|c: char| c != '_' && !c.is_ascii_alphanumeric());
            if mem::take(&mut marked) {
                names.push(&rest[..end.unwrap_or(rest.len())]);
            }
        }
    }
    names
}

/// The numbers that the tables of the page begin their rows with, each once.
fn rows(page: &str) -> BTreeSet<Number> {
    let mut rows = BTreeSet::new();
    for line in page.lines().filter(|line| line.starts_with("| ")) {
        if let Some(number) = line.split('|').nth(1).and_then(|cell| number(cell.trim())) {
            assert!(rows.insert(number), "two rows for {number:?}");
        }
    }
    rows
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("this package is in the workspace")
        .to_owned()
}

/// Every Rust source below `folder`, but for what was built or installed there.
fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if path.is_dir() {
            if !name.starts_with('.') && !["target", "node_modules"].contains(&&*name) {
                sources(&path, found);
            }
        } else if name.ends_with(".rs") {
            found.push(path);
        }
    }
}

/// Each number that a test of the workspace names, with one such test.
fn proven() -> BTreeMap<Number, String> {
    let mut files = Vec::new();
    for folder in ["crates", "bins", "tests"] {
        sources(&root().join(folder), &mut files);
    }
    let mut proven = BTreeMap::new();
    for file in files {
        let source = fs::read_to_string(&file).expect("a source is text");
        for name in tests(&source) {
            for number in numbers(name) {
                let place = || format!("{name} in {}", file.display());
                proven.entry(number).or_insert_with(place);
            }
        }
    }
    proven
}

#[test]
fn every_number_that_is_promised_is_proven_and_the_other_way_round() {
    let page = fs::read_to_string(root().join("docs/promises.md")).expect("the page is there");
    let (promised, proven) = (rows(&page), proven());
    let shown = |(kind, n): &Number| format!("{kind}{n}");
    let unproven: Vec<_> = promised
        .iter()
        .filter(|number| !proven.contains_key(number))
        .map(shown)
        .collect();
    assert!(unproven.is_empty(), "no test names {unproven:?}");
    let unsaid: Vec<_> = proven
        .iter()
        .filter(|(number, _)| !promised.contains(number))
        .map(|(number, place)| format!("{}: {place}", shown(number)))
        .collect();
    assert!(unsaid.is_empty(), "no row in docs/promises.md: {unsaid:#?}");
    // An empty page and a scanner that finds nothing would agree, too.
    assert!(promised.len() > 50, "{promised:?}");
}

#[test]
fn the_scanner_finds_what_is_a_test_and_nothing_else() {
    let source = [
        "#[test]",
        "fn r06_b18_headers() {",
        "    #[tokio::test(start_paused = true)]",
        "    // why",
        "    async fn f1_x() {}",
        "fn r99_helper() {}",
        "#[cfg(test)]",
        "mod inner { }",
        "fn r98_no_test_either() {}",
        "proptest! {",
        "    #[test]",
        "    fn b1_to_b3_damaged(",
        "#[test]",
        "fn promises_without_r7() {}",
    ]
    .join("\n");
    let names = tests(&source);
    let wanted = ["r06_b18_headers", "f1_x", "b1_to_b3_damaged"];
    assert_eq!(names[..3], wanted);
    assert_eq!(names[3..], ["promises_without_r7"]);

    let found: Vec<_> = names.into_iter().flat_map(numbers).collect();
    let (r, f, b) = ([('R', 6)], [('F', 1)], [('B', 1), ('B', 2), ('B', 3)]);
    assert_eq!(found, [&r[..], &[('B', 18)], &f, &b].concat());
    assert_eq!(numbers("r21_to_whom"), [('R', 21)]);
    assert_eq!(numbers("r21_b_x"), [('R', 21)]);
    assert_eq!(numbers("b64x_decode"), []);

    let page = "R1 in a text\n| R8 | a promise |\n| F12 | one |\n| number | promise |\n|---|---|";
    assert_eq!(rows(page), [('R', 8), ('F', 12)].into());
}
