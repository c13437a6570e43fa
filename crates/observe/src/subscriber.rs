//! Sets up where log lines go.

use std::io;
use std::sync::OnceLock;

use tracing_subscriber::filter::{EnvFilter, ParseError};
use tracing_subscriber::fmt::format::FmtSpan;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::util::TryInitError;

use crate::LogFormat;
use crate::drops::DropReporter;
use crate::json::JsonLog;
use crate::lines::{Lines, LinesGuard};

/// Counts the lines that this process has lost.
static LOST: OnceLock<Lines> = OnceLock::new();

/// How many lines were dropped since the start because nobody read them; 0 where [`init`] did not
/// set the log up.
pub(crate) fn dropped_lines() -> usize {
    LOST.get().map_or(0, Lines::lost)
}

/// Why logging could not be set up.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InitError {
    /// `RUST_LOG` is no filter.
    #[error("RUST_LOG is no log filter")]
    Filter(#[from] ParseError),
    /// The process has a subscriber already.
    #[error("a log subscriber is set already")]
    Twice(#[from] TryInitError),
    /// There is no thread to spare for the log.
    #[error("no thread to write the log")]
    Thread(#[from] io::Error),
}

/// Writes what is still buffered when dropped, waiting for about a second at most.
#[derive(Debug)]
pub struct LogGuard {
    drops: DropReporter,
    _writer: LinesGuard,
}

impl LogGuard {
    /// How many lines were dropped since the start because nobody read them.
    pub fn dropped_lines(&self) -> usize {
        self.drops.count()
    }
}

/// Sends the log of this process to standard error, in `format`, filtered by `filter` (the value
/// of `RUST_LOG`; `info` where there is none).
///
/// No caller ever waits for whoever reads the log: a thread of its own writes, and while its
/// reader is stuck, lines beyond a bounded number are dropped and counted (F45). Once lines get
/// through again, one `warn` line tells how many were lost.
///
/// # Errors
/// If `filter` is none, or the process has a subscriber already.
pub fn init(format: LogFormat, filter: Option<&str>) -> Result<LogGuard, InitError> {
    let filter = match filter {
        Some(text) if !text.trim().is_empty() => EnvFilter::try_new(text)?,
        _ => EnvFilter::new("info"),
    };
    let (lines, writer) = Lines::start(io::stderr())?;
    install(format, filter, lines.clone())?;
    // There is but one subscriber in a process.
    LOST.get_or_init(|| lines.clone());
    Ok(LogGuard {
        drops: DropReporter::start(lines),
        _writer: writer,
    })
}

fn install(format: LogFormat, filter: EnvFilter, lines: Lines) -> Result<(), TryInitError> {
    match format {
        LogFormat::Json => tracing_subscriber::registry()
            .with(JsonLog::new(move |line| lines.add(line)))
            .with(filter)
            .try_init(),
        LogFormat::Text => tracing_subscriber::fmt()
            .with_env_filter(filter)
            .with_span_events(FmtSpan::NONE)
            .with_writer(lines)
            .with_ansi(LogFormat::detect() == LogFormat::Text)
            .finish()
            .try_init(),
    }
}
