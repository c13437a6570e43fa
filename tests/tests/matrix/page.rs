//! The page that says what came out.

use std::fmt::Write as _;
use std::path::Path;

use super::features::ALL;
use super::{Cell, End, ends};

const HEAD: &str = "\
# What works between which revisions

Written by a test run (`MATRIX=write cargo test -p mcp-router-tests --test matrix`), not by hand: the
test fails if this page says anything else than what came out.

Every client below was one router's, beside all the others, and used every backend below through
it. A row is a client, a column a backend. A cell names, by letter, everything that came out right;
`–` stands in place of a letter where one of the two revisions does not have the feature, and a number
in its place for what the client's revision has no words for: those calls end in the error below.

";

/// Compares the page in the tree with what came out, or renews it.
///
/// # Panics
/// If they differ.
pub(crate) fn judge(rows: &[Vec<Cell>]) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/matrix.md");
    let page = page(rows);
    if std::env::var("MATRIX").is_ok_and(|value| value == "write") {
        std::fs::write(&path, page).expect("the page can be written");
        return;
    }
    let told = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(told == page, "docs/matrix.md is not what came out:\n{page}");
}

fn page(rows: &[Vec<Cell>]) -> String {
    let mut errors = Vec::new();
    let mut table = String::from("| client \\ backend |");
    for end in ends() {
        let _ = write!(table, " {} |", name(end));
    }
    table += "\n|---|";
    table += &"---|".repeat(ends().len());
    for (client, row) in ends().into_iter().zip(rows) {
        let _ = write!(table, "\n| {} |", name(client));
        for (backend, cell) in ends().into_iter().zip(row) {
            let _ = write!(table, " `{}` |", cell_text(cell, backend, &mut errors));
        }
    }
    let mut text = HEAD.to_owned();
    text += &table;
    text += "\n\n| letter | what came out right |\n|---|---|\n";
    for feature in ALL {
        let (letter, told) = feature.told();
        let _ = writeln!(text, "| `{letter}` | {told} |");
    }
    text += "\n| number | the error in place of it |\n|---|---|\n";
    for (index, error) in errors.iter().enumerate() {
        let _ = writeln!(text, "| `{}` | {error} |", index + 1);
    }
    text
}

fn name(end: End) -> String {
    format!("{} {}", end.revision, end.wire.name())
}

fn cell_text(cell: &Cell, backend: End, errors: &mut Vec<String>) -> String {
    let mut text = String::new();
    for (feature, tried) in cell {
        match tried {
            None => text.push('–'),
            Some(Ok(())) => text += feature.told().0,
            Some(Err(error)) => {
                let error = error.replace(&backend.word(), "BACKEND");
                let at = errors.iter().position(|known| *known == error);
                let at = at.unwrap_or_else(|| {
                    errors.push(error);
                    errors.len() - 1
                });
                let _ = write!(text, "{}", at + 1);
            }
        }
    }
    text
}
