//! Ten thousand clients that have a session and a stream open, and say nothing.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use futures::stream::{self, StreamExt, TryStreamExt};
use tokio::net::TcpStream;
use tokio::time::Instant;

use super::crowd::Line;
use super::watch::{Held, back_at};
use crate::bench::Options;
use crate::bench::load::Load;
use crate::bench::process::{Backends, QUIET, sample, start_router};
use crate::bench::table::{Verdicts, head, micros, print, row};
use crate::harness::{Router, config};

/// Sessions that are opened, and streams, one for each.
const CLIENTS: usize = 10_000;

/// Connections over which sessions are opened and ended.
const LINES: usize = 16;

/// What idle streams may hold in all, bytes.
const HELD: f64 = 400.0 * 1024.0 * 1024.0;

/// What a session may hold whose backends are shared, bytes.
const SESSION: f64 = 20.0 * 1024.0;

/// How many tasks and descriptors may be left when all have gone.
const FEW: f64 = 8.0;

/// Measures and judges.
pub(super) async fn run(options: &Options, verdicts: &mut Verdicts) {
    let backends = Backends::start(&["--count", "4"]).await;
    let names = ["a", "b", "c", "d"];
    let text = format!(
        "server: {{ limits: {{ max_connections: {}, max_streams: {CLIENTS}, max_sessions: {} }} }}\n{}",
        2 * CLIENTS,
        2 * CLIENTS,
        config(names.iter().zip(&backends.urls))
    );
    let router = start_router(&text, QUIET).await;
    router.until_ready().await;
    print(&format!("\n{CLIENTS} sessions, and a stream for each\n"));
    print(&head(&[
        "state",
        "memory",
        "descriptors",
        "tasks",
        "a call's p50",
        "p99",
        "errors",
    ]));
    // What is made at first use is not the sessions'.
    let first = open(router.addr(), 100).await.expect("a session");
    end(router.addr(), &first)
        .await
        .expect("the end of a session");
    let rest = tell("at rest", &router, options, verdicts).await;
    let start = Instant::now();
    let sessions = open(router.addr(), CLIENTS).await.expect("all sessions");
    let took = start.elapsed();
    let opened = tell("sessions open", &router, options, verdicts).await;
    let streams = Streams::open(&router, &sessions).await;
    let streaming = tell("streams open", &router, options, verdicts).await;
    let (held, alive) = (streams.len(), streams.alive());
    drop(streams);
    end(router.addr(), &sessions)
        .await
        .expect("the end of all sessions");
    let after = back_at(&router, &rest, FEW, Duration::from_secs(30)).await;
    tell("all gone", &router, options, verdicts).await;
    print(&format!(
        "\nsessions opened in {took:.1?}; {held} streams at once, as many as there are descriptors for"
    ));
    judge(verdicts, &[rest, opened, streaming, after], (held, alive));
}

fn judge(verdicts: &mut Verdicts, held: &[Held; 4], (streams, alive): (usize, usize)) {
    let [rest, opened, streaming, after] = held;
    #[expect(clippy::cast_precision_loss, reason = "counts of clients are small")]
    let (clients, count) = (CLIENTS as f64, streams.max(1) as f64);
    let each = (opened.memory - rest.memory) / clients;
    verdicts.judge(
        each <= SESSION,
        format!("{:.1} KiB a session (allowed: 20)", each / 1024.0),
    );
    verdicts.judge(
        alive == streams,
        format!("{alive} of {streams} streams are open to the end"),
    );
    let grown = streaming.memory - opened.memory;
    // Where fewer are possible, fewer must hold as much less.
    let allowed = HELD * count / clients;
    verdicts.judge(
        grown <= allowed,
        format!(
            "{:.1} MiB for {streams} idle streams, {:.1} KiB each (allowed: {:.1} MiB)",
            grown / f64::from(1 << 20),
            grown / count / 1024.0,
            allowed / f64::from(1 << 20)
        ),
    );
    verdicts.judge(
        after.tasks <= rest.tasks + FEW && after.descriptors <= rest.descriptors + FEW,
        format!(
            "at rest: {}; when all have gone: {} (allowed: {FEW} tasks and descriptors more)",
            rest.say(),
            after.say()
        ),
    );
}

/// What the router holds, and how it serves meanwhile.
async fn tell(state: &str, router: &Router, options: &Options, verdicts: &mut Verdicts) -> Held {
    let held = Held::of(router).await;
    let load = Load {
        connections: 4,
        run_ms: options.millis(),
        ..Load::new(router.addr(), vec!["a.echo".to_owned()])
    };
    let sample = sample(&load, None).await;
    print(&row(&[
        state.to_owned(),
        format!("{:.1} MiB", held.mib()),
        held.descriptors.to_string(),
        held.tasks.to_string(),
        micros(sample.load.p50_us),
        micros(sample.load.p99_us),
        sample.load.errors.to_string(),
    ]));
    if sample.load.errors > 0 {
        let first = sample.load.first_error.unwrap_or_default();
        verdicts.judge(
            false,
            format!("{state}: {} calls failed: {first}", sample.load.errors),
        );
    }
    held
}

/// Opens so many sessions.
async fn open(addr: SocketAddr, count: usize) -> io::Result<Vec<String>> {
    let lines = stream::iter(0..LINES).map(|number| async move {
        let mut line = Line::connect(addr).await?;
        let mut ids = Vec::new();
        for _ in (number..count).step_by(LINES) {
            ids.push(line.open().await?);
        }
        io::Result::Ok(ids)
    });
    let ids: Vec<_> = lines.buffer_unordered(LINES).try_collect().await?;
    Ok(ids.concat())
}

/// Ends them.
async fn end(addr: SocketAddr, ids: &[String]) -> io::Result<()> {
    let chunks = ids.chunks(ids.len().div_ceil(LINES).max(1));
    let lines = stream::iter(chunks).map(|ids| async move {
        let mut line = Line::connect(addr).await?;
        for id in ids {
            line.end(id).await?;
        }
        io::Result::Ok(())
    });
    lines.buffer_unordered(LINES).try_collect().await
}

/// Open streams.
struct Streams(Vec<TcpStream>);

impl Streams {
    /// One for each session, as long as the router takes connections.
    async fn open(router: &Router, ids: &[String]) -> Self {
        let limits = router.metric("process_max_fds").await;
        let addr = router.addr();
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a limit of descriptors is a small natural number"
        )]
        // The router's share for clients is 45 %; a few of these are for the calls.
        let most = limits
            .map_or(0, |limit| (limit * 0.45) as usize)
            .saturating_sub(64);
        let opening = stream::iter(ids.iter().take(most)).map(|id| async move {
            let line = Line::connect(addr).await?;
            line.stream(id).await
        });
        let opened = opening.buffer_unordered(64).try_collect().await;
        Self(opened.expect("all streams"))
    }

    fn len(&self) -> usize {
        self.0.len()
    }

    /// How many the router has not closed. What has come is comments.
    fn alive(&self) -> usize {
        let mut read = [0; 4096];
        let open = |stream: &&TcpStream| match stream.try_read(&mut read) {
            Ok(bytes) => bytes > 0,
            Err(error) => error.kind() == io::ErrorKind::WouldBlock,
        };
        self.0.iter().filter(open).count()
    }
}
