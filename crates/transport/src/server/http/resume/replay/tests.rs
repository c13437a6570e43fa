use std::sync::atomic::AtomicUsize;

use futures::StreamExt;
use mcp_router_protocol::RequestId;
use tokio::sync::mpsc;

use super::*;

const MINUTE: Duration = Duration::from_secs(60);

/// A stream, its messages to come, and a reader from its beginning. Without a sender it is over.
fn stream(limit: usize) -> (mpsc::UnboundedSender<String>, Resumed, Arc<Budget>) {
    let (says, said) = mpsc::unbounded_channel::<String>();
    let source = futures::stream::unfold(said, |mut said| async move {
        let text = said.recv().await?;
        Some((Wire::of(vec![Bytes::from(text)]), said))
    });
    let budget = Arc::new(Budget {
        used: AtomicUsize::new(0),
        limit,
    });
    let id = EventId::first("r", 1, &RequestId::number(7));
    let session = SessionId::new("s");
    let replay = Replay::new(id, session, Box::pin(source), budget.clone());
    (says, Resumed::new(replay, MINUTE, 1), budget)
}

/// Number and text of the next message.
async fn next(reader: &mut Resumed) -> Option<(u64, String)> {
    let (id, wire) = reader.next().await?;
    let id = String::from_utf8(id.to_vec()).unwrap();
    let event = id.split('.').nth(2).and_then(|n| n.parse().ok());
    let text = String::from_utf8(wire.parts.concat()).unwrap();
    Some((event.unwrap_or(0), text))
}

fn message(event: u64, text: &str) -> Option<(u64, String)> {
    Some((event, text.to_owned()))
}

#[tokio::test(start_paused = true)]
async fn who_comes_back_gets_the_rest_and_nothing_twice() {
    let (says, mut reader, _) = stream(1 << 20);
    for text in ["a", "b"] {
        says.send(text.to_owned()).unwrap();
    }
    assert_eq!(next(&mut reader).await, message(1, "a"));
    assert_eq!(next(&mut reader).await, message(2, "b"));
    let replay = reader.replay.clone();
    drop(reader);
    // It goes on while nobody reads, to its end.
    says.send("c".to_owned()).unwrap();
    tokio::time::sleep(MINUTE / 2).await;
    says.send("d".to_owned()).unwrap();
    drop(says);
    tokio::time::sleep(MINUTE / 4).await;
    assert!(!replay.is_stale(Instant::now(), MINUTE));
    // The second message was on its way when the connection broke.
    let mut reader = Resumed::new(replay.clone(), MINUTE, 2);
    for expected in [message(2, "b"), message(3, "c"), message(4, "d"), None] {
        assert_eq!(next(&mut reader).await, expected);
    }
    let mut again = Resumed::new(replay.clone(), MINUTE, 5);
    assert_eq!(next(&mut again).await, None, "nothing is owed");
    tokio::time::sleep(MINUTE).await;
    assert!(replay.is_stale(Instant::now(), MINUTE));
}

#[tokio::test(start_paused = true)]
async fn the_newest_reader_has_the_stream_and_the_one_before_ends() {
    let (says, mut old, _) = stream(1 << 20);
    says.send("a".to_owned()).unwrap();
    assert_eq!(next(&mut old).await, message(1, "a"));
    let replay = old.replay.clone();
    let waiting = tokio::spawn(async move { next(&mut old).await });
    tokio::task::yield_now().await;
    let mut new = Resumed::new(replay, MINUTE, 1);
    assert_eq!(waiting.await.unwrap(), None);
    assert_eq!(next(&mut new).await, message(1, "a"));
    let waiting = tokio::spawn(async move { next(&mut new).await });
    tokio::task::yield_now().await;
    says.send("b".to_owned()).unwrap();
    assert_eq!(waiting.await.unwrap(), message(2, "b"));
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_returns_while_the_call_runs_is_woken_by_it() {
    let (says, reader, _) = stream(1 << 20);
    let replay = reader.replay.clone();
    drop(reader);
    tokio::task::yield_now().await;
    let mut reader = Resumed::new(replay, MINUTE, 1);
    let waiting = tokio::spawn(async move { next(&mut reader).await });
    tokio::task::yield_now().await;
    says.send("a".to_owned()).unwrap();
    assert_eq!(waiting.await.unwrap(), message(1, "a"));
}

#[tokio::test(start_paused = true)]
async fn a_call_that_nobody_comes_back_to_is_cancelled_after_a_minute() {
    let (says, reader, _) = stream(1 << 20);
    drop(reader);
    tokio::time::sleep(MINUTE - Duration::from_secs(1)).await;
    assert!(!says.is_closed());
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert!(says.is_closed());
}

#[tokio::test(start_paused = true)]
async fn what_is_kept_is_bounded_and_the_last_message_stays() {
    let (says, reader, budget) = stream(1 << 30);
    let replay = reader.replay.clone();
    drop(reader);
    for n in 0..1000 {
        says.send(n.to_string()).unwrap();
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(replay.lock().kept.len(), EVENTS);
    for n in 0..10 {
        says.send(format!("{n}{}", "x".repeat(BYTES / 4))).unwrap();
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(replay.lock().bytes <= BYTES);
    says.send("x".repeat(4 * BYTES)).unwrap();
    drop(says);
    tokio::time::sleep(Duration::from_secs(1)).await;
    let mut reader = Resumed::new(replay.clone(), MINUTE, 1);
    let (event, text) = next(&mut reader).await.unwrap();
    assert_eq!((event, text.len()), (1011, 4 * BYTES));
    assert_eq!(next(&mut reader).await, None);
    drop((reader, replay));
    assert_eq!(budget.used.load(Ordering::Relaxed), 0, "all is given back");
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_could_not_be_kept_is_told_to_be_lost() {
    let (says, reader, budget) = stream(1000);
    let replay = reader.replay.clone();
    drop(reader);
    says.send("x".repeat(2000)).unwrap();
    drop(says);
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(budget.used.load(Ordering::Relaxed), 0);
    let mut reader = Resumed::new(replay, MINUTE, 1);
    let (_, text) = next(&mut reader).await.unwrap();
    assert!(text.starts_with(r#"{"jsonrpc":"2.0","id":7,"error":{"code":-32603"#));
    assert!(text.contains("state_lost"));
    assert_eq!(next(&mut reader).await, None);
}
