use bytes::Bytes;
use futures::StreamExt;
use mcp_router_protocol::{RawJson, Revision};
use mcp_router_service::{McpResponse, Outcome};

use super::*;
use crate::client::dialect::{Asked, Dialect};
use crate::client::rope::Rope;

fn mux(declared: &'static str) -> (Arc<Mux>, mpsc::UnboundedReceiver<Rope>) {
    let (sent, received) = mpsc::unbounded_channel();
    let send = Arc::new(move |rope| sent.send(rope).unwrap());
    let asks = Asks::new(RawJson::from_static(declared), send);
    let (events, _) = Events::channel();
    (Arc::new(Mux::new(asks, events, Scope::Shared)), received)
}

fn message(text: &str) -> Message {
    Message::parse(&Bytes::copy_from_slice(text.as_bytes())).unwrap()
}

fn result(id: u64) -> Message {
    message(&format!(
        r#"{{"jsonrpc":"2.0","id":{id},"result":{{"id":{id}}}}}"#
    ))
}

fn progress(token: u64, n: u64) -> Message {
    message(&format!(
        r#"{{"jsonrpc":"2.0","method":"notifications/progress","params":{{"progressToken":{token},"progress":{n}}}}}"#
    ))
}

fn request(wants_progress: bool) -> McpRequest {
    let mut request = McpRequest::new(Method::ToolsCall, RawParams::default());
    request.context.wants_progress = wants_progress;
    request
}

async fn response(ticket: Ticket) -> Result<McpResponse, CallError> {
    let dialect = Dialect::new(Revision::V2025_11_25, RawJson::from_static("{}"));
    ticket.response(dialect, Asked::of(&request(false))).await
}

#[tokio::test]
async fn f9_f10_unknown_ids_and_second_answers_are_dropped_and_counted() {
    let (mux, _) = mux("{}");
    let ticket = mux.open(1, Some(&request(false)));
    mux.dispatch(result(7));
    mux.dispatch(message(r#"{"jsonrpc":"2.0","id":"1","result":{}}"#));
    mux.dispatch(result(1));
    mux.dispatch(result(1));
    let Ok(McpResponse::Ready(Outcome::Complete(answer))) = response(ticket).await else {
        panic!()
    };
    assert_eq!(answer.as_str(), r#"{"id":1}"#);
    assert_eq!((mux.dropped(), mux.in_flight()), (3, 0));
}

#[tokio::test]
async fn f11_answers_in_any_order_reach_their_own_calls() {
    let (mux, _) = mux("{}");
    let tickets: Vec<_> = (0..1000).map(|id| (id, mux.open(id, None))).collect();
    for id in (0..1000).rev() {
        mux.dispatch(result(id));
    }
    for (id, ticket) in tickets {
        let answer = ticket.answer().await.unwrap().unwrap();
        assert_eq!(answer.as_str(), format!(r#"{{"id":{id}}}"#));
    }
}

#[tokio::test]
async fn r22_progress_comes_in_order_before_the_answer_and_only_to_who_wants_it() {
    let (mux, _) = mux("{}");
    let (wants, not) = (
        mux.open(1, Some(&request(true))),
        mux.open(2, Some(&request(false))),
    );
    for n in 0..3 {
        mux.dispatch(progress(1, n));
        mux.dispatch(progress(2, n));
    }
    mux.dispatch(result(1));
    mux.dispatch(progress(1, 9));
    mux.dispatch(result(2));
    let Ok(McpResponse::Stream(stream)) = response(wants).await else {
        panic!()
    };
    let events: Vec<_> = stream.map(Result::unwrap).collect().await;
    assert_eq!(events.len(), 4);
    assert!(matches!(events[3], Event::Outcome(_)));
    assert!(matches!(response(not).await, Ok(McpResponse::Ready(_))));
    assert_eq!(mux.dropped(), 4);
}

#[tokio::test]
async fn a_flood_of_progress_drops_progress_and_never_the_answer() {
    let (mux, _) = mux("{}");
    let ticket = mux.open(1, Some(&request(true)));
    for n in 0..10_000 {
        mux.dispatch(progress(1, n));
    }
    mux.dispatch(result(1));
    let Ok(McpResponse::Stream(stream)) = response(ticket).await else {
        panic!()
    };
    let events: Vec<_> = stream.map(Result::unwrap).collect().await;
    assert_eq!(events.len(), WAITING + 1);
    assert!(matches!(events[WAITING], Event::Outcome(_)));
}

#[tokio::test]
async fn r44_a_lost_channel_says_what_was_written() {
    let (mux, _) = mux("{}");
    let (queued, half, whole) = (mux.open(1, None), mux.open(2, None), mux.open(3, None));
    assert!(half.sent().begin() && whole.sent().begin());
    whole.sent().written();
    mux.fail_all(Reason::BackendLost, "gone");
    for (ticket, sent) in [(queued, Sent::No), (half, Sent::No), (whole, Sent::Unknown)] {
        let error = ticket.answer().await.unwrap_err();
        assert_eq!((error.reason, error.sent), (Reason::BackendLost, sent));
    }
}

#[tokio::test]
async fn leaving_runs_the_hook_once_and_only_before_the_answer() {
    let (mux, _) = mux("{}");
    let (left, mut leaves) = mpsc::unbounded_channel();
    for answered in [false, true] {
        let mut ticket = mux.open(1, None);
        let left = left.clone();
        ticket.on_leave(move |sent| left.send(sent.abandon()).unwrap());
        if answered {
            mux.dispatch(result(1));
        }
        drop(ticket);
    }
    assert_eq!(leaves.recv().await, Some(true));
    assert!(leaves.try_recv().is_err());
    assert_eq!(mux.in_flight(), 0);
}

#[tokio::test]
async fn a_question_goes_to_the_newest_call_and_without_one_is_answered() {
    let (mux, mut sent) = mux(r#"{"roots":{}}"#);
    let ask = r#"{"jsonrpc":"2.0","id":"q","method":"roots/list"}"#;
    mux.dispatch(message(ask));
    assert!(sent.recv().await.is_some());
    let (_old, new) = (
        mux.open(1, Some(&request(false))),
        mux.open(2, Some(&request(false))),
    );
    mux.dispatch(message(ask));
    let Ok(McpResponse::Stream(mut stream)) = response(new).await else {
        panic!()
    };
    let Some(Ok(Event::ServerRequest(question))) = stream.next().await else {
        panic!()
    };
    assert_eq!(question.method, Method::RootsList);
}
