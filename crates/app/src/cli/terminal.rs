//! Words for whoever started the program.
//!
//! Standard output carries results, standard error everything else.

use std::io::{self, ErrorKind, IsTerminal, Write};

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

/// Says what went wrong.
pub(super) fn complain(text: &str) {
    say(&format!("error: {text}"));
}

/// Says something beside the result.
pub(super) fn say(text: &str) {
    // Without a standard error there is nobody to tell.
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// Whether a person reads standard error and wants colours.
pub(super) fn colours() -> bool {
    let refused = std::env::var_os("NO_COLOR").is_some_and(|v| !v.is_empty());
    io::stderr().is_terminal() && !refused
}
