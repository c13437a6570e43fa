//! An error and its causes, as one sentence.

use std::error::Error;

/// The text of an error with everything that led to it, outermost first.
pub fn report(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        // Some libraries repeat their source; nobody needs to read it twice.
        if !text.ends_with(&more) {
            text.push_str(": ");
            text.push_str(&more);
        }
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("{text}")]
    struct Layered {
        text: &'static str,
        source: Option<Box<Layered>>,
    }

    #[test]
    fn causes_follow_and_are_not_repeated() {
        let chain = |text, source: Option<Layered>| Layered {
            text,
            source: source.map(Box::new),
        };
        let error = chain("a", Some(chain("b: c", Some(chain("c", None)))));
        assert_eq!(report(&error), "a: b: c");
    }
}
