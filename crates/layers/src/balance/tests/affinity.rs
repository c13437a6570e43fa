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

/// A session whose id carries an upstream session at the endpoint `key`.
fn carrying(id: &str, key: &str) -> Session {
    let session = session(id);
    session.set_carried(mcp_router_service::carry_key(&name(), key), "upstream");
    session
}

#[tokio::test(start_paused = true)]
async fn r41_a_session_goes_to_the_endpoint_whose_upstream_session_its_id_carries() {
    let scene = Scene::round_robin(&[Mood::Well(1); 3]);
    for (id, key) in [("s", "c"), ("t", "b"), ("u", "c")] {
        let session = carrying(id, key);
        for _ in 0..3 {
            assert_eq!(scene.ask(of(&session, once())).await.unwrap(), key);
        }
    }
    // One that is not here any more, and one of another backend: as if nothing was carried.
    let gone = carrying("v", "z");
    let first = scene.ask(of(&gone, once())).await.unwrap();
    assert_eq!(scene.ask(of(&gone, once())).await.unwrap(), first);
    let other = session("w");
    let key = mcp_router_service::carry_key(&"other".parse().unwrap(), "c");
    other.set_carried(key, "upstream");
    assert_eq!(
        scene.ask(of(&other, once())).await.unwrap(),
        "b",
        "whose turn it is"
    );
}

#[tokio::test(start_paused = true)]
async fn what_was_carried_counts_until_the_session_has_moved() {
    let scene = Scene::round_robin(&[Mood::Well(1); 2]);
    let session = carrying("s", "b");
    scene.fakes[1].set(Mood::Absent(1));
    // Nothing here says that `b` keeps anything: the call goes on, and the session with it.
    assert_eq!(scene.ask(of(&session, once())).await.unwrap(), "a");
    scene.fakes[1].set(Mood::Well(1));
    assert_eq!(scene.ask(of(&session, once())).await.unwrap(), "a");
}

/// A scene whose endpoints keep something of each client.
fn keeping(moods: &[Mood]) -> Scene {
    let scene = Scene::round_robin(moods);
    let info = mcp_router_service::BackendInfo {
        stateful: true,
        attach: true,
        ..mcp_router_service::BackendInfo::default()
    };
    let members = &scene.balance.group.members;
    members.iter().for_each(|member| member.connected(&info));
    scene
}

#[tokio::test(start_paused = true)]
async fn r45_what_an_endpoint_keeps_of_a_client_is_not_replaced_in_silence() {
    for carried in [false, true] {
        let scene = keeping(&[Mood::Well(1); 2]);
        let session = match carried {
            true => carrying("s", "a"),
            false => session("s"),
        };
        if !carried {
            assert_eq!(scene.ask(of(&session, safe())).await.unwrap(), "a");
        }
        let calls = || scene.ask(of(&session, safe()));
        scene.fakes[0].set(Mood::Absent(1));
        // As long as it may come back, its failures are the client's.
        for _ in 0..5 {
            let error = calls().await.unwrap_err();
            assert_eq!(
                (error.reason, error.sent),
                (Reason::ConnectFailed, Sent::No)
            );
        }
        // Its circuit is open, and the client has been told: it begins anew.
        for _ in 0..3 {
            assert_eq!(calls().await.unwrap(), "b");
        }
        // Others never heard of it.
        assert_eq!(scene.ask(once()).await.unwrap(), "b");
    }
}

#[tokio::test(start_paused = true)]
async fn r45_a_client_hears_once_that_what_was_kept_is_away() {
    let scene = keeping(&[Mood::Well(1); 2]);
    let (here, carried) = (session("s"), carrying("t", "a"));
    assert_eq!(scene.ask(of(&here, safe())).await.unwrap(), "a");
    for _ in 0..5 {
        let admitted = scene.endpoints[0].admit().unwrap();
        admitted.report(mcp_router_health::Verdict::Failure);
    }
    for session in [&here, &carried] {
        let error = scene.ask(of(session, safe())).await.unwrap_err();
        assert_eq!((error.reason, error.sent), (Reason::CircuitOpen, Sent::No));
        assert!(error.to_string().contains("begins anew"), "{error}");
        for _ in 0..3 {
            assert_eq!(scene.ask(of(session, safe())).await.unwrap(), "b");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_session_that_nobody_keeps_anything_of_yet_goes_where_it_can() {
    let scene = keeping(&[Mood::Absent(1), Mood::Well(1)]);
    let session = session("s");
    assert_eq!(scene.ask(of(&session, once())).await.unwrap(), "b");
    assert_eq!(scene.asked(), [1, 1]);
}
