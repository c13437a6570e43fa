//! Somebody who takes what is posted to them.

use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpListener;

/// How long anything is waited for.
const PATIENCE: Duration = Duration::from_secs(40);

/// One request.
#[derive(Clone, Debug)]
pub(crate) struct Post {
    pub(crate) at: Instant,
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Post {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).expect("JSON")
    }
}

/// A server on a free port that answers every request with 202.
pub(crate) struct Receiver {
    url: String,
    posts: Arc<Mutex<Vec<Post>>>,
}

impl Receiver {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let posts = Arc::new(Mutex::new(Vec::new()));
        let taken = posts.clone();
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let taken = taken.clone();
                let service = service_fn(move |request| take(taken.clone(), request));
                let serving = hyper::server::conn::http1::Builder::new()
                    .serve_connection(TokioIo::new(socket), service);
                tokio::spawn(serving);
            }
        });
        Self { url, posts }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.url)
    }

    /// Everything that came to a path.
    pub(crate) fn all(&self, path: &str) -> Vec<Post> {
        let posts = self.posts.lock().expect("nobody panics with it");
        posts
            .iter()
            .filter(|post| post.path == path)
            .cloned()
            .collect()
    }

    /// The `count` first that came to a path, once they are there.
    pub(crate) async fn wait(&self, path: &str, count: usize) -> Vec<Post> {
        self.until(path, &format!("{count} at {path}"), |all| {
            all.len() >= count
        })
        .await
    }

    /// Everything that came to a path, once it is as `enough` wants.
    pub(crate) async fn until(
        &self,
        path: &str,
        what: &str,
        enough: impl Fn(&[Post]) -> bool,
    ) -> Vec<Post> {
        let start = Instant::now();
        loop {
            let all = self.all(path);
            if enough(&all) {
                return all;
            }
            assert!(start.elapsed() < PATIENCE, "still not {what}: {all:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

async fn take(
    posts: Arc<Mutex<Vec<Post>>>,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    let body = body
        .collect()
        .await
        .map(|b| b.to_bytes())
        .unwrap_or_default();
    posts.lock().expect("nobody panics with it").push(Post {
        at: Instant::now(),
        path: head.uri.path().to_owned(),
        headers: head.headers,
        body,
    });
    let mut response = Response::new(Full::default());
    *response.status_mut() = StatusCode::ACCEPTED;
    Ok(response)
}
