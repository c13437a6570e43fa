//! A backend that fails every call must not be asked much more often because of it.

use super::{columns, measure};
use crate::bench::Options;
use crate::bench::load::Load;
use crate::bench::process::{QUIET, start_router};
use crate::bench::table::Verdicts;
use crate::bench::table::print;
use crate::fixture::{Fault, Fixture, Rule};

/// Calls offered per second.
const RATE: f64 = 400.0;

/// The router may send so many attempts: this share of the calls, at first a burst more, and one a
/// second.
const SHARE: f64 = 1.2;
const BURST: f64 = 10.0;

/// Counts the attempts that reach a backend where no breaker takes the load off it and nothing is
/// waited for between attempts: only the budget stands between the calls and three times as many.
pub(super) async fn run(options: &Options, verdicts: &mut Verdicts) {
    let failing = Rule::new(Fault::status(500)).on("tools/call");
    let backend = Fixture::builder().rule(failing).spawn().await;
    let config = format!(
        "backends:\n  - name: b\n    namespace: b\n    url: \"{}\"\n    \
         circuit_breaker: {{ failure_threshold: 1000000 }}\n\
         routing: {{ retry: {{ max_attempts: 3, max_backoff_seconds: 0 }} }}\n",
        backend.url()
    );
    let router = start_router(&config, QUIET).await;
    router.until_ready().await;
    print(&format!("\nevery call fails: {} s\n", options.seconds));
    print(&columns());
    let load = Load {
        rate: RATE,
        connections: 64,
        arguments: Some("{}".to_owned()),
        warm_ms: 0,
        run_ms: options.millis(),
        ..Load::new(router.addr(), vec!["b.once_idempotent".to_owned()])
    };
    let figures = measure("all fail", &load, &router).await.load;
    let attempts = backend.log().count("tools/call") as u64 + backend.log().forgotten();
    #[expect(clippy::cast_precision_loss, reason = "counts of requests are small")]
    let (attempts, offered) = (attempts as f64, figures.offered as f64);
    let allowed = SHARE * offered + BURST + figures.seconds;
    verdicts.judge(
        attempts <= allowed,
        format!("{attempts} attempts for {offered} calls (allowed: {allowed:.0})"),
    );
    // Without any retry the bound would say nothing.
    verdicts.judge(
        attempts > offered,
        format!("{} attempts were retries", attempts - offered,),
    );
}
