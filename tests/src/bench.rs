//! What the router costs: requests per second, added latency, CPU and memory; what bad backends
//! cost the good ones; what too many callers cost those who are served; what the layers cost; how soon
//! it is there, and what it holds in memory.
//!
//! Backend, router and load generator are processes of their own, as they are in life; what is
//! measured in one process measures its scheduler. Where `taskset` is found and there are two
//! cores, the router has core 0 for itself and everything else shares core 1. The same load goes
//! to the backend directly and, where it is installed, through nginx: the difference is the cost
//! of the router, the distance from nginx is what MCP costs over plain HTTP.

mod cost;
mod forward;
mod isolation;
mod layers;
mod load;
mod machine;
mod memory;
mod overload;
mod plain;
mod process;
mod scale;
mod slow;
mod start;
mod table;

use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};

use crate::fixture::command::Command as FixtureCommand;

/// Measures the router; see docs/benchmarks.md.
#[derive(Debug, Parser)]
#[command(name = "bench")]
pub struct Command {
    #[command(subcommand)]
    mode: Option<Mode>,
    #[command(flatten)]
    options: Options,
}

#[derive(Debug, Subcommand)]
enum Mode {
    /// What the router costs per request (the default)
    Cost,
    /// What bad backends cost the others: three bad ones of fifty, one that hangs at full load
    Isolation,
    /// What is served, refused and held in memory when five and ten times too much is asked
    Overload,
    /// What clients that never finish a request cost the others
    Slow,
    /// What is held in memory: at rest, for each session, and when sessions are gone
    Memory,
    /// How long it takes until the port is open and everything is listed
    Start,
    /// What the layers around a backend cost per call, in instructions
    Layers,
    /// What threads, clients and backends cost when there are many
    Scale,
    /// Whether a router at half load holds no more after an hour than at its start
    Soak(scale::soak::Soak),
    /// Generates load and prints its figures as JSON
    #[command(hide = true)]
    Load(load::LoadCommand),
    /// Is a crowd of slow clients and prints what became of it as JSON
    #[command(hide = true)]
    Crowd(slow::CrowdCommand),
    /// Serves as the plain forwarder in front of a backend
    #[command(hide = true)]
    Forward(forward::ForwardCommand),
    /// Serves answers of one length from memory
    #[command(hide = true)]
    Plain(plain::PlainCommand),
    /// Serves as the backend
    #[command(hide = true)]
    Fixture(FixtureCommand),
}

#[derive(Args, Clone, Debug)]
struct Options {
    /// How often each figure is taken; the median is printed
    #[arg(long, global = true, default_value_t = 3)]
    rounds: usize,
    /// Seconds of load for each figure
    #[arg(long, global = true, default_value_t = 2.0)]
    seconds: f64,
    /// Only scenarios whose name contains this
    #[arg(long, global = true, default_value = "")]
    only: String,
    /// Leave nginx out
    #[arg(long, global = true)]
    no_nginx: bool,
    /// Sessions that are opened to see what one holds in memory
    #[arg(long, global = true, default_value_t = 2000, value_parser = clap::value_parser!(u64).range(1..))]
    sessions: u64,
    /// Measure the cost with this backend, `http://ADDR:PORT/mcp`, instead of one of our own
    #[arg(long, global = true)]
    upstream: Option<String>,
    /// Another gateway before that backend: `NAME=http://ADDR:PORT/PATH,PID[,TOOL]`, where TOOL is
    /// what it calls the backend's tool `echo`
    #[arg(long, global = true)]
    beside: Vec<cost::Target>,
}

impl Options {
    fn time(&self) -> Duration {
        Duration::from_secs_f64(self.seconds)
    }

    fn millis(&self) -> u64 {
        u64::try_from(self.time().as_millis()).unwrap_or(u64::MAX)
    }

    /// Whether this scenario was asked for.
    fn wants(&self, name: &str) -> bool {
        name.contains(&self.only)
    }
}

impl Command {
    /// Runs what was asked for. The exit code is a failure if a promise was measured as broken.
    ///
    /// # Panics
    /// If a process that it needs cannot be started or measured.
    #[must_use]
    pub fn run(self) -> ExitCode {
        match self.mode {
            Some(Mode::Fixture(fixture)) => return fixture.run(),
            Some(Mode::Load(load)) => return load.run(),
            Some(Mode::Crowd(crowd)) => return crowd.run(),
            Some(Mode::Forward(forward)) => return forward.run(),
            Some(Mode::Plain(plain)) => return plain.run(),
            _ => {}
        }
        if cfg!(debug_assertions) {
            table::print("Not a release build: these figures say nothing.");
        }
        machine::pin_self();
        table::print(&machine::describe());
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        runtime.block_on(async {
            match self.mode {
                Some(Mode::Isolation) => isolation::run(&self.options).await,
                Some(Mode::Overload) => overload::run(&self.options).await,
                Some(Mode::Slow) => slow::run(&self.options).await,
                Some(Mode::Memory) => memory::run(&self.options).await,
                Some(Mode::Start) => start::run(&self.options).await,
                Some(Mode::Layers) => layers::run(&self.options).await,
                Some(Mode::Scale) => scale::run(&self.options).await,
                Some(Mode::Soak(soak)) => scale::soak::run(soak).await,
                _ => cost::run(&self.options).await,
            }
        })
    }
}
