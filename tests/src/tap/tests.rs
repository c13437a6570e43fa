//! That a tap passes everything on at once, and that its check sees what is wrong.

use std::io::Cursor;
use std::path::Path;

use proptest::prelude::*;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::check::Findings;
use super::events::Events;
use super::http::Proxy;
use super::journal::{Journal, Record, Role};
use super::stdio::copy;

fn records(journal: &Path) -> Vec<Record> {
    let text = std::fs::read_to_string(journal).expect("a journal");
    let lines = text.lines();
    lines
        .map(|line| serde_json::from_str(line).expect("a record"))
        .collect()
}

fn checked(records: Vec<Record>) -> Value {
    let mut findings = Findings::default();
    findings.journal(records);
    findings.report()
}

fn hop(router: Role) -> Record {
    let name = "somebody".to_owned();
    Record::Hop { name, router }
}

fn line(from: Role, message: &Value) -> Record {
    let text = message.to_string();
    Record::Line { from, text }
}

const STREAM: &[u8] = b": hello\r\nid: 1\ndata:\n\nevent: endpoint\rdata: /m?s=1\r\n\r\ndata: {\"a\":\ndata: \"\xc3\xa9\"}\n\n\ndata: cut";

fn events_of(pieces: &[&[u8]]) -> Vec<(String, String)> {
    let (mut events, mut seen) = (Events::default(), Vec::new());
    for piece in pieces {
        events.feed(piece, |name, data| seen.push((name.to_owned(), data)));
    }
    seen
}

proptest! {
    #[test]
    fn events_are_the_same_for_any_split(first in 0..=STREAM.len(), second in 0..=STREAM.len()) {
        let (first, second) = (first.min(second), first.max(second));
        let pieces = [&STREAM[..first], &STREAM[first..second], &STREAM[second..]];
        let expected = [("", ""), ("endpoint", "/m?s=1"), ("", "{\"a\":\n\"é\"}")];
        let expected = expected.map(|(name, data)| (name.to_owned(), data.to_owned()));
        prop_assert_eq!(events_of(&pieces), expected);
    }
}

#[tokio::test]
async fn each_piece_and_each_end_passes_through_at_once() {
    let folder = tempfile::tempdir().expect("a folder");
    let journal = Journal::begin(folder.path(), "a/b", Role::Server).expect("a journal");
    let path = journal.path().to_owned();
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}/mcp", listener.local_addr().expect("a port"));
    let proxy = Proxy::bind(&url.parse().expect("a URL"), journal).await;
    let proxy = proxy.expect("a port");
    let own = proxy.url.replace("http://", "").replace("/mcp", "");
    tokio::spawn(proxy.serve());

    let mut client = TcpStream::connect(&own).await.expect("a tap");
    let (mut server, address) = listener.accept().await.expect("the tap's connection");
    assert!(address.ip().is_loopback());
    let ask = format!(
        "POST /mcp HTTP/1.1\r\nHost: {own}\r\nMcp-Session-Id: s\r\nContent-Length: 3\r\n\r\n[1]"
    );
    client.write_all(ask.as_bytes()).await.expect("written");
    let asked = read_until(&mut server, "[1]").await;
    let theirs = listener.local_addr().expect("a port").to_string();
    assert!(asked.contains(&format!("host: {theirs}\r\n")), "{asked}");

    let head =
        "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";
    server.write_all(head.as_bytes()).await.expect("written");
    // The server says no more before the client has seen this half of an event.
    server.write_all(b"6\r\ndata: \r\n").await.expect("written");
    read_until(&mut client, "data: ").await;
    server.write_all(b"4\r\n{}\n\n\r\n").await.expect("written");
    read_until(&mut client, "{}\n\n").await;

    drop(client);
    let mut rest = Vec::new();
    let ended = server.read_to_end(&mut rest).await;
    assert!(ended.is_err() || rest.is_empty(), "the tap let go");
    let written = records(&path);
    let [
        Record::Hop { .. },
        Record::Ask { body, session, .. },
        _,
        Record::Message { text, .. },
    ] = &*written
    else {
        panic!("{written:?}");
    };
    assert_eq!(
        (&**body, session.as_deref(), &**text),
        ("[1]", Some("s"), "{}")
    );
}

async fn read_until(stream: &mut TcpStream, end: &str) -> String {
    let mut text = String::new();
    while !text.contains(end) {
        let mut buffer = [0; 1024];
        let read = stream.read(&mut buffer).await.expect("readable");
        assert!(read > 0, "ended after {text:?}");
        text.push_str(&String::from_utf8_lossy(&buffer[..read]));
    }
    text
}

