//! Parked calls under any order of what backend, client and time may do.

use std::collections::HashMap;
use std::time::Duration;

use mcp_router_protocol::{Method, RawJson};
use mcp_router_service::Outcome;
use serde_json::{Value, json};

use super::*;

/// One call: what the client knows of it and what the backend waits for.
struct Talk {
    call: Value,
    feed: Feed,
    /// The last interim result.
    round: Value,
    /// Rounds that were sent, with their answers.
    sent: Vec<(Value, Outcome)>,
    waits: HashMap<u64, oneshot::Receiver<Reply>>,
    asked: u64,
}

impl Talk {
    fn ask(&mut self) {
        self.asked += 1;
        let reply = self.feed.ask(Method::Elicit, form(&self.asked.to_string()));
        self.waits.insert(self.asked, reply);
    }

    /// Answers to some of what the round wants; each says which request it is for.
    fn answers(&self, random: &mut fastrand::Rng) -> (Value, Vec<u64>) {
        let mut next = self.call.clone();
        next["requestState"] = self.round["requestState"].clone();
        next["inputResponses"] = json!({});
        let mut given = Vec::new();
        for (key, request) in self.round["inputRequests"].as_object().unwrap() {
            if random.u8(..4) > 0 {
                let number = request["params"]["message"].as_str().unwrap();
                next["inputResponses"][key] = json!({"action": "accept", "for": number});
                given.push(number.parse().unwrap());
            }
        }
        (next, given)
    }

    /// Every answer has reached the request that it is for, and nothing else has.
    async fn settle(&mut self, given: &[u64]) {
        for number in given {
            let answer = self.waits.remove(number).unwrap().await.unwrap().unwrap();
            assert_eq!(value(&answer)["for"], number.to_string());
        }
        for wait in self.waits.values_mut() {
            assert!(wait.try_recv().is_err(), "answered by nobody");
        }
    }
}

async fn begin(scene: &mut Scene, number: u64) -> Talk {
    let call = tool(&json!({"arguments": {"call": number}}));
    let answer = scene.send(Method::ToolsCall, &call);
    let mut talk = Talk {
        call,
        feed: scene.call().await.streamed(),
        round: Value::Null,
        sent: Vec::new(),
        waits: HashMap::new(),
        asked: 0,
    };
    talk.ask();
    talk.round = interim_of(finished(answer.await.unwrap()).await.0);
    talk
}

/// The next round of a call; whether there is one after it.
async fn proceed(scene: &Scene, talk: &mut Talk, random: &mut fastrand::Rng) -> bool {
    let (next, given) = talk.answers(random);
    let answer = scene.send(Method::ToolsCall, &next);
    let answer = tokio::spawn(async { finished(answer.await.unwrap()).await.0 });
    talk.settle(&given).await;
    if talk.waits.is_empty() {
        match random.bool() {
            true => talk.ask(),
            false => talk.feed.end(),
        }
    }
    let outcome = answer.await.unwrap();
    talk.sent.push((next, outcome.clone()));
    match outcome {
        Outcome::InputRequired(interim) => {
            talk.round = value(&interim.result);
            true
        }
        outcome => {
            assert!(is_complete(&outcome));
            false
        }
    }
}

fn same(one: &Outcome, other: &Outcome) -> bool {
    let text = |outcome: &Outcome| match outcome {
        Outcome::InputRequired(interim) => interim.result.clone(),
        Outcome::Complete(result) => result.clone(),
        Outcome::Error(error) => error.raw().clone(),
        Outcome::Accepted => RawJson::from_static("null"),
    };
    text(one) == text(other)
}

#[tokio::test(start_paused = true)]
async fn r33_r37_answers_reach_their_own_requests_in_any_order_and_nothing_is_left_over() {
    for seed in 0..60 {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut scene = Scene::modern();
        let mut talks = Vec::new();
        let mut begun = 0;
        for _ in 0..60 {
            if talks.is_empty() || (talks.len() < 5 && random.u8(..4) == 0) {
                begun += 1;
                talks.push(begin(&mut scene, begun).await);
                continue;
            }
            let at = random.usize(..talks.len());
            match random.u8(..6) {
                // Something more is wanted while the client is away.
                0 => talks[at].ask(),
                1 => talks[at].feed.notify(Method::Progress),
                2 => tokio::time::sleep(Duration::from_secs(1)).await,
                // A round that was sent lately is sent again: the same answer.
                3 if !talks[at].sent.is_empty() => {
                    let (round, before) = talks[at].sent.last().unwrap();
                    let again = scene.send(Method::ToolsCall, round).await.unwrap();
                    let again = finished(again).await.0;
                    assert!(same(&again, before), "seed {seed}");
                }
                _ => {
                    if !proceed(&scene, &mut talks[at], &mut random).await {
                        talks.swap_remove(at);
                    }
                }
            }
            assert!(
                scene.calls.try_recv().is_err(),
                "seed {seed}: a tool ran twice"
            );
        }
        tokio::time::sleep(Duration::from_secs(302)).await;
        assert_eq!(scene.router.hub.bridge.parks.waiting(), 0, "seed {seed}");
        assert!(talks.iter().all(|talk| !talk.feed.is_open()), "seed {seed}");
    }
}
