//! The calls that ended last, for whoever looks at the dashboard.
//!
//! An operator who comes because something is wrong wants to see the calls of the last minute, not
//! those from now on. So each call leaves a note, whether anybody looks or not, and a note must
//! cost next to nothing: it is written over the oldest one, into memory that is already there.
//!
//! A note never waits. A slot that somebody reads at this very moment keeps what it has, and the
//! call is counted as missed.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError, TryLockError};
use std::time::{Duration, Instant, SystemTime};

use crate::call::{CallEnd, CallSink, Ending};

/// How many calls are kept.
pub const RECENT: usize = 256;
/// Bytes kept of each name.
const LONGEST: usize = 128;

/// The calls that ended last.
#[derive(Debug)]
pub struct RecentCalls {
    slots: Box<[Mutex<Slot>]>,
    /// How many calls were noted or missed.
    next: AtomicU64,
    missed: AtomicU64,
}

/// One of the calls that ended last.
#[derive(Clone, Debug)]
pub struct RecentCall {
    /// When it ended.
    pub at: SystemTime,
    /// The client's own name.
    pub client: String,
    /// The method.
    pub method: String,
    /// The exposed name of the tool or prompt.
    pub tool: String,
    /// The backend that it went to last.
    pub backend: String,
    /// How it ended.
    pub outcome: Ending,
    /// How long it took.
    pub duration: Duration,
    /// How many times it was given to a backend.
    pub attempts: u32,
}

/// A note and its number, from 1; 0 before the first.
#[derive(Debug)]
struct Slot {
    number: u64,
    /// Stands for `call.at`, which is known once somebody reads.
    ended: Instant,
    call: RecentCall,
}

impl RecentCalls {
    /// Nothing noted yet.
    pub fn new() -> Self {
        Self {
            slots: (0..RECENT).map(|_| Mutex::new(Slot::new())).collect(),
            next: AtomicU64::new(0),
            missed: AtomicU64::new(0),
        }
    }

