//! The load generator: so many connections, each with one request at a time.
//!
//! Without a rate each connection sends its next request when it has its answer, so a slow router
//! is asked less often. With one, requests fall due by the clock whether or not earlier ones were
//! answered, as those of many independent agents do: that is what overload means.

mod answer;
mod request;
mod tickets;
mod worker;

use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use self::tickets::Tickets;
use self::worker::{Seen, Worker};
use super::table::print;
use crate::fixture::Era;

/// What is printed when the warm-up is over and counting begins.
pub(super) const STARTED: &str = "started";

/// What to send, and how often.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(super) struct Load {
    /// Where to send it.
    pub(super) addr: SocketAddr,
    /// The path of its MCP endpoint.
    #[serde(default = "mcp")]
    pub(super) path: String,
    pub(super) era: Era,
    /// Tools to call in turn; none: `tools/list`.
    pub(super) tool: Vec<String>,
    /// Length of the argument, and so of the answer.
    pub(super) payload: usize,
    /// Arguments of the calls, JSON, instead of `payload` bytes of text.
    pub(super) arguments: Option<String>,
    /// Connections, each with one request at a time.
    pub(super) connections: usize,
    /// Requests per second of all connections together; 0: as fast as they are answered.
    pub(super) rate: f64,
    /// Requests of all connections together, after which it is over; 0: when the time is.
    pub(super) calls: u64,
    /// What a connection waits after a refusal or an error, milliseconds.
    pub(super) pause_ms: u64,
    /// How long answers are waited for when the time is over, milliseconds.
    pub(super) patience_ms: u64,
    /// Not counted at the start, milliseconds.
    pub(super) warm_ms: u64,
    /// Counted after that, milliseconds.
    pub(super) run_ms: u64,
}

fn mcp() -> String {
    "/mcp".to_owned()
}

impl Load {
    /// Small calls of these tools over 16 connections; half a second of warm-up, two of counting.
    pub(super) fn new(addr: SocketAddr, tool: Vec<String>) -> Self {
        Self {
            addr,
            path: mcp(),
            era: Era::Modern,
            tool,
            payload: 2,
            arguments: None,
            connections: 16,
            rate: 0.0,
            calls: 0,
            pause_ms: 20,
            patience_ms: 5000,
            warm_ms: 500,
            run_ms: 2000,
        }
    }

    fn pause(&self) -> Duration {
        Duration::from_millis(self.pause_ms)
    }
}

/// The hidden command that generates load.
#[derive(Args, Clone, Debug)]
pub(super) struct LoadCommand {
    /// A `Load` as JSON
    #[arg(value_parser = parse)]
    load: Load,
}

fn parse(text: &str) -> Result<Load, String> {
    serde_json::from_str(text).map_err(|error| error.to_string())
}

/// What came of it.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub(super) struct Figures {
    /// Requests answered well in the counted time.
    pub(super) requests: u64,
    /// Requests answered otherwise, the warm-up included.
    pub(super) errors: u64,
    /// What the first of them was that was no refusal, else the first refusal.
    pub(super) first_error: Option<String>,
    /// Those of the errors that were refusals for want of room, in the counted time.
    pub(super) refused: u64,
    /// Errors that were no such refusal, the warm-up included.
    pub(super) broken: u64,
    /// Requests without any answer when the waiting for them ended.
    pub(super) unanswered: u64,
    /// Counted time, seconds.
    pub(super) seconds: f64,
    /// Median, microseconds.
    pub(super) p50_us: f64,
    /// 99th percentile, microseconds.
    pub(super) p99_us: f64,
    /// 99.9th percentile, microseconds.
    pub(super) p999_us: f64,
    /// 99th percentile of the refusals, microseconds.
    pub(super) refused_p99_us: f64,
    /// The slowest refusal, microseconds.
    pub(super) refused_max_us: f64,
    /// Requests sent in the counted time, however they ended.
    pub(super) offered: u64,
    /// From the start to the last error, milliseconds; 0 without any.
    pub(super) last_error_ms: u64,
}

impl Figures {
    /// Requests answered well per second.
    pub(super) fn goodput(&self) -> f64 {
        per_second(self.requests, self.seconds)
    }

