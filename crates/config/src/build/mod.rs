//! From keys that exist to settings that make sense together.
//!
//! The check of the file has seen each key alone. What it cannot see is judged here: names that
//! must be unique or must exist, keys that exclude each other, texts that must be URLs or patterns.

mod alerts;
mod backend;
mod backends;
mod endpoint;
mod health;
mod routes;
mod server;
mod tools;

pub(crate) use endpoint::RUNNER;

use std::collections::HashSet;
use std::time::Duration;

use crate::load::Flags;
use crate::model::{
    BackendConfig, Config, RegistrationConfig, RetryConfig, RoutingConfig, Separator,
};
use crate::raw::{
    RawBackend, RawFile, RawRegistration, RawRetry, RawRouting, RawSeparator, RawStrategy,
};
use crate::report::{Complaint, Notes};
use crate::variables::{Environment, Said};
use crate::yaml::{Path, Places};
use mcp_router_health::BackoffParams;
use mcp_router_routing::Strategy;

/// What building needs to know, and where it says what is wrong.
pub(crate) struct Site<'a> {
    pub(crate) places: &'a Places,
    /// Values that came from variables or files: never printed.
    pub(crate) filled: &'a HashSet<Path>,
    pub(crate) env: &'a Environment,
    pub(crate) said: &'a Said,
    pub(crate) notes: &'a mut Notes,
}

/// The whole configuration. Whether it may be used, the notes say.
pub(crate) fn build(raw: RawFile, flags: &Flags, site: &mut Site<'_>) -> Config {
    let routing = routing(raw.routing.unwrap_or_default(), site);
    let server = server::server(raw.server.unwrap_or_default(), flags, site);
    let alerts = alerts::alerts(raw.alerts.unwrap_or_default(), site);
    let registration = registration(raw.registration.unwrap_or_default(), site);
    let backends = backends::backends(raw.backends, raw.mcp_servers, raw.servers, site);
    Config {
        server,
        routing,
        backends,
        alerts,
        registration,
    }
}

/// One backend that no file holds.
pub(crate) fn one(raw: RawBackend, site: &mut Site<'_>) -> Option<BackendConfig> {
    backends::one(raw, site)
}

fn registration(raw: RawRegistration, site: &mut Site<'_>) -> RegistrationConfig {
    let path = Path::root().key("registration").key("allow_commands");
    let allow_commands = raw.allow_commands.unwrap_or_default();
    let commands = allow_commands.iter().enumerate();
    for (at, _) in commands.filter(|(_, command)| command.trim().is_empty()) {
        site.wrong(&path.item(at), "must not be empty");
    }
    RegistrationConfig {
        allow_private: raw.allow_private.unwrap_or(false),
        allow_commands,
    }
}

fn routing(raw: RawRouting, site: &mut Site<'_>) -> RoutingConfig {
    let path = Path::root().key("routing");
    let separator = match raw.namespace_separator {
        None | Some(RawSeparator::Dot) => Separator::Dot,
        Some(RawSeparator::Underscores) => Separator::Underscores,
    };
    let said = site.said;
    RoutingConfig {
        default_strategy: said
            .default_strategy
            .or(raw.default_strategy.map(strategy))
            .unwrap_or_default(),
        enable_namespace_prefixing: said
            .namespaces
            .or(raw.enable_namespace_prefixing)
            .unwrap_or(true),
        namespace_separator: separator,
        cache_ttl: said
            .cache_ttl
            .or(seconds(raw.capability_cache_ttl_seconds))
            .unwrap_or(Duration::from_secs(300)),
        request_timeout: said
            .request_timeout
            .or(seconds(raw.request_timeout_seconds))
            .unwrap_or(Duration::from_secs(30)),
        startup_wait: seconds(raw.startup_wait_seconds),
        retry: retry(&raw.retry.unwrap_or_default(), &path, site),
    }
}

/// How often a call is tried. The environment beats the file.
fn retry(raw: &RawRetry, path: &Path, site: &mut Site<'_>) -> RetryConfig {
    let (said, usual) = (site.said, BackoffParams::RETRY);
    let multiplier = said.backoff_multiplier.or(raw.backoff_multiplier);
    let multiplier = multiplier.unwrap_or_else(|| usual.multiplier());
    let backoff = usual.growing(multiplier).unwrap_or_else(|problem| {
        site.wrong(&path.key("retry").key("backoff_multiplier"), problem);
        usual
    });
    let cap = said.max_backoff.or(seconds(raw.max_backoff_seconds));
    RetryConfig {
        max_attempts: said.max_attempts.or(raw.max_attempts).unwrap_or(3),
        backoff: backoff.capped(cap.unwrap_or_else(|| usual.cap())),
    }
}

fn strategy(raw: RawStrategy) -> Strategy {
    match raw {
        RawStrategy::Path => Strategy::Path,
        RawStrategy::Capability => Strategy::Capability,
        RawStrategy::Fallback => Strategy::Fallback,
    }
}

/// Seconds whose range the check of the file has seen.
fn seconds(seconds: Option<f64>) -> Option<Duration> {
    Duration::try_from_secs_f64(seconds?).ok()
}

// === impl Site ===

impl Site<'_> {
    /// Complains about the value at `path`.
    fn wrong(&mut self, path: &Path, problem: impl std::fmt::Display) {
        let complaint = Complaint::new(format!("{path} {problem}"));
        self.notes.complain(complaint.at(self.places.place(path)));
    }

    /// Complains about the key at `path`.
    fn wrong_key(&mut self, path: &Path, problem: impl std::fmt::Display) {
        let complaint = Complaint::new(format!("{path} {problem}"));
        self.notes
            .complain(complaint.at(self.places.key_place(path)));
    }

    /// Complains that the value at `path` is missing, unless one was there and was wrong.
    fn missing(&mut self, path: &Path, problem: impl std::fmt::Display) {
        if !self.notes.bad.contains(path) {
            self.wrong(path, problem);
        }
    }

    /// Parses the text at `path`; what it is not, is a complaint.
    fn parse<T>(&mut self, path: &Path, text: &str) -> Option<T>
    where
        T: std::str::FromStr<Err: std::fmt::Display>,
    {
        match text.parse() {
            Ok(value) => Some(value),
            Err(problem) => {
                self.wrong(path, format_args!("is not valid: {problem}"));
                None
            }
        }
    }
}
