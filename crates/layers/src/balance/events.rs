//! What several endpoints tell, as if it were one.
//!
//! Passed on as they come, the loss of one replica of three would take the backend down for the
//! supervisor, and a replica that flaps would have everything listed again every second.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use futures::stream::{self, BoxStream, SelectAll, StreamExt};
use mcp_router_protocol::ItemKind;
use mcp_router_service::{BackendEvent, BackendInfo, CallError, EventStream};
use tokio::time::{Instant, sleep_until};

use super::group::Group;

/// An endpoint that comes back beside others may have come back with other tools. How often lists
/// are taken to be out of date for that: four times a minute (F15).
const RELIST_EVERY: Duration = Duration::from_secs(15);

struct Merge {
    group: Arc<Group>,
    streams: SelectAll<BoxStream<'static, (usize, BackendEvent)>>,
    links: Vec<Link>,
    /// To be handed on, at most one list change of each kind and one other event.
    queue: VecDeque<BackendEvent>,
    /// When lists were last taken to be out of date.
    relisted: Option<Instant>,
    /// When they will be.
    relist_at: Option<Instant>,
}

/// What an endpoint said last.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Link {
    /// Nothing: one without events, or one that is still at it.
    Unknown,
    Up,
    /// It connects when it is called.
    Asleep,
    Down {
        /// When it tries again.
        next: Instant,
    },
}

/// Makes the streams of some members one. It ends when all have ended.
pub(super) fn merge(group: Arc<Group>, streams: Vec<(usize, EventStream)>) -> EventStream {
    let tagged = |(at, events): (usize, EventStream)| events.map(move |e| (at, e)).boxed();
    let merge = Merge {
        links: vec![Link::Unknown; group.members.len()],
        group,
        streams: streams.into_iter().map(tagged).collect(),
        queue: VecDeque::new(),
        relisted: None,
        relist_at: None,
    };
    stream::unfold(merge, Merge::next).boxed()
}

impl Merge {
    async fn next(mut self) -> Option<(BackendEvent, Self)> {
        loop {
            if let Some(event) = self.queue.pop_front() {
                return Some((event, self));
            }
            let relist_at = self.relist_at;
            tokio::select! {
                event = self.streams.next() => match event {
                    Some((at, event)) => self.on_event(at, event),
                    None => {
                        relist_at?;
                        self.relist();
                    }
                },
                () = sleep_until(relist_at.unwrap_or_else(Instant::now)), if relist_at.is_some() => {
                    self.relist();
                }
            }
        }
    }

    fn on_event(&mut self, at: usize, event: BackendEvent) {
        self.group.members[at].endpoint.hear(&event);
        match event {
            BackendEvent::Connected(info) => self.connected(at, info),
            BackendEvent::Lost { error, retry_in } => self.lost(at, error, retry_in),
            BackendEvent::Asleep => self.asleep(at),
            BackendEvent::Changed(_) | BackendEvent::Notification { .. } => {
                self.queue.push_back(event);
            }
        }
    }

    fn connected(&mut self, at: usize, info: BackendInfo) {
        self.group.members[at].connected(&info);
        self.links[at] = Link::Up;
        if self.another_is_up(at) {
            tracing::info!(backend = %self.group.backend, endpoint = self.name(at), "endpoint joins");
            let now = Instant::now();
            let due = self
                .relisted
                .map_or(now, |last| now.max(last + RELIST_EVERY));
            self.relist_at.get_or_insert(due);
            return;
        }
        // The supervisor lists everything now.
        self.relisted = Some(Instant::now());
        self.relist_at = None;
        self.queue.push_back(BackendEvent::Connected(info));
    }

    fn asleep(&mut self, at: usize) {
        self.links[at] = Link::Asleep;
        if !self.another_is_up(at) {
            self.queue.push_back(BackendEvent::Asleep);
        }
    }

    fn lost(&mut self, at: usize, error: CallError, retry_in: Duration) {
        let now = Instant::now();
        let before = std::mem::replace(
            &mut self.links[at],
            Link::Down {
                next: now + retry_in,
            },
        );
        if !matches!(before, Link::Down { .. }) {
            tracing::warn!(
                backend = %self.group.backend, endpoint = self.name(at), reason = %error.reason,
                retry_in_ms = retry_in.as_millis() as u64, "endpoint lost"
            );
        }
        if let Some(next) = self.all_down() {
            self.queue.push_back(BackendEvent::Lost {
                error,
                retry_in: next.saturating_duration_since(now),
            });
        }
    }

    fn another_is_up(&self, at: usize) -> bool {
        let others = self.links.iter().enumerate().filter(|(i, _)| *i != at);
        others.into_iter().any(|(_, link)| *link == Link::Up)
    }

    /// When the first of them tries again, if all are down.
    fn all_down(&self) -> Option<Instant> {
        let next = self.links.iter().map(|link| match link {
            Link::Down { next } => Some(*next),
            Link::Up | Link::Asleep | Link::Unknown => None,
        });
        next.collect::<Option<Vec<_>>>()?.into_iter().min()
    }

    fn relist(&mut self) {
        self.relist_at = None;
        self.relisted = Some(Instant::now());
        self.queue.extend(ItemKind::ALL.map(BackendEvent::Changed));
    }

    fn name(&self, at: usize) -> &str {
        self.group.members[at].endpoint.key()
    }
}
