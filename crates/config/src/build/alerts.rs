//! Who is told of outages.

use super::{Site, endpoint};
use crate::model::{AlertConfig, AlertKind};
use crate::raw::{RawAlert, RawAlertType};
use crate::yaml::Path;

/// Most receivers. Each has a queue and a connection.
const MOST: usize = 32;

pub(super) fn alerts(raw: Vec<Option<RawAlert>>, site: &mut Site<'_>) -> Vec<AlertConfig> {
    let path = Path::root().key("alerts");
    if raw.len() > MOST {
        site.wrong(&path, format_args!("has more than {MOST} entries"));
    }
    let built = raw.into_iter().enumerate().map(|(at, alert)| {
        let path = path.item(at);
        match alert {
            Some(alert) => self::alert(alert, &path, site),
            None => {
                site.missing(&path, "is empty");
                None
            }
        }
    });
    built.collect::<Vec<_>>().into_iter().flatten().collect()
}

fn alert(raw: RawAlert, path: &Path, site: &mut Site<'_>) -> Option<AlertConfig> {
    let headers = endpoint::headers(raw.headers.as_ref(), path, site);
    if let Some(Err(problem)) = raw.url.as_deref().map(endpoint::url) {
        site.wrong(&path.key("url"), problem);
    }
    if raw.routing_key.is_some() && raw.r#type.is_some_and(|t| t != RawAlertType::Pagerduty) {
        site.wrong_key(&path.key("routing_key"), "is for `type: pagerduty` only");
    }
    let kind = match raw.r#type {
        None => {
            let problem = "is missing: webhook, slack or pagerduty";
            site.missing(&path.key("type"), problem);
            return None;
        }
        Some(RawAlertType::Webhook) => AlertKind::Webhook,
        Some(RawAlertType::Slack) => AlertKind::Slack,
        Some(RawAlertType::Pagerduty) => {
            let Some(key) = raw.routing_key else {
                site.missing(&path.key("routing_key"), "is missing");
                return None;
            };
            AlertKind::PagerDuty {
                routing_key: key.into(),
            }
        }
    };
    if raw.url.is_none() && !matches!(kind, AlertKind::PagerDuty { .. }) {
        site.missing(&path.key("url"), "is missing");
        return None;
    }
    Some(AlertConfig {
        kind,
        url: raw.url.map(Into::into),
        headers,
    })
}
