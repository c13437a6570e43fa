//! The tap as a program.

use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use super::journal::{Journal, Role};
use super::{check, http, stdio};

/// Writes down what passes between the router and a peer, and checks what the router sent
#[derive(Debug, Parser)]
#[command(name = "tap")]
pub struct Command {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Stand before a URL; the own one is the first line of the output
    Http {
        #[command(flatten)]
        hop: Hop,
        /// Where requests go
        url: ::http::Uri,
    },
    /// Become a command that speaks stdio, and read along
    Stdio {
        #[command(flatten)]
        hop: Hop,
        /// The command and its arguments
        #[arg(last = true, required = true)]
        command: Vec<String>,
    },
    /// Copy stdin to stdout, and read along: a part of `stdio`
    #[command(hide = true)]
    Copy {
        #[arg(long, value_enum)]
        from: Role,
        #[arg(long)]
        journal: PathBuf,
    },
    /// Hold all that the router sent, by the journals of a folder, against the schemas of
    /// `MCP_SCHEMA_DIR`, and print what was found as JSON
    Check {
        /// The folder
        folder: PathBuf,
    },
}

#[derive(Debug, clap::Args)]
struct Hop {
    /// The folder of the journals
    #[arg(long)]
    folder: PathBuf,
    /// Whom the router speaks to there, for the reader of a complaint
    #[arg(long)]
    hop: String,
    /// What the router is to them
    #[arg(long, value_enum)]
    router: Role,
}

impl Hop {
    fn journal(&self) -> io::Result<Journal> {
        Journal::begin(&self.folder, &self.hop, self.router)
    }
}

impl Command {
    /// Does what was asked. Fails only if it could not: a message that does not fit is in the report.
    #[must_use]
    pub fn run(self) -> ExitCode {
        match self.what.run() {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                let _ = writeln!(io::stderr(), "tap: {error}");
                ExitCode::FAILURE
            }
        }
    }
}

impl What {
    fn run(self) -> io::Result<()> {
        match self {
            Self::Http { hop, url } => {
                let journal = hop.journal()?;
                let runtime = tokio::runtime::Builder::new_current_thread()
                    .enable_all()
                    .build()?;
                runtime.block_on(async {
                    let proxy = http::Proxy::bind(&url, journal).await?;
                    writeln!(io::stdout(), "listening on {}", proxy.url)?;
                    io::stdout().flush()?;
                    proxy.serve().await
                })
            }
            Self::Stdio { hop, command } => {
                let journal = hop.journal()?;
                Err(stdio::become_command(&command, journal.path()))
            }
            Self::Copy { from, journal } => {
                let journal = Journal::open(&journal)?;
                let copied = stdio::copy(from, &journal, io::stdin().lock(), io::stdout().lock());
                match copied {
                    // The other side went away, which is its right.
                    Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
                    copied => copied,
                }
            }
            Self::Check { folder } => {
                let report = check::folder(&folder)?;
                writeln!(io::stdout(), "{report}")
            }
        }
    }
}
