//! The two backends of namespace `time`: one tells the time, the other takes over.

use std::time::{Duration, SystemTime};

use futures::future::FutureExt;
use futures::stream::{self, StreamExt};
use mcp_router_observe::utc;
use mcp_router_protocol::{Method, RawJson, RawParams};
use mcp_router_service::{Event, McpResponse, Outcome, ResponseStream};
use serde::{Deserialize, Serialize};

use super::offer::{Answer, Call, Offer, now, tool_error, tool_text, tool_value};
use super::outage::Outage;

pub(super) struct Clock {
    name: &'static str,
    outage: Outage,
}

impl Clock {
    pub(super) const fn new(name: &'static str, outage: Outage) -> Self {
        Self { name, outage }
    }

    fn tell(&self) -> McpResponse {
        #[derive(Serialize)]
        struct Time<'a> {
            utc: String,
            told_by: &'a str,
        }
        tool_value(&Time {
            utc: utc(SystemTime::now()),
            told_by: self.name,
        })
    }

    fn go_away(&self, call: &Call) -> Result<McpResponse, McpResponse> {
        #[derive(Deserialize)]
        struct Away {
            #[serde(default = "twenty")]
            seconds: u64,
        }
        const fn twenty() -> u64 {
            20
        }
        let Away { seconds } = call.read()?;
        if !(1..=300).contains(&seconds) {
            return Err(tool_error("`seconds` must be between 1 and 300."));
        }
        self.outage.begin(Duration::from_secs(seconds));
        let name = self.name;
        Ok(tool_text(&format!("{name} is away for {seconds} s.")))
    }
}

impl Offer for Clock {
    fn lists(&self) -> &'static str {
        include_str!("clock.json")
    }

    fn tool(&self, name: &str, call: Call) -> Option<Answer> {
        Some(match name {
            "now" => now(self.tell()),
            "outage" => now(self.go_away(&call).unwrap_or_else(|invalid| invalid)),
            "countdown" => countdown(&call),
            _ => return None,
        })
    }

    fn is_away(&self) -> bool {
        self.outage.is_on()
    }
}

/// The arguments of `countdown`.
#[derive(Clone, Copy, Deserialize)]
#[serde(default)]
struct Countdown {
    from: u64,
    step_ms: u64,
}

impl Default for Countdown {
    fn default() -> Self {
        Self {
            from: 5,
            step_ms: 500,
        }
    }
}

fn countdown(call: &Call) -> Answer {
    let args: Countdown = match call.read() {
        Ok(args) => args,
        Err(invalid) => return now(invalid),
    };
    if args.from > 100 || args.step_ms > 10_000 {
        return now(tool_error(
            "`from` goes up to 100 and `step_ms` up to 10000.",
        ));
    }
    let step = Duration::from_millis(args.step_ms);
    if call.context.wants_progress {
        let steps = stream::unfold(0, move |done| async move {
            // The first step is told at once: it is what makes the answer a stream.
            if done > 0 && done <= args.from {
                tokio::time::sleep(step).await;
            }
            let event = match done {
                done if done <= args.from => progress(done, args.from),
                done if done == args.from + 1 => Event::Outcome(lift_off()),
                _ => return None,
            };
            Some((Ok(event), done + 1))
        });
        return now(McpResponse::Stream(ResponseStream::new(steps.boxed())));
    }
    let all = step * u32::try_from(args.from).unwrap_or(u32::MAX);
    async move {
        tokio::time::sleep(all).await;
        McpResponse::Ready(lift_off())
    }
    .boxed()
}

fn progress(done: u64, total: u64) -> Event {
    let left = total - done;
    let params = format!(
        r#"{{"progressToken":"demo","progress":{done},"total":{total},"message":"{left} …"}}"#
    );
    Event::Notification {
        method: Method::Progress,
        params: RawParams::of(&RawJson::from_checked(params.into())),
    }
}

fn lift_off() -> Outcome {
    Outcome::Complete(RawJson::from_static(
        r#"{"content":[{"type":"text","text":"Lift-off!"}],"isError":false}"#,
    ))
}
