//! What several replicas tell, as the supervisor hears it.

use futures::StreamExt;
use mcp_router_protocol::ItemKind;
use mcp_router_service::{BackendEvent, BackendInfo, EventStream};
use tokio::sync::mpsc::{self, UnboundedSender};
use tokio::time::{Instant, timeout};

use super::*;
use crate::Stage;

struct Told {
    feeds: Vec<UnboundedSender<BackendEvent>>,
    events: EventStream,
    endpoints: Vec<Endpoint>,
    balance: Balance<Fake>,
}

fn told(replicas: usize) -> Told {
    let (mut feeds, mut endpoints) = (Vec::new(), Vec::new());
    let all = keys().take(replicas).map(|key| {
        let (feed, mut events) = mpsc::unbounded_channel();
        let endpoint = Endpoint::new(key.as_str(), BreakerParams::default());
        feeds.push(feed);
        endpoints.push(endpoint.clone());
        let events = futures::stream::poll_fn(move |cx| events.poll_recv(cx));
        Replica::new(Fake::new(&key, Mood::Well(1)), endpoint).events(events.boxed())
    });
    let balanced = Balance::over(&name(), BalanceParams::default(), all.collect());
    Told {
        feeds,
        endpoints,
        events: balanced.events.unwrap(),
        balance: balanced.service,
    }
}

fn connected(hop: &str) -> BackendEvent {
    BackendEvent::Connected(BackendInfo {
        hop: hop.to_owned(),
        ..BackendInfo::default()
    })
}

fn lost_for(seconds: u64) -> BackendEvent {
    BackendEvent::Lost {
        error: CallError::new(Reason::ConnectFailed, Sent::No),
        retry_in: secs(seconds),
    }
}

impl Told {
    fn tell(&self, at: usize, event: BackendEvent) {
        self.feeds[at].send(event).unwrap();
    }

    /// What is heard within a millisecond, in short.
    async fn hear(&mut self) -> Vec<String> {
        let mut heard = Vec::new();
        while let Ok(Some(event)) = timeout(Duration::from_millis(1), self.events.next()).await {
            heard.push(match event {
                BackendEvent::Connected(info) => format!("connected {}", info.hop),
                BackendEvent::Lost { retry_in, .. } => format!("lost {}", retry_in.as_millis()),
                BackendEvent::Asleep => "asleep".to_owned(),
                BackendEvent::Changed(kind) => format!("changed {kind:?}"),
                BackendEvent::Notification { method, .. } => format!("told {method}"),
            });
        }
        heard
    }
}

const ALL_CHANGED: [&str; 4] = [
    "changed Tool",
    "changed Prompt",
    "changed Resource",
    "changed Template",
];

#[tokio::test(start_paused = true)]
async fn f1_the_first_that_connects_connects_the_backend_and_the_last_that_goes_loses_it() {
    let mut told = told(3);
    told.tell(0, lost_for(9));
    assert!(told.hear().await.is_empty(), "the others may be well");
    told.tell(1, connected("b"));
    assert_eq!(told.hear().await, ["connected b"]);
    told.tell(2, lost_for(9));
    assert!(told.hear().await.is_empty());
    told.tell(1, lost_for(2));
    let heard = told.hear().await;
    assert_eq!(heard, ["lost 2000"], "when the first of them tries again");
    told.tell(2, lost_for(4));
    assert_eq!(told.hear().await, ["lost 1999"]);
    told.tell(0, connected("a"));
    assert_eq!(told.hear().await, ["connected a"]);
}

#[tokio::test(start_paused = true)]
async fn links_and_failures_of_each_endpoint_are_noted() {
    let mut told = told(2);
    told.tell(0, connected("a"));
    told.tell(1, lost_for(5));
    told.hear().await;
    let linked = || [0, 1].map(|at| told.endpoints[at].linked());
    assert_eq!(linked(), [Some(true), Some(false)]);
    let failure = told.endpoints[1].last_failure().unwrap();
    assert_eq!(
        (failure.stage, &*failure.text),
        (Stage::Connect, "connect_failed")
    );
    let ask = async || {
        let answer = told.balance.clone().oneshot(once()).await;
        format!("{:?}", answer.unwrap())
    };
    for _ in 0..4 {
        assert!(ask().await.contains('a'), "the lost one is left out");
    }
}

