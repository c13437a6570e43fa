//! One receiver: told in order, told again when it was not there, and in nobody's way.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;
use http::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use mcp_router_config::AlertConfig;
use mcp_router_health::{Backoff, BackoffParams};
use mcp_router_transport::client::{InvalidUrl, Posted, Poster};
use secrecy::ExposeSecret;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::counts::{AlertCounts, Fate};
use super::notice::Notice;
use super::payload::{self, PAGERDUTY};
use super::queue::{Gone, Queue};

/// What one attempt may take, connection included.
const ATTEMPT: Duration = Duration::from_secs(10);
/// The longest wait between attempts.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// Sends one request; a failure comes in words without a secret.
pub(super) type Post =
    Arc<dyn Fn(HeaderMap, Bytes) -> BoxFuture<'static, Result<Posted, String>> + Send + Sync>;

/// A receiver and what it has not been told yet.
pub(super) struct Sink {
    config: AlertConfig,
    waiting: Arc<Waiting>,
    task: Mutex<Option<JoinHandle<()>>>,
}

/// Shared by those who tell and the task that sends.
struct Waiting {
    queue: Mutex<Queue>,
    came: Notify,
    /// One more attempt, and no wait for another.
    closing: CancellationToken,
    counts: AlertCounts,
    /// For logs: neither URL nor key.
    name: String,
    kind: &'static str,
}

struct Task {
    waiting: Arc<Waiting>,
    post: Post,
    config: AlertConfig,
    headers: HeaderMap,
    router: Arc<str>,
    backoff: Backoff,
    rng: fastrand::Rng,
    failing: bool,
}

/// What became of an attempt.
enum Attempt {
    Told,
    /// Trying again may help; when, if the receiver said so.
    Again(Option<Duration>, String),
    Refused(String),
}

/// The way to a receiver.
///
/// # Errors
/// If its URL is none.
pub(super) fn way(config: &AlertConfig) -> Result<(Post, String), InvalidUrl> {
    let url = config.url.as_ref().map(ExposeSecret::expose_secret);
    let poster = Arc::new(Poster::new(url.unwrap_or(PAGERDUTY))?);
    let host = poster.host().to_owned();
    let post: Post = Arc::new(move |headers, body| {
        let poster = poster.clone();
        Box::pin(async move {
            let posted = poster.post(headers, body, ATTEMPT).await;
            posted.map_err(|error| error.to_string())
        })
    });
    Ok((post, host))
}

impl Sink {
    /// Starts to send. Call it inside a tokio runtime.
    pub(super) fn start(
        config: AlertConfig,
        (post, host): (Post, String),
        router: Arc<str>,
        counts: AlertCounts,
    ) -> Self {
        let kind = config.kind.as_str();
        let waiting = Arc::new(Waiting {
            queue: Mutex::default(),
            came: Notify::new(),
            closing: CancellationToken::new(),
            counts,
            name: format!("{kind} at {host}"),
            kind,
        });
        let task = Task {
            waiting: waiting.clone(),
            headers: headers(&config),
            post,
            config: config.clone(),
            router,
            backoff: Backoff::new(BackoffParams::RETRY.capped(LONGEST_WAIT)),
            rng: fastrand::Rng::new(),
            failing: false,
        };
        Self {
            config,
            waiting,
            task: Mutex::new(Some(tokio::spawn(task.run()))),
        }
    }

    /// Tells it, sooner or later.
    pub(super) fn tell(&self, notice: Notice) {
        let gone = self.waiting.queue().push(notice);
        self.waiting.note(gone);
        self.waiting.came.notify_one();
    }

    /// Whether it is the one of `config`.
    pub(super) fn is_of(&self, config: &AlertConfig) -> bool {
        self.config == *config
    }

