//! What a request costs on its way through the router, beside the least that it can cost.

mod field;
mod scenario;
mod taken;

use std::process::ExitCode;

use self::field::Field;
pub(super) use self::field::Target;
use self::scenario::SCENARIOS;
use super::Options;
use super::table::{Verdicts, head, print};
use crate::fixture::Era;

/// Measures every load in both eras and prints a table and the promises.
pub(super) async fn run(options: &Options) -> ExitCode {
    let field = Field::start(options).await;
    print(&format!(
        "\nmedian of {} rounds of {} s; added = less the direct one's; × forwarder = median of the \
         rounds' ratios\n",
        options.rounds, options.seconds
    ));
    print(&head(&[
        "load",
        "through",
        "req/s",
        "p50",
        "p99",
        "p99.9",
        "added p50",
        "CPU/req",
        "× forwarder",
        "peak memory",
    ]));
    let (mut verdicts, mut errors, mut first) = (Verdicts::default(), 0, None);
    for era in [Era::Legacy, Era::Modern] {
        for scenario in SCENARIOS.iter().filter(|s| options.wants(&s.title(era))) {
            let taken = field.measure(scenario, era, options).await;
            taken.rows().iter().for_each(|row| print(row));
            taken.judge(&mut verdicts);
            let (count, told) = taken.errors();
            errors += count;
            first = first.or(told);
        }
    }
    let told = first.map(|error| format!("; {error}")).unwrap_or_default();
    verdicts.judge(
        errors == 0,
        format!("{errors} requests were not answered well{told}"),
    );
    verdicts.print()
}
