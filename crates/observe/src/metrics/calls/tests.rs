use std::time::Instant;

use super::*;
use crate::metrics::Sources;

/// Something that has ended at a backend where the mark was left.
fn end<'a>(visit: Option<Visit<'a>>, outcome: Ending) -> CallEnd<'a> {
    CallEnd {
        method: "tools/call",
        client: None,
        tool: None,
        backend: visit.map(|v| v.backend),
        outcome,
        code: None,
        error: None,
        sent: None,
        attempts: visit.map_or(0, |v| v.attempts),
        ended: Instant::now(),
        duration: Duration::from_millis(40),
        last: visit,
        earlier: &[],
    }
}

fn visit<'a>(backend: &'a str, mark: &'a Arc<dyn Any + Send + Sync>) -> Visit<'a> {
    Visit {
        backend,
        attempts: 1,
        mark: Some(&**mark),
    }
}

fn page(meters: &Meters) -> String {
    Sources::new([Box::new(meters.clone()) as Box<dyn Source>]).page()
}

fn has(page: &str, line: &str) {
    assert!(page.lines().any(|l| l == line), "{line} is not in\n{page}");
}

#[test]
fn the_totals_of_a_backend_tell_what_it_did_not_answer() {
    let meters = Meters::default();
    let (query, other) = (meters.tool("db", "db.query"), meters.other("db"));
    for (mark, outcome) in [
        (&query, Ending::Ok),
        (&query, Ending::ToolError),
        (&query, Ending::Timeout),
        (&other, Ending::Overloaded),
        (&other, Ending::Cancelled),
    ] {
        meters.ended(&end(Some(visit("db", mark)), outcome));
    }
    let expected = Totals {
        backend: "db".into(),
        calls: 5,
        failed: 2,
        micros: 200_000,
    };
    assert_eq!(meters.totals(), [expected]);
}

#[test]
fn a_call_is_counted_where_it_ended_with_its_time() {
    let meters = Meters::default();
    let query = meters.tool("db", "db.query");
    for outcome in [Ending::Ok, Ending::Ok, Ending::Timeout] {
        meters.ended(&end(Some(visit("db", &query)), outcome));
    }
    let page = page(&meters);
    let ok = r#"mcp_router_requests_total{backend="db",tool="db.query",outcome="ok"} 2.0"#;
    has(&page, ok);
    has(&page, &ok.replace("\"ok\"} 2", "\"timeout\"} 1"));
    let time = "mcp_router_request_duration_seconds";
    has(
        &page,
        &format!("{time}_bucket{{le=\"0.025\",backend=\"db\"}} 0"),
    );
    has(
        &page,
        &format!("{time}_bucket{{le=\"0.05\",backend=\"db\"}} 3"),
    );
    has(
        &page,
        &format!("{time}_bucket{{le=\"+Inf\",backend=\"db\"}} 3"),
    );
    has(&page, &format!("{time}_sum{{backend=\"db\"}} 0.12"));
    has(&page, &format!("{time}_count{{backend=\"db\"}} 3"));
    assert!(!page.contains("cancelled"), "{page}");
    assert!(page.ends_with("# EOF\n"));
}

#[test]
fn attempts_beyond_the_first_count_for_the_backend_that_got_them() {
    let meters = Meters::default();
    let (a, b) = (meters.tool("a", "x.t"), meters.tool("b", "x.t"));
    let first = Visit {
        attempts: 3,
        ..visit("a", &a)
    };
    let moved = CallEnd {
        attempts: 4,
        earlier: &[first],
        ..end(Some(visit("b", &b)), Ending::Ok)
    };
    meters.ended(&moved);
    let page = page(&meters);
    has(&page, r#"mcp_router_retries_total{backend="a"} 2.0"#);
    has(&page, r#"mcp_router_retries_total{backend="b"} 1.0"#);
}

#[test]
fn the_same_tool_is_the_same_number_whoever_asks_for_it() {
    let meters = Meters::default();
    for _ in 0..3 {
        let tool = meters.clone().tool("a", "x.t");
        meters.ended(&end(Some(visit("a", &tool)), Ending::Ok));
    }
    let line = r#"mcp_router_requests_total{backend="a",tool="x.t",outcome="ok"} 3.0"#;
    has(&page(&meters), line);
}

#[test]
fn b37_a_million_unknown_tools_are_one_series() {
    let meters = Meters::default();
    let names: Vec<_> = (0..1_000_000).map(|i| format!("nobody.has-{i}")).collect();
    for name in &names {
        let unknown = CallEnd {
            tool: Some(name),
            ..end(None, Ending::Error)
        };
        meters.ended(&unknown);
    }
    let page = page(&meters);
    let series = page
        .lines()
        .filter(|l| l.starts_with("mcp_router_requests"));
    assert_eq!(series.count(), 1);
    has(
        &page,
        r#"mcp_router_requests_total{backend="",tool="other",outcome="error"} 1000000.0"#,
    );
}

#[test]
fn the_routers_own_tools_have_their_names() {
    let meters = Meters::new(["list_backends"]);
    for tool in ["list_backends", "list_frontends"] {
        let end = CallEnd {
            tool: Some(tool),
            ..end(None, Ending::Ok)
        };
        meters.ended(&end);
    }
    let page = page(&meters);
    for tool in ["list_backends", OTHER] {
        let labels = format!("{{backend=\"\",tool=\"{tool}\",outcome=\"ok\"}} 1.0");
        has(&page, &format!("mcp_router_requests_total{labels}"));
    }
}

#[test]
fn b37_what_a_backend_lists_is_bounded_too() {
    let meters = Meters::default();
    for i in 0..2 * MAX_TOOLS {
        let tool = meters.tool("a", &format!("a.t{i}"));
        meters.ended(&end(Some(visit("a", &tool)), Ending::Ok));
    }
    let page = page(&meters);
    let series = page
        .lines()
        .filter(|l| l.starts_with("mcp_router_requests"));
    assert_eq!(series.count(), MAX_TOOLS + 1);
    let rest = format!("tool=\"other\",outcome=\"ok\"}} {MAX_TOOLS}.0");
    assert!(page.contains(&rest), "{rest}");
}

#[test]
fn a_backend_that_is_gone_is_forgotten_and_the_others_are_not() {
    let meters = Meters::default();
    let (old, kept) = (meters.tool("old", "o.t"), meters.tool("kept", "k.t"));
    for (name, tool) in [("old", &old), ("kept", &kept)] {
        meters.ended(&end(Some(visit(name, tool)), Ending::Ok));
    }
    meters.retain(|name| name == "kept");
    // A call that was running then ends now.
    meters.ended(&end(Some(visit("old", &old)), Ending::Ok));
    let page = page(&meters);
    assert!(!page.contains("\"old\""), "{page}");
    assert!(page.contains("backend=\"kept\""), "{page}");
}

#[test]
fn b36_a_name_cannot_forge_a_line() {
    let meters = Meters::default();
    let tool = meters.tool("a", "x\"} 7\nforged 1\\");
    meters.ended(&end(Some(visit("a", &tool)), Ending::Ok));
    let page = page(&meters);
    assert!(!page.lines().any(|l| l.starts_with("forged")), "{page}");
    assert!(page.contains(r#"tool="x\"} 7\nforged 1\\""#), "{page}");
}
