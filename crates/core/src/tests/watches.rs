//! Subscriptions to resources: one upstream for all, news for those who asked.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::future::{BoxFuture, FutureExt};
use futures::stream::{self, StreamExt};
use mcp_router_protocol::{ErrorObject, ItemKind, Method, RawJson, RawParams, code};
use mcp_router_service::{
    BackendEvent, BackendInfo, CallError, Event, McpRequest, McpResponse, Outcome, Reason,
    RequestContext, ResponseStream, Scope, Sent, Session, SessionId, SharedContext,
};
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tower::{Service, ServiceExt};

use super::live::{listen, next};
use super::mock::router;
use crate::{Backend, Router};

/// A backend with resources `x:a`, `x:b` and `x:c`; the last one cannot be watched.
#[derive(Clone)]
struct Watched(Arc<State>);

struct State {
    /// The filters of the listen streams so far, and of those still open.
    asked: Mutex<Vec<Vec<String>>>,
    open: Mutex<Vec<(Vec<String>, mpsc::UnboundedSender<Event>)>>,
    away: Mutex<bool>,
    events: mpsc::UnboundedSender<BackendEvent>,
}

impl Watched {
    fn start(namespace: Option<&str>) -> (Self, Router) {
        let (events, told) = mpsc::unbounded_channel();
        let backend = Self(Arc::new(State {
            asked: Mutex::default(),
            open: Mutex::default(),
            away: Mutex::new(false),
            events,
        }));
        backend.connect();
        let told = stream::unfold(told, |mut told| async { Some((told.recv().await?, told)) });
        let mut built = Backend::new("db".parse().unwrap(), backend.clone()).events(told.boxed());
        if let Some(namespace) = namespace {
            built = built.namespace(namespace.parse().unwrap());
        }
        let router = router(
            Router::builder()
                .namespaces(namespace.is_some())
                .backend(built),
        );
        (backend, router)
    }

