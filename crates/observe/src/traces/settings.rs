//! The `OTEL_*` variables, as far as they concern traces over OTLP/HTTP.
//!
//! They are often set for every process of a cluster at once, by people who have never heard of
//! the router. So none of them keeps it from starting: what makes no sense is told, and what
//! stands in its place.

use std::time::Duration;

use http::header::{HeaderMap, HeaderName, HeaderValue};
use http::uri::{PathAndQuery, Uri};

use super::Sampler;

/// How spans are recorded and exported.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct TraceSettings {
    /// Where the collector takes traces.
    pub endpoint: Uri,
    /// Sent with every batch, as secrets.
    pub headers: HeaderMap,
    /// How long the collector may take for a batch.
    pub timeout: Duration,
    /// Which calls are recorded.
    pub sampler: Sampler,
    /// Who the router is in the traces: attributes of its resource.
    pub resource: Vec<(String, String)>,
    /// Spans that wait for the collector.
    pub queue: usize,
    /// Spans in one batch.
    pub batch: usize,
    /// How long a span waits for others to go with it.
    pub delay: Duration,
}

/// What the specification of the SDKs says where a variable does not.
const TIMEOUT: Duration = Duration::from_secs(10);
const QUEUE: usize = 2048;
const BATCH: usize = 512;
const DELAY: Duration = Duration::from_secs(5);
/// A queue is memory.
const MOST_QUEUE: u64 = 65_536;
/// A day.
const LONGEST: u64 = 86_400_000;

impl TraceSettings {
    /// For a collector at `endpoint`, all else as the specification has it.
    pub fn new(endpoint: Uri) -> Self {
        Self {
            endpoint,
            headers: HeaderMap::new(),
            timeout: TIMEOUT,
            sampler: Sampler::default(),
            resource: resource(None, None, &mut Vec::new()),
            queue: QUEUE,
            batch: BATCH,
            delay: DELAY,
        }
    }

    /// Reads the variables, which `get` looks up. `None`: no traces are wanted, or they cannot be
    /// had. `problems` gets a sentence for everything that makes no sense; none repeats a value.
    pub fn from_variables(
        get: impl Fn(&str) -> Option<String>,
        problems: &mut Vec<String>,
    ) -> Option<Self> {
        let get = |name: &str| get(name).filter(|text| !text.trim().is_empty());
        // The one for traces beats the one for everything.
        let otlp = |name: &str| {
            let own = format!("OTEL_EXPORTER_OTLP_TRACES_{name}");
            let general = format!("OTEL_EXPORTER_OTLP_{name}");
            get(&own)
                .map(|text| (own, text))
                .or_else(|| get(&general).map(|text| (general, text)))
        };
        let endpoint = otlp("ENDPOINT")?;
        if !wanted(&get, problems) {
            return None;
        }
        let Some(endpoint) = url(&endpoint) else {
            problems.push(format!("{} is no http or https URL: no traces", endpoint.0));
            return None;
        };
        encoding(&otlp, problems);
        let queue = number(&get, "OTEL_BSP_MAX_QUEUE_SIZE", MOST_QUEUE, problems);
        let queue = queue.map_or(QUEUE, |n| n as usize);
        let batch = number(&get, "OTEL_BSP_MAX_EXPORT_BATCH_SIZE", MOST_QUEUE, problems);
        let delay = number(&get, "OTEL_BSP_SCHEDULE_DELAY", LONGEST, problems);
        let timeout = otlp("TIMEOUT").and_then(|(name, text)| {
            number(&|_: &str| Some(text.clone()), &name, LONGEST, problems)
        });
        let (attributes, name) = (get("OTEL_RESOURCE_ATTRIBUTES"), get("OTEL_SERVICE_NAME"));
        Some(Self {
            headers: headers(otlp("HEADERS"), problems),
            timeout: timeout.map_or(TIMEOUT, Duration::from_millis),
            sampler: sampler(&get, problems),
            resource: resource(attributes, name, problems),
            queue,
            batch: batch.map_or(BATCH, |n| n as usize).min(queue),
            delay: delay.map_or(DELAY, Duration::from_millis),
            ..Self::new(endpoint)
        })
    }
}

/// Whether traces are wanted at all, and over OTLP.
fn wanted(get: &impl Fn(&str) -> Option<String>, problems: &mut Vec<String>) -> bool {
    match get("OTEL_SDK_DISABLED") {
        Some(text) if text.trim().eq_ignore_ascii_case("true") => return false,
        Some(text) if !text.trim().eq_ignore_ascii_case("false") => {
            problems.push("OTEL_SDK_DISABLED is neither true nor false: taken as false".into());
        }
        _ => {}
    }
    let exporters = get("OTEL_TRACES_EXPORTER").unwrap_or_else(|| "otlp".to_owned());
    let has = |name| exporters.split(',').any(|e| e.trim() == name);
    if !has("otlp") && !has("none") {
        problems.push("OTEL_TRACES_EXPORTER names no exporter but otlp here: no traces".into());
    }
    has("otlp")
}

