//! The pages as a browser asks for them. What a browser makes of them is seen in `tests/ui`.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_SECURITY_POLICY, CONTENT_TYPE, LOCATION};
use http::{Request, Response, StatusCode};
use mcp_router_core::Router;
use mcp_router_observe::call::{CallEnd, CallSink, Ending};
use mcp_router_observe::metrics::Meters;
use mcp_router_observe::recent::RecentCalls;
use mcp_router_transport::server::Page;

use super::{Dashboard, Entrance, Sources, pages};
use crate::reload::{Reload, ReloadReport, Reloads};

struct Site {
    pages: Vec<Page>,
    recent: Arc<RecentCalls>,
    reloads: Reloads,
}

impl Site {
    fn new() -> Self {
        let recent = Arc::new(RecentCalls::new());
        let reloads = Reloads::default();
        let dashboard = Dashboard::new(Sources {
            server: "<b>router</b>".to_owned(),
            router: Router::builder().build().unwrap(),
            meters: Meters::default(),
            recent: recent.clone(),
            reloads: reloads.clone(),
            watched: true,
        });
        Self {
            pages: pages(entrance(true), Some(&dashboard)),
            recent,
            reloads,
        }
    }

    fn get(&self, uri: &str) -> Response<Bytes> {
        get(&self.pages, uri, "text/html")
    }

    fn text(&self, uri: &str) -> String {
        String::from_utf8(self.get(uri).into_body().to_vec()).unwrap()
    }
}

fn entrance(ui: bool) -> Entrance {
    Entrance {
        server: "<b>router</b>".to_owned(),
        ui,
    }
}

fn get(pages: &[Page], uri: &str, accept: &str) -> Response<Bytes> {
    let request = Request::get(uri).header(ACCEPT, accept);
    let (head, ()) = request.body(()).unwrap().into_parts();
    let path = head.uri.path();
    let page = pages.iter().find(|page| page.path == path);
    (page.unwrap_or_else(|| panic!("no page at {path}")).get)(&head)
}

fn ended(tool: &str, outcome: Ending) -> CallEnd<'_> {
    CallEnd {
        method: "tools/call",
        client: Some("<script>"),
        tool: Some(tool),
        backend: None,
        outcome,
        code: None,
        error: None,
        sent: None,
        attempts: 2,
        ended: Instant::now(),
        duration: Duration::from_millis(14),
        last: None,
        earlier: &[],
    }
}

#[tokio::test]
async fn every_part_is_served_with_a_policy_that_lets_nothing_else_in() {
    let site = Site::new();
    for page in &site.pages {
        let answer = site.get(&page.path);
        if page.path == "/ui/" {
            assert_eq!(answer.status(), StatusCode::PERMANENT_REDIRECT);
            assert_eq!(answer.headers()[LOCATION], "../ui");
            continue;
        }
        assert_eq!(answer.status(), StatusCode::OK, "{}", page.path);
        assert!(page.check_host, "{}", page.path);
        let policy = answer.headers()[CONTENT_SECURITY_POLICY].to_str().unwrap();
        assert!(policy.starts_with("default-src 'none';"), "{policy}");
        assert!(!policy.contains("unsafe"), "{policy}");
        assert_eq!(answer.headers()["x-content-type-options"], "nosniff");
    }
    let page = site.text("/ui");
    for inline in [" onclick", "style=", "<style", "<script>"] {
        assert!(!page.contains(inline), "{inline}");
    }
    assert!(
        page.contains("<h1>&lt;b&gt;router&lt;/b&gt;</h1>"),
        "{page}"
    );
}

#[tokio::test(start_paused = true)]
async fn calls_are_shown_escaped_and_can_be_narrowed_to_those_that_failed() {
    let site = Site::new();
    site.recent.ended(&ended("a.fine", Ending::Ok));
    site.recent.ended(&ended("a.<i>late", Ending::Timeout));
    site.recent.ended(&ended("a.given_up", Ending::Cancelled));
    let all = site.text("/ui");
    for shown in [
        "a.fine",
        "a.&lt;i&gt;late",
        "timeout",
        "14 ms",
        "&lt;script&gt;",
    ] {
        assert!(all.contains(shown), "{shown}");
    }
    let failed = site.text("/ui/live?calls=failed");
    assert!(failed.contains("a.&lt;i&gt;late"), "{failed}");
    assert!(
        !failed.contains("a.fine") && !failed.contains("a.given_up"),
        "{failed}"
    );
    assert!(failed.starts_with("<div id=\"live\""), "{failed}");
}

#[tokio::test]
async fn a_refused_reload_is_shown_with_its_errors() {
    let site = Site::new();
    assert!(site.text("/ui").contains("Not reloaded since the start"));
    let mut report = ReloadReport::new("signal");
    report.errors = vec!["unknown key `x<y` at line 3".to_owned()];
    site.reloads.note(Reload::Refused, report);
    let page = site.text("/ui");
    for shown in [
        "refused",
        "asked for by SIGHUP",
        "unknown key `x&lt;y` at line 3",
        "goes on as before",
    ] {
        assert!(page.contains(shown), "{shown}");
    }
}

#[tokio::test]
async fn the_entrance_speaks_to_people_programs_and_those_who_are_lost() {
    let site = Site::new();
    let kind = |accept: &str| {
        let answer = get(&site.pages, "/", accept);
        let kind = answer.headers()[CONTENT_TYPE].to_str().unwrap().to_owned();
        (
            answer.status(),
            kind,
            String::from_utf8(answer.into_body().to_vec()).unwrap(),
        )
    };
    let (_, html, page) = kind("text/html,application/xhtml+xml,*/*;q=0.8");
    assert_eq!(html, "text/html; charset=utf-8");
    let (_, json, index) = kind("application/json");
    assert_eq!(json, "application/json");
    let (_, plain, text) = kind("*/*");
    assert_eq!(plain, "text/plain; charset=utf-8");
    for path in ["/mcp", "/ui", "/metrics", "/ready", "/health"] {
        assert!(page.contains(&format!(">{path}<")), "{page}");
        assert!(text.contains(path), "{text}");
        assert!(index.contains(&format!("\"{path}\"")), "{index}");
    }
    assert!(page.contains("<a href=\"ui\">"), "{page}");
    assert!(page.contains("&lt;b&gt;router"), "{page}");
    let (status, _, error) = kind("text/event-stream");
    assert_eq!(status, StatusCode::NOT_ACCEPTABLE);
    assert!(error.contains("MCP is served at /mcp"), "{error}");
}

#[tokio::test]
async fn without_a_dashboard_there_is_the_entrance_alone() {
    let pages = pages(entrance(false), None);
    assert_eq!(pages.len(), 1);
    let page = get(&pages, "/", "text/html");
    let page = String::from_utf8(page.into_body().to_vec()).unwrap();
    assert!(
        page.contains("<code>/mcp</code>") && !page.contains("/ui"),
        "{page}"
    );
}
