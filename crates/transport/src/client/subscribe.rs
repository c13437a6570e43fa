//! Subscriptions to resources of a legacy backend, as the inner dialect has them.
//!
//! Inside the router a subscription is a listen stream that lives as long as it. A legacy backend
//! knows two requests instead, and forgets what it was told with its session. So each stream
//! counts its URIs in the table of its connection: the first one to want a URI subscribes, the
//! last one to leave it unsubscribes, and a stream whose connection is gone ends, for whoever
//! holds it to open another.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::future::BoxFuture;
use futures::stream::{self, StreamExt, TryStreamExt};
use mcp_router_observe::dropped::{self, Reason as Dropped};
use mcp_router_protocol::{Method, RawParams};
use mcp_router_service::{CallError, Event, McpRequest, McpResponse, Outcome, ResponseStream};
use tokio::time::timeout;

/// Subscriptions asked for at the same time.
const AT_ONCE: usize = 8;
/// How long a backend may take to end a subscription.
const ENDING: Duration = Duration::from_secs(10);

/// Asks the backend on the connection that the subscriptions belong to.
pub(crate) type Ask =
    Arc<dyn Fn(McpRequest) -> BoxFuture<'static, Result<McpResponse, CallError>> + Send + Sync>;

/// What one connection is subscribed to.
#[derive(Debug, Default)]
pub(crate) struct Subscribed(Mutex<Table>);

#[derive(Debug, Default)]
struct Table {
    uris: HashMap<Arc<str>, Slot>,
    /// Counts how often the backend has forgotten everything.
    age: u64,
}

#[derive(Clone, Debug, Default)]
struct Slot {
    /// How many streams want it.
    wanted: usize,
    /// Whether the backend knows. Held while it is asked, so that its answers come in order.
    upstream: Arc<tokio::sync::Mutex<bool>>,
}

/// One stream's share of the table.
struct Hold {
    subscribed: Arc<Subscribed>,
    ask: Ask,
    age: u64,
    uris: Vec<Arc<str>>,
}

/// Subscribes to what the filter in `params` names, for as long as the answer is held. `ended`
/// resolves when the backend may have forgotten the subscriptions, or told of a change in vain.
///
/// # Errors
/// If the backend cannot be asked. What it refuses is left out of the acknowledgement.
pub(crate) async fn listen(
    subscribed: &Arc<Subscribed>,
    params: &RawParams,
    ask: Ask,
    ended: BoxFuture<'static, CallError>,
) -> Result<McpResponse, CallError> {
    let mut hold = Hold::new(subscribed, ask, wanted(params));
    let uris = hold.uris.iter().cloned();
    let subscribing: Vec<_> = uris.map(|uri| hold.subscribe(uri)).collect();
    let answers = stream::iter(subscribing).buffered(AT_ONCE);
    let answers: Vec<_> = answers.try_collect().await?;
    let mut answers = answers.into_iter();
    let all = std::mem::take(&mut hold.uris);
    for uri in all {
        match answers.next() {
            Some(true) => hold.uris.push(uri),
            _ => hold.leave(uri),
        }
    }
    let first = acknowledged(&hold.uris);
    let last = stream::once(async move {
        let error = ended.await;
        hold.forgotten();
        Err(error)
    });
    let events = stream::iter([Ok(first)]).chain(last);
    Ok(McpResponse::Stream(ResponseStream::new(events)))
}

fn wanted(params: &RawParams) -> Vec<Arc<str>> {
    let filter = params.get("notifications");
    let uris = filter.and_then(|filter| filter.get("resourceSubscriptions"));
    let mut uris: Vec<String> = uris
        .and_then(|uris| uris.read_owned().ok())
        .unwrap_or_default();
    uris.sort_unstable();
    uris.dedup();
    uris.into_iter().map(Arc::from).collect()
}

fn acknowledged(uris: &[Arc<str>]) -> Event {
    let uris: Vec<&str> = uris.iter().map(|uri| &**uri).collect();
    let honoured = serde_json::json!({ "notifications": { "resourceSubscriptions": uris } });
    Event::Notification {
        method: Method::SubscriptionsAcknowledged,
        params: RawParams::of(&honoured),
    }
}

impl Hold {
    fn new(subscribed: &Arc<Subscribed>, ask: Ask, uris: Vec<Arc<str>>) -> Self {
        let mut table = subscribed.lock();
        for uri in &uris {
            table.uris.entry(uri.clone()).or_default().wanted += 1;
        }
        Self {
            subscribed: subscribed.clone(),
            ask,
            age: table.age,
            uris,
        }
    }

    /// Sees to it that the backend knows; false if it refuses.
    fn subscribe(
        &self,
        uri: Arc<str>,
    ) -> impl Future<Output = Result<bool, CallError>> + Send + 'static {
        let slot = self.subscribed.lock().uris.get(&uri).cloned();
        let ask = self.ask.clone();
        async move {
            let upstream = slot.unwrap_or_default().upstream;
            let mut known = upstream.lock().await;
            if !*known {
                let answer = ask(request(Method::ResourcesSubscribe, &uri)).await?;
                *known = matches!(answer.outcome().await?, Outcome::Complete(_));
            }
            Ok(*known)
        }
    }

    fn leave(&self, uri: Arc<str>) {
        let mut table = self.subscribed.lock();
        if table.age != self.age {
            return;
        }
        let Some(slot) = table.uris.get_mut(&uri) else {
            return;
        };
        slot.wanted = slot.wanted.saturating_sub(1);
        if slot.wanted > 0 {
            return;
        }
        let upstream = slot.upstream.clone();
        drop(table);
        // Without a runtime everything ends, this connection too.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            let (subscribed, ask) = (self.subscribed.clone(), self.ask.clone());
            let leave = unsubscribe(subscribed, self.age, upstream, ask, uri);
            runtime.spawn(leave);
        }
    }

    /// The backend has forgotten everything: there is nothing to unsubscribe from.
    fn forgotten(&self) {
        let mut table = self.subscribed.lock();
        if table.age == self.age {
            table.uris.clear();
            table.age += 1;
        }
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        for uri in std::mem::take(&mut self.uris) {
            self.leave(uri);
        }
    }
}

