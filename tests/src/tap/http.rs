//! A tap on HTTP: a proxy that changes nothing but the port in what names its own address.
//!
//! Each connection of a client gets one to the server, and each ends when the other does, so that
//! pooling, idle closes and disconnects are those of the two ends.

use std::io;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use ::http::header::{HOST, HeaderName, LOCATION, ORIGIN};
use ::http::{HeaderMap, HeaderValue, Request, Response, Uri};
use hyper::body::Incoming;
use hyper::client::conn::http1::SendRequest;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::task::AbortOnDropHandle;

use super::body::Overheard;
use super::journal::Journal;
use super::notes::{Question, Reply, value};

type Failure = Box<dyn std::error::Error + Send + Sync>;
type Sender = Arc<tokio::sync::Mutex<SendRequest<Overheard<Question>>>>;

/// One proxied address.
#[derive(Debug)]
struct Tap {
    journal: Arc<Journal>,
    exchanges: AtomicU64,
    own: u16,
    server: (String, u16),
}

/// A tap that listens before `url`.
#[derive(Debug)]
pub(super) struct Proxy {
    listener: TcpListener,
    tap: Arc<Tap>,
    /// Its own URL.
    pub(super) url: String,
}

impl Proxy {
    /// Takes a free port of the loopback.
    pub(super) async fn bind(url: &Uri, journal: Journal) -> io::Result<Self> {
        let authority = url.authority().ok_or(io::ErrorKind::InvalidInput)?;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let own = listener.local_addr()?;
        let port = authority.port_u16().unwrap_or(80);
        let path = url.path_and_query().map_or("/", |path| path.as_str());
        let path = if path == "/" { "" } else { path };
        let tap = Tap {
            journal: Arc::new(journal),
            exchanges: AtomicU64::new(1),
            own: own.port(),
            server: (authority.host().to_owned(), port),
        };
        Ok(Self {
            listener,
            tap: Arc::new(tap),
            url: format!("http://{own}{path}"),
        })
    }

    /// Serves until the process is ended.
    pub(super) async fn serve(self) -> io::Result<()> {
        loop {
            let (client, _) = self.listener.accept().await?;
            let tap = self.tap.clone();
            tokio::spawn(async move {
                // Either end may go away in the middle; the other one sees just that.
                let _ = tap.connection(client).await;
            });
        }
    }
}

impl Tap {
    async fn connection(self: Arc<Self>, client: TcpStream) -> Result<(), Failure> {
        client.set_nodelay(true)?;
        let server = TcpStream::connect((&*self.server.0, self.server.1)).await?;
        server.set_nodelay(true)?;
        let (sender, upstream) =
            hyper::client::conn::http1::handshake(TokioIo::new(server)).await?;
        let mut upstream = AbortOnDropHandle::new(tokio::spawn(upstream));
        let sender = Arc::new(tokio::sync::Mutex::new(sender));
        let service = service_fn(move |request| self.clone().exchange(sender.clone(), request));
        let served = hyper::server::conn::http1::Builder::new()
            .auto_date_header(false)
            .serve_connection(TokioIo::new(client), service);
        let mut served = std::pin::pin!(served);
        tokio::select! {
            done = &mut served => return Ok(done?),
            _ = &mut upstream => served.as_mut().graceful_shutdown(),
        }
        Ok(served.await?)
    }

    async fn exchange(
        self: Arc<Self>,
        sender: Sender,
        request: Request<Incoming>,
    ) -> Result<Response<Overheard<Reply>>, hyper::Error> {
        let number = self.exchanges.fetch_add(1, Ordering::Relaxed);
        let (mut head, body) = request.into_parts();
        let question = Question::new(number, &head, self.journal.clone());
        for name in [HOST, ORIGIN] {
            self.readdress(&mut head.headers, &name, self.own, self.server.1);
        }
        let request = Request::from_parts(head, Overheard::new(body, question));
        let answer = {
            let mut sender = sender.lock().await;
            sender.ready().await?;
            sender.send_request(request)
        };
        let (mut head, body) = answer.await?.into_parts();
        let reply = Reply::new(number, head.status.as_u16(), &head.headers, &self.journal);
        self.readdress(&mut head.headers, &LOCATION, self.server.1, self.own);
        Ok(Response::from_parts(head, Overheard::new(body, reply)))
    }

    /// Lets a header that names one port of the two name the other: servers compare it with theirs.
    fn readdress(&self, headers: &mut HeaderMap, name: &HeaderName, from: u16, to: u16) {
        let Some(text) = value(headers, name.as_str()) else {
            return;
        };
        let told = [format!("127.0.0.1:{from}"), format!("localhost:{from}")];
        let Some(found) = told.iter().find(|authority| text.contains(*authority)) else {
            return;
        };
        let host = found.split(':').next().unwrap_or_default();
        let text = text.replacen(found.as_str(), &format!("{host}:{to}"), 1);
        if let Ok(text) = HeaderValue::from_str(&text) {
            headers.insert(name, text);
        }
    }
}
