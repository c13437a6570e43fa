//! The calls of one client session (rule 5 of the waist).

use super::*;

#[tokio::test(start_paused = true)]
async fn the_calls_of_a_session_go_to_one_endpoint_and_sessions_spread() {
    let scene = Scene::round_robin(&[Mood::Well(1); 3]);
    for id in ["s", "t", "u"] {
        let session = session(id);
        let first = scene.ask(of(&session, once())).await.unwrap();
        for _ in 0..5 {
            assert_eq!(scene.ask(of(&session, once())).await.unwrap(), first);
        }
    }
    assert_eq!(scene.asked(), [6, 6, 6]);
}

#[tokio::test(start_paused = true)]
async fn two_first_calls_of_a_session_find_the_same_endpoint() {
    let scene = Scene::of(Policy::LeastConnections, &[Mood::Well(10); 4]);
    let session = session("s");
    let calls = (0..8).map(|_| scene.ask(of(&session, once())));
    let who: Vec<_> = join_all(calls)
        .await
        .into_iter()
        .map(Result::unwrap)
        .collect();
    assert!(who.iter().all(|w| *w == who[0]), "{who:?}");
}

#[tokio::test(start_paused = true)]
async fn endpoints_that_remember_nothing_take_turns_within_a_session() {
    let scene = Scene::with(Policy::RoundRobin, &[Mood::Well(1); 2], |replica| {
        replica.stateful(false)
    });
    let session = session("s");
    for _ in 0..6 {
        scene.ask(of(&session, once())).await.unwrap();
    }
    assert_eq!(scene.asked(), [3, 3]);
}

#[tokio::test(start_paused = true)]
async fn a_session_moves_when_its_endpoint_fails_and_stays_where_it_went() {
    let scene = Scene::round_robin(&[Mood::Well(1); 3]);
    let session = session("s");
    assert_eq!(scene.ask(of(&session, once())).await.unwrap(), "a");
    scene.fakes[0].set(Mood::Absent(1));
    let next = scene.ask(of(&session, once())).await.unwrap();
    assert_ne!(next, "a");
    scene.fakes[0].set(Mood::Well(1));
    for _ in 0..5 {
        assert_eq!(scene.ask(of(&session, once())).await.unwrap(), next);
    }
}

#[tokio::test(start_paused = true)]
async fn calls_of_a_session_that_fail_together_move_together() {
    let scene = Scene::round_robin(&[Mood::Well(1); 4]);
    let session = session("s");
    assert_eq!(scene.ask(of(&session, once())).await.unwrap(), "a");
    scene.fakes[0].set(Mood::Absent(100));
    let calls = (0..4).map(|_| scene.ask(of(&session, once())));
    let who: Vec<_> = join_all(calls)
        .await
        .into_iter()
        .map(Result::unwrap)
        .collect();
    assert!(who.iter().all(|w| *w == who[0]), "{who:?}");
}

#[tokio::test(start_paused = true)]
async fn a_session_leaves_an_endpoint_whose_circuit_is_open() {
    let scene = Scene::round_robin(&[Mood::Well(1); 2]);
    let session = session("s");
    assert_eq!(scene.ask(of(&session, once())).await.unwrap(), "a");
    for _ in 0..5 {
        let admitted = scene.endpoints[0].admit().unwrap();
        admitted.report(mcp_router_health::Verdict::Failure);
    }
    assert_eq!(scene.ask(of(&session, once())).await.unwrap(), "b");
    assert_eq!(scene.asked(), [1, 1]);
}

#[tokio::test(start_paused = true)]
async fn f22_a_throttling_endpoint_keeps_its_sessions() {
    let scene = Scene::round_robin(&[Mood::Well(1); 2]);
    let session = session("s");
    assert_eq!(scene.ask(of(&session, once())).await.unwrap(), "a");
    scene.fakes[0].set(Mood::Throttles(3));
    let error = scene.ask(of(&session, safe())).await.unwrap_err();
    assert_eq!(
        (error.status, error.retry_after),
        (Some(429), Some(secs(3)))
    );
    scene.fakes[0].set(Mood::Throttles(0));
    scene.ask(of(&session, safe())).await.unwrap_err();
    scene.fakes[0].set(Mood::Well(1));
    assert_eq!(scene.ask(of(&session, once())).await.unwrap(), "a");
    // Without a session there is nothing to lose.
    scene.fakes[0].set(Mood::Throttles(3));
    for _ in 0..4 {
        assert_eq!(scene.ask(once()).await.unwrap(), "b");
    }
}

#[tokio::test(start_paused = true)]
async fn a_session_finds_its_endpoint_again_after_a_reload_moved_it() {
    let before = Scene::round_robin(&[Mood::Well(1); 2]);
    let session = session("s");
    assert_eq!(before.ask(of(&session, once())).await.unwrap(), "a");
    // The same backend, built anew, its endpoints in another order.
    let (b, a) = (Fake::new("b", Mood::Well(1)), Fake::new("a", Mood::Well(1)));
    let replicas = [b, a].map(|fake| {
        let endpoint = Endpoint::new(fake.0.key.as_str(), BreakerParams::default());
        Replica::new(BreakerLayer::new(endpoint.clone()).layer(fake), endpoint)
    });
    let balance = Balance::over(&name(), BalanceParams::default(), replicas.into());
    let after = Scene {
        balance: balance.service,
        ..before
    };
    for _ in 0..3 {
        assert_eq!(after.ask(of(&session, once())).await.unwrap(), "a");
    }
}