/// Unsubscribes, unless somebody wants the resource again by now.
async fn unsubscribe(
    subscribed: Arc<Subscribed>,
    age: u64,
    upstream: Arc<tokio::sync::Mutex<bool>>,
    ask: Ask,
    uri: Arc<str>,
) {
    let mut known = upstream.lock().await;
    let unwanted = |table: &Table| {
        table.age == age && table.uris.get(&uri).is_some_and(|slot| slot.wanted == 0)
    };
    if !unwanted(&subscribed.lock()) {
        return;
    }
    if *known {
        *known = false;
        let asked = async {
            ask(request(Method::ResourcesUnsubscribe, &uri))
                .await?
                .outcome()
                .await
        };
        if !matches!(timeout(ENDING, asked).await, Ok(Ok(_))) {
            dropped::count(Dropped::BackendNotTold);
        }
    }
    let mut table = subscribed.lock();
    if unwanted(&table) {
        table.uris.remove(&uri);
    }
}

fn request(method: Method, uri: &str) -> McpRequest {
    McpRequest::new(method, RawParams::of(&serde_json::json!({ "uri": uri })))
}

impl Subscribed {
    /// The data behind a poisoned lock is whole: nothing panics while it is held.
    fn lock(&self) -> MutexGuard<'_, Table> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;
    use mcp_router_protocol::{ErrorObject, RawJson};
    use mcp_router_service::{Reason, Sent};
    use tokio::sync::oneshot;

    use super::*;

    type Log = Arc<Mutex<Vec<String>>>;

    /// Notes what is asked; has no `x:no`.
    fn backend() -> (Ask, Log) {
        let log = Log::default();
        let noted = log.clone();
        let ask: Ask = Arc::new(move |request| {
            let uri = request.params.uri().unwrap();
            let line = format!("{} {uri}", request.method);
            noted.lock().unwrap().push(line);
            let answer = match &*uri {
                "x:no" => McpResponse::error(ErrorObject::new(-32002, "no")),
                _ => McpResponse::complete(RawJson::from_static("{}")),
            };
            futures::future::ready(Ok(answer)).boxed()
        });
        (ask, log)
    }

    fn filter(uris: &[&str]) -> RawParams {
        let filter = serde_json::json!({ "resourceSubscriptions": uris });
        RawParams::of(&serde_json::json!({ "notifications": filter }))
    }

    async fn open(
        subscribed: &Arc<Subscribed>,
        ask: &Ask,
        uris: &[&str],
    ) -> (ResponseStream, String, oneshot::Sender<()>) {
        let (end, ended) = oneshot::channel();
        let ended = async {
            // Never sent: not ended.
            if ended.await.is_err() {
                std::future::pending::<()>().await;
            }
            CallError::new(Reason::BackendLost, Sent::Unknown)
        };
        let filter = filter(uris);
        let answer = listen(subscribed, &filter, ask.clone(), ended.boxed());
        let McpResponse::Stream(mut stream) = answer.await.unwrap() else {
            panic!()
        };
        let Some(Ok(Event::Notification { params, .. })) = stream.next().await else {
            panic!()
        };
        let honoured = params.get("notifications").unwrap();
        let honoured = honoured.get("resourceSubscriptions").unwrap();
        (stream, honoured.as_str().to_owned(), end)
    }

    async fn taken(log: &Log) -> Vec<String> {
        for _ in 0..20 {
            tokio::task::yield_now().await;
        }
        let mut taken = std::mem::take(&mut *log.lock().unwrap());
        taken.sort();
        taken
    }

    #[tokio::test]
    async fn r24_the_first_stream_subscribes_and_the_last_one_unsubscribes() {
        let (subscribed, (ask, log)) = (Arc::default(), backend());
        let (first, honoured, _end) = open(&subscribed, &ask, &["x:a", "x:no", "x:a"]).await;
        assert_eq!(honoured, r#"["x:a"]"#);
        let expected = ["resources/subscribe x:a", "resources/subscribe x:no"];
        assert_eq!(taken(&log).await, expected);
        let (second, _, _end) = open(&subscribed, &ask, &["x:a", "x:b"]).await;
        assert_eq!(taken(&log).await, ["resources/subscribe x:b"]);
        drop(first);
        assert!(taken(&log).await.is_empty());
        drop(second);
        let expected = ["resources/unsubscribe x:a", "resources/unsubscribe x:b"];
        assert_eq!(taken(&log).await, expected);
        assert!(subscribed.lock().uris.is_empty());
    }

    #[tokio::test]
    async fn a_stream_whose_backend_forgot_ends_and_leaves_nothing_behind() {
        let (subscribed, (ask, log)) = (Arc::default(), backend());
        let (mut stream, _, end) = open(&subscribed, &ask, &["x:a"]).await;
        taken(&log).await;
        end.send(()).unwrap();
        assert!(stream.next().await.unwrap().is_err());
        drop(stream);
        assert!(taken(&log).await.is_empty());
        let (_again, _, _end) = open(&subscribed, &ask, &["x:a"]).await;
        assert_eq!(taken(&log).await, ["resources/subscribe x:a"]);
    }
}
