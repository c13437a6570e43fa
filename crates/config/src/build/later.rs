//! Keys of later releases: wrong values are said now.

use super::{Site, endpoint};
use crate::raw::{RawAlert, RawAlertType, RawRegistration};
use crate::yaml::Path;

pub(super) fn alerts(raw: Vec<Option<RawAlert>>, site: &mut Site<'_>) {
    for (at, alert) in raw.iter().enumerate() {
        let path = Path::root().key("alerts").item(at);
        let Some(alert) = alert else {
            site.missing(&path, "is empty");
            continue;
        };
        match alert.r#type {
            None => site.missing(&path.key("type"), "is missing: webhook, slack or pagerduty"),
            Some(RawAlertType::Pagerduty) => {
                if alert.routing_key.is_none() {
                    site.missing(&path.key("routing_key"), "is missing");
                }
            }
            Some(RawAlertType::Webhook | RawAlertType::Slack) => {
                if alert.url.is_none() {
                    site.missing(&path.key("url"), "is missing");
                }
            }
        }
        if let Some(Err(problem)) = alert.url.as_deref().map(endpoint::url) {
            site.wrong(&path.key("url"), problem);
        }
    }
}

pub(super) fn registration(raw: &RawRegistration, site: &mut Site<'_>) {
    let path = Path::root().key("registration").key("allow_commands");
    let commands = raw.allow_commands.iter().flatten().enumerate();
    for (at, _) in commands.filter(|(_, command)| command.trim().is_empty()) {
        site.wrong(&path.item(at), "must not be empty");
    }
}
