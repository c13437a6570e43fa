//! Who looks after one parked call until its client is back, or does not come.

use std::time::Duration;

use futures::StreamExt;
use mcp_router_observe::dropped::{self, Reason as Dropped};
use mcp_router_protocol::{ErrorObject, Method, RawJson, code};
use mcp_router_service::{CallError, Event, Reason, Sent, ServerRequest};
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep, timeout_at};
use tokio_util::sync::CancellationToken;

use super::{Parked, Parks, Slot};
use crate::bridge::ask::MAX_REQUESTS;

/// How long a backend may take to end by itself, once it was told that nobody answers.
const GRACE: Duration = Duration::from_secs(1);

/// Keeps the call until somebody comes for it, until its time is over, or until the router stops.
pub(super) async fn keep(
    parks: Parks,
    id: u64,
    mut parked: Parked,
    mut coming: oneshot::Receiver<oneshot::Sender<Parked>>,
    slot: Slot,
    stop: CancellationToken,
) {
    let over = sleep(parks.life());
    tokio::pin!(over);
    loop {
        tokio::select! {
            biased;
            place = &mut coming => {
                drop(slot);
                if let Ok(place) = place {
                    // A client that is gone again has given the call up.
                    let _ = place.send(parked);
                }
                return;
            }
            () = stop.cancelled() => break,
            () = &mut over => {
                let backend = parked.visit.as_ref().map(|visit| visit.backend.as_str());
                tracing::info!(backend,
                    "a call was ended: its client did not bring what it needs");
                break;
            }
            event = parked.stream.next(), if parked.end.is_none() => parked.hear(event),
        }
    }
    // From now on it cannot be found; who was about to take it finds nothing.
    parks.forget(id);
    drop((coming, slot));
    parked.expire(&stop).await;
}

impl Parked {
    fn hear(&mut self, event: Option<Result<Event, CallError>>) {
        match event {
            Some(Ok(Event::ServerRequest(request))) if self.open.len() < MAX_REQUESTS => {
                self.asked += 1;
                let key = super::key(&request.method, self.asked);
                self.open.push_back((key, request));
            }
            Some(Ok(Event::ServerRequest(request))) => {
                dropped::count_of(Dropped::ClientAsksFull, &request.method);
                request.refuse();
            }
            // Nobody is there to see it.
            Some(Ok(Event::Notification { method, .. })) => {
                dropped::count_of(Dropped::CallParked, method);
            }
            Some(Ok(Event::Outcome(outcome))) => self.end = Some(Ok(outcome)),
            Some(Err(error)) => self.end = Some(Err(error)),
            None => {
                let error = CallError::new(Reason::BackendLost, Sent::Unknown);
                self.end = Some(Err(error));
            }
        }
    }

    /// Ends the call: tells the backend that nobody answers, and goes once it has heard that
    /// (R36). Dropping the stream cancels what still runs.
    async fn expire(mut self, stop: &CancellationToken) {
        self.open
            .drain(..)
            .for_each(|(_, request)| no_answer(request));
        // Even at the end of the router it is read once more: answers go by the stream.
        let grace = if stop.is_cancelled() {
            Duration::ZERO
        } else {
            GRACE
        };
        let until = Instant::now() + grace;
        while self.end.is_none() {
            match timeout_at(until, self.stream.next()).await {
                Ok(event) => self.hear(event),
                Err(_) => return,
            }
            self.open
                .drain(..)
                .for_each(|(_, request)| no_answer(request));
        }
    }
}

/// What a backend is told whose request nobody answers.
fn no_answer(request: ServerRequest) {
    let answer = match request.method {
        Method::Elicit => Ok(RawJson::from_static(r#"{"action":"cancel"}"#)),
        // The code that the older revisions have for a user who does not want.
        Method::CreateMessage => Err(ErrorObject::new(-1, "the client did not answer")),
        _ => {
            let text = "the client did not answer";
            Err(ErrorObject::new(code::INTERNAL_ERROR, text))
        }
    };
    // A backend that no longer waits is content with no answer.
    let _ = request.reply.send(answer);
}
