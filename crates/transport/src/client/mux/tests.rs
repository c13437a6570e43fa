use bytes::Bytes;
use futures::StreamExt;
use mcp_router_protocol::{RawJson, Revision};
use mcp_router_service::{ClientProfile, McpResponse, Outcome, Principal};

use super::*;
use crate::client::dialect::{Asked, Dialect};
use crate::client::rope::Rope;

fn mux() -> (Arc<Mux>, mpsc::UnboundedReceiver<Rope>) {
    let (sent, received) = mpsc::unbounded_channel();
    let send = Arc::new(move |rope| sent.send(rope).unwrap());
    let (events, _) = Events::channel();
    let mux = Mux::new(Asks::new(send), events, Scope::Shared);
    (Arc::new(mux), received)
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
    let (mux, _) = mux();
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
    let (mux, _) = mux();
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
    let (mux, _) = mux();
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
    let (mux, _) = mux();
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
    let (mux, _) = mux();
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
    let (mux, _) = mux();
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

const ASK: &str = r#"{"jsonrpc":"2.0","id":"q","method":"roots/list"}"#;

/// A call of `principal` (none: anonymous) whose client can be asked for `capabilities`.
fn by(principal: &str, capabilities: &'static str) -> McpRequest {
    let mut request = request(false);
    if !principal.is_empty() {
        request.context.principal = Principal::Named(principal.into());
    }
    request.context.client = Arc::new(ClientProfile {
        capabilities: Some(RawJson::from_static(capabilities)),
        ..ClientProfile::default()
    });
    request
}

/// The question that reached a call, if one did before its answer.
async fn question(mux: &Mux, id: u64, ticket: Ticket) -> Option<mcp_router_service::ServerRequest> {
    mux.dispatch(result(id));
    match response(ticket).await.unwrap() {
        McpResponse::Ready(_) => None,
        McpResponse::Stream(mut stream) => match stream.next().await {
            Some(Ok(Event::ServerRequest(question))) => Some(question),
            other => panic!("{other:?}"),
        },
    }
}

fn refused(sent: &mut mpsc::UnboundedReceiver<Rope>) -> String {
    use bytes::Buf;
    let mut rope = sent.try_recv().expect("an answer");
    let bytes = rope.copy_to_bytes(rope.remaining());
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[tokio::test]
async fn a_question_goes_to_the_newest_call_of_its_client_and_without_one_is_refused() {
    let (mux, mut sent) = mux();
    mux.dispatch(message(ASK));
    assert!(refused(&mut sent).contains("-32603"));
    let able = r#"{"roots":{}}"#;
    let old = mux.open(1, Some(&by("p", able)));
    let new = mux.open(2, Some(&by("p", able)));
    let incapable = mux.open(3, Some(&by("p", r#"{"sampling":{}}"#)));
    mux.dispatch(message(ASK));
    let asked = question(&mux, 2, new).await.unwrap();
    assert_eq!(asked.method, Method::RootsList);
    assert!(question(&mux, 1, old).await.is_none());
    // The one that is left cannot be asked this.
    mux.dispatch(message(ASK));
    assert!(refused(&mut sent).contains("-32601"));
    assert!(question(&mux, 3, incapable).await.is_none());
}

#[tokio::test]
async fn r37_a_question_that_may_be_for_one_of_two_reaches_neither() {
    let able = r#"{"roots":{}}"#;
    for (one, other) in [("a", "b"), ("a", ""), ("", "")] {
        let (mux, mut sent) = mux();
        let first = mux.open(1, Some(&by(one, able)));
        let second = mux.open(2, Some(&by(other, able)));
        mux.dispatch(message(ASK));
        assert!(refused(&mut sent).contains("-32603"), "{one} {other}");
        assert!(question(&mux, 1, first).await.is_none());
        // Alone it is asked.
        mux.dispatch(message(ASK));
        assert!(question(&mux, 2, second).await.is_some());
    }
}

#[tokio::test(start_paused = true)]
async fn r37_calls_that_nobody_can_tell_apart_take_turns_once_the_backend_asks() {
    let (mux, _sent) = mux();
    let able = by("", r#"{"roots":{}}"#).context;
    assert!(mux.turn(&able).await.unwrap().is_none(), "not before");
    mux.dispatch(message(ASK));
    let mut ticket = mux.open(1, None);
    ticket.keep(mux.turn(&able).await.unwrap());
    for free in [by("p", r#"{"roots":{}}"#), by("", "{}")] {
        assert!(mux.turn(&free.context).await.unwrap().is_none());
    }
    let error = mux.turn(&able).await.unwrap_err();
    assert_eq!((error.reason, error.sent), (Reason::Overloaded, Sent::No));
    drop(ticket);
    assert!(mux.turn(&able).await.unwrap().is_some());
}

#[tokio::test]
async fn r35_an_unasked_question_is_the_call_s_that_is_alone_and_nobody_s_among_several() {
    let mut modern = request(false);
    modern.context.client = Arc::new(ClientProfile {
        takes_input_required: true,
        ..ClientProfile::default()
    });
    let failed = r#"{"jsonrpc":"2.0","id":1,"result":{"content":[],"isError":true}}"#;
    let list = McpRequest::new(Method::ToolsList, RawParams::default());
    for (others, answer, lacked) in [
        (0, message(failed), true),
        (0, result(1), false),
        (1, message(failed), false),
    ] {
        let (mux, _sent) = mux();
        // What the router asks for itself is no call.
        let _own = (mux.open(8, None), mux.open(9, Some(&list)));
        let call = mux.open(1, Some(&modern));
        let _others: Vec<_> = (0..others)
            .map(|n| mux.open(2 + n, Some(&modern)))
            .collect();
        mux.dispatch(message(ASK));
        mux.dispatch(answer);
        let Ok(McpResponse::Ready(outcome)) = response(call).await else {
            panic!()
        };
        let Outcome::Error(error) = outcome else {
            assert!(!lacked, "{others}");
            continue;
        };
        assert!(lacked, "{others}");
        assert_eq!(error.code(), -32021);
        let data = error.data().unwrap();
        assert_eq!(data.as_str(), r#"{"requiredCapabilities":{"roots":{}}}"#);
    }
}

#[tokio::test]
async fn r23_news_of_a_task_reach_the_stream_that_asked_for_them_and_no_other() {
    use futures::FutureExt;
    let (mux, _) = mux();
    let listen = McpRequest::new(Method::Listen, RawParams::default());
    let (mut one, mut two) = (mux.open(1, Some(&listen)), mux.open(2, Some(&listen)));
    for tag in ["2", "7", "\"2\""] {
        let meta = format!(r#"{{"io.modelcontextprotocol/subscriptionId":{tag}}}"#);
        let params = format!(r#"{{"taskId":"t","_meta":{meta}}}"#);
        let method = "notifications/tasks";
        mux.dispatch(message(&format!(
            r#"{{"jsonrpc":"2.0","method":"{method}","params":{params}}}"#
        )));
    }
    let Event::Notification { method, params } = two.event().await else {
        panic!()
    };
    assert_eq!(method.as_str(), "notifications/tasks");
    assert_eq!(params.get("taskId").unwrap().as_str(), "\"t\"");
    assert!(one.event().now_or_never().is_none());
    assert!(two.event().now_or_never().is_none());
    assert_eq!(mux.dropped(), 2);
}
