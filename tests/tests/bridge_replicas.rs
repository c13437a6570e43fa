//! Later rounds of a call go to the replica of the backend that wants them.

use mcp_router_tests::fixture::{Era, Fixture};
use mcp_router_tests::harness::{LegacySession, ModernClient, Router, Talk, agreeable, everything};
use serde_json::json;

async fn scene(era: Era) -> (Vec<Fixture>, Router) {
    let mut backends = Vec::new();
    for number in 0..3 {
        let name = format!("replica-{number}");
        backends.push(
            Fixture::builder()
                .name(&name)
                .era(era)
                .asking()
                .spawn()
                .await,
        );
    }
    let urls: Vec<_> = backends
        .iter()
        .map(|b| format!("{{ url: \"{}\" }}", b.url()))
        .collect();
    let urls = urls.join(", ");
    let file = format!("backends:\n  - {{ name: a, namespace: a, replicas: [{urls}] }}\n");
    let router = Router::start(&file).await;
    router.until_ready().await;
    (backends, router)
}

/// Every round of the call was at one replica; which one.
fn place(backends: &[Fixture], nonce: &str, rounds: usize) -> usize {
    let of = |backend: &Fixture| {
        let calls = backend.log().of("tools/call");
        calls
            .iter()
            .filter(|c| c.params()["arguments"]["nonce"] == nonce)
            .count()
    };
    let counts: Vec<_> = backends.iter().map(of).collect();
    let at = counts.iter().position(|n| *n == rounds);
    assert_eq!(counts.iter().sum::<usize>(), rounds, "{nonce}: {counts:?}");
    at.unwrap_or_else(|| panic!("{nonce} wandered: {counts:?}"))
}

fn ran_once(talk: &Talk) {
    assert_eq!(talk.says()["executions"], 1, "{}", talk.response);
}

#[tokio::test]
async fn r32_rounds_stay_at_the_replica_that_asked_for_whichever_client() {
    let (backends, router) = scene(Era::Modern).await;
    let modern = ModernClient::with_capabilities(router.addr(), everything());
    let client = router.client();
    let session = LegacySession::open_with(client, "2025-11-25", everything()).await;
    let mut places = Vec::new();
    for call in 0..6 {
        let nonce = format!("modern {call}");
        ran_once(&modern.talk("a.ask_twice", json!({ "nonce": nonce })).await);
        places.push(place(&backends, &nonce, 3));
        let nonce = format!("legacy {call}");
        let arguments = json!({ "nonce": nonce });
        ran_once(
            &session
                .talk("a.ask_twice", arguments, |r| Ok(agreeable(r)))
                .await,
        );
        place(&backends, &nonce, 3);
    }
    places.sort_unstable();
    places.dedup();
    assert!(places.len() > 1, "calls are spread: {places:?}");
}

#[tokio::test]
async fn r33_a_parked_call_is_one_call_at_one_replica() {
    let (backends, router) = scene(Era::Legacy).await;
    let modern = ModernClient::with_capabilities(router.addr(), everything());
    for call in 0..6 {
        let nonce = format!("parked {call}");
        ran_once(&modern.talk("a.ask_twice", json!({ "nonce": nonce })).await);
        place(&backends, &nonce, 1);
    }
}

#[tokio::test]
async fn r32_a_replica_that_went_away_between_rounds_is_not_replaced_by_another() {
    let (backends, router) = scene(Era::Modern).await;
    let modern = ModernClient::with_capabilities(router.addr(), everything());
    let params = json!({"name": "a.ask_elicit", "arguments": {"nonce": "n"}});
    let first = modern.request("tools/call", params.clone()).await["result"].take();
    let at = place(&backends, "n", 1);
    backends[at].go_down().await;
    let next = mcp_router_tests::harness::again(&params, &first);
    let failed = modern.request("tools/call", next).await;
    let failure = &failed["result"]["_meta"]["mcp-router/failure"];
    assert_eq!(failure["backend"], "a", "{failed}");
    assert_eq!(failure["sent"], "no", "{failed}");
    place(&backends, "n", 1);
}
