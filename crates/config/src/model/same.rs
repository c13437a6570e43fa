//! Whether two configurations say the same, secrets included.
//!
//! A backend whose configuration says the same as before is left alone by a reload. So everything
//! counts here: a rotated token is another backend.

use secrecy::{ExposeSecret, SecretString};

use super::{AlertConfig, AlertKind, CommandEndpoint, Config, HttpEndpoint};

/// Settings outside `backends` that a running router changes to. `server.limits` are those of
/// backends, which are replaced for it.
const LIVE: [&str; 8] = [
    "server.stale_ttl_seconds",
    "server.limits.max_in_flight_per_backend",
    "server.limits.max_in_flight_per_child",
    "server.limits.max_client_processes",
    "server.limits.max_queue_per_backend",
    "server.limits.max_answer_bytes",
    "server.limits.page_size",
    "server.limits.max_items_per_backend",
];

impl PartialEq for HttpEndpoint {
    fn eq(&self, other: &Self) -> bool {
        let headers = || self.headers.iter().zip(&other.headers);
        self.servers == other.servers
            && self.transport == other.transport
            && self.pool == other.pool
            && self.headers.len() == other.headers.len()
            && headers().all(|(a, b)| a.0 == b.0 && same(&a.1, &b.1))
    }
}

impl PartialEq for CommandEndpoint {
    fn eq(&self, other: &Self) -> bool {
        let env = || self.env.iter().zip(&other.env);
        self.program == other.program
            && self.args == other.args
            && self.cwd == other.cwd
            && self.processes == other.processes
            && self.hidden_args == other.hidden_args
            && self.env.len() == other.env.len()
            && env().all(|(a, b)| a.0 == b.0 && same(&a.1, &b.1))
    }
}

impl PartialEq for AlertConfig {
    fn eq(&self, other: &Self) -> bool {
        let headers = || self.headers.iter().zip(&other.headers);
        let urls = match (&self.url, &other.url) {
            (Some(a), Some(b)) => same(a, b),
            (a, b) => a.is_none() && b.is_none(),
        };
        urls && self.kind == other.kind
            && self.headers.len() == other.headers.len()
            && headers().all(|(a, b)| a.0 == b.0 && same(&a.1, &b.1))
    }
}

impl PartialEq for AlertKind {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::PagerDuty { routing_key: a }, Self::PagerDuty { routing_key: b }) => same(a, b),
            (Self::Webhook, Self::Webhook) | (Self::Slack, Self::Slack) => true,
            (Self::PagerDuty { .. } | Self::Webhook | Self::Slack, _) => false,
        }
    }
}

fn same(a: &SecretString, b: &SecretString) -> bool {
    a.expose_secret() == b.expose_secret()
}

impl Config {
    /// The keys whose values differ in `next` and that only a restart applies, in the file's words.
    pub fn needs_restart(&self, next: &Self) -> Vec<String> {
        let mut keys = Vec::new();
        let (old, new) = (self.to_json(), next.to_json());
        let section = "server";
        differing(section, old.get(section), new.get(section), &mut keys);
        keys.retain(|key| !LIVE.contains(&&**key));
        let (old, new) = (&self.server.session_keys, &next.server.session_keys);
        let all_same = || old.iter().zip(new).all(|(a, b)| same(a, b));
        // Their number is seen above.
        if old.len() == new.len() && !all_same() {
            keys.push("server.session_keys".to_owned());
        }
        keys
    }
}

/// The paths below `at` where two trees differ.
fn differing(
    at: &str,
    old: Option<&serde_json::Value>,
    new: Option<&serde_json::Value>,
    keys: &mut Vec<String>,
) {
    let maps = (
        old.and_then(serde_json::Value::as_object),
        new.and_then(serde_json::Value::as_object),
    );
    match maps {
        (Some(a), Some(b)) => {
            let added = b.keys().filter(|key| !a.contains_key(*key));
            for key in a.keys().chain(added) {
                differing(&format!("{at}.{key}"), a.get(key), b.get(key), keys);
            }
        }
        _ if old != new => keys.push(at.to_owned()),
        _ => {}
    }
}
