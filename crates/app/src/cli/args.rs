//! Arguments as text, and as what they mean.

use std::ffi::OsString;
use std::fmt::Write;
use std::path::PathBuf;

use clap::{Args, ColorChoice, CommandFactory, FromArgMatches, Parser};
use mcp_router_config::{Flags, LogFormat, VARIABLES};

use super::USAGE;
use super::command::Command;
use super::terminal::Colours;

/// Which way clients come in.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Edge {
    /// Over HTTP.
    Http,
    /// Over standard input and output.
    Stdio,
}

/// One MCP endpoint in front of many MCP servers, over HTTP.
///
/// Serves /mcp (streamable HTTP), /sse (HTTP+SSE of 2024-11-05), the dashboard at /ui, /metrics,
/// /health and /ready.
#[derive(Debug, Parser)]
#[command(name = "mcp-router-http", version, max_term_width = 100)]
struct HttpArgs {
    #[command(flatten)]
    listen: ListenArgs,
    #[command(flatten)]
    common: CommonArgs,
    #[command(subcommand)]
    command: Option<Command>,
}

/// One MCP server over standard input and output, in front of many MCP servers.
///
/// Logs go to standard error. Ends with its input, and stops the servers it started.
#[derive(Debug, Parser)]
#[command(name = "mcp-router-stdio", version, max_term_width = 100)]
struct StdioArgs {
    #[command(flatten)]
    common: CommonArgs,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Clone, Debug, Default, Args)]
struct ListenArgs {
    /// Address to listen on, instead of MCP_HOST
    #[arg(long, global = true)]
    host: Option<String>,
    /// Port to listen on, instead of MCP_PORT; 0 takes any free one
    #[arg(long, global = true)]
    port: Option<u16>,
}

#[derive(Clone, Debug, Args)]
struct CommonArgs {
    /// Configuration file, YAML or JSON; instead of MCP_BACKENDS_CONFIG
    #[arg(long, global = true, value_name = "PATH")]
    config: Option<PathBuf>,
    /// How to write logs: json or text; instead of MCP_LOG_FORMAT
    #[arg(long, global = true, value_name = "json|text")]
    log_format: Option<LogFormat>,
    /// Run with built-in demo backends and no file
    #[arg(long, global = true, conflicts_with = "config")]
    demo: bool,
    /// Colours: where a terminal shows them, unless NO_COLOR is set
    #[arg(
        long,
        global = true,
        value_name = "WHEN",
        default_value = "auto",
        hide_default_value = true
    )]
    color: ColorChoice,
}

/// The arguments of either binary.
#[derive(Clone, Debug)]
pub(super) struct Cli {
    pub(super) config: Option<PathBuf>,
    pub(super) demo: bool,
    pub(super) flags: Flags,
    pub(super) command: Option<Command>,
    pub(super) colours: Colours,
}

/// The arguments end the program before it began: `--help`, or a mistake.
#[derive(Debug)]
pub(super) struct Early(clap::Error);

impl Early {
    /// Prints what there is to say, and answers the exit code.
    pub(super) fn finish(self) -> u8 {
        // If nobody reads it, nobody misses it.
        let _ = self.0.print();
        self.code()
    }

    /// The exit code.
    pub(super) fn code(&self) -> u8 {
        u8::try_from(self.0.exit_code()).unwrap_or(USAGE)
    }
}

/// Reads the arguments of a binary, its name first.
pub(super) fn parse(edge: Edge, args: impl IntoIterator<Item = OsString>) -> Result<Cli, Early> {
    let (listen, common, command) = match edge {
        Edge::Http => {
            let args: HttpArgs = matched(args)?;
            (args.listen, args.common, args.command)
        }
        Edge::Stdio => {
            let args: StdioArgs = matched(args)?;
            (ListenArgs::default(), args.common, args.command)
        }
    };
    let flags = Flags {
        host: listen.host,
        port: listen.port,
        log_format: common.log_format,
    };
    Ok(Cli {
        config: common.config,
        demo: common.demo,
        flags,
        command,
        colours: Colours::new(common.color),
    })
}

/// The whole command line of a binary, for its completions and manual pages.
pub(super) fn whole(edge: Edge) -> clap::Command {
    match edge {
        Edge::Http => described::<HttpArgs>(),
        Edge::Stdio => described::<StdioArgs>(),
    }
}

fn matched<T: CommandFactory + FromArgMatches>(
    args: impl IntoIterator<Item = OsString>,
) -> Result<T, Early> {
    let args: Vec<OsString> = args.into_iter().collect();
    let command = described::<T>().color(wanted(&args));
    let matches = command.try_get_matches_from(args).map_err(Early)?;
    T::from_arg_matches(&matches).map_err(Early)
}

/// The colours of help and of complaints about the arguments themselves, which are written before
/// any argument is read.
fn wanted(args: &[OsString]) -> ColorChoice {
    let texts: Vec<_> = args.iter().filter_map(|arg| arg.to_str()).collect();
    let pairs = texts.windows(2).filter(|pair| pair[0] == "--color");
    let joined = texts.iter().filter_map(|arg| arg.strip_prefix("--color="));
    let mut words = pairs.map(|pair| pair[1]).chain(joined);
    words
        .find_map(|word| word.parse().ok())
        .unwrap_or(ColorChoice::Auto)
}

fn described<T: CommandFactory>() -> clap::Command {
    T::command().after_help(variables())
}

/// What `--help` prints.
#[cfg(test)]
pub(super) fn help(edge: Edge) -> String {
    let mut command = whole(edge);
    command.render_long_help().to_string()
}

/// The environment, as `--help` shows it.
fn variables() -> String {
    let width = VARIABLES.iter().map(|v| v.name.len()).max().unwrap_or(0);
    let mut text = String::from("Environment (flags beat it, and it beats the file):\n");
    for variable in VARIABLES {
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "  {:width$}  {} [default: {}]",
            variable.name, variable.meaning, variable.default
        );
    }
    let _ = writeln!(
        text,
        "  {:width$}  where to send traces; the other OTEL_* variables apply, too [default: nowhere]",
        "OTEL_EXPORTER_OTLP_ENDPOINT"
    );
    text.push_str("\nExit codes: 0 clean stop, 1 run-time failure, 2 wrong configuration or usage");
    text
}
