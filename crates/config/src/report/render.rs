//! Complaints as text, with the line that they are about.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use annotate_snippets::renderer::DecorStyle;
use annotate_snippets::{AnnotationKind, Element, Group, Level, Origin, Renderer, Snippet};

use super::{Complaint, Place};

/// Longest line that is shown, in bytes. JSON on one line can have megabytes.
const LONGEST_LINE: usize = 2000;

/// A file as it may be shown: whatever could be a secret is already starred out.
#[derive(Clone, Debug)]
pub(crate) struct Source {
    path: PathBuf,
    masked: Arc<str>,
}

impl Source {
    pub(crate) fn new(path: PathBuf, masked: impl Into<Arc<str>>) -> Self {
        Self {
            path,
            masked: masked.into(),
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    fn line(&self, line: usize) -> &str {
        let found = self.masked.split('\n').nth(line.saturating_sub(1));
        found.unwrap_or_default().trim_end_matches('\r')
    }
}

/// One complaint, as a compiler would write it.
pub(super) fn render(complaint: &Complaint, source: Option<&Source>, colour: bool) -> String {
    let mut group = Group::with_title(Level::ERROR.primary_title(complaint.message.as_str()));
    if let (Some(place), Some(source)) = (complaint.place, source) {
        group = group.element(excerpt(source, place, AnnotationKind::Primary, None));
    }
    if let (Some(related), Some(source)) = (&complaint.related, source) {
        let (place, label) = related.as_ref();
        group = group.element(excerpt(
            source,
            *place,
            AnnotationKind::Context,
            Some(label),
        ));
    }
    if let Some(help) = &complaint.help {
        group = group.element(Level::HELP.message(help.as_str()));
    }
    let renderer = if colour {
        Renderer::styled()
    } else {
        Renderer::plain()
    };
    renderer.decor_style(DecorStyle::Ascii).render(&[group])
}

/// The line at `place` with a mark under it; of a very long line only where it is.
fn excerpt<'a>(
    source: &'a Source,
    place: Place,
    kind: AnnotationKind,
    label: Option<&'a String>,
) -> Element<'a> {
    let line = source.line(place.line);
    let path = source.path.display().to_string();
    if line.len() > LONGEST_LINE {
        return Origin::path(path)
            .line(place.line)
            .char_column(place.column)
            .into();
    }
    let byte_of = |column: usize| {
        let found = line.char_indices().nth(column).map(|(at, _)| at);
        found.unwrap_or(line.len())
    };
    let column = place.column.saturating_sub(1);
    let start = byte_of(column);
    let end = byte_of(column.saturating_add(place.width.max(1))).max(start);
    Snippet::source(line)
        .line_start(place.line)
        .path(path)
        .annotation(kind.span(start..end).label(label))
        .into()
}

/// A name from the file, fit to stand in a sentence: short, and on one line.
pub(crate) fn quote(name: &str) -> String {
    const LONGEST_NAME: usize = 80;
    let escaped: String = name
        .chars()
        .take(LONGEST_NAME)
        .flat_map(char::escape_debug)
        .collect();
    if name.chars().nth(LONGEST_NAME).is_some() {
        format!("`{escaped}…`")
    } else {
        format!("`{escaped}`")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(line: usize, column: usize, width: usize) -> Place {
        Place {
            line,
            column,
            width,
        }
    }

    #[test]
    fn a_complaint_shows_file_line_column_and_excerpt() {
        let source = Source::new("a/b.yaml".into(), "one: 1\ntwö: 2 # x\n");
        let complaint = Complaint::new("unknown key `twö`")
            .at(Some(place(2, 1, 3)))
            .related(Some(place(1, 6, 1)), "first here")
            .help("did you mean `two`?");
        let text = render(&complaint, Some(&source), false);
        for part in [
            "error: unknown key `twö`",
            "a/b.yaml:2:1",
            "twö: 2",
            "^^^",
            "one: 1",
            "first here",
            "did you mean",
        ] {
            assert!(text.contains(part), "{part} is missing in\n{text}");
        }
    }

    #[test]
    fn places_outside_the_text_do_not_panic() {
        let source = Source::new("f".into(), "é");
        for at in [
            place(1, 1, 99),
            place(1, 50, 0),
            place(7, 3, 1),
            place(0, 1, 1),
        ] {
            assert!(!render(&Complaint::new("m").at(Some(at)), Some(&source), true).is_empty());
        }
        let long = Source::new("f".into(), "x".repeat(1 << 20));
        let text = render(
            &Complaint::new("m").at(Some(place(1, 9999, 2))),
            Some(&long),
            false,
        );
        assert!(text.contains("f:1:9999") && text.len() < 1000, "{text}");
    }

    #[test]
    fn names_are_quoted_on_one_short_line() {
        assert_eq!(quote("a\nb\u{1b}"), "`a\\nb\\u{1b}`");
        assert!(quote(&"x".repeat(1000)).len() < 100);
    }
}
