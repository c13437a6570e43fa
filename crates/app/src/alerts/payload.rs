//! A notice as each kind of receiver takes it.

use bytes::Bytes;
use mcp_router_config::AlertKind;
use mcp_router_observe::utc;
use mcp_router_protocol::RawJson;
use secrecy::ExposeSecret;
use serde::Serialize;

use super::notice::{Event, Notice};

/// Longest summary that PagerDuty takes, in characters.
const SUMMARY: usize = 1024;

/// Where PagerDuty is, unless the file says otherwise.
pub(super) const PAGERDUTY: &str = "https://events.pagerduty.com/v2/enqueue";

/// The router's own form, also the details of an incident.
#[derive(Serialize)]
struct Webhook<'a> {
    event: &'a str,
    backend: &'a str,
    namespace: Option<&'a str>,
    reason: &'a str,
    since: &'a str,
    at: &'a str,
    down_seconds: u64,
    router: &'a str,
}

#[derive(Serialize)]
struct Slack<'a> {
    text: &'a str,
}

#[derive(Serialize)]
struct PagerDuty<'a> {
    routing_key: &'a str,
    event_action: &'a str,
    dedup_key: &'a str,
    client: &'a str,
    payload: Incident<'a>,
}

#[derive(Serialize)]
struct Incident<'a> {
    summary: &'a str,
    source: &'a str,
    severity: &'a str,
    timestamp: &'a str,
    component: &'a str,
    group: Option<&'a str>,
    class: &'a str,
    custom_details: &'a Webhook<'a>,
}

/// The body of a request that tells `notice`, from the router of this name.
pub(super) fn body(kind: &AlertKind, router: &str, notice: &Notice) -> Bytes {
    let (since, at) = (utc(notice.since), utc(notice.at));
    let own = Webhook {
        event: notice.event.as_str(),
        backend: &notice.backend,
        namespace: notice.namespace.as_deref(),
        reason: &notice.reason,
        since: &since,
        at: &at,
        down_seconds: notice.lasted().as_secs(),
        router,
    };
    match kind {
        AlertKind::Slack => {
            let text = slack(router, notice, &since);
            RawJson::of(&Slack { text: &text })
        }
        AlertKind::PagerDuty { routing_key } => pagerduty(routing_key.expose_secret(), &own),
        // A kind of a later release speaks the router's own until it is known here.
        _ => RawJson::of(&own),
    }
    .into_bytes()
}

/// One sentence; what Slack would take for markup is taken as it is.
fn slack(router: &str, notice: &Notice, since: &str) -> String {
    let safe = |text: &str| {
        let text = text.replace('&', "&amp;");
        text.replace('<', "&lt;").replace('>', "&gt;")
    };
    let (router, backend) = (safe(router), safe(&notice.backend));
    let reason = safe(&notice.reason);
    match notice.event {
        Event::Unhealthy => {
            format!(
                ":red_circle: {router}: backend `{backend}` is unhealthy since {since}: {reason}"
            )
        }
        Event::Recovered => {
            let seconds = notice.lasted().as_secs();
            format!(
                ":large_green_circle: {router}: backend `{backend}` has recovered after \
                 {seconds} s: {reason}"
            )
        }
    }
}

fn pagerduty(routing_key: &str, own: &Webhook<'_>) -> RawJson {
    let Webhook {
        backend, router, ..
    } = own;
    let (action, what) = match own.event {
        "backend_unhealthy" => ("trigger", "is unhealthy"),
        _ => ("resolve", "has recovered"),
    };
    let summary = format!("{router}: backend {backend} {what}: {}", own.reason);
    let summary: String = summary.chars().take(SUMMARY).collect();
    RawJson::of(&PagerDuty {
        routing_key,
        event_action: action,
        // The same from every replica of the router: one outage is one incident.
        dedup_key: &format!("{router}/{backend}"),
        client: "mcp-router",
        payload: Incident {
            summary: &summary,
            source: router,
            severity: "error",
            timestamp: own.at,
            component: backend,
            group: own.namespace,
            class: own.event,
            custom_details: own,
        },
    })
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use serde_json::{Value, json};

    use super::*;

    fn notice(event: Event) -> Notice {
        Notice {
            event,
            backend: "search".into(),
            namespace: Some("s".into()),
            reason: "probe failed: <b>&".to_owned(),
            since: UNIX_EPOCH + Duration::from_secs(1_800_000_000),
            at: UNIX_EPOCH + Duration::from_secs(1_800_000_007),
        }
    }

    fn told(kind: &AlertKind, event: Event) -> Value {
        let body = body(kind, "front", &notice(event));
        serde_json::from_slice(&body).unwrap()
    }

    fn own(event: &str) -> Value {
        json!({
            "event": event, "backend": "search", "namespace": "s",
            "reason": "probe failed: <b>&", "since": "2027-01-15T08:00:00.000Z",
            "at": "2027-01-15T08:00:07.000Z", "down_seconds": 7, "router": "front",
        })
    }

    #[test]
    fn a_webhook_gets_everything_as_json() {
        for event in [Event::Unhealthy, Event::Recovered] {
            assert_eq!(told(&AlertKind::Webhook, event), own(event.as_str()));
        }
    }

    #[test]
    fn slack_gets_one_sentence_that_is_no_markup() {
        let out = told(&AlertKind::Slack, Event::Unhealthy);
        assert_eq!(
            out["text"],
            ":red_circle: front: backend `search` is unhealthy since \
             2027-01-15T08:00:00.000Z: probe failed: &lt;b&gt;&amp;"
        );
        let back = told(&AlertKind::Slack, Event::Recovered);
        let back = back["text"].as_str().unwrap();
        assert!(back.contains("has recovered after 7 s"), "{back}");
    }

    #[test]
    fn pagerduty_gets_an_incident_and_its_end_under_one_key() {
        let kind = AlertKind::PagerDuty {
            routing_key: "R0".to_owned().into(),
        };
        let out = told(&kind, Event::Unhealthy);
        let expected = json!({
            "routing_key": "R0", "event_action": "trigger", "dedup_key": "front/search",
            "client": "mcp-router",
            "payload": {
                "summary": "front: backend search is unhealthy: probe failed: <b>&",
                "source": "front", "severity": "error",
                "timestamp": "2027-01-15T08:00:07.000Z",
                "component": "search", "group": "s", "class": "backend_unhealthy",
                "custom_details": own("backend_unhealthy"),
            },
        });
        assert_eq!(out, expected);
        let back = told(&kind, Event::Recovered);
        assert_eq!(back["event_action"], "resolve");
        assert_eq!(back["dedup_key"], out["dedup_key"]);
    }
}
