//! Posts to servers that are no backends: whoever takes alerts, whoever collects traces.
//!
//! They are reached as backends are, with the same certificates and limits, so that an operator
//! has one set of rules to think of. No redirect is followed: a secret in a URL or header is for
//! the one it was given to.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode, Uri};
use http_body_util::{BodyExt, Limited};
use mcp_router_protocol::BackendName;
use mcp_router_service::{CallError, Reason};
use tokio::time::timeout;

use super::refusal::retry_after;
use super::wire::Wire;
use super::{HttpBackendParams, InvalidUrl};
use crate::client::rope::Rope;

/// Longest answer that is read, in bytes.
const ANSWER_LIMIT: usize = 64 * 1024;

/// Connections to one such server.
pub struct Poster {
    wire: Wire,
    url: Uri,
}

/// What it answered.
#[derive(Clone, Debug)]
pub struct Posted {
    /// The status, whatever it is.
    pub status: StatusCode,
    /// How long it wants to be left alone, at most a minute.
    pub retry_after: Option<Duration>,
    /// The answer's body; empty if it was too long or broke off.
    pub body: Bytes,
}

/// Why there was no answer, in words that name neither URL nor header.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{0}")]
pub struct PostError(String);

impl Poster {
    /// Connects to nothing yet.
    ///
    /// # Errors
    /// If `url` is no absolute HTTP URL.
    pub fn new(url: &str) -> Result<Self, InvalidUrl> {
        // Nobody sees the name: there is no backend.
        let name: BackendName = "post".parse().map_err(|_| InvalidUrl::Syntax)?;
        let params = HttpBackendParams::new(name, url)?;
        Ok(Self {
            wire: Wire::new(&params),
            url: params.url,
        })
    }

    /// The host and port, which are no secret.
    pub fn host(&self) -> &str {
        self.url.authority().map_or("", |a| a.as_str())
    }

    /// Sends `body` and waits for the answer, for `limit` in all. Safe to drop.
    ///
    /// # Errors
    /// If there is no answer; any status is one.
    pub async fn post(
        &self,
        headers: HeaderMap,
        body: Bytes,
        limit: Duration,
    ) -> Result<Posted, PostError> {
        let posted = timeout(limit, self.exchange(headers, body));
        posted.await.unwrap_or_else(|_| {
            let seconds = limit.as_secs_f64();
            Err(PostError(format!("no answer in {seconds} s")))
        })
    }

    async fn exchange(&self, headers: HeaderMap, body: Bytes) -> Result<Posted, PostError> {
        let (headers, body) = (self.wire.headers(headers), Rope::new(vec![body]));
        let sent = self.wire.send(Method::POST, &self.url, headers, body, None);
        let reply = sent.await.map_err(|error| PostError(words(&error)))?;
        let (head, body) = reply.into_parts();
        let body = Limited::new(body, ANSWER_LIMIT).collect().await;
        Ok(Posted {
            status: head.status,
            retry_after: retry_after(&head.headers),
            body: body.map(|body| body.to_bytes()).unwrap_or_default(),
        })
    }
}

impl fmt::Debug for Poster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Poster")
            .field("host", &self.host())
            .finish_non_exhaustive()
    }
}

fn words(error: &CallError) -> String {
    let what = match error.reason {
        Reason::ConnectFailed => "no connection",
        Reason::BackendLost => "the connection was lost",
        Reason::ProtocolError => "no HTTP came back",
        Reason::Overloaded => "the router has no room",
        _ => "the request failed",
    };
    match &error.detail {
        Some(detail) => format!("{what} ({detail})"),
        None => what.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    const S: Duration = Duration::from_secs(1);

    /// A server that answers one request with `answer`, and the URL of a page of it.
    async fn server(answer: &'static str) -> (String, tokio::task::JoinHandle<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/secret?k=v", listener.local_addr().unwrap());
        let heard = tokio::spawn(async move {
            let (mut socket, _) = listener.accept().await.unwrap();
            let mut heard = Vec::new();
            while !heard.ends_with(b"hello") {
                socket.read_buf(&mut heard).await.unwrap();
            }
            socket.write_all(answer.as_bytes()).await.unwrap();
            String::from_utf8(heard).unwrap()
        });
        (url, heard)
    }

    fn headers() -> HeaderMap {
        let pairs = [(http::header::CONTENT_TYPE, "text/plain".parse().unwrap())];
        HeaderMap::from_iter(pairs)
    }

    #[tokio::test]
    async fn what_is_posted_arrives_and_the_answer_comes_back() {
        let answer = "HTTP/1.1 429 X\r\nretry-after: 7\r\ncontent-length: 2\r\n\r\nno";
        let (url, heard) = server(answer).await;
        let poster = Poster::new(&url).unwrap();
        let posted = poster
            .post(headers(), "hello".into(), 10 * S)
            .await
            .unwrap();
        assert_eq!(posted.status, 429);
        assert_eq!(posted.retry_after, Some(7 * S));
        assert_eq!(posted.body, "no");
        let heard = heard.await.unwrap();
        assert!(
            heard.starts_with("POST /secret?k=v HTTP/1.1\r\n"),
            "{heard}"
        );
        assert!(heard.contains("content-type: text/plain"), "{heard}");
    }

    #[tokio::test]
    async fn r52_no_redirect_is_followed() {
        let answer = "HTTP/1.1 302 X\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n";
        let (url, _heard) = server(answer).await;
        let poster = Poster::new(&url).unwrap();
        let posted = poster
            .post(headers(), "hello".into(), 10 * S)
            .await
            .unwrap();
        assert_eq!(posted.status, 302);
    }

    #[tokio::test]
    async fn failures_name_neither_path_nor_query() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = listener.local_addr().unwrap();
        let silent = Poster::new(&format!("http://{at}/secret")).unwrap();
        let late = silent.post(headers(), "hello".into(), S / 10).await;
        assert_eq!(late.unwrap_err().to_string(), "no answer in 0.1 s");
        assert_eq!(silent.host(), at.to_string());
        drop(listener);
        let gone = Poster::new(&format!("http://{at}/secret")).unwrap();
        let refused = gone.post(headers(), "hello".into(), 10 * S).await;
        let text = refused.unwrap_err().to_string();
        assert_eq!(text, "no connection (connection refused)");
        assert!(!format!("{gone:?}").contains("secret"));
        assert!(Poster::new("ftp://h").is_err());
    }
}
