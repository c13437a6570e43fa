//! The numbers of the process and its children.

use std::time::{SystemTime, UNIX_EPOCH};

use mcp_router_tests::harness::{Router, child_entry, descendants, until};
use serde_json::json;
use tokio::net::TcpStream;

use super::samples::Samples;

#[tokio::test]
async fn memory_and_time_of_children_are_in_the_numbers_of_the_process() {
    let router = Router::start(&format!("backends:\n{}", child_entry("kid", &[]))).await;
    router.until_healthy("kid").await;
    let samples = Samples::of(&router).await;
    let children = descendants(router.pid());
    assert_eq!(
        samples.sum("mcp_router_children", &[]),
        children.len() as f64
    );
    let memory = samples.sum("mcp_router_children_resident_memory_bytes", &[]);
    let all = samples.sum("process_resident_memory_bytes", &[]);
    let tree = router.usage().rss as f64;
    assert!(memory > 500_000.0, "the child alone has {memory} bytes");
    // Two looks at different moments.
    assert!(
        (all - tree).abs() < 0.3 * tree,
        "{all} bytes are not {tree}"
    );
    assert!(all > memory + 1e6, "of {all} bytes the child has {memory}");
    let client = router.modern();
    let text = "x".repeat(100_000);
    let arguments = json!({"text": text, "nonce": "n"});
    let before = samples.sum("process_cpu_seconds_total", &[]);
    until("the child's time is counted", async || {
        client.call("kid.echo", arguments.clone()).await;
        let now = Samples::of(&router).await;
        let child = now.sum("mcp_router_children_cpu_seconds_total", &[]);
        child > 0.0 && now.sum("process_cpu_seconds_total", &[]) >= before + child
    })
    .await;
}

#[tokio::test]
async fn descriptors_threads_memory_and_start_are_those_of_the_router() {
    let router = Router::builder().arg("--demo").start().await;
    let first = Samples::of(&router).await;
    let open = first.sum("process_open_fds", &[]);
    // More than are asked for: what a start needs in passing may have been counted first.
    let held: Vec<_> =
        futures::future::join_all((0..30).map(|_| TcpStream::connect(router.addr()))).await;
    assert!(held.iter().all(Result::is_ok));
    let tasks = first.sum("mcp_router_tasks", &[]);
    assert!(tasks >= 1.0);
    until("20 more descriptors, and a task for each", async || {
        let now = Samples::of(&router).await;
        now.sum("process_open_fds", &[]) >= open + 20.0
            && now.sum("mcp_router_tasks", &[]) >= tasks + 20.0
    })
    .await;
    assert!(first.sum("process_max_fds", &[]) > open);
    assert!(first.sum("process_threads", &[]) >= 2.0);
    let (virt, rss) = (
        "process_virtual_memory_bytes",
        "process_resident_memory_bytes",
    );
    assert!(first.sum(virt, &[]) > first.sum(rss, &[]) / 2.0);
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let age = now.expect("after 1970").as_secs_f64() - first.sum("process_start_time_seconds", &[]);
    assert!((-2.0..60.0).contains(&age), "{age} s old");
    let busy = Samples::of(&router)
        .await
        .sum("process_cpu_seconds_total", &[]);
    let client = router.modern();
    until("its time is counted", async || {
        client.call("text.add", json!({"a": 1, "b": 2})).await;
        let now = Samples::of(&router).await;
        now.sum("process_cpu_seconds_total", &[]) > busy
    })
    .await;
}
