//! Who is told of outages.

use http::HeaderName;
use secrecy::SecretString;

/// Somebody who is told when a backend becomes unhealthy, and when it recovers. Two are equal if
/// they say the same, secrets included.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct AlertConfig {
    /// What they speak.
    pub kind: AlertKind,
    /// Where they are. Absent only where the kind knows. A secret: many receivers know their
    /// senders by it.
    pub url: Option<SecretString>,
    /// Sent along.
    pub headers: Vec<(HeaderName, SecretString)>,
}

/// What the receiver of an alert speaks.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum AlertKind {
    /// JSON of the router's own.
    Webhook,
    /// `{"text": …}`, as Slack and its likes take it.
    Slack,
    /// PagerDuty's Events API v2.
    PagerDuty {
        /// Whose incident it is.
        routing_key: SecretString,
    },
}

impl AlertKind {
    /// The kind as the file spells it.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Webhook => "webhook",
            Self::Slack => "slack",
            Self::PagerDuty { .. } => "pagerduty",
        }
    }
}
