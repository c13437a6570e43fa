//! Whether a call is recorded.

use super::Parent;

/// Which calls are recorded: what `OTEL_TRACES_SAMPLER` and its argument say.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Sampler {
    /// Whether a client's own decision is followed where there is one.
    parent_based: bool,
    /// Of 2⁶³ trace ids, so many are recorded.
    threshold: u64,
}

/// All trace ids.
const ALL: u64 = 1 << 63;

impl Sampler {
    /// Records a share of the traces, 0 to 1. The same trace ids as other OpenTelemetry SDKs.
    pub fn ratio(ratio: f64, parent_based: bool) -> Self {
        Self {
            parent_based,
            // Saturates: above 1 is all, below 0 and NaN none.
            threshold: ((ratio * ALL as f64) as u64).min(ALL),
        }
    }

    /// Reads the variables' values.
    ///
    /// # Errors
    /// If they make no sense, with a sentence that names the variable.
    pub fn parse(name: &str, argument: Option<&str>) -> Result<Self, String> {
        let (parent_based, kind) = match name.strip_prefix("parentbased_") {
            Some(kind) => (true, kind),
            None => (false, name),
        };
        let ratio = match kind {
            "always_on" => 1.0,
            "always_off" => 0.0,
            "traceidratio" => match argument.map(str::parse::<f64>) {
                None => 1.0,
                Some(Ok(ratio)) if (0.0..=1.0).contains(&ratio) => ratio,
                Some(_) => return Err("OTEL_TRACES_SAMPLER_ARG is no number from 0 to 1".into()),
            },
            _ => {
                return Err(
                    "OTEL_TRACES_SAMPLER is none of always_on, always_off, traceidratio, \
                     each also as parentbased_…"
                        .into(),
                );
            }
        };
        Ok(Self::ratio(ratio, parent_based))
    }

    /// The trace id of a call that is recorded.
    pub(super) fn decide(self, parent: Option<Parent>) -> Option<[u8; 16]> {
        let (trace_id, decided) = match parent {
            Some(parent) => (
                parent.ids.trace_id,
                self.parent_based.then_some(parent.sampled),
            ),
            None if self.threshold == 0 => return None,
            None => (fastrand::u128(1..).to_be_bytes(), None),
        };
        let recorded = decided.unwrap_or_else(|| {
            let [.., a, b, c, d, e, f, g, h] = trace_id;
            u64::from_be_bytes([a, b, c, d, e, f, g, h]) >> 1 < self.threshold
        });
        recorded.then_some(trace_id)
    }
}

impl Default for Sampler {
    /// `parentbased_always_on`.
    fn default() -> Self {
        Self::ratio(1.0, true)
    }
}

#[cfg(test)]
mod tests {
    use super::super::SpanIds;
    use super::*;

    fn parent(sampled: bool, low: u64) -> Parent {
        let mut trace_id = [7; 16];
        trace_id[8..].copy_from_slice(&low.to_be_bytes());
        let ids = SpanIds {
            trace_id,
            span_id: [1; 8],
        };
        Parent { ids, sampled }
    }

    #[test]
    fn every_sampler_of_the_specification_does_what_it_says() {
        let (low, high) = (1, u64::MAX);
        for (name, argument, root, sampled, unsampled) in [
            ("always_on", None, true, true, true),
            ("always_off", None, false, false, false),
            ("parentbased_always_on", None, true, true, false),
            ("parentbased_always_off", None, false, true, false),
            ("traceidratio", Some("0"), false, false, false),
            ("traceidratio", None, true, true, true),
            ("parentbased_traceidratio", Some("0"), false, true, false),
            ("parentbased_traceidratio", Some("1.0"), true, true, false),
        ] {
            let sampler = Sampler::parse(name, argument).unwrap();
            assert_eq!(sampler.decide(None).is_some(), root, "{name}");
            for id in [low, high] {
                let of = |flag| sampler.decide(Some(parent(flag, id))).is_some();
                assert_eq!((of(true), of(false)), (sampled, unsampled), "{name}");
            }
        }
        let half = Sampler::parse("traceidratio", Some("0.5")).unwrap();
        assert!(half.decide(Some(parent(false, low))).is_some());
        assert!(half.decide(Some(parent(true, high))).is_none());
    }

    #[test]
    fn a_ratio_is_kept() {
        let sampler = Sampler::ratio(0.1, true);
        let recorded = (0..100_000).filter(|_| sampler.decide(None).is_some());
        let recorded = recorded.count();
        assert!((9_000..11_000).contains(&recorded), "{recorded}");
    }

    #[test]
    fn a_trace_keeps_the_id_that_its_client_gave_it() {
        let parent = parent(true, 9);
        let decided = Sampler::default().decide(Some(parent));
        assert_eq!(decided, Some(parent.ids.trace_id));
    }

    #[test]
    fn samplers_that_do_not_exist_are_named() {
        for (name, argument, variable) in [
            ("sometimes", None, "OTEL_TRACES_SAMPLER "),
            ("parentbased_", None, "OTEL_TRACES_SAMPLER "),
            ("traceidratio", Some("2"), "OTEL_TRACES_SAMPLER_ARG"),
            ("traceidratio", Some("half"), "OTEL_TRACES_SAMPLER_ARG"),
            ("traceidratio", Some("NaN"), "OTEL_TRACES_SAMPLER_ARG"),
        ] {
            let problem = Sampler::parse(name, argument).unwrap_err();
            assert!(problem.starts_with(variable), "{problem}");
        }
    }
}
