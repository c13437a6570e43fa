use std::time::Duration;

use futures::StreamExt;
use mcp_router_core::Router;
use mcp_router_protocol::item::Page;
use mcp_router_protocol::{ItemKind, Method, RawJson, RawParams};
use mcp_router_service::{Event, McpRequest, McpResponse, Outcome};
use tower::ServiceExt;

use super::*;

async fn router() -> Router {
    let builder = backends().into_iter().fold(Router::builder(), |b, demo| {
        b.backend((demo.describe)(Backend::new(demo.name, demo.service)))
    });
    let router = builder.build().unwrap();
    router.ready().await;
    router
}

async fn ask(router: &Router, method: Method, params: &str) -> Outcome {
    let params = RawParams::parse(Some(params.to_owned().into())).unwrap();
    let answer = router.clone().oneshot(McpRequest::new(method, params));
    answer.await.unwrap().outcome().await.unwrap()
}

async fn text(router: &Router, method: Method, params: &str) -> String {
    match ask(router, method, params).await {
        Outcome::Complete(result) => result.as_str().to_owned(),
        other => panic!("no result: {other:?}"),
    }
}

#[test]
fn every_definition_can_be_offered() {
    for lists in [include_str!("text.json"), include_str!("clock.json")] {
        let lists = RawJson::parse(lists.into()).unwrap();
        for kind in ItemKind::ALL {
            let Some(items) = lists.get(kind.member()) else {
                continue;
            };
            let page = format!("{{\"{}\":{}}}", kind.member(), items.as_str());
            let page = RawJson::parse(page.into()).unwrap();
            assert!(Page::parse(kind, &page).unwrap().invalid.is_empty());
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_demo_offers_tools_of_two_namespaces() {
    let names: Vec<_> = router().await.tools().into_iter().map(|t| t.name).collect();
    assert_eq!(
        names,
        [
            "text.add",
            "text.count_words",
            "text.echo",
            "text.fail",
            "text.slugify",
            "time.countdown",
            "time.now",
            "time.outage"
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn demo_tools_answer_fail_and_refuse() {
    let router = router().await;
    for (params, expected) in [
        (
            r#"{"name":"text.echo","arguments":{"text":"hi"}}"#,
            r#""text":"hi""#,
        ),
        (
            r#"{"name":"text.add","arguments":{"a":1,"b":2.5}}"#,
            r#""structuredContent":{"sum":3.5}"#,
        ),
        (
            r#"{"name":"text.slugify","arguments":{"text":"Hello, World"}}"#,
            "hello-world",
        ),
        (
            r#"{"name":"text.slugify","arguments":{"text":"!"}}"#,
            r#""isError":true"#,
        ),
        (
            r#"{"name":"text.count_words","arguments":{"text":"a b"}}"#,
            r#""words":2"#,
        ),
        (
            r#"{"name":"text.fail","arguments":{}}"#,
            r#""isError":true"#,
        ),
        (
            r#"{"name":"text.add","arguments":{"a":1}}"#,
            "missing field `b`",
        ),
        (
            r#"{"name":"time.countdown","arguments":{"from":2}}"#,
            "Lift-off",
        ),
        (
            r#"{"name":"time.countdown","arguments":{"from":1000}}"#,
            r#""isError":true"#,
        ),
    ] {
        let result = text(&router, Method::ToolsCall, params).await;
        assert!(result.contains(expected), "{params}: {result}");
    }
}

#[tokio::test(start_paused = true)]
async fn demo_prompts_resources_and_completion_answer() {
    let router = router().await;
    let prompt = r#"{"name":"text.haiku","arguments":{"topic":"rain"}}"#;
    let prompt = text(&router, Method::PromptsGet, prompt).await;
    assert!(prompt.contains("a calm haiku about rain"), "{prompt}");
    for uri in ["text+demo://readme", "text+demo://greeting/Ada"] {
        let read = text(
            &router,
            Method::ResourcesRead,
            &format!(r#"{{"uri":"{uri}"}}"#),
        )
        .await;
        assert!(read.contains(uri), "{read}");
    }
    let complete = r#"{"ref":{"type":"ref/prompt","name":"text.haiku"},"argument":{"name":"mood","value":"c"}}"#;
    let complete = text(&router, Method::Complete, complete).await;
    assert!(
        complete.contains(r#"["calm","cheerful","curious"]"#),
        "{complete}"
    );
    let missing = ask(&router, Method::ResourcesRead, r#"{"uri":"text+demo://x"}"#).await;
    assert!(matches!(missing, Outcome::Error(_)));
}

#[tokio::test(start_paused = true)]
async fn r22_the_countdown_streams_progress_only_when_asked() {
    let router = router().await;
    let params = RawParams::parse(Some(
        r#"{"name":"time.countdown","arguments":{"from":3}}"#.into(),
    ));
    let mut request = McpRequest::new(Method::ToolsCall, params.unwrap());
    request.context.wants_progress = true;
    let McpResponse::Stream(events) = router.clone().oneshot(request).await.unwrap() else {
        panic!("a stream was expected")
    };
    let events: Vec<_> = events.map(Result::unwrap).collect().await;
    assert_eq!(events.len(), 5);
    assert!(matches!(events[4], Event::Outcome(_)));
}

#[tokio::test(start_paused = true)]
async fn an_outage_of_the_primary_moves_calls_to_the_secondary_and_back() {
    let router = router().await;
    let told_by = async || {
        let result = text(
            &router,
            Method::ToolsCall,
            r#"{"name":"time.now","arguments":{}}"#,
        )
        .await;
        result.contains("time-primary")
    };
    assert!(told_by().await);
    let outage = r#"{"name":"time.outage","arguments":{"seconds":20}}"#;
    text(&router, Method::ToolsCall, outage).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(!told_by().await);
    assert_eq!(router.tools().len(), 8);
    tokio::time::sleep(Duration::from_secs(30)).await;
    assert!(told_by().await);
}