    fn note(&self, call: &CallEnd<'_>) {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        // The remainder is below `RECENT`.
        let Some(slot) = self.slots.get((number % RECENT as u64) as usize) else {
            return;
        };
        match slot.try_lock() {
            Ok(mut slot) => slot.write(number + 1, call),
            Err(TryLockError::Poisoned(slot)) => slot.into_inner().write(number + 1, call),
            Err(TryLockError::WouldBlock) => {
                self.missed.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    /// How many calls have ended, and how many of them could not be noted.
    pub fn counts(&self) -> (u64, u64) {
        let all = self.next.load(Ordering::Relaxed);
        (all, self.missed.load(Ordering::Relaxed))
    }

    /// What is noted, the newest first.
    pub fn newest(&self) -> Vec<RecentCall> {
        let mut noted: Vec<_> = self.slots.iter().filter_map(read).collect();
        noted.sort_unstable_by_key(|(number, _)| std::cmp::Reverse(*number));
        noted.into_iter().map(|(_, call)| call).collect()
    }

    /// The call of `tool` that ended last, by its exposed name, if it is still noted.
    pub fn last_of(&self, tool: &str) -> Option<RecentCall> {
        let wanted = cut(tool);
        let of_tool = |slot: &&Mutex<Slot>| {
            let slot = slot.lock().unwrap_or_else(PoisonError::into_inner);
            slot.number > 0 && slot.call.method == "tools/call" && slot.call.tool == wanted
        };
        let noted = self.slots.iter().filter(of_tool).filter_map(read);
        let last = noted.max_by_key(|(number, _)| *number);
        // It may have been written over in between.
        last.map(|(_, call)| call)
            .filter(|call| call.tool == wanted)
    }
}

/// Never waits, and allocates only while a slot has not yet seen names as long.
impl CallSink for RecentCalls {
    fn ended(&self, end: &CallEnd<'_>) {
        self.note(end);
    }
}

impl Default for RecentCalls {
    fn default() -> Self {
        Self::new()
    }
}

fn read(slot: &Mutex<Slot>) -> Option<(u64, RecentCall)> {
    let slot = slot.lock().unwrap_or_else(PoisonError::into_inner);
    (slot.number > 0).then(|| {
        let mut call = slot.call.clone();
        let now = SystemTime::now();
        call.at = now.checked_sub(slot.ended.elapsed()).unwrap_or(now);
        (slot.number, call)
    })
}

impl Slot {
    fn new() -> Self {
        Self {
            number: 0,
            ended: Instant::now(),
            call: RecentCall {
                at: SystemTime::UNIX_EPOCH,
                client: String::new(),
                method: String::new(),
                tool: String::new(),
                backend: String::new(),
                outcome: Ending::Ok,
                duration: Duration::ZERO,
                attempts: 0,
            },
        }
    }

    fn write(&mut self, number: u64, call: &CallEnd<'_>) {
        let into = &mut self.call;
        self.number = number;
        self.ended = call.ended;
        set(&mut into.client, call.client.unwrap_or_default());
        set(&mut into.method, call.method);
        set(&mut into.tool, call.tool.unwrap_or_default());
        set(&mut into.backend, call.backend.unwrap_or_default());
        into.outcome = call.outcome;
        into.duration = call.duration;
        into.attempts = call.attempts;
    }
}

/// Writes over `into` in place; a longer text is cut.
fn set(into: &mut String, text: &str) {
    into.clear();
    into.push_str(cut(text));
}

fn cut(text: &str) -> &str {
    &text[..text.floor_char_boundary(LONGEST)]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(tool: &str) -> CallEnd<'_> {
        CallEnd {
            method: "tools/call",
            client: Some("agent"),
            tool: Some(tool),
            backend: None,
            outcome: Ending::Ok,
            code: None,
            error: None,
            sent: None,
            attempts: 1,
            ended: Instant::now(),
            duration: Duration::from_millis(5),
            last: None,
            earlier: &[],
        }
    }

    #[test]
    fn the_newest_come_first_and_the_oldest_go() {
        let recent = RecentCalls::new();
        assert!(recent.newest().is_empty());
        for n in 0..RECENT + 10 {
            recent.note(&call(&format!("t{n}")));
        }
        let newest = recent.newest();
        assert_eq!(newest.len(), RECENT);
        assert_eq!(newest[0].tool, format!("t{}", RECENT + 9));
        assert_eq!(newest[RECENT - 1].tool, "t10");
        assert_eq!(recent.counts(), (RECENT as u64 + 10, 0));
    }

    #[test]
    fn the_last_call_of_a_tool_is_found_by_its_whole_name() {
        let recent = RecentCalls::new();
        let long = "é".repeat(500);
        for (tool, attempts) in [("a", 1), (&*long, 2), ("a", 3), ("b", 4)] {
            recent.note(&CallEnd {
                attempts,
                ..call(tool)
            });
        }
        let attempts = |tool| recent.last_of(tool).map(|call| call.attempts);
        assert_eq!(attempts("a"), Some(3));
        assert_eq!(attempts(&long), Some(2));
        assert_eq!(attempts("c"), None);
        let prompt = CallEnd {
            method: "prompts/get",
            ..call("c")
        };
        recent.note(&prompt);
        assert_eq!(attempts("c"), None, "not a tool");
    }

    #[test]
    fn long_names_are_cut_between_characters() {
        let recent = RecentCalls::new();
        recent.note(&call(&"é".repeat(500)));
        recent.note(&call(&format!("x{}", "é".repeat(500))));
        let lengths: Vec<_> = recent.newest().iter().map(|c| c.tool.len()).collect();
        assert_eq!(lengths, [127, 128]);
    }

    #[test]
    fn a_note_does_not_wait_for_a_reader_and_is_counted_as_missed() {
        let recent = RecentCalls::new();
        let reading = recent.slots[1].lock().unwrap();
        for name in ["first", "second", "third"] {
            recent.note(&call(name));
        }
        drop(reading);
        let names: Vec<_> = recent.newest().into_iter().map(|c| c.tool).collect();
        assert_eq!(names, ["third", "first"]);
        assert_eq!(recent.counts(), (3, 1));
    }

    #[test]
    fn a_call_is_told_to_have_ended_when_it_did() {
        let recent = RecentCalls::new();
        let ago = Duration::from_secs(60);
        let Some(ended) = Instant::now().checked_sub(ago) else {
            return; // on a machine that has only just started
        };
        recent.note(&CallEnd { ended, ..call("t") });
        let since = recent.newest()[0].at.elapsed().unwrap();
        assert!((ago..2 * ago).contains(&since), "{since:?}");
    }
}
