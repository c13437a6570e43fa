//! How a backend that nobody calls is asked whether it is well.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use crate::InvalidParams;

/// Whether, how often and how a backend is probed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ProbeParams {
    enabled: bool,
    interval: Duration,
    timeout: Duration,
    endpoint: Option<String>,
    method: ProbeMethod,
}

/// What a probe sends.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum ProbeMethod {
    /// GET, and an MCP request where the server has no health page.
    #[default]
    Auto,
    /// GET of the health page.
    Get,
    /// OPTIONS of the health page.
    Options,
    /// An MCP request: `server/discover` or `ping`.
    Mcp,
}

// === impl ProbeParams ===

impl ProbeParams {
    /// One probe every `interval`, with `timeout` for all that it tries.
    ///
    /// # Errors
    /// When one of the two is zero.
    pub fn new(interval: Duration, timeout: Duration) -> Result<Self, InvalidParams> {
        if interval.is_zero() {
            return Err(InvalidParams::Zero("interval"));
        }
        if timeout.is_zero() {
            return Err(InvalidParams::Zero("timeout"));
        }
        Ok(Self {
            interval,
            timeout,
            ..Self::default()
        })
    }

    /// Switches probing on or off.
    #[must_use]
    pub fn with_enabled(mut self, enabled: bool) -> Self {
        self.enabled = enabled;
        self
    }

    /// A page that must answer 2xx, as a path or a whole URL; `None` for the usual one, whose
    /// absence proves nothing.
    #[must_use]
    pub fn with_endpoint(mut self, endpoint: Option<String>) -> Self {
        self.endpoint = endpoint;
        self
    }

    /// What to send.
    #[must_use]
    pub fn with_method(mut self, method: ProbeMethod) -> Self {
        self.method = method;
        self
    }

    /// Whether the backend is probed at all.
    pub fn enabled(&self) -> bool {
        self.enabled
    }

    /// From the start of one probe to the start of the next.
    pub fn interval(&self) -> Duration {
        self.interval
    }

    /// The longest that one probe takes.
    pub fn timeout(&self) -> Duration {
        self.timeout
    }

    /// The page that must answer 2xx, if one was named.
    pub fn endpoint(&self) -> Option<&str> {
        self.endpoint.as_deref()
    }

    /// What is sent.
    pub fn method(&self) -> ProbeMethod {
        self.method
    }
}

impl Default for ProbeParams {
    /// Enabled, every 30 s, 5 s each, no named page, method auto.
    fn default() -> Self {
        Self {
            enabled: true,
            interval: Duration::from_secs(30),
            timeout: Duration::from_secs(5),
            endpoint: None,
            method: ProbeMethod::Auto,
        }
    }
}

// === impl ProbeMethod ===

impl ProbeMethod {
    /// Every method, in the order of the documentation.
    pub const ALL: [Self; 4] = [Self::Auto, Self::Get, Self::Options, Self::Mcp];

    /// The word for it in a file.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Get => "get",
            Self::Options => "options",
            Self::Mcp => "mcp",
        }
    }
}

impl fmt::Display for ProbeMethod {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The text names no probe method.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("a probe method is one of auto, get, options, mcp")]
pub struct UnknownProbeMethod;

impl FromStr for ProbeMethod {
    type Err = UnknownProbeMethod;

    fn from_str(text: &str) -> Result<Self, UnknownProbeMethod> {
        let found = Self::ALL.into_iter().find(|method| method.as_str() == text);
        found.ok_or(UnknownProbeMethod)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn methods_are_read_back_as_they_are_written() {
        for method in ProbeMethod::ALL {
            assert_eq!(method.to_string().parse(), Ok(method));
        }
        assert_eq!("GET".parse::<ProbeMethod>(), Err(UnknownProbeMethod));
    }

    #[test]
    fn a_probe_without_time_is_refused() {
        let s = Duration::from_secs(1);
        assert!(ProbeParams::new(Duration::ZERO, s).is_err());
        assert!(ProbeParams::new(s, Duration::ZERO).is_err());
    }
}
