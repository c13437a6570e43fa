//! What was lost on purpose: messages and log lines.

use std::fmt;

use super::family::{DROPPED_LOG_LINES, DROPPED_MESSAGES};
use super::page::{Page, Source};
use crate::{dropped, subscriber};

/// Counts messages that were dropped, by reason, and log lines that nobody read.
#[derive(Clone, Copy, Debug, Default)]
pub struct Lost;

impl Source for Lost {
    fn write(&self, page: &mut Page<'_>) -> fmt::Result {
        let messages = dropped::snapshot().map(|(reason, n)| ([reason.as_str()], n as f64));
        page.numbers(&DROPPED_MESSAGES, messages)?;
        page.one(&DROPPED_LOG_LINES, subscriber::dropped_lines() as f64)
    }
}
