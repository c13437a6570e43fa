//! How calls spread; the policies themselves are proven where they are written.

use super::*;

#[tokio::test(start_paused = true)]
async fn calls_take_turns() {
    let scene = Scene::round_robin(&[Mood::Well(1); 3]);
    for _ in 0..30 {
        scene.ask(once()).await.unwrap();
    }
    assert_eq!(scene.asked(), [10, 10, 10]);
}

#[tokio::test(start_paused = true)]
async fn least_connections_leaves_the_hanging_one_alone() {
    let moods = [Mood::Hangs, Mood::Well(1), Mood::Well(1)];
    let scene = Scene::of(Policy::LeastConnections, &moods);
    let hanging = tokio::spawn(scene.balance.clone().oneshot(once()));
    tokio::task::yield_now().await;
    for _ in 0..20 {
        scene.ask(once()).await.unwrap();
    }
    assert_eq!(scene.asked(), [1, 10, 10]);
    hanging.abort();
}

#[tokio::test(start_paused = true)]
async fn peak_ewma_finds_the_quick_ones_and_leaves_those_that_fail_quickly() {
    let moods = [Mood::Well(400), Mood::Well(10), Mood::Well(10)];
    let scene = Scene::of(Policy::PeakEwma, &moods);
    for _ in 0..100 {
        scene.ask(once()).await.unwrap();
    }
    assert!(scene.asked()[0] <= 2, "{:?}", scene.asked());

    let scene = Scene::of(Policy::PeakEwma, &[Mood::Dies, Mood::Well(100)]);
    for _ in 0..50 {
        scene.ask(safe()).await.unwrap();
    }
    assert!(scene.asked()[0] <= 2, "{:?}", scene.asked());
}

#[tokio::test(start_paused = true)]
async fn peak_ewma_notices_a_call_that_was_given_up() {
    let scene = Scene::of(Policy::PeakEwma, &[Mood::Well(1), Mood::Well(1)]);
    for _ in 0..4 {
        scene.ask(once()).await.unwrap();
    }
    scene.fakes[0].set(Mood::Hangs);
    scene.fakes[1].set(Mood::Hangs);
    let given_up = tokio::time::timeout(secs(5), scene.ask(once())).await;
    assert!(given_up.is_err());
    let slow = scene.fakes.iter().position(|f| f.asked() == 3).unwrap();
    scene.fakes.iter().for_each(|f| f.set(Mood::Well(1)));
    for _ in 0..10 {
        scene.ask(once()).await.unwrap();
    }
    assert_eq!(scene.fakes[slow].asked(), 3);
}

#[tokio::test(start_paused = true)]
async fn priority_uses_the_second_tier_only_without_the_first() {
    let fakes = ["a", "b", "c"].map(|key| Fake::new(key, Mood::Well(1)));
    let endpoints = [(0, 1), (1, 2), (2, 1)].map(|(at, priority)| {
        let key: &str = &fakes[at].0.key;
        Endpoint::new(key, BreakerParams::default()).with_priority(priority)
    });
    let replicas = fakes.iter().zip(&endpoints).map(|(fake, endpoint)| {
        let stack = BreakerLayer::new(endpoint.clone()).layer(fake.clone());
        Replica::new(stack, endpoint.clone())
    });
    let params = BalanceParams {
        policy: Policy::Priority,
        ..BalanceParams::default()
    };
    let scene = Scene {
        balance: Balance::over(&name(), params, replicas.collect()).service,
        fakes: fakes.to_vec(),
        endpoints: endpoints.to_vec(),
    };
    for _ in 0..10 {
        scene.ask(once()).await.unwrap();
    }
    assert_eq!(scene.asked(), [5, 0, 5]);
    scene.fakes[0].set(Mood::Absent(1));
    scene.fakes[2].set(Mood::Absent(1));
    for _ in 0..10 {
        assert_eq!(scene.ask(once()).await.unwrap(), "b");
    }
}

#[tokio::test(start_paused = true)]
async fn who_looks_down_is_asked_when_nobody_better_is_left() {
    let scene = Scene::round_robin(&[Mood::Well(1), Mood::Well(1)]);
    scene.endpoints[0].set_probe(crate::Probe::Down);
    for _ in 0..4 {
        assert_eq!(scene.ask(once()).await.unwrap(), "b");
    }
    scene.endpoints[1].set_linked(false);
    for _ in 0..4 {
        scene.ask(once()).await.unwrap();
    }
    assert_eq!(scene.asked(), [2, 6]);
}

#[tokio::test(start_paused = true)]
async fn who_comes_back_gets_a_growing_share() {
    let scene = Scene::round_robin(&[Mood::Well(0); 4]);
    scene.endpoints[3].set_linked(false);
    scene.ask(once()).await.unwrap();
    scene.endpoints[3].set_linked(true);
    let ask = async |calls: usize| {
        let before = scene.asked()[3];
        for _ in 0..calls {
            scene.ask(once()).await.unwrap();
        }
        scene.asked()[3] - before
    };
    let early = ask(400).await;
    assert!((1..=30).contains(&early), "{early} of 400, fairly 100");
    tokio::time::advance(secs(5)).await;
    let midway = ask(400).await;
    assert!((35..90).contains(&midway), "{midway} of 400, fairly 100");
    tokio::time::advance(secs(5)).await;
    assert_eq!(ask(400).await, 100);
}
