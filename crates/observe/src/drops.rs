//! Tells about log lines that were lost.
//!
//! A stuck log reader must not stop the router (F45), so lines are dropped. Dropped silently, the
//! gap would look like a quiet minute.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::lines::Lines;

/// How often the count is looked at.
const PERIOD: Duration = Duration::from_secs(1);

/// A thread that logs how many lines were dropped. A thread, not a task: whoever embeds this
/// crate need not run any particular runtime.
#[derive(Debug)]
pub(crate) struct DropReporter {
    lines: Lines,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl DropReporter {
    /// Starts to watch `lines`. Without a thread to spare the count is still kept.
    pub(crate) fn start(lines: Lines) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let (watched, stopped) = (lines.clone(), stop.clone());
        let thread = thread::Builder::new()
            .name("mcp-router-drops".to_owned())
            .spawn(move || watch(&watched, &stopped))
            .inspect_err(|error| tracing::warn!(%error, "dropped log lines are not reported"))
            .ok();
        Self {
            lines,
            stop,
            thread,
        }
    }

    pub(crate) fn count(&self) -> usize {
        self.lines.lost()
    }
}

impl Drop for DropReporter {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            // It only logs, and logging never blocks. A panic in there has nobody left to tell.
            let _ = thread.join();
        }
    }
}

fn watch(lines: &Lines, stop: &AtomicBool) {
    let mut reported = 0;
    loop {
        let last = stop.load(Ordering::Acquire);
        reported = report(
            reported,
            || lines.lost(),
            |lines, total| {
                tracing::warn!(
                    lines,
                    total,
                    "log lines were dropped: nobody read them in time"
                );
            },
        );
        if last {
            return;
        }
        thread::park_timeout(PERIOD);
    }
}

/// Reports what was dropped beyond `reported`, and answers what is reported now. A report that is
/// dropped itself counts as not made, and is made again with the next look.
fn report(reported: usize, dropped: impl Fn() -> usize, warn: impl FnOnce(usize, usize)) -> usize {
    let before = dropped();
    if before <= reported {
        return reported;
    }
    warn(before - reported, before);
    if dropped() > before { reported } else { before }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[test]
    fn f45_drops_are_reported_once_and_again_if_the_report_was_dropped() {
        let dropped = Cell::new(0);
        let told = Cell::new(0);
        let look = |reported, blocked: bool| {
            report(
                reported,
                || dropped.get(),
                |lines, _| match blocked {
                    true => dropped.set(dropped.get() + 1),
                    false => told.set(told.get() + lines),
                },
            )
        };
        let reported = look(0, false);
        assert_eq!((reported, told.get()), (0, 0));
        dropped.set(5);
        let reported = look(reported, true);
        assert_eq!((reported, told.get()), (0, 0));
        let reported = look(reported, false);
        assert_eq!((reported, told.get()), (6, 6));
        assert_eq!(look(reported, false), 6);
        assert_eq!(told.get(), 6);
    }
}
