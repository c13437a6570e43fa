//! One router with one backend behind it, for tests that look at both sides of it.

use serde_json::{Value, json};

use super::legacy::LegacySession;
use super::modern::ModernClient;
use super::router::Router;
use super::{HttpClient, config};
use crate::fixture::{Fixture, FixtureBuilder, Received};

/// What reaches a backend because the router wants to know how it is and what it offers.
const OWN: [&str; 11] = [
    "server/discover",
    "initialize",
    "notifications/initialized",
    "ping",
    "health",
    "GET",
    "subscriptions/listen",
    "tools/list",
    "resources/list",
    "resources/templates/list",
    "prompts/list",
];

/// A router that is ready, and the backend `a` behind it.
#[derive(Debug)]
pub struct Scene {
    backend: Fixture,
    router: Router,
}

impl Scene {
    /// Both with nothing set.
    ///
    /// # Panics
    /// If the router does not start and become ready.
    pub async fn new() -> Self {
        Self::with("", Fixture::builder()).await
    }

    /// With this backend, and these sections of the file beside `backends:`.
    ///
    /// # Panics
    /// As [`Scene::new`].
    pub async fn with(sections: &str, backend: FixtureBuilder) -> Self {
        let backend = backend.spawn().await;
        let file = format!("{sections}\n{}", config([("a", backend.url())]));
        let router = Router::start(&file).await;
        router.until_ready().await;
        let scene = Self { backend, router };
        scene.works().await;
        scene
    }

    /// The backend.
    #[must_use]
    pub fn backend(&self) -> &Fixture {
        &self.backend
    }

    /// The router.
    #[must_use]
    pub fn router(&self) -> &Router {
        &self.router
    }

    /// A client that sends what it is told.
    #[must_use]
    pub fn client(&self) -> HttpClient {
        self.router.client()
    }

    /// A client of the stateless revision.
    #[must_use]
    pub fn modern(&self) -> ModernClient {
        self.router.modern()
    }

    /// A new session of a legacy revision.
    pub async fn session(&self, revision: &str) -> LegacySession {
        self.router.legacy_session(revision).await
    }

    /// What clients caused at the backend since the start, calls of [`Scene::works`] excepted.
    #[must_use]
    pub fn caused(&self) -> Vec<Received> {
        let mut seen = self.backend.log().requests();
        seen.retain(|r| {
            let good = r.json()["params"]["arguments"] == json!({"text": "good"});
            !good && !OWN.contains(&r.method.as_str())
        });
        seen
    }

    /// Makes a call that must succeed: whatever happened before did no harm.
    ///
    /// # Panics
    /// If it fails.
    pub async fn works(&self) {
        let answer = self.modern().call("a.echo", json!({"text": "good"})).await;
        assert_eq!(text(&answer), "good", "{answer}");
    }

    /// As [`Scene::works`]; and nothing that any client sent before has reached the backend.
    ///
    /// # Panics
    /// If either is not so.
    pub async fn works_untouched(&self) {
        self.works().await;
        let caused = self.caused();
        assert!(caused.is_empty(), "reached the backend: {caused:#?}");
    }
}

/// The text of a tool's answer; empty if it has none.
#[must_use]
pub fn text(answer: &Value) -> &str {
    answer["result"]["content"][0]["text"]
        .as_str()
        .unwrap_or_default()
}