/// The first and last word on how traces travel: protobuf, as it is.
fn encoding(otlp: &impl Fn(&str) -> Option<(String, String)>, problems: &mut Vec<String>) {
    if let Some((name, text)) = otlp("PROTOCOL")
        && text.trim() != "http/protobuf"
    {
        problems.push(format!(
            "{name} is not http/protobuf, which is spoken all the same"
        ));
    }
    if let Some((name, text)) = otlp("COMPRESSION")
        && text.trim() != "none"
    {
        problems.push(format!(
            "{name}: traces are sent without compression all the same"
        ));
    }
}

fn url((name, text): &(String, String)) -> Option<Uri> {
    let mut text = text.trim().to_owned();
    // The general one is a base.
    if !name.contains("TRACES") {
        text = format!("{}/v1/traces", text.trim_end_matches('/'));
    }
    let mut parts = text.parse::<Uri>().ok()?.into_parts();
    let scheme = parts.scheme.as_ref()?.as_str();
    let host = parts.authority.as_ref()?.host();
    if !matches!(scheme, "http" | "https") || host.is_empty() {
        return None;
    }
    parts
        .path_and_query
        .get_or_insert(PathAndQuery::from_static("/"));
    Uri::from_parts(parts).ok()
}

fn number(
    get: &impl Fn(&str) -> Option<String>,
    name: &str,
    most: u64,
    problems: &mut Vec<String>,
) -> Option<u64> {
    let text = get(name)?;
    match text.trim().parse() {
        Ok(number) if (1..=most).contains(&number) => Some(number),
        _ => {
            problems.push(format!(
                "{name} is no whole number from 1 to {most}: not used"
            ));
            None
        }
    }
}

fn sampler(get: &impl Fn(&str) -> Option<String>, problems: &mut Vec<String>) -> Sampler {
    let Some(name) = get("OTEL_TRACES_SAMPLER") else {
        return Sampler::default();
    };
    let argument = get("OTEL_TRACES_SAMPLER_ARG");
    let argument = argument.as_deref().map(str::trim);
    Sampler::parse(name.trim(), argument).unwrap_or_else(|problem| {
        problems.push(format!("{problem}: parentbased_always_on is used"));
        Sampler::default()
    })
}

fn headers(said: Option<(String, String)>, problems: &mut Vec<String>) -> HeaderMap {
    let mut headers = HeaderMap::new();
    let Some((variable, text)) = said else {
        return headers;
    };
    for (number, (key, value)) in pairs(&text).enumerate() {
        let name = HeaderName::from_bytes(key.as_bytes());
        let value = value.and_then(|value| HeaderValue::from_str(&value).ok());
        match (name, value) {
            (Ok(name), Some(mut value)) => {
                value.set_sensitive(true);
                headers.append(name, value);
            }
            _ => problems.push(format!(
                "{variable}: entry {} is no header, written name=value: left out",
                number + 1
            )),
        }
    }
    headers
}

/// The attributes, with a name of the service in any case.
fn resource(
    attributes: Option<String>,
    name: Option<String>,
    problems: &mut Vec<String>,
) -> Vec<(String, String)> {
    const NAME: &str = "service.name";
    let mut all = vec![
        (
            "service.version".to_owned(),
            env!("CARGO_PKG_VERSION").to_owned(),
        ),
        ("telemetry.sdk.language".to_owned(), "rust".to_owned()),
        ("telemetry.sdk.name".to_owned(), "mcp-router".to_owned()),
        (
            "telemetry.sdk.version".to_owned(),
            env!("CARGO_PKG_VERSION").to_owned(),
        ),
    ];
    let mut put = |key: &str, value: String| {
        all.retain(|(other, _)| other != key);
        all.push((key.to_owned(), value));
    };
    put(NAME, "mcp-router".to_owned());
    for (number, (key, value)) in pairs(&attributes.unwrap_or_default()).enumerate() {
        match value {
            Some(value) if !key.is_empty() => put(&key, value),
            _ => problems.push(format!(
                "OTEL_RESOURCE_ATTRIBUTES: entry {} is not written name=value: left out",
                number + 1
            )),
        }
    }
    if let Some(name) = name {
        put(NAME, name.trim().to_owned());
    }
    all
}

/// `key=value,key=value`, with percent signs as in W3C baggage. No value: it cannot be read.
fn pairs(text: &str) -> impl Iterator<Item = (String, Option<String>)> + '_ {
    let entries = text.split(',').filter(|entry| !entry.trim().is_empty());
    entries.map(|entry| match entry.split_once('=') {
        Some((key, value)) => (key.trim().to_owned(), unescaped(value.trim())),
        None => (entry.trim().to_owned(), None),
    })
}

