//! The figures of one load, as rows of the table and as verdicts.

use super::field::{DIRECT, FORWARDER, NGINX, PLAIN, ROUTER};
use super::scenario::{Kind, Scenario};
use crate::bench::process::Sample;
use crate::bench::table::{Verdicts, median, mib, micros, row};
use crate::fixture::Era;

/// The router may use this many times the CPU of nginx for a small call.
const NGINX_RATIO: f64 = 3.0;

/// At one connection the router may add this many times what the forwarder adds.
const ADDED_RATIO: f64 = 1.5;

/// CPU that a list may cost beyond writing its bytes, microseconds.
const LIST_US: f64 = 150.0;

/// What one of those that are measured did, a sample each round.
pub(super) struct Column {
    pub(super) who: String,
    pub(super) samples: Vec<Sample>,
}

impl Column {
    pub(super) fn new(who: &str) -> Self {
        Self {
            who: who.to_owned(),
            samples: Vec::new(),
        }
    }

    fn middle(&self, figure: impl Fn(&Sample) -> f64) -> f64 {
        median(self.samples.iter().map(figure).collect())
    }
}

/// One load on everybody.
pub(super) struct Taken {
    scenario: Scenario,
    era: Era,
    columns: Vec<Column>,
}

impl Taken {
    pub(super) fn new(scenario: Scenario, era: Era, columns: Vec<Column>) -> Self {
        Self {
            scenario,
            era,
            columns,
        }
    }

    fn of(&self, who: &str) -> &[Sample] {
        let column = self.columns.iter().find(|column| column.who == who);
        column.map_or(&[], |column| &column.samples)
    }

    /// Figures of one beside those of another, each of the same round: the machine is slower in
    /// some rounds than in others.
    fn beside(
        &self,
        one: &str,
        other: &str,
        figure: impl Fn(&Sample, &Sample) -> f64,
    ) -> Option<f64> {
        let pairs = self.of(one).iter().zip(self.of(other));
        let each: Vec<_> = pairs.map(|(one, other)| figure(one, other)).collect();
        (!each.is_empty()).then(|| median(each))
    }

    /// CPU per request of one as a multiple of the other's.
    fn cpu_ratio(&self, one: &str, other: &str) -> Option<f64> {
        self.beside(one, other, |one, other| one.cpu_us / other.cpu_us)
    }

    /// What the router adds to the median latency as a multiple of what the forwarder adds.
    fn added_ratio(&self) -> f64 {
        let p50 = |who| self.of(who).iter().map(|sample| sample.load.p50_us);
        let each = p50(DIRECT).zip(p50(FORWARDER)).zip(p50(ROUTER));
        median(
            each.map(|((direct, forwarder), router)| (router - direct) / (forwarder - direct))
                .collect(),
        )
    }

    /// Requests that were not answered well, and by whom the first was not.
    pub(super) fn errors(&self) -> (u64, Option<String>) {
        let (mut sum, mut first) = (0, None);
        for column in &self.columns {
            for sample in &column.samples {
                sum += sample.load.errors;
                let error = sample.load.first_error.as_deref();
                let told = |error| format!("{}: {error}", column.who);
                first = first.or_else(|| error.map(told));
            }
        }
        (sum, first)
    }

    /// The rows of the table.
    pub(super) fn rows(&self) -> Vec<String> {
        let title = self.scenario.title(self.era);
        let direct = median(self.of(DIRECT).iter().map(|s| s.load.p50_us).collect());
        self.columns
            .iter()
            .map(|column| {
                let who = column.who.as_str();
                let mut cells = vec![
                    title.clone(),
                    who.to_owned(),
                    format!("{:.0}", column.middle(|s| s.load.goodput())),
                    micros(column.middle(|s| s.load.p50_us)),
                    micros(column.middle(|s| s.load.p99_us)),
                    micros(column.middle(|s| s.load.p999_us)),
                ];
                if who == DIRECT {
                    cells.extend(["–"; 4].map(str::to_owned));
                } else {
                    let ratio = self.cpu_ratio(who, FORWARDER).unwrap_or_default();
                    let peak = column.samples.iter().map(|s| s.peak).max().unwrap_or(0);
                    cells.extend([
                        micros(column.middle(|s| s.load.p50_us) - direct),
                        format!("{:.1} µs", column.middle(|s| s.cpu_us)),
                        format!("{ratio:.2}"),
                        format!("{:.1} MiB", mib(peak)),
                    ]);
                }
                row(&cells)
            })
            .collect()
    }

    /// Every promise about this load.
    pub(super) fn judge(&self, verdicts: &mut Verdicts) {
        let title = self.scenario.title(self.era);
        let mut at_most = |what: &str, ratio: f64, limit: f64, whose: &str| {
            let text = format!("{title}: {what} {ratio:.2} times {whose} (allowed: {limit})");
            verdicts.judge(ratio <= limit, text);
        };
        if let Some(limit) = self.scenario.cpu_limit(self.era) {
            let ratio = self.cpu_ratio(ROUTER, FORWARDER).unwrap_or(f64::NAN);
            at_most("CPU", ratio, limit, "the forwarder's");
        }
        if self.scenario.judges_latency() {
            let ratio = self.added_ratio();
            at_most("added p50", ratio, ADDED_RATIO, "the forwarder's");
        }
        if self.scenario.kind == Kind::Small
            && let Some(ratio) = self.cpu_ratio(ROUTER, NGINX)
        {
            at_most("CPU", ratio, NGINX_RATIO, "nginx'");
        }
        if self.scenario.kind == Kind::List {
            let beyond = self.beside(ROUTER, PLAIN, |router, plain| router.cpu_us - plain.cpu_us);
            let beyond = beyond.unwrap_or(f64::NAN);
            verdicts.judge(
                beyond <= LIST_US,
                format!(
                    "{title}: {beyond:.0} µs CPU beyond writing the bytes (allowed: {LIST_US})"
                ),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::load::Figures;

    fn column(who: &str, figures: &[(f64, f64)]) -> Column {
        let mut column = Column::new(who);
        column.samples = figures
            .iter()
            .map(|&(cpu_us, p50_us)| Sample {
                cpu_us,
                load: Figures {
                    p50_us,
                    ..Figures::default()
                },
                ..Sample::default()
            })
            .collect();
        column
    }

    fn taken() -> Taken {
        // In the second round the machine was twice as slow, in the third only while the router
        // was measured.
        let columns = vec![
            column(DIRECT, &[(0.0, 20.0), (0.0, 40.0), (0.0, 20.0)]),
            column(FORWARDER, &[(10.0, 120.0), (20.0, 240.0), (10.0, 120.0)]),
            column(ROUTER, &[(14.0, 170.0), (28.0, 340.0), (28.0, 320.0)]),
        ];
        Taken::new(super::super::scenario::SCENARIOS[0], Era::Legacy, columns)
    }

    #[test]
    fn ratios_are_of_rounds_so_that_a_slow_round_does_not_count() {
        let taken = taken();

        assert!((taken.cpu_ratio(ROUTER, FORWARDER).expect("both") - 1.4).abs() < 1e-9);
        assert!((taken.added_ratio() - 1.5).abs() < 1e-9);
        assert!(taken.cpu_ratio(ROUTER, NGINX).is_none());
    }

    #[test]
    fn a_figure_that_was_not_taken_is_no_pass() {
        let mut verdicts = Verdicts::default();
        Taken::new(
            super::super::scenario::SCENARIOS[0],
            Era::Legacy,
            Vec::new(),
        )
        .judge(&mut verdicts);

        assert!(verdicts.failed());
    }
}
