use proptest::prelude::*;

use super::*;

/// Messages of both eras, to be damaged.
fn messages() -> Vec<String> {
    let meta = r#""_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{},"progressToken":1}"#;
    vec![
        request(
            "1",
            "initialize",
            r#"{"protocolVersion":"2025-11-25","capabilities":{}}"#,
        ),
        call("\"a\"", "stream"),
        request("1", "tools/call", &format!(r#"{{"name":"stream",{meta}}}"#)),
        request("1", "subscriptions/listen", &format!("{{{meta}}}")),
        format!("[{},{}]", call("1", "echo"), request("2", "ping", "{}")),
        r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}"#.into(),
        r#"{"jsonrpc":"2.0","id":"router-0","result":{}}"#.into(),
    ]
}

async fn status(edge: &Edge, headers: &[(&str, &str)], body: &[u8]) -> u16 {
    let mut request = Request::post("/mcp")
        .header("host", "localhost")
        .header("content-type", "application/json");
    for (name, value) in headers {
        request = request.header(*name, value.as_bytes());
    }
    let body = Full::new(Bytes::copy_from_slice(body));
    let Ok(request) = request.body(body) else {
        return 400; // no header value at all
    };
    let answer = edge.http.clone().oneshot(request).await.unwrap();
    answer.status().as_u16()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn b1_to_b9_damaged_messages_get_an_answer_that_is_no_failure_of_ours(
        which in any::<prop::sample::Index>(),
        cuts in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
        version in prop::sample::select(vec!["", "2026-07-28", "2025-03-26", "2030-01-01", "\u{ff}"]),
        in_session in any::<bool>(),
        name in ".{0,12}",
    ) {
        let messages = messages();
        let mut body = messages[which.index(messages.len())].clone().into_bytes();
        for (at, byte) in cuts {
            let at = at.index(body.len());
            body[at] = byte;
        }
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let edge = Edge::new();
            let id = edge.session("2025-03-26", "{}").await;
            let mut headers = vec![("mcp-method", "tools/call"), ("mcp-name", &*name)];
            if !version.is_empty() {
                headers.push(("mcp-protocol-version", version));
            }
            if in_session {
                headers.push((SESSION, &id));
            }
            let status = status(&edge, &headers, &body).await;
            prop_assert!([200, 202, 400, 404].contains(&status), "{status}");
            // Nobody else is harmed.
            let ping = edge.post(&[(SESSION, &*id)], &request("9", "ping", "{}")).await;
            prop_assert_eq!(ping.status, 200);
            Ok(())
        })?;
    }
}
