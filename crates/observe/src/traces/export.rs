//! What the collector is sent, and what its answer means.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderValue, USER_AGENT};
use http::{Request, StatusCode};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::{
    AnyValue, InstrumentationScope, KeyValue, any_value::Value,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span as Record};
use prost::Message;
use tokio::time::timeout;

use super::TraceSettings;

/// The longest that a collector may ask to be left alone.
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// A collector's answer.
#[derive(Clone, Debug)]
pub struct Reply {
    /// Its status.
    pub status: StatusCode,
    /// How long it wants to be left alone.
    pub retry_after: Option<Duration>,
    /// Its body.
    pub body: Bytes,
}

type Sending = Pin<Box<dyn Future<Output = Result<Reply, String>> + Send>>;

/// Sends requests to the collector: an HTTP client of somebody else's, which follows no redirects.
/// What it says of a failure holds no secret.
#[derive(Clone)]
pub struct Collector(Arc<dyn Fn(Request<Bytes>) -> Sending + Send + Sync>);

/// Why spans did not reach the collector.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CollectorError {
    /// It does not want them.
    #[error("HTTP {status}")]
    Status {
        /// What it answered.
        status: StatusCode,
        /// How long it wants to be left alone.
        retry_after: Option<Duration>,
    },
    /// It was not reached.
    #[error("{0}")]
    Unreached(String),
    /// It did not answer in time.
    #[error("no answer in {} s", .0.as_secs_f64())]
    Late(Duration),
}

/// Sends batches.
pub(super) struct Export {
    collector: Collector,
    settings: TraceSettings,
}

// === impl Collector ===

impl Collector {
    /// Sends by `send`.
    pub fn new<F>(send: impl Fn(Request<Bytes>) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<Reply, String>> + Send + 'static,
    {
        Self(Arc::new(move |request| Box::pin(send(request))))
    }
}

impl fmt::Debug for Collector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Collector(..)")
    }
}

// === impl CollectorError ===

impl CollectorError {
    /// Whether sending the same again may help.
    pub(super) fn may_pass(&self) -> bool {
        match self {
            Self::Status { status, .. } => matches!(status.as_u16(), 429 | 502 | 503 | 504),
            Self::Unreached(_) | Self::Late(_) => true,
        }
    }

    /// When, if the collector said so.
    pub(super) fn wait(&self) -> Option<Duration> {
        match self {
            Self::Status { retry_after, .. } => retry_after.map(|wait| wait.min(LONGEST_WAIT)),
            Self::Unreached(_) | Self::Late(_) => None,
        }
    }
}

// === impl Export ===

impl Export {
    pub(super) const fn new(settings: TraceSettings, collector: Collector) -> Self {
        Self {
            collector,
            settings,
        }
    }

    /// A batch as the collector reads it.
    pub(super) fn body(&self, spans: Vec<Record>) -> Bytes {
        let attributes = self.settings.resource.iter();
        let attributes = attributes.map(|(key, value)| KeyValue {
            key: key.clone(),
            value: Some(AnyValue {
                value: Some(Value::StringValue(value.clone())),
            }),
            ..KeyValue::default()
        });
        let scope = InstrumentationScope {
            name: "mcp-router".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            ..InstrumentationScope::default()
        };
        let request = ExportTraceServiceRequest {
            resource_spans: vec![ResourceSpans {
                resource: Some(Resource {
                    attributes: attributes.collect(),
                    ..Resource::default()
                }),
                scope_spans: vec![ScopeSpans {
                    scope: Some(scope),
                    spans,
                    ..ScopeSpans::default()
                }],
                ..ResourceSpans::default()
            }],
        };
        request.encode_to_vec().into()
    }

    /// Sends a batch; how many spans of it the collector refused.
    pub(super) async fn send(&self, body: Bytes) -> Result<u64, CollectorError> {
        let mut request = Request::new(body);
        *request.method_mut() = http::Method::POST;
        request.uri_mut().clone_from(&self.settings.endpoint);
        let headers = request.headers_mut();
        headers.clone_from(&self.settings.headers);
        let protobuf = HeaderValue::from_static("application/x-protobuf");
        headers.insert(CONTENT_TYPE, protobuf);
        let agent = concat!("mcp-router/", env!("CARGO_PKG_VERSION"));
        headers.insert(USER_AGENT, HeaderValue::from_static(agent));
        let limit = self.settings.timeout;
        let reply = match timeout(limit, (self.collector.0)(request)).await {
            Ok(reply) => reply.map_err(CollectorError::Unreached)?,
            Err(_) => return Err(CollectorError::Late(limit)),
        };
        if !reply.status.is_success() {
            return Err(CollectorError::Status {
                status: reply.status,
                retry_after: reply.retry_after,
            });
        }
        // Whatever else stands there, it has taken the batch.
        let answer = ExportTraceServiceResponse::decode(reply.body).unwrap_or_default();
        let refused = answer.partial_success.map_or(0, |p| p.rejected_spans);
        Ok(u64::try_from(refused).unwrap_or(0))
    }
}
