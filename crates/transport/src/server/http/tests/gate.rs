use super::*;

fn edge() -> Edge {
    let page = |path: &str, check_host| Page {
        path: path.into(),
        get: Arc::new(|_| Response::new(Bytes::from_static(b"{\"ok\":true}"))),
        check_host,
    };
    Edge::with(HttpParams {
        pages: vec![page("/health", false), page("/metrics", true)],
        allowed_origins: vec!["https://app.example".into()],
        ..HttpParams::default()
    })
}

#[tokio::test]
async fn r49_b15_b16_foreign_origins_and_hosts_are_403_on_every_path() {
    let edge = edge();
    let ping = request("1", "ping", "{}");
    for (method, path) in [
        ("POST", "/mcp"),
        ("GET", "/mcp"),
        ("DELETE", "/mcp"),
        ("GET", "/sse"),
        ("POST", "/sse/messages?session_id=x"),
        ("GET", "/health"),
        ("GET", "/nowhere"),
        ("OPTIONS", "/mcp"),
    ] {
        for origin in [
            "https://evil.example",
            "null",
            "https://app.example.evil",
            "é",
        ] {
            let answer = edge.send(method, path, &[("origin", origin)], &ping).await;
            assert_eq!(answer.status, 403, "{method} {path} {origin}");
        }
        let twice = [
            ("origin", "https://app.example"),
            ("origin", "https://app.example"),
        ];
        assert_eq!(edge.send(method, path, &twice, &ping).await.status, 403);
        let answer = edge
            .send(method, path, &[("host", "evil.example")], &ping)
            .await;
        let expected = if path == "/health" { 200 } else { 403 };
        assert_eq!(answer.status, expected, "{method} {path} by Host");
    }
    assert!(edge.mock.seen.lock().unwrap().is_empty());
}

#[tokio::test]
async fn b12_more_than_one_transfer_coding_is_400() {
    let edge = edge();
    let ping = request("1", "ping", "{}");
    let chunked = ("transfer-encoding", "chunked");
    for codings in [
        vec![chunked, chunked],
        vec![("transfer-encoding", "chunked, chunked")],
        vec![("transfer-encoding", "gzip, chunked")],
        vec![("transfer-encoding", "identity")],
    ] {
        let answer = edge.post(&codings, &ping).await;
        assert_eq!(answer.status, 400, "{codings:?}");
        assert_eq!(answer.headers["connection"], "close", "{codings:?}");
    }
    // 400 for the missing session: it was read.
    let once = edge.post(&[("transfer-encoding", "Chunked")], &ping).await;
    assert!(!once.headers.contains_key("connection"), "{}", once.text);
}

#[tokio::test]
async fn b16_b38_hosts_that_are_missing_doubled_or_differ_are_400() {
    let edge = edge();
    let ping = request("1", "ping", "{}");
    for (what, path, headers) in [
        ("absent", "/mcp", vec![("host", "")]),
        (
            "twice",
            "/mcp",
            vec![("host", "localhost"), ("host", "localhost")],
        ),
        (
            "differs from the target",
            "http://127.0.0.1/mcp",
            vec![("host", "localhost")],
        ),
        ("user info", "/mcp", vec![("host", "localhost@localhost")]),
    ] {
        assert_eq!(
            edge.send("POST", path, &headers, &ping).await.status,
            400,
            "{what}"
        );
    }
    let absolute = edge
        .send(
            "GET",
            "http://localhost/metrics",
            &[("host", "localhost")],
            "",
        )
        .await;
    assert_eq!(absolute.status, 200);
    let foreign = edge.send(
        "GET",
        "http://evil.example/metrics",
        &[("host", "evil.example")],
        "",
    );
    assert_eq!(foreign.await.status, 403);
}

