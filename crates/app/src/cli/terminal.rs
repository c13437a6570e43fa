//! Words for whoever started the program.
//!
//! Standard output carries results, standard error everything else.

use std::io::{self, ErrorKind, IsTerminal, Write};

use clap::ColorChoice;
use serde::Serialize;

use super::{FAILED, OK};

/// Prints a result. A reader that went away (`| head`) is not a failure of ours.
pub(super) fn print(text: &str) -> u8 {
    let mut out = io::stdout().lock();
    let written = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    match written {
        Ok(()) => OK,
        Err(error) if error.kind() == ErrorKind::BrokenPipe => OK,
        Err(error) => {
            complain(&format!("cannot write to standard output: {error}"));
            FAILED
        }
    }
}

/// Prints a result for programs.
pub(super) fn print_json(value: &impl Serialize) -> u8 {
    match serde_json::to_string_pretty(value) {
        Ok(text) => print(&(text + "\n")),
        // Names are strings and definitions JSON: there is nothing that cannot be written.
        Err(error) => {
            complain(&format!("the result cannot be written as JSON: {error}"));
            FAILED
        }
    }
}

/// Says what went wrong.
pub(super) fn complain(text: &str) {
    say(&format!("error: {text}"));
}

/// Says something beside the result.
pub(super) fn say(text: &str) {
    // Without a standard error there is nobody to tell.
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// When a person wants colours.
#[derive(Clone, Copy, Debug)]
pub(super) struct Colours(ColorChoice);

impl Colours {
    pub(super) const fn new(choice: ColorChoice) -> Self {
        Self(choice)
    }

    /// For what is written to standard error.
    pub(super) fn on_stderr(self) -> bool {
        self.on(&io::stderr())
    }

    /// For what is written to standard output.
    pub(super) fn on_stdout(self) -> bool {
        self.on(&io::stdout())
    }

    fn on(self, stream: &impl IsTerminal) -> bool {
        let refused = || {
            let set = |name, word: Option<&str>| {
                std::env::var_os(name)
                    .is_some_and(|v| !v.is_empty() && word.is_none_or(|word| v == word))
            };
            set("NO_COLOR", None) || set("TERM", Some("dumb"))
        };
        match self.0 {
            ColorChoice::Always => true,
            ColorChoice::Never => false,
            ColorChoice::Auto => stream.is_terminal() && !refused(),
        }
    }
}
