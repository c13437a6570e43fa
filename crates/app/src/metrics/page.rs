//! `/metrics`.

use std::sync::Arc;

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderValue, Response};
use mcp_router_observe::metrics::{self, Sources};
use mcp_router_transport::server::Page;
use tokio::runtime::{Handle, RuntimeFlavor};

/// The page that Prometheus reads. It tells more than `/ready`, so the `Host` rule holds here: a
/// scraper asks by the socket's own address or by a name in `server.allowed_hosts`.
pub(super) fn page(sources: Sources) -> Page {
    Page {
        path: "/metrics".to_owned(),
        get: Arc::new(move |_| text(aside(|| sources.page()))),
        check_host: true,
    }
}

/// Reading about many processes takes milliseconds: other tasks of this thread go on meanwhile.
fn aside<T>(work: impl FnOnce() -> T) -> T {
    let runtime = Handle::try_current().map(|handle| handle.runtime_flavor());
    match runtime {
        Ok(RuntimeFlavor::MultiThread) => tokio::task::block_in_place(work),
        _ => work(),
    }
}

fn text(page: String) -> Response<Bytes> {
    let mut response = Response::new(Bytes::from(page));
    let headers = response.headers_mut();
    let kind = HeaderValue::from_static(metrics::CONTENT_TYPE);
    headers.insert(CONTENT_TYPE, kind);
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
