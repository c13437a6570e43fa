//! Configurations as text, and the parameters that come out.

use std::io::Write;

use mcp_router_config::{LoadInput, load};
use mcp_router_health::{BreakerParams, CircuitState, Verdict};
use mcp_router_layers::{BalanceParams, Endpoint, LimitParams, RetryParams};

use futures::StreamExt;
use mcp_router_protocol::{Method, RawJson, RawParams};
use mcp_router_routing::balance::Policy;
use mcp_router_service::{
    BackendEvent, BackendInfo, CallError, McpRequest, McpResponse, Reason, Sent,
};
use tower::ServiceExt;

use super::*;

fn config(yaml: &str) -> Config {
    let mut file = tempfile::Builder::new().suffix(".yaml").tempfile().unwrap();
    file.write_all(yaml.as_bytes()).unwrap();
    let input = LoadInput {
        path: Some(file.path().to_owned()),
        ..LoadInput::default()
    };
    load(&input).unwrap().config
}

const FILE: &str = r#"
backends:
  - { name: web, namespace: web, url: "http://127.0.0.1:1/mcp?key=hunter2", timeout_seconds: 7 }
  - { name: child, namespace: c, command: sh, args: ["-c", "exit 0"] }
  - { name: narrow, namespace: n, url: "http://127.0.0.1:1", max_concurrency: 3 }
  - { name: off, namespace: off, url: "http://127.0.0.1:1", auto_start: false }
  - { name: many, namespace: m, urls: ["http://127.0.0.1:1/a?k=hunter2", "http://127.0.0.1:1/a?k=hunter3"], load_balancing: peak_ewma, circuit_breaker: { failure_threshold: 2 } }
  - { name: kids, command: sh, args: ["-c", "exit 0"], replicas: 3, lazy: true }
routing: { request_timeout_seconds: 11, retry: { max_attempts: 7, backoff_multiplier: 1, max_backoff_seconds: 0 } }
server: { limits: { max_queue_per_backend: 5, max_in_flight_per_child: 9, max_request_bytes: 2000 } }
"#;

#[test]
fn stacks_obey_the_backend_then_the_file_then_the_layers() {
    let config = config(FILE);
    let params = |at: usize| stack::StackParams::of(&config.backends[at], &config);
    let limit = |max_concurrency| LimitParams {
        max_concurrency,
        max_queue: 5,
        ..LimitParams::default()
    };
    assert_eq!(params(0).limit, limit(256));
    assert_eq!(params(0).attempt, Duration::from_secs(7));
    assert_eq!(params(1).limit, limit(9));
    assert_eq!(params(1).attempt, Duration::from_secs(11));
    assert_eq!(params(2).limit, limit(3));
    for at in 0..config.backends.len() {
        let retry = params(at).retry;
        assert_eq!(
            (retry.max_attempts, retry.backoff.cap()),
            (7, Duration::ZERO)
        );
    }
    assert_eq!(params(2).balance.policy, Policy::RoundRobin);
    assert_eq!(params(4).balance.policy, Policy::PeakEwma);
}

#[tokio::test]
async fn each_server_and_process_is_an_endpoint_with_a_name_of_its_own_and_no_secret() {
    let config = config(FILE);
    let keys = |at: usize| -> Vec<String> {
        let edges = edge::connect(&config.backends[at], &config, NamedBy::Operator).unwrap();
        edges.iter().map(|e| e.endpoint.key().to_string()).collect()
    };
    assert_eq!(keys(0), ["http://127.0.0.1:1/mcp?***"]);
    let both = ["http://127.0.0.1:1/a?***", "http://127.0.0.1:1/a?***#2"];
    assert_eq!(keys(4), both);
    assert_eq!(keys(5), ["kids#1", "kids#2", "kids#3"]);
}