    /// Tells what waits, if that goes well at once, and ends; within `limit`.
    pub(super) async fn close(&self, limit: Duration) {
        self.waiting.closing.cancel();
        let task = self.task.lock();
        let task = task.unwrap_or_else(PoisonError::into_inner).take();
        let Some(mut task) = task else { return };
        if timeout(limit, &mut task).await.is_err() {
            task.abort();
        }
        let untold = self.waiting.queue().len();
        if untold > 0 {
            tracing::warn!(sink = %self.waiting.name, untold, "alerts could not be told any more");
        }
    }
}

impl fmt::Debug for Sink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Sink").field(&self.waiting.name).finish()
    }
}

fn headers(config: &AlertConfig) -> HeaderMap {
    let mut headers = HeaderMap::with_capacity(config.headers.len() + 1);
    for (name, value) in &config.headers {
        // Checked when the file was read.
        if let Ok(mut value) = HeaderValue::from_str(value.expose_secret()) {
            value.set_sensitive(true);
            headers.append(name.clone(), value);
        }
    }
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers
}

impl Waiting {
    /// The data behind a poisoned lock is whole: nothing panics while it is held.
    fn queue(&self) -> std::sync::MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, gone: Gone) {
        self.counts.add(self.kind, Fate::Overtaken, gone.overtaken);
        self.counts.add(self.kind, Fate::Dropped, gone.dropped);
        if gone.dropped > 0 {
            tracing::warn!(sink = %self.name, "too many alerts wait: the oldest was dropped");
        }
    }

    /// The next to tell; `None` when there is none and none will come.
    async fn next(&self) -> Option<Notice> {
        loop {
            let came = self.came.notified();
            if let Some(notice) = self.queue().pop() {
                return Some(notice);
            }
            tokio::select! {
                () = came => {}
                () = self.closing.cancelled() => return None,
            }
        }
    }
}

impl Task {
    async fn run(mut self) {
        while let Some(notice) = self.waiting.next().await {
            let (kind, counts) = (self.waiting.kind, self.waiting.counts.clone());
            match self.attempt(&notice).await {
                Attempt::Told => {
                    counts.add(kind, Fate::Sent, 1);
                    self.told(&notice);
                }
                Attempt::Refused(why) => {
                    counts.add(kind, Fate::Failed, 1);
                    tracing::error!(
                        sink = %self.waiting.name, backend = %notice.backend, why,
                        "an alert was refused and is not told"
                    );
                }
                Attempt::Again(wait, why) => {
                    counts.add(kind, Fate::Retried, 1);
                    if !std::mem::replace(&mut self.failing, true) {
                        tracing::warn!(sink = %self.waiting.name, why, "alerts do not get through");
                    }
                    let gone = self.waiting.queue().restore(notice);
                    self.waiting.note(gone);
                    if self.waiting.closing.is_cancelled() {
                        return;
                    }
                    let wait = wait.unwrap_or_else(|| self.backoff.next(&mut self.rng));
                    tokio::select! {
                        () = sleep(wait) => {}
                        // Once more, at once.
                        () = self.waiting.closing.cancelled() => {}
                    }
                }
            }
        }
    }

    fn told(&mut self, notice: &Notice) {
        self.backoff.reset();
        if std::mem::take(&mut self.failing) {
            tracing::info!(sink = %self.waiting.name, "alerts get through again");
        }
        tracing::debug!(
            sink = %self.waiting.name, backend = %notice.backend,
            event = notice.event.as_str(), "alert told"
        );
    }

    async fn attempt(&self, notice: &Notice) -> Attempt {
        let body = payload::body(&self.config.kind, &self.router, notice);
        let posted = match (self.post)(self.headers.clone(), body).await {
            Ok(posted) => posted,
            Err(why) => return Attempt::Again(None, why),
        };
        let why = || format!("HTTP {}", posted.status.as_u16());
        match posted.status.as_u16() {
            200..=299 => Attempt::Told,
            408 | 425 | 429 | 500..=599 => Attempt::Again(posted.retry_after, why()),
            _ => Attempt::Refused(why()),
        }
    }
}
