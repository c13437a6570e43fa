//! Every client revision against every backend revision, over every transport that they have.
//!
//! What a user wants to know is whether *his* client gets *this* feature of *that* server through
//! the router. So each pair is tried, each feature judged by what comes out, and the answer is the page
//! `docs/matrix.md`: the test fails if the page says anything else. `MATRIX=write` renews the page.

mod features;
mod page;
mod peer;

use futures::future::join_all;
use mcp_router_tests::fixture::{Era, Fixture, MODERN};
use mcp_router_tests::harness::{Router, child_entry, config, until};
use serde_json::Value;
use tokio::sync::Mutex;

use self::features::{ALL, DROPPED, Feature, Place};
use self::peer::{Peer, Wire};

/// The revisions, and how each travels beside stdio.
pub(crate) const REVISIONS: [(&str, Wire); 5] = [
    ("2024-11-05", Wire::Sse),
    ("2025-03-26", Wire::Http),
    ("2025-06-18", Wire::Http),
    ("2025-11-25", Wire::Http),
    (MODERN, Wire::Http),
];

/// One end of the router.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct End {
    pub(crate) revision: &'static str,
    pub(crate) wire: Wire,
}

impl End {
    /// In one word, which is also the namespace of a backend.
    pub(crate) fn word(self) -> String {
        let wire = match self.wire {
            Wire::Stdio => "pipe",
            _ => "http",
        };
        format!("r{}-{wire}", &self.revision[..7].replace('-', ""))
    }

    async fn backend(self) -> Fixture {
        let builder = match (self.wire, self.revision) {
            (Wire::Sse, _) => Fixture::builder().http_sse(),
            (_, MODERN) => Fixture::builder().era(Era::Modern),
            _ => Fixture::builder()
                .era(Era::Legacy)
                .versions(&[self.revision]),
        };
        builder.name(&self.word()).asking().newsy().spawn().await
    }

    fn child(self) -> String {
        let era = match self.revision {
            MODERN => &["--era", "modern"][..],
            revision => &["--era", "legacy", "--revision", revision],
        };
        let args = [era, &["--asking", "--newsy"]].concat();
        child_entry(&self.word(), &args)
    }
}

/// Both ends have the same ones.
pub(crate) fn ends() -> Vec<End> {
    let both = |(revision, wire)| [wire, Wire::Stdio].map(|wire| End { revision, wire });
    REVISIONS.into_iter().flat_map(both).collect()
}

/// What came out: nothing where one of the two revisions does not know the feature.
pub(crate) type Cell = Vec<(Feature, Option<Result<(), String>>)>;

/// One client at every backend. Only one client is at a backend at a time: what a backend asks over a
/// connection that clients share is somebody's only if one of them waits there.
async fn row(number: usize, router: &Router, config: &str, turns: &[Mutex<()>]) -> Vec<Cell> {
    let client = ends()[number];
    let (mut peer, hello) = Peer::open(client.revision, client.wire, router, config).await;
    peer.until_healthy(&ends().into_iter().map(End::word).collect::<Vec<_>>())
        .await;
    let mut cells = vec![Cell::new(); ends().len()];
    for step in 0..cells.len() {
        // Each begins somewhere else, so that they seldom meet.
        let column = (number + step) % cells.len();
        let backend = ends()[column];
        let _turn = turns[column].lock().await;
        let place = Place {
            client: client.word(),
            backend: backend.word(),
            revision: backend.revision,
            shared: backend.wire != Wire::Http,
            hello: hello.clone(),
        };
        let mut cell = Vec::new();
        for feature in ALL {
            let exists = feature.exists(client.revision, backend.revision);
            let tried = match exists {
                true => Some(feature.tried(&mut peer, &place).await),
                false => None,
            };
            cell.push((feature, tried));
        }
        cells[column] = cell;
    }
    cells
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r01_every_revision_over_every_transport_uses_what_both_ends_know() {
    let (mut fixtures, mut children) = (Vec::new(), String::new());
    for end in ends() {
        match end.wire {
            Wire::Stdio => children += &end.child(),
            _ => fixtures.push((end.word(), end.backend().await)),
        }
    }
    let file = config(fixtures.iter().map(|(name, fixture)| (name, fixture.url()))) + &children;
    let router = Router::start(&file).await;
    until("every backend is healthy", async || {
        let ready: Value = router.ready().await.json();
        let all = ready["backends"].as_array().expect("a list").clone();
        all.iter().all(|backend| backend["healthy"] == true)
    })
    .await;
    let turns: Vec<_> = ends().iter().map(|_| Mutex::new(())).collect();
    let rows = (0..ends().len()).map(|number| row(number, &router, &file, &turns));
    let rows = join_all(rows).await;
    let broken = broken(&rows);
    assert!(broken.is_empty(), "does not work:\n{}", broken.join("\n"));
    page::judge(&rows);
}

/// What does not work although the client's revision has words for it, and what works although it
/// has none.
fn broken(rows: &[Vec<Cell>]) -> Vec<String> {
    let mut broken = Vec::new();
    for (client, row) in ends().into_iter().zip(rows) {
        for (backend, cell) in ends().into_iter().zip(row) {
            for (feature, tried) in cell {
                let shared = backend.wire != Wire::Http;
                let expressible = feature.expressible(client.revision, shared);
                let what = match tried {
                    Some(Err(wrong)) if expressible => wrong,
                    Some(Err(wrong)) if !wrong.contains("-32") && wrong != DROPPED => wrong,
                    Some(Ok(())) if !expressible => "works, and should not",
                    _ => continue,
                };
                let (client, backend) = (client.word(), backend.word());
                broken.push(format!("{client} at {backend}, {feature:?}: {what}"));
            }
        }
    }
    broken
}