#[tokio::test(start_paused = true)]
async fn f15_replicas_that_join_have_lists_read_again_four_times_a_minute_at_most() {
    let mut told = told(2);
    told.tell(0, connected("a"));
    assert_eq!(told.hear().await, ["connected a"]);
    tokio::time::advance(secs(60)).await;
    // One that comes back after a quiet time may bring news: at once.
    told.tell(1, connected("b"));
    assert_eq!(told.hear().await, ALL_CHANGED);
    let (began, mut times) = (Instant::now(), 0);
    while began.elapsed() < secs(60) {
        told.tell(1, lost_for(1));
        told.tell(1, connected("b"));
        times += told.hear().await.len();
        tokio::time::advance(secs(1)).await;
    }
    assert!((4..=16).contains(&times), "{times}: four kinds, four times");
    // The last of them is not forgotten.
    tokio::time::advance(secs(15)).await;
    assert_eq!(told.hear().await, ALL_CHANGED);
    tokio::time::advance(secs(60)).await;
    assert!(told.hear().await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn the_backend_sleeps_while_nobody_is_up_and_is_not_lost_while_one_can_be_woken() {
    let mut told = told(2);
    told.tell(0, BackendEvent::Asleep);
    assert_eq!(told.hear().await, ["asleep"]);
    told.tell(1, connected("b"));
    assert_eq!(told.hear().await, ["connected b"]);
    told.tell(0, BackendEvent::Asleep);
    told.tell(1, lost_for(9));
    assert!(told.hear().await.is_empty());
    told.tell(0, lost_for(9));
    assert_eq!(told.hear().await.len(), 1);
    told.tell(0, BackendEvent::Asleep);
    assert_eq!(told.hear().await, ["asleep"]);
    assert_eq!(told.endpoints[0].standing(), crate::Standing::Usable);
}

#[tokio::test(start_paused = true)]
async fn changes_and_notifications_pass() {
    let mut told = told(2);
    told.tell(1, BackendEvent::Changed(ItemKind::Prompt));
    told.tell(
        0,
        BackendEvent::Notification {
            method: Method::ResourceUpdated,
            params: RawParams::default(),
            scope: mcp_router_service::Scope::Shared,
        },
    );
    let mut heard = told.hear().await;
    heard.sort();
    assert_eq!(
        heard,
        ["changed Prompt", "told notifications/resources/updated"]
    );
}

#[tokio::test(start_paused = true)]
async fn they_end_when_all_have_ended_and_nothing_is_left_to_tell() {
    let mut told = told(2);
    told.tell(0, connected("a"));
    told.tell(1, connected("b"));
    drop(told.feeds);
    let events: Vec<_> = timeout(secs(1), told.events.by_ref().collect())
        .await
        .unwrap();
    assert_eq!(events.len(), 1 + ItemKind::ALL.len());
}

#[tokio::test(start_paused = true)]
async fn what_an_endpoint_says_of_its_memory_decides_on_sessions() {
    let mut told = told(2);
    for at in 0..2 {
        told.tell(at, connected("x")); // stateful: false
    }
    told.hear().await;
    let session = session("s");
    for _ in 0..6 {
        let request = of(&session, once());
        told.balance.clone().oneshot(request).await.unwrap();
    }
    let turns = told.balance.services.iter().map(Fake::asked);
    assert_eq!(turns.collect::<Vec<_>>(), [3, 3]);
}

#[tokio::test]
async fn replicas_without_events_tell_nothing_and_all_are_closed_at_once() {
    let closed = Arc::new(AtomicUsize::new(0));
    let replicas = keys().take(3).map(|key| {
        let (closed, endpoint) = (closed.clone(), Endpoint::new(key, BreakerParams::default()));
        Replica::new(Fake::new("", Mood::Well(1)), endpoint).on_close(move || {
            async move {
                closed.fetch_add(1, Ordering::Relaxed);
                while closed.load(Ordering::Relaxed) < 3 {
                    tokio::task::yield_now().await;
                }
            }
            .boxed()
        })
    });
    let balanced = Balance::over(&name(), BalanceParams::default(), replicas.collect());
    assert!(balanced.events.is_none());
    (balanced.close)().await;
    assert_eq!(closed.load(Ordering::Relaxed), 3);
}
