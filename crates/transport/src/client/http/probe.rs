//! Whether a backend is well, asked apart from calls.
//!
//! Most servers have no health page, and what one without it says to `GET /health` proves nothing
//! but that somebody is there. So a page is believed where it speaks, an MCP request is sent where
//! it is missing, and only a page that the operator named must be there.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::FutureExt;
use http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use mcp_router_health::ProbeMethod;
use mcp_router_service::{CallError, ProbeFailure, Prober, Pulse};
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout};

use super::edge::Edge;
use super::messages::read_all;
use super::url;
use crate::client::link::Standing;
use crate::client::probe::found;

/// A server that said it has no health page is believed for so long.
const ABSENT: Duration = Duration::from_secs(600);
/// What is read of a page, so that the connection can be used again.
const PAGE: usize = 64 << 10;
const PAGE_TIME: Duration = Duration::from_millis(250);

/// Where the page is.
#[derive(Clone, Debug, Eq, PartialEq)]
enum Page {
    /// Named by the operator: it must answer.
    Named(Uri),
    /// Named, at another origin: our credentials are not for it.
    Elsewhere(Uri),
    /// Named, but no URL.
    Invalid,
    /// The usual one.
    Usual(Uri),
}

struct Asking {
    edge: Arc<Edge>,
    page: Page,
    /// One question at a time.
    turn: Semaphore,
    /// Since when it is known that there is no usual page.
    absent: Mutex<Option<Instant>>,
}

/// Asks the backend of an edge.
pub(super) fn prober(edge: &Arc<Edge>) -> Prober {
    let asking = Arc::new(Asking {
        page: page(&edge.params.url, edge.params.health_page.as_deref()),
        edge: edge.clone(),
        turn: Semaphore::new(1),
        absent: Mutex::default(),
    });
    Arc::new(move || {
        let asking = asking.clone();
        async move {
            let _turn = asking.turn.acquire().await;
            asking.ask().await
        }
        .boxed()
    })
}

fn page(url: &Uri, named: Option<&str>) -> Page {
    if let Some(named) = named {
        return match (url::resolve(url, named), named.trim().parse::<Uri>()) {
            (Ok(page), _) => Page::Named(page),
            (Err(url::Refused::Origin), Ok(page)) if page.scheme().is_some() => {
                Page::Elsewhere(page)
            }
            _ => Page::Invalid,
        };
    }
    // Beside the MCP endpoint: `/api/mcp` has it at `/api/health`.
    let path = url.path().trim_end_matches('/');
    let beside = path.rsplit_once('/').map_or("", |(beside, _)| beside);
    let usual = url::with_path(url, &format!("{beside}/health"));
    usual.map_or(Page::Invalid, Page::Usual)
}

impl Asking {
    async fn ask(&self) -> Result<Pulse, ProbeFailure> {
        if matches!(self.edge.link.standing(), Standing::Asleep) {
            return Ok(Pulse::Asleep);
        }
        let method = match self.edge.params.health_method {
            ProbeMethod::Mcp => return self.ask_mcp().await,
            ProbeMethod::Options => Method::OPTIONS,
            ProbeMethod::Auto | ProbeMethod::Get => Method::GET,
        };
        match &self.page {
            Page::Named(url) => self.well(self.ask_page(method, url, true).await, true),
            Page::Elsewhere(url) => self.well(self.ask_page(method, url, false).await, true),
            Page::Invalid => Err(ProbeFailure::unwell("its health page is no URL")),
            Page::Usual(_) if self.is_absent() => self.ask_mcp().await,
            Page::Usual(url) => match self.ask_page(method, url, true).await {
                Ok(status) if !speaks_of_health(status) => {
                    self.set_absent();
                    self.ask_mcp().await
                }
                other => self.well(other, false),
            },
        }
    }

