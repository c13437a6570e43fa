//! A tap on stdio: becomes the command, with a reader before its stdin and one behind its stdout.
//!
//! The command takes the place of this process, so that signals, exit code and parent are its own; the
//! readers are two processes that end with the pipes that they read.

use std::io::{self, Read, Write};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use super::journal::{Journal, Record, Role};

/// Becomes `command`; returns only if that cannot be done.
pub(super) fn become_command(command: &[String], journal: &Path) -> io::Error {
    let prepared = || -> io::Result<Command> {
        let (program, arguments) = command.split_first().ok_or(io::ErrorKind::InvalidInput)?;
        let (its_stdin, towards) = io::pipe()?;
        let (from, its_stdout) = io::pipe()?;
        reader(journal, Role::Client, Stdio::inherit(), towards.into())?;
        reader(journal, Role::Server, from.into(), Stdio::inherit())?;
        let mut command = Command::new(program);
        command.args(arguments).stdin(its_stdin).stdout(its_stdout);
        Ok(command)
    };
    match prepared() {
        Ok(mut command) => command.exec(),
        Err(error) => error,
    }
}

/// Starts the process that reads one direction along.
fn reader(journal: &Path, from: Role, input: Stdio, output: Stdio) -> io::Result<()> {
    let from = match from {
        Role::Client => "client",
        Role::Server => "server",
    };
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["copy", "--from", from, "--journal"]);
    command.arg(journal).stdin(input).stdout(output).spawn()?;
    Ok(())
}

/// Copies stdin to stdout as it comes, and notes each line before its last byte is passed on.
pub(super) fn copy(
    from: Role,
    journal: &Journal,
    mut input: impl Read,
    mut output: impl Write,
) -> io::Result<()> {
    let mut buffer = vec![0; 64 << 10];
    let mut line = Vec::new();
    loop {
        let read = match input.read(&mut buffer) {
            Ok(0) => break,
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        for piece in buffer[..read].split_inclusive(|byte| *byte == b'\n') {
            line.extend_from_slice(piece);
            if line.ends_with(b"\n") {
                note(journal, from, &line)?;
                line.clear();
            }
        }
        output.write_all(&buffer[..read])?;
        output.flush()?;
    }
    note(journal, from, &line)
}

fn note(journal: &Journal, from: Role, line: &[u8]) -> io::Result<()> {
    let text = String::from_utf8_lossy(line);
    match text.trim_end() {
        "" => Ok(()),
        text => journal.write(&Record::Line {
            from,
            text: text.to_owned(),
        }),
    }
}
