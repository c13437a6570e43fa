//! The subcommands, as clap reads them.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use clap_complete::Shell;
use mcp_router_protocol::Profile;

/// What to do instead of serving.
#[derive(Clone, Debug, Eq, PartialEq, Subcommand)]
pub(super) enum Command {
    /// Validate the configuration and print what it amounts to
    ///
    /// With --connect, reach every backend as well: what it speaks, how fast it answers, what it
    /// offers, which names change for which host, what collides, which patterns match nothing.
    /// Exit code 1 if one cannot be reached.
    Check {
        /// Reach every backend, and tell what was found
        #[arg(long)]
        connect: bool,
        #[command(flatten)]
        output: Output,
    },
    /// Connect to every backend and print the merged tools
    Tools {
        #[command(flatten)]
        output: Output,
        /// Show the names that clients of this host get: claude-desktop, claude-code, cursor,
        /// vscode, openai, codex, copilot, windsurf, bedrock, or what a host calls itself
        #[arg(
            long = "as",
            value_name = "HOST",
            default_value = "plain",
            hide_default_value = true
        )]
        profile: Profile,
    },
    /// Call one tool and print its result as JSON
    Call {
        /// The tool's exposed name, as `tools` prints it for any host
        name: String,
        /// The arguments, a JSON object
        #[arg(value_name = "JSON", default_value = "{}")]
        arguments: String,
        #[command(flatten)]
        always: AlwaysJson,
    },
    /// Tell which backend gets a tool's calls, why, and what each call passes on the way
    ///
    /// Asks the running router, which also knows how the backend fares. Where none answers, connects
    /// to the backends itself.
    Explain {
        /// The tool's name, in any spelling
        tool: String,
        /// The running router's MCP endpoint, such as http://127.0.0.1:8000/mcp. Default: where the
        /// configuration says that it listens
        #[arg(long)]
        url: Option<String>,
        #[command(flatten)]
        output: Output,
    },
    /// Print the JSON Schema of the configuration file
    ///
    /// Editors complete and check by it: write it to a file, and put
    /// `# yaml-language-server: $schema=FILE` into the first line of the configuration.
    Schema {
        #[command(flatten)]
        always: AlwaysJson,
    },
    /// Convert the servers of another host's file to our YAML
    ///
    /// Takes the files of Claude Desktop, Claude Code, Cursor and VS Code, and `servers:` lists with
    /// `endpoint`, `auth` and `priority`. What has no counterpart is told on standard error and in
    /// comments.
    Import {
        /// The file to convert; - is standard input
        file: PathBuf,
        /// Put ${VARIABLES} in place of values that look like secrets
        #[arg(long)]
        hide_secrets: bool,
        #[command(flatten)]
        output: Output,
    },
    /// Print a completion script for a shell
    Completions {
        /// Which shell
        shell: Shell,
    },
    /// Print the manual page, or write those of all subcommands to a folder
    Man {
        /// Write one page a subcommand there
        #[arg(long, value_name = "FOLDER")]
        out: Option<PathBuf>,
    },
}

/// How a result is printed.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Args)]
pub(super) struct Output {
    /// Print JSON, for programs
    #[arg(long)]
    pub(super) json: bool,
}

/// For commands that print JSON anyway: the flag that others have is no mistake here.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Args)]
pub(super) struct AlwaysJson {
    /// The output is JSON anyway
    #[arg(long = "json", hide = true)]
    pub(super) _json: bool,
}