    /// What the status of a page says.
    fn well(
        &self,
        status: Result<StatusCode, CallError>,
        named: bool,
    ) -> Result<Pulse, ProbeFailure> {
        let status = match status {
            Ok(status) => status,
            Err(error) => return found(&error),
        };
        if status.is_success() {
            if matches!(self.edge.link.standing(), Standing::Down(_)) {
                // It is back: no need to wait for the next attempt.
                self.edge.link.wake();
            }
            return Ok(Pulse::Well);
        }
        let text = format!("its health page says HTTP {}", status.as_u16());
        Err(if named {
            ProbeFailure::counting(text)
        } else {
            ProbeFailure::unwell(text)
        })
    }

    async fn ask_page(
        &self,
        method: Method,
        url: &Uri,
        own: bool,
    ) -> Result<StatusCode, CallError> {
        let reply = if own {
            let any = HeaderValue::from_static("*/*");
            let headers = HeaderMap::from_iter([(header::ACCEPT, any)]);
            let sent = self.edge.send(method, url, headers);
            sent.await?
        } else {
            self.edge.wire.send_bare(method, url).await?
        };
        let (head, mut body) = reply.into_parts();
        // What a page says besides its status is for people.
        let _ = timeout(PAGE_TIME, read_all(&mut body, PAGE)).await;
        Ok(head.status)
    }

    /// A `ping` or `server/discover`.
    async fn ask_mcp(&self) -> Result<Pulse, ProbeFailure> {
        // Makes the connection, if there is none and no attempt failed a moment ago.
        let asked = match self.edge.link.peer().await {
            Ok(peer) => peer.ask(&self.edge).await,
            Err(error) => return found(&error),
        };
        let Err(failed) = asked else {
            return Ok(Pulse::Well);
        };
        match failed.status {
            None => found(&failed.error),
            Some(StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED) => {
                // Something else may have taken its place.
                self.edge.link.wake();
                found(&failed.error)
            }
            Some(status) if status.is_server_error() => found(&failed.error),
            // Somebody is there. What he says of calls, he says to calls.
            Some(_) => Ok(Pulse::Well),
        }
    }

    fn is_absent(&self) -> bool {
        let absent = *self.absent.lock().unwrap_or_else(PoisonError::into_inner);
        absent.is_some_and(|since| since.elapsed() < ABSENT)
    }

    fn set_absent(&self) {
        *self.absent.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }
}

/// Whether a status is about health. Redirects and refusals come from servers without the page,
/// and some know no OPTIONS.
fn speaks_of_health(status: StatusCode) -> bool {
    status.is_success() || (status.is_server_error() && status != StatusCode::NOT_IMPLEMENTED)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_usual_page_is_beside_the_endpoint_and_a_named_one_where_it_is_named() {
        let usual = |url: &str| match page(&url.parse().unwrap(), None) {
            Page::Usual(page) => page.to_string(),
            other => panic!("{other:?}"),
        };
        for (url, page) in [
            ("http://h:1", "http://h:1/health"),
            ("http://h:1/", "http://h:1/health"),
            ("http://h:1/mcp", "http://h:1/health"),
            ("http://h:1/mcp/?key=k", "http://h:1/health"),
            ("https://h/a/b/mcp", "https://h/a/b/health"),
        ] {
            assert_eq!(usual(url), page);
        }
        let named = |name| page(&"http://h:1/a/mcp".parse().unwrap(), Some(name));
        let uri = |text: &str| text.parse::<Uri>().unwrap();
        assert_eq!(named("/up?x=1"), Page::Named(uri("http://h:1/up?x=1")));
        assert_eq!(named("up"), Page::Named(uri("http://h:1/a/up")));
        assert_eq!(named("http://h:1/up"), Page::Named(uri("http://h:1/up")));
        let elsewhere = "https://status.example/h";
        assert_eq!(named(elsewhere), Page::Elsewhere(uri(elsewhere)));
        assert_eq!(named("//evil/x"), Page::Invalid);
    }
}
