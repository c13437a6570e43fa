//! What thousands of clients that never finish their first request cost the others (F36).
//!
//! Each sends half a head and then a byte a second, which keeps a server that measures silence
//! waiting for ever. The router has to cut them after ten seconds, and meanwhile those who were
//! there before have to be served, and probes of an orchestrator to be answered.

use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep, timeout};

use super::Options;
use super::load::{Load, percentile};
use super::process::{Backends, QUIET, sample, start_router};
use super::table::{Verdicts, head, micros, print, row};
use crate::harness::{HttpClient, Router, config};

/// Slow clients, if there are descriptors for them.
const SLOW: usize = 20_000;

/// Descriptors of this process for anything else.
const SPARE: usize = 500;

/// When they have to be gone, and what it takes to see that with twenty thousand timers.
const CUT: Duration = Duration::from_secs(10);
const OBSERVED: Duration = Duration::from_secs(3);

/// Healthy p99 may be so many times what it is without slow clients.
const RATIO: f64 = 2.0;

/// So many of the slow clients must have been connected, or the router was not tried, percent.
const TRIED: usize = 90;

/// What became of the slow clients.
#[derive(Debug, Default)]
struct Fates {
    connected: AtomicUsize,
    cut: AtomicUsize,
    late: AtomicUsize,
}

/// Measures p99 with and without slow clients, and how the probes fare.
pub(super) async fn run(options: &Options) -> ExitCode {
    let backends = Backends::start(&[]).await;
    let router = start_router(&config([("a", &backends.urls[0])]), QUIET).await;
    router.until_healthy("a").await;
    let clients = SLOW.min(descriptors().saturating_sub(SPARE));
    print(&format!("\n{clients} clients that send a byte a second\n"));
    print(&head(&["run", "req/s", "p50", "p99", "errors"]));
    let (clean, _) = measure("without", &router, options, Duration::from_secs(1)).await;
    let fates = Arc::new(Fates::default());
    let ((dirty, failed), (slowest, refused), ()) = tokio::join!(
        measure("with", &router, options, CUT),
        probes(&router, CUT),
        crowd(router.addr(), clients, &fates),
    );
    let count = |counter: &AtomicUsize| counter.load(Ordering::Relaxed);
    let (connected, cut, late) = (
        count(&fates.connected),
        count(&fates.cut),
        count(&fates.late),
    );
    let mut verdicts = Verdicts::default();
    let ratio = dirty / clean.max(1.0);
    verdicts.judge(
        ratio <= RATIO,
        format!("p99 of the others is {ratio:.2} times what it is without ({RATIO})"),
    );
    verdicts.judge(failed == 0, format!("{failed} calls of the others failed"));
    verdicts.judge(
        connected * 100 >= clients * TRIED,
        format!("{connected} of {clients} were connected ({TRIED} %)"),
    );
    // Sooner is no fault: where there is no room, those silent longest make it.
    verdicts.judge(
        late == 0 && cut == connected,
        format!("{cut} of them were cut, {late} later than 10 s"),
    );
    verdicts.judge(
        refused == 0,
        format!("probes: {refused} not answered, the slowest took {slowest:.1?}"),
    );
    verdicts.print()
}

/// p99 of a load that was there before the crowd comes, microseconds, and how many calls failed.
async fn measure(name: &str, router: &Router, options: &Options, time: Duration) -> (f64, u64) {
    let time = time.max(options.time());
    let load = Load {
        warm_ms: 1000,
        run_ms: u64::try_from(time.as_millis()).unwrap_or(u64::MAX),
        ..Load::new(router.addr(), vec!["a.echo".to_owned()])
    };
    let sample = sample(&load, Some(router.pid())).await;
    if let Some(error) = &sample.load.first_error {
        print(&format!("error: {error}"));
    }
    print(&row(&[
        name.to_owned(),
        format!("{:.0}", sample.load.goodput()),
        micros(sample.load.p50_us),
        micros(sample.load.p99_us),
        sample.load.errors.to_string(),
    ]));
    (sample.load.p99_us, sample.load.errors)
}

/// Asks `/health` on a new connection every half second; the slowest answer, and how many of the
/// probes got none within 5 s, as an orchestrator counts.
async fn probes(router: &Router, time: Duration) -> (Duration, usize) {
    let (end, client) = (Instant::now() + time, HttpClient::new(router.addr()));
    let (mut times, mut refused) = (Vec::new(), 0);
    while Instant::now() < end {
        let start = Instant::now();
        let request = client.request(http::Method::GET, "/health", "");
        match timeout(Duration::from_secs(5), client.try_send(request)).await {
            Ok(Ok(reply)) if reply.status == 200 => times.push(start.elapsed()),
            _ => refused += 1,
        }
        sleep(Duration::from_millis(500)).await;
    }
    times.sort_unstable();
    let slowest = Duration::from_secs_f64(percentile(&times, 100) / 1e6);
    (slowest, refused)
}

/// All slow clients, from their connections to the end of the last one.
async fn crowd(addr: SocketAddr, clients: usize, fates: &Arc<Fates>) {
    // Those who were there before, first.
    sleep(Duration::from_millis(500)).await;
    // Connections that come faster than they are accepted are lost and tried again by the kernel
    // a second later, which measures the kernel.
    let connecting = Arc::new(Semaphore::new(100));
    let tasks: Vec<_> = (0..clients)
        .map(|_| {
            let (fates, connecting) = (Arc::clone(fates), Arc::clone(&connecting));
            tokio::spawn(async move {
                let permit = connecting.acquire_owned().await;
                let connected = timeout(CUT, TcpStream::connect(addr)).await;
                drop(permit);
                if let Ok(Ok(stream)) = connected {
                    fates.connected.fetch_add(1, Ordering::Relaxed);
                    drip(stream, &fates).await;
                }
            })
        })
        .collect();
    for task in tasks {
        let _ = task.await;
    }
}

async fn drip(mut stream: TcpStream, fates: &Fates) {
    let (start, mut cut) = (Instant::now(), false);
    let _ = stream
        .write_all(b"POST /mcp HTTP/1.1\r\nHost: localhost\r\nX-Slow: ")
        .await;
    let mut heard = [0; 512];
    while !cut && start.elapsed() < 3 * CUT {
        // Closed, reset, or told that it took too long.
        cut = match timeout(Duration::from_secs(1), stream.read(&mut heard)).await {
            Ok(_) => true,
            Err(_) => stream.write_all(b"x").await.is_err(),
        };
    }
    fates.cut.fetch_add(usize::from(cut), Ordering::Relaxed);
    if start.elapsed() > CUT + OBSERVED {
        fates.late.fetch_add(1, Ordering::Relaxed);
    }
}

/// Descriptors that this process may open.
fn descriptors() -> usize {
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let line = limits
        .lines()
        .find_map(|l| l.strip_prefix("Max open files"));
    let soft = line.and_then(|line| line.split_whitespace().next());
    soft.and_then(|n| n.parse().ok()).unwrap_or(1024)
}
