//! Calls that go wrong, and what is said about them.

use mcp_router_service::{Reason, Sent};

use super::fake::*;
use super::*;

async fn backend(tool: impl Fn(&Seen) -> Reply + Send + Sync + 'static) -> (Fake, Connected) {
    let fake = Fake::start(modern(tool)).await;
    let edge = edge(&fake);
    (fake, edge)
}

#[tokio::test]
async fn r44_statuses_say_whether_the_call_may_have_run() {
    for (code, sent) in [
        (401, Sent::RejectedUnexecuted),
        (403, Sent::RejectedUnexecuted),
        (413, Sent::RejectedUnexecuted),
        (429, Sent::RejectedUnexecuted),
        (500, Sent::Unknown),
        (502, Sent::Unknown),
        (503, Sent::Unknown),
        (302, Sent::Unknown),
    ] {
        let (fake, edge) = backend(move |_| status(code)).await;
        let error = failed(&edge).await;
        assert_eq!(
            (error.reason, error.sent),
            (Reason::BackendStatus, sent),
            "{code}"
        );
        assert_eq!(error.backend.unwrap().as_str(), "fake");
        assert_eq!(
            fake.count("tools/call"),
            1,
            "R43: the edge repeats nothing by itself"
        );
    }
}

#[tokio::test]
async fn f21_retry_after_travels_with_the_refusal() {
    for code in [429, 503] {
        let after = || vec![("retry-after", "7".to_owned())];
        let (_fake, edge) = backend(move |_| Reply::Whole(code, after(), "".into())).await;
        let error = failed(&edge).await;
        assert_eq!(error.sent, Sent::RejectedUnexecuted);
        assert_eq!(error.retry_after, Some(Duration::from_secs(7)));
    }
}