#[test]
fn stdio_is_copied_byte_for_byte_and_noted_line_by_line() {
    let folder = tempfile::tempdir().expect("a folder");
    let journal = Journal::begin(folder.path(), "pipe", Role::Client).expect("a journal");
    let input = b"{\"id\":1}\n\nnot \xff JSON\r\n{\"id\":2}";
    let mut output = Vec::new();
    copy(Role::Server, &journal, Cursor::new(input), &mut output).expect("copied");
    assert_eq!(output, input);
    let lines: Vec<_> = records(journal.path()).into_iter().skip(1).collect();
    let expected = ["{\"id\":1}", "not \u{fffd} JSON", "{\"id\":2}"].map(|text| Record::Line {
        from: Role::Server,
        text: text.to_owned(),
    });
    assert_eq!(lines, expected);
}

#[test]
fn what_the_router_sends_is_checked_and_nothing_else() {
    let question = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": 7});
    let report = checked(vec![hop(Role::Server), line(Role::Client, &question)]);
    assert_eq!(
        (report["wrongs"].as_u64(), &report["hops"]),
        (Some(0), &json!({"somebody": 0}))
    );
    let report = checked(vec![hop(Role::Client), line(Role::Client, &question)]);
    assert_eq!(
        (report["wrongs"].as_u64(), &report["hops"]),
        (Some(1), &json!({"somebody": 1}))
    );
    let nonsense = Record::Line {
        from: Role::Client,
        text: "hello".to_owned(),
    };
    assert_eq!(checked(vec![hop(Role::Client), nonsense])["wrongs"], 1);
}

#[test]
fn a_message_is_judged_in_the_revision_agreed_on() {
    let ask = json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {
        "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "n", "version": "1"}}});
    let agreed = |revision: &str| {
        json!({"jsonrpc": "2.0", "id": 1, "result": {"protocolVersion": revision, "capabilities": {},
            "serverInfo": {"name": "n", "version": "1"}}})
    };
    let elicit = json!({"jsonrpc": "2.0", "id": "q", "method": "elicitation/create", "params": {
        "message": "Who?", "requestedSchema": {"type": "object", "properties": {}}}});
    for (revision, wrongs) in [("2025-06-18", 0), ("2025-03-26", 1)] {
        let report = checked(vec![
            hop(Role::Server),
            line(Role::Client, &ask),
            line(Role::Server, &agreed(revision)),
            line(Role::Server, &elicit),
        ]);
        assert_eq!(report["wrongs"], wrongs, "{report}");
        assert_eq!(report["checked"][0]["revision"], revision);
    }
    // As a client the router answers in what the server agreed to.
    let form = json!({"jsonrpc": "2.0", "id": "q", "result": {"action": "accept", "content": {"a": ["b"]}}});
    for (revision, wrongs) in [("2025-11-25", 0), ("2025-06-18", 1)] {
        let report = checked(vec![
            hop(Role::Client),
            line(Role::Client, &ask),
            line(Role::Server, &agreed(revision)),
            line(Role::Server, &elicit),
            line(Role::Client, &form),
        ]);
        assert_eq!(report["wrongs"], wrongs, "{report}");
    }
}

#[test]
fn over_http_and_sse_each_exchange_finds_its_conversation() {
    let ask = |exchange, target: &str, body: &Value| Record::Ask {
        exchange,
        method: "POST".to_owned(),
        target: target.to_owned(),
        session: None,
        version: None,
        body: body.to_string(),
        whole: true,
    };
    let part = |exchange, event: &str, text: String| Record::Message {
        exchange,
        event: event.to_owned(),
        text,
    };
    let answer = |exchange, kind: &str| Record::Answer {
        exchange,
        status: 200,
        kind: kind.to_owned(),
        session: None,
    };
    let ping = json!({"jsonrpc": "2.0", "id": 5, "method": "ping"});
    let pong = json!({"jsonrpc": "2.0", "id": 5, "result": {}});
    let mut opened = ask(1, "/sse", &json!(null));
    if let Record::Ask { body, .. } = &mut opened {
        body.clear();
    }
    let records = |pong: &Value| {
        vec![
            hop(Role::Server),
            opened.clone(),
            answer(1, "text/event-stream"),
            part(1, "endpoint", "/messages?s=1".to_owned()),
            ask(2, "/messages?s=1", &ping),
            answer(2, "text/plain"),
            part(2, "", "Accepted".to_owned()),
            part(1, "", pong.to_string()),
        ]
    };
    let report = checked(records(&pong));
    assert_eq!(
        (&report["wrongs"], &report["checked"][0]["over"]),
        (&json!(0), &json!("sse"))
    );
    let unasked = json!({"jsonrpc": "2.0", "id": 6, "result": {}});
    assert_eq!(checked(records(&unasked))["wrongs"], 1);
}
