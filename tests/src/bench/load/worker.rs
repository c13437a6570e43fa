//! One connection of the load generator.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::Instant;

use super::Load;
use super::answer::{Answer, judge};
use super::request::{HELLO, READY};
use super::tickets::Tickets;
use crate::fixture::Era;

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// What one connection saw.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// Times of good answers in the counted time.
    pub(super) took: Vec<Duration>,
    /// Times of refusals in the counted time.
    pub(super) refused: Vec<Duration>,
    /// Requests sent in the counted time.
    pub(super) offered: u64,
    /// Refusals in all.
    pub(super) refusals: u64,
    /// Requests that are still without an answer.
    pub(super) unanswered: u64,
    /// Other errors in all.
    pub(super) broken: u64,
    pub(super) first_error: Option<String>,
    pub(super) first_refusal: Option<String>,
    pub(super) last_error: Option<Instant>,
}

pub(super) struct Worker {
    load: Load,
    next: usize,
    session: Option<String>,
    tickets: Arc<Tickets>,
    /// A request that could not be sent, for the next connection.
    held: Option<Instant>,
    pub(super) seen: Seen,
}

/// Why a connection is given up without an error.
enum End {
    /// There is nothing more to send.
    Over,
    /// The server closed it while it was idle, which is its right.
    Closed,
}

impl Worker {
    pub(super) fn new(load: Load, number: usize, tickets: Arc<Tickets>) -> Self {
        Self {
            load,
            next: number,
            session: None,
            tickets,
            held: None,
            seen: Seen::default(),
        }
    }

    /// How long answers are waited for when the time is over, milliseconds.
    pub(super) fn patience(&self) -> u64 {
        self.load.patience_ms
    }

    /// Sends until the time is over. After a broken connection it connects anew.
    pub(super) async fn work(&mut self, from: Instant, until: Instant) {
        while Instant::now() < until {
            match self.connected(from, until).await {
                Ok(End::Over) => return,
                Ok(End::Closed) => {}
                Err(error) => {
                    self.broken(error.to_string());
                    tokio::time::sleep(self.load.pause()).await;
                }
            }
        }
    }

    async fn connected(&mut self, from: Instant, until: Instant) -> Result<End, BoxError> {
        let stream = TcpStream::connect(self.load.addr).await?;
        stream.set_nodelay(true)?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        if self.load.era == Era::Legacy && self.session.is_none() {
            self.initialize(&mut sender).await?;
        }
        let end = self.requests(&mut sender, from, until).await?;
        if matches!(end, End::Over) {
            self.goodbye(&mut sender).await;
        }
        Ok(end)
    }

    async fn requests(
        &mut self,
        sender: &mut SendRequest<Full<Bytes>>,
        from: Instant,
        until: Instant,
    ) -> Result<End, BoxError> {
        loop {
            let Some(due) = self.held.take().or_else(|| self.tickets.take()) else {
                return Ok(End::Over);
            };
            if due >= until || Instant::now() >= until {
                return Ok(End::Over);
            }
            let mut begin = due;
            if due > Instant::now() {
                tokio::time::sleep_until(due).await;
                // Timers are as coarse as a millisecond; that is not the router's.
                begin = Instant::now();
            }
            if sender.ready().await.is_err() {
                self.held = Some(due);
                return Ok(End::Closed);
            }
            self.exchange(sender, begin, from, until).await?;
        }
    }

    async fn exchange(
        &mut self,
        sender: &mut SendRequest<Full<Bytes>>,
        begin: Instant,
        from: Instant,
        until: Instant,
    ) -> Result<(), BoxError> {
        let request = self.load.request(self.next, self.session.as_deref());
        self.next += self.load.connections;
        let counted = begin >= from;
        self.seen.offered += u64::from(counted);
        self.seen.unanswered += 1;
        let answer = self.answer(sender, request).await;
        self.seen.unanswered -= 1;
        let end = Instant::now();
        // Late because all connections were busy, it has waited since it was due.
        let took = end - begin;
        // What ends in the counted time is its goodput, whenever it began: where calls take long,
        // many are on their way at either end.
        let counted = end >= from && end <= until;
        match answer? {
            Answer::Well if counted => self.seen.took.push(took),
            Answer::Well => {}
            Answer::Refused(text) => {
                self.seen.refusals += 1;
                self.seen.first_refusal.get_or_insert(text);
                self.seen.last_error = Some(end);
                if counted {
                    self.seen.refused.push(took);
                }
                self.pause().await;
            }
            Answer::Otherwise(text) => {
                self.broken(text);
                self.pause().await;
            }
        }
        Ok(())
    }

    async fn answer(
        &self,
        sender: &mut SendRequest<Full<Bytes>>,
        request: Request<Full<Bytes>>,
    ) -> Result<Answer, BoxError> {
        let response = sender.send_request(request).await?;
        let status = response.status();
        let body = response.into_body().collect().await?.to_bytes();
        let expected = if self.load.tool.is_empty() || self.load.arguments.is_some() {
            0
        } else {
            self.load.payload
        };
        Ok(judge(status, &body, expected))
    }

    fn broken(&mut self, text: String) {
        self.seen.broken += 1;
        self.seen.first_error.get_or_insert(text);
        self.seen.last_error = Some(Instant::now());
    }

    /// Whoever is refused at once must not hammer. With a rate, the clock sees to that.
    async fn pause(&self) {
        if self.load.rate == 0.0 {
            tokio::time::sleep(self.load.pause()).await;
        }
    }

    /// Ends its session, as a client does that leaves: left behind, sessions would add up in the
    /// memory of a router that is measured for an hour.
    async fn goodbye(&mut self, sender: &mut SendRequest<Full<Bytes>>) {
        let Some(id) = self.session.take() else {
            return;
        };
        let mut request = self.load.post(Bytes::new(), Some(&id));
        *request.method_mut() = Method::DELETE;
        // What becomes of it is nobody's figure.
        if sender.ready().await.is_ok() {
            let _ = sender.send_request(request).await;
        }
    }

    async fn initialize(&mut self, sender: &mut SendRequest<Full<Bytes>>) -> Result<(), BoxError> {
        let response = sender.send_request(self.load.post(HELLO, None)).await?;
        let session = response.headers().get("mcp-session-id");
        self.session = session.and_then(|id| id.to_str().ok()).map(str::to_owned);
        response.into_body().collect().await?;
        sender.ready().await?;
        let ready = self.load.post(READY, self.session.as_deref());
        let accepted = sender.send_request(ready).await?;
        accepted.into_body().collect().await?;
        Ok(())
    }
}
