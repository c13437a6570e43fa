//! F44: a process without file descriptors neither spins nor exits, and recovers.
//!
//! The limit holds for a whole process, so the test runs itself again under a small one.
#![expect(
    clippy::unwrap_used,
    reason = "in helpers of tests, failing is the point"
)]
#![cfg(target_os = "linux")]

use std::io::{Read, Seek};
use std::process::Command;
use std::time::Duration;

use mcp_router_protocol::RawJson;
use mcp_router_service::{CallError, McpRequest, McpResponse, McpService};
use mcp_router_transport::server::{HttpParams, ServeParams, http, serve};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

const CHILD: &str = "MCP_ROUTER_TEST_FEW_DESCRIPTORS";
const NAME: &str = "f44_without_descriptors_the_loop_rests_and_recovers";

#[test]
fn f44_without_descriptors_the_loop_rests_and_recovers() {
    if std::env::var_os(CHILD).is_some() {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = runtime.enable_all().build().unwrap();
        return runtime.block_on(exhausted());
    }
    let program = std::env::current_exe().unwrap();
    let status = Command::new("sh")
        .args(["-c", "ulimit -n 48 && exec \"$0\" --exact \"$1\""])
        .arg(program)
        .arg(NAME)
        .env(CHILD, "1")
        .status()
        .unwrap();
    assert!(status.success());
}

async fn exhausted() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = McpService::new(tower::service_fn(|_: McpRequest| async {
        Ok::<_, CallError>(McpResponse::complete(RawJson::from_static("{}")))
    }));
    let params = ServeParams {
        connections: Some(1000),
        ..ServeParams::default()
    };
    let stop = CancellationToken::new();
    let service = http(router, HttpParams::default());
    let serving = tokio::spawn(serve(listener, service, params, stop.clone()));
    let mut clock = std::fs::File::open("/proc/self/stat").unwrap();
    // Both ends are in this process: they take what there is.
    let mut clients = Vec::new();
    while let Ok(client) = TcpStream::connect(address).await {
        clients.push(client);
        tokio::task::yield_now().await;
    }
    let before = cpu_ticks(&mut clock);
    tokio::time::sleep(Duration::from_secs(1)).await;
    let spent = cpu_ticks(&mut clock) - before;
    assert!(spent < 30, "{spent} ticks of CPU in a second of waiting");
    assert!(!serving.is_finished());
    clients.clear();
    let answer = tokio::time::timeout(Duration::from_secs(1), ask(address)).await;
    assert!(answer.expect("it recovers within a second").contains("405"));
    stop.cancel();
    serving.await.unwrap();
}

async fn ask(address: std::net::SocketAddr) -> String {
    let mut client = TcpStream::connect(address).await.unwrap();
    let request = b"PUT /mcp HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    client.write_all(request).await.unwrap();
    let mut text = String::new();
    client.read_to_string(&mut text).await.unwrap();
    text
}

/// CPU time of this process, in ticks of 10 ms.
fn cpu_ticks(stat: &mut std::fs::File) -> u64 {
    let mut text = String::new();
    stat.rewind().unwrap();
    stat.read_to_string(&mut text).unwrap();
    let fields = text.rsplit_once(')').unwrap().1;
    let fields: Vec<_> = fields.split_whitespace().collect();
    // Behind the name: state is field 3 of the manual, utime 14, stime 15.
    fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
}
