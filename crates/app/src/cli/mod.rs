//! The command line of both binaries, from arguments to exit code.

mod args;
mod call;
mod check;
mod load;
mod serve;
mod terminal;
mod tools;

use std::process::ExitCode;

pub use args::Edge;
use args::{Cli, Command};

/// Clean stop.
const OK: u8 = 0;
/// Something failed while running: the port is taken, a tool said no.
const FAILED: u8 = 1;
/// The configuration or the arguments are wrong.
const USAGE: u8 = 2;

/// Everything a binary does after its globals are set: reads the arguments of this process, does
/// what they say, and answers the exit code (0 clean, 1 run-time failure, 2 configuration or usage
/// error).
///
/// Sets up logging for the process and handles its signals, so it is for binaries only. Those
/// install the allocator and the TLS provider first.
pub fn main(edge: Edge) -> ExitCode {
    let cli = match args::parse(edge, std::env::args_os()) {
        Ok(cli) => cli,
        Err(early) => return ExitCode::from(early.finish()),
    };
    ExitCode::from(dispatch(edge, cli))
}

fn dispatch(edge: Edge, cli: Cli) -> u8 {
    let command = cli.command.clone();
    match command {
        Some(Command::Schema) => check::schema(),
        Some(Command::Import { .. }) => {
            terminal::complain("not implemented yet: import");
            USAGE
        }
        Some(Command::Check) => check::check(&cli),
        Some(Command::Tools { json, profile }) => tools::tools(&cli, json, profile),
        Some(Command::Call { name, arguments }) => call::call(&cli, &name, &arguments),
        None => serve::serve(edge, &cli),
    }
}

#[cfg(test)]
mod tests;
