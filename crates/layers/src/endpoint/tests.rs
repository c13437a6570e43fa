use mcp_router_health::Verdict;

use super::*;
use crate::testing::secs;

fn endpoint() -> Endpoint {
    Endpoint::new("e", BreakerParams::new(2, secs(60), 1).unwrap())
}

fn fail(endpoint: &Endpoint) {
    endpoint.admit().unwrap().report(Verdict::Failure);
}

#[tokio::test(start_paused = true)]
async fn its_standing_is_the_worst_that_is_known() {
    let e = endpoint();
    assert_eq!(e.standing(), Standing::Usable);
    e.set_probe(Probe::Down);
    assert_eq!(e.standing(), Standing::Doubtful);
    e.set_probe(Probe::Up);
    e.set_linked(false);
    assert_eq!(e.standing(), Standing::Doubtful);
    e.set_linked(true);
    assert_eq!(e.standing(), Standing::Usable);
    fail(&e);
    assert_eq!((e.standing(), e.failures()), (Standing::Usable, 1));
    fail(&e);
    let retry_in = secs(60);
    assert_eq!(e.standing(), Standing::Refused { retry_in });
    assert_eq!(
        (e.state(), e.retry_in()),
        (CircuitState::Open, Some(retry_in))
    );
    tokio::time::advance(secs(60)).await;
    assert_eq!(e.standing(), Standing::Usable);
    let trial = e.admit().unwrap();
    assert!(trial.is_trial());
    assert_eq!(e.standing(), Standing::Doubtful);
    trial.report(Verdict::Success);
    assert_eq!(
        (e.state(), e.standing()),
        (CircuitState::Closed, Standing::Usable)
    );
}

#[tokio::test(start_paused = true)]
async fn f21_it_rests_for_a_minute_at_most() {
    let e = endpoint();
    assert_eq!(e.resting(), None);
    e.rest_for(secs(5));
    e.rest_for(secs(2));
    assert_eq!(e.resting(), Some(secs(5)));
    e.rest_for(secs(3600));
    assert_eq!(e.standing(), Standing::Doubtful);
    tokio::time::advance(secs(60)).await;
    assert_eq!((e.resting(), e.standing()), (None, Standing::Usable));
}

#[tokio::test(start_paused = true)]
async fn what_failed_is_told_until_it_works_again() {
    let e = endpoint();
    e.note_failure(Stage::Connect, "refused", Some(secs(1)));
    tokio::time::advance(secs(3)).await;
    e.note_failure(Stage::Connect, "refused again", None);
    let failure = e.last_failure().unwrap();
    assert_eq!(failure.since.elapsed(), secs(3));
    assert_eq!(&*failure.text, "refused again");
    e.note_failure(Stage::Probe, "nobody there", None);
    assert_eq!(e.last_failure().unwrap().since.elapsed(), secs(3));
    e.note_failure(Stage::Call, "HTTP 502", None);
    assert_eq!(e.last_failure().unwrap().since.elapsed(), secs(0));
    e.note_failure(Stage::Connect, "refused", None);
    e.set_probe(Probe::Up);
    assert!(e.last_failure().is_some());
    e.set_linked(true);
    assert_eq!(e.last_failure(), None);
    e.note_failure(Stage::Call, "HTTP 502", None);
    e.admit().unwrap().report(Verdict::Success);
    assert_eq!(e.last_failure(), None);
}

#[tokio::test]
async fn calls_are_counted_while_they_run() {
    let e = endpoint();
    let (a, b) = (e.admit().unwrap(), e.track());
    assert_eq!(e.in_flight(), 2);
    a.report(Verdict::Success);
    drop(b);
    drop(e.admit_probe());
    assert_eq!(e.in_flight(), 0);
}
