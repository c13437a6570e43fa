//! Processes for single clients, and questions of processes that all share.

use mcp_router_tests::harness::{
    ChildLog, LegacySession, ModernClient, Router, alive, child_entry, until,
};
use serde_json::{Value, json};

/// A router with the child `c`, of which each client has its own.
async fn start(sections: &str, log: &ChildLog) -> Router {
    let path = log.path();
    let entry = child_entry("c", &["--era", "legacy", "--log-file", &path]);
    let entry = entry.replace(" }\n", ", session: per_client }\n");
    let router = Router::start(&format!("{sections}\nbackends:\n{entry}")).await;
    router.until_ready().await;
    router.until_healthy("c").await;
    router
}

async fn echo(client: &LegacySession) -> Value {
    client.call("c.echo", json!({"text": "x"})).await["result"].take()
}

#[tokio::test]
async fn r47_each_client_has_a_process_that_ends_with_its_session() {
    let log = ChildLog::new();
    let router = start("", &log).await;
    assert_eq!(log.pids("started").len(), 1, "the router's own");
    let one = router.legacy_session("2025-11-25").await;
    assert_eq!(log.pids("started").len(), 1, "none before the first call");
    for _ in 0..2 {
        assert_eq!(echo(&one).await["content"][0]["text"], "x");
    }
    let two = router.legacy_session("2025-06-18").await;
    assert_eq!(echo(&two).await["content"][0]["text"], "x");
    // Who has no session has the router's own process.
    let shared = router.modern().call("c.echo", json!({"text": "y"})).await;
    assert_eq!(shared["result"]["content"][0]["text"], "y");
    let pids = log.pids("started");
    assert_eq!(pids.len(), 3, "{pids:?}");

    assert!(one.close().await.status.is_success());
    until("the first client's process is gone", async || {
        !alive(pids[1])
    })
    .await;
    assert!(alive(pids[0]) && alive(pids[2]));
    assert_eq!(echo(&two).await["content"][0]["text"], "x");
}

#[tokio::test]
async fn clients_beyond_the_processes_that_there_may_be_are_refused_and_told_why() {
    let log = ChildLog::new();
    let limit = "server: { limits: { max_client_processes: 1 } }";
    let router = start(limit, &log).await;
    let one = router.legacy_session("2025-11-25").await;
    assert_eq!(echo(&one).await["content"][0]["text"], "x");
    let two = router.legacy_session("2025-11-25").await;
    let refused = echo(&two).await;
    assert_eq!(refused["isError"], true, "{refused}");
    let failure = &refused["_meta"]["mcp-router/failure"];
    assert_eq!(failure["reason"], "overloaded", "{refused}");
    assert_eq!(failure["sent"], "no", "{refused}");
    assert_eq!(log.pids("started").len(), 2);
    assert!(one.close().await.status.is_success());
    until("there is room again", async || {
        echo(&two).await["isError"] != true
    })
    .await;
}

#[tokio::test]
async fn r37_clients_of_one_process_are_asked_their_own_questions() {
    let entry = child_entry("c", &["--era", "legacy", "--asking"]);
    let router = Router::start(&format!("backends:\n{entry}")).await;
    router.until_ready().await;
    router.until_healthy("c").await;
    let can = json!({"elicitation": {"form": {}}});
    let talk = async |n: usize| {
        let client = ModernClient::with_capabilities(router.addr(), can.clone());
        let message = format!("question {n}");
        let arguments = json!({"nonce": format!("n{n}"), "message": message});
        let talk = client.talk("c.ask_elicit", arguments).await;
        let asked = talk.asked[0]["inputRequests"].as_object().expect("one");
        let (_, asked) = asked.iter().next().expect("one");
        assert_eq!(asked["params"]["message"], message);
        assert_eq!(talk.says()["nonce"], format!("n{n}"), "{}", talk.response);
    };
    // The first one shows that the process asks.
    talk(0).await;
    futures::future::join_all((1..5).map(talk)).await;
}
