//! How the calls of a tool have ended so far, by the running router's own count.

use std::collections::BTreeMap;

use http::Uri;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// More than any router's page of numbers.
const LARGEST: u64 = 16 << 20;
/// The series that counts calls, up to its labels.
const SERIES: &str = "mcp_router_requests_total{";

/// Ended calls of a tool by outcome, from `/metrics` beside the MCP endpoint at `url`. `None` if
/// there is no such page, or it is not to be had without TLS.
pub(super) async fn of(url: &str, tool: &str) -> Option<BTreeMap<String, u64>> {
    let url: Uri = url.parse().ok()?;
    if url.scheme_str() != Some("http") {
        return None;
    }
    let host = url.host()?.trim_start_matches('[').trim_end_matches(']');
    let port = url.port_u16().unwrap_or(80);
    let mut stream = TcpStream::connect((host, port)).await.ok()?;
    let authority = url.authority()?.as_str();
    let request =
        format!("GET /metrics HTTP/1.1\r\nHost: {authority}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.ok()?;
    let mut page = String::new();
    stream.take(LARGEST).read_to_string(&mut page).await.ok()?;
    page.starts_with("HTTP/1.1 200 ")
        .then(|| counted(&page, tool))
}

fn counted(page: &str, tool: &str) -> BTreeMap<String, u64> {
    let mut outcomes = BTreeMap::new();
    let wanted = format!("tool=\"{tool}\"");
    for line in page.lines().filter_map(|line| line.strip_prefix(SERIES)) {
        let Some((labels, count)) = line.rsplit_once("} ") else {
            continue;
        };
        let outcome = labels.split("outcome=\"").nth(1);
        let outcome = outcome.and_then(|rest| rest.split('"').next());
        if let (true, Some(outcome), Ok(count)) =
            (labels.contains(&wanted), outcome, count.parse::<f64>())
        {
            *outcomes.entry(outcome.to_owned()).or_default() += count as u64;
        }
    }
    outcomes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outcomes_of_one_tool_are_added_over_its_backends() {
        let page = "# TYPE mcp_router_requests counter\n\
            mcp_router_requests_total{backend=\"a\",tool=\"s.q\",outcome=\"ok\"} 3.0\n\
            mcp_router_requests_total{backend=\"b\",tool=\"s.q\",outcome=\"ok\"} 4\n\
            mcp_router_requests_total{backend=\"b\",tool=\"s.q\",outcome=\"timeout\"} 1.0\n\
            mcp_router_requests_total{backend=\"b\",tool=\"s.other\",outcome=\"ok\"} 9.0\n\
            mcp_router_in_flight{backend=\"a\"} 1.0\n";
        let counted = counted(page, "s.q");
        let counted: Vec<_> = counted.iter().map(|(o, n)| (o.as_str(), *n)).collect();
        assert_eq!(counted, [("ok", 7), ("timeout", 1)]);
    }
}
