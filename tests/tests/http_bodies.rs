//! Bodies that are no message, or two: each gets its documented refusal in both eras, and none
//! reaches a backend.

use std::time::Duration;

use bytes::Bytes;
use http::Method;
use mcp_router_tests::fixture::MODERN;
use mcp_router_tests::harness::{HttpClient, Scene, exchange, text};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// The bytes of a call and its pieces: the backend would answer it, were it let through.
const CALL: &str = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{META"name":"a.echo","arguments":{"text":"bad"}}}"#;

/// One way in: the client, and what its requests carry in `params`.
struct Door {
    name: &'static str,
    client: HttpClient,
    meta: String,
}

async fn doors(scene: &Scene) -> Vec<Door> {
    let meta = format!(
        r#""_meta":{{"io.modelcontextprotocol/protocolVersion":"{MODERN}","io.modelcontextprotocol/clientCapabilities":{{}}}},"#
    );
    let modern = scene
        .client()
        .with("mcp-protocol-version", MODERN)
        .with("mcp-method", "tools/call")
        .with("mcp-name", "a.echo");
    let session = |s: mcp_router_tests::harness::LegacySession| s.client().clone();
    let mut doors = vec![Door {
        name: "stateless",
        client: modern,
        meta,
    }];
    for name in ["2025-03-26", "2025-11-25"] {
        let client = session(scene.session(name).await);
        doors.push(Door {
            name,
            client,
            meta: String::new(),
        });
    }
    doors
}

/// Posts each body through each door and checks how it is refused.
async fn all_refused(cases: &[(&str, Vec<u8>, i64)]) {
    let scene = Scene::new().await;
    for door in doors(&scene).await {
        for (what, body, code) in cases {
            let body = replace(body, b"META", door.meta.as_bytes());
            let reply = door.client.post("/mcp", body).await;
            let what = format!("{} {what}", door.name);
            assert_eq!(reply.status, 400, "{what}: {}", reply.text());
            assert_eq!(
                reply.header("content-type"),
                Some("application/json"),
                "{what}"
            );
            assert_eq!(reply.code(), Some(*code), "{what}: {}", reply.text());
            // B7: no id that could not be read, or is not acceptable, is echoed.
            let id = &reply.json()["id"];
            assert!(id.is_null() || *id == 1, "{what}: {}", reply.text());
        }
        let good = CALL.replace("META", &door.meta).replace("bad", "good");
        let reply = door.client.post("/mcp", good).await;
        assert_eq!(
            text(&reply.json()),
            "good",
            "{}: {}",
            door.name,
            reply.text()
        );
    }
    scene.works_untouched().await;
}

fn replace(text: &[u8], from: &[u8], to: &[u8]) -> Bytes {
    match text.windows(from.len()).position(|w| w == from) {
        Some(at) => [&text[..at], to, &text[at + from.len()..]].concat().into(),
        None => Bytes::copy_from_slice(text),
    }
}

/// A case whose body is the good call with one piece replaced.
fn spoilt(what: &'static str, from: &str, to: &str, code: i64) -> (&'static str, Vec<u8>, i64) {
    assert!(CALL.contains(from), "{from}");
    (what, CALL.replacen(from, to, 1).into_bytes(), code)
}

#[tokio::test]
async fn b01_what_is_no_json_is_400_32700() {
    let whole = CALL.as_bytes();
    let bytes = |parts: &[&[u8]]| parts.concat();
    let (front, back) = CALL.split_once("bad").expect("the text");
    all_refused(&[
        ("empty", Vec::new(), -32700),
        ("blank", b" \r\n".to_vec(), -32700),
        ("truncated", whole[..whole.len() - 1].to_vec(), -32700),
        ("half", whole[..whole.len() / 2].to_vec(), -32700),
        ("BOM", bytes(&[b"\xef\xbb\xbf", whole]), -32700),
        (
            "UTF-16",
            CALL.encode_utf16().flat_map(u16::to_le_bytes).collect(),
            -32700,
        ),
        ("trailing bytes", bytes(&[whole, b" x"]), -32700),
        ("trailing NUL", bytes(&[whole, b"\0"]), -32700),
        ("two messages", bytes(&[whole, b"\n", whole]), -32700),
        (
            "bad UTF-8",
            bytes(&[front.as_bytes(), b"\xff", back.as_bytes()]),
            -32700,
        ),
        (
            "overlong UTF-8",
            bytes(&[front.as_bytes(), b"\xc0\x80", back.as_bytes()]),
            -32700,
        ),
        (
            "surrogate in UTF-8",
            bytes(&[front.as_bytes(), b"\xed\xa0\x80", back.as_bytes()]),
            -32700,
        ),
        (
            "raw control character",
            bytes(&[front.as_bytes(), b"\x01", back.as_bytes()]),
            -32700,
        ),
        (
            "trailing comma",
            CALL.replace("}}}", "},}}").into_bytes(),
            -32700,
        ),
        ("single quotes", CALL.replace('"', "'").into_bytes(), -32700),
        (
            "leading zero",
            CALL.replace("\"bad\"", "01").into_bytes(),
            -32700,
        ),
        ("NaN", CALL.replace("\"bad\"", "NaN").into_bytes(), -32700),
        (
            "comment",
            CALL.replace("\"bad\"", "/* */1").into_bytes(),
            -32700,
        ),
        (
            "bad escape",
            CALL.replace("bad", "\\x").into_bytes(),
            -32700,
        ),
    ])
    .await;
}

