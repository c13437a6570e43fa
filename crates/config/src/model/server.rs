//! The router's own settings.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use secrecy::SecretString;

use super::Limits;

/// What belongs to the router itself.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ServerConfig {
    /// `serverInfo.name`.
    pub name: String,
    /// The address to listen on: an IP address (IPv6 without brackets) or a host name.
    pub host: String,
    /// The port to listen on. 0, any free one, comes only from the flag.
    pub port: u16,
    /// How to write logs; `None`: text on a terminal, else JSON.
    pub log_format: Option<LogFormat>,
    /// `Host` values accepted beside the loopback names.
    pub allowed_hosts: Vec<String>,
    /// `Origin` values accepted beside the loopback ones.
    pub allowed_origins: Vec<String>,
    /// How long calls in flight may take once the router was asked to stop.
    pub drain: Duration,
    /// How long to go on serving, not ready, before that.
    pub drain_serve: Duration,
    /// How long the items of a backend that went away stay listed.
    pub stale_ttl: Duration,
    /// Keys for sealed tokens: the first seals, all open. Empty: made at start.
    pub session_keys: Vec<SecretString>,
    /// Whether to serve the dashboard.
    pub ui: bool,
    /// Bounds on what clients and backends may use up.
    pub limits: Limits,
    /// Whether a change of the file reloads it.
    pub watch: bool,
    /// Whether backends may be registered at run time.
    pub allow_registration: bool,
}

/// How logs are written.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One object a line.
    Json,
}

// === impl LogFormat ===

impl fmt::Display for LogFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Text => "text",
            Self::Json => "json",
        })
    }
}

/// The text names no log format.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("a log format is text or json")]
pub struct UnknownLogFormat;

impl FromStr for LogFormat {
    type Err = UnknownLogFormat;

    fn from_str(text: &str) -> Result<Self, UnknownLogFormat> {
        match text {
            "text" => Ok(Self::Text),
            "json" => Ok(Self::Json),
            _ => Err(UnknownLogFormat),
        }
    }
}
