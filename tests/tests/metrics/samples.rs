//! The page, read.

use std::collections::{BTreeMap, BTreeSet};

use mcp_router_tests::harness::Router;

/// One line: a name, labels, a number.
#[derive(Clone, Debug)]
pub(crate) struct Sample {
    pub(crate) name: String,
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) value: f64,
}

/// The page at one moment.
#[derive(Clone, Debug)]
pub(crate) struct Samples {
    text: String,
    all: Vec<Sample>,
}

impl Samples {
    pub(crate) async fn of(router: &Router) -> Self {
        let reply = router.client().get("/metrics").await;
        assert_eq!(reply.status, 200, "{}", reply.text());
        Self::parse(reply.text())
    }

    pub(crate) fn parse(text: String) -> Self {
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        let all = lines.map(sample).collect();
        Self { text, all }
    }

    pub(crate) fn all(&self) -> &[Sample] {
        &self.all
    }

    /// The number under this name with these labels, whatever others it has; the sum of several.
    pub(crate) fn sum(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let fits = |sample: &&Sample| {
            let has = |(key, value): &(&str, &str)| {
                sample.labels.get(*key).is_some_and(|found| found == value)
            };
            sample.name == name && labels.iter().all(has)
        };
        self.all
            .iter()
            .filter(fits)
            .map(|sample| sample.value)
            .sum()
    }

    /// Whether there is such a number.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.all.iter().any(|sample| sample.name == name)
    }

    /// The families with the names of their labels, as queries name them.
    pub(crate) fn families(&self) -> BTreeMap<String, BTreeSet<String>> {
        let types = self.text.lines().filter_map(|l| l.strip_prefix("# TYPE "));
        let mut families = BTreeMap::new();
        for (name, kind) in types.filter_map(|line| line.split_once(' ')) {
            let (family, sample) = match kind {
                "counter" => (format!("{name}_total"), format!("{name}_total")),
                "histogram" => (name.to_owned(), format!("{name}_count")),
                _ => (name.to_owned(), name.to_owned()),
            };
            let found = self.all.iter().filter(|s| s.name == sample);
            let labels = found.flat_map(|s| s.labels.keys().cloned()).collect();
            families.insert(family, labels);
        }
        families
    }
}

fn sample(line: &str) -> Sample {
    read(line).unwrap_or_else(|| panic!("no sample: {line}"))
}

fn read(line: &str) -> Option<Sample> {
    let (series, value) = line.rsplit_once(' ')?;
    let (name, labels) = match series.split_once('{') {
        Some((name, rest)) => (name, rest.strip_suffix('}')?),
        None => (series, ""),
    };
    let mut found = BTreeMap::new();
    let mut rest = labels;
    while let Some((key, tail)) = rest.split_once("=\"") {
        let end = end_of(tail);
        let key = key.trim_start_matches(',').to_owned();
        found.insert(key, tail[..end].to_owned());
        rest = &tail[end + 1..];
    }
    Some(Sample {
        name: name.to_owned(),
        labels: found,
        value: value.parse().ok()?,
    })
}

/// Where a quoted text ends.
fn end_of(text: &str) -> usize {
    let mut escaped = false;
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return at,
            _ => {}
        }
    }
    panic!("no end in {text}")
}

#[test]
fn a_page_is_read_as_it_is_meant() {
    let text = "# TYPE a counter\na_total{x=\"1\",y=\"b\\\"}{\"} 2.0\na_total{x=\"2\",y=\"\"} 1\n\
                # TYPE b gauge\nb 0.5\n# EOF\n";
    let samples = Samples::parse(text.to_owned());
    assert_eq!(samples.sum("a_total", &[("x", "1")]), 2.0);
    assert_eq!(samples.sum("a_total", &[("y", "b\\\"}{")]), 2.0);
    assert_eq!(samples.sum("a_total", &[]), 3.0);
    assert_eq!(samples.families()["a_total"].len(), 2);
    assert!(samples.families()["b"].is_empty() && samples.has("b"));
}