    /// Requests sent per second.
    pub(super) fn offered_rate(&self) -> f64 {
        per_second(self.offered, self.seconds)
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts of requests are small")]
fn per_second(count: u64, seconds: f64) -> f64 {
    count as f64 / seconds.max(1e-9)
}

impl LoadCommand {
    /// Generates the load and prints the figures.
    pub(super) fn run(self) -> ExitCode {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        let figures = runtime.block_on(self.load.generate());
        let text = serde_json::to_string(&figures).expect("figures are JSON");
        print(&text);
        ExitCode::SUCCESS
    }
}

impl Load {
    async fn generate(self) -> Figures {
        let start = Instant::now();
        let from = start + Duration::from_millis(self.warm_ms);
        let until = from + Duration::from_millis(self.run_ms);
        let tickets = Arc::new(Tickets::new(start, self.rate, self.calls));
        let workers: Vec<_> = (0..self.connections)
            .map(|number| {
                let mut worker = Worker::new(self.clone(), number, Arc::clone(&tickets));
                tokio::spawn(async move {
                    let end = until + Duration::from_millis(worker.patience());
                    let _ = tokio::time::timeout_at(end, worker.work(from, until)).await;
                    worker.seen
                })
            })
            .collect();
        tokio::time::sleep_until(from).await;
        print(STARTED);
        let mut sum = Sum::default();
        for worker in workers {
            sum.add(worker.await.expect("a worker does not panic"));
        }
        sum.figures(start, until.min(Instant::now()) - from)
    }
}

/// What all connections saw.
#[derive(Default)]
struct Sum {
    took: Vec<Duration>,
    refused: Vec<Duration>,
    offered: u64,
    refusals: u64,
    unanswered: u64,
    broken: u64,
    first: Option<String>,
    first_refusal: Option<String>,
    last_error: Option<Instant>,
}

impl Sum {
    fn add(&mut self, mut seen: Seen) {
        self.took.append(&mut seen.took);
        self.refused.append(&mut seen.refused);
        self.offered += seen.offered;
        self.refusals += seen.refusals;
        self.unanswered += seen.unanswered;
        self.broken += seen.broken;
        self.first = self.first.take().or(seen.first_error);
        self.first_refusal = self.first_refusal.take().or(seen.first_refusal);
        self.last_error = self.last_error.max(seen.last_error);
    }

    fn figures(mut self, start: Instant, counted: Duration) -> Figures {
        self.took.sort_unstable();
        self.refused.sort_unstable();
        let since = |at: Instant| u64::try_from((at - start).as_millis()).unwrap_or(u64::MAX);
        Figures {
            requests: self.took.len() as u64,
            errors: self.refusals + self.broken,
            first_error: self.first.or(self.first_refusal),
            refused: self.refused.len() as u64,
            broken: self.broken,
            unanswered: self.unanswered,
            seconds: counted.as_secs_f64(),
            p50_us: percentile(&self.took, 50),
            p99_us: percentile(&self.took, 99),
            p999_us: permille(&self.took, 999),
            refused_p99_us: percentile(&self.refused, 99),
            refused_max_us: percentile(&self.refused, 100),
            offered: self.offered,
            last_error_ms: self.last_error.map_or(0, since),
        }
    }
}

/// The percentile of sorted times, microseconds.
pub(super) fn percentile(sorted: &[Duration], percent: usize) -> f64 {
    permille(sorted, percent * 10)
}

fn permille(sorted: &[Duration], permille: usize) -> f64 {
    let last = sorted.len().saturating_sub(1);
    let at = (sorted.len() * permille / 1000).min(last);
    sorted.get(at).map_or(0.0, |d| d.as_secs_f64() * 1e6)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_taken_from_sorted_times() {
        let times: Vec<_> = (1..=100).map(Duration::from_micros).collect();

        assert!((percentile(&times, 50) - 51.0).abs() < 1e-6);
        assert!((percentile(&times, 99) - 100.0).abs() < 1e-6);
        assert!((permille(&times, 999) - 100.0).abs() < 1e-6);
        assert!(percentile(&[], 50) == 0.0);
    }

    #[test]
    fn a_load_survives_the_command_line() {
        let mut load = Load::new(([127, 0, 0, 1], 80).into(), vec!["a.b".to_owned()]);
        load.arguments = Some(r#"{"ms":20}"#.to_owned());
        let text = serde_json::to_string(&load).expect("a load is JSON");

        let read = parse(&text).expect("it was written here");

        assert_eq!(read.arguments, load.arguments);
        assert_eq!(read.connections, 16);
        assert!(parse("{}").is_err());
    }
}
