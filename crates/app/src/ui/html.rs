//! HTML that cannot be broken by what is written into it.
//!
//! Names, descriptions and errors come from backends and clients that nobody here wrote. One that
//! is pasted into a page unescaped runs as a script in the operator's browser. So a page is made of
//! two things: markup, which must be a literal of this program, and text, which is always escaped.
//! There is no third way.

use std::fmt::{self, Display, Write};

/// A page, or a part of one, while it is written.
#[derive(Debug, Default)]
pub(super) struct Html(String);

impl Html {
    /// Markup of this program.
    pub(super) fn raw(&mut self, markup: &'static str) -> &mut Self {
        self.0.push_str(markup);
        self
    }

    /// Text, or the value of an attribute between double quotes.
    pub(super) fn text(&mut self, text: impl Display) -> &mut Self {
        // Writing to a `String` cannot fail.
        let _ = write!(Escaped(&mut self.0), "{text}");
        self
    }

    /// An element with nothing but text in it; `open` is its whole start tag.
    pub(super) fn element(
        &mut self,
        open: &'static str,
        text: impl Display,
        close: &'static str,
    ) -> &mut Self {
        self.raw(open).text(text).raw(close)
    }

    /// Another part.
    pub(super) fn part(&mut self, part: &Self) -> &mut Self {
        self.0.push_str(&part.0);
        self
    }

    /// The markup.
    pub(super) fn into_string(self) -> String {
        self.0
    }
}

/// Escapes what is written through it.
struct Escaped<'a>(&'a mut String);

impl Write for Escaped<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for c in text.chars() {
            match c {
                '&' => self.0.push_str("&amp;"),
                '<' => self.0.push_str("&lt;"),
                '>' => self.0.push_str("&gt;"),
                '"' => self.0.push_str("&quot;"),
                '\'' => self.0.push_str("&#39;"),
                // What turns text around or hides in it is shown, not obeyed.
                c if deceives(c) => self.0.extend(c.escape_unicode()),
                c => self.0.push(c),
            }
        }
        Ok(())
    }
}

/// Whether a character changes what people see around it, or is seen by models alone. Joiners that
/// scripts and emoji need are not among them.
fn deceives(c: char) -> bool {
    let joins = matches!(c, '\u{200c}' | '\u{200d}' | '\u{fe0e}' | '\u{fe0f}');
    (c.is_control() && !matches!(c, '\n' | '\t'))
        || (!joins && mcp_router_protocol::json::is_invisible(c))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        let mut html = Html::default();
        html.text(text);
        html.into_string()
    }

    #[test]
    fn b36_text_can_neither_end_an_attribute_nor_begin_an_element() {
        let shown = shown("\"><script>alert('x')</script>&amp;");
        assert_eq!(
            shown,
            "&quot;&gt;&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;&amp;amp;"
        );
    }

    #[test]
    fn b36_text_that_turns_or_hides_is_shown_as_what_it_is() {
        assert_eq!(shown("a\u{202e}b"), "a\\u{202e}b");
        assert_eq!(shown("a\u{e0041}\u{1b}b"), "a\\u{e0041}\\u{1b}b");
        assert_eq!(shown("größe\n家"), "größe\n家");
    }
}
