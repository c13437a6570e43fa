//! The router and everything behind it: backends of each era and each kind of safety, a set of
//! replicas, a chain, a child, and one that nothing is ever done to.

use mcp_router_tests::fixture::{Era, Fixture, FixtureBuilder};
use mcp_router_tests::harness::{ChildLog, Router, child_entry};

/// Namespaces that are called.
pub(crate) const TARGETS: [&str; 8] = [
    "well", "modern", "legacy", "sse", "trusted", "set", "chain", "kid",
];

/// Backends as the router names them.
pub(crate) const BACKENDS: [&str; 9] = [
    "well", "modern", "legacy", "sse", "trusted", "set", "chain", "spare", "kid",
];

/// Calls that each backend takes at once.
pub(crate) const PERMITS: usize = 12;

/// One router in front of all of them.
pub(crate) struct Scene {
    pub(crate) router: Router,
    pub(crate) kid: ChildLog,
    well: Fixture,
    /// What things are done to.
    pub(crate) odd: Vec<Fixture>,
}

impl Scene {
    pub(crate) async fn start() -> Self {
        let well = Fixture::builder().era(Era::Modern).spawn().await;
        let kid = ChildLog::new();
        let mut odd = Vec::new();
        let kinds: [FixtureBuilder; 9] = [
            Fixture::builder().era(Era::Modern),
            Fixture::builder().era(Era::Legacy),
            Fixture::builder().http_sse(),
            Fixture::builder().era(Era::Dual),
            Fixture::builder().era(Era::Modern),
            Fixture::builder().era(Era::Modern),
            Fixture::builder().era(Era::Modern).health(200),
            Fixture::builder().era(Era::Modern),
            Fixture::builder().era(Era::Legacy).answer_as_sse(),
        ];
        for (number, kind) in kinds.into_iter().enumerate() {
            odd.push(kind.name(&format!("odd-{number}")).spawn().await);
        }
        let router = Router::start(&file(&well, &odd, &kid)).await;
        for name in BACKENDS {
            router.until_healthy(name).await;
        }
        Self {
            router,
            kid,
            well,
            odd,
        }
    }

    /// Everything that keeps a log in this process.
    pub(crate) fn fixtures(&self) -> impl Iterator<Item = &Fixture> {
        std::iter::once(&self.well).chain(&self.odd)
    }

    /// How often a call ran, wherever, the child apart.
    pub(crate) fn executions(&self, nonce: &str) -> u64 {
        self.fixtures().map(|f| f.log().executions(nonce)).sum()
    }

    /// Ends all faults.
    pub(crate) async fn heal(&self) {
        for fixture in &self.odd {
            fixture.clear_faults();
            fixture.go_up().await;
        }
    }
}

fn file(well: &Fixture, odd: &[Fixture], kid: &ChildLog) -> String {
    let url = |at: usize| odd[at].url();
    let simple =
        |name: &str, url: &str, rest: &str| entry(name, 5, &format!("url: \"{url}\"{rest}"));
    let patient =
        |name: &str, url: &str, rest: &str| entry(name, 1000, &format!("url: \"{url}\"{rest}"));
    let replicas: Vec<_> = (4..7)
        .map(|at| format!("{{ url: \"{}\" }}", url(at)))
        .collect();
    let replicas = format!("replicas: [{}]", replicas.join(", "));
    let chain = ", routes: [{ pattern: \"*\", strategy: fallback, fallback_to: spare }]";
    let path = kid.path();
    let kid = child_entry("kid", &["--log-file", &path]);
    [
        "routing:\n  request_timeout_seconds: 1\n".to_owned(),
        "  retry: { max_attempts: 2, max_backoff_seconds: 0 }\nbackends:\n".to_owned(),
        simple("well", &well.url(), ""),
        patient("modern", &url(0), ""),
        simple("legacy", &url(1), ", retry: { safety: strict }"),
        patient("sse", &url(2), ""),
        patient("trusted", &url(3), ", retry: { safety: trusting }"),
        entry("set", 5, &replicas),
        simple("chain", &url(7), chain),
        patient("spare", &url(8), ""),
        kid.replace("command:", &format!("{}, command:", limits(5))),
    ]
    .concat()
}

fn entry(name: &str, threshold: u32, rest: &str) -> String {
    let limits = limits(threshold);
    format!("  - {{ name: {name}, namespace: {name}, {limits}, {rest} }}\n")
}

/// A circuit that opens after so many failures and is open for a second only, so that there is
/// traffic through every state of it.
fn limits(threshold: u32) -> String {
    format!(
        "max_concurrency: {PERMITS}, circuit_breaker: {{ failure_threshold: {threshold}, \
         timeout_seconds: 1, half_open_attempts: 2 }}, \
         health_check: {{ interval_seconds: 1, timeout_seconds: 1 }}"
    )
}
