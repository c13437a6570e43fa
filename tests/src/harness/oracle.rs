//! What a client saw of a call against what really happened: the judge of the invariants.
//!
//! A call has one outcome, in time (I1), which is its own (I2). What is unsafe ran at most once
//! (I3); what was "not sent" did not run (I4); an answer to something unsafe means that it ran
//! exactly once (I5). Progress comes in order and ends with the answer (I6). When all is over,
//! nothing is left of it (I7).

use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;

use super::process::descendants;
use super::router::Router;

/// One call, as its client saw it.
#[derive(Clone, Debug)]
pub struct Seen {
    /// What the arguments named it; a tool of the fixture counts its executions by it.
    pub nonce: String,
    /// Whether it may run more than once: a tool that says so, or a backend that is told so.
    pub repeatable: bool,
    /// How long the answer took.
    pub took: Duration,
    /// How long it may take.
    pub limit: Duration,
    /// Everything that came back, oldest first; `None` if the client left before that.
    pub messages: Option<Vec<Value>>,
}

/// How a call ended.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Fate {
    /// With an answer of the backend.
    Served,
    /// With a failure report of this reason.
    Failed(String),
    /// With a JSON-RPC error that is no failure report.
    Refused(i64),
    /// The client did not wait for it.
    Left,
}

/// The failure report in a tool's result or in an error's data.
#[must_use]
pub fn failure(answer: &Value) -> Option<&Value> {
    let in_result = answer["result"]["_meta"].get("mcp-router/failure");
    let in_data = answer["error"].get("data");
    in_result.or(in_data).filter(|f| f["reason"].is_string())
}

impl Seen {
    /// How it ended, and which invariants that breaks, given how often it ran.
    #[must_use]
    pub fn judge(&self, ran: u64) -> (Fate, Vec<String>) {
        let mut broken = Vec::new();
        let mut must = |holds: bool, what: &str| {
            if !holds {
                broken.push(format!("{what}: {self:?} ran {ran} times"));
            }
        };
        must(ran <= 1 || self.repeatable, "I3: unsafe and run twice");
        let Some(messages) = &self.messages else {
            return (Fate::Left, broken);
        };
        must(self.took <= self.limit, "I1: late");
        let answers = messages.iter().filter(|m| m.get("id").is_some());
        must(answers.count() == 1, "I1: not one answer");
        must(in_order(messages), "I6: progress out of order or late");
        let Some(answer) = messages.last() else {
            return (Fate::Left, broken);
        };
        let fate = fate(answer);
        match &fate {
            Fate::Served => {
                must(self.is_own(answer), "I2: the answer to something else");
                must(self.repeatable || ran == 1, "I5: an answer without a run");
                must(ran > 0 || !counts(answer), "I5: an answer without a run");
            }
            Fate::Failed(_) => {
                let unsent = failure(answer).is_some_and(|f| f["sent"] == "no");
                must(!unsent || ran == 0, "I4: not sent, and run");
            }
            // An error of the last attempt says nothing of the earlier ones.
            Fate::Refused(_) => must(self.repeatable || ran == 0, "I4: refused, and run"),
            Fate::Left => {}
        }
        (fate, broken)
    }

    /// Whether the answer names the nonce, as all answers of the fixture to a nonce do.
    fn is_own(&self, answer: &Value) -> bool {
        answer["result"].to_string().contains(&self.nonce)
    }
}

/// Whether the fixture counted what it answers here.
fn counts(answer: &Value) -> bool {
    answer["result"]["structuredContent"]["executions"].is_number()
}

fn fate(answer: &Value) -> Fate {
    if let Some(failure) = failure(answer) {
        let reason = failure["reason"].as_str().unwrap_or_default();
        return Fate::Failed(reason.to_owned());
    }
    match answer["error"]["code"].as_i64() {
        Some(code) => Fate::Refused(code),
        None => Fate::Served,
    }
}

/// Progress rises, and the answer is last.
fn in_order(messages: &[Value]) -> bool {
    let Some((answer, before)) = messages.split_last() else {
        return false;
    };
    let steps = before.iter().map(|m| m["params"]["progress"].as_f64());
    let steps: Option<Vec<f64>> = steps.collect();
    answer.get("id").is_some() && steps.is_some_and(|s| s.is_sorted_by(|a, b| a < b))
}

/// What a router holds when nothing happens.
#[derive(Clone, Copy, Debug)]
pub struct Baseline {
    descriptors: usize,
    children: usize,
}

impl Baseline {
    /// What it holds now.
    #[must_use]
    pub fn of(router: &Router) -> Self {
        let folder = format!("/proc/{}/fd", router.pid());
        Self {
            descriptors: std::fs::read_dir(folder).map_or(0, Iterator::count),
            children: descendants(router.pid()).len(),
        }
    }

    /// Waits until it holds no more than this again, but for `spare` descriptors: connections that
    /// are kept for reuse.
    ///
    /// # Panics
    /// If it does after 30 s.
    pub async fn until_back(&self, router: &Router, spare: usize) {
        let start = Instant::now();
        loop {
            let now = Self::of(router);
            if now.descriptors <= self.descriptors + spare && now.children == self.children {
                return;
            }
            assert!(
                start.elapsed() < Duration::from_secs(30),
                "{now:?}, and before {self:?}"
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn seen(repeatable: bool, messages: Vec<Value>) -> Seen {
        Seen {
            nonce: "n7".to_owned(),
            repeatable,
            took: Duration::from_secs(1),
            limit: Duration::from_secs(2),
            messages: Some(messages),
        }
    }

    fn answer() -> Value {
        json!({"id": 1, "result": {"structuredContent": {"nonce": "n7", "executions": 1}}})
    }

    fn failed(sent: &str) -> Value {
        let failure = json!({"reason": "timeout", "sent": sent});
        json!({"id": 1, "result": {"isError": true, "_meta": {"mcp-router/failure": failure}}})
    }

    fn step(n: u64) -> Value {
        json!({"method": "notifications/progress", "params": {"progress": n}})
    }

    #[test]
    fn what_is_well_breaks_nothing() {
        for (seen, ran, fate) in [
            (
                seen(false, vec![step(1), step(2), answer()]),
                1,
                Fate::Served,
            ),
            (seen(true, vec![answer()]), 3, Fate::Served),
            (
                seen(false, vec![failed("unknown")]),
                1,
                Fate::Failed("timeout".to_owned()),
            ),
            (
                seen(false, vec![failed("no")]),
                0,
                Fate::Failed("timeout".to_owned()),
            ),
        ] {
            assert_eq!(seen.judge(ran), (fate, vec![]));
        }
    }

    #[test]
    fn each_breach_is_named_by_its_invariant() {
        let late = Seen {
            took: Duration::from_secs(3),
            ..seen(false, vec![answer()])
        };
        let foreign = json!({"id": 1, "result": {"structuredContent": {"nonce": "n8"}}});
        for (seen, ran, name) in [
            (late, 1, "I1"),
            (seen(false, vec![answer(), answer()]), 1, "I1"),
            (seen(false, vec![foreign]), 1, "I2"),
            (seen(false, vec![failed("unknown")]), 2, "I3"),
            (seen(false, vec![failed("no")]), 1, "I4"),
            (seen(false, vec![answer()]), 0, "I5"),
            (seen(false, vec![step(2), step(1), answer()]), 1, "I6"),
            (seen(false, vec![answer(), step(1)]), 1, "I6"),
        ] {
            let (_, broken) = seen.judge(ran);
            assert!(
                broken.iter().any(|b| b.starts_with(name)),
                "{name}: {broken:?}"
            );
        }
    }
}
