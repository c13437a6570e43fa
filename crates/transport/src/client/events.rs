//! The events of an edge on their way to the supervisor.
//!
//! Whoever reads from a backend must never wait for the supervisor: a slow one would hold up every
//! call. So readers only try, and list changes, which must not be lost, are kept as one mark a
//! kind until the supervisor has taken them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures::StreamExt;
use mcp_router_observe::dropped::{self, Reason as Dropped};
use mcp_router_protocol::{ItemKind, Method, RawParams};
use mcp_router_service::{BackendEvent, EventStream, Scope};
use tokio::sync::mpsc;

const CAPACITY: usize = 256;
/// Slots that notifications leave free, for what must not be lost.
const RESERVED: usize = 16;

/// Where an edge tells what happens.
#[derive(Clone, Debug)]
pub(crate) struct Events {
    sender: mpsc::Sender<BackendEvent>,
    marks: Arc<Marks>,
    /// Whether connections made and lost here are news.
    links: bool,
}

#[derive(Debug, Default)]
struct Marks {
    /// One per kind: a change is queued and not taken yet.
    changed: [AtomicBool; 4],
}

impl Events {
    pub(crate) fn channel() -> (Self, EventStream) {
        let (sender, receiver) = mpsc::channel(CAPACITY);
        let marks = Arc::new(Marks::default());
        let taken = marks.clone();
        let stream = futures::stream::unfold(receiver, |mut receiver| async move {
            let event = receiver.recv().await?;
            Some((event, receiver))
        });
        let stream = stream.inspect(move |event| {
            if let BackendEvent::Changed(kind) = event {
                taken.changed[*kind as usize].store(false, Ordering::Release);
            }
        });
        let events = Self {
            sender,
            marks,
            links: true,
        };
        (events, stream.boxed())
    }

    /// The same for a connection that only one client has: that it is made or lost says nothing
    /// about the backend.
    pub(crate) fn without_links(&self) -> Self {
        Self {
            links: false,
            ..self.clone()
        }
    }

    /// Tells of a connection made or lost. Waits for room: only drivers call this, and readers
    /// never wait for drivers.
    pub(crate) async fn tell(&self, event: BackendEvent) {
        if !self.links {
            return;
        }
        // Without a supervisor nobody wants to know.
        let _ = self.sender.send(event).await;
    }

    /// A list changed. Several changes before the supervisor looks are one.
    pub(crate) fn changed(&self, kind: ItemKind) {
        let mark = &self.marks.changed[kind as usize];
        if !mark.swap(true, Ordering::AcqRel)
            && self.sender.try_send(BackendEvent::Changed(kind)).is_err()
        {
            mark.store(false, Ordering::Release);
            dropped::count(Dropped::SupervisorQueueFull);
        }
    }

    /// A notification outside any call: list changes become [`Self::changed`], the rest is handed
    /// on while there is room.
    pub(crate) fn notification(&self, method: Method, params: RawParams, scope: Scope) {
        match method {
            Method::ToolsChanged => self.changed(ItemKind::Tool),
            Method::PromptsChanged => self.changed(ItemKind::Prompt),
            Method::ResourcesChanged => {
                self.changed(ItemKind::Resource);
                self.changed(ItemKind::Template);
            }
            method if self.sender.capacity() > RESERVED => {
                let event = BackendEvent::Notification {
                    method,
                    params,
                    scope,
                };
                if self.sender.try_send(event).is_err() {
                    dropped::count(Dropped::SupervisorQueueFull);
                }
            }
            _ => dropped::count(Dropped::SupervisorQueueFull),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn changes_are_one_until_taken_and_resources_are_two_kinds() {
        let (events, mut stream) = Events::channel();
        let none = RawParams::default;
        for _ in 0..3 {
            events.notification(Method::ToolsChanged, none(), Scope::Shared);
        }
        events.notification(Method::ResourcesChanged, none(), Scope::Shared);
        let mut kinds = Vec::new();
        for _ in 0..3 {
            match stream.next().await {
                Some(BackendEvent::Changed(kind)) => kinds.push(kind),
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(
            kinds,
            [ItemKind::Tool, ItemKind::Resource, ItemKind::Template]
        );
        events.changed(ItemKind::Tool);
        assert!(matches!(
            stream.next().await,
            Some(BackendEvent::Changed(ItemKind::Tool))
        ));
    }

    #[tokio::test]
    async fn a_flood_of_notifications_leaves_room_for_changes() {
        let (events, mut stream) = Events::channel();
        for _ in 0..1000 {
            events.notification(Method::LogMessage, RawParams::default(), Scope::Shared);
        }
        events.changed(ItemKind::Prompt);
        let taken = stream.by_ref().take(CAPACITY - RESERVED + 1);
        let last = taken.fold(None, |_, e| async { Some(e) }).await;
        assert!(matches!(
            last,
            Some(BackendEvent::Changed(ItemKind::Prompt))
        ));
    }
}
