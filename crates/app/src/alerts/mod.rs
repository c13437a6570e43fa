//! Tells people when a backend is out, and when it is back.
//!
//! A backend that nobody calls at night is found dead by its first user in the morning, although
//! the router knew. So it says so: once when a backend is out ([`outage`] decides), once when it is
//! back, to every receiver in the file. Receivers fail too, so each has a queue and a task of its
//! own, which goes on trying; none holds up another, nor the calls.
//!
//! Once a second the backends are looked at as `list_backends` shows them. Nobody tells of every
//! change: an open circuit becomes half-open by the clock alone.
//!
//! URLs, keys and headers of receivers are secrets: logs have the kind and the host.

mod counts;
mod notice;
mod outage;
mod payload;
mod queue;
mod sink;

use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use futures::future::join_all;
use mcp_router_config::AlertConfig;
use mcp_router_core::Router;
use tokio::sync::Notify;
use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

pub(crate) use counts::AlertCounts;
use notice::{Event, Health, Notice, Seen};
use outage::{Outage, Turn};
use sink::Sink;

/// How often the backends are looked at.
const LOOK: Duration = Duration::from_secs(1);

/// Whoever is to be told, and what of. Clones are one.
#[derive(Clone, Debug)]
pub(crate) struct Alerts {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    /// The router's name in what is told.
    router: Arc<str>,
    state: Mutex<State>,
    counts: AlertCounts,
    /// The file has changed.
    changed: Notify,
    stop: CancellationToken,
}

/// Locked for a look or a change of the file, never across an await.
#[derive(Debug, Default)]
struct State {
    sinks: Vec<Arc<Sink>>,
    backends: BTreeMap<Arc<str>, Watched>,
}

#[derive(Debug)]
struct Watched {
    outage: Outage,
    /// What was told of it, while it is out.
    told: Option<Notice>,
}

impl Alerts {
    /// For a router that calls itself `name`. Tells nobody yet.
    pub(crate) fn new(name: &str) -> Self {
        Self {
            shared: Arc::new(Shared {
                router: name.into(),
                state: Mutex::default(),
                counts: AlertCounts::default(),
                changed: Notify::new(),
                stop: CancellationToken::new(),
            }),
        }
    }

    /// Looks after the backends of `router` until it is drained or this is closed. Call it inside
    /// a tokio runtime.
    pub(crate) fn watch(&self, router: Router) {
        self.look_at(move || {
            let readiness = router.readiness();
            let statuses = readiness.backends.iter();
            (!readiness.draining).then(|| statuses.map(Seen::of).collect())
        });
    }

    /// Tells others from now on. Those that stay keep what they have not been told yet; new ones
    /// hear of every outage that lasts. Call it inside a tokio runtime.
    pub(crate) fn update(&self, configs: &[AlertConfig]) {
        let start = |config: &AlertConfig| match sink::way(config) {
            Ok(way) => {
                let (name, counts) = (self.shared.router.clone(), self.shared.counts.clone());
                Some(Sink::start(config.clone(), way, name, counts))
            }
            Err(error) => {
                tracing::error!(kind = config.kind.as_str(), %error, "alerts cannot be told there");
                None
            }
        };
        self.replace(configs, start);
    }

    fn replace(&self, configs: &[AlertConfig], start: impl Fn(&AlertConfig) -> Option<Sink>) {
        let mut state = self.shared.state();
        let mut old = std::mem::take(&mut state.sinks);
        for config in configs {
            if let Some(at) = old.iter().position(|sink| sink.is_of(config)) {
                state.sinks.push(old.remove(at));
                continue;
            }
            let Some(sink) = start(config) else { continue };
            for told in state.backends.values().filter_map(|b| b.told.clone()) {
                sink.tell(told);
            }
            state.sinks.push(Arc::new(sink));
        }
        drop(state);
        self.shared.changed.notify_one();
        for sink in old {
            tokio::spawn(async move { sink.close(LAST_WORDS).await });
        }
    }

