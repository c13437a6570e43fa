//! `source` that is no URL: a repository on GitHub or a Python package, started by `uvx`.
//!
//! The text ends up as arguments of a program that fetches and runs code, so it is only what it
//! claims to be: no option, no path, no other scheme.

/// What starts Python programs from an index or from a repository.
pub(crate) const RUNNER: &str = "uvx";

/// What stands before the owner of a repository.
const GITHUB: &str = "github:";

/// The arguments with which the runner starts `source`.
pub(super) fn arguments(source: &str) -> Result<Vec<String>, &'static str> {
    match source.strip_prefix(GITHUB) {
        Some(rest) => {
            repository(rest).ok_or("must look like github:owner/repo or github:owner/repo@ref")
        }
        None if is_package(source) => Ok(vec![source.to_owned()]),
        None => Err(
            "must be a URL, github:owner/repo, or the name of a Python package (name or name@version)",
        ),
    }
}

/// `owner/repo[@ref]`. The program is named after the repository, as `uvx` packages usually are.
fn repository(text: &str) -> Option<Vec<String>> {
    let (place, reference) = match text.split_once('@') {
        Some((place, reference)) => (place, Some(reference)),
        None => (text, None),
    };
    let (owner, name) = place.split_once('/')?;
    let name = name.strip_suffix(".git").unwrap_or(name);
    let good = is_word(owner, "-") && is_word(name, "._-") && !name.starts_with('.');
    if !good || reference.is_some_and(|reference| !is_reference(reference)) {
        return None;
    }
    let mut from = format!("git+https://github.com/{owner}/{name}");
    if let Some(reference) = reference {
        from.push('@');
        from.push_str(reference);
    }
    Some(vec!["--from".to_owned(), from, name.to_owned()])
}

/// A branch, a tag or a commit.
fn is_reference(text: &str) -> bool {
    is_word(text, "._-/+") && !text.starts_with(['/', '.']) && !text.contains("..")
}

/// `name` or `name@version`.
fn is_package(text: &str) -> bool {
    let (name, version) = text.split_once('@').unwrap_or((text, "latest"));
    is_word(name, "._-") && !name.starts_with('.') && is_word(version, "._+!-")
}

/// Letters, digits and some others, not so many, and never what looks like an option.
fn is_word(text: &str, others: &str) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || others.contains(c);
    (1..=255).contains(&text.len()) && text.chars().all(fits) && !text.starts_with('-')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn repositories_and_packages_are_what_uvx_takes() {
        let line = |source: &str| arguments(source).unwrap().join(" ");
        assert_eq!(line("mcp-server-time"), "mcp-server-time");
        assert_eq!(line("mcp-server-time@1.2.3"), "mcp-server-time@1.2.3");
        assert_eq!(
            line("github:some-one/tools.py"),
            "--from git+https://github.com/some-one/tools.py tools.py"
        );
        assert_eq!(
            line("github:o/r.git@feature/x-1"),
            "--from git+https://github.com/o/r@feature/x-1 r"
        );
    }

    #[test]
    fn nothing_else_gets_to_the_command_line() {
        for bad in [
            "",
            "--help",
            "-x",
            "./here",
            "a b",
            "a;b",
            "a@",
            "a@-x",
            "@scope/name",
            "gitlab:o/r",
            "github:",
            "github:o",
            "github:o/",
            "github:/r",
            "github:o/r/x",
            "github:o/r@",
            "github:o/r@-f",
            "github:o/r@a..b",
            "github:-o/r",
            "github:o/..",
            "github:o/r#x",
        ] {
            assert!(arguments(bad).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn no_argument_is_an_option_of_the_file_s_choice(source in any::<String>()) {
            for argument in arguments(&source).into_iter().flatten() {
                prop_assert!(argument == "--from" || !argument.starts_with('-'));
                prop_assert!(argument.is_ascii() && !argument.contains([' ', '\0', ';']));
            }
        }
    }
}
