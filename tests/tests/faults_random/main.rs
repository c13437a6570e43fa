//! All faults at once, at random, over ten thousand calls: whatever happens, each call has one
//! outcome, in time and its own; what is unsafe runs once at most; what was "not sent" did not run;
//! a backend that is well notices nothing; and when all is over, nothing is left of it.
//!
//! Who calls what and what goes wrong comes from a seed. A failure names it, and
//! `MCP_ROUTER_TEST_SEED` repeats it, as far as processes can be repeated.
//! `MCP_ROUTER_TEST_CALLS` makes it longer.

mod calls;
mod havoc;
mod scene;

use std::collections::BTreeMap;
use std::time::Instant;

use futures::future::join_all;
use mcp_router_tests::harness::{Baseline, Fate, text, until};
use serde_json::json;

use self::calls::{Caller, Made};
use self::scene::Scene;

/// Calls in all.
const CALLS: u64 = 10_000;
/// How many callers make them.
const CALLERS: u64 = 48;

fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().expect("a number"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn i1_to_i9_ten_thousand_calls_among_random_faults_break_no_invariant() {
    let seed = number("MCP_ROUTER_TEST_SEED").unwrap_or_else(|| fastrand::u64(..));
    println!("MCP_ROUTER_TEST_SEED={seed}");
    let calls = number("MCP_ROUTER_TEST_CALLS").unwrap_or(CALLS);
    let scene = Scene::start().await;
    let before = Baseline::of(&scene.router);

    let start = Instant::now();
    let mut callers = Vec::new();
    for number in 0..CALLERS {
        callers.push(Caller::new(&scene, seed, number).await);
    }
    let calling = join_all(callers.iter_mut().map(|c| c.make(calls / CALLERS)));
    let made = tokio::select! {
        made = calling => made,
        () = havoc::wreak(&scene, seed) => unreachable!("it never ends"),
    };
    println!("{calls} calls took {:?}", start.elapsed());

    // A session holds streams to its backends for as long as it lives.
    for caller in callers {
        caller.leave().await;
    }
    recovers(&scene).await;
    println!("{:#?}", judge(&scene, &made.concat()));
    gives_everything_back(&scene, before).await;
}

/// Every call against what really happened; how many ended in which way.
fn judge(scene: &Scene, made: &[Made]) -> BTreeMap<String, usize> {
    let mut fates: BTreeMap<String, usize> = BTreeMap::new();
    let mut broken = Vec::new();
    let at_the_child = scene.kid.executions();
    for call in made {
        let nonce = &call.seen.nonce;
        let ran = scene.executions(nonce) + at_the_child.get(nonce).copied().unwrap_or(0);
        let (fate, breaches) = call.seen.judge(ran);
        broken.extend(breaches);
        if call.target == "well" && !matches!(fate, Fate::Served | Fate::Left) {
            broken.push(format!("I9: the well backend failed: {:?}", call.seen));
        }
        let fate = match fate {
            Fate::Failed(reason) => reason,
            other => format!("{other:?}"),
        };
        *fates.entry(format!("{} {fate}", call.target)).or_default() += 1;
    }
    let shown = broken.iter().take(10).map(|b| format!("\n{b}"));
    let shown: String = shown.collect();
    assert!(broken.is_empty(), "{} breaches: {shown}", broken.len());
    // A router that fails everything would be invariantly correct.
    for target in scene::TARGETS {
        let of = |fate: &str| fates.get(&format!("{target} {fate}")).copied();
        let served = of("Served").unwrap_or(0);
        let all = made.iter().filter(|c| c.target == target).count();
        assert!(served > all / 50, "{target}: {served} of {all} served");
    }
    fates
}

/// From any state, the circuit of a backend that is well again closes, and its calls succeed.
async fn recovers(scene: &Scene) {
    scene.heal().await;
    for name in scene::BACKENDS {
        let what = format!("{name} is healthy and its circuit closed");
        until(&what, async || {
            // Calls are what closes a half-open circuit soonest.
            for target in scene::TARGETS {
                let tool = format!("{target}.echo");
                let _ = scene.router.modern().call(&tool, json!({})).await;
            }
            let backend = scene.router.backend(name).await;
            backend["circuit_state"] == "CLOSED" && backend["healthy"] == true
        })
        .await;
    }
    for target in scene::TARGETS {
        let tool = format!("{target}.echo");
        until(&format!("{target} serves"), async || {
            let answer = scene
                .router
                .modern()
                .call(&tool, json!({"text": "x"}))
                .await;
            text(&answer) == "x"
        })
        .await;
    }
}

/// I7: permits, descriptors and children are those of a router at rest.
async fn gives_everything_back(scene: &Scene, before: Baseline) {
    // As many calls at once as each backend admits, all for longer than a call may queue: if a
    // permit was lost, one of them is refused. Progress keeps them from timing out.
    let client = scene.router.modern();
    let calls = scene::TARGETS.iter().flat_map(|target| {
        let params = json!({
            "name": format!("{target}.progress"), "arguments": {"n": 15, "ms": 200},
            "_meta": {"progressToken": 1},
        });
        std::iter::repeat_n(params, scene::PERMITS)
    });
    let calls = calls.map(async |params| client.request("tools/call", params).await);
    for answer in join_all(calls.collect::<Vec<_>>()).await {
        assert_eq!(text(&answer), "done", "I7: {answer}");
    }
    before
        .until_back(&scene.router, scene::BACKENDS.len())
        .await;
    let log = scene.router.logs();
    assert!(!log.contains("panicked"), "{}", log.text());
    for backend in scene.fixtures() {
        assert_eq!(backend.log().forgotten(), 0, "the witness forgot something");
    }
}
