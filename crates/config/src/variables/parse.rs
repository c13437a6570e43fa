//! Variables as values, or as complaints that name variable and value.

use std::time::Duration;

use mcp_router_routing::Strategy;

use super::{Environment, VARIABLES};
use crate::model::LogFormat;
use crate::report::{Complaint, Notes, nearest, quote};

/// Longest time that can be set, in seconds: a week.
const MAX_SECONDS: f64 = 604_800.0;

/// What the environment says; `None`: nothing.
#[derive(Clone, Debug, Default)]
pub(crate) struct Said {
    pub(crate) server_name: Option<String>,
    pub(crate) host: Option<String>,
    pub(crate) port: Option<u16>,
    pub(crate) default_strategy: Option<Strategy>,
    pub(crate) namespaces: Option<bool>,
    pub(crate) cache_ttl: Option<Duration>,
    pub(crate) request_timeout: Option<Duration>,
    pub(crate) probe_interval: Option<Duration>,
    pub(crate) probe_timeout: Option<Duration>,
    pub(crate) max_attempts: Option<u32>,
    pub(crate) backoff_multiplier: Option<f64>,
    pub(crate) max_backoff: Option<Duration>,
    pub(crate) watch: Option<bool>,
    pub(crate) lenient: Option<bool>,
    pub(crate) log_format: Option<LogFormat>,
    pub(crate) allow_registration: Option<bool>,
}

/// Reads every variable of the table. A variable that is not one of them, though it looks so, is a
/// warning.
pub(crate) fn read(env: &Environment, notes: &mut Notes) -> Said {
    warn_of_unknown(env, notes);
    let mut reader = Reader { env, notes };
    Said {
        server_name: reader.get("MCP_SERVER_NAME", server_name),
        host: reader.get("MCP_HOST", host),
        port: reader.get("MCP_PORT", |text| number(text, 1, u16::MAX)),
        default_strategy: reader.get("MCP_DEFAULT_STRATEGY", |text| {
            text.parse()
                .map_err(|_| "must be path, capability or fallback".to_owned())
        }),
        namespaces: reader.get("MCP_ENABLE_NAMESPACES", switch),
        cache_ttl: reader.get("MCP_CACHE_TTL", |text| seconds(text, 1.0)),
        request_timeout: reader.get("MCP_REQUEST_TIMEOUT", |text| seconds(text, 1.0)),
        probe_interval: reader.get("MCP_HEALTH_CHECK_INTERVAL", |text| seconds(text, 1.0)),
        probe_timeout: reader.get("MCP_HEALTH_CHECK_TIMEOUT", |text| seconds(text, 1.0)),
        max_attempts: reader.get("MCP_MAX_RETRIES", |text| number(text, 1, 100)),
        backoff_multiplier: reader.get("MCP_RETRY_BACKOFF", |text| between(text, 1.0, 1000.0)),
        max_backoff: reader.get("MCP_MAX_BACKOFF", |text| seconds(text, 0.0)),
        watch: reader.get("MCP_CONFIG_WATCH", switch),
        lenient: reader.get("MCP_CONFIG_LENIENT", switch),
        log_format: reader.get("MCP_LOG_FORMAT", |text| {
            text.parse().map_err(|_| "must be text or json".to_owned())
        }),
        allow_registration: reader.get("MCP_ALLOW_REGISTRATION", switch),
    }
}

fn warn_of_unknown(env: &Environment, notes: &mut Notes) {
    let known = || VARIABLES.iter().map(|variable| variable.name);
    for name in env
        .names("MCP_")
        .filter(|name| known().all(|known| known != *name))
    {
        let meant = nearest(name, known()).map(|near| format!("; did you mean `{near}`?"));
        let message = format!(
            "unknown variable {}{}",
            quote(name),
            meant.unwrap_or_default()
        );
        notes.warn(message, None);
    }
}

struct Reader<'a> {
    env: &'a Environment,
    notes: &'a mut Notes,
}

impl Reader<'_> {
    fn get<T>(&mut self, name: &str, parse: impl Fn(&str) -> Result<T, String>) -> Option<T> {
        let complaint = match self.env.get(name)? {
            Err(_) => format!("the variable {name} is not valid UTF-8"),
            Ok(text) => match parse(text.trim()) {
                Ok(value) => return Some(value),
                Err(problem) => format!("{name}={}: {problem}", quote(text)),
            },
        };
        self.notes.complain(Complaint::new(complaint));
        None
    }
}

/// A name that can be told to clients.
pub(crate) fn server_name(text: &str) -> Result<String, String> {
    if text.is_empty() || text.len() > 256 || text.chars().any(char::is_control) {
        return Err("must be 1 to 256 bytes without control characters".to_owned());
    }
    Ok(text.to_owned())
}

/// An address or host name, without scheme and port. Brackets around an IPv6 address are taken off.
pub(crate) fn host(text: &str) -> Result<String, String> {
    let bare = text
        .strip_prefix('[')
        .and_then(|text| text.strip_suffix(']'))
        .unwrap_or(text);
    let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    let valid = bare.parse::<std::net::IpAddr>().is_ok()
        || (!bare.is_empty() && bare.len() <= 253 && bare.chars().all(is_name));
    if valid {
        Ok(bare.to_owned())
    } else {
        Err("must be an IP address or a host name, without scheme and port".to_owned())
    }
}

