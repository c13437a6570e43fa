//! A copy of some environment.

use std::collections::BTreeMap;
use std::path::PathBuf;

/// Variables and their values, taken once: a test can make its own. `Debug` shows names only.
#[derive(Clone, Default)]
pub struct Environment(BTreeMap<String, Result<String, NotUtf8>>);

/// The value of a variable is not text.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("value is not valid UTF-8")]
pub(crate) struct NotUtf8;

impl Environment {
    /// The environment of this process, as it is now. Variables whose names are not UTF-8 cannot be
    /// meant and are left out.
    pub fn of_process() -> Self {
        let named = std::env::vars_os().filter_map(|(name, value)| {
            let value = value.into_string().map_err(|_| NotUtf8);
            name.into_string().ok().map(|name| (name, value))
        });
        Self(named.collect())
    }

    /// The value of `name`: `None` when it is not set.
    pub(crate) fn get(&self, name: &str) -> Option<Result<&str, NotUtf8>> {
        let value = self.0.get(name)?;
        Some(value.as_deref().map_err(|error| *error))
    }

    /// Names that start with `prefix`, in order.
    pub(crate) fn names(&self, prefix: &str) -> impl Iterator<Item = &str> {
        let from = self.0.range(prefix.to_owned()..);
        from.map(|(name, _)| name.as_str())
            .take_while(move |name| name.starts_with(prefix))
    }

    /// A path whose leading `~/` is the home directory, if one is known.
    pub(crate) fn expand_home(&self, path: &str) -> PathBuf {
        let home = || {
            self.get("HOME")
                .and_then(Result::ok)
                .filter(|home| !home.is_empty())
        };
        match (path.strip_prefix('~'), home()) {
            (Some(rest), Some(home)) if rest.is_empty() || rest.starts_with('/') => {
                PathBuf::from(format!("{home}{rest}"))
            }
            _ => PathBuf::from(path),
        }
    }
}

impl FromIterator<(String, String)> for Environment {
    fn from_iter<I: IntoIterator<Item = (String, String)>>(variables: I) -> Self {
        let text = |(name, value)| (name, Ok(value));
        Self(variables.into_iter().map(text).collect())
    }
}

impl std::fmt::Debug for Environment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_leading_tilde_is_home() {
        let env: Environment = [("HOME".to_owned(), "/h".to_owned())].into_iter().collect();
        assert_eq!(env.expand_home("~/a"), PathBuf::from("/h/a"));
        assert_eq!(env.expand_home("~b/a"), PathBuf::from("~b/a"));
        assert_eq!(env.expand_home("a/~"), PathBuf::from("a/~"));
        assert_eq!(
            Environment::default().expand_home("~/a"),
            PathBuf::from("~/a")
        );
    }

    #[test]
    fn debug_shows_no_value() {
        let env: Environment = [("T".to_owned(), "swordfish".to_owned())]
            .into_iter()
            .collect();
        assert!(!format!("{env:?}").contains("swordfish"));
    }
}
