//! From arguments to a plan, with everything there is to say about the configuration.

use mcp_router_config::{ConfigErrors, Environment, LoadInput, Loaded, load, without_file};
use mcp_router_observe::{InitError, LogFormat, LogGuard};

use super::args::Cli;
use super::{FAILED, USAGE, terminal};
use crate::build::{Plan, Source};
use crate::demo;
use crate::reload::Origin;
use crate::report;

/// Reads the configuration that the arguments name; complains and answers the exit code if it is
/// wrong.
pub(super) fn loaded(cli: &Cli) -> Result<Loaded, u8> {
    quietly(cli).map_err(|errors| {
        terminal::say(&errors.render(cli.colours.on_stderr()));
        USAGE
    })
}

/// Reads the configuration that the arguments name, without a word.
pub(super) fn quietly(cli: &Cli) -> Result<Loaded, ConfigErrors> {
    let input = input(cli);
    match cli.demo {
        true => without_file(&input),
        false => load(&input),
    }
}

fn input(cli: &Cli) -> LoadInput {
    LoadInput {
        path: cli.config.clone(),
        env: Environment::of_process(),
        flags: cli.flags.clone(),
        ..LoadInput::default()
    }
}

/// What is to be built.
pub(super) fn plan(cli: &Cli, loaded: Loaded) -> Plan {
    if cli.demo {
        return Plan::new(loaded.config, Source::Demo);
    }
    let origin = Origin {
        input: input(cli),
        files: loaded.files,
    };
    Plan::new(loaded.config, Source::File).from(origin)
}

/// Starts logging, at `default` where `RUST_LOG` says nothing, and logs what the configuration's
/// reader should know.
pub(super) fn logging(cli: &Cli, loaded: &Loaded, default: &str) -> Result<LogGuard, u8> {
    let format = match loaded.config.server.log_format {
        None => LogFormat::detect(),
        Some(mcp_router_config::LogFormat::Json) => LogFormat::Json,
        Some(mcp_router_config::LogFormat::Text) => LogFormat::Text,
    };
    let filter = std::env::var("RUST_LOG").ok().filter(|f| !f.is_empty());
    let filter = filter.as_deref().unwrap_or(default);
    let guard = mcp_router_observe::init(format, Some(filter)).map_err(|error| {
        terminal::complain(&report(&error));
        match error {
            InitError::Filter(_) => USAGE,
            _ => FAILED,
        }
    })?;
    let backends = match cli.demo {
        true => demo::backends().len(),
        false => loaded.config.backends.len(),
    };
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        config = loaded
            .path
            .as_ref()
            .map(|path| tracing::field::display(path.display())),
        backends,
        "starting"
    );
    for warning in &loaded.warnings {
        tracing::warn!("{warning}");
    }
    Ok(guard)
}