fn switch(text: &str) -> Result<bool, String> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "1" | "yes" | "on" => Ok(true),
        "false" | "0" | "no" | "off" => Ok(false),
        _ => Err("must be true or false (or 1, 0, yes, no, on, off)".to_owned()),
    }
}

fn number<T>(text: &str, least: T, most: T) -> Result<T, String>
where
    T: std::str::FromStr + PartialOrd + std::fmt::Display,
{
    match text.parse::<T>() {
        Ok(number) if least <= number && number <= most => Ok(number),
        _ => Err(format!("must be a whole number between {least} and {most}")),
    }
}

fn between(text: &str, least: f64, most: f64) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(number) if (least..=most).contains(&number) => Ok(number),
        _ => Err(format!("must be a number between {least} and {most}")),
    }
}

fn seconds(text: &str, least: f64) -> Result<Duration, String> {
    between(text, least, MAX_SECONDS).map(Duration::from_secs_f64)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn env(pairs: &[(&str, &str)]) -> Environment {
        pairs
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
            .collect()
    }

    fn said(pairs: &[(&str, &str)]) -> (Said, Notes) {
        let mut notes = Notes::default();
        (read(&env(pairs), &mut notes), notes)
    }

    #[test]
    fn each_variable_of_the_table_is_read() {
        let good = [
            ("MCP_SERVER_NAME", "hub"),
            ("MCP_HOST", "[::1]"),
            ("MCP_PORT", "65535"),
            ("MCP_DEFAULT_STRATEGY", "capability"),
            ("MCP_ENABLE_NAMESPACES", "Off"),
            ("MCP_CACHE_TTL", "1"),
            ("MCP_REQUEST_TIMEOUT", "2.5"),
            ("MCP_HEALTH_CHECK_INTERVAL", "10"),
            ("MCP_HEALTH_CHECK_TIMEOUT", "3"),
            ("MCP_MAX_RETRIES", "1"),
            ("MCP_RETRY_BACKOFF", "2.0"),
            ("MCP_MAX_BACKOFF", "0"),
            ("MCP_CONFIG_WATCH", "no"),
            ("MCP_CONFIG_LENIENT", "YES"),
            ("MCP_LOG_FORMAT", "json"),
            ("MCP_ALLOW_REGISTRATION", "1"),
        ];
        let (said, notes) = said(&good);
        assert!(
            notes.complaints.is_empty() && notes.warnings.is_empty(),
            "{notes:?}"
        );
        assert_eq!(
            (said.host.as_deref(), said.port),
            (Some("::1"), Some(65535))
        );
        assert_eq!((said.namespaces, said.lenient), (Some(false), Some(true)));
        assert_eq!(said.request_timeout, Some(Duration::from_millis(2500)));
        assert_eq!(said.max_backoff, Some(Duration::ZERO));
    }

    #[test]
    fn bad_values_are_named_all_at_once_with_variable_and_value() {
        let bad = [
            ("MCP_PORT", "0"),
            ("MCP_HOST", "http://x"),
            ("MCP_DEFAULT_STRATEGY", "random"),
            ("MCP_ENABLE_NAMESPACES", "maybe"),
            ("MCP_CACHE_TTL", "0"),
            ("MCP_REQUEST_TIMEOUT", "NaN"),
            ("MCP_HEALTH_CHECK_INTERVAL", "inf"),
            ("MCP_MAX_RETRIES", "-1"),
            ("MCP_RETRY_BACKOFF", "0.5"),
            ("MCP_MAX_BACKOFF", "1e9"),
            ("MCP_LOG_FORMAT", "xml"),
            ("MCP_CONFIG_LENIENT", ""),
        ];
        let (_, notes) = said(&bad);
        assert_eq!(notes.complaints.len(), bad.len());
        for (name, value) in bad {
            let of_it = |c: &&Complaint| c.message.starts_with(&format!("{name}=`{value}`"));
            assert_eq!(
                notes.complaints.iter().filter(of_it).count(),
                1,
                "{name} {:?}",
                notes.complaints
            );
        }
        assert!(said(&[("MCP_PORT", "65536")]).1.complaints.len() == 1);
    }

    #[test]
    fn unknown_variables_warn_once_with_the_nearest() {
        let (_, notes) = said(&[("MCP_PROT", "1"), ("MCP_ZZZZZZZZ", "1"), ("OTHER", "1")]);
        let warnings: Vec<String> = notes.warnings.iter().map(ToString::to_string).collect();
        assert_eq!(warnings.len(), 2);
        assert!(warnings[0].contains("MCP_PROT") && warnings[0].contains("`MCP_PORT`"));
        assert!(!warnings[1].contains("did you mean"));
    }

    proptest! {
        #[test]
        fn any_environment_is_read_or_complained_about(
            which in 0..VARIABLES.len(), value in any::<String>(),
        ) {
            let name = VARIABLES[which].name;
            let (_, notes) = said(&[(name, &value)]);
            prop_assert!(notes.complaints.len() <= 1);
            prop_assert!(notes.warnings.is_empty());
        }

        #[test]
        fn ports_are_read_exactly(port in any::<u32>()) {
            let (said, _) = said(&[("MCP_PORT", &port.to_string())]);
            prop_assert_eq!(said.port, u16::try_from(port).ok().filter(|port| *port > 0));
        }
    }
}