#[tokio::test]
async fn b02_b06_what_is_json_and_no_message_is_400_32600() {
    all_refused(&[
        ("null", b"null".to_vec(), -32600),
        ("number", b"7".to_vec(), -32600),
        ("text", b"\"tools/call\"".to_vec(), -32600),
        ("empty object", b"{}".to_vec(), -32600),
        ("empty array", b"[]".to_vec(), -32600),
        spoilt("jsonrpc 1.0", r#""2.0""#, r#""1.0""#, -32600),
        spoilt("jsonrpc as a number", r#""2.0""#, "2.0", -32600),
        spoilt("no jsonrpc", r#""jsonrpc":"2.0","#, "", -32600),
        spoilt("no method", r#""method":"tools/call","#, "", -32600),
        spoilt("method is no text", r#""tools/call""#, "7", -32600),
        spoilt(
            "method and result",
            r#""method""#,
            r#""result":{},"method""#,
            -32600,
        ),
        spoilt(
            "method and error",
            r#""method""#,
            r#""error":{"code":1,"message":""},"method""#,
            -32600,
        ),
        (
            "result and error",
            br#"{"jsonrpc":"2.0","id":1,"result":{},"error":{"code":1,"message":""}}"#.to_vec(),
            -32600,
        ),
        (
            "params is an array",
            br#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":["a.echo"]}"#.to_vec(),
            -32600,
        ),
        (
            "params is text",
            br#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":"a.echo"}"#.to_vec(),
            -32600,
        ),
    ])
    .await;
}

#[tokio::test]
async fn b03_nesting_over_128_is_400_32700_wherever_it_is() {
    let deep = |open: &str, close: &str, levels: usize| open.repeat(levels) + &close.repeat(levels);
    let arrays = deep("[", "]", 130);
    let objects = "{\"k\":".repeat(130) + "1" + &"}".repeat(130);
    all_refused(&[
        spoilt("arrays in arguments", "\"bad\"", &arrays, -32700),
        spoilt("objects in arguments", "\"bad\"", &objects, -32700),
        spoilt(
            "beside the call",
            r#""name""#,
            &format!(r#""x":{arrays},"name""#),
            -32700,
        ),
        spoilt(
            "unknown member",
            r#""id""#,
            &format!(r#""x":{objects},"id""#),
            -32700,
        ),
        spoilt("as id", r#""id":1"#, &format!(r#""id":{arrays}"#), -32700),
        ("the message itself", arrays.clone().into_bytes(), -32700),
        (
            "a million brackets",
            "[".repeat(1 << 20).into_bytes(),
            -32700,
        ),
        spoilt(
            "a million in arguments",
            "\"bad\"",
            &deep("[", "]", 1 << 20),
            -32700,
        ),
    ])
    .await;
    // Brackets in a text are no nesting, and what is as deep as allowed passes.
    let scene = Scene::new().await;
    let session = scene.session("2025-11-25").await;
    let brackets = "[{".repeat(1000);
    let answer = session.call("a.echo", json!({"text": brackets})).await;
    assert_eq!(text(&answer), brackets);
    let nested: Value = serde_json::from_str(&deep("[", "]", 120)).expect("JSON");
    let answer = session.call("a.mirror", json!({"deep": nested})).await;
    assert_eq!(
        answer["result"]["structuredContent"]["deep"], nested,
        "{answer}"
    );
}

#[tokio::test]
async fn b04_duplicate_keys_are_400_32600_also_where_escapes_hide_them() {
    all_refused(&[
        spoilt(
            "method twice",
            r#""method""#,
            r#""method":"tools/list","method""#,
            -32600,
        ),
        spoilt("id twice", r#""id":1"#, r#""id":1,"id":2"#, -32600),
        spoilt(
            "jsonrpc twice",
            r#""id""#,
            r#""jsonrpc":"2.0","id""#,
            -32600,
        ),
        spoilt(
            "params twice",
            r#""params""#,
            r#""params":{"name":"a.add"},"params""#,
            -32600,
        ),
        spoilt(
            "escaped method",
            r#""id""#,
            r#""m\u0065thod":"tools/list","id""#,
            -32600,
        ),
        spoilt(
            "name twice",
            r#""arguments""#,
            r#""name":"a.add","arguments""#,
            -32600,
        ),
        spoilt(
            "escaped name",
            r#""arguments""#,
            r#""n\u0061me":"a.add","arguments""#,
            -32600,
        ),
        spoilt(
            "arguments twice",
            r#""arguments""#,
            r#""arguments":{},"arguments""#,
            -32600,
        ),
        spoilt(
            "_meta twice",
            r#""name""#,
            r#""_meta":{},"_meta":{},"name""#,
            -32600,
        ),
    ])
    .await;
}

#[tokio::test]
async fn b05_keys_that_only_look_like_ours_are_400_32600_and_never_forwarded() {
    let beside = |key: &str| format!(r#""{key}":"a.add","arguments""#);
    let mut cases = vec![
        spoilt("Method", r#""id""#, r#""Method":"tools/list","id""#, -32600),
        spoilt("METHOD alone", r#""method""#, r#""METHOD""#, -32600),
        spoilt("ID", r#""id""#, r#""ID":2,"id""#, -32600),
        spoilt("paramſ", r#""params""#, r#""paramſ":{},"params""#, -32600),
        spoilt("Params alone", r#""params""#, r#""Params""#, -32600),
        spoilt("Name alone", r#""name""#, r#""Name""#, -32600),
    ];
    for key in [
        "Name",
        "NAME",
        "name\\u0000",
        "\\u0000name",
        "n\u{200b}ame",
        "name ",
        "Arguments",
    ] {
        cases.push(spoilt("in params", r#""arguments""#, &beside(key), -32600));
    }
    all_refused(&cases).await;
}

#[tokio::test]
async fn b07_ids_are_text_or_integers_of_64_bits() {
    let mut cases = Vec::new();
    for id in [
        "null",
        "1.5",
        "1.0",
        "1e3",
        "-0.0",
        "{}",
        "[1]",
        "true",
        "9223372036854775808",
        "-9223372036854775809",
        "123456789012345678901234567890",
    ] {
        cases.push(spoilt("id", r#""id":1"#, &format!(r#""id":{id}"#), -32600));
    }
    let long = format!(r#""id":"{}""#, "x".repeat(1025));
    cases.push(spoilt("over 1 KiB", r#""id":1"#, &long, -32600));
    all_refused(&cases).await;
    // And the longest one comes back whole.
    let scene = Scene::new().await;
    let id = "x".repeat(1000);
    let session = scene.session("2025-11-25").await;
    let body = json!({"jsonrpc": "2.0", "id": id, "method": "ping"});
    let reply = session.client().post("/mcp", body.to_string()).await;
    assert_eq!(reply.json()["id"], *id);
}

/// The head of a POST, up to what says where its body ends.
fn head(scene: &Scene) -> String {
    format!(
        "POST /mcp HTTP/1.1\r\nhost: {}\r\naccept: */*\r\ncontent-type: application/json\r\n\
         mcp-protocol-version: {MODERN}\r\nmcp-method: tools/call\r\nmcp-name: a.echo\r\n",
        scene.router().addr()
    )
}

#[tokio::test]
async fn b10_r54_a_body_over_4_mib_is_413_declared_or_chunked_and_is_not_kept() {
    const LIMIT: usize = 4 << 20;
    let scene = Scene::new().await;
    let session = scene.session("2025-11-25").await;
    // As large as allowed, to the byte.
    let empty = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call",
        "params": {"name": "a.echo", "arguments": {"text": "good", "pad": ""}}});
    let empty = empty.to_string();
    let pad = |size: usize| {
        empty.replace(
            r#""pad":"""#,
            &format!(r#""pad":"{}""#, "p".repeat(size - empty.len())),
        )
    };
    let reply = session.client().post("/mcp", pad(LIMIT)).await;
    assert_eq!(reply.status, 200, "{}", reply.text().len());
    let seen = scene.backend().log().of("tools/call");
    assert!(seen.last().expect("the call").body.len() > LIMIT - 200);
    scene.backend().log().clear();
    let reply = session.client().post("/mcp", pad(LIMIT + 1)).await;
    assert_eq!(
        (reply.status.as_u16(), reply.code()),
        (413, Some(-32600)),
        "{}",
        reply.text()
    );

    let addr = scene.router().addr();
    let limit = Duration::from_secs(20);
    // Declared: refused before anything of it is sent.
    let declared = format!("{}content-length: {}\r\n\r\n", head(&scene), 5 << 30_u64);
    let answer = exchange(addr, declared.as_bytes(), limit).await;
    assert!(
        answer.starts_with(b"HTTP/1.1 413"),
        "{}",
        String::from_utf8_lossy(&answer)
    );
    // Chunked: refused as soon as it is known, whatever is still on its way.
    let before = scene.router().usage().peak_rss;
    let chunk = format!("100000\r\n{}\r\n", "c".repeat(1 << 20));
    let endless = async || {
        let mut stream = TcpStream::connect(addr).await.expect("a listener");
        let head = format!("{}transfer-encoding: chunked\r\n\r\n", head(&scene));
        stream.write_all(head.as_bytes()).await.expect("taken");
        let (mut read, mut write) = stream.split();
        let writing = async {
            for _ in 0..64 {
                if write.write_all(chunk.as_bytes()).await.is_err() {
                    return;
                }
            }
        };
        let mut answer = [0; 12];
        let (read, ()) = tokio::join!(read.read_exact(&mut answer), writing);
        read.expect("an answer, though the body was cut");
        assert_eq!(answer, *b"HTTP/1.1 413");
    };
    tokio::time::timeout(Duration::from_secs(60), async {
        futures::future::join_all((0..4).map(|_| endless())).await;
    })
    .await
    .expect("four refusals");
    let grown = scene.router().usage().peak_rss - before;
    // 256 MiB were on offer; four bodies may hold their 4 MiB, and buffers grow by doubling.
    assert!(grown < 64 << 20, "grown by {grown} bytes");
    scene.works_untouched().await;
}

#[tokio::test]
async fn b11_a_body_shorter_than_declared_ends_after_30_s_and_reaches_nobody() {
    let scene = Scene::new().await;
    let addr = scene.router().addr();
    let params = CALL.replace("META", "");
    let short = format!(
        "{}content-length: {}\r\n\r\n{params}",
        head(&scene),
        params.len() + 10
    );
    // A client that says that nothing more comes is told at once.
    let mut closing = TcpStream::connect(addr).await.expect("a listener");
    closing.write_all(short.as_bytes()).await.expect("taken");
    closing.shutdown().await.expect("half closed");
    let mut answer = Vec::new();
    let read = closing.read_to_end(&mut answer);
    let read = tokio::time::timeout(Duration::from_secs(20), read).await;
    assert!(read.is_ok(), "the connection is held");
    let told = String::from_utf8_lossy(&answer);
    assert!(
        told.is_empty() || told.starts_with("HTTP/1.1 400"),
        "{told}"
    );
    // One that says nothing has 30 s.
    let start = std::time::Instant::now();
    let answer = exchange(addr, short.as_bytes(), Duration::from_secs(60)).await;
    let took = start.elapsed();
    assert!(
        answer.starts_with(b"HTTP/1.1 408"),
        "{}",
        String::from_utf8_lossy(&answer)
    );
    assert!((25..50).contains(&took.as_secs()), "{took:?}");
    scene.works_untouched().await;
}

#[tokio::test]
async fn wrong_types_and_methods_have_their_statuses() {
    let scene = Scene::new().await;
    let session = scene.session("2025-11-25").await;
    let post = async |name: &str, value: &str| {
        let client = session.client().clone().with(name, value);
        let body = CALL.replace("META", "");
        client.post("/mcp", body).await.status.as_u16()
    };
    for value in [
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data",
        "",
    ] {
        assert_eq!(post("content-type", value).await, 415, "{value}");
    }
    for value in [
        "text/html",
        "application/json",
        "text/event-stream",
        "application/json;q=0, */*;q=0",
    ] {
        assert_eq!(post("accept", value).await, 406, "{value}");
    }
    for method in [Method::PUT, Method::PATCH] {
        let request = session
            .client()
            .request(method, "/mcp", CALL.replace("META", ""));
        assert_eq!(scene.client().send(request).await.status, 405);
    }
    let elsewhere = session
        .client()
        .post("/other", CALL.replace("META", ""))
        .await;
    assert_eq!(elsewhere.status, 404);
    scene.works_untouched().await;
    for value in [
        "*/*",
        "application/json, text/event-stream",
        "application/*;q=0.5, text/*",
        "",
    ] {
        assert_eq!(post("accept", value).await, 200, "{value}");
    }
    assert_eq!(
        post("content-type", "Application/JSON; charset=utf-8").await,
        200
    );
}