    /// Looks at what `look` sees, once a second, until it sees nothing any more.
    fn look_at(&self, look: impl Fn() -> Option<Vec<Seen>> + Send + 'static) {
        let shared = self.shared.clone();
        tokio::spawn(async move {
            let mut ticks = interval(LOOK);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                let next = async {
                    shared.has_sinks().await;
                    ticks.tick().await;
                };
                tokio::select! {
                    () = shared.stop.cancelled() => return,
                    () = next => {}
                }
                // Backends of a router that stops are closed, and nobody need be woken for it.
                let Some(seen) = look() else { return };
                shared.state().look(&seen);
            }
        });
    }

    /// Counters of what became of alerts.
    pub(crate) fn counts(&self) -> &AlertCounts {
        &self.shared.counts
    }

    /// Ends: what waits is told if that goes well at once, within two seconds.
    pub(crate) async fn close(&self) {
        self.shared.stop.cancel();
        let sinks = std::mem::take(&mut self.shared.state().sinks);
        join_all(sinks.iter().map(|sink| sink.close(LAST_WORDS))).await;
    }
}

/// How long a receiver may take for what is told at the end.
const LAST_WORDS: Duration = Duration::from_secs(2);

impl Shared {
    /// The data behind a poisoned lock is whole: nothing panics while it is held.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until there is anybody to be told.
    async fn has_sinks(&self) {
        while self.state().sinks.is_empty() {
            self.changed.notified().await;
        }
    }
}

impl State {
    fn look(&mut self, all: &[Seen]) {
        let now = Instant::now();
        for seen in all {
            let watched = self.backends.entry(seen.backend.clone());
            let watched = watched.or_insert_with(|| Watched {
                outage: Outage::new(now),
                told: None,
            });
            let well = match seen.health {
                Health::Well => true,
                Health::Ailing => false,
                // As it was.
                Health::Unknown | Health::Off => continue,
            };
            let turn = watched.outage.see(well, now);
            let Some(notice) = turn.map(|turn| watched.turned(turn, seen, now)) else {
                continue;
            };
            tell(&self.sinks, &notice);
        }
        self.forget(all);
    }

    /// Backends that are gone, or switched off, are out no longer.
    fn forget(&mut self, all: &[Seen]) {
        let on = all.iter().filter(|seen| seen.health != Health::Off);
        let there: HashSet<_> = on.map(|seen| &seen.backend).collect();
        let sinks = &self.sinks;
        self.backends.retain(|name, watched| {
            let stays = there.contains(name);
            if !stays && let Some(told) = watched.told.take() {
                let notice = Notice {
                    event: Event::Recovered,
                    reason: "it is no longer in use".to_owned(),
                    at: SystemTime::now(),
                    ..told
                };
                tell(sinks, &notice);
            }
            stays
        });
    }
}

impl Watched {
    fn turned(&mut self, turn: Turn, seen: &Seen, now: Instant) -> Notice {
        let at = SystemTime::now();
        match (turn, self.told.take()) {
            (Turn::Back, Some(told)) => Notice {
                event: Event::Recovered,
                reason: "it is healthy again".to_owned(),
                at,
                ..told
            },
            (turn, _) => {
                let since = self.outage.since().map(|since| now - since);
                let notice = Notice {
                    event: match turn {
                        Turn::Out => Event::Unhealthy,
                        Turn::Back => Event::Recovered,
                    },
                    backend: seen.backend.clone(),
                    namespace: seen.namespace.clone(),
                    reason: seen.reason.clone(),
                    since: at - since.unwrap_or_default(),
                    at,
                };
                self.told = (turn == Turn::Out).then(|| notice.clone());
                notice
            }
        }
    }
}

fn tell(sinks: &[Arc<Sink>], notice: &Notice) {
    let (event, backend) = (notice.event.as_str(), &*notice.backend);
    tracing::info!(
        event,
        backend,
        reason = notice.reason,
        sinks = sinks.len(),
        "alert"
    );
    for sink in sinks {
        sink.tell(notice.clone());
    }
}

#[cfg(test)]
mod tests;
