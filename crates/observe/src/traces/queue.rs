//! From calls that have ended to the collector, without holding anybody up.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use opentelemetry_proto::tonic::trace::v1::Span as Record;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::TraceSettings;
use super::export::{Collector, CollectorError, Export};

/// How often a batch is sent that the collector did not take.
const TRIES: u32 = 4;
/// The wait before the second time; the others double it.
const FIRST_WAIT: Duration = Duration::from_secs(1);
/// Nobody wants the same complaint every five seconds.
const TELL_EVERY: Duration = Duration::from_secs(60);

/// How many spans went where.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct SpanCounts {
    /// The collector has them.
    pub exported: u64,
    /// The queue was full.
    pub dropped: u64,
    /// The collector was not there for long, or refused them.
    pub failed: u64,
}

/// What makes spans and what exports them share.
#[derive(Debug)]
pub(super) struct Shared {
    queue: mpsc::Sender<Record>,
    exported: AtomicU64,
    dropped: AtomicU64,
    failed: AtomicU64,
}

/// The way to the collector, to be closed at the end.
#[derive(Debug)]
pub struct Exporter {
    closing: watch::Sender<bool>,
    task: Mutex<Option<JoinHandle<()>>>,
}

struct Task {
    queue: mpsc::Receiver<Record>,
    closing: watch::Receiver<bool>,
    /// Not the way into the queue, so that the end of all tracers is the end of the task.
    shared: std::sync::Weak<Shared>,
    export: Export,
    delay: Duration,
    batch: usize,
    complaints: Complaints,
}

/// What has been said of the collector.
#[derive(Default)]
struct Complaints {
    said: Option<Instant>,
    /// Spans lost since then.
    lost: u64,
    dropped: u64,
    failing: bool,
}

pub(super) fn start(settings: TraceSettings, collector: Collector) -> (Arc<Shared>, Exporter) {
    let (sender, queue) = mpsc::channel(settings.queue);
    let (closing, watched) = watch::channel(false);
    let shared = Arc::new(Shared {
        queue: sender,
        exported: AtomicU64::new(0),
        dropped: AtomicU64::new(0),
        failed: AtomicU64::new(0),
    });
    let task = Task {
        queue,
        closing: watched,
        shared: Arc::downgrade(&shared),
        delay: settings.delay,
        batch: settings.batch,
        complaints: Complaints::default(),
        export: Export::new(settings, collector),
    };
    let exporter = Exporter {
        closing,
        task: Mutex::new(Some(tokio::spawn(task.run()))),
    };
    (shared, exporter)
}

impl Shared {
    /// A span has ended. Never waits.
    pub(super) fn take(&self, record: Record) {
        if self.queue.try_send(record).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(super) fn counts(&self) -> SpanCounts {
        SpanCounts {
            exported: self.exported.load(Ordering::Relaxed),
            dropped: self.dropped.load(Ordering::Relaxed),
            failed: self.failed.load(Ordering::Relaxed),
        }
    }
}

impl Exporter {
    /// Sends what is left, for `limit` at most, and ends. Later calls find nothing left to do.
    pub async fn close(&self, limit: Duration) {
        self.closing.send_replace(true);
        let task = self.task.lock();
        let task = task.unwrap_or_else(PoisonError::into_inner).take();
        let Some(mut task) = task else { return };
        if timeout(limit, &mut task).await.is_err() {
            task.abort();
            tracing::warn!("the last spans did not reach the trace collector in time");
        }
    }
}

impl Task {
    async fn run(mut self) {
        let mut batch = Vec::new();
        loop {
            let more = self.fill(&mut batch).await;
            if !batch.is_empty() {
                self.deliver(std::mem::take(&mut batch)).await;
            }
            self.tell();
            if !more {
                return;
            }
        }
    }

    /// Collects spans until there are enough or the first has waited long enough; false at the end.
    async fn fill(&mut self, batch: &mut Vec<Record>) -> bool {
        let closing = async |watched: &mut watch::Receiver<bool>| {
            // Who has gone away without closing does not wait either.
            let _ = watched.wait_for(|closing| *closing).await;
        };
        let mut due = None;
        while batch.len() < self.batch {
            let room = self.batch - batch.len();
            tokio::select! {
                biased;
                taken = self.queue.recv_many(batch, room) => {
                    if taken == 0 {
                        return false;
                    }
                    due.get_or_insert_with(|| Instant::now() + self.delay);
                }
                () = at(due) => return true,
                () = closing(&mut self.closing) => {
                    // Everything that was there has been taken.
                    return false;
                }
            }
        }
        true
    }

    async fn deliver(&mut self, batch: Vec<Record>) {
        let many = batch.len() as u64;
        let body = self.export.body(batch);
        let mut wait = FIRST_WAIT;
        for tried in 1..=TRIES {
            let error = match self.export.send(body.clone()).await {
                Ok(refused) => return self.delivered(many, refused),
                Err(error) => error,
            };
            let closing = *self.closing.borrow();
            if tried == TRIES || closing || !error.may_pass() {
                return self.lost(many, &error);
            }
            self.complaints.failing(&error);
            tokio::select! {
                () = sleep(error.wait().unwrap_or(wait)) => {}
                _ = self.closing.wait_for(|closing| *closing) => {}
            }
            wait *= 2;
        }
    }

    fn delivered(&mut self, many: u64, refused: u64) {
        if let Some(shared) = self.shared.upgrade() {
            shared
                .exported
                .fetch_add(many.saturating_sub(refused), Ordering::Relaxed);
            shared.failed.fetch_add(refused, Ordering::Relaxed);
        }
        if refused > 0 {
            tracing::warn!(spans = refused, "the trace collector refused spans");
        }
        if std::mem::take(&mut self.complaints.failing) {
            tracing::info!("spans reach the trace collector again");
        }
    }

    fn lost(&mut self, many: u64, error: &CollectorError) {
        if let Some(shared) = self.shared.upgrade() {
            shared.failed.fetch_add(many, Ordering::Relaxed);
        }
        self.complaints.lost += many;
        self.complaints.failing(error);
    }

    /// Says how many spans are gone, once a minute.
    fn tell(&mut self) {
        let dropped = self.shared.upgrade().map(|s| s.counts().dropped);
        self.complaints.tell(dropped);
    }
}

impl Complaints {
    fn failing(&mut self, error: &CollectorError) {
        if !std::mem::replace(&mut self.failing, true) {
            tracing::warn!(%error, "spans do not reach the trace collector");
        }
    }

    fn tell(&mut self, dropped: Option<u64>) {
        let dropped = dropped.unwrap_or(self.dropped);
        let (new, lost) = (dropped - self.dropped, self.lost);
        let due = self.said.is_none_or(|said| said.elapsed() >= TELL_EVERY);
        if (new, lost) == (0, 0) || !due {
            return;
        }
        tracing::warn!(dropped = new, failed = lost, "spans were lost");
        (self.dropped, self.lost, self.said) = (dropped, 0, Some(Instant::now()));
    }
}

async fn at(due: Option<Instant>) {
    match due {
        Some(due) => sleep_until(due).await,
        None => std::future::pending().await,
    }
}
