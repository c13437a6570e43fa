//! The way to a value: keys and positions from the top of the file.

use std::fmt;

/// One step down.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(crate) enum Step {
    Key(String),
    Item(usize),
}

/// Steps from the top of the file. `Display` writes `backends[2].name`.
#[derive(Clone, Debug, Default, Eq, Hash, PartialEq)]
pub(crate) struct Path(Vec<Step>);

// === impl Path ===

impl Path {
    pub(crate) fn root() -> Self {
        Self::default()
    }

    pub(crate) fn key(&self, key: &str) -> Self {
        self.then(Step::Key(key.to_owned()))
    }

    pub(crate) fn item(&self, item: usize) -> Self {
        self.then(Step::Item(item))
    }

    pub(crate) fn steps(&self) -> &[Step] {
        &self.0
    }

    fn then(&self, step: Step) -> Self {
        let mut steps = Vec::with_capacity(self.0.len() + 1);
        steps.extend_from_slice(&self.0);
        steps.push(step);
        Self(steps)
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Shown(&self.0).fmt(f)
    }
}

struct Shown<'a>(&'a [Step]);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, step) in self.0.iter().enumerate() {
            match step {
                Step::Key(key) if at == 0 => write!(f, "{}", key.escape_debug())?,
                Step::Key(key) => write!(f, ".{}", key.escape_debug())?,
                Step::Item(item) => write!(f, "[{item}]")?,
            }
        }
        Ok(())
    }
}
