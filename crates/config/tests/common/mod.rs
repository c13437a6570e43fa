//! What every test here needs: a text as a file, loaded.
#![allow(dead_code, reason = "not every test file uses all of it")]

use mcp_router_config::{ConfigErrors, Environment, Flags, LoadInput, Loaded, load};

/// Variables for a test.
pub(crate) fn env(pairs: &[(&str, &str)]) -> Environment {
    let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    pairs.iter().map(owned).collect()
}

/// Loads `text` as `backends.yaml` with these variables.
pub(crate) fn load_with(
    text: impl AsRef<[u8]>,
    variables: &[(&str, &str)],
) -> Result<Loaded, ConfigErrors> {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("backends.yaml");
    std::fs::write(&path, text).unwrap();
    load(&LoadInput {
        path: Some(path),
        env: env(variables),
        flags: Flags::default(),
        ..LoadInput::default()
    })
}

/// Loads `text` without any variables.
pub(crate) fn load_text(text: &str) -> Result<Loaded, ConfigErrors> {
    load_with(text, &[])
}

/// The complaints about `text`, as `line:column message`.
pub(crate) fn complaints(text: &str, variables: &[(&str, &str)]) -> Vec<String> {
    let errors = load_with(text, variables).expect_err("the file should not be valid");
    let line = |c: &mcp_router_config::Complaint| {
        let at = c
            .place
            .map_or("-".to_owned(), |p| format!("{}:{}", p.line, p.column));
        format!("{at} {}", c.message)
    };
    errors.complaints().iter().map(line).collect()
}