#[tokio::test]
async fn b17_browsers_get_their_own_origin_and_never_everybody() {
    let edge = edge();
    let origin = ("origin", "https://app.example");
    let preflight = edge.send("OPTIONS", "/mcp", &[origin], "").await;
    assert_eq!(preflight.status, 204);
    assert_eq!(
        preflight.headers["access-control-allow-origin"],
        "https://app.example"
    );
    assert!(
        !preflight
            .headers
            .contains_key("access-control-allow-credentials")
    );
    assert_eq!(edge.send("OPTIONS", "/mcp", &[], "").await.status, 405);
    for content in [
        "text/plain",
        "application/x-www-form-urlencoded",
        "",
        "application/jsonx",
    ] {
        let h = [origin, ("content-type", content)];
        assert_eq!(
            edge.post(&h, &request("1", "ping", "{}")).await.status,
            415,
            "{content}"
        );
    }
    for content in ["application/json; charset=utf-8", "Application/JSON"] {
        let answer = edge.post(&[("content-type", content)], "{").await;
        assert_eq!(
            (answer.status.as_u16(), answer.code()),
            (400, -32700),
            "{content}"
        );
    }
}

#[tokio::test]
async fn methods_and_paths_that_are_not_ours() {
    let edge = edge();
    for (method, path, status) in [
        ("PUT", "/mcp", 405),
        ("PATCH", "/mcp", 405),
        ("HEAD", "/mcp", 405),
        ("TRACE", "/mcp", 405),
        ("CONNECT", "localhost:80", 405),
        ("POST", "/sse", 405),
        ("GET", "/sse/messages", 405),
        ("POST", "/health", 405),
        ("GET", "/", 404),
        ("POST", "/mcp/x", 404),
        ("GET", "/health", 200),
        ("HEAD", "/health", 200),
    ] {
        let answer = edge.send(method, path, &[], "").await;
        assert_eq!(answer.status.as_u16(), status, "{method} {path}");
        if method == "HEAD" && answer.status == 200 {
            assert_eq!(answer.text, "", "{path}");
        }
    }
    let slash = edge.send("POST", "/mcp/", &[], "{").await;
    assert_eq!(slash.code(), -32700, "the same with a slash");
}

#[tokio::test]
async fn accept_must_allow_both_kinds_of_answer() {
    let edge = edge();
    for (accept, status) in [
        ("application/json, text/event-stream", 400),
        ("text/event-stream;q=0.9,application/json", 400),
        ("*/*", 400),
        ("application/*, text/*", 400),
        ("", 400),
        ("application/json", 406),
        ("text/event-stream", 406),
        ("text/html", 406),
        ("application/json, text/event-stream;q=0", 406),
    ] {
        // What passes is refused for its body.
        assert_eq!(
            edge.post(&[("accept", accept)], "{").await.status,
            status,
            "{accept}"
        );
    }
    let id = edge.session("2025-11-25", "{}").await;
    let h = [(SESSION, &*id), ("accept", "application/json")];
    assert_eq!(edge.send("GET", "/mcp", &h, "").await.status, 406);
}

#[tokio::test]
async fn b13_heads_beyond_the_limits_are_431_and_414() {
    let edge = edge();
    let large = "x".repeat(16 << 10);
    let answer = edge
        .send("GET", "/health", &[("x-large", &large)], "")
        .await;
    assert_eq!(answer.status, 431);
    let many: Vec<_> = (0..101).map(|_| ("x-many", "1")).collect();
    assert_eq!(edge.send("GET", "/health", &many, "").await.status, 431);
    let path = format!("/health?{}", "x".repeat(8 << 10));
    assert_eq!(edge.send("GET", &path, &[], "").await.status, 414);
}

#[tokio::test]
async fn b19_headers_that_proxies_set_change_nothing() {
    let edge = edge();
    let h = [
        ("host", "evil.example"),
        ("x-forwarded-host", "localhost"),
        ("forwarded", "host=localhost"),
    ];
    assert_eq!(edge.send("GET", "/metrics", &h, "").await.status, 403);
}

#[tokio::test]
async fn who_is_lost_is_told_where_mcp_and_the_pages_are() {
    let edge = edge();
    let ping = request("1", "ping", "{}");
    let lost = edge.send("POST", "/nowhere", &[], &ping).await;
    assert_eq!(lost.status, 404);
    assert!(
        lost.text
            .contains("MCP is at /mcp, pages to read are /health, /metrics"),
        "{}",
        lost.text
    );
    let posted = edge.send("POST", "/metrics", &[], &ping).await;
    assert_eq!(posted.status, 405);
    assert_eq!(posted.headers["allow"], "GET, HEAD");
    assert!(
        posted.text.contains("MCP is served at /mcp"),
        "{}",
        posted.text
    );
}
