//! Tables on a terminal.
//!
//! Cells hold what backends chose to say, so each is escaped: none of them paints our terminal.

use mcp_router_observe::{field::MAX_FOREIGN, printable};

/// Rows under a head, aligned.
#[derive(Debug)]
pub(super) struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table with these names over its columns.
    pub(super) fn new(head: &[&str]) -> Self {
        let mut table = Self { rows: Vec::new() };
        table.row(head);
        table
    }

    /// One more row. Cells that are missing are empty.
    pub(super) fn row<T: AsRef<str>>(&mut self, cells: &[T]) {
        let cells = cells.iter().map(|cell| printable(cell.as_ref()));
        self.rows
            .push(cells.map(|cell| cell.into_owned()).collect());
    }

    /// The text, a line for each row; the head is bold in colour.
    pub(super) fn render(&self, colour: bool) -> String {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let width = |column: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..columns).map(width).collect();
        let mut out = String::new();
        for (at, row) in self.rows.iter().enumerate() {
            let cells = row.iter().zip(&widths);
            let cells: Vec<_> = cells
                .map(|(cell, width)| format!("{cell:width$}"))
                .collect();
            let line = cells.join("  ");
            match colour && at == 0 {
                true => out.push_str(&bold(line.trim_end())),
                false => out.push_str(line.trim_end()),
            }
            out.push('\n');
        }
        out
    }
}

/// A line of ours with foreign text in it, escaped like a cell but longer.
pub(super) fn line(text: &str) -> String {
    /// More tells nobody more.
    const LONGEST: usize = 1000;
    let chars: Vec<char> = text.chars().take(LONGEST).collect();
    let parts = chars.chunks(MAX_FOREIGN).map(String::from_iter);
    parts
        .map(|part: String| printable(&part).into_owned())
        .collect()
}

/// For a terminal that shows it.
pub(super) fn bold(text: &str) -> String {
    format!("\u{1b}[1m{text}\u{1b}[0m")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn b36_cells_are_aligned_and_escaped_and_only_the_head_is_painted() {
        let mut table = Table::new(&["A", "LONG"]);
        table.row(&["wide cell", "\u{1b}[31mred"]);
        table.row(&["x"]);
        let plain = "A          LONG\nwide cell  \\u{1b}[31mred\nx\n";
        assert_eq!(table.render(false), plain);
        let painted = table.render(true);
        assert!(
            painted.starts_with("\u{1b}[1mA          LONG\u{1b}[0m\n"),
            "{painted:?}"
        );
        assert_eq!(painted.matches('\u{1b}').count(), 2);
    }

    #[test]
    fn b36_lines_are_escaped_and_bounded_but_not_cut_like_cells() {
        let long = "x".repeat(200);
        assert_eq!(line(&format!("{long}\u{1b}")), format!("{long}\\u{{1b}}"));
        assert_eq!(line(&"y".repeat(5000)).len(), 1000);
    }
}