#[tokio::test(start_paused = true)]
async fn each_endpoint_has_a_circuit_of_its_own_with_the_numbers_of_the_file() {
    let config = config(FILE);
    let edges = edge::connect(&config.backends[4], &config, NamedBy::Operator).unwrap();
    let [first, second] = [&edges[0].endpoint, &edges[1].endpoint];
    for _ in 0..2 {
        assert_eq!(first.state(), CircuitState::Closed);
        first.admit().unwrap().report(Verdict::Failure);
    }
    assert_eq!(first.state(), CircuitState::Open);
    assert_eq!(second.state(), CircuitState::Closed);
}

#[test]
fn limits_of_the_file_reach_the_edges() {
    let config = config(FILE);
    assert_eq!(http_params(&config, Vec::new()).unwrap().limits.body, 2000);
    assert_eq!(stdio_params(&config).line, 2000);
    assert!(serve_params(&config).drain > Duration::from_secs(13));
}

#[tokio::test]
async fn backends_are_listed_in_the_order_of_the_file_and_without_secrets() {
    let built = Plan::of(config(FILE)).build().unwrap();
    let status = built.router.backends();
    let names: Vec<_> = status.iter().map(|s| &*s.name).collect();
    assert_eq!(names, ["web", "child", "narrow", "off", "many", "kids"]);
    assert!(!status[0].url.contains("hunter2"), "{}", status[0].url);
    assert!(status[1].is_managed && !status[0].is_managed);
    assert_eq!(status[3].state, mcp_router_core::State::Disabled);
    built.router.close().await;
}

/// A router whose only backend, `search`, has one tool and never answers a call of it.
async fn hanging(limit: LimitParams) -> Router {
    let edge = tower::service_fn(|request: McpRequest| async move {
        match request.method {
            Method::ToolsList => Ok(McpResponse::complete(RawJson::from_static(
                r#"{"tools":[{"name":"q","inputSchema":{"type":"object"}}]}"#,
            ))),
            Method::ToolsCall => std::future::pending().await,
            _ => Err(CallError::new(Reason::ProtocolError, Sent::No)),
        }
    });
    let attempt = Duration::from_secs(30);
    let params = stack::StackParams {
        limit,
        retry: RetryParams::default(),
        attempt,
        balance: BalanceParams::default(),
    };
    let endpoint = Endpoint::from(BreakerParams::default());
    let untraced = mcp_router_layers::AttemptLayer::new(None, "b", "e");
    let attempts = stack::endpoint(params, untraced, &endpoint, McpService::new(edge));
    let stack = stack::backend(params, attempts);
    let info = BackendInfo {
        capabilities: Some(RawJson::from_static(r#"{"tools":{}}"#)),
        ..BackendInfo::default()
    };
    let connected = futures::stream::once(async { BackendEvent::Connected(info) });
    let backend = Backend::new("search".parse().unwrap(), stack)
        .namespace("search".parse().unwrap())
        .events(connected.boxed());
    let router = Router::builder().backend(backend).build().unwrap();
    router.ready().await;
    router
}

async fn failure(router: Router) -> String {
    let params = RawParams::parse(Some(r#"{"name":"search.q"}"#.into())).unwrap();
    let request = McpRequest::new(Method::ToolsCall, params);
    router.oneshot(request).await.unwrap_err().to_string()
}

#[tokio::test(start_paused = true)]
async fn f3_a_backend_that_never_answers_times_out_in_its_own_name() {
    let router = hanging(LimitParams::default()).await;
    assert_eq!(
        failure(router).await,
        "Backend 'search' timed out after 30 s; the call may have run."
    );
}

#[tokio::test(start_paused = true)]
async fn f24_a_full_backend_refuses_in_its_own_name_and_unsent() {
    let router = hanging(LimitParams {
        max_concurrency: 1,
        max_queue: 0,
        ..LimitParams::default()
    })
    .await;
    let first = tokio::spawn(failure(router.clone()));
    tokio::task::yield_now().await;
    assert_eq!(
        failure(router).await,
        "Backend 'search' is overloaded (queue full); the call did not run."
    );
    first.abort();
}
