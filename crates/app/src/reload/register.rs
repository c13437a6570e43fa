//! Backends that clients register while the router runs.

use std::time::Duration;

use mcp_router_config::{BackendConfig, EndpointConfig, Wanted, registered};
use mcp_router_core::{ManageError, Registered, Registration};
use mcp_router_protocol::BackendName;
use tokio::time::timeout;

use super::address::public;
use super::task::Reloader;
use crate::build::url_text;

/// So many may be registered at a time.
const MOST: usize = 100;
/// How long the look-up of a name may take.
const LOOK_UP: Duration = Duration::from_secs(2);

impl Reloader {
    /// Adds a backend until it is unregistered or the router stops, and waits for its first list as
    /// long as clients wait for others at the start.
    ///
    /// # Errors
    /// Why not, for whoever asked.
    pub(super) async fn register(
        &mut self,
        wanted: Registration,
    ) -> Result<Registered, ManageError> {
        let rules = self.running.plan.config.registration.clone();
        let asked = Wanted {
            source: &wanted.source,
            name: wanted.name.as_deref(),
            namespace: wanted.namespace.as_deref(),
            priority: wanted.priority,
            auto_start: wanted.auto_start,
        };
        let config = registered(&asked, &rules, &self.origin.input);
        let config = config.map_err(|wrong| refused(wrong.join("; ")))?;
        let name = config.name.clone();
        if self.running.has(&name) {
            return Err(ManageError(format!("Backend '{name}' already exists")));
        }
        if self.running.registered.len() >= MOST {
            return Err(refused(format!("{MOST} backends are registered already")));
        }
        if !rules.allow_private {
            reachable(&config).await?;
        }
        let answer = Registered {
            backend_name: name.to_string(),
            namespace: config.namespace.to_string(),
            url: url_text(&config.endpoint),
            started: config.auto_start,
        };
        let mut all = self.running.registered.clone();
        all.push(config);
        self.change_registered(all).await?;
        tracing::info!(backend = %name, url = answer.url, "backend registered by a client");
        Ok(answer)
    }

    /// Removes a backend that was registered.
    ///
    /// # Errors
    /// Why not, for whoever asked.
    pub(super) async fn unregister(&mut self, name: &str) -> Result<(), ManageError> {
        let mut all = self.running.registered.clone();
        let before = all.len();
        all.retain(|config| config.name.as_str() != name);
        if all.len() == before {
            let known: Result<BackendName, _> = name.parse();
            let text = match known {
                Ok(known) if self.running.has(&known) => {
                    format!("Backend '{name}' is in the configuration file: remove it there")
                }
                _ => format!("Backend not found: {name}"),
            };
            return Err(ManageError(text));
        }
        self.change_registered(all).await?;
        tracing::info!(backend = %name, "backend unregistered by a client");
        Ok(())
    }

    async fn change_registered(&mut self, all: Vec<BackendConfig>) -> Result<(), ManageError> {
        let plan = self.running.plan.clone();
        let mut how = self.transition();
        how.wait = plan.wait();
        let changed = self.running.change(&self.router, plan, all, how).await;
        changed.map_err(|error| refused(crate::report(&error)))?;
        Ok(())
    }
}

/// Refuses what is not on the internet now. Where it is later, is looked at with each connection.
async fn reachable(config: &BackendConfig) -> Result<(), ManageError> {
    let EndpointConfig::Http(http) = &config.endpoint else {
        return Ok(()); // a process, which the operator allowed
    };
    for server in &http.servers {
        let default = match server.url.scheme_str() {
            Some("https") => 443,
            _ => 80,
        };
        let port = server.url.port_u16().unwrap_or(default);
        let host = server.url.host().unwrap_or_default();
        match timeout(LOOK_UP, public(host, port)).await {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => return Err(refused(format!("source: {error}"))),
            Err(_) => return Err(refused("source: its name was not found in time".to_owned())),
        }
    }
    Ok(())
}

fn refused(why: String) -> ManageError {
    ManageError(format!("Not registered: {why}"))
}
