//! What is done to the backends meanwhile.

use std::time::Duration;

use fastrand::Rng;
use mcp_router_tests::fixture::{Fault, Fixture, Rule};
use mcp_router_tests::harness::{alive, signal};

use super::scene::Scene;

/// Does something to a backend every few milliseconds, for ever.
pub(crate) async fn wreak(scene: &Scene, seed: u64) {
    let mut random = Rng::with_seed(seed);
    // Each costs a wait that is twice as long as the one before.
    let mut kills = 4;
    loop {
        tokio::time::sleep(Duration::from_millis(random.u64(2..12))).await;
        let backend = &scene.odd[random.usize(..scene.odd.len())];
        match random.u8(..40) {
            0 => backend.cut_connections(),
            1 => backend.forget_sessions(),
            2 | 3 => {
                backend.go_down().await;
                tokio::time::sleep(Duration::from_millis(random.u64(..200))).await;
                backend.go_up().await;
            }
            4 | 5 => backend.add_tool(&format!("t{}", random.u8(..4))),
            6 => backend.remove_tool(&format!("t{}", random.u8(..4))),
            7 if kills > 0 && random.u8(..8) == 0 => {
                kills -= 1;
                kill(scene);
            }
            8..20 => backend.clear_faults(),
            _ => spoil(backend, &mut random),
        }
    }
}

/// Ends the child's life, if it has one.
fn kill(scene: &Scene) {
    let last = scene.kid.pids("started").pop();
    if let Some(pid) = last.filter(|pid| alive(*pid)) {
        signal(pid, "KILL");
    }
}

fn spoil(backend: &Fixture, random: &mut Rng) {
    let rule = match random.u8(..10) {
        0 => Rule::new(any_of_lists(random)).on("tools/list"),
        1 => Rule::new(any(random)),
        _ => Rule::new(any(random)).on("tools/call"),
    };
    backend.set_fault(rule.times(random.u32(1..5)));
}

fn any_of_lists(random: &mut Rng) -> Fault {
    let all = [Fault::EndlessCursor, Fault::RepeatedCursor];
    random.choice(all).expect("some")
}

fn any(random: &mut Rng) -> Fault {
    let refusal = |code, retry_after| Fault::Status {
        code,
        retry_after,
        body: None,
    };
    let all = [
        Fault::NeverAnswer,
        Fault::Close,
        Fault::Reset,
        Fault::CloseMidAnswer,
        Fault::Drip { every_ms: 1 },
        Fault::Drip { every_ms: 100 },
        Fault::InvalidJson,
        Fault::TruncatedJson,
        Fault::NotMcp,
        Fault::UnknownId,
        Fault::OnlyUnknownId,
        Fault::AnswerTwice,
        Fault::Html,
        Fault::Huge { bytes: 20 << 20 },
        Fault::Compressed,
        Fault::SseCloseEarly,
        Fault::SseSilent,
        Fault::SessionGone,
        refusal(401, None),
        refusal(413, None),
        refusal(429, None),
        refusal(429, Some(1)),
        refusal(500, None),
        refusal(502, None),
        refusal(503, None),
        refusal(503, Some(1)),
        refusal(504, None),
    ];
    random.choice(all).expect("some")
}
