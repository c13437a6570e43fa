//! A router from its start to its end: behind a listener, behind a pair of pipes, or for one
//! errand.

mod aside;
mod bind;
mod dashboard;
mod end;
mod pages;
mod signals;

use std::io;
use std::time::Duration;

use mcp_router_core::Router;
use mcp_router_transport::server;
use tokio_util::sync::CancellationToken;

use crate::build::{Plan, StartError, http_params, serve_params, stdio_params};
use crate::metrics::{self, Metrics};
use crate::reload::{Reloading, Reloads};
use aside::Aside;
use dashboard::Ui;
use end::End;
use signals::Signals;

/// How long the first list waits for backends over stdio: hosts wait for it, and ask only once.
const STDIO_WAIT: Duration = Duration::from_secs(10);

/// Why a router could not run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum RunError {
    /// The address cannot be had.
    #[error("cannot listen on {address} (for another address: --host, --port)")]
    Bind { address: String, source: io::Error },
    /// The process cannot be told to stop.
    #[error("cannot listen for signals")]
    Signals(#[source] io::Error),
    /// The router could not be started.
    #[error(transparent)]
    Start(#[from] StartError),
    /// The pipes broke.
    #[error("standard input or output failed")]
    Pipes(#[source] io::Error),
    /// The accept loop is gone although nobody stopped it.
    #[error("the server ended by itself")]
    Ended,
}

/// Serves HTTP until a signal.
pub(crate) async fn http(plan: Plan) -> Result<(), RunError> {
    let mut signals = Signals::new().map_err(RunError::Signals)?;
    // First of all: if the port is taken, no backend is bothered.
    let listener = bind::listen(&plan.config.server).await?;
    let ui = Ui::of(&plan);
    let plan = ui.noted(plan);
    let reloads = Reloads::default();
    let exposed = !listener.addr.ip().is_loopback();
    let (plan, aside) = Aside::of(plan);
    let (plan, reloading) = Reloading::of(plan, &reloads, exposed);
    let built = plan.build()?;
    aside.watch(&built.router, &plan.config);
    let _reloading =
        reloading.map(|r| r.start(built.router.clone(), plan.clone(), signals.hung_up()));
    let told = aside.told();
    let end = End::new(&built, &plan.config.server).and(aside);
    let (page, metrics) = Metrics::of(&built, listener.addr, &reloads, told);
    let mut pages = pages::pages(&built.router);
    pages.push(page);
    let (ui_pages, _remembering) = ui.pages(&built, reloads);
    pages.extend(ui_pages);
    let params = http_params(&plan.config, pages).map_err(StartError::from)?;
    let stop = CancellationToken::new();
    let service = server::http(built.service, params);
    metrics.ask(&service);
    let mut serving = tokio::spawn(server::serve(
        listener.socket,
        service,
        serve_params(&plan.config),
        stop.clone(),
    ));
    tracing::info!(addr = %listener.addr, "listening");
    tokio::select! {
        signal = signals.stop() => {
            tracing::info!(signal, "stopping");
            let served = async {
                stop.cancel();
                // An accept loop that panicked has stopped, too.
                let _ = (&mut serving).await;
            };
            end.orderly(signals.stop(), served).await;
            serving.abort();
            Ok(())
        }
        _ = &mut serving => {
            end.orderly(signals.stop(), async {}).await;
            Err(RunError::Ended)
        }
    }
}

/// Serves standard input and output until the input ends, or a signal comes.
pub(crate) async fn stdio(plan: Plan) -> Result<(), RunError> {
    let mut signals = Signals::new().map_err(RunError::Signals)?;
    let plan = plan.startup_wait(STDIO_WAIT);
    let (plan, aside) = Aside::of(plan);
    let (plan, reloading) = Reloading::of(plan, &Reloads::default(), false);
    let built = plan.build()?;
    aside.watch(&built.router, &plan.config);
    let _reloading =
        reloading.map(|r| r.start(built.router.clone(), plan.clone(), signals.hung_up()));
    let end = End::new(&built, &plan.config.server).and(aside);
    let stop = CancellationToken::new();
    let _watch = metrics::watch(&built.router);
    let params = stdio_params(&plan.config);
    let (input, output) = (tokio::io::stdin(), tokio::io::stdout());
    let mut serving = Box::pin(server::stdio(
        built.service,
        params,
        input,
        output,
        stop.clone(),
    ));
    tracing::info!("serving standard input and output");
    tokio::select! {
        signal = signals.stop() => {
            tracing::info!(signal, "stopping");
            let mut result = Ok(());
            let served = async {
                stop.cancel();
                result = serving.await;
            };
            end.orderly(signals.stop(), served).await;
            result.map_err(RunError::Pipes)
        }
        result = &mut serving => {
            end.orderly(signals.stop(), async {}).await;
            result.map_err(RunError::Pipes)
        }
    }
}

/// Runs a router for one errand, and closes it again. A signal cuts the errand short.
pub(crate) async fn once(
    plan: Plan,
    errand: impl AsyncFnOnce(Router) -> u8,
) -> Result<u8, RunError> {
    /// What a shell sees of a program that was interrupted is a failure.
    const INTERRUPTED: u8 = 1;
    let mut signals = Signals::new().map_err(RunError::Signals)?;
    let built = plan.build()?;
    let mut end = End::new(&built, &plan.config.server);
    let code = tokio::select! {
        code = errand(built.router) => code,
        _ = signals.stop() => INTERRUPTED,
    };
    end.at_once();
    end.orderly(signals.stop(), async {}).await;
    Ok(code)
}
