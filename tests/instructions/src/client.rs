//! The least of a client: the same request again and again, each once the answer to the one before
//! has come, and a look at every answer.

use std::net::SocketAddr;
use std::str::FromStr;
use std::sync::LazyLock;

use memchr::memmem;
use tokio::net::TcpStream;
use tower::BoxError;

use crate::message::{Peer, header};

/// What a small call says and is told.
pub(crate) const SMALL: &str = "ok";
/// What a large one does.
pub(crate) static LARGE: LazyLock<String> =
    LazyLock::new(|| r#"A line of text, with a \"quote\".\n"#.repeat((64 << 10) / 35));

/// How often the first call is made again.
const TRIES: usize = 10;

const META: &str = concat!(
    r#""_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","#,
    r#""io.modelcontextprotocol/clientCapabilities":{}}"#
);
const HELLO: &str = concat!(
    r#"{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"#,
    r#""protocolVersion":"2025-11-25","capabilities":{},"#,
    r#""clientInfo":{"name":"bench","version":"1"}}}"#,
);
const READY: &str = r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#;

/// What is asked for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Case {
    /// A small call of 2026-07-28.
    Modern,
    /// A small call in a session of 2025-11-25.
    Legacy,
    /// 64 KiB there and back, 2026-07-28.
    Large,
    /// All tools, 2026-07-28.
    List,
}

impl FromStr for Case {
    type Err = &'static str;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        match name {
            "modern" => Ok(Self::Modern),
            "legacy" => Ok(Self::Legacy),
            "large" => Ok(Self::Large),
            "list" => Ok(Self::List),
            _ => Err("the cases are modern, legacy, large and list"),
        }
    }
}

/// A connection to the router, and what is sent on it.
#[derive(Debug)]
pub(crate) struct Client {
    peer: Peer,
    request: Vec<u8>,
    /// What every answer begins with. How long a list is good for, at its end, changes.
    answer: Vec<u8>,
}

impl Client {
    /// A client that has made its first call.
    ///
    /// In valgrind code takes long when it runs first, and a call in a session that takes long is
    /// answered by a stream, which is not what is to be counted.
    pub(crate) async fn connect(case: Case, router: SocketAddr) -> Result<Self, BoxError> {
        for _ in 0..TRIES {
            if let Ok(client) = Self::first(case, router).await {
                return Ok(client);
            }
        }
        Self::first(case, router).await
    }

    /// Connects, opens a session if the case wants one, and makes a call.
    async fn first(case: Case, router: SocketAddr) -> Result<Self, BoxError> {
        let mut peer = Peer::new(TcpStream::connect(router).await?)?;
        let mut headers = headers(case);
        if case == Case::Legacy {
            headers = open(&mut peer, router).await?;
        }
        let request = post(router, &headers, &body(case));
        peer.send(&request).await?;
        peer.read().await?;
        let mut answer = peer.body().to_vec();
        let expected = expected(case);
        let Some(at) = memmem::find(&answer, expected.as_bytes()) else {
            return Err(format!("no answer: {}", String::from_utf8_lossy(&answer)).into());
        };
        answer.truncate(at + expected.len());
        Ok(Self {
            peer,
            request,
            answer,
        })
    }

    /// Makes so many calls, one after the other.
    pub(crate) async fn call(&mut self, calls: usize) -> Result<(), BoxError> {
        for _ in 0..calls {
            self.peer.send(&self.request).await?;
            self.peer.read().await?;
            if !self.peer.body().starts_with(&self.answer) {
                return Err("an answer is not like the first".into());
            }
        }
        Ok(())
    }
}

/// Opens a session; the headers of requests within.
async fn open(peer: &mut Peer, router: SocketAddr) -> Result<String, BoxError> {
    peer.send(&post(router, "", HELLO)).await?;
    peer.read().await?;
    let session = header(peer.head(), "mcp-session-id").ok_or("no session was opened")?;
    let headers = format!("mcp-session-id: {session}\r\nmcp-protocol-version: 2025-11-25\r\n");
    peer.send(&post(router, &headers, READY)).await?;
    peer.read().await?;
    Ok(headers)
}

fn headers(case: Case) -> String {
    let (method, name) = match case {
        Case::List => ("tools/list", ""),
        Case::Modern | Case::Legacy | Case::Large => ("tools/call", "mcp-name: bench.tool7\r\n"),
    };
    format!("mcp-protocol-version: 2026-07-28\r\nmcp-method: {method}\r\n{name}")
}

fn body(case: Case) -> String {
    let call = |text: &str, meta: &str| {
        format!(
            r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"bench.tool7","arguments":{{"text":"{text}"}},{meta}}}}}"#
        )
    };
    match case {
        Case::Modern => call(SMALL, META),
        Case::Legacy => call(SMALL, r#""_meta":{}"#),
        Case::Large => call(&LARGE, META),
        Case::List => {
            format!(r#"{{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{{{META}}}}}"#)
        }
    }
}

/// What is in an answer.
fn expected(case: Case) -> String {
    match case {
        Case::Modern | Case::Legacy => format!(r#""text":"{SMALL}""#),
        Case::Large => format!(r#""text":"{}""#, LARGE.as_str()),
        Case::List => r#""name":"bench.tool499""#.to_owned(),
    }
}

fn post(router: SocketAddr, headers: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!(
        "POST /mcp HTTP/1.1\r\nhost: {router}\r\ncontent-type: application/json\r\n\
         accept: application/json, text/event-stream\r\ncontent-length: {length}\r\n\
         {headers}\r\n{body}"
    )
    .into_bytes()
}
