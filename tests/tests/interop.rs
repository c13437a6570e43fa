//! Real servers and clients that nobody here wrote, driven by `tests/interop/run`.

use std::path::Path;
use std::process::{Command, ExitStatus};

use mcp_router_tests::harness::binary;

// Both are ignored by default, so that the tests pass on a machine with the Rust toolchain alone and say
// what they left out; CI runs the suites themselves.

#[test]
#[ignore = "installs real MCP servers and clients from PyPI and npm: run tests/interop/run, or this test with --ignored"]
fn every_real_client_reaches_every_real_server() {
    assert!(
        run(&[]).success(),
        "the cases above marked FAIL or skip tell why"
    );
}

#[test]
#[ignore = "installs the conformance suite from npm: run tests/interop/run --conformance, or this test with --ignored"]
fn the_official_suite_finds_what_is_written_down() {
    assert!(
        run(&["--conformance"]).success(),
        "the cases above marked FAIL or skip tell why"
    );
}

fn run(more: &[&str]) -> ExitStatus {
    let router = binary("mcp-router-http");
    let folder = router.parent().expect("a program is in a folder");
    Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("interop/run"))
        .arg("--binaries")
        .arg(folder)
        .arg("--require-all")
        .args(more)
        .status()
        .expect("Python 3 is installed")
}
