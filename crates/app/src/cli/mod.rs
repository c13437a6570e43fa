//! The command line of both binaries, from arguments to exit code.

mod args;
mod call;
mod check;
mod command;
mod explain;
mod import;
mod load;
mod manual;
mod serve;
mod table;
mod terminal;
mod tools;

use std::process::ExitCode;

use args::Cli;
pub use args::Edge;
use command::Command;

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
        Some(Command::Check { connect, output }) if connect => check::connect(&cli, output.json),
        Some(Command::Check { output, .. }) => check::check(&cli, output.json),
        Some(Command::Tools { output, profile }) => tools::tools(&cli, output.json, profile),
        Some(Command::Call {
            name, arguments, ..
        }) => call::call(&cli, &name, &arguments),
        Some(Command::Explain { tool, url, output }) => {
            let asked = explain::Asked { edge, tool, url };
            explain::explain(&cli, &asked, output.json)
        }
        Some(Command::Schema { .. }) => terminal::print_json(&mcp_router_config::schema()),
        Some(Command::Import {
            file,
            hide_secrets,
            output,
        }) => import::import(&cli, &file, hide_secrets, output.json),
        Some(Command::Completions { shell }) => manual::completions(edge, shell),
        Some(Command::Man { out }) => manual::man(edge, out.as_deref()),
        None => serve::serve(edge, &cli),
    }
}

#[cfg(test)]
mod tests;