fn unescaped(text: &str) -> Option<String> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        rest = after;
        if *first != b'%' {
            out.push(*first);
            continue;
        }
        let [high, low, after @ ..] = rest else {
            return None;
        };
        let digit = |c: &u8| char::from(*c).to_digit(16);
        out.push((digit(high)? << 4 | digit(low)?) as u8);
        rest = after;
    }
    String::from_utf8(out).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variables: &[(&str, &str)]) -> (Option<TraceSettings>, Vec<String>) {
        let mut problems = Vec::new();
        let get = |name: &str| {
            let found = variables.iter().find(|(n, _)| *n == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        let settings = TraceSettings::from_variables(get, &mut problems);
        (settings, problems)
    }

    const AT: (&str, &str) = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318");

    #[test]
    fn without_an_endpoint_there_are_no_traces() {
        for variables in [
            &[][..],
            &[("OTEL_EXPORTER_OTLP_ENDPOINT", " ")],
            &[AT, ("OTEL_SDK_DISABLED", "TRUE")],
            &[AT, ("OTEL_TRACES_EXPORTER", "none")],
        ] {
            let (settings, problems) = read(variables);
            assert!(settings.is_none() && problems.is_empty(), "{problems:?}");
        }
    }

    #[test]
    fn the_endpoint_is_a_base_and_the_one_for_traces_is_taken_as_it_is() {
        let endpoint = |variables: &[_]| read(variables).0.unwrap().endpoint.to_string();
        assert_eq!(endpoint(&[AT]), "http://collector:4318/v1/traces");
        let slash = ("OTEL_EXPORTER_OTLP_ENDPOINT", "https://h/otlp/");
        assert_eq!(endpoint(&[slash]), "https://h/otlp/v1/traces");
        let own = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://t:1/spans");
        assert_eq!(endpoint(&[AT, own]), "http://t:1/spans");
    }

    #[test]
    fn every_variable_is_obeyed() {
        let (settings, problems) = read(&[
            AT,
            ("OTEL_EXPORTER_OTLP_HEADERS", "x=general"),
            ("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "api-key=s%3Dcret,b=2"),
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "2500"),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf"),
            ("OTEL_EXPORTER_OTLP_COMPRESSION", "none"),
            ("OTEL_SERVICE_NAME", "front"),
            (
                "OTEL_RESOURCE_ATTRIBUTES",
                "service.name=other,deployment.environment.name=a%20b",
            ),
            ("OTEL_TRACES_SAMPLER", "traceidratio"),
            ("OTEL_TRACES_SAMPLER_ARG", "0.25"),
            ("OTEL_BSP_MAX_QUEUE_SIZE", "100"),
            ("OTEL_BSP_SCHEDULE_DELAY", "200"),
            ("OTEL_SDK_DISABLED", "false"),
        ]);
        assert_eq!(problems, [""; 0]);
        let settings = settings.unwrap();
        assert_eq!(settings.headers["api-key"], "s=cret");
        assert!(settings.headers["api-key"].is_sensitive());
        assert_eq!(settings.headers.len(), 2);
        assert_eq!(settings.timeout, Duration::from_millis(2500));
        assert_eq!(settings.sampler, Sampler::ratio(0.25, false));
        assert_eq!((settings.queue, settings.batch), (100, 100));
        assert_eq!(settings.delay, Duration::from_millis(200));
        let value = |key: &str| {
            let mut all = settings.resource.iter().filter(|(k, _)| k == key);
            let (Some((_, value)), None) = (all.next(), all.next()) else {
                panic!("{key} is there once")
            };
            value.clone()
        };
        assert_eq!(value("service.name"), "front");
        assert_eq!(value("deployment.environment.name"), "a b");
    }

    #[test]
    fn what_makes_no_sense_is_told_without_its_value_and_keeps_nobody_from_starting() {
        let wrong = [
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc-s3cret"),
            ("OTEL_EXPORTER_OTLP_COMPRESSION", "s3cret"),
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "s3cret"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "s3cret,a b=s3cret,c=%zz"),
            ("OTEL_RESOURCE_ATTRIBUTES", "s3cret"),
            ("OTEL_TRACES_SAMPLER", "s3cret"),
            ("OTEL_BSP_MAX_QUEUE_SIZE", "-1"),
            ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "0"),
            ("OTEL_BSP_SCHEDULE_DELAY", "soon"),
            ("OTEL_SDK_DISABLED", "s3cret"),
        ];
        let (settings, problems) = read(&[&[AT], &wrong[..]].concat());
        let settings = settings.unwrap();
        assert_eq!(settings.sampler, Sampler::default());
        assert_eq!((settings.timeout, settings.queue), (TIMEOUT, QUEUE));
        assert_eq!(problems.len(), wrong.len() + 2, "{problems:#?}");
        for (name, _) in wrong {
            assert!(problems.iter().any(|p| p.starts_with(name)), "{name}");
        }
        assert!(!problems.concat().contains("s3cret"), "{problems:?}");
    }

    #[test]
    fn an_endpoint_that_is_none_is_told_and_traces_are_off() {
        for bad in ["collector:4318", "ftp://h", "http://", "h h", "/v1"] {
            let (settings, problems) = read(&[("OTEL_EXPORTER_OTLP_ENDPOINT", bad)]);
            assert!(settings.is_none(), "{bad}");
            assert!(problems[0].starts_with("OTEL_EXPORTER_OTLP_ENDPOINT"));
        }
        let (settings, problems) = read(&[AT, ("OTEL_TRACES_EXPORTER", "zipkin")]);
        assert!(settings.is_none() && problems.len() == 1);
    }
}
