//! Who may ask, and bytes that are no proper HTTP: the doors are the same on every path, and no
//! framing makes two requests out of one.

use std::time::Duration;

use http::{Method, Request};
use http_body_util::Full;
use mcp_router_tests::fixture::Fixture;
use mcp_router_tests::harness::{HttpClient, LegacySession, Reply, Scene, exchange};
use serde_json::json;

const LIMIT: Duration = Duration::from_secs(20);

/// Everything that listens, with the verb it listens to.
const PATHS: [(&str, Method); 9] = [
    ("/mcp", Method::POST),
    ("/mcp", Method::GET),
    ("/mcp", Method::DELETE),
    ("/sse", Method::GET),
    ("/sse/messages?session_id=x", Method::POST),
    ("/health", Method::GET),
    ("/ready", Method::GET),
    ("/metrics", Method::GET),
    ("/nowhere", Method::GET),
];

fn call(say: &str) -> String {
    let params = json!({"name": "a.echo", "arguments": {"text": say}});
    json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}).to_string()
}

/// A request of a session whose `headers` are added to, not replaced.
fn with(
    session: &LegacySession,
    path: &str,
    method: &Method,
    headers: &[(&'static str, &str)],
) -> Request<Full<bytes::Bytes>> {
    let mut request = session.client().request(method.clone(), path, call("bad"));
    for (name, value) in headers {
        if *name == "host" {
            request.headers_mut().remove("host");
        }
        request
            .headers_mut()
            .append(*name, value.parse().expect("a value"));
    }
    request
}

#[tokio::test]
async fn r49_b15_a_foreign_null_or_second_origin_is_403_on_every_path() {
    let scene = Scene::new().await;
    let session = scene.session("2025-11-25").await;
    let own = scene.router().url("");
    for (path, method) in &PATHS {
        for origins in [
            &["null"][..],
            &["http://evil.example"],
            &["https://localhost.evil.example"],
            &["http://localhost@evil.example"],
            &["http://127.0.0.1.evil.example"],
            &["file://"],
            &["localhost"],
            &[own.as_str(), "http://evil.example"],
            &[own.as_str(), own.as_str()],
        ] {
            let headers: Vec<_> = origins.iter().map(|o| ("origin", *o)).collect();
            let reply = scene
                .client()
                .send(with(&session, path, method, &headers))
                .await;
            assert_eq!(
                reply.status,
                403,
                "{method} {path} {origins:?}: {}",
                reply.text()
            );
            let shared = reply.header("access-control-allow-origin");
            assert_eq!(shared, None, "{path} {origins:?}");
        }
    }
    scene.works_untouched().await;
    for origin in [
        own.as_str(),
        "http://localhost:6274",
        "https://127.0.0.1",
        "http://[::1]:3000",
    ] {
        let client = session.client().clone().with("origin", origin);
        assert_eq!(
            client.post("/mcp", call("good")).await.status,
            200,
            "{origin}"
        );
    }
}

#[tokio::test]
async fn r49_b16_a_foreign_host_is_403_on_every_path_but_the_probes() {
    let scene = Scene::new().await;
    let session = scene.session("2025-11-25").await;
    let port = scene.router().addr().port();
    for (path, method) in &PATHS {
        for host in [
            "evil.example".to_owned(),
            format!("evil.example:{port}"),
            "localhost.evil.example".to_owned(),
            "127.0.0.1.evil.example".to_owned(),
            "10.0.0.1".to_owned(),
            "0.0.0.0".to_owned(),
        ] {
            let reply = scene
                .client()
                .send(with(&session, path, method, &[("host", &host)]))
                .await;
            // Kubernetes probes a pod by its address.
            let probe = matches!(*path, "/health" | "/ready");
            let wanted = if probe { 200 } else { 403 };
            assert_eq!(
                reply.status,
                wanted,
                "{method} {path} {host}: {}",
                reply.text()
            );
        }
    }
    scene.works_untouched().await;
    for host in [
        format!("localhost:{port}"),
        "LOCALHOST".to_owned(),
        format!("[::1]:{port}"),
    ] {
        let client = session.client().clone().with("host", &host);
        assert_eq!(
            client.post("/mcp", call("good")).await.status,
            200,
            "{host}"
        );
    }
}

#[tokio::test]
async fn r49_allowed_hosts_and_origins_are_those_of_the_file_and_no_others() {
    let sections =
        "server: { allowed_hosts: [mcp.example], allowed_origins: [\"https://app.example\"] }";
    let scene = Scene::with(sections, Fixture::builder()).await;
    let session = scene.session("2025-11-25").await;
    let ask = async |name: &str, value: &str| {
        let client = session.client().clone().with(name, value);
        client.post("/mcp", call("good")).await
    };
    for (name, value, status) in [
        ("host", "mcp.example", 200),
        ("host", "mcp.example:8443", 200),
        ("host", "other.example", 403),
        ("host", "mcp.example.evil.example", 403),
        ("origin", "https://app.example", 200),
        ("origin", "http://app.example", 403),
        ("origin", "https://app.example:8443", 403),
        ("origin", "https://app.example.evil.example", 403),
        ("origin", "null", 403),
    ] {
        let reply: Reply = ask(name, value).await;
        assert_eq!(reply.status, status, "{name}: {value}: {}", reply.text());
    }
}

#[tokio::test]
async fn b16_b38_hosts_that_are_absent_doubled_or_another_than_the_target_are_400() {
    let scene = Scene::new().await;
    let own = scene.router().addr();
    let tail = "accept: */*\r\nconnection: close\r\n\r\n";
    for (what, start, wanted) in [
        ("absent", "GET /ready HTTP/1.1\r\n".to_owned(), "200"),
        ("absent", "GET /mcp HTTP/1.1\r\n".to_owned(), "400"),
        (
            "twice",
            format!("GET /mcp HTTP/1.1\r\nhost: {own}\r\nhost: evil.example\r\n"),
            "400",
        ),
        (
            "twice the same",
            format!("GET /mcp HTTP/1.1\r\nhost: {own}\r\nhost: {own}\r\n"),
            "400",
        ),
        (
            "no name",
            "GET /mcp HTTP/1.1\r\nhost: a b\r\n".to_owned(),
            "400",
        ),
        (
            "with a user",
            format!("GET /mcp HTTP/1.1\r\nhost: x@{own}\r\n"),
            "400",
        ),
        (
            "other target",
            format!("GET http://evil.example/mcp HTTP/1.1\r\nhost: {own}\r\n"),
            "400",
        ),
        (
            "other host",
            format!("GET http://{own}/mcp HTTP/1.1\r\nhost: evil.example\r\n"),
            "400",
        ),
        (
            "both foreign",
            "GET http://evil.example/mcp HTTP/1.1\r\nhost: evil.example\r\n".to_owned(),
            "403",
        ),
        (
            "HTTP/1.0 without",
            "GET /mcp HTTP/1.0\r\n".to_owned(),
            "400",
        ),
    ] {
        let answer = exchange(own, format!("{start}{tail}").as_bytes(), LIMIT).await;
        let answer = String::from_utf8_lossy(&answer);
        let status = answer.split(' ').nth(1).unwrap_or_default();
        assert_eq!(status, wanted, "{what} {start:?}: {answer}");
    }
    scene.works_untouched().await;
}

#[tokio::test]
async fn b17_no_page_of_another_site_can_post_or_read() {
    let scene = Scene::new().await;
    let session = scene.session("2025-11-25").await;
    // What a form can send without asking.
    for kind in [
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
    ] {
        let client = session.client().clone().with("content-type", kind);
        assert_eq!(client.post("/mcp", call("bad")).await.status, 415, "{kind}");
        let foreign = client.with("origin", "https://evil.example");
        assert_eq!(
            foreign.post("/mcp", call("bad")).await.status,
            403,
            "{kind}"
        );
    }
    // What a script must ask for first.
    let preflight = |client: HttpClient, origin: &str| {
        let client = client
            .with("origin", origin)
            .with("access-control-request-method", "POST")
            .with(
                "access-control-request-headers",
                "content-type, authorization",
            );
        client.request(Method::OPTIONS, "/mcp", "")
    };
    for (origin, status) in [
        ("https://evil.example", 403),
        ("null", 403),
        ("http://localhost:6274", 204),
    ] {
        let reply = scene.client().send(preflight(scene.client(), origin)).await;
        assert_eq!(reply.status, status, "{origin}");
        let shared = reply.header("access-control-allow-origin");
        assert_eq!(shared, (status == 204).then_some(origin));
        assert_eq!(reply.header("access-control-allow-credentials"), None);
        let methods = reply
            .header("access-control-allow-methods")
            .unwrap_or_default();
        assert!(!methods.contains('*'), "{methods}");
    }
    scene.works_untouched().await;
    let client = session
        .client()
        .clone()
        .with("origin", "http://localhost:6274");
    let reply = client.post("/mcp", call("good")).await;
    assert_eq!(
        reply.header("access-control-allow-origin"),
        Some("http://localhost:6274")
    );
    assert_eq!(reply.header("access-control-allow-credentials"), None);
    assert!(
        reply
            .header("vary")
            .is_some_and(|v| v.eq_ignore_ascii_case("origin"))
    );
}

/// The head of a call in a session, up to what says where its body ends.
fn head(session: &LegacySession, addr: std::net::SocketAddr) -> String {
    format!(
        "POST /mcp HTTP/1.1\r\nhost: {addr}\r\naccept: */*\r\ncontent-type: application/json\r\n\
         mcp-session-id: {}\r\nmcp-protocol-version: 2025-11-25\r\n",
        session.id()
    )
}

#[tokio::test]
async fn b12_no_framing_makes_two_requests_of_one() {
    let scene = Scene::new().await;
    let session = scene.session("2025-11-25").await;
    let addr = scene.router().addr();
    let head = head(&session, addr);
    let body = call("outer");
    let (len, hex) = (body.len(), format!("{:x}", body.len()));
    // A request inside the body: whoever frames it otherwise sees it.
    let inner = format!(
        "{head}content-length: {}\r\n\r\n{}",
        call("smuggled").len(),
        call("smuggled")
    );
    let both = len + inner.len();
    let chunked = format!("{hex}\r\n{body}\r\n0\r\n\r\n");
    let te = "transfer-encoding: chunked\r\n";
    let cases: Vec<(&str, String)> = vec![
        (
            "CL and TE",
            format!(
                "{head}content-length: {}\r\n{te}\r\n{chunked}{inner}",
                chunked.len() + inner.len()
            ),
        ),
        (
            "TE and CL",
            format!("{head}{te}content-length: 4\r\n\r\n{chunked}{inner}"),
        ),
        (
            "two CLs",
            format!("{head}content-length: {len}\r\ncontent-length: {both}\r\n\r\n{body}{inner}"),
        ),
        (
            "a list of CLs",
            format!("{head}content-length: {len}, {both}\r\n\r\n{body}{inner}"),
        ),
        (
            "signed CL",
            format!("{head}content-length: +{len}\r\n\r\n{body}{inner}"),
        ),
        (
            "negative CL",
            format!("{head}content-length: -1\r\n\r\n{body}{inner}"),
        ),
        (
            "CL that is no number",
            format!("{head}content-length: 0x{hex}\r\n\r\n{body}{inner}"),
        ),
        (
            "endless CL",
            format!("{head}content-length: 18446744073709551617\r\n\r\n{body}{inner}"),
        ),
        (
            "TE that is not last",
            format!("{head}transfer-encoding: chunked, identity\r\n\r\n{chunked}{inner}"),
        ),
        (
            "unknown TE",
            format!("{head}transfer-encoding: xchunked\r\n\r\n{chunked}{inner}"),
        ),
        ("TE twice", format!("{head}{te}{te}\r\n{chunked}{inner}")),
        (
            "TE in disguise",
            format!(
                "{head}transfer-encoding : chunked\r\ncontent-length: {len}\r\n\r\n{body}{inner}"
            ),
        ),
        (
            "bad chunk size",
            format!("{head}{te}\r\nxyz\r\n{body}\r\n0\r\n\r\n{inner}"),
        ),
        (
            "signed chunk size",
            format!("{head}{te}\r\n+{hex}\r\n{body}\r\n0\r\n\r\n{inner}"),
        ),
        (
            "endless chunk size",
            format!("{head}{te}\r\nfffffffffffffffff\r\n{body}\r\n0\r\n\r\n{inner}"),
        ),
        (
            "chunk longer than said",
            format!("{head}{te}\r\n1\r\n{body}\r\n0\r\n\r\n{inner}"),
        ),
        (
            "folded header",
            format!("{head}x-fold: a\r\n b\r\ncontent-length: {len}\r\n\r\n{body}"),
        ),
        (
            "bare LF",
            format!(
                "{}content-length: {len}\n\n{body}",
                head.replace("\r\n", "\n")
            ),
        ),
        (
            "bare CR",
            format!("{head}x: a\rb\r\ncontent-length: {len}\r\n\r\n{body}"),
        ),
        (
            "NUL in a header",
            format!("{head}x: a\0b\r\ncontent-length: {len}\r\n\r\n{body}"),
        ),
        (
            "no colon",
            format!("{head}nonsense\r\ncontent-length: {len}\r\n\r\n{body}"),
        ),
        (
            "space in a name",
            format!("{head}x y: z\r\ncontent-length: {len}\r\n\r\n{body}"),
        ),
        (
            "no version",
            format!("POST /mcp\r\n{}\r\n{body}", &head[20..]),
        ),
        (
            "old version",
            head.replace("HTTP/1.1", "HTTP/0.9") + "\r\n" + &body,
        ),
        (
            "no HTTP at all",
            "\0\u{1}\u{2}hello there\r\n\r\n".to_owned(),
        ),
    ];
    for (what, bytes) in cases {
        let before = scene.backend().log().count("tools/call");
        let mut bytes = bytes.into_bytes();
        bytes.extend_from_slice(b"\r\n");
        // Some framings leave the server waiting for more: a second of silence is the end of them.
        let answer = exchange(addr, &bytes, Duration::from_secs(1)).await;
        let answer = String::from_utf8_lossy(&answer);
        let statuses: Vec<_> = answer.split("HTTP/1.1 ").skip(1).map(|a| &a[..3]).collect();
        let served = statuses.iter().filter(|s| **s == "200").count();
        let seen = scene.backend().log().count("tools/call") - before;
        // Either nothing of it, or one request framed one way.
        assert!(served <= 1 && seen <= 1, "{what}: {seen} calls, {answer}");
        let refused = statuses
            .iter()
            .all(|s| matches!(*s, "200" | "400" | "404" | "501" | "505"));
        assert!(refused, "{what}: {answer}");
        let smuggled = scene.backend().log().of("tools/call");
        let smuggled = smuggled
            .iter()
            .any(|r| r.json()["params"]["arguments"]["text"] == "smuggled");
        assert!(!smuggled, "{what}: {answer}");
    }
    scene.works().await;
}

#[tokio::test]
async fn b13_heads_over_the_limits_are_431_and_414() {
    let scene = Scene::new().await;
    let session = scene.session("2025-11-25").await;
    let addr = scene.router().addr();
    let head = head(&session, addr);
    let body = call("bad");
    let len = body.len();
    let post = |more: &str| {
        format!("{head}{more}content-length: {len}\r\nconnection: close\r\n\r\n{body}")
    };
    let uri = |bytes: usize| post("").replace("/mcp", &format!("/mcp?{}", "u".repeat(bytes)));
    let many: String = (0..101).map(|n| format!("x-{n}: 1\r\n")).collect();
    // What is larger than the buffer of a connection is refused before its parts are told apart.
    for (what, bytes, status) in [
        (
            "one header of 17 KiB",
            post(&format!("x: {}\r\n", "h".repeat(17 << 10))),
            "431",
        ),
        (
            "17 headers of 1 KiB",
            post(&format!("x: {}\r\n", "h".repeat(1 << 10)).repeat(17)),
            "431",
        ),
        (
            "a header of 1 MiB",
            post(&format!("x: {}\r\n", "h".repeat(1 << 20))),
            "431",
        ),
        ("101 headers", post(&many), "431"),
        ("a URI of 9 KiB", uri(9 << 10), "414"),
        ("a URI of 60 KiB", uri(60 << 10), "4"),
        ("a URI of 1 MiB", uri(1 << 20), "4"),
    ] {
        let answer = exchange(addr, bytes.as_bytes(), LIMIT).await;
        let answer = String::from_utf8_lossy(&answer);
        let wanted = format!("HTTP/1.1 {status}");
        assert!(
            answer.starts_with(&wanted),
            "{what}: {}",
            &answer[..answer.len().min(200)]
        );
    }
    scene.works_untouched().await;
    // Just within them all is well.
    let within = post(&format!("x: {}\r\n", "h".repeat(15 << 10)));
    let within = within.replace("/mcp", &format!("/mcp?{}", "u".repeat(1000)));
    let answer = exchange(addr, within.as_bytes(), LIMIT).await;
    let answer = String::from_utf8_lossy(&answer);
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

/// A frame of HTTP/2.
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("small").to_be_bytes();
    let mut bytes = length[1..].to_vec();
    bytes.extend([kind, flags]);
    bytes.extend(stream.to_be_bytes());
    bytes.extend(payload);
    bytes
}

#[tokio::test]
async fn b14_floods_of_http2_are_cut_at_once_and_cost_nothing() {
    let scene = Scene::new().await;
    let addr = scene.router().addr();
    let before = scene.router().usage().peak_rss;
    let preface = [
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(),
        frame(4, 0, 0, &[]),
    ]
    .concat();
    // `:method GET`, `:scheme http`, `:path /`.
    let request = [0x82, 0x86, 0x84];
    let odd = |n: u32| 2 * n + 1;
    let reset = |n| {
        [
            frame(1, 5, odd(n), &request),
            frame(3, 0, odd(n), &[0, 0, 0, 8]),
        ]
        .concat()
    };
    let rapid_reset: Vec<u8> = (0..20_000).flat_map(reset).collect();
    let open = frame(1, 0, 1, &request);
    let continuation: Vec<u8> = (0..2_000)
        .flat_map(|_| frame(9, 0, 1, &[0x40; 1000]))
        .collect();
    // A request that passes the door and whose body does not end: `:method POST`, `:scheme http`,
    // `:path /mcp`, `:authority`, `content-type`, as HPACK literals.
    let literal = |index: u8, value: &str| {
        let length = u8::try_from(value.len()).expect("short");
        [&[0x40 | index, length], value.as_bytes()].concat()
    };
    let posting = [
        vec![0x83, 0x86],
        literal(4, "/mcp"),
        literal(1, &addr.to_string()),
        literal(31, "application/json"),
    ]
    .concat();
    let posting = frame(1, 4, 1, &posting);
    let empty_data: Vec<u8> = (0..50_000).flat_map(|_| frame(0, 0, 1, &[])).collect();
    let settings: Vec<u8> = (0..50_000).flat_map(|_| frame(4, 0, 0, &[])).collect();
    let ping: Vec<u8> = (0..50_000).flat_map(|_| frame(6, 0, 0, &[0; 8])).collect();
    for (what, flood) in [
        ("rapid reset", rapid_reset),
        ("CONTINUATION", [open, continuation].concat()),
        ("empty DATA", [posting, empty_data].concat()),
        ("SETTINGS", settings),
        ("PING", ping),
    ] {
        let bytes = [preface.clone(), flood].concat();
        let start = std::time::Instant::now();
        exchange(addr, &bytes, LIMIT).await;
        assert!(start.elapsed() < LIMIT, "{what}: the connection is held");
        let reply = scene.client().get("/health").await;
        assert_eq!(reply.status, 200, "{what}");
    }
    let grown = scene.router().usage().peak_rss - before;
    assert!(grown < 32 << 20, "grown by {grown} bytes");
    scene.works_untouched().await;
}

#[tokio::test]
async fn b38_an_upgrade_is_ignored_and_connect_and_trace_are_405() {
    let scene = Scene::new().await;
    let session = scene.session("2025-11-25").await;
    let client = session.client().clone();
    let h2c = client
        .with("connection", "upgrade, http2-settings")
        .with("upgrade", "h2c");
    let reply = h2c
        .with("http2-settings", "AAMAAABkAAQAAP__")
        .post("/mcp", call("good"))
        .await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    let addr = scene.router().addr();
    for start in [
        format!("CONNECT {addr} HTTP/1.1"),
        "TRACE /mcp HTTP/1.1".to_owned(),
    ] {
        let bytes = format!("{start}\r\nhost: {addr}\r\nconnection: close\r\n\r\n");
        let answer = exchange(addr, bytes.as_bytes(), LIMIT).await;
        assert!(
            answer.starts_with(b"HTTP/1.1 405"),
            "{start}: {}",
            String::from_utf8_lossy(&answer)
        );
    }
    scene.works_untouched().await;
}
