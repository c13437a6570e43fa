//! Fifty backends, three of them bad: nobody waits for those, and the others serve as if they were
//! not there. Speed is the benchmark's business; here it is about who gets what.

use std::time::{Duration, Instant};

use mcp_router_tests::fixture::{Era, Fault, Fixture};
use mcp_router_tests::harness::{Router, until};
use serde_json::{Value, json};

const S: Duration = Duration::from_secs(1);
const WELL: usize = 47;

struct Fifty {
    well: Vec<(String, Fixture)>,
    router: Router,
    // Only their misbehaviour is wanted.
    _bad: [Fixture; 3],
}

async fn fifty() -> Fifty {
    let bad = [
        Fixture::builder().fault(Fault::NeverAnswer).spawn().await,
        Fixture::builder().down().spawn().await,
        Fixture::builder().garbage().spawn().await,
    ];
    let mut well = Vec::new();
    for i in 0..WELL {
        let builder = match i % 4 {
            0 => Fixture::builder().era(Era::Modern),
            1 => Fixture::builder().era(Era::Legacy),
            2 => Fixture::builder().era(Era::Legacy).answer_as_sse(),
            _ => Fixture::builder().http_sse(),
        };
        well.push((format!("b{i}"), builder.spawn().await));
    }
    let mut file = "backends:\n".to_owned();
    // The bad ones first, where waiting in turn would show.
    let names = ["hangs", "refuses", "garbage"].map(str::to_owned);
    let all = names
        .iter()
        .zip(&bad)
        .chain(well.iter().map(|(n, f)| (n, f)));
    for (name, fixture) in all {
        file += &format!(
            "  - {{ name: {name}, namespace: {name}, url: \"{}\", timeout_seconds: 2 }}\n",
            fixture.url()
        );
    }
    let router = Router::start(&file).await;
    Fifty {
        well,
        router,
        _bad: bad,
    }
}

#[tokio::test]
async fn f01_f03_r18_fifty_backends_serve_while_one_hangs_one_refuses_and_one_sends_garbage() {
    let Fifty { well, router, _bad } = fifty().await;
    // `initialize` never waits; the first list waits for as long as the start may take.
    let session = router.legacy_session("2025-11-25").await;
    router.until_ready().await;
    until("the well ones are healthy", async || {
        healthy(&router).await == WELL
    })
    .await;

    let start = Instant::now();
    let mut rounds = 0;
    while rounds < 3 || start.elapsed() < 6 * S {
        let tools = session.tool_names().await;
        for (name, _) in &well {
            assert!(
                tools.contains(&format!("{name}.add")),
                "r18: {name} is missing"
            );
        }
        let tools: Vec<_> = well.iter().map(|(name, _)| format!("{name}.add")).collect();
        let sum = json!({"a": rounds, "b": 1});
        let calls = tools.iter().map(|tool| session.call(tool, sum.clone()));
        for answer in futures::future::join_all(calls).await {
            let sum = (rounds + 1).to_string();
            assert_eq!(answer["result"]["content"][0]["text"], sum, "{answer}");
        }
        assert_eq!(healthy(&router).await, WELL);
        rounds += 1;
    }
    for name in ["hangs", "refuses", "garbage"] {
        let answer = session.call(&format!("{name}.add"), json!({})).await;
        let failure = &answer["result"]["_meta"]["mcp-router/failure"];
        assert_eq!(
            (&failure["backend"], &failure["sent"]),
            (&json!(name), &json!("no")),
            "{answer}"
        );
        let status = router.backend(name).await;
        assert_eq!(status["healthy"], false, "{status}");
    }
}

async fn healthy(router: &Router) -> usize {
    let ready: Value = router.ready().await.json();
    let all = ready["backends"].as_array().expect("a list");
    assert_eq!(all.len(), WELL + 3);
    all.iter().filter(|b| b["healthy"] == true).count()
}
