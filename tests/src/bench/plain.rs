//! The least that an answer can cost: a server on the same hyper that writes the same bytes from
//! memory to whoever asks, whatever was asked.

use std::convert::Infallible;
use std::process::ExitCode;

use bytes::Bytes;
use clap::Args;
use http::{HeaderValue, Request, Response, header};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;

use super::forward::{bind, runtime};

/// Serves a list of so many bytes, and nothing else.
#[derive(Args, Debug)]
pub(super) struct PlainCommand {
    /// The length of each answer
    bytes: usize,
}

impl PlainCommand {
    pub(super) fn run(self) -> ExitCode {
        runtime().block_on(serve(list(self.bytes)));
        ExitCode::FAILURE
    }
}

/// An answer of this length, or the shortest there is.
fn list(length: usize) -> Bytes {
    let begin = r#"{"jsonrpc":"2.0","id":0,"result":{"tools":[],"filling":""#;
    let end = r#""}}"#;
    let filling = length.saturating_sub(begin.len() + end.len());
    Bytes::from([begin, &"x".repeat(filling), end].concat())
}

/// Serves until it is killed; prints where first.
async fn serve(answer: Bytes) {
    let listener = bind().await;
    loop {
        let (stream, _) = listener.accept().await.expect("connections are few");
        let _ = stream.set_nodelay(true);
        let answer = answer.clone();
        let service = service_fn(move |request| reply(request, answer.clone()));
        tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
    }
}

async fn reply(
    request: Request<Incoming>,
    answer: Bytes,
) -> Result<Response<Full<Bytes>>, Infallible> {
    // Read, as anybody has to who wants the next request on this connection.
    let _ = request.into_body().collect().await;
    let mut response = Response::new(Full::new(answer));
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, json);
    Ok(response)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_has_the_length_that_was_asked_for() {
        assert_eq!(list(200_000).len(), 200_000);
        assert!(serde_json::from_slice::<serde_json::Value>(&list(300)).is_ok());
    }
}
