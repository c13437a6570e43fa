//! How many conversations there may be, and for how long. Time is paused, and nothing is connected:
//! a place counts whether or not somebody has spoken there yet.

use mcp_router_protocol::RawJson;

use super::*;
use crate::client::events::Events;
use crate::client::http::HttpBackendParams;

fn edge() -> Arc<Edge> {
    let params = HttpBackendParams::new("db".parse().unwrap(), "http://127.0.0.1:9/mcp");
    Arc::new(Edge::new(params.unwrap(), Events::channel().0))
}

fn named(name: &str) -> Principal {
    Principal::Named(name.into())
}

/// What clients of kind `n` declare.
fn kind(n: usize) -> Bytes {
    RawJson::of(&serde_json::json!({ "elicitation": {}, "n": n })).into_bytes()
}

impl Pool {
    fn want(&self, edge: &Arc<Edge>, who: &str, n: usize) -> Result<Arc<Kept>, CallError> {
        let kept = self.free(edge, &named(who), &kind(n))?;
        kept.use_it();
        Ok(kept)
    }

    fn len(&self) -> usize {
        self.interactive.load().len()
    }
}

#[tokio::test(start_paused = true)]
async fn r37_one_principal_has_eight_kinds_of_conversations_and_all_together_sixty_four() {
    let edge = edge();
    let pool = &edge.lanes.pool;
    for n in 0..OF_ONE {
        pool.want(&edge, "ann", n).unwrap();
    }
    let error = pool
        .want(&edge, "ann", OF_ONE)
        .unwrap_err()
        .on(&edge.params.name);
    assert_eq!((error.reason, error.sent), (Reason::Overloaded, Sent::No));
    assert_eq!(
        error.to_string(),
        "Backend 'db' is overloaded (all 8 conversations of yours with clients that it may ask \
         something are in use; try again once one has had no call for 5 s, or declare what \
         another client of yours does); the call did not run."
    );
    // Those that are there go on, and others have places of their own.
    pool.want(&edge, "ann", 0).unwrap();
    for at in 1..OF_ALL / OF_ONE {
        for n in 0..OF_ONE {
            pool.want(&edge, &format!("p{at}"), n).unwrap();
        }
    }
    assert_eq!(pool.len(), OF_ALL);
    let error = pool.want(&edge, "zoe", 0).unwrap_err();
    assert!(
        error.to_string().contains("all 64 conversations with"),
        "{error}"
    );
    assert_eq!(pool.len(), OF_ALL);
}

#[tokio::test(start_paused = true)]
async fn one_that_was_silent_for_five_seconds_makes_room_and_only_for_whom_it_may() {
    let edge = edge();
    let pool = &edge.lanes.pool;
    for n in 0..OF_ONE {
        pool.want(&edge, "ann", n).unwrap();
    }
    let bobs = pool.want(&edge, "bob", 0).unwrap();
    tokio::time::advance(SPARE).await;
    for n in 1..OF_ONE {
        pool.want(&edge, "ann", n).unwrap(); // all but the first are used again
    }
    pool.want(&edge, "ann", 100).unwrap();
    assert_eq!(pool.len(), OF_ONE + 1);
    let table = pool.interactive.load();
    assert!(
        !table.contains_key(&(named("ann"), kind(0), 0)),
        "it was silent longest"
    );
    assert!(
        Arc::ptr_eq(&table[&(named("bob"), kind(0), 0)], &bobs),
        "another's is left alone"
    );
    assert!(pool.want(&edge, "ann", 101).is_err());
}

#[tokio::test(start_paused = true)]
async fn one_that_nobody_has_used_for_five_minutes_is_closed() {
    let edge = edge();
    let pool = &edge.lanes.pool;
    pool.want(&edge, "ann", 0).unwrap();
    pool.want(&edge, "ann", 1).unwrap();
    tokio::time::advance(IDLE / 2).await;
    pool.want(&edge, "ann", 1).unwrap();
    tokio::time::advance(IDLE / 2 - Duration::from_millis(1)).await;
    pool.close_idle(&edge).await;
    assert_eq!(pool.len(), 2);
    tokio::time::advance(Duration::from_millis(1)).await;
    pool.close_idle(&edge).await;
    assert_eq!(pool.len(), 1);
    assert!(
        pool.interactive
            .load()
            .contains_key(&(named("ann"), kind(1), 0))
    );
    tokio::time::advance(IDLE).await;
    pool.close_idle(&edge).await;
    assert_eq!(pool.len(), 0);
}
