//! Pages for whoever watches the process.

use std::sync::Arc;

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderValue, Response, StatusCode};
use mcp_router_core::Router;
use mcp_router_protocol::RawJson;
use mcp_router_transport::server::Page;
use serde::Serialize;

/// `/health` says that the process is alive, `/ready` whether it should get traffic, and how each
/// backend fares. Both are asked by IP address, so neither minds the `Host` header.
pub(super) fn pages(router: &Router) -> Vec<Page> {
    let router = router.clone();
    vec![
        page("/health", || json(StatusCode::OK, &Health { status: "ok" })),
        page("/ready", move || ready(&router)),
    ]
}

#[derive(Serialize)]
struct Health {
    status: &'static str,
}

fn page(path: &str, get: impl Fn() -> Response<Bytes> + Send + Sync + 'static) -> Page {
    Page {
        path: path.to_owned(),
        get: Arc::new(move |_| get()),
        check_host: false,
    }
}

fn ready(router: &Router) -> Response<Bytes> {
    let readiness = router.readiness();
    let status = if readiness.ready {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    json(status, &readiness)
}

fn json(status: StatusCode, body: &impl Serialize) -> Response<Bytes> {
    let mut response = Response::new(RawJson::of(body).into_bytes());
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn ready_is_503_until_ready_and_while_draining() {
        let router = Router::builder().build().unwrap();
        router.ready().await;
        let pages = pages(&router);
        let [health, ready] = &*pages else {
            panic!("two pages")
        };
        let (head, ()) = http::Request::new(()).into_parts();
        let status = |page: &Page| (page.get)(&head).status();
        assert_eq!(
            (status(health), status(ready)),
            (StatusCode::OK, StatusCode::OK)
        );
        assert_eq!(
            (ready.get)(&head).into_body(),
            r#"{"ready":true,"draining":false,"backends":[]}"#
        );
        router.drain();
        assert_eq!(status(health), StatusCode::OK);
        assert_eq!(status(ready), StatusCode::SERVICE_UNAVAILABLE);
        router.close().await;
    }
}