#[tokio::test]
async fn a_refusal_that_names_another_request_is_a_refusal_with_proof() {
    let body = |code: i64| {
        format!(r#"{{"jsonrpc":"2.0","id":null,"error":{{"code":{code},"message":"x"}}}}"#)
    };
    for (code, sent) in [(-32600, Sent::RejectedUnexecuted), (-32000, Sent::Unknown)] {
        let (_fake, edge) = backend(move |_| status_json(400, body(code))).await;
        let error = failed(&edge).await;
        assert_eq!((error.reason, error.sent), (Reason::BackendStatus, sent));
    }
}

#[tokio::test]
async fn f8_f13_nonsense_is_a_protocol_error_and_its_connection_is_not_used_again() {
    let html = || vec![("content-type", "text/html".to_owned())];
    let packed = || {
        vec![
            ("content-type", "application/json".to_owned()),
            ("content-encoding", "gzip".to_owned()),
        ]
    };
    type Make = Box<dyn Fn(&Seen) -> Reply + Send + Sync>;
    let cases: Vec<Make> = vec![
        Box::new(|_| json("{\"jsonrpc\":".to_owned())),
        Box::new(|_| json("[1]".to_owned())),
        Box::new(|s: &Seen| json(s.result("[]"))),
        Box::new(|s: &Seen| json(s.result(r#"{"resultType":"odd"}"#))),
        Box::new(|_| stream(&[event("not json")])),
        Box::new(move |_| Reply::Whole(200, html(), "<p>".into())),
        Box::new(move |s: &Seen| Reply::Whole(200, packed(), s.result("{}").into())),
    ];
    for (n, case) in cases.into_iter().enumerate() {
        let (fake, edge) = backend(case).await;
        let error = failed(&edge).await;
        assert_eq!(
            (error.reason, error.sent),
            (Reason::ProtocolError, Sent::Unknown),
            "{n}"
        );
        fake.now(modern(says("x")));
        assert_eq!(said(&edge).await, "x");
        if n == 0 || n >= 4 {
            let seen = fake.seen();
            let calls: Vec<_> = seen.iter().filter(|s| s.rpc() == "tools/call").collect();
            assert_ne!(calls[0].connection, calls[1].connection, "{n}");
        }
    }
}

#[tokio::test]
async fn f12_answers_over_the_limit_are_refused_however_they_come() {
    let big = "x".repeat(3000);
    let cases: [(bool, Reply); 3] = [
        (
            true,
            json(format!(
                r#"{{"jsonrpc":"2.0","id":1,"result":{{"a":"{big}"}}}}"#
            )),
        ),
        (false, stream(&[format!("data: {big}\n")])),
        (false, stream(&[big.clone(), big.clone()])),
    ];
    for (_, reply) in cases {
        let replies = std::sync::Mutex::new(Some(reply));
        let fake = Fake::start(modern(move |_| replies.lock().unwrap().take().unwrap())).await;
        let mut params = params(&format!("{}/mcp", fake.url));
        params.answer_limit = 2000;
        let error = failed(&http(params)).await;
        assert_eq!(
            (error.reason, error.sent),
            (Reason::TooLarge, Sent::Unknown)
        );
    }
}

#[tokio::test]
async fn f19_a_connection_that_ends_after_the_request_leaves_it_unknown() {
    let (fake, edge) = backend(|_| Reply::Close).await;
    let error = failed(&edge).await;
    assert_eq!(
        (error.reason, error.sent),
        (Reason::BackendLost, Sent::Unknown)
    );
    assert_eq!(fake.count("tools/call"), 1);
}

#[tokio::test]
async fn f6_a_stream_that_ends_before_the_answer_is_a_lost_backend() {
    let (_fake, edge) = backend(|_| stream(&[": nothing\n\n".to_owned()])).await;
    let error = failed(&edge).await;
    assert_eq!(
        (error.reason, error.sent),
        (Reason::BackendLost, Sent::Unknown)
    );
}

#[tokio::test]
async fn f25_r45_a_lost_session_costs_one_initialize_and_one_repetition() {
    let fake = Fake::start(legacy(|s| match s.header("mcp-session-id") {
        "s1" => status(404),
        _ => says("again")(s),
    }));
    let fake = fake.await;
    let edge = edge(&fake);
    assert_eq!(said(&edge).await, "again");
    assert_eq!(said(&edge).await, "again");
    assert_eq!((fake.count("initialize"), fake.count("tools/call")), (3, 3));
}

#[tokio::test]
async fn r45_a_lost_session_is_one_even_where_the_404_answers_the_request() {
    let fake = Fake::start(legacy(|s| match s.header("mcp-session-id") {
        "s1" => status_json(404, s.error(-32600)),
        _ => says("again")(s),
    }));
    let fake = fake.await;
    assert_eq!(said(&edge(&fake)).await, "again");
    assert_eq!((fake.count("initialize"), fake.count("tools/call")), (3, 2));
}

#[tokio::test]
async fn f25_many_calls_that_find_out_together_open_one_session() {
    let fake = Fake::start(legacy(|s| match s.header("mcp-session-id") {
        "s1" => status(404),
        _ => says("again")(s),
    }));
    let fake = fake.await;
    let edge = edge(&fake);
    let calls = futures::future::join_all((0..20).map(|_| said(&edge)));
    assert!(calls.await.iter().all(|s| s == "again"));
    assert_eq!(fake.count("initialize"), 3);
}

#[tokio::test]
async fn r43_a_session_lost_twice_is_a_refusal_and_nothing_ran() {
    let fake = Fake::start(legacy(|_| status(404))).await;
    let error = failed(&edge(&fake)).await;
    assert_eq!(
        (error.reason, error.sent),
        (Reason::BackendStatus, Sent::RejectedUnexecuted)
    );
    assert_eq!(fake.count("tools/call"), 2);
}

#[tokio::test]
async fn f34_leaving_a_modern_call_closes_its_stream() {
    for streaming in [true, false] {
        let tool = move |_: &Seen| match streaming {
            true => {
                let (sender, reply) = open_stream();
                tokio::spawn(async move { sender.closed().await });
                reply
            }
            false => Reply::Never,
        };
        let (fake, edge) = backend(tool).await;
        let call = tokio::spawn(edge.service.clone().oneshot(tool_request()));
        fake.until(|s| s.rpc() == "tools/call").await;
        call.abort();
        within(fake.idle()).await;
        assert_eq!(fake.count("notifications/cancelled"), 0);
    }
}

fn tool_request() -> McpRequest {
    tool()
}

#[tokio::test]
async fn f34_leaving_a_legacy_call_cancels_it_by_its_upstream_id() {
    let fake = Fake::start(legacy(|_| Reply::Never)).await;
    let edge = edge(&fake);
    let call = tokio::spawn(edge.service.clone().oneshot(tool()));
    let asked = fake.until(|s| s.rpc() == "tools/call").await;
    call.abort();
    let cancelled = within(fake.until(|s| s.rpc() == "notifications/cancelled")).await;
    assert_eq!(cancelled.body["params"]["requestId"], asked.body["id"]);
    assert_eq!(cancelled.header("mcp-session-id"), "s1");
}

#[tokio::test]
async fn an_answered_call_is_not_cancelled() {
    let fake = Fake::start(legacy(says("x"))).await;
    let edge = edge(&fake);
    assert_eq!(said(&edge).await, "x");
    within((edge.close)()).await;
    assert_eq!(fake.count("notifications/cancelled"), 0);
}

#[tokio::test]
async fn f24_more_calls_than_connections_wait_and_then_are_refused() {
    let fake = Fake::start(modern(|_| Reply::Never)).await;
    let mut params = params(&format!("{}/mcp", fake.url));
    params.max_connections = 2;
    params.queue_timeout = Duration::from_millis(100);
    let edge = http(params);
    let held: Vec<_> = (0..2)
        .map(|_| tokio::spawn(edge.service.clone().oneshot(tool())))
        .collect();
    while fake.count("tools/call") < 2 {
        tokio::task::yield_now().await;
    }
    let error = failed(&edge).await;
    assert_eq!((error.reason, error.sent), (Reason::Overloaded, Sent::No));
    held.iter().for_each(|call| call.abort());
}

#[tokio::test]
async fn a_revision_that_is_no_longer_supported_is_a_refusal() {
    let (_fake, edge) = backend(|s| status_json(400, s.error(-32022))).await;
    let error = failed(&edge).await;
    assert_eq!(
        (error.reason, error.sent),
        (Reason::ProtocolError, Sent::RejectedUnexecuted)
    );
}
