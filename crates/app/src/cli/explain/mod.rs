//! `explain`: who gets a tool's calls, why, and what happens to them on the way.
//!
//! The running router knows best: it has the circuits and the last failures. Where none answers, the
//! backends are connected to for this one question, and nothing is known of the past.

mod ask;
mod outcomes;
mod report;

use mcp_router_config::Config;
use mcp_router_core::Router;

use super::args::{Cli, Edge};
use super::{FAILED, OK, USAGE, load, serve, terminal, tools};
use ask::{Answer, AskFailure};
use report::Explanation;

/// What is to be explained, and who may know.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) edge: Edge,
    pub(super) tool: String,
    /// The running router, if the caller named one.
    pub(super) url: Option<String>,
}

/// Prints what becomes of a call of the tool. A tool that nobody has is a failure.
pub(super) fn explain(cli: &Cli, asked: &Asked, json: bool) -> u8 {
    let loaded = load::quietly(cli);
    // A file is not needed to ask a router that was named.
    if asked.url.is_none()
        && let Err(errors) = &loaded
    {
        terminal::say(&errors.render(cli.colours.on_stderr()));
        return USAGE;
    }
    let loaded = loaded.ok();
    let config = loaded.as_ref().map(|loaded| &loaded.config);
    let default = || config.and_then(|config| listens(asked.edge, config));
    let Some(url) = asked.url.clone().or_else(default) else {
        return by_ourselves(cli, asked, json);
    };
    match asked_at(&url, &asked.tool) {
        Ok(answer) => {
            let explanation = Explanation::of(&asked.tool, Some(&url), answer, config);
            print(cli, &explanation, json)
        }
        Err(failure) if asked.url.is_some() => {
            terminal::complain(&format!("{url}: {failure}"));
            FAILED
        }
        // Somebody is there and says no: asking others would only hide it.
        Err(AskFailure::Refused(why)) => {
            terminal::complain(&format!("the router that serves {url} says: {why}"));
            FAILED
        }
        Err(AskFailure::Nobody(_)) => {
            terminal::say(&format!("no router answers at {url}: asking the backends"));
            by_ourselves(cli, asked, json)
        }
    }
}

fn asked_at(url: &str, tool: &str) -> Result<Answer, AskFailure> {
    let mut answer = Err(AskFailure::Nobody("it cannot be asked".to_owned()));
    serve::blocking(async {
        answer = ask::running(url, tool).await;
        OK
    });
    answer
}

fn by_ourselves(cli: &Cli, asked: &Asked, json: bool) -> u8 {
    serve::with_configured(cli, async |router: Router, config: Config| {
        router.ready().await;
        router.rouse().await;
        match ask::ourselves(&router, &asked.tool).await {
            Ok(answer) => {
                let explanation = Explanation::of(&asked.tool, None, answer, Some(&config));
                print(cli, &explanation, json)
            }
            Err(failure) => {
                terminal::complain(&failure.to_string());
                // It may be theirs.
                tools::complain_about(&router.backends());
                FAILED
            }
        }
    })
}

fn print(cli: &Cli, explanation: &Explanation, json: bool) -> u8 {
    match json {
        true => terminal::print_json(explanation),
        false => terminal::print(&explanation.render(cli.colours.on_stdout())),
    }
}

/// Where a router of this configuration is to be found by programs on the same machine.
fn listens(edge: Edge, config: &Config) -> Option<String> {
    let server = &config.server;
    if edge == Edge::Stdio || server.port == 0 {
        return None;
    }
    let host = match &*server.host {
        "0.0.0.0" => "127.0.0.1".to_owned(),
        "::" => "[::1]".to_owned(),
        host if host.contains(':') => format!("[{host}]"),
        host => host.to_owned(),
    };
    Some(format!("http://{host}:{}/mcp", server.port))
}
