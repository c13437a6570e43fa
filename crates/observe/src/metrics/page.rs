//! The page that Prometheus reads.

use std::fmt::{self, Debug};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet, text};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;

use super::family::{Family, Kind};

/// The `Content-Type` of the page.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Somebody who knows numbers. Asked at each look at the page, never in between.
pub trait Source: Debug + Send + Sync + 'static {
    /// Writes them all. Must not wait for anything that a call holds, nor hold what a call waits for.
    ///
    /// # Errors
    /// As the page's.
    fn write(&self, page: &mut Page<'_>) -> fmt::Result;
}

/// Everybody who knows numbers, in the order in which they are asked.
#[derive(Debug)]
pub struct Sources(Registry);

/// The page while it is written.
#[derive(Debug)]
pub struct Page<'a>(DescriptorEncoder<'a>);

#[derive(Debug)]
struct Asked(Box<dyn Source>);

impl Sources {
    /// Each family must have one source alone.
    pub fn new(sources: impl IntoIterator<Item = Box<dyn Source>>) -> Self {
        let mut registry = Registry::default();
        for source in sources {
            registry.register_collector(Box::new(Asked(source)));
        }
        Self(registry)
    }

    /// The page, as OpenMetrics text.
    pub fn page(&self) -> String {
        let mut page = String::with_capacity(16 << 10);
        // Writing to a string does not fail, and no source has another reason to.
        if text::encode(&mut page, &self.0).is_err() {
            tracing::error!("a source of metrics failed: the page is not whole");
        }
        page
    }
}

impl Collector for Asked {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        self.0.write(&mut Page(encoder))
    }
}

impl Page<'_> {
    /// One number without labels.
    ///
    /// # Errors
    /// If the page takes no more.
    pub fn one(&mut self, family: &Family, number: f64) -> fmt::Result {
        number_of(&mut self.family(family)?, family.kind, number)
    }

    /// The numbers of a counter or gauge, each with the values of its labels in the family's order.
    ///
    /// # Errors
    /// If the page takes no more.
    pub fn numbers<'v, const N: usize>(
        &mut self,
        family: &Family,
        numbers: impl IntoIterator<Item = ([&'v str; N], f64)>,
    ) -> fmt::Result {
        let mut encoder = self.family(family)?;
        for (values, number) in numbers {
            let labels = labelled(family, values);
            number_of(&mut encoder.encode_family(&labels)?, family.kind, number)?;
        }
        Ok(())
    }

    /// A histogram: for each value of its label the sum of all sizes, and how many were up to each
    /// bound but over the one before. The last bound is infinite.
    pub(super) fn histograms<'n>(
        &mut self,
        family: &Family,
        all: impl IntoIterator<Item = (&'n str, f64, Vec<(f64, u64)>)>,
    ) -> fmt::Result {
        let mut encoder = self.family(family)?;
        for (value, sum, buckets) in all {
            let labels = labelled(family, [value]);
            let mut encoder = encoder.encode_family(&labels)?;
            let count = buckets.iter().map(|(_, n)| n).sum();
            encoder.encode_histogram::<NoLabelSet>(sum, count, &buckets, None)?;
        }
        Ok(())
    }

    fn family(&mut self, family: &Family) -> Result<MetricEncoder<'_>, fmt::Error> {
        let kind = match family.kind {
            Kind::Counter => MetricType::Counter,
            Kind::Gauge => MetricType::Gauge,
            Kind::Histogram => MetricType::Histogram,
        };
        // The format adds it again.
        let name = family.name.strip_suffix("_total").unwrap_or(family.name);
        self.0.encode_descriptor(name, family.help, None, kind)
    }
}

fn number_of(encoder: &mut MetricEncoder<'_>, kind: Kind, number: f64) -> fmt::Result {
    match kind {
        Kind::Counter => encoder.encode_counter::<NoLabelSet, _, f64>(&number, None),
        Kind::Gauge | Kind::Histogram => encoder.encode_gauge(&number),
    }
}

fn labelled<'v, const N: usize>(
    family: &Family,
    values: [&'v str; N],
) -> Vec<(&'static str, &'v str)> {
    debug_assert_eq!(family.labels.len(), N, "{}", family.name);
    family.labels.iter().copied().zip(values).collect()
}

#[cfg(test)]
mod tests {
    use super::super::family::{BACKEND_UP, DROPPED_LOG_LINES, READY};
    use super::*;

    #[derive(Debug)]
    struct Three;

    impl Source for Three {
        fn write(&self, page: &mut Page<'_>) -> fmt::Result {
            page.one(&READY, 1.0)?;
            page.one(&DROPPED_LOG_LINES, 7.0)?;
            page.numbers(&BACKEND_UP, [(["a"], 0.0)])
        }
    }

    #[test]
    fn numbers_are_written_as_prometheus_reads_them() {
        let page = Sources::new([Box::new(Three) as Box<dyn Source>]).page();
        for line in [
            "# TYPE mcp_router_ready gauge",
            "mcp_router_ready 1.0",
            "# TYPE mcp_router_dropped_log_lines counter",
            "mcp_router_dropped_log_lines_total 7.0",
            "mcp_router_backend_up{backend=\"a\"} 0.0",
        ] {
            assert!(page.lines().any(|l| l == line), "{line} is not in\n{page}");
        }
    }
}
