//! Secrets are planted wherever a configuration can hold one, and then looked for in everything
//! that the router says.

use std::collections::BTreeMap;
use std::fs;

use mcp_router_tests::fixture::{Fault, Fixture, Rule};
use mcp_router_tests::harness::{Router, binary, fixture_program, until};
use serde_json::json;
use tempfile::TempDir;
use tokio::process::Command;

use super::receiver::Receiver;
use super::samples::Samples;

/// What every planted secret begins with.
const CANARY: &str = "canary-7f3a9";

/// A secret of its own for each place.
fn canary(place: &str) -> String {
    format!("{CANARY}-{place}-0123456789abcdef0123456789abcdef")
}

/// A configuration with a secret in each place that takes one, and the environment and files that
/// it refers to.
struct Planted {
    config: String,
    env: Vec<(&'static str, String)>,
    folder: TempDir,
    /// Where the backend saw which secret, so that the planting itself is proven.
    fixture: Fixture,
    /// Who is told of outages and of spans.
    receiver: Receiver,
}

impl Planted {
    async fn new() -> Self {
        let folder = TempDir::new().expect("a temporary folder");
        let file = folder.path().join("secret");
        fs::write(&file, canary("file")).expect("a writable folder");
        let fixture = Fixture::builder().spawn().await;
        let gone = Fixture::builder().down().spawn().await;
        let receiver = Receiver::start().await;
        let program = fixture_program();
        let program = program.to_str().expect("UTF-8");
        let file = file.to_str().expect("UTF-8");
        let authority = gone.base_url();
        let authority = authority.trim_start_matches("http://");
        let config = format!(
            "server:
  session_keys: [\"{key}\", \"${{file:{file}}}-and-what-makes-it-long-enough\"]
routing: {{ retry: {{ max_attempts: 2, max_backoff_seconds: 0 }}, request_timeout_seconds: 2 }}
backends:
  - name: well
    namespace: well
    url: \"{url}?token={query}\"
    headers: {{ Authorization: \"Bearer ${{CANARY_VARIABLE}}\", X-File: \"${{file:{file}}}\", \
                X-Default: \"${{NOBODY_SET_THIS:-{default}}}\" }}
  - name: gone
    namespace: gone
    url: \"http://{authority}/mcp?key={query}\"
    health_check: {{ interval_seconds: 1, timeout_seconds: 1, endpoint: \"/health?probe={probe}\" }}
  - name: kid
    namespace: kid
    command: \"{program}\"
    args: [stdio, --name, \"{argument}\"]
    env: {{ KEY: \"{env}\", OTHER: \"${{CANARY_VARIABLE}}\" }}
  - name: dying
    namespace: dying
    command: \"{program}\"
    args: [\"no-such-command\", \"{argument}\"]
    env: {{ KEY: \"{env}\" }}
alerts:
  - {{ type: webhook, url: \"{hook}\", headers: {{ Authorization: \"{alert_header}\" }} }}
  - {{ type: slack, url: \"{slack}\" }}
  - {{ type: pagerduty, url: \"{duty}\", routing_key: \"{routing_key}\" }}
",
            key = canary("session-key"),
            url = fixture.url(),
            query = canary("query"),
            default = canary("default"),
            probe = canary("probe"),
            argument = canary("argument"),
            env = canary("env"),
            hook = receiver.url(&format!("/hook/{}", canary("hook"))),
            alert_header = canary("alert-header"),
            slack = receiver.url(&format!("/slack/{}", canary("slack"))),
            duty = receiver.url(&format!("/duty/{}", canary("duty"))),
            routing_key = canary("routing-key"),
        );
        let collector = format!("authorization=Bearer {}", canary("collector"));
        Self {
            config,
            env: vec![
                ("CANARY_VARIABLE", canary("variable")),
                ("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.url("")),
                ("OTEL_EXPORTER_OTLP_HEADERS", collector),
            ],
            folder,
            fixture,
            receiver,
        }
    }

    async fn start(&self, level: &str) -> Router {
        let mut builder = Router::builder().config(&self.config);
        for (name, value) in &self.env {
            builder = builder.env(name, value);
        }
        builder.env("RUST_LOG", level).start().await
    }

    /// What a subcommand writes, to both of its outputs.
    async fn output(&self, config: &str, arguments: &[&str]) -> String {
        let path = self.folder.path().join("backends.yaml");
        fs::write(&path, config).expect("a writable folder");
        let mut command = Command::new(binary("mcp-router-http"));
        command.args(arguments).arg("--config").arg(path);
        command.envs(self.env.iter().map(|(name, value)| (name, value)));
        let output = command.output().await.expect("it runs");
        let text = [output.stdout, output.stderr].concat();
        String::from_utf8_lossy(&text).into_owned()
    }
}

/// Everything that was said, by who said it.
#[derive(Default)]
struct Said(BTreeMap<String, String>);

impl Said {
    fn note(&mut self, by: impl Into<String>, text: impl Into<String>) {
        let (by, text) = (by.into(), text.into());
        assert!(!text.is_empty(), "{by} said nothing");
        self.0.insert(by, text);
    }

    /// No secret is in it, neither as it is nor as it looks in a URL or in Base64.
    fn assert_clean(&self) {
        for (by, text) in &self.0 {
            if let Some(at) = text.find(CANARY) {
                let from = text[..at].rfind('\n').map_or(0, |newline| newline + 1);
                let line = text[from..].lines().next().unwrap_or_default();
                panic!("{by} tells a secret: {line}");
            }
        }
    }
}

/// Calls that succeed, that fail in every way, and all that an agent may ask.
async fn ask_everything(planted: &Planted, router: &Router, said: &mut Said) {
    let client = router.modern();
    let echo = json!({"text": "x"});
    for tool in [
        "well.echo",
        "gone.echo",
        "dying.echo",
        "kid.echo",
        "nobody.echo",
    ] {
        let answer = client.call(tool, echo.clone()).await;
        said.note(format!("a call of {tool}"), answer.to_string());
    }
    for fault in [
        Fault::status(500),
        Fault::Html,
        Fault::Close,
        Fault::NeverAnswer,
    ] {
        let name = format!("a call that meets {fault:?}");
        planted.fixture.set_fault(Rule::new(fault).on("tools/call"));
        said.note(
            name,
            client.call("well.echo", echo.clone()).await.to_string(),
        );
        planted.fixture.clear_faults();
    }
    for (tool, arguments) in [
        ("list_backends", json!({})),
        ("get_backend_health", json!({"backend_name": "gone"})),
        ("get_backend_health", json!({"backend_name": "dying"})),
        ("get_routing_info", json!({"tool_name": "well.echo"})),
        ("get_routing_info", json!({"tool_name": "gone.echo"})),
        ("reload_backends_config", json!({})),
    ] {
        let answer = client.call(tool, arguments.clone()).await;
        said.note(format!("{tool} {arguments}"), answer.to_string());
    }
    for method in ["tools/list", "server/discover", "resources/list"] {
        let answer = client.request(method, json!({})).await;
        said.note(method, answer.to_string());
    }
    for page in ["/ready", "/health", "/metrics", "/", "/ui", "/nowhere"] {
        let reply = router.client().get(page).await;
        said.note(page, format!("{:?} {}", reply.status, reply.text()));
    }
}

/// What was told to others than clients, less what is theirs to know: PagerDuty finds its customer
/// by the key.
async fn hear_everything(planted: &Planted, said: &mut Said) {
    let key = canary("routing-key");
    for (kind, path) in [
        ("webhook", format!("/hook/{}", canary("hook"))),
        ("slack", format!("/slack/{}", canary("slack"))),
        ("pagerduty", format!("/duty/{}", canary("duty"))),
        ("the collector", "/v1/traces".to_owned()),
    ] {
        let posts = planted.receiver.wait(&path, 1).await;
        for (at, post) in posts.iter().enumerate() {
            let text = String::from_utf8_lossy(&post.body).replace(&key, "");
            said.note(format!("{kind}, message {at}"), text);
        }
    }
}

async fn run(level: &str) {
    let planted = Planted::new().await;
    let router = planted.start(level).await;
    router.until_healthy("well").await;
    router.until_healthy("kid").await;
    // All have failed that will.
    for name in ["gone", "dying"] {
        until("it has failed", async || {
            router.backend(name).await["error_count"].as_u64() > Some(1)
        })
        .await;
    }
    let mut said = Said::default();
    ask_everything(&planted, &router, &mut said).await;
    hear_everything(&planted, &mut said).await;
    assert!(Samples::of(&router).await.has("mcp_router_backend_up"));
    said.note(format!("the log at {level}"), router.logs().text());
    said.assert_clean();
    // The secrets are where they belong, so they were really there to be told.
    let calls = planted.fixture.log().of("tools/call");
    let call = calls.first().expect("a call");
    for (header, place) in [
        ("authorization", "variable"),
        ("x-file", "file"),
        ("x-default", "default"),
    ] {
        let value = call.header(header).unwrap_or_default();
        assert!(value.contains(&canary(place)), "{header}: {value}");
    }
}

#[tokio::test]
async fn no_secret_is_in_anything_that_the_router_says() {
    run("info").await;
}

#[tokio::test]
async fn no_secret_is_in_anything_that_the_router_says_to_who_wants_to_know_more() {
    run("debug").await;
}

#[tokio::test]
async fn no_secret_is_in_what_the_command_line_writes() {
    let planted = Planted::new().await;
    let mut said = Said::default();
    for arguments in [
        &["check"][..],
        &["check", "--connect"],
        &["check", "--connect", "--json"],
        &["explain", "well.echo"],
        &["explain", "gone.echo", "--json"],
        &["tools"],
        &["call", "gone.echo", "{}"],
        &["call", "well.fail", "{}"],
    ] {
        let text = planted.output(&planted.config, arguments).await;
        said.note(arguments.join(" "), text);
    }
    // Wrong in a line that holds a secret, and beside one.
    for (right, wrong) in [
        ("session_keys: [", "session_key: ["),
        ("env: { KEY:", "env: { KEY: 1, KEY:"),
        ("X-Default:", "\"X Default\":"),
        ("namespace: gone", "namespace: \"g o n e\""),
        (
            "namespace: gone\n    url: \"http://",
            &format!("namespace: gone\n    url: \"http://{}:x@", canary("user")),
        ),
        ("${CANARY_VARIABLE}", "${CANARY_UNSET}"),
    ] {
        let config = planted.config.replace(right, wrong);
        assert_ne!(config, planted.config, "{right} is not there");
        let text = planted.output(&config, &["check"]).await;
        assert!(text.contains("backends.yaml"), "no complaint: {text}");
        said.note(format!("a complaint about {wrong}"), text);
    }
    said.assert_clean();
}