    fn connect(&self) {
        self.tell(BackendEvent::Connected(BackendInfo {
            capabilities: Some(RawJson::from_static(r#"{"resources":{"subscribe":true}}"#)),
            ..BackendInfo::default()
        }));
    }

    fn lose(&self) {
        *self.0.away.lock().unwrap() = true;
        self.0.open.lock().unwrap().clear();
        let error = CallError::new(Reason::BackendLost, Sent::Unknown);
        self.tell(BackendEvent::Lost {
            error,
            retry_in: Duration::from_secs(60),
        });
    }

    fn back(&self) {
        *self.0.away.lock().unwrap() = false;
        self.connect();
    }

    fn tell(&self, event: BackendEvent) {
        self.0.events.send(event).unwrap();
    }

    /// What is watched upstream now.
    fn watched(&self) -> Vec<String> {
        let mut open = self.0.open.lock().unwrap();
        open.retain(|(_, stream)| !stream.is_closed());
        assert!(open.len() <= 1, "{open:?}");
        open.first()
            .map(|(uris, _)| uris.clone())
            .unwrap_or_default()
    }

    fn listens(&self) -> usize {
        self.0.asked.lock().unwrap().len()
    }

    fn update(&self, uri: &str) {
        let params = RawParams::of(&json!({ "uri": uri, "_meta": { "k": 1 } }));
        let method = Method::ResourceUpdated;
        for (_, stream) in &*self.0.open.lock().unwrap() {
            let (method, params) = (method.clone(), params.clone());
            let _ = stream.send(Event::Notification { method, params });
        }
    }

    fn list(kind: ItemKind) -> McpResponse {
        let items: Vec<_> = match kind {
            ItemKind::Resource => ["x:a", "x:b", "x:c"]
                .map(|uri| json!({ "uri": uri, "name": uri }))
                .into(),
            _ => Vec::new(),
        };
        McpResponse::complete(RawJson::of(&json!({ kind.member(): items })))
    }

    fn listen(&self, params: &RawParams) -> Result<McpResponse, CallError> {
        if *self.0.away.lock().unwrap() {
            return Err(CallError::new(Reason::ConnectFailed, Sent::No));
        }
        let filter = params.get("notifications").unwrap();
        let uris = filter.get("resourceSubscriptions").unwrap();
        let mut uris: Vec<String> = uris.read_owned().unwrap();
        self.0.asked.lock().unwrap().push(uris.clone());
        uris.retain(|uri| uri != "x:c");
        let (sender, events) = mpsc::unbounded_channel();
        let acknowledged = json!({ "notifications": { "resourceSubscriptions": uris } });
        let first = Event::Notification {
            method: Method::SubscriptionsAcknowledged,
            params: RawParams::of(&acknowledged),
        };
        let _ = sender.send(first);
        self.0.open.lock().unwrap().push((uris, sender));
        let events = stream::unfold(events, |mut events| async {
            Some((Ok(events.recv().await?), events))
        });
        Ok(McpResponse::Stream(ResponseStream::new(events)))
    }
}

impl Service<McpRequest> for Watched {
    type Response = McpResponse;
    type Error = CallError;
    type Future = BoxFuture<'static, Result<McpResponse, CallError>>;

    fn poll_ready(
        &mut self,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Result<(), CallError>> {
        std::task::Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: McpRequest) -> Self::Future {
        let answer = match &request.method {
            Method::Listen => self.listen(&request.params),
            method => match ItemKind::of_list_method(method) {
                Some(kind) => Ok(Self::list(kind)),
                None => Ok(McpResponse::error(ErrorObject::new(
                    code::METHOD_NOT_FOUND,
                    "no such method",
                ))),
            },
        };
        std::future::ready(answer).boxed()
    }
}

async fn settled() {
    tokio::time::sleep(Duration::from_millis(1)).await;
}

fn uri_of(params: &str) -> String {
    let params: Value = serde_json::from_str(params).unwrap();
    params["uri"].as_str().unwrap().to_owned()
}

async fn quiet(stream: &mut ResponseStream) {
    let waited = tokio::time::timeout(Duration::from_secs(5), stream.next()).await;
    assert!(waited.is_err(), "{waited:?}");
}

#[tokio::test(start_paused = true)]
async fn r24_one_upstream_subscription_for_all_until_the_last_client_leaves() {
    let (backend, router) = Watched::start(Some("db"));
    let filter = json!({ "resourceSubscriptions": ["db+x:a"] });
    let mut first = listen(&router, filter.clone()).await;
    next(&mut first).await;
    let mut second = listen(&router, filter).await;
    next(&mut second).await;
    assert_eq!(
        (backend.watched(), backend.listens()),
        (vec!["x:a".to_owned()], 1)
    );

    let filter = json!({ "resourceSubscriptions": ["db+x:b", "db+x:b", "db+x:c"] });
    let mut third = listen(&router, filter).await;
    let (_, acknowledged) = next(&mut third).await;
    let expected = r#"{"notifications":{"resourceSubscriptions":["db+x:b"]}}"#;
    assert_eq!(acknowledged, expected, "only what is honoured");
    assert_eq!(backend.watched(), ["x:a", "x:b"]);

    backend.update("x:a");
    for stream in [&mut first, &mut second] {
        let (method, params) = next(stream).await;
        assert_eq!(method, Method::ResourceUpdated);
        assert_eq!(params, r#"{"_meta":{"k":1},"uri":"db+x:a"}"#);
    }
    quiet(&mut third).await;

    drop(first);
    settled().await;
    assert_eq!(backend.watched(), ["x:a", "x:b"]);
    drop(second);
    settled().await;
    assert_eq!(backend.watched(), ["x:b"]);
    drop(third);
    settled().await;
    assert!(backend.watched().is_empty());
}

#[tokio::test(start_paused = true)]
async fn what_may_have_been_missed_while_a_backend_was_away_is_told_once() {
    let (backend, router) = Watched::start(Some("db"));
    let mut stream = listen(&router, json!({ "resourceSubscriptions": ["db+x:a"] })).await;
    next(&mut stream).await;
    backend.lose();
    settled().await;
    quiet(&mut stream).await;
    backend.back();
    let (method, params) = next(&mut stream).await;
    assert_eq!(
        (method, uri_of(&params)),
        (Method::ResourceUpdated, "db+x:a".to_owned())
    );
    quiet(&mut stream).await;
    backend.update("x:a");
    next(&mut stream).await;
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_ends_by_itself_is_opened_again() {
    let (backend, router) = Watched::start(None);
    let mut stream = listen(&router, json!({ "resourceSubscriptions": ["x:b"] })).await;
    next(&mut stream).await;
    backend.0.open.lock().unwrap().clear();
    let (_, params) = next(&mut stream).await;
    assert_eq!(uri_of(&params), "x:b");
    assert_eq!((backend.watched().len(), backend.listens()), (1, 2));
}

#[tokio::test(start_paused = true)]
async fn clients_of_a_backend_that_is_away_are_promised_and_told_later() {
    let (backend, router) = Watched::start(None);
    router.ready().await;
    *backend.0.away.lock().unwrap() = true;
    let mut stream = listen(&router, json!({ "resourceSubscriptions": ["x:a"] })).await;
    let (_, acknowledged) = next(&mut stream).await;
    assert!(acknowledged.contains("x:a"), "{acknowledged}");
    backend.back();
    let (_, params) = next(&mut stream).await;
    assert_eq!(uri_of(&params), "x:a");
}

#[tokio::test(start_paused = true)]
async fn parts_go_to_those_who_watch_the_whole() {
    let (backend, router) = Watched::start(Some("db"));
    let mut stream = listen(&router, json!({ "resourceSubscriptions": ["db+x:a"] })).await;
    next(&mut stream).await;
    backend.update("x:a/b");
    backend.update("x:ab");
    assert_eq!(uri_of(&next(&mut stream).await.1), "db+x:a/b");
    quiet(&mut stream).await;
}

/// A legacy client: its session and the stream of its news.
struct Client {
    router: Router,
    session: Session,
    news: ResponseStream,
}

impl Client {
    async fn new(router: &Router, id: &str) -> Self {
        let (session, _outbox) = Session::open(SessionId::new(id), Arc::default());
        let request = Self::request(&session, Method::Listen, json!({ "notifications": {} }));
        let McpResponse::Stream(mut news) = router.clone().oneshot(request).await.unwrap() else {
            panic!()
        };
        next(&mut news).await;
        Self {
            router: router.clone(),
            session,
            news,
        }
    }

    fn request(session: &Session, method: Method, params: Value) -> McpRequest {
        McpRequest {
            context: SharedContext::from(RequestContext {
                session: Some(session.clone()),
                ..RequestContext::default()
            }),
            ..McpRequest::new(method, RawParams::of(&params))
        }
    }

    async fn ask(&self, method: Method, uri: &str) -> Result<(), i64> {
        let request = Self::request(&self.session, method, json!({ "uri": uri }));
        match self.router.clone().oneshot(request).await.unwrap() {
            McpResponse::Ready(Outcome::Complete(_)) => Ok(()),
            McpResponse::Ready(Outcome::Error(error)) => Err(error.code()),
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn r24_a_session_subscribes_in_its_own_spelling_and_leaves_with_its_end() {
    let (backend, router) = Watched::start(Some("db"));
    let mut one = Client::new(&router, "one").await;
    let mut two = Client::new(&router, "two").await;
    // The spelling of the Python router, and the one that lists show.
    one.ask(Method::ResourcesSubscribe, "db://x:a")
        .await
        .unwrap();
    two.ask(Method::ResourcesSubscribe, "db+x:a").await.unwrap();
    two.ask(Method::ResourcesSubscribe, "db+x:a").await.unwrap();
    assert_eq!(
        one.ask(Method::ResourcesSubscribe, "db+x:c").await,
        Err(-32602)
    );
    assert_eq!(
        one.ask(Method::ResourcesSubscribe, "no+x:c").await,
        Err(-32602)
    );
    backend.update("x:a");
    assert_eq!(uri_of(&next(&mut one.news).await.1), "db://x:a");
    assert_eq!(uri_of(&next(&mut two.news).await.1), "db+x:a");

    two.ask(Method::ResourcesUnsubscribe, "db://x:a")
        .await
        .unwrap();
    backend.update("x:a");
    next(&mut one.news).await;
    quiet(&mut two.news).await;

    one.session.close().await;
    settled().await;
    assert!(backend.watched().is_empty());
    assert_eq!(
        one.ask(Method::ResourcesUnsubscribe, "db+x:a").await,
        Ok(())
    );
}

#[tokio::test(start_paused = true)]
async fn r25_updates_beside_the_stream_reach_subscribers_and_a_session_s_own_reach_nobody_else() {
    let (backend, router) = Watched::start(None);
    let mut client = Client::new(&router, "one").await;
    client.ask(Method::ResourcesSubscribe, "x:a").await.unwrap();
    let told = |uri: &str, scope| BackendEvent::Notification {
        method: Method::ResourceUpdated,
        params: RawParams::of(&json!({ "uri": uri })),
        scope,
    };
    backend.tell(told("x:a", Scope::Shared));
    assert_eq!(uri_of(&next(&mut client.news).await.1), "x:a");
    backend.tell(told("x:b", Scope::Shared));
    backend.tell(told("x:a", Scope::Session(client.session.clone())));
    quiet(&mut client.news).await;
}

#[tokio::test(start_paused = true)]
async fn many_watches_are_few_streams_and_have_a_bound() {
    let (backend, router) = Watched::start(None);
    let client = Client::new(&router, "one").await;
    let all: BTreeSet<_> = (0..1000).map(|n| format!("x:{n}")).collect();
    // They are not listed: without namespaces nobody owns them.
    assert_eq!(
        client.ask(Method::ResourcesSubscribe, "x:0").await,
        Err(-32602)
    );
    let (spaced, spaced_router) = Watched::start(Some("db"));
    let client = Client::new(&spaced_router, "one").await;
    for uri in &all {
        let uri = format!("db+{uri}");
        client.ask(Method::ResourcesSubscribe, &uri).await.unwrap();
    }
    assert_eq!(spaced.watched().len(), all.len());
    assert_eq!(
        client.ask(Method::ResourcesSubscribe, "db+x:a").await,
        Err(-32602)
    );
    drop(backend);
}
