//! The least of a backend: it looks for the method and the id and has its answers ready.

use std::fmt::Write as _;
use std::io;
use std::sync::Arc;

use memchr::memmem;
use tokio::net::{TcpListener, TcpStream};

use crate::client::{LARGE, SMALL};
use crate::message::Peer;

/// How many tools are listed.
const TOOLS: usize = 500;

/// The results of the methods it has.
#[derive(Debug)]
struct Results {
    discover: String,
    list: String,
    small: String,
    large: String,
}

/// Starts it; its port.
pub(crate) async fn start() -> io::Result<u16> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let port = listener.local_addr()?.port();
    let results = Arc::new(Results::new());
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream, results.clone()));
        }
    });
    Ok(port)
}

/// Serves a connection until it is closed.
async fn serve(stream: TcpStream, results: Arc<Results>) -> io::Result<()> {
    let mut peer = Peer::new(stream)?;
    loop {
        peer.read().await?;
        let answer = results.answer(peer.body());
        peer.send(answer.as_bytes()).await?;
    }
}

impl Results {
    fn new() -> Self {
        let said = |text: &str| {
            format!(r#"{{"resultType":"complete","content":[{{"type":"text","text":"{text}"}}]}}"#)
        };
        Self {
            discover: r#"{"resultType":"complete","supportedVersions":["2026-07-28"],"capabilities":{"tools":{}}}"#.to_owned(),
            list: list(),
            small: said(SMALL),
            large: said(&LARGE),
        }
    }

    fn answer(&self, request: &[u8]) -> String {
        let has = |text: &str| memmem::find(request, text.as_bytes()).is_some();
        let result = if has(r#""method":"tools/call""#) {
            match request.len() > LARGE.len() {
                true => &self.large,
                false => &self.small,
            }
        } else if has(r#""method":"tools/list""#) {
            &self.list
        } else {
            &self.discover
        };
        let id = id(request).unwrap_or("null");
        let length = r#"{"jsonrpc":"2.0","id":,"result":}"#.len() + id.len() + result.len();
        format!(
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n\
             {{\"jsonrpc\":\"2.0\",\"id\":{id},\"result\":{result}}}"
        )
    }
}

/// The text of a request's id, which is no string with a comma in it.
fn id(request: &[u8]) -> Option<&str> {
    const KEY: &[u8] = br#""id":"#;
    let text = &request[memmem::find(request, KEY)? + KEY.len()..];
    let end = memchr::memchr2(b',', b'}', text)?;
    std::str::from_utf8(&text[..end]).ok()
}

fn list() -> String {
    let mut tools = String::from(r#"{"resultType":"complete","tools":["#);
    for number in 0..TOOLS {
        let comma = if number == 0 { "" } else { "," };
        let _ = write!(
            tools,
            r#"{comma}{{"name":"tool{number}","description":"Says what it is told, in the manner of number {number}.","inputSchema":{{"type":"object","properties":{{"text":{{"type":"string","description":"What is to be said"}}}},"required":["text"]}}}}"#
        );
    }
    tools.push_str("]}");
    tools
}
